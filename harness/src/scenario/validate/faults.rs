//! Faults: that the back end can do them, to something that exists and is up, while there is load.
//!
//! When they strike is checked in [`super::triggers`]; that each does exactly one thing, in [`super::deeds`].

use super::deeds::{RawDeed, deed};
use super::scenario::Capabilities;
use super::scope::Scope;
use super::triggers::{self, Names};
use super::{disturbances, interventions, operations, requests, servers, stand_ins};
use crate::language::document::{Place, Spanned};
use crate::language::names;
use crate::language::problem::Problems;
use crate::language::raw_faults::RawFault;
use crate::language::reference::{RoleReference, TargetReference};
use crate::scenario::deed::Deed;
use crate::scenario::merge::Merged;
use crate::scenario::model::{FaultAction, FaultRule, FaultTarget};
use shakedown_cluster::Role;
use std::time::Duration;

/// What the harness itself does to the processes it started, whatever plays the cluster.
const SERVICE_ACTIONS: [FaultAction; 3] = [FaultAction::Kill, FaultAction::Pause, FaultAction::Restart];

/// Whom it does that to.
const SERVICE_ROLES: [&str; 4] = ["service(NAME)", "instance(NAME, N)", "store(NAME)", "cache(NAME)"];

pub(super) fn validate(
    merged: &Merged,
    scope: &Scope<'_>,
    capabilities: Capabilities<'_>,
    problems: &mut Problems<'_>,
) -> Vec<FaultRule> {
    let names = Names::new(merged, problems);
    let mut rules: Vec<(Place, FaultRule)> = Vec::new();
    for (index, fault) in merged.faults.iter().enumerate() {
        let trigger = triggers::trigger(merged, scope, &names, index, fault, problems);
        triggers::possible(fault, capabilities, problems);
        let heal = triggers::heal(&names, index, fault, problems);
        let Some(raw) = deed(fault, problems) else { continue };
        let Some((place, deed)) = resolved(&raw, fault, merged, scope, capabilities, problems) else { continue };
        check_source(merged, &deed, place, problems);
        let (Some(trigger), Some(heal)) = (trigger, heal) else { continue };
        let rule = FaultRule { trigger, deed, heal, namesakes: 0 };
        if let Some((other, earlier)) = rules.iter().find(|(_, earlier)| overlap(earlier, &rule)) {
            let what = if is_on_server(&rule) { "server" } else { "service" };
            let message = format!("this fault and the one on line {} overlap on one {what}", problems.line(*other));
            let until = match held(earlier) {
                Some((from, until)) if from == until => format!("at {from:?}"),
                Some((from, Duration::MAX)) => format!("from {from:?} to the end of the load"),
                Some((from, until)) => format!("from {from:?} to {until:?}"),
                None => String::new(),
            };
            let help = format!("the other one holds {} {until}: strike before or after that", quoted(earlier));
            problems.add(place, message, "not up to be hit", help);
        }
        rules.push((place, rule));
    }
    let mut rules: Vec<FaultRule> = rules.into_iter().map(|(_, rule)| rule).collect();
    FaultRule::tell_apart(&mut rules);
    rules
}

fn quoted(rule: &FaultRule) -> String {
    match &rule.deed {
        Deed::Hit { target: FaultTarget::Service { name, .. }, .. } => format!("`{name}`"),
        Deed::Hit { target: FaultTarget::Broker(role), .. } => format!("`{role}`"),
        Deed::Hit { target: target @ FaultTarget::Server(_), .. } | Deed::Stop(target) => format!("`{target}`"),
        _ => rule.deed.to_string(),
    }
}

/// A service that offers the load loses its place in it with its life.
fn check_source(merged: &Merged, deed: &Deed, place: Place, problems: &mut Problems<'_>) {
    let Some((service, _)) = deed.service() else { return };
    let word = match deed {
        Deed::Hit { action: FaultAction::Pause, .. } => return,
        Deed::Hit { action, .. } => action.word(),
        _ => "stop",
    };
    let target = merged.load.as_ref().map(|load| &load.value.target.value);
    if matches!(target, Some(TargetReference::Service(name)) if name == service) {
        let message = format!("`{word}` cannot hit `{service}`, which offers the load");
        let help = "it would begin its load again from the first message; `pause` is possible";
        problems.add(place, message, "is the load's target", help);
    }
}

fn is_on_server(rule: &FaultRule) -> bool {
    matches!(rule.deed, Deed::Hit { target: FaultTarget::Server(_), .. })
}

/// Whether both may hold one process at the same time, as far as their times are known. Who leads is only known when a
/// fault strikes, and a broker that is down plays no role.
fn overlap(one: &FaultRule, other: &FaultRule) -> bool {
    let shared = match (one.deed.service(), other.deed.service()) {
        (Some((one, first)), Some((other, second))) => {
            one == other && first.is_none_or(|first| second.is_none_or(|second| first == second))
        }
        _ => {
            let target = |rule: &FaultRule| match &rule.deed {
                Deed::Hit { target: FaultTarget::Server(role), .. } => Some(role.clone()),
                _ => None,
            };
            target(one).is_some_and(|server| target(other) == Some(server))
        }
    };
    let (Some(first), Some(second)) = (held(one), held(other)) else { return false };
    shared && first.0 <= second.1 && second.0 <= first.1
}

/// From when to when a fault holds its target, where that is known. A restart is over at once by its own account.
fn held(rule: &FaultRule) -> Option<(Duration, Duration)> {
    let at = rule.trigger.at.filter(|_| rule.trigger.when.is_none())?;
    let until = match (&rule.deed, rule.heal) {
        (Deed::Hit { action: FaultAction::Restart, .. }, _) => at,
        (_, None) => Duration::MAX,
        (_, Some(heal)) if heal.then.is_some() => return None,
        (_, Some(heal)) => at.saturating_add(heal.after),
    };
    Some((at, until))
}

/// What a fault does, and where that is written.
fn resolved(
    raw: &RawDeed<'_>,
    fault: &Spanned<RawFault>,
    merged: &Merged,
    scope: &Scope<'_>,
    capabilities: Capabilities<'_>,
    problems: &mut Problems<'_>,
) -> Option<(Place, Deed)> {
    let heal = fault.value.heal.as_ref();
    let place = fault.value.action.place;
    let operation = match raw {
        RawDeed::Hit(action, role) => {
            let target = target(*action, role, scope, capabilities, problems)?;
            if let Some(heal) = heal.filter(|_| *action == FaultAction::Restart) {
                problems.add(heal.place, "`restart` heals itself", "never used", "leave `heal` out, or use `kill`");
            }
            return Some((role.place, Deed::Hit { action: *action, target }));
        }
        RawDeed::Stop(role) => return Some((role.place, Deed::Stop(stopped(role, scope, problems)?))),
        RawDeed::Scale(role, to) => return Some((role.place, servers::scale(role, *to, merged, scope, problems)?)),
        RawDeed::DeleteRecords(records) => operations::delete_records(records, scope, problems)?,
        RawDeed::AddPartitions(partitions) => operations::add_partitions(partitions, scope, problems)?,
        RawDeed::Poison(poison) => operations::poison(poison, scope, problems)?,
        other => {
            let deed = other_deed(other, place, scope, capabilities, problems);
            match (other, &deed, heal) {
                (RawDeed::AdvanceClock(_), _, Some(heal)) => {
                    let help = "leave `heal` out; `clock = { of = ..., ahead = ... }` is a clock that heals";
                    problems.add(heal.place, "time that has passed does not come back", "never used", help);
                }
                (_, Some(Deed::Intervene(once)), Some(heal)) if once.is_momentary() => {
                    problems.add(heal.place, "this fault is over at once", "never used", "leave `heal` out");
                }
                _ => {}
            }
            return Some((place, deed?));
        }
    };
    if let Some(heal) = heal {
        problems.add(heal.place, "what somebody does to a cluster stays", "never used", "leave `heal` out");
    }
    Some((place, Deed::Operate(operation)))
}

/// Who is asked to end. A broker only ever crashes.
fn stopped(role: &Spanned<RoleReference>, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Option<FaultTarget> {
    match &role.value {
        RoleReference::Service(name) => scope
            .check_service(name, role.place, problems)
            .then(|| FaultTarget::Service { name: name.clone(), instance: None }),
        RoleReference::Instance(name, number) => instance(name, *number, role.place, scope, problems),
        RoleReference::Server(_) | RoleReference::Broker(_) | RoleReference::Other(_) => {
            let help = format!("write {}; brokers can be killed", names::list(&SERVICE_ROLES[..2]));
            problems.add(role.place, format!("`stop` cannot hit {}", role.value), "not a service", help);
            None
        }
    }
}

/// What is done neither to a service nor to a broker, nor by an operator.
fn other_deed(
    deed: &RawDeed<'_>,
    place: Place,
    scope: &Scope<'_>,
    capabilities: Capabilities<'_>,
    problems: &mut Problems<'_>,
) -> Option<Deed> {
    if let RawDeed::Requests(requests) = deed {
        return requests::rule(requests, scope, capabilities, problems).map(Deed::Requests);
    }
    if let RawDeed::Intervene(written) = deed {
        return interventions::intervention(written, scope, problems).map(Deed::Intervene);
    }
    if let RawDeed::Fail(written, action) = deed {
        return stand_ins::failure(written, action, scope, problems).map(Deed::Fail);
    }
    if let RawDeed::Rolling(role) = deed {
        if !capabilities.broker_faults.can(FaultAction::Kill) {
            refuse((FaultAction::Kill, "rolling-restart"), role, capabilities, problems);
            return None;
        }
        return interventions::rolling(role, scope, problems).map(Deed::RollingRestart);
    }
    if !disturbances::possible("change links, connections and clocks", place, capabilities, problems) {
        return None;
    }
    match deed {
        RawDeed::Links { links, delayed } => disturbances::links(links, *delayed, scope, problems).map(Deed::Disturb),
        RawDeed::Clients(clients) => disturbances::clients(clients, scope, problems).map(Deed::Disturb),
        RawDeed::Clock(clock) => disturbances::clock(clock, scope, problems).map(Deed::Disturb),
        RawDeed::AdvanceClock(by) => disturbances::some_time(by, problems).map(Deed::AdvanceClock),
        _ => None,
    }
}

fn target(
    action: FaultAction,
    role: &Spanned<RoleReference>,
    scope: &Scope<'_>,
    capabilities: Capabilities<'_>,
    problems: &mut Problems<'_>,
) -> Option<FaultTarget> {
    let possible = match &role.value {
        RoleReference::Service(_) | RoleReference::Instance(..) | RoleReference::Server(_) => {
            SERVICE_ACTIONS.contains(&action)
        }
        RoleReference::Broker(_) => capabilities.broker_faults.can(action),
        RoleReference::Other(_) => false,
    };
    match &role.value {
        _ if !possible => {
            refuse((action, action.word()), role, capabilities, problems);
            None
        }
        RoleReference::Service(name) => scope
            .check_service(name, role.place, problems)
            .then(|| FaultTarget::Service { name: name.clone(), instance: None }),
        RoleReference::Instance(name, number) => instance(name, *number, role.place, scope, problems),
        RoleReference::Broker(broker) => {
            broker_exists(broker, role.place, scope, problems).then(|| FaultTarget::Broker(broker.clone()))
        }
        RoleReference::Server(server) => servers::target(server, role, scope, problems),
        RoleReference::Other(_) => None,
    }
}

fn instance(
    name: &str,
    number: u32,
    place: Place,
    scope: &Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<FaultTarget> {
    if !scope.check_service(name, place, problems) {
        return None;
    }
    let service = scope.service(name);
    let instances = service.and_then(|service| service.instances.as_ref()).map_or(1, |n| n.value.0);
    let instances = instances.max(scope.scaled_to(name));
    if u64::from(number) > instances {
        let message = format!("service `{name}` has no instance {number}");
        problems.add(place, message, "no such instance", format!("allowed: 1 to {instances}"));
        return None;
    }
    Some(FaultTarget::Service { name: name.to_owned(), instance: Some(number) })
}

/// Whether somebody can ever play the role.
pub(super) fn broker_exists(role: &Role, place: Place, scope: &Scope<'_>, problems: &mut Problems<'_>) -> bool {
    match role {
        Role::Controller | Role::All => true,
        Role::Drawn { share, .. } => {
            let brokers = scope.brokers();
            let exists = share.count(usize::try_from(brokers).unwrap_or(usize::MAX)) > 0;
            if !exists {
                let message = format!("a {} of {brokers} brokers is nobody", share.word());
                problems.add(place, message, "no broker at all", "3 brokers and more have one");
            }
            exists
        }
        Role::Broker(id) => {
            let known = i64::from(*id) <= i64::from(scope.brokers());
            if !known {
                let help = format!("allowed: 1 to {}", scope.brokers());
                problems.add(place, format!("there is no broker {id}"), "no such broker", help);
            }
            known
        }
        Role::Leader { topic, partition } => partition_exists(topic, *partition, place, scope, problems),
        Role::Follower { topic, partition } | Role::Followers { topic, partition } => {
            if !partition_exists(topic, *partition, place, scope, problems) {
                return false;
            }
            let followed = scope.replicas(topic) > 1;
            if !followed {
                let message = format!("{topic}/{partition} has no follower: it has one replica");
                let help = "give the topic a larger `replication_factor`, which takes as many brokers";
                problems.add(place, message, "nobody follows", help);
            }
            followed
        }
        Role::GroupCoordinator(group) => scope.check_group(group, place, problems),
    }
}

pub(super) fn partition_exists(
    topic: &str,
    partition: i32,
    place: Place,
    scope: &Scope<'_>,
    problems: &mut Problems<'_>,
) -> bool {
    if !scope.check_topic(topic, place, problems) {
        return false;
    }
    let partitions = scope.partitions(topic);
    let known = u64::try_from(partition).is_ok_and(|partition| partition < partitions);
    if !known {
        let message = format!("topic `{topic}` has no partition {partition}");
        problems.add(place, message, "no such partition", format!("allowed: 0 to {}", partitions - 1));
    }
    known
}

/// Says that this cannot be done to whoever plays the role, and to whom it can; where to nobody, what can be done at all.
fn refuse(
    (action, word): (FaultAction, &str),
    role: &Spanned<RoleReference>,
    capabilities: Capabilities<'_>,
    problems: &mut Problems<'_>,
) {
    let services = SERVICE_ROLES.iter().filter(|_| SERVICE_ACTIONS.contains(&action) && word == action.word());
    let brokers = capabilities.broker_faults.roles.iter().filter(|_| capabilities.broker_faults.can(action));
    let roles: Vec<&str> = services.chain(brokers).copied().collect();
    let help = match roles.as_slice() {
        [] => possible_faults(capabilities),
        roles => format!("it can {word} {}", names::list(roles)),
    };
    let message = format!("the back end `{}` cannot {word} {}", capabilities.backend, role.value);
    problems.add(role.place, message, "not possible here", help);
}

/// Everything that can be done with this back end, in words.
pub(super) fn possible_faults(capabilities: Capabilities<'_>) -> String {
    let brokers = capabilities.broker_faults;
    let services = format!("it can {} {}", words(&SERVICE_ACTIONS), names::list(&SERVICE_ROLES));
    if brokers.actions.is_empty() {
        return services;
    }
    format!("{services}; {} {}", words(brokers.actions), names::list(brokers.roles))
}

/// `kill, pause or restart`.
fn words(actions: &[FaultAction]) -> String {
    let words: Vec<&str> = actions.iter().map(|action| action.word()).collect();
    match words.split_last() {
        Some((last, first)) if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.concat(),
    }
}
