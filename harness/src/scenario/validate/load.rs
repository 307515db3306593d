//! The load: its target, and that the load generator can carry it out.

use super::client_properties;
use super::http_load;
use super::scenario::top_of;
use super::scope::Scope;
use super::topics::scalars;
use crate::language::document::{Place, Spanned};
use crate::language::problem::Problems;
use crate::language::raw::{RawArrivals, RawLoad, ShapeChoice};
use crate::language::reference::TargetReference;
use crate::plan::PlanError;
use crate::scenario::merge::Merged;
use crate::scenario::model::{ArrivalShape, LoadRule, Target};
use shakedown_loadgen::PlanError as LoadError;
use shakedown_loadgen::keys::KeySpaceError;
use shakedown_loadgen::schedule::ScheduleError;

/// Users when the scenario does not say.
const USERS: u32 = 1_000;

pub(super) fn validate(merged: &Merged, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Option<LoadRule> {
    let Some(load) = &merged.load else {
        let help = "add [load] with `target` and `arrivals`";
        problems.add(top_of(0), "the file's top level has no `load`", "in this file", help);
        return None;
    };
    let target = target(load, scope, problems);
    let http = match &target {
        Target::Post { service, path } => Some(http_load::validate(load, (service, path), scope, problems)),
        _ => {
            http_load::refuse(&load.value, problems);
            None
        }
    };
    let keys = load.value.keys.as_ref().map(|keys| &keys.value);
    if matches!(target, Target::Service(_)) {
        refuse_for_service(load, problems);
    } else {
        client_properties::validate(&load.value, problems);
    }
    let arrivals = &load.value.arrivals.value;
    check_ramp(arrivals, problems);
    let rule = LoadRule {
        target,
        shape: shape(arrivals)?,
        messages: arrivals.rate.value.messages,
        per: arrivals.rate.value.per,
        duration: arrivals.duration.value.0,
        users: keys
            .and_then(|keys| keys.users.as_ref())
            .map_or(USERS, |n| u32::try_from(n.value.0).unwrap_or(u32::MAX)),
        zipf: keys.and_then(|keys| keys.zipf.as_ref()).map(|zipf| zipf.value.0),
        client: load.value.client.as_ref().map(|client| scalars(&client.value)).unwrap_or_default(),
        http,
    };
    check_plan(load, &rule, problems);
    Some(rule)
}

/// How many messages there are, where that can be said.
pub(super) fn total(arrivals: &RawArrivals) -> Option<u64> {
    let (rate, duration) = (arrivals.rate.value, arrivals.duration.value.0);
    crate::plan::arrivals(shape(arrivals)?, (rate.messages, rate.per), duration).ok()?.total().ok()
}

/// How arrivals are spread; nothing for a ramp from nowhere.
fn shape(arrivals: &RawArrivals) -> Option<ArrivalShape> {
    match arrivals.shape.value {
        ShapeChoice::Constant => Some(ArrivalShape::Constant),
        ShapeChoice::Poisson => Some(ArrivalShape::Poisson),
        ShapeChoice::Ramp => {
            let from = arrivals.from.as_ref()?.value;
            Some(ArrivalShape::Ramp { messages: from.messages, per: from.per })
        }
    }
}

/// A ramp, and nothing else, begins somewhere.
fn check_ramp(arrivals: &RawArrivals, problems: &mut Problems<'_>) {
    match (arrivals.shape.value, &arrivals.from) {
        (ShapeChoice::Ramp, None) => {
            let help = "add the rate at its beginning, such as `from = \"50/s\"`; `rate` is that at its end";
            problems.add(arrivals.shape.place, "a ramp needs `load.arrivals.from`", "from which rate?", help);
        }
        (ShapeChoice::Constant | ShapeChoice::Poisson, Some(from)) => {
            let help = "leave it out, or write `shape = \"ramp\"`";
            problems.add(from.place, "`load.arrivals.from` has no effect: the rate stays as it is", "never used", help);
        }
        (ShapeChoice::Ramp, Some(_)) | (ShapeChoice::Constant | ShapeChoice::Poisson, None) => {}
    }
}

/// Where the load goes, with what is wrong about that.
fn target(load: &Spanned<RawLoad>, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Target {
    let place = load.value.target.place;
    match &load.value.target.value {
        TargetReference::Topic(name) => {
            check_target(name, place, scope, problems);
            Target::Topic(name.clone())
        }
        TargetReference::Topics(names) => {
            names.iter().for_each(|name| check_target(&name.value, name.place, scope, problems));
            Target::Topics(names.iter().map(|name| name.value.clone()).collect())
        }
        TargetReference::Service(name) => {
            scope.check_service(name, place, problems);
            let instances = scope.service(name).and_then(|service| service.instances.as_ref());
            if let Some(instances) = instances.filter(|instances| instances.value.0 > 1) {
                let message = format!("service `{name}` is the load's target, and so can only have one instance");
                problems.add(
                    instances.place,
                    message,
                    "more than one source",
                    "each would offer the whole load: write 1",
                );
            }
            Target::Service(name.clone())
        }
        TargetReference::Post { service, path } => Target::Post { service: service.clone(), path: path.clone() },
    }
}

/// Whether the load can be offered to this topic.
fn check_target(name: &str, place: Place, scope: &Scope<'_>, problems: &mut Problems<'_>) {
    if scope.check_topic(name, place, problems)
        && scope.topic(name).and_then(|topic| topic.message.as_ref()).is_some_and(|m| m.value.value.is_some())
    {
        let message = format!("topic `{name}` reads an amount that the load generator's messages do not have");
        let help = "leave `message` out: the load generator's own header carries identity, amount and time";
        problems.add(place, message, "has no data", help);
    }
}

/// What only the load generator can do, and a service is not told.
fn refuse_for_service(load: &Spanned<RawLoad>, problems: &mut Problems<'_>) {
    let zipf = load.value.keys.as_ref().and_then(|keys| keys.value.zipf.as_ref());
    let arrivals = &load.value.arrivals.value;
    if arrivals.shape.value == ShapeChoice::Ramp {
        let help = "write \"constant\" or \"poisson\"";
        problems.add(arrivals.shape.place, "a service offers no ramp: it is told one rate", "not for a service", help);
    }
    let ignored = [
        ("keys.zipf", zipf.map(|zipf| zipf.place), "leave it out: the service draws its users alike"),
        (
            "client",
            load.value.client.as_ref().map(|client| client.place),
            "configure its client by its own `env`: KAFKA_LINGER_MS and the like",
        ),
    ];
    for (key, place, help) in ignored {
        if let Some(place) = place {
            let message = format!("`load.{key}` has no effect: a service offers the load");
            problems.add(place, message, "never used", help);
        }
    }
}

/// Whether the load generator could carry this out, by its own arithmetic, at the place of what it refuses.
fn check_plan(load: &Spanned<RawLoad>, rule: &LoadRule, problems: &mut Problems<'_>) {
    let arrivals = &load.value.arrivals;
    let Err(error) = crate::plan::load_plan(1, rule) else { return };
    let keys = load.value.keys.as_ref().map(|keys| &keys.value);
    let (place, help) = match &error {
        // Said already, with the topic's own place.
        PlanError::Load(LoadError::Topic { .. } | LoadError::Http(_)) => return,
        PlanError::Rate(_) => (arrivals.value.rate.place, "write a smaller rate"),
        PlanError::Load(LoadError::Schedule(ScheduleError::Duration { .. })) => {
            (arrivals.value.duration.place, "write how long the load lasts, such as \"10s\"")
        }
        PlanError::Load(LoadError::Keys(KeySpaceError::Users { .. })) => {
            (keys.and_then(|keys| keys.users.as_ref()).map_or(load.place, |users| users.place), "write fewer users")
        }
        PlanError::Load(LoadError::Keys(KeySpaceError::Zipf { .. })) => {
            (keys.and_then(|keys| keys.zipf.as_ref()).map_or(load.place, |zipf| zipf.place), "write a smaller exponent")
        }
        PlanError::Load(LoadError::Property { name }) => {
            let client = load.value.client.iter().flat_map(|client| &client.value.0);
            let place = client.filter(|(key, _)| key.value == *name).map(|(key, _)| key.place).next();
            (place.unwrap_or(load.place), "leave it out: the harness knows where its cluster is")
        }
        PlanError::Load(LoadError::Schedule(ScheduleError::Ramp { .. })) => {
            (arrivals.place, "write both rates by the same unit, such as \"50/s\" and \"500/s\"")
        }
        PlanError::Load(_) => (arrivals.place, "the number of messages is the rate times the duration"),
    };
    let message = match &error {
        PlanError::Load(inner) => inner.to_string(),
        PlanError::Rate(inner) => inner.to_string(),
    };
    problems.add(place, message, "cannot be offered", help);
}
