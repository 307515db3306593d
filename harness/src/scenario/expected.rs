//! What a scenario expects: each part absent where nobody looks.

use shakedown_reports::expectation::Bounds;
use std::collections::BTreeMap;
use std::time::Duration;

/// What must hold.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// Missing messages.
    pub lost: Option<u64>,
    /// Surplus copies.
    pub duplicated: Option<Bounds>,
    /// Order per key.
    pub order_per_key: bool,
    /// Messages out of their key's order, where that is not none.
    pub reordered: Option<Bounds>,
    /// Budgets by flow, then by percentile.
    pub latency: Vec<(String, LatencyRule)>,
    /// The longest time without an acknowledgement that was due.
    pub unavailable: Option<Duration>,
    /// Messages that groups passed without processing them.
    pub skipped: Option<Bounds>,
    /// Commits beyond what was processed.
    pub committed_too_far: Option<Bounds>,
    /// Commits that went back.
    pub offset_regressed: Option<Bounds>,
    /// Offsets with two values.
    pub inconsistent_offset: Option<Bounds>,
    /// How partitions may stand still.
    pub stalled: Option<StalledRule>,
    /// How far groups may be behind.
    pub lag: Option<LagRule>,
    /// The groups that this is about; none for all.
    pub lag_groups: Vec<String>,
    /// Messages of the load without an acknowledgement.
    pub unacknowledged: Option<Bounds>,
}

impl Expect {
    /// Whether any of it needs groups and logs to be watched.
    #[must_use]
    pub fn watches(&self) -> bool {
        let counts = [self.skipped, self.committed_too_far, self.offset_regressed];
        counts.iter().any(Option::is_some) || self.stalled.is_some() || self.lag.is_some()
    }

    /// Whether any of it notices messages of the load that were never acknowledged.
    #[must_use]
    pub fn looks_at_acknowledgements(&self) -> bool {
        self.unacknowledged.is_some() || self.unavailable.is_some()
    }
}

impl StalledRule {
    /// Whether some partition has to stand still: such a run never drains.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        self.partitions.at_least > 0
    }
}

/// How long the messages of a flow may take.
#[derive(Debug, Clone)]
pub struct LatencyRule {
    /// By percentile.
    pub at_most: BTreeMap<String, Duration>,
    /// For each partition of the sink: at how many of them some bound does not hold.
    pub partitions: Option<Bounds>,
}

/// For how long partitions may stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StalledRule {
    /// The longest standstill.
    pub at_most: Duration,
    /// How many partitions may, or have to, stand still for longer.
    pub partitions: Bounds,
}

/// How far a group may be behind on a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LagRule {
    /// Messages left to commit while the load lasts.
    pub at_most: Option<u64>,
    /// How long after the load nothing may be left.
    pub drained_in: Option<Duration>,
}
