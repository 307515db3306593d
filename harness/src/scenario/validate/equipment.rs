//! What services are equipped with: stores and caches that fit them, backlogs and failpoints that exist.

use super::scope::Scope;
use crate::language::document::Spanned;
use crate::language::names;
use crate::language::problem::Problems;
use crate::language::raw::RawService;
use crate::language::raw_equipment::{RawAtFailpoint, RawCache, RawFailpoint, RawStore};
use crate::scenario::equipment::{CacheRule, Equipment, FailpointRule, StoreRule};
use crate::scenario::merge::Merged;
use crate::scenario::model::Condition;

/// The databases that built-in services work with.
const SCHEMES: [&str; 3] = ["sqlite", "postgres", "postgresql"];

pub(super) fn validate(
    name: &Spanned<String>,
    raw: &RawService,
    scope: &Scope<'_>,
    problems: &mut Problems<'_>,
) -> Equipment {
    let store = store(name, raw, scope, problems);
    let scaled_to = u32::try_from(scope.scaled_to(&name.value)).unwrap_or(u32::MAX);
    if store.is_none() && scaled_to > 0 {
        let told = [
            ("ledger", raw.ledger.as_ref().map(|ledger| ledger.place)),
            ("figures", raw.figures.as_ref().map(|figures| figures.place)),
            ("backlog", raw.backlog.as_ref().map(|backlog| backlog.place)),
            ("books", raw.books.as_ref().map(|books| books.place)),
        ];
        for (what, place) in told.into_iter().filter_map(|(what, place)| place.map(|place| (what, place))) {
            let message = format!("service `{}` is scaled, and its `{what}` would go with its instances", name.value);
            let help = "give it a `store`, which all its instances share, so that any of them can tell";
            problems.add(place, message, "told by whom?", help);
        }
    }
    check_books(name, raw, store.is_none() && scaled_to == 0, problems);
    let cache = scope.cache(raw).map(|cache| match &cache.value {
        RawCache::Redis => CacheRule::Redis,
        RawCache::Url(url) => CacheRule::Url(url.clone()),
    });
    Equipment {
        store,
        cache,
        backlog: raw.backlog.as_ref().map(|backlog| backlog.value.get.value.0.clone()),
        failpoint: raw.failpoint.as_ref().map(|failpoint| place_to_stop(name, raw, &failpoint.value, problems)),
        scaled_to,
    }
}

/// A book is one list of one store: instances that have a store each would tell of one of them, whoever answers.
fn check_books(name: &Spanned<String>, raw: &RawService, is_apart: bool, problems: &mut Problems<'_>) {
    let Some(instances) = raw.instances.as_ref().map(|instances| instances.value.0) else { return };
    let Some(books) = raw.books.as_ref().filter(|_| is_apart && instances > 1) else { return };
    let message = format!("service `{}` has {instances} instances, and each would have `books` of its own", name.value);
    let help = "give it a `store`, which all its instances share, so that any of them can tell";
    problems.add(books.place, message, "told by whom?", help);
}

/// What is said of all services at once: one database is no store of several.
pub(super) fn validate_for_all(merged: &Merged, problems: &mut Problems<'_>) {
    if let Some(Spanned { value: RawStore::Url(_), place }) = &merged.store {
        let help = "write \"sqlite\" or \"postgres\" here, and URLs in the services: [services.NAME] `store = \"...\"`";
        problems.add(*place, "one database cannot be the store of every service", "shared by all", help);
    }
}

fn store(
    name: &Spanned<String>,
    raw: &RawService,
    scope: &Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<StoreRule> {
    let (system, is_built_in) = (scope.system(), raw.command.is_none());
    let keeps = shakedown_services::keeps_store(&name.value, system);
    if is_built_in && !keeps {
        // Unknown services are told of elsewhere.
        if let Some(store) = raw.store.as_ref().filter(|_| shakedown_services::NAMES.contains(&name.value.as_str())) {
            let message = format!("service `{}` keeps nothing in a store", name.value);
            problems.add(store.place, message, "never used", "leave `store` out");
        }
        return None;
    }
    let Some(store) = scope.store(raw) else {
        // In a system of ours whoever takes a service's place keeps what it keeps.
        return (keeps && (is_built_in || system.is_some())).then_some(StoreRule::Sqlite);
    };
    Some(match &store.value {
        RawStore::Sqlite => StoreRule::Sqlite,
        RawStore::Postgres => StoreRule::Postgres,
        RawStore::Url(url) => {
            let scheme = url.split("://").next().unwrap_or_default();
            if is_built_in && !SCHEMES.contains(&scheme) {
                let message = format!("service `{}` cannot keep its data in \"{url}\"", name.value);
                let help = "allowed: `sqlite`, `postgres`, or a URL with `sqlite://` or `postgres://`";
                problems.add(store.place, message, "another kind of database", help);
            }
            StoreRule::Url(url.clone())
        }
    })
}

/// Where a process stands still; a built-in service knows its places.
fn place_to_stop(
    name: &Spanned<String>,
    raw: &RawService,
    failpoint: &RawFailpoint,
    problems: &mut Problems<'_>,
) -> FailpointRule {
    let at = &failpoint.at;
    let mut known = shakedown_services::failpoints();
    if raw.command.is_none() && !known.any(|known| known == at.value) {
        let message = format!("service `{}` has no failpoint `{}`", name.value, at.value);
        let help = names::advice(&at.value, shakedown_services::failpoints());
        problems.add(at.place, message, "no such place", help);
    }
    FailpointRule { at: at.value.clone(), nth: failpoint.nth.as_ref().map_or(1, |nth| nth.value.0) }
}

/// What a fault waits for that strikes when an instance stands at its failpoint.
pub(super) fn at_failpoint(raw: &RawAtFailpoint, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Option<Condition> {
    let service = &raw.service;
    if !scope.check_service(&service.value, service.place, problems) {
        return None;
    }
    if scope.service(&service.value).is_none_or(|found| found.failpoint.is_none()) {
        let message = format!("service `{}` has no `failpoint`, and so never stands at one", service.value);
        let help = format!("add to [services.{}]: `failpoint = {{ at = \"before_work\", nth = 10 }}`", service.value);
        problems.add(service.place, message, "never happens", help);
        return None;
    }
    Some(Condition::Failpoint { service: service.value.clone() })
}
