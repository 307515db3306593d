//! What a scenario says must hold, resolved to the streams of the run, so that a run directory can be judged again
//! offline. The TOML behind it belongs to the harness; the judging belongs to `checks`.

use crate::numbers::grouped;
use crate::record::StreamId;
use crate::rules::BookRule;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that will be judged. An absent entry is not checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectations {
    /// Exactly how many acknowledged messages may be missing, over all flows.
    pub lost: Option<u64>,
    /// How many surplus copies there may be, over all sinks: copies belong to a sink, and one at the end of two flows
    /// counts them once.
    pub duplicated: Option<Bounds>,
    /// Whether each key's messages must arrive in the order of the source.
    pub order_per_key: bool,
    /// How many messages may arrive out of their key's order, over all flows; instead of `order_per_key`, which means none.
    #[serde(default)]
    pub reordered: Option<Bounds>,
    /// Rules of conservation.
    pub conserved: Vec<ConservationRule>,
    /// Rules of conservation over books.
    #[serde(default)]
    pub rules: Vec<BookRule>,
    /// Latency budgets by the metric's name.
    pub latency: BTreeMap<String, LatencyBudget>,
    /// For how long, in nanoseconds, acknowledgements may be due at a partition without one coming.
    #[serde(default)]
    pub unavailable: Option<u64>,
    /// How many messages groups may have passed without processing them, over all groups and their sinks.
    #[serde(default)]
    pub skipped: Option<Bounds>,
    /// How many commits may lie beyond what the group had processed, over all groups and their sinks.
    #[serde(default)]
    pub committed_too_far: Option<Bounds>,
    /// How often committed offsets may go back, over all groups.
    #[serde(default)]
    pub offset_regressed: Option<Bounds>,
    /// How many offsets may have had two values, over all topics that were read twice.
    #[serde(default)]
    pub inconsistent_offset: Option<Bounds>,
    /// For how long a partition may stand still while nothing is broken.
    #[serde(default)]
    pub stalled: Option<StandstillLimit>,
    /// How far groups may be behind, and for how long after the load.
    #[serde(default)]
    pub lag: Option<LagBudget>,
    /// The groups that `lag` is about; none for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lag_groups: Vec<String>,
    /// How many messages of the load may be left without an acknowledgement.
    #[serde(default)]
    pub unacknowledged: Option<Bounds>,
}

impl Expectations {
    /// Whether latency is expected of each partition of this stream by itself.
    #[must_use]
    pub fn measures_partitions_of(&self, stream: StreamId) -> bool {
        let by_partition = self.latency.values().filter(|budget| budget.partitions.is_some());
        by_partition.filter_map(|budget| budget.flow).any(|flow| flow.to == stream)
    }

    /// Whether some count may differ from run to run, and with it what there was to compare.
    #[must_use]
    pub fn leaves_room(&self) -> bool {
        let counts = [self.duplicated, self.reordered, self.unacknowledged, self.skipped];
        let rules = self.rules.iter().map(|rule| rule.violations);
        counts.into_iter().flatten().chain(rules).any(Bounds::is_range)
    }
}

/// How many there may be: from so many to so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// No fewer: a failure case proves that it did what it set out to do.
    pub at_least: u64,
    /// No more.
    pub at_most: u64,
}

impl Bounds {
    /// Neither more nor fewer.
    #[must_use]
    pub const fn exactly(number: u64) -> Self {
        Self { at_least: number, at_most: number }
    }

    /// Whether more than one number is allowed.
    #[must_use]
    pub const fn is_range(self) -> bool {
        self.at_least < self.at_most
    }

    /// Whether so many are allowed.
    #[must_use]
    pub const fn allow(self, number: u64) -> bool {
        self.at_least <= number && number <= self.at_most
    }
}

impl From<u64> for Bounds {
    fn from(number: u64) -> Self {
        Self::exactly(number)
    }
}

impl std::fmt::Display for Bounds {
    /// `exactly 3`, `at least 1`, `at most 10`, `1 to 10`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (least, most) = (grouped(self.at_least), grouped(self.at_most));
        match (self.at_least, self.at_most) {
            (at_least, at_most) if at_least == at_most => write!(f, "exactly {least}"),
            (_, u64::MAX) => write!(f, "at least {least}"),
            (0, _) => write!(f, "at most {most}"),
            _ => write!(f, "{least} to {most}"),
        }
    }
}

/// For how long a group may stand still at a partition that has something for it, and the last stable offset of a partition
/// below its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandstillLimit {
    /// In nanoseconds.
    pub at_most: u64,
    /// How many partitions may, or have to, stand still for longer, over all groups and topics.
    pub partitions: Bounds,
}

impl StandstillLimit {
    /// For so many nanoseconds, and nowhere longer.
    #[must_use]
    pub const fn everywhere(at_most: u64) -> Self {
        Self { at_most, partitions: Bounds::exactly(0) }
    }
}

/// How far a group may be behind on a topic, over all its partitions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LagBudget {
    /// Messages that it may have left to commit while the load lasts.
    pub at_most: Option<u64>,
    /// By how many nanoseconds after the end of the load nothing may be left.
    pub drained_in: Option<u64>,
}

/// All terms must agree; where two terms are streams, they must agree message by message first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConservationRule {
    /// `money`, `orders`, ...
    pub name: String,
    /// What must be equal; at least two.
    pub equal: Vec<Term>,
}

/// One side of a conservation rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Term {
    /// The sum of `value` over the distinct messages of a stream (`load` counts acknowledged operations).
    Sum(String),
    /// The number of distinct messages of a stream (`load` counts acknowledged operations).
    Count(String),
    /// A [`crate::record::Figure`] by name.
    Figure(String),
}

/// Upper bounds by percentile name (`p50`, `p99`, `p99.9`, `max`), in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyBudget {
    /// Which hop it is measured over: the time runs from the intended instant to the first delivery at its sink. `None`
    /// measures the load itself, from the intended instant to the acknowledgement.
    pub flow: Option<crate::record::Flow>,
    /// The bounds.
    pub at_most: BTreeMap<String, u64>,
    /// The bounds are those of every partition of the flow's sink, and at so many of them one of them does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<Bounds>,
}

#[cfg(test)]
mod tests {
    use super::Bounds;

    #[test]
    fn bounds_are_named_as_people_do() {
        let bounds = |at_least, at_most| Bounds { at_least, at_most };
        let named = [(3, 3), (1, u64::MAX), (0, 1_000), (1, 10)].map(|(least, most)| bounds(least, most).to_string());
        assert_eq!(named, ["exactly 3", "at least 1", "at most 1,000", "1 to 10"]);
        assert_eq!([0, 1, 10, 11].map(|number| bounds(1, 10).allow(number)), [false, true, true, false]);
    }
}
