//! When faults strike and when they end: that the back end sees it, that it can come to that, and what they call each other.

use super::faults::partition_exists;
use super::scenario::Capabilities;
use super::scope::Scope;
use super::{disturbances, equipment, interventions, requests};
use crate::language::document::{Place, Spanned};
use crate::language::names;
use crate::language::problem::Problems;
use crate::language::raw_faults::{RawFault, RawWhen};
use crate::language::raw_interventions::{RawConsumed, RawState};
use crate::language::reference::TargetReference;
use crate::scenario::merge::Merged;
use crate::scenario::model::{Condition, Heal, Trigger};
use shakedown_cluster::KeyedMessage;

/// What faults are called, by their places in the file.
pub(super) struct Names<'a>(Vec<Option<&'a str>>);

impl<'a> Names<'a> {
    /// Notes names that two faults have.
    pub(super) fn new(merged: &'a Merged, problems: &mut Problems<'_>) -> Self {
        let mut names: Vec<Option<&str>> = Vec::new();
        for fault in &merged.faults {
            let name = fault.value.name.as_ref();
            if let Some(name) = name.filter(|name| names.contains(&Some(&name.value))) {
                let message = format!("two faults are called `{}`", name.value);
                problems.add(name.place, message, "called so before", "give each fault a name of its own");
            }
            names.push(name.map(|name| name.value.as_str()));
        }
        Self(names)
    }

    /// The place of the fault with this name among those that may be meant.
    fn find(
        &self,
        name: &Spanned<String>,
        allowed: impl Fn(usize) -> bool,
        hint: &str,
        problems: &mut Problems<'_>,
    ) -> Option<usize> {
        let candidates = self.0.iter().enumerate().filter(|(index, _)| allowed(*index));
        let known: Vec<(usize, &str)> = candidates.filter_map(|(index, name)| name.map(|name| (index, name))).collect();
        let found = known.iter().find(|(_, known)| *known == name.value).map(|(index, _)| *index);
        if found.is_none() {
            let message = format!("there is no fault `{}` {hint}", name.value);
            let advice = names::advice(&name.value, known.into_iter().map(|(_, name)| name));
            problems.add(name.place, message, "no such fault", advice);
        }
        found
    }
}

/// Notes what the fault waits for and the back end does not see: from outside only the ends of logs are to be seen.
pub(super) fn possible(fault: &Spanned<RawFault>, capabilities: Capabilities<'_>, problems: &mut Problems<'_>) {
    let Some(RawWhen { produced, request, consumed, state, .. }) = fault.value.when.as_ref().map(|when| &when.value)
    else {
        return;
    };
    let key = produced.as_ref().and_then(|produced| produced.value.key.as_ref());
    let places = [
        ("tell when a request comes", request.as_ref().map(|request| request.place)),
        ("tell when a group has committed something", consumed.as_ref().map(|consumed| consumed.place)),
        ("tell when the cluster has come to a state", state.as_ref().map(|state| state.place)),
        ("tell whose key a message has", key.map(|key| key.place)),
    ];
    for (what, place) in places {
        if let Some(place) = place {
            disturbances::possible(what, place, capabilities, problems);
        }
    }
}

/// When the fault strikes; nothing where that makes no sense.
pub(super) fn trigger(
    merged: &Merged,
    scope: &Scope<'_>,
    names: &Names<'_>,
    index: usize,
    fault: &Spanned<RawFault>,
    problems: &mut Problems<'_>,
) -> Option<Trigger> {
    let length = scope.arrivals().map(|arrivals| arrivals.duration);
    let RawFault { at, when, .. } = &fault.value;
    if let Some(at) = at.as_ref().filter(|at| when.is_none() && length.is_some_and(|length| at.value.0 >= length)) {
        let message = "the fault would come after the end of the load";
        problems.add(at.place, message, "too late", "allowed: less than the load's `for`");
    }
    let at = at.as_ref().map(|at| at.value.0);
    let Some(when) = when else {
        // A rule is there from the beginning, unless told otherwise.
        if fault.value.action.value.requests.is_some() {
            return Some(Trigger { at: Some(at.unwrap_or_default()), when: None, after: std::time::Duration::ZERO });
        }
        if at.is_none() {
            let help = "add `at = \"2s\"`, or `when = { produced = { topic = \"...\", nth = 1000 } }`";
            problems.add(fault.place, "nothing says when this fault strikes", "neither `at` nor `when`", help);
        }
        return at.map(|at| Trigger { at: Some(at), when: None, after: std::time::Duration::ZERO });
    };
    let after = when.value.after.as_ref().map(|after| after.value.0).unwrap_or_default();
    let condition = condition(merged, scope, names, index, when, problems)?;
    Some(Trigger { at, when: Some(condition), after })
}

fn condition(
    merged: &Merged,
    scope: &Scope<'_>,
    names: &Names<'_>,
    index: usize,
    when: &Spanned<RawWhen>,
    problems: &mut Problems<'_>,
) -> Option<Condition> {
    let RawWhen { produced, request, then, after: _, consumed, state, failpoint } = &when.value;
    match (produced, request, then, consumed, state, failpoint) {
        (Some(produced), None, None, None, None, None) => {
            let (topic, nth) = (&produced.value.topic, produced.value.nth.value.0);
            if !is_offered(merged, scope, topic, (nth, produced.value.nth.place), problems) {
                return None;
            }
            let topic = topic.value.clone();
            Some(match produced.value.key.as_ref().map(|key| key.value.clone()) {
                Some(key) => Condition::Message(KeyedMessage { topic, key, nth, committed_by: None }),
                None => Condition::Produced { topic, nth },
            })
        }
        (None, None, None, Some(consumed), None, None) => self::consumed(merged, scope, &consumed.value, problems),
        (None, None, None, None, Some(state), None) => self::state(state, scope, problems),
        (None, None, None, None, None, Some(reached)) => equipment::at_failpoint(&reached.value, scope, problems),
        (None, Some(request), None, None, None, None) => {
            let (selector, nth) = requests::request(&request.value, scope, problems)?;
            Some(Condition::Requested { selector, nth })
        }
        (None, None, Some(then), None, None, None) => {
            // Only those above: two faults that wait for each other would wait for ever.
            let fault = names.find(then, |other| other < index, "above this one", problems)?;
            Some(Condition::Struck { fault, name: then.value.clone() })
        }
        _ => {
            let help = "write one of { produced = { topic = \"...\", nth = 1000 } }, { request = { api = \"Produce\", nth = 5 } }, \
                        { consumed = { topic = \"...\", group = \"...\", nth = 1000 } }, { state = { ... } }, \
                        { failpoint = { service = \"...\" } }, { then = \"another fault\" }";
            problems.add(when.place, "`when` needs one thing to wait for", "not exactly one", help);
            None
        }
    }
}

/// Whether there is such a topic, and the load can get so far there.
fn is_offered(
    merged: &Merged,
    scope: &Scope<'_>,
    topic: &Spanned<String>,
    (nth, place): (u64, Place),
    problems: &mut Problems<'_>,
) -> bool {
    if !scope.check_topic(&topic.value, topic.place, problems) {
        return false;
    }
    let too_few = offered(merged, scope, &topic.value).filter(|offered| nth > *offered);
    if let Some(offered) = too_few {
        let message = format!("the load never gets to {nth} messages");
        problems.add(place, message, "too many", format!("it offers {offered}: allowed are 1 to {offered}"));
    }
    too_few.is_none()
}

/// What a group has to have committed.
fn consumed(
    merged: &Merged,
    scope: &Scope<'_>,
    consumed: &RawConsumed,
    problems: &mut Problems<'_>,
) -> Option<Condition> {
    let RawConsumed { topic, group, nth, key } = consumed;
    let group = interventions::group(group, scope, problems)?;
    if !is_offered(merged, scope, topic, (nth.value.0, nth.place), problems) {
        return None;
    }
    if !scope.consumes(&group, &topic.value) {
        let message = format!("group `{group}` does not consume `{}`", topic.value);
        problems.add(topic.place, message, "never committed", "name a topic of its services' `consumes`");
        return None;
    }
    let (topic, nth) = (topic.value.clone(), nth.value.0);
    Some(match key.as_ref().map(|key| key.value.clone()) {
        Some(key) => Condition::Message(KeyedMessage { topic, key, nth, committed_by: Some(group) }),
        None => Condition::Consumed { topic, group, nth },
    })
}

/// What the cluster has to come to.
fn state(state: &Spanned<RawState>, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Option<Condition> {
    let RawState { topic, partition, in_sync, rebalancing } = &state.value;
    match (topic, partition, in_sync, rebalancing) {
        (None, None, None, Some(group)) => {
            Some(Condition::Rebalancing { group: interventions::group(group, scope, problems)? })
        }
        (Some(topic), Some(index), Some(in_sync), None) => {
            // Their types allow no more.
            let partition = i32::try_from(index.value.0).unwrap_or(i32::MAX);
            let at_most = usize::try_from(in_sync.value.0).unwrap_or(usize::MAX);
            if !scope.check_topic(&topic.value, topic.place, problems)
                || !partition_exists(&topic.value, partition, index.place, scope, problems)
            {
                return None;
            }
            let replicas = scope.replicas(&topic.value);
            if in_sync.value.0 >= replicas {
                let message = format!("{}/{partition} never has more than {replicas} replicas", topic.value);
                let help = format!("allowed: 0 to {}", replicas - 1);
                problems.add(in_sync.place, message, "so from the beginning", help);
                return None;
            }
            Some(Condition::InSync { topic: topic.value.clone(), partition, at_most })
        }
        _ => {
            let help = "write { topic = \"...\", partition = 0, in-sync = 1 } or { rebalancing = \"GROUP\" }";
            problems.add(state.place, "`state` needs one thing that the cluster comes to", "not exactly one", help);
            None
        }
    }
}

/// How many messages the load offers to this topic, where that is known.
fn offered(merged: &Merged, scope: &Scope<'_>, topic: &str) -> Option<u64> {
    let load = &merged.load.as_ref()?.value;
    let (place, topics) = match &load.target.value {
        TargetReference::Topic(target) if target == topic => (0, 1),
        TargetReference::Topics(targets) => (targets.iter().position(|target| target.value == topic)?, targets.len()),
        _ => return None,
    };
    let offered = u128::from(scope.arrivals()?.total().ok()?);
    // Of several topics each in turn gets the next message.
    let here = offered.saturating_sub(place as u128).div_ceil(topics as u128);
    u64::try_from(here).ok()
}

/// When the fault ends; the inner nothing means the end of the load, the outer one that it makes no sense.
pub(super) fn heal(
    names: &Names<'_>,
    index: usize,
    fault: &Spanned<RawFault>,
    problems: &mut Problems<'_>,
) -> Option<Option<Heal>> {
    let Some(heal) = &fault.value.heal else { return Some(None) };
    let after = heal.value.after.as_ref().map(|after| after.value.0);
    let then = match &heal.value.then {
        Some(then) => Some(names.find(then, |other| other != index, "beside this one", problems)?),
        None => None,
    };
    if after.is_none() && then.is_none() {
        let help = "write { after = \"2s\" }, or { then = \"another fault\" }; without `heal` it ends with the load";
        problems.add(heal.place, "nothing says when this fault ends", "is empty", help);
        return None;
    }
    Some(Some(Heal { then, after: after.unwrap_or_default() }))
}
