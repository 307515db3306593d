//! Faults: that the back end can do them, to something that exists and is up, while there is load.
//!
//! When they strike is checked in [`super::triggers`].

use super::scenario::Capabilities;
use super::scope::Scope;
use super::triggers::{self, Names};
use super::{disturbances, interventions, requests};
use crate::language::document::{Place, Spanned};
use crate::language::names;
use crate::language::problem::Problems;
use crate::language::quantity::Span;
use crate::language::raw_faults::{RawAction, RawClients, RawClock, RawFault, RawLinks, RawRequests};
use crate::language::reference::{RoleReference, TargetReference};
use crate::scenario::deed::Deed;
use crate::scenario::merge::Merged;
use crate::scenario::model::{FaultAction, FaultRule, FaultTarget};
use shakedown_cluster::{DiskFault, Role};
use std::time::Duration;

/// What the harness itself does to the processes it started, whatever plays the cluster.
const SERVICE_ACTIONS: [FaultAction; 3] = [FaultAction::Kill, FaultAction::Pause, FaultAction::Restart];

/// What takes more than a role.
const OTHERS: [&str; 16] = [
    "slow-sync",
    "cut",
    "delay",
    "clients",
    "clock",
    "advance-clock",
    "requests",
    "damage",
    "rolling-restart",
    "move-leader",
    "reassign",
    "elect-unclean",
    "move-coordinator",
    "expel",
    "clash",
    "rebalance-storm",
];

/// Whom it does that to.
const SERVICE_ROLES: [&str; 2] = ["service(NAME)", "instance(NAME, N)"];

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
        let trigger = trigger.filter(|_| can_wait(fault, capabilities, problems));
        let heal = triggers::heal(&names, index, fault, problems);
        let Some(deed) = deed(fault, problems) else { continue };
        let (action, role) = match deed {
            RawDeed::Hit(action, role) => (action, role),
            other => {
                let place = fault.value.action.place;
                let deed = other_deed(&other, place, scope, capabilities, problems);
                if let (Some(Deed::Intervene(once)), Some(heal)) = (&deed, &fault.value.heal)
                    && once.is_momentary()
                {
                    problems.add(heal.place, "this fault is over at once", "never used", "leave `heal` out");
                }
                if let (Some(trigger), Some(heal), Some(deed)) = (trigger, heal, deed) {
                    rules.push((place, FaultRule { trigger, deed, heal }));
                }
                continue;
            }
        };
        let Some(target) = target(action, role, scope, capabilities, problems) else { continue };
        if let (FaultAction::Restart, Some(heal)) = (action, &fault.value.heal) {
            problems.add(heal.place, "`restart` heals itself", "never used", "leave `heal` out, or use `kill`");
        }
        if let FaultTarget::Service { name, .. } = &target {
            check_source(merged, action, name, role.place, problems);
        }
        let (Some(trigger), Some(heal)) = (trigger, heal) else { continue };
        let rule = FaultRule { trigger, deed: Deed::Hit { action, target }, heal };
        if let Some((other, earlier)) = rules.iter().find(|(_, earlier)| overlap(earlier, &rule)) {
            let message = format!("this fault and the one on line {} overlap on one service", problems.line(*other));
            let until = match held(earlier) {
                Some((from, until)) if from == until => format!("at {from:?}"),
                Some((from, Duration::MAX)) => format!("from {from:?} to the end of the load"),
                Some((from, until)) => format!("from {from:?} to {until:?}"),
                None => String::new(),
            };
            let help = format!("the other one holds {} {until}: strike before or after that", quoted(earlier));
            problems.add(role.place, message, "not up to be hit", help);
        }
        rules.push((role.place, rule));
    }
    rules.into_iter().map(|(_, rule)| rule).collect()
}

fn quoted(rule: &FaultRule) -> String {
    match &rule.deed {
        Deed::Hit { target: FaultTarget::Service { name, .. }, .. } => format!("`{name}`"),
        Deed::Hit { target: FaultTarget::Broker(role), .. } => format!("`{role}`"),
        _ => rule.deed.to_string(),
    }
}

/// Whether the back end sees what the fault waits for.
fn can_wait(fault: &Spanned<RawFault>, capabilities: Capabilities<'_>, problems: &mut Problems<'_>) -> bool {
    let Some(when) = &fault.value.when else { return true };
    let has_key = when.value.produced.as_ref().is_some_and(|produced| produced.value.key.is_some());
    let inner = [("key", has_key), ("consumed", when.value.consumed.is_some()), ("state", when.value.state.is_some())];
    let waits = inner.into_iter().find(|(_, waits)| *waits && !capabilities.broker_faults.inside);
    if let Some((word, _)) = waits {
        let message = format!("the back end `{}` does not see `{word}`", capabilities.backend);
        problems.add(when.place, message, "not possible here", "the back end `embedded` does");
    }
    waits.is_none()
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

/// Whether both may hold one process at the same time, as far as their times are known. Who leads is only known when a
/// fault strikes, and a broker that is down plays no role.
fn overlap(one: &FaultRule, other: &FaultRule) -> bool {
    let shared = match (&one.deed, &other.deed) {
        (
            Deed::Hit { target: FaultTarget::Service { name: one, instance: first }, .. },
            Deed::Hit { target: FaultTarget::Service { name: other, instance: second }, .. },
        ) => one == other && first.is_none_or(|first| second.is_none_or(|second| first == second)),
        _ => false,
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

/// What a fault does, as it is written.
enum RawDeed<'a> {
    Hit(FaultAction, &'a Spanned<RoleReference>),
    Requests(&'a Spanned<RawRequests>),
    Links { links: &'a Spanned<RawLinks>, delayed: bool },
    Clients(&'a Spanned<RawClients>),
    Clock(&'a Spanned<RawClock>),
    AdvanceClock(&'a Spanned<Span>),
    Intervene(interventions::Written<'a>),
    Rolling(&'a Spanned<RoleReference>),
}

/// What is done neither to a service nor to a broker.
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
    if let RawDeed::Rolling(role) = deed {
        if !capabilities.broker_faults.can(FaultAction::Kill) {
            refuse(FaultAction::Kill, role, capabilities, problems);
            return None;
        }
        return interventions::rolling(role, scope, problems).map(Deed::RollingRestart);
    }
    if !disturbances::possible("links, connections and clocks", place, capabilities, problems) {
        return None;
    }
    match deed {
        RawDeed::Links { links, delayed } => disturbances::links(links, *delayed, scope, problems).map(Deed::Disturb),
        RawDeed::Clients(clients) => disturbances::clients(clients, scope, problems).map(Deed::Disturb),
        RawDeed::Clock(clock) => disturbances::clock(clock, scope, problems).map(Deed::Disturb),
        RawDeed::AdvanceClock(by) => Some(Deed::AdvanceClock(by.value.0)),
        RawDeed::Hit(..) | RawDeed::Requests(_) | RawDeed::Intervene(_) | RawDeed::Rolling(_) => None,
    }
}

/// What a client of the cluster is to do.
fn written(raw: &RawAction) -> impl Iterator<Item = interventions::Written<'_>> {
    use interventions::Written;
    let all = [
        raw.move_leader.as_ref().map(|raw| Written::MoveLeader(&raw.value)),
        raw.reassign.as_ref().map(|raw| Written::Reassign(&raw.value)),
        raw.elect_unclean.as_ref().map(|raw| Written::ElectUnclean(&raw.value)),
        raw.move_coordinator.as_ref().map(|raw| Written::MoveCoordinator(&raw.value)),
        raw.expel.as_ref().map(|raw| Written::Expel(&raw.value)),
        raw.clash.as_ref().map(|raw| Written::Clash(&raw.value)),
        raw.rebalance_storm.as_ref().map(|raw| Written::Storm(&raw.value)),
    ];
    all.into_iter().flatten()
}

fn deed<'a>(fault: &'a Spanned<RawFault>, problems: &mut Problems<'_>) -> Option<RawDeed<'a>> {
    let action = &fault.value.action;
    let raw = &action.value;
    let all = [
        (FaultAction::Kill, &raw.kill),
        (FaultAction::PowerLoss, &raw.power_loss),
        (FaultAction::Pause, &raw.pause),
        (FaultAction::Isolate, &raw.isolate),
        (FaultAction::Restart, &raw.restart),
        (FaultAction::Disk(DiskFault::Full { after_bytes: 0 }), &raw.disk_full),
        (FaultAction::Disk(DiskFault::WriteErrors), &raw.write_errors),
        (FaultAction::Disk(DiskFault::ReadErrors), &raw.read_errors),
    ];
    let slow_sync = raw.slow_sync.as_ref().map(|slow| {
        let fault = DiskFault::SlowSync { by: slow.value.by.value.0 };
        RawDeed::Hit(FaultAction::Disk(fault), &slow.value.of)
    });
    let hits = all.into_iter().filter_map(|(action, role)| role.as_ref().map(|role| RawDeed::Hit(action, role)));
    let damage = match &raw.damage {
        Some(damage) => {
            let damaged = interventions::damage(&damage.value, damage.place, problems)?;
            Some(RawDeed::Hit(FaultAction::Damage(damaged), &damage.value.of))
        }
        None => None,
    };
    let hits = hits.chain(slow_sync).chain(damage);
    let links = |links, delayed| RawDeed::Links { links, delayed };
    let others = [
        raw.cut.as_ref().map(|cut| links(cut, false)),
        raw.delay.as_ref().map(|delay| links(delay, true)),
        raw.clients.as_ref().map(RawDeed::Clients),
        raw.clock.as_ref().map(RawDeed::Clock),
        raw.advance_clock.as_ref().map(RawDeed::AdvanceClock),
        raw.requests.as_ref().map(RawDeed::Requests),
        raw.rolling_restart.as_ref().map(RawDeed::Rolling),
    ];
    let interventions = written(raw).map(RawDeed::Intervene);
    let mut given = hits.chain(others.into_iter().flatten()).chain(interventions);
    match (given.next(), given.next()) {
        (Some(only), None) => Some(only),
        (first, _) => {
            let message =
                if first.is_none() { "this fault does nothing" } else { "this fault does two things at once" };
            let words = all.iter().map(|(action, _)| action.word()).chain(OTHERS);
            let forms: Vec<String> = words.map(|word| format!("{{ {word} = ... }}")).collect();
            let help = format!("write one of {}; for two faults write [[fault]] twice", forms.join(", "));
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
) -> Option<FaultTarget> {
    let possible = match &role.value {
        RoleReference::Service(_) | RoleReference::Instance(..) => SERVICE_ACTIONS.contains(&action),
        RoleReference::Broker(_) => capabilities.broker_faults.can(action),
        RoleReference::Other(_) => false,
    };
    match &role.value {
        _ if !possible => {
            refuse(action, role, capabilities, problems);
            None
        }
        RoleReference::Service(name) => scope
            .check_service(name, role.place, problems)
            .then(|| FaultTarget::Service { name: name.clone(), instance: None }),
        RoleReference::Instance(name, number) => instance(name, *number, role.place, scope, problems),
        RoleReference::Broker(broker) => {
            broker_exists(broker, role.place, scope, problems).then(|| FaultTarget::Broker(broker.clone()))
        }
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
        Role::GroupCoordinator(group) => {
            let groups = scope.group_names();
            let known = groups.contains(&group.as_str());
            if !known {
                let help = names::advice(group, groups);
                problems.add(place, format!("there is no group `{group}`"), "no such group", help);
            }
            known
        }
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
    let partitions = scope.topic(topic).and_then(|topic| topic.partitions.as_ref()).map_or(1, |n| n.value.0);
    let known = u64::try_from(partition).is_ok_and(|partition| partition < partitions);
    if !known {
        let message = format!("topic `{topic}` has no partition {partition}");
        problems.add(place, message, "no such partition", format!("allowed: 0 to {}", partitions - 1));
    }
    known
}

fn refuse(
    action: FaultAction,
    role: &Spanned<RoleReference>,
    capabilities: Capabilities<'_>,
    problems: &mut Problems<'_>,
) {
    let brokers = capabilities.broker_faults;
    let mut can = format!("it can {} {}", words(&SERVICE_ACTIONS), names::list(&SERVICE_ROLES));
    if !brokers.actions.is_empty() {
        can = format!("{can}; {} {}", words(brokers.actions), names::list(brokers.roles));
    }
    let message = format!("the back end `{}` cannot {} {}", capabilities.backend, action.word(), role.value);
    problems.add(role.place, message, "not possible here", can);
}

/// `kill, pause or restart`.
fn words(actions: &[FaultAction]) -> String {
    let words: Vec<&str> = actions.iter().map(|action| action.word()).collect();
    match words.split_last() {
        Some((last, first)) if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.concat(),
    }
}
