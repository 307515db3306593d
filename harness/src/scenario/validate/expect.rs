//! Expectations: each has its data, so that none can pass by comparing nothing.

use super::groups;
use super::scenario::top_of;
use super::scope::Scope;
use crate::language::bounds::RawLatency;
use crate::language::document::{Place, Spanned};
use crate::language::names;
use crate::language::problem::Problems;
use crate::language::quantity::is_percentile;
use crate::language::raw::{RawExpect, RawUnavailable};
use crate::language::reference::StreamReference;
use crate::language::setting::Named;
use crate::scenario::consumption::Consumption;
use crate::scenario::merge::Merged;
use crate::scenario::model::{Expect, LatencyRule};
use shakedown_reports::expectation::Bounds;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What may be expected, for whoever expects nothing.
const KEYS: &str = "`lost`, `unacknowledged`, `duplicated`, `order`, `reordered`, `conserved`, `latency`, `unavailable`, \
                    `skipped`, `committed-too-far`, `offset-regressed`, `inconsistent-offset`, `stalled`, `lag`";

/// The expectations, and the names of the conservation rules among them.
pub(super) fn validate(
    merged: &Merged,
    scope: &Scope<'_>,
    consumptions: &[Consumption],
    problems: &mut Problems<'_>,
) -> (Expect, BTreeSet<String>) {
    let Some(spanned) = &merged.expect else {
        let help = "add [expect]: a run that expects nothing can only be inconclusive";
        problems.add(top_of(0), "the file's top level has no `expect`", "in this file", help);
        return (Expect::default(), BTreeSet::new());
    };
    let RawExpect { lost, duplicated, order, reordered, conserved, latency, unavailable, .. } = &spanned.value;
    let over_flows = [
        ("lost", lost.as_ref().map(|value| value.place)),
        ("duplicated", duplicated.as_ref().map(|value| value.place)),
        ("order", order.as_ref().map(|value| value.place)),
        ("reordered", reordered.as_ref().map(|value| value.place)),
    ];
    if merged.flows.0.is_empty() {
        for (name, place) in over_flows.iter().filter_map(|(name, place)| place.map(|place| (name, place))) {
            let help = "add a flow: [flows.end-to-end] with `from` and `to`";
            problems.add(place, format!("`expect.{name}` has no data: there is no flow"), "nothing to compare", help);
        }
    }
    if let Some(reordered) = reordered.as_ref().filter(|_| order.is_some()) {
        let message = "`expect.order` and `expect.reordered` are two answers to one question";
        problems.add(reordered.place, message, "one too many", "leave one of them out");
    }
    let rules = conserved_names(merged, conserved.as_ref(), problems);
    let latency = latency.as_ref().map(|latency| budgets(merged, scope, &latency.value, problems)).unwrap_or_default();
    let mut expect = Expect {
        lost: lost.as_ref().map(|value| value.value.0),
        duplicated: duplicated.as_ref().and_then(|count| groups::bounds("duplicated", count, problems)),
        order_per_key: order.is_some(),
        reordered: reordered.as_ref().and_then(|count| groups::bounds("reordered", count, problems)),
        latency,
        unavailable: unavailable.as_ref().map(|unavailable| longest_gap(scope, unavailable, problems)),
        unacknowledged: unacknowledged(scope, &spanned.value, problems),
        ..Expect::default()
    };
    groups::validate(&spanned.value, merged, consumptions, &mut expect, problems);
    let counted = over_flows.iter().any(|(_, place)| place.is_some()) || conserved.is_some();
    let counted = counted || expect.unacknowledged.is_some();
    let limited = !expect.latency.is_empty() || expect.unavailable.is_some();
    if !counted && !limited && !expect.watches() && expect.inconsistent_offset.is_none() {
        problems.add(spanned.place, "`expect` expects nothing", "is empty", format!("expect at least one of {KEYS}"));
    }
    (expect, rules)
}

fn unacknowledged(scope: &Scope<'_>, raw: &RawExpect, problems: &mut Problems<'_>) -> Option<Bounds> {
    let count = raw.unacknowledged.as_ref()?;
    if !scope.records_operations() {
        let message = "`expect.unacknowledged` has no data: the load is not offered to a topic, so no acknowledgement is recorded";
        let help = "leave it out, or give [load] `target = \"topic NAME\"`";
        problems.add(count.place, message, "nothing to count", help);
    }
    groups::bounds("unacknowledged", count, problems)
}

fn longest_gap(scope: &Scope<'_>, unavailable: &Spanned<RawUnavailable>, problems: &mut Problems<'_>) -> Duration {
    if !scope.records_operations() {
        let message =
            "`expect.unavailable` has no data: the load is not offered to a topic, so no acknowledgement is recorded";
        let help = "leave it out, or give [load] `target = \"topic NAME\"`";
        problems.add(unavailable.place, message, "nothing to measure", help);
    }
    let at_most = &unavailable.value.at_most;
    if at_most.value.0.is_zero() {
        let message = "`expect.unavailable.at_most` can never hold: every acknowledgement takes some time";
        problems.add(at_most.place, message, "is zero", "allow some time, such as \"1.5s\"");
    }
    at_most.value.0
}

fn conserved_names(
    merged: &Merged,
    conserved: Option<&Spanned<Vec<Spanned<String>>>>,
    problems: &mut Problems<'_>,
) -> BTreeSet<String> {
    let Some(conserved) = conserved else { return BTreeSet::new() };
    if conserved.value.is_empty() {
        let help = "name at least one rule, or leave `conserved` out";
        problems.add(conserved.place, "`expect.conserved` names no rule", "is empty", help);
    }
    let known: Vec<&str> = merged.conserved.0.iter().map(|(name, _)| name.value.as_str()).collect();
    for name in &conserved.value {
        if !known.contains(&name.value.as_str()) {
            let message = format!("there is no conservation rule `{}`", name.value);
            problems.add(name.place, message, "no such rule", names::advice(&name.value, known.iter().copied()));
        }
    }
    conserved.value.iter().map(|name| name.value.clone()).collect()
}

fn budgets(
    merged: &Merged,
    scope: &Scope<'_>,
    latency: &Named<RawLatency>,
    problems: &mut Problems<'_>,
) -> Vec<(String, LatencyRule)> {
    let mut budgets = Vec::new();
    for (name, bounds) in &latency.0 {
        check_flow(merged, scope, name, problems);
        if bounds.value.at_most.is_empty() {
            empty_budget(&name.value, bounds.place, problems);
        }
        let mut at_most = BTreeMap::new();
        for (percentile, bound) in &bounds.value.at_most {
            if !is_percentile(&percentile.value) {
                let message = format!("`{}` is not a percentile", percentile.value);
                let help = format!("allowed: {}", shakedown_checks::quantile::NAMES);
                problems.add(percentile.place, message, "no such percentile", help);
            }
            at_most.insert(percentile.value.clone(), bound.value.0);
        }
        let partitions = bounds.value.partitions.as_ref();
        if let Some(partitions) = partitions {
            has_partitions(merged, &name.value, partitions.place, problems);
        }
        let told = format!("latency.{}.partitions", name.value);
        let partitions = partitions.and_then(|partitions| groups::bounds(&told, partitions, problems));
        budgets.push((name.value.clone(), LatencyRule { at_most, partitions }));
    }
    budgets
}

/// Whether the messages of a flow arrive at partitions.
fn has_partitions(merged: &Merged, flow: &str, place: Place, problems: &mut Problems<'_>) {
    let found = merged.flows.0.iter().find(|(name, _)| name.value == flow);
    let Some(sink) = found.map(|(_, flow)| &flow.value.to.value) else { return };
    if !matches!(sink, StreamReference::Topic(_)) {
        let message = format!("flow `{flow}` ends at `{sink}`, which has no partitions");
        problems.add(place, message, "not a topic", "leave `partitions` out, or name a flow to a topic");
    }
}

fn check_flow(merged: &Merged, scope: &Scope<'_>, name: &Spanned<String>, problems: &mut Problems<'_>) {
    let Some((_, flow)) = merged.flows.0.iter().find(|(flow, _)| flow.value == name.value) else {
        let known = merged.flows.0.iter().map(|(flow, _)| flow.value.as_str());
        let message = format!("there is no flow `{}`", name.value);
        problems.add(name.place, message, "no such flow", names::advice(&name.value, known));
        return;
    };
    let (source, sink) = (&flow.value.from.value, &flow.value.to.value);
    if !scope.has_intended_time(sink) && !scope.has_intended_time(source) {
        let message = format!(
            "`expect.latency` has no data: neither `{source}` nor `{sink}` says when messages were meant to be sent"
        );
        let help = "say where: `intended_us = \"/field\"` in the topic's `message` or in the service's `ledger`";
        problems.add(name.place, message, "nothing to measure", help);
    }
}

fn empty_budget(name: &str, place: Place, problems: &mut Problems<'_>) {
    let message = format!("the latency budget of `{name}` is empty");
    problems.add(place, message, "no bound", "write at least one bound: { p99 = \"250ms\" }");
}
