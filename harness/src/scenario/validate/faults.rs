//! Faults: that the back end can do them, to something that exists and is up, while there is load.

use super::scenario::Capabilities;
use super::scope::Scope;
use crate::language::document::{Place, Spanned};
use crate::language::names;
use crate::language::problem::Problems;
use crate::language::raw::RawFault;
use crate::language::reference::{RoleReference, TargetReference};
use crate::scenario::merge::Merged;
use crate::scenario::model::{FaultAction, FaultRule};
use std::time::Duration;

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
    let mut rules: Vec<(Place, FaultRule)> = Vec::new();
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
        check_source(merged, action, &service, role.place, problems);
        let heal_after = fault.value.heal.as_ref().map(|heal| heal.value.after.value.0);
        let rule = FaultRule { at: at.value.0, action, service, instance, heal_after };
        if let Some((other, earlier)) = rules.iter().find(|(_, earlier)| overlap(earlier, &rule)) {
            let message = format!("this fault and the one on line {} overlap on one service", problems.line(*other));
            let until = match (earlier.action, earlier.heal_after) {
                (FaultAction::Restart, _) => format!("at {:?}", earlier.at),
                (_, Some(after)) => format!("from {:?} to {:?}", earlier.at, earlier.at + after),
                (_, None) => format!("from {:?} to the end of the load", earlier.at),
            };
            let help = format!("the other one holds `{}` {until}: strike before or after that", earlier.service);
            problems.add(role.place, message, "not up to be hit", help);
        }
        rules.push((role.place, rule));
    }
    rules.into_iter().map(|(_, rule)| rule).collect()
}

/// A service that offers the load loses its place in it with its life.
fn check_source(merged: &Merged, action: FaultAction, service: &str, place: Place, problems: &mut Problems<'_>) {
    let target = merged.load.as_ref().map(|load| &load.value.target.value);
    let offers = matches!(target, Some(TargetReference::Service(name)) if name == service);
    if offers && action != FaultAction::Pause {
        let message = format!("`{}` cannot hit `{service}`, which offers the load", action.word());
        let help = "it would begin its load again from the first message; `pause` is possible";
        problems.add(place, message, "is the load's target", help);
    }
}

/// Whether both may hold one process at the same time. A restart is over at once by its own account.
fn overlap(one: &FaultRule, other: &FaultRule) -> bool {
    let end = |rule: &FaultRule| match rule.action {
        FaultAction::Restart => rule.at,
        _ => rule.heal_after.map_or(Duration::MAX, |after| rule.at.saturating_add(after)),
    };
    let shared = match (one.instance, other.instance) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    one.service == other.service && shared && one.at <= end(other) && other.at <= end(one)
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
