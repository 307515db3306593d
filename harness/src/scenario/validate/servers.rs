//! Faults on the servers behind services, and on how many instances of a service there are.

use super::scope::Scope;
use crate::language::document::Spanned;
use crate::language::names;
use crate::language::problem::Problems;
use crate::language::raw_equipment::{RawCache, RawStore};
use crate::language::reference::{RoleReference, ServerKind, ServerRole, TargetReference};
use crate::language::setting::Whole;
use crate::scenario::deed::Deed;
use crate::scenario::merge::Merged;
use crate::scenario::model::FaultTarget;

/// The server of this role, if the harness runs it and can do something to it.
pub(super) fn target(
    role: &ServerRole,
    at: &Spanned<RoleReference>,
    scope: &Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<FaultTarget> {
    let name = &role.service;
    if !scope.check_service(name, at.place, problems) {
        return None;
    }
    let service = scope.service(name)?;
    let (is_ours, key, word) = match role.kind {
        ServerKind::Store => {
            let store = scope.store(service).map(|store| &store.value);
            let keeps = service.command.is_some() || shakedown_services::keeps_store(name, scope.system());
            (keeps && store == Some(&RawStore::Postgres), "store", "postgres")
        }
        ServerKind::Cache => {
            (scope.cache(service).is_some_and(|cache| cache.value == RawCache::Redis), "cache", "redis")
        }
    };
    if !is_ours {
        let message = format!("`{role}` is no server that the harness runs");
        let help =
            format!("give service `{name}` one: `{key} = \"{word}\"`, for itself or for all services of the scenario");
        problems.add(at.place, message, "nothing to hit", help);
    }
    is_ours.then(|| FaultTarget::Server(role.clone()))
}

/// Another number of instances.
pub(super) fn scale(
    role: &Spanned<RoleReference>,
    to: Option<&Spanned<Whole<1, 64>>>,
    merged: &Merged,
    scope: &Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<Deed> {
    let RoleReference::Service(service) = &role.value else {
        let help = format!("write {}", names::list(&["service(NAME)"]));
        problems.add(role.place, format!("`scale` cannot hit {}", role.value), "not a service", help);
        return None;
    };
    if !scope.check_service(service, role.place, problems) {
        return None;
    }
    let Some(to) = to else {
        let help = format!("write {{ scale = \"{}\", to = 3 }}", role.value);
        problems.add(role.place, "`scale` needs a number", "to how many?", help);
        return None;
    };
    let target = merged.load.as_ref().map(|load| &load.value.target.value);
    if matches!(target, Some(TargetReference::Service(name)) if name == service) {
        let message = format!("`scale` cannot hit `{service}`, which offers the load");
        problems.add(role.place, message, "is the load's target", "each instance would offer the whole load");
        return None;
    }
    Some(Deed::Scale { service: service.clone(), to: u32::try_from(to.value.0).unwrap_or(u32::MAX) })
}
