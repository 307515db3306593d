//! Faults: that the back end can do them, to something that exists, while there is load.

use super::scenario::Capabilities;
use super::scope::Scope;
use crate::language::document::Spanned;
use crate::language::names;
use crate::language::problem::Problems;
use crate::language::raw::RawFault;
use crate::language::reference::RoleReference;
use crate::scenario::merge::Merged;
use crate::scenario::model::{FaultAction, FaultRule};

/// What the harness itself does to the processes it started, whatever plays the cluster.
const SERVICE_FAULTS: [&str; 6] = [
    "kill service(NAME)",
    "kill instance(NAME, N)",
    "pause service(NAME)",
    "pause instance(NAME, N)",
    "restart service(NAME)",
    "restart instance(NAME, N)",
];

pub(super) fn validate(
    merged: &Merged,
    scope: &Scope<'_>,
    capabilities: Capabilities<'_>,
    problems: &mut Problems<'_>,
) -> Vec<FaultRule> {
    let length = merged.load.as_ref().map(|load| load.value.arrivals.value.duration.value.0);
    let mut rules = Vec::new();
    for fault in &merged.faults {
        let at = &fault.value.at;
        if length.is_some_and(|length| at.value.0 >= length) {
            let message = "the fault would come after the end of the load";
            problems.add(at.place, message, "too late", "allowed: less than the load's `for`");
        }
        let Some((action, role)) = action(fault, problems) else { continue };
        let Some((service, instance)) = target(action, role, scope, capabilities, problems) else { continue };
        if let (FaultAction::Restart, Some(heal)) = (action, &fault.value.heal) {
            problems.add(heal.place, "`restart` heals itself", "never used", "leave `heal` out, or use `kill`");
        }
        let heal_after = fault.value.heal.as_ref().map(|heal| heal.value.after.value.0);
        rules.push(FaultRule { at: at.value.0, action, service, instance, heal_after });
    }
    rules
}

fn action<'a>(
    fault: &'a Spanned<RawFault>,
    problems: &mut Problems<'_>,
) -> Option<(FaultAction, &'a Spanned<RoleReference>)> {
    let action = &fault.value.action;
    let raw = &action.value;
    let all = [(FaultAction::Kill, &raw.kill), (FaultAction::Pause, &raw.pause), (FaultAction::Restart, &raw.restart)];
    let mut given = all.into_iter().filter_map(|(action, role)| role.as_ref().map(|role| (action, role)));
    match (given.next(), given.next()) {
        (Some(only), None) => Some(only),
        (first, _) => {
            let message =
                if first.is_none() { "this fault does nothing" } else { "this fault does two things at once" };
            let help =
                "write one of { kill = ... }, { pause = ... }, { restart = ... }; for two faults write [[fault]] twice";
            problems.add(action.place, message, "not exactly one action", help);
            None
        }
    }
}

fn target(
    action: FaultAction,
    role: &Spanned<RoleReference>,
    scope: &Scope<'_>,
    capabilities: Capabilities<'_>,
    problems: &mut Problems<'_>,
) -> Option<(String, Option<u32>)> {
    match &role.value {
        RoleReference::Service(name) => scope.check_service(name, role.place, problems).then(|| (name.clone(), None)),
        RoleReference::Instance(name, number) => {
            if !scope.check_service(name, role.place, problems) {
                return None;
            }
            let service = scope.service(name);
            let instances = service.and_then(|service| service.instances.as_ref()).map_or(1, |n| n.value.0);
            if u64::from(*number) > instances {
                let message = format!("service `{name}` has no instance {number}");
                problems.add(role.place, message, "no such instance", format!("allowed: 1 to {instances}"));
                return None;
            }
            Some((name.clone(), Some(*number)))
        }
        RoleReference::Other(_) => {
            let known: Vec<&str> = SERVICE_FAULTS.iter().chain(capabilities.broker_faults).copied().collect();
            let message = format!("the back end `{}` cannot {} {}", capabilities.backend, action.word(), role.value);
            problems.add(role.place, message, "not possible here", format!("it can: {}", names::list(&known)));
            None
        }
    }
}
