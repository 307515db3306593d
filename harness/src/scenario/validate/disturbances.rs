//! Faults of links, of clients' connections and of clocks: that the back end can do them, to somebody who exists, and
//! exactly one thing.

use super::faults::{broker_exists, possible_faults};
use super::scenario::Capabilities;
use super::scope::Scope;
use crate::language::document::{Place, Spanned};
use crate::language::problem::Problems;
use crate::language::quantity::Span;
use crate::language::raw_faults::{RawClients, RawClock, RawLinks};
use crate::language::reference::RoleReference;
use shakedown_cluster::{ClientEffect, ClockEffect, Delay, Disturbance, Links, Role, TimeShift};
use std::num::NonZeroU64;
use std::time::Duration;

const LINKS: &str =
    "`from` with `to`, `between = [..., ...]`, `around`, `groups = [[...], [...]]`, `bridge`, `ring = true`";
const CLIENTS: &str = "`cut = true`, `half-open = true`, `delay`, `bandwidth`, `reset-after`, `slow-close`";
const CLOCK: &str = "`ahead`, `behind`, `jump-ahead`, `jump-behind`, `rate`";

/// Whether the back end gets in between at all; a problem where it does not.
pub(super) fn possible(what: &str, place: Place, capabilities: Capabilities<'_>, problems: &mut Problems<'_>) -> bool {
    if !capabilities.broker_faults.inside {
        let message = format!("the back end `{}` cannot {what}", capabilities.backend);
        let help = format!("{}; the back end `embedded` can do this", possible_faults(capabilities));
        problems.add(place, message, "not possible here", help);
    }
    capabilities.broker_faults.inside
}

/// `cut` and `delay`.
pub(super) fn links(
    raw: &Spanned<RawLinks>,
    delayed: bool,
    scope: &Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<Disturbance> {
    let RawLinks { from, to, between, around, groups, bridge, ring, by, jitter } = &raw.value;
    let mut named = Vec::new();
    if let (Some(from), Some(to)) = (from, to) {
        two_ends(from, to, problems)?;
        let ends = (role(from, scope, problems), role(to, scope, problems));
        named.push(ends.0.zip(ends.1).map(|(from, to)| Links::OneWay(from, to)));
    } else if let Some(only) = from.as_ref().or(to.as_ref()) {
        problems.add(only.place, "a link has two ends", "the other one is missing", "write both `from` and `to`");
        return None;
    }
    if let Some(between) = between {
        named.push(match between.value.as_slice() {
            [one, other] => {
                two_ends(one, other, problems)?;
                let ends = (role(one, scope, problems), role(other, scope, problems));
                ends.0.zip(ends.1).map(|(one, other)| Links::Between(one, other))
            }
            _ => {
                problems.add(between.place, "`between` takes two", "not two", "for more write `groups`");
                None
            }
        });
    }
    named.extend(around.as_ref().map(|around| role(around, scope, problems).map(Links::Around)));
    named.extend(groups.as_ref().map(|groups| {
        let group = |group: &Spanned<Vec<Spanned<RoleReference>>>, problems: &mut Problems<'_>| {
            group.value.iter().map(|one| role(one, scope, problems)).collect::<Option<Vec<Role>>>()
        };
        groups.value.iter().map(|one| group(one, problems)).collect::<Option<Vec<_>>>().map(Links::Groups)
    }));
    named.extend(bridge.as_ref().map(|bridge| role(bridge, scope, problems).map(Links::Bridge)));
    if let Some(ring) = ring.as_ref().filter(|ring| ring.value) {
        named.push(wide_enough(ring.place, scope, problems).then_some(Links::Ring));
    }
    let links = only_one(named, "which links?", LINKS, raw.place, problems)?;
    let delay = match (delayed, by, jitter) {
        (false, None, None) => None,
        (true, Some(by), jitter) => Some(late(by, jitter.as_ref(), problems)?),
        (true, None, _) => {
            problems.add(raw.place, "how late is everything?", "no `by`", "add `by = \"50ms\"`");
            return None;
        }
        (false, by, jitter) => {
            let place = by.as_ref().or(jitter.as_ref()).map_or(raw.place, |span| span.place);
            problems.add(place, "a link that is cut is not slow", "never used", "leave it out, or write `delay = ...`");
            return None;
        }
    };
    Some(Disturbance::Links { links, delay })
}

/// `clients`.
pub(super) fn clients(
    raw: &Spanned<RawClients>,
    scope: &Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<Disturbance> {
    let value = &raw.value;
    let of = match &value.of {
        Some(of) => Some(role(of, scope, problems)?),
        None => None,
    };
    if let Some(jitter) = value.jitter.as_ref().filter(|_| value.delay.is_none()) {
        problems.add(jitter.place, "`jitter` says nothing here", "never used", "it belongs to `delay`");
        return None;
    }
    if let Some(client) = value.client.as_ref().filter(|client| client.value.ends_with('*')) {
        let message = format!("`{}` is no beginning of a name here", client.value);
        let help = "write the whole `client.id`; a `*` at the end stands for any end under `requests` only";
        problems.add(client.place, message, "nobody is called so", help);
        return None;
    }
    let mut effects = Vec::new();
    effects.extend(value.cut.as_ref().filter(|cut| cut.value).map(|_| Some(ClientEffect::Cut)));
    effects.extend(value.half_open.as_ref().filter(|half| half.value).map(|_| Some(ClientEffect::HalfOpen)));
    effects.extend(value.delay.as_ref().map(|by| {
        let delay = late(by, value.jitter.as_ref(), problems);
        delay.map(ClientEffect::Delay)
    }));
    effects.extend(value.bandwidth.as_ref().map(|bandwidth| {
        let bytes_per_second = NonZeroU64::new(bandwidth.value.0);
        if bytes_per_second.is_none() {
            problems.add(bandwidth.place, "no bandwidth at all is a cut", "not above 0", "write `cut = true`");
        }
        bytes_per_second.map(|bytes_per_second| ClientEffect::Bandwidth { bytes_per_second })
    }));
    effects.extend(value.reset_after.as_ref().map(|after| Some(ClientEffect::Reset { after: after.value.0 })));
    effects.extend(value.slow_close.as_ref().map(|by| {
        let by = some_time(by, problems);
        by.map(|by| ClientEffect::SlowClose { by })
    }));
    let effect = only_one(effects, "what happens to these connections?", CLIENTS, raw.place, problems)?;
    let client = value.client.as_ref().map(|client| client.value.clone());
    Some(Disturbance::Clients { of, client, effect, times: value.times.as_ref().map(|times| times.value.0) })
}

/// `clock`.
pub(super) fn clock(raw: &Spanned<RawClock>, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Option<Disturbance> {
    let RawClock { of, ahead, behind, jump_ahead, jump_behind, rate } = &raw.value;
    let of = role(of, scope, problems)?;
    let shifts = [
        (ahead, TimeShift::Ahead as fn(Duration) -> TimeShift, ClockEffect::Skew as fn(TimeShift) -> ClockEffect),
        (behind, TimeShift::Behind, ClockEffect::Skew),
        (jump_ahead, TimeShift::Ahead, ClockEffect::Jump),
        (jump_behind, TimeShift::Behind, ClockEffect::Jump),
    ];
    let mut effects: Vec<Option<ClockEffect>> = Vec::new();
    for (given, shift, effect) in shifts {
        effects.extend(given.as_ref().map(|by| some_time(by, problems).map(|by| effect(shift(by)))));
    }
    effects.extend(rate.as_ref().map(|rate| Some(ClockEffect::Rate(rate.value.0))));
    let effect = only_one(effects, "what is wrong with this clock?", CLOCK, raw.place, problems)?;
    Some(Disturbance::Clock { of, effect })
}

/// The one thing that was given; the inner nothing has been told of.
fn only_one<T>(
    mut given: Vec<Option<T>>,
    question: &str,
    choices: &str,
    place: Place,
    problems: &mut Problems<'_>,
) -> Option<T> {
    if given.len() != 1 {
        let label = if given.is_empty() { "nothing says it" } else { "more than one answer" };
        problems.add(place, question.to_owned(), label, format!("write one of {choices}"));
        return None;
    }
    given.pop().flatten()
}

fn role(role: &Spanned<RoleReference>, scope: &Scope<'_>, problems: &mut Problems<'_>) -> Option<Role> {
    match &role.value {
        RoleReference::Broker(broker) => broker_exists(broker, role.place, scope, problems).then(|| broker.clone()),
        other => {
            let message = format!("`{other}` is no node of the cluster");
            let help = "write broker(ID), leader(TOPIC/PARTITION), follower(TOPIC/PARTITION), controller or \
                        group-coordinator(GROUP)";
            problems.add(role.place, message, "not a node", help);
            None
        }
    }
}

/// How late something is: by some time, for certain or at most.
fn late(by: &Spanned<Span>, jitter: Option<&Spanned<Span>>, problems: &mut Problems<'_>) -> Option<Delay> {
    let jitter = jitter.map(|span| span.value.0).unwrap_or_default();
    let by = if jitter.is_zero() { some_time(by, problems)? } else { by.value.0 };
    Some(Delay { by, jitter })
}

/// A time in which something can happen: a fault of no time at all would be told of as one that fired.
pub(super) fn some_time(span: &Spanned<Span>, problems: &mut Problems<'_>) -> Option<Duration> {
    if span.value.0.is_zero() {
        problems.add(
            span.place,
            "no time at all changes nothing",
            "not above 0",
            "write more than 0, such as \"50ms\"",
        );
    }
    Some(span.value.0).filter(|span| !span.is_zero())
}

/// Whether somebody is nobody's neighbour, so that a ring lacks links.
fn wide_enough(place: Place, scope: &Scope<'_>, problems: &mut Problems<'_>) -> bool {
    let nodes = scope.nodes();
    if nodes <= 3 {
        let message = format!("a ring of {nodes} nodes has all links that there are");
        let help = "a ring lacks links from 4 nodes on, brokers and controllers together";
        problems.add(place, message, "all are neighbours", help);
    }
    nodes > 3
}

/// Nothing where both ends of a link are one and the same.
fn two_ends(one: &Spanned<RoleReference>, other: &Spanned<RoleReference>, problems: &mut Problems<'_>) -> Option<()> {
    if one.value == other.value {
        let message = format!("a link has two ends, and both are `{}`", other.value);
        problems.add(
            other.place,
            message,
            "one and the same",
            "name two nodes, or write `around` for all links of one",
        );
        return None;
    }
    Some(())
}
