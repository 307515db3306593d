//! Faults on requests: that the back end can do them, which requests they are about, and exactly one thing that happens.

use super::disturbances;
use super::scenario::Capabilities;
use super::scope::Scope;
use crate::language::document::{Place, Spanned};
use crate::language::problem::Problems;
use crate::language::protocol::ApiName;
use crate::language::raw_faults::{DropChoice, HoldChoice, RawRequest, RawRequests};
use crate::language::setting::Whole;
use shakedown_cluster::{BrokerId, Effect, Rule, Selector};
use std::time::Duration;

/// What may happen to a request, as a scenario writes it.
const EFFECTS: &str = "`error = \"NOT_ENOUGH_REPLICAS\"`, `drop = \"connection\"`, `hold = \"request\"`, `duplicate = true`, \
                       `throttle = \"300ms\"`, `work = \"50us\"`";

/// While a broker works on one request it answers nobody, not even its peers.
const WORK_MAX: Duration = Duration::from_secs(1);

pub(super) fn rule(
    requests: &Spanned<RawRequests>,
    scope: &Scope<'_>,
    capabilities: Capabilities<'_>,
    problems: &mut Problems<'_>,
) -> Option<Rule> {
    if !disturbances::possible("change what becomes of requests", requests.place, capabilities, problems) {
        return None;
    }
    let raw = &requests.value;
    let RawRequests { api, client, topic, partition, group, broker, .. } = raw;
    let selector = selector(&Named { api, client, topic, partition, group, broker }, scope, problems);
    let effect = effect(requests, problems);
    let from = raw.nth.as_ref().map(|nth| nth.value.0);
    let times = raw.times.as_ref().map(|times| times.value.0).or_else(|| from.map(|_| 1));
    Some(Rule { selector: selector?, from: from.unwrap_or(1), times, effect: effect? })
}

/// The n-th of some requests, as what a fault waits for.
pub(super) fn request(request: &RawRequest, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Option<(Selector, u64)> {
    let RawRequest { api, client, topic, partition, group, broker, nth } = request;
    let named = Named { api, client, topic, partition, group, broker };
    Some((selector(&named, scope, problems)?, nth.value.0))
}

/// What requests are named by, wherever that is written.
struct Named<'a> {
    api: &'a Option<Spanned<ApiName>>,
    client: &'a Option<Spanned<String>>,
    topic: &'a Option<Spanned<String>>,
    partition: &'a Option<Spanned<Whole<0, 2_147_483_647>>>,
    group: &'a Option<Spanned<String>>,
    broker: &'a Option<Spanned<Whole<1, 2_147_483_647>>>,
}

fn selector(raw: &Named<'_>, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Option<Selector> {
    let mut good = true;
    if let Some(topic) = raw.topic {
        good &= scope.check_topic(&topic.value, topic.place, problems);
    }
    if let Some(partition) = raw.partition {
        good &= match raw.topic {
            Some(topic) if good => partition_exists(&topic.value, partition.value.0, partition.place, scope, problems),
            Some(_) => false,
            None => {
                let help = "add `topic = \"...\"`";
                problems.add(partition.place, "a partition of which topic?", "no topic beside it", help);
                false
            }
        };
    }
    if let Some(group) = raw.group {
        good &= scope.check_group(&group.value, group.place, problems);
    }
    if let Some(broker) = raw.broker.as_ref().filter(|broker| broker.value.0 > u64::from(scope.brokers())) {
        let help = format!("allowed: 1 to {}", scope.brokers());
        problems.add(broker.place, format!("there is no broker {}", broker.value.0), "no such broker", help);
        good = false;
    }
    // What does not fit has been told of above.
    let number = |number: u64| i32::try_from(number).unwrap_or(i32::MAX);
    good.then(|| Selector {
        apis: raw.api.iter().map(|api| api.value.0).collect(),
        client: raw.client.as_ref().map(|client| client.value.clone()),
        topic: raw.topic.as_ref().map(|topic| topic.value.clone()),
        partition: raw.partition.as_ref().map(|partition| number(partition.value.0)),
        group: raw.group.as_ref().map(|group| group.value.clone()),
        transactional_id: None,
        node: raw.broker.as_ref().map(|broker| BrokerId(number(broker.value.0))),
    })
}

pub(super) fn partition_exists(
    topic: &str,
    partition: u64,
    place: Place,
    scope: &Scope<'_>,
    problems: &mut Problems<'_>,
) -> bool {
    let partitions = scope.partitions(topic);
    let known = partition < partitions;
    if !known {
        let message = format!("topic `{topic}` has no partition {partition}");
        problems.add(place, message, "no such partition", format!("allowed: 0 to {}", partitions - 1));
    }
    known
}

fn effect(requests: &Spanned<RawRequests>, problems: &mut Problems<'_>) -> Option<Effect> {
    let raw = &requests.value;
    let applied = |default: bool| raw.applied.as_ref().map_or(default, |applied| applied.value);
    let lasts = raw.lasts.as_ref().map(|lasts| lasts.value.0);
    let mut effects = Vec::new();
    effects.extend(raw.error.as_ref().map(|error| Effect::Error { error: error.value.0, applied: applied(false) }));
    effects.extend(raw.drop.as_ref().map(|drop| match drop.value {
        DropChoice::Connection => Effect::HangUp { applied: applied(true) },
        DropChoice::Reply => Effect::Silence { applied: applied(true) },
    }));
    let hold = raw.hold.as_ref();
    effects.extend(hold.map(|hold| Effect::Hold { applied: hold.value == HoldChoice::Reply, lasts }));
    effects.extend(raw.duplicate.as_ref().filter(|duplicate| duplicate.value).map(|_| Effect::Duplicate));
    effects.extend(raw.throttle.as_ref().map(|throttle| Effect::Throttle { lasts: throttle.value.0 }));
    effects.extend(raw.work.as_ref().map(|work| Effect::Work { lasts: work.value.0 }));
    if effects.len() != 1 {
        let message = if effects.is_empty() {
            "nothing happens to these requests"
        } else {
            "two things happen to these requests"
        };
        let help = format!("write one of {EFFECTS}; for two of them write [[fault]] twice");
        problems.add(requests.place, message, "not exactly one of what may happen", help);
        return None;
    }
    if let Some(applied) = raw.applied.as_ref().filter(|_| raw.error.is_none() && raw.drop.is_none()) {
        let help = "it belongs to `error` and `drop`; `hold` says \"request\" or \"reply\"";
        problems.add(applied.place, "`applied` says nothing here", "never used", help);
        return None;
    }
    if let Some(lasts) = raw.lasts.as_ref().filter(|_| hold.is_none()) {
        problems.add(lasts.place, "`for` says nothing here", "never used", "it belongs to `hold`");
        return None;
    }
    if let Some(work) = raw.work.as_ref().filter(|work| work.value.0 > WORK_MAX) {
        let message = format!("{:?} of work for each request", work.value.0);
        problems.add(work.place, message, "more than a second", "allowed: above zero, and 1s at most");
        return None;
    }
    for time in [&raw.throttle, &raw.lasts, &raw.work].into_iter().flatten() {
        disturbances::some_time(time, problems)?;
    }
    effects.pop()
}
