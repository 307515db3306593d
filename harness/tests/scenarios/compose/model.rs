//! `docker-compose.yml`, as far as it is used here: a key that is not among these is a mistake, or a field to be added.

use serde::Deserialize;
use serde_yaml_ng::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Compose {
    pub(super) name: String,
    pub(super) services: BTreeMap<String, Service>,
    pub(super) configs: BTreeMap<String, Config>,
    pub(super) volumes: BTreeMap<String, Option<Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub(super) image: String,
    pub(super) build: Option<Build>,
    #[serde(default)]
    pub(super) profiles: Vec<String>,
    pub(super) restart: Restart,
    #[serde(default)]
    pub(super) command: Vec<String>,
    #[serde(default)]
    pub(super) environment: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) ports: Vec<String>,
    #[serde(default)]
    pub(super) volumes: Vec<String>,
    #[serde(default)]
    pub(super) configs: Vec<ConfigMount>,
    #[serde(default)]
    pub(super) depends_on: BTreeMap<String, Dependency>,
    pub(super) healthcheck: Option<HealthCheck>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Build {
    pub(super) context: PathBuf,
    pub(super) dockerfile: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Restart {
    No,
    OnFailure,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) content: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigMount {
    pub(super) source: String,
    pub(super) target: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dependency {
    pub(super) condition: Condition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Condition {
    ServiceHealthy,
    ServiceCompletedSuccessfully,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HealthCheck {
    pub(super) test: Vec<String>,
    pub(super) interval: String,
    pub(super) timeout: String,
    pub(super) start_period: Option<String>,
    pub(super) retries: u32,
}

/// The repository's folder.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of the repository.
pub(super) fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

impl Compose {
    /// The committed file, with its merges and its variables' defaults in place.
    pub(super) fn read() -> Self {
        let mut value: Value = serde_yaml_ng::from_str(&text("docker-compose.yml")).expect("YAML without double keys");
        value.apply_merge().expect("merges of mappings");
        let file = value.as_mapping_mut().expect("a mapping");
        // Extensions are for whoever writes the file; what they have is where it was merged.
        file.retain(|key, _| !key.as_str().is_some_and(|key| key.starts_with("x-")));
        interpolate(&mut value);
        serde_yaml_ng::from_value(value).unwrap_or_else(|error| panic!("docker-compose.yml: {error}"))
    }

    /// Those that run with this profile: its own, and those without one.
    pub(super) fn with_profile<'a>(&'a self, profile: &'a str) -> impl Iterator<Item = (&'a str, &'a Service)> {
        let runs =
            move |service: &Service| service.profiles.is_empty() || service.profiles.iter().any(|p| p == profile);
        self.services.iter().filter(move |(_, service)| runs(service)).map(|(name, service)| (name.as_str(), service))
    }

    /// The profiles, and none.
    pub(super) fn profiles(&self) -> Vec<&str> {
        let mut profiles = vec![""];
        profiles.extend(self.services.values().flat_map(|service| service.profiles.iter().map(String::as_str)));
        profiles.sort_unstable();
        profiles.dedup();
        profiles
    }
}

impl Service {
    /// Whether it is one of this repository's.
    pub(super) fn is_ours(&self) -> bool {
        self.build.is_some()
    }

    /// Whether it is a broker.
    pub(super) fn is_broker(&self) -> bool {
        self.environment.contains_key("KAFKA_NODE_ID")
    }

    /// The port of the machine, and that of the container.
    pub(super) fn published(&self) -> Vec<(u16, u16)> {
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{text} is no port"));
        let ports = self.ports.iter().map(|port| match port.split(':').collect::<Vec<_>>()[..] {
            // On this machine only: the passwords are in the repository.
            ["127.0.0.1", host, container] => (number(host), number(container)),
            _ => panic!("{port}: write 127.0.0.1:HOST:CONTAINER"),
        });
        ports.collect()
    }
}

/// Puts defaults in the place of `${NAME:-DEFAULT}`, and `$` in that of `$$`.
fn interpolate(value: &mut Value) {
    match value {
        Value::String(text) => *text = interpolated(text),
        Value::Sequence(values) => values.iter_mut().for_each(interpolate),
        Value::Mapping(values) => values.iter_mut().for_each(|(_, value)| interpolate(value)),
        _ => {}
    }
}

fn interpolated(text: &str) -> String {
    let mut parts = text.split('$');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    while let Some(part) = parts.next() {
        if part.is_empty() {
            whole.push('$');
            whole.push_str(parts.next().unwrap_or_else(|| panic!("{text}: a $ at the end")));
        } else {
            let variable = part.strip_prefix('{').and_then(|part| part.split_once('}'));
            let default = variable.and_then(|(name, rest)| Some((name.split_once(":-")?.1, rest)));
            let (default, rest) = default.unwrap_or_else(|| panic!("{text}: write ${{NAME:-DEFAULT}}"));
            whole.push_str(default);
            whole.push_str(rest);
        }
    }
    whole
}
