//! What services are told of what they are equipped with: which system is meant, where their data is.

use super::servers::Servers;
use crate::scenario::equipment::{CacheRule, ServerRole, StoreRule};
use crate::scenario::model::{Scenario, Service};
use std::collections::BTreeMap;
use std::path::Path;

/// The variables of each service. All its instances have the same, and so the same store.
pub(super) fn variables(
    scenario: &Scenario,
    directory: &Path,
    stores: &Path,
    servers: &Servers,
    extra: &mut BTreeMap<String, BTreeMap<String, String>>,
) {
    for service in &scenario.services {
        let system = scenario.system.clone().map(|system| ("SYSTEM", system));
        let store = database(service, stores, servers).map(|url| ("DATABASE_URL", url));
        let cache = cache(service, servers).map(|url| ("REDIS_URL", url));
        let namespace = cache.is_some().then(|| ("CACHE_NAMESPACE", namespace(directory)));
        let told = system.into_iter().chain(store).chain(cache).chain(namespace);
        let told = told.map(|(variable, value)| (variable.to_owned(), value));
        extra.entry(service.name.clone()).or_default().extend(told);
    }
}

/// What no other run calls its entries, on a server that outlives it: the same seed gives the same ids.
fn namespace(directory: &Path) -> String {
    let names: Vec<_> = directory.iter().rev().take(2).map(|name| name.to_string_lossy()).collect();
    let names: Vec<&str> = names.iter().rev().map(AsRef::as_ref).collect();
    format!("{}/{}", names.join("/"), std::process::id())
}

fn database(service: &Service, stores: &Path, servers: &Servers) -> Option<String> {
    match service.equipment.store.as_ref()? {
        StoreRule::Sqlite => Some(format!("sqlite://{}", stores.join(format!("{}.db", service.name)).display())),
        StoreRule::Postgres => servers.url(&ServerRole::store(&service.name)).map(str::to_owned),
        StoreRule::Url(url) => Some(url.clone()),
    }
}

fn cache(service: &Service, servers: &Servers) -> Option<String> {
    match service.equipment.cache.as_ref()? {
        CacheRule::Redis => servers.url(&ServerRole::cache(&service.name)).map(str::to_owned),
        CacheRule::Url(url) => Some(url.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Servers, variables};
    use crate::Runner;
    use std::collections::BTreeMap;
    use std::path::Path;

    const SCENARIO: &str = r#"
name = "equipment"
system = "platform"
cache = "redis://cache:6379"

[services.orders-service]
instances = 2

[services.mine]
command = ["true"]
ready = { log = "up" }

[services.theirs]
command = ["true"]
ready = { log = "up" }
store = "postgres://db/theirs"

[topics.orders]

[flows.end-to-end]
from = "load"
to = "topic orders"

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "100/s", for = "1s" }

[expect]
lost = 0
"#;

    #[test]
    fn services_are_told_whose_they_are_and_where_their_data_is() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("systems")).expect("a folder");
        std::fs::write(folder.path().join("systems/platform.toml"), "description = \"a part\"\n").expect("a system");
        let file = folder.path().join("equipment.toml");
        std::fs::write(&file, SCENARIO).expect("a scenario");
        let plan = Runner::new(&file).plan().unwrap_or_else(|error| panic!("{error}"));
        let mut told = BTreeMap::new();
        variables(&plan.scenario, Path::new("runs/equipment/1"), Path::new("/stores"), &Servers::default(), &mut told);
        let of = |service: &str| -> Vec<String> {
            told[service].iter().map(|(variable, value)| format!("{variable}={value}")).collect()
        };
        let cache = "REDIS_URL=redis://cache:6379";
        let namespace = format!("CACHE_NAMESPACE=equipment/1/{}", std::process::id());
        let namespace = namespace.as_str();
        let sqlite = "DATABASE_URL=sqlite:///stores/orders-service.db";
        assert_eq!(of("orders-service"), [namespace, sqlite, cache, "SYSTEM=platform"]);
        assert_eq!(of("mine"), [namespace, cache, "SYSTEM=platform"], "it has a file for each instance");
        assert_eq!(of("theirs"), [namespace, "DATABASE_URL=postgres://db/theirs", cache, "SYSTEM=platform"]);
    }
}
