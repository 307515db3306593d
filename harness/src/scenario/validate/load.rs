//! The load: its target, and that the load generator can carry it out.

use super::client_properties;
use super::http_load;
use super::scenario::top_of;
use super::scope::Scope;
use super::topics::scalars;
use crate::language::document::{Place, Spanned};
use crate::language::problem::Problems;
use crate::language::raw::RawLoad;
use crate::language::raw_arrivals::{RawArrivals, ShapeChoice};
use crate::language::raw_messages::{DriverChoice, RawKeys, RawTransactions};
use crate::language::reference::TargetReference;
use crate::plan::PlanError;
use crate::scenario::merge::Merged;
use crate::scenario::model::{LoadRule, Target};
use shakedown_loadgen::keys::KeySpaceError;
use shakedown_loadgen::schedule::ScheduleError;
use shakedown_loadgen::{
    Arrivals, Driver, HotSet, KeyDraw, KeySpace, PayloadPlan, PlanError as LoadError, TransactionError, TransactionPlan,
};
use std::time::Duration;

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
    if matches!(target, Target::Service(_)) {
        refuse_for_service(load, problems);
    } else {
        client_properties::validate(&load.value, problems);
    }
    let Arrivals { shape, rate, duration } = scope.arrivals()?.clone();
    let driver = match (&target, load.value.driver.as_ref().map(|driver| driver.value)) {
        (Target::Topic(_) | Target::Topics(_), Some(DriverChoice::Direct)) => Driver::Direct,
        // Elsewhere the key is refused at its own line.
        _ => Driver::Librdkafka,
    };
    let rule = LoadRule {
        target,
        shape,
        messages: rate.messages(),
        per: Duration::from_nanos(rate.per_ns()),
        duration,
        keys: keys(&load.value, problems),
        payload: load.value.payload.as_ref().map(|payload| PayloadPlan {
            compression_ratio: payload.value.compression_ratio.as_ref().map_or(1.0, |ratio| ratio.value.0),
            bytes: payload.value.bytes.value.0.clone(),
        }),
        client: load.value.client.as_ref().map(|client| scalars(&client.value)).unwrap_or_default(),
        driver,
        transactions: load.value.transactions.as_ref().map(|transactions| self::transactions(&transactions.value)),
        producers: load.value.producers.as_ref().map_or(1, |n| u32::try_from(n.value.0).unwrap_or(u32::MAX)),
        max_rate: load.value.max_rate.as_ref().map(|rate| (rate.value.messages, rate.value.per)),
        http,
    };
    check_plan(load, &rule, problems);
    Some(rule)
}

/// When transactions end, and which of them are aborted.
fn transactions(raw: &RawTransactions) -> TransactionPlan {
    let default = TransactionPlan::default();
    TransactionPlan {
        every: raw.every.as_ref().map_or(default.every, |every| every.value.0),
        messages: raw.messages.as_ref().map(|n| u32::try_from(n.value.0).unwrap_or(u32::MAX)),
        abort: raw.abort.as_ref().map_or(default.abort, |share| share.value.0),
        id: raw.id.as_ref().map(|id| id.value.clone()),
    }
}

/// Whose messages they are.
fn keys(load: &RawLoad, problems: &mut Problems<'_>) -> KeySpace {
    let Some(Spanned { value: RawKeys { users, zipf, hot, sequential }, .. }) = &load.keys else {
        return KeySpace::uniform(USERS);
    };
    let sequential = sequential.as_ref().filter(|sequential| sequential.value);
    let said = [
        ("zipf", zipf.as_ref().map(|value| value.place)),
        ("hot", hot.as_ref().map(|value| value.place)),
        ("sequential", sequential.map(|value| value.place)),
    ];
    let mut said = said.into_iter().filter_map(|(key, place)| Some((key, place?)));
    if let (Some((first, _)), Some((other, place))) = (said.next(), said.next()) {
        let message = format!("`load.keys` has both `{first}` and `{other}`");
        problems.add(place, message, "which of them?", "keys are drawn in one way: leave one of them out");
    }
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let draw = match (zipf, hot, sequential) {
        (Some(zipf), ..) => KeyDraw::Zipf(zipf.value.0),
        (None, Some(hot), _) => {
            KeyDraw::Hot(HotSet { keys: narrow(hot.value.keys.value.0), share: hot.value.share.value.0 })
        }
        (None, None, Some(_)) => KeyDraw::Sequential,
        (None, None, None) => KeyDraw::Uniform,
    };
    KeySpace { users: users.as_ref().map_or(USERS, |users| narrow(users.value.0)), draw }
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
    let RawLoad { keys, payload, client, arrivals, .. } = &load.value;
    let shape = &arrivals.value.shape;
    let word = match shape.value {
        ShapeChoice::Constant | ShapeChoice::Poisson => None,
        ShapeChoice::Ramp => Some("ramp"),
        ShapeChoice::Steps => Some("steps"),
        ShapeChoice::Burst => Some("bursts"),
        ShapeChoice::Replay => Some("replay"),
    };
    if let Some(word) = word {
        let (message, help) =
            (format!("a service offers no {word}: it is told one rate"), "write \"constant\" or \"poisson\"");
        problems.add(shape.place, message, "not for a service", help);
    }
    let keys = keys.as_ref().map(|keys| &keys.value);
    let zipf = keys.and_then(|keys| keys.zipf.as_ref()).map(|zipf| zipf.place);
    let hot = keys.and_then(|keys| keys.hot.as_ref()).map(|hot| hot.place);
    let sequential = keys.and_then(|keys| keys.sequential.as_ref()).map(|sequential| sequential.place);
    let alike = "leave it out: the service draws its users alike";
    let ignored = [
        ("keys.zipf", zipf, alike),
        ("keys.hot", hot, alike),
        ("keys.sequential", sequential, alike),
        ("payload", payload.as_ref().map(|payload| payload.place), "leave it out: the service writes its own messages"),
        (
            "client",
            client.as_ref().map(|client| client.place),
            "configure its client by its own `env`: KAFKA_LINGER_MS and the like",
        ),
        (
            "driver",
            load.value.driver.as_ref().map(|driver| driver.place),
            "leave it out: a service has the client it has",
        ),
        (
            "transactions",
            load.value.transactions.as_ref().map(|transactions| transactions.place),
            "leave it out: a service commits what it commits",
        ),
        ("producers", load.value.producers.as_ref().map(|n| n.place), "leave it out: a service has the clients it has"),
        ("max_rate", load.value.max_rate.as_ref().map(|rate| rate.place), "leave it out: a service is told one rate"),
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
    let place_of = |place: Option<Place>| place.unwrap_or(arrivals.place);
    let place_of_property = |name: &str| {
        let mut client = load.value.client.iter().flat_map(|client| &client.value.0);
        client.find(|(key, _)| key.value == *name).map_or(load.place, |(key, _)| key.place)
    };
    let (place, help) = match &error {
        // Said already, with the topic's own place.
        PlanError::Load(LoadError::Topic { .. } | LoadError::Http(_)) => return,
        PlanError::Rate(_) => (place_of(arrivals.value.rate.as_ref().map(|rate| rate.place)), "write a smaller rate"),
        PlanError::Load(LoadError::Schedule(error)) => {
            let RawArrivals { duration, burst, steps, .. } = &arrivals.value;
            let place = match error {
                ScheduleError::Duration { .. } => duration.as_ref().map(|duration| duration.place),
                ScheduleError::Bursts { .. } => burst.as_ref().map(|burst| burst.place),
                ScheduleError::Inexact { .. } => {
                    steps.as_ref().map(|steps| steps.place).or(burst.as_ref().map(|burst| burst.place))
                }
                _ => None,
            };
            (place_of(place), schedule_help(error))
        }
        PlanError::Load(LoadError::Keys(KeySpaceError::Users { .. })) => {
            (keys.and_then(|keys| keys.users.as_ref()).map_or(load.place, |users| users.place), "write fewer users")
        }
        PlanError::Load(LoadError::Keys(KeySpaceError::Zipf { .. })) => {
            (keys.and_then(|keys| keys.zipf.as_ref()).map_or(load.place, |zipf| zipf.place), "write a smaller exponent")
        }
        PlanError::Load(LoadError::Parts { .. } | LoadError::Producers { .. } | LoadError::HttpProducers { .. }) => {
            (load.value.producers.as_ref().map_or(load.place, |n| n.place), "write fewer producers, or more users")
        }
        PlanError::Load(LoadError::Keys(KeySpaceError::Hot { .. })) => {
            let help = "leave some users, and some of the messages, for the others";
            (keys.and_then(|keys| keys.hot.as_ref()).map_or(load.place, |hot| hot.place), help)
        }
        PlanError::Load(LoadError::Payload(_)) => {
            let place = load.value.payload.as_ref().map_or(load.place, |payload| payload.place);
            (place, "leave it out, or give [load] a topic as its `target`")
        }
        PlanError::Load(LoadError::Property { name }) => {
            (place_of_property(name), "leave it out: the harness knows where its cluster is")
        }
        // What librdkafka refuses, too, is told already.
        PlanError::Load(LoadError::Driver(error)) if client_properties::is_refused(&load.value, error.property()) => {
            return;
        }
        PlanError::Load(LoadError::Driver(error)) => {
            (place_of_property(error.property()), "leave it out, or write driver = \"librdkafka\"")
        }
        PlanError::Load(LoadError::HttpDriver { .. }) => return,
        PlanError::Load(LoadError::Transactional { .. }) => (
            place_of_property("transactional.id"),
            "leave it out, and write transactions = { id = \"...\" }: each producer gets an id of its own",
        ),
        PlanError::Load(LoadError::Transactions(error)) => transaction_problem(load, error),
    };
    let message = match &error {
        PlanError::Load(inner) => inner.to_string(),
        PlanError::Rate(inner) => inner.to_string(),
    };
    problems.add(place, message, "cannot be offered", help);
}

/// The place of what is wrong with transactions, and what to do.
fn transaction_problem(load: &Spanned<RawLoad>, error: &TransactionError) -> (Place, &'static str) {
    let whole = load.value.transactions.as_ref().map_or(load.place, |transactions| transactions.place);
    let of = |pick: fn(&RawTransactions) -> Option<Place>| {
        load.value.transactions.as_ref().and_then(|transactions| pick(&transactions.value)).unwrap_or(whole)
    };
    match error {
        TransactionError::Every { .. } => (
            of(|raw| raw.every.as_ref().map(|every| every.place)),
            "write some time that a transaction can be open for",
        ),
        TransactionError::Messages => (of(|raw| raw.messages.as_ref().map(|n| n.place)), "write 1 or more"),
        TransactionError::Abort { .. } => (of(|raw| raw.abort.as_ref().map(|share| share.place)), "write a share"),
        TransactionError::Id { .. } => (of(|raw| raw.id.as_ref().map(|id| id.place)), "write a short name"),
        TransactionError::Property { name, .. } => {
            let mut client = load.value.client.iter().flat_map(|client| &client.value.0);
            let place = client.find(|(key, _)| key.value == *name).map_or(whole, |(key, _)| key.place);
            (place, "leave it out: transactions have it by themselves")
        }
        TransactionError::Driver { .. } => (whole, "leave `driver` out, or write driver = \"librdkafka\""),
        TransactionError::Http => (whole, "leave it out: it says how a load on a topic is committed"),
    }
}

fn schedule_help(error: &ScheduleError) -> &'static str {
    match error {
        ScheduleError::Duration { .. } => "write how long the load lasts, such as \"10s\"",
        ScheduleError::Ramp { .. } => "write both rates by the same unit, such as \"50/s\" and \"500/s\"",
        ScheduleError::Inexact { .. } => "write all rates by the same unit, such as \"50/s\" and \"500/s\"",
        ScheduleError::Bursts { .. } => "write a burst shorter than `every`, and that shorter than the load's `for`",
        _ => "the number of messages is the rate times the duration",
    }
}
