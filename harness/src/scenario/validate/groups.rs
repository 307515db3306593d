//! Expectations on consumer groups and on logs: each has a group or a topic to look at, and limits that can hold.

use crate::language::bounds::{RawCount, RawLag, RawStalled};
use crate::language::document::{Place, Spanned};
use crate::language::names;
use crate::language::problem::Problems;
use crate::language::raw::RawExpect;
use crate::scenario::consumption::Consumption;
use crate::scenario::merge::Merged;
use crate::scenario::model::{Expect, LagRule, StalledRule};
use shakedown_reports::expectation::Bounds;

/// Reads them into the expectations.
pub(super) fn validate(
    raw: &RawExpect,
    merged: &Merged,
    consumptions: &[Consumption],
    expect: &mut Expect,
    problems: &mut Problems<'_>,
) {
    let mut count = |name: &str, count: Option<&Spanned<RawCount>>, needs: Needs| {
        let count = count?;
        needs.check(name, count.place, merged, consumptions, problems);
        bounds(name, count, problems)
    };
    expect.skipped = count("skipped", raw.skipped.as_ref(), Needs::Work);
    expect.committed_too_far = count("committed-too-far", raw.committed_too_far.as_ref(), Needs::Work);
    expect.offset_regressed = count("offset-regressed", raw.offset_regressed.as_ref(), Needs::Group);
    expect.inconsistent_offset = count("inconsistent-offset", raw.inconsistent_offset.as_ref(), Needs::Topic);
    if let Some(stalled) = &raw.stalled {
        Needs::Topic.check("stalled", stalled.place, merged, consumptions, problems);
        expect.stalled = Some(longest_standstill(&stalled.value, problems));
    }
    if let Some(lag) = &raw.lag {
        Needs::Group.check("lag", lag.place, merged, consumptions, problems);
        expect.lag = Some(lag_rule(lag, problems));
        expect.lag_groups = lag_groups(lag, consumptions, problems);
    }
}

/// What an expectation cannot do without.
#[derive(Clone, Copy)]
enum Needs {
    /// A group whose work shows somewhere.
    Work,
    /// A group.
    Group,
    /// A topic.
    Topic,
}

impl Needs {
    fn check(
        self,
        name: &str,
        place: Place,
        merged: &Merged,
        consumptions: &[Consumption],
        problems: &mut Problems<'_>,
    ) {
        let shows = consumptions.iter().any(|consumption| !consumption.sinks.is_empty());
        let (lacks, help) = match self {
            Self::Work | Self::Group if consumptions.is_empty() => {
                ("no service consumes a topic", "give a service a `group` and the topics that it `consumes`")
            }
            Self::Work if !shows => (
                "no group's work shows anywhere",
                "add a flow from a topic that a service consumes (or from the load on it) to its ledger, to a stand-in that \
                 it calls, or to a topic that it `produces`",
            ),
            Self::Topic if merged.topics.0.is_empty() => ("there is no topic", "declare one: [topics.orders]"),
            Self::Work | Self::Group | Self::Topic => return,
        };
        problems.add(place, format!("`expect.{name}` has no data: {lacks}"), "nothing to compare", help);
    }
}

/// How many of something there may be; a problem where that is any number, or none can be.
pub(super) fn bounds(name: &str, count: &Spanned<RawCount>, problems: &mut Problems<'_>) -> Option<Bounds> {
    let between = match &count.value {
        RawCount::Exactly(number) => return Some(Bounds::exactly(number.0)),
        RawCount::Between(between) => between,
    };
    let bounds = Bounds {
        at_least: between.at_least.as_ref().map_or(0, |number| number.value.0),
        at_most: between.at_most.as_ref().map_or(u64::MAX, |number| number.value.0),
    };
    if bounds == (Bounds { at_least: 0, at_most: u64::MAX }) {
        let help = "write a number, or { at_least = 1 }, { at_most = 10 } or both";
        problems.add(count.place, format!("`expect.{name}` allows any number"), "expects nothing", help);
    } else if bounds.at_least > bounds.at_most {
        let message = format!("`expect.{name}` can never hold: {} is more than {}", bounds.at_least, bounds.at_most);
        problems.add(count.place, message, "`at_least` is above `at_most`", "exchange them, or leave one of them out");
    }
    Some(bounds)
}

fn longest_standstill(stalled: &RawStalled, problems: &mut Problems<'_>) -> StalledRule {
    let RawStalled { at_most, partitions } = stalled;
    if at_most.value.0.is_zero() {
        let message = "`expect.stalled.at_most` can never hold: every message takes some time";
        problems.add(at_most.place, message, "is zero", "allow some time, such as \"2s\"");
    }
    let partitions = partitions.as_ref().and_then(|count| bounds("stalled.partitions", count, problems));
    StalledRule { at_most: at_most.value.0, partitions: partitions.unwrap_or(Bounds::exactly(0)) }
}

/// The groups that lag is looked at of; none for all.
fn lag_groups(lag: &Spanned<RawLag>, consumptions: &[Consumption], problems: &mut Problems<'_>) -> Vec<String> {
    let Some(groups) = &lag.value.groups else { return Vec::new() };
    if groups.value.is_empty() {
        let help = "name groups, or leave `groups` out, which means all";
        problems.add(groups.place, "`expect.lag.groups` names none", "nothing to compare", help);
    }
    let known: Vec<&str> = consumptions.iter().map(|consumption| consumption.group.as_str()).collect();
    for group in groups.value.iter().filter(|group| !known.contains(&group.value.as_str())) {
        let help = names::advice(&group.value, known.iter().copied());
        problems.add(group.place, format!("there is no group `{}`", group.value), "no such group", help);
    }
    groups.value.iter().map(|group| group.value.clone()).collect()
}

fn lag_rule(lag: &Spanned<RawLag>, problems: &mut Problems<'_>) -> LagRule {
    let RawLag { at_most, drained_in, groups: _ } = &lag.value;
    if at_most.is_none() && drained_in.is_none() {
        let help = "write { at_most = 1000 }, { drained_in = \"5s\" } or both";
        problems.add(lag.place, "`expect.lag` expects nothing", "no limit", help);
    }
    if let Some(drained_in) = drained_in.as_ref().filter(|drained_in| drained_in.value.0.is_zero()) {
        let message = "`expect.lag.drained_in` can never hold: the last message takes some time";
        problems.add(drained_in.place, message, "is zero", "allow some time, such as \"5s\"");
    }
    LagRule {
        at_most: at_most.as_ref().map(|number| number.value.0),
        drained_in: drained_in.as_ref().map(|span| span.value.0),
    }
}
