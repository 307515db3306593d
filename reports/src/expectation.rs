//! What a scenario says must hold, resolved to the streams of the run, so that a run directory can be judged again
//! offline. The TOML behind it belongs to the harness; the judging belongs to `checks`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that will be judged. An absent entry is not checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectations {
    /// Exactly how many acknowledged messages may be missing, over all flows.
    pub lost: Option<u64>,
    /// Exactly how many surplus copies there may be, over all sinks: copies belong to a sink, and one at the end of two
    /// flows counts them once.
    pub duplicated: Option<u64>,
    /// Whether each key's messages must arrive in the order of the source.
    pub order_per_key: bool,
    /// Rules of conservation.
    pub conserved: Vec<ConservationRule>,
    /// Latency budgets by the metric's name.
    pub latency: BTreeMap<String, LatencyBudget>,
    /// For how long, in nanoseconds, acknowledgements may be due at a partition without one coming.
    #[serde(default)]
    pub unavailable: Option<u64>,
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
}
