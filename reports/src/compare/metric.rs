//! What is compared, and how much of a difference is nobody's business.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The tag of `latency.hlog` that is compared unless somebody asks for others: from the intended instant of a message to
/// its acknowledgement.
pub const ACKNOWLEDGEMENT: &str = "ack";

/// One figure of a run. Of all of them less is better.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// What half of the latencies with this tag do not exceed, in nanoseconds.
    P50(String),
    /// What 99 in 100 latencies with this tag do not exceed, in nanoseconds.
    P99(String),
    /// Processor time of brokers and services for each acknowledged message, in nanoseconds. The generator's own is no cost
    /// of the system.
    CpuPerMessage,
}

impl Metric {
    /// Everything that is compared when these tags are asked for.
    #[must_use]
    pub fn of(tags: &[String]) -> Vec<Self> {
        let latencies = tags.iter().flat_map(|tag| [Self::P50(tag.clone()), Self::P99(tag.clone())]);
        latencies.chain([Self::CpuPerMessage]).collect()
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (percentile, tag) = match self {
            Self::P50(tag) => ("p50", tag),
            Self::P99(tag) => ("p99", tag),
            Self::CpuPerMessage => return formatter.write_str("cpu/message"),
        };
        if tag == ACKNOWLEDGEMENT { formatter.write_str(percentile) } else { write!(formatter, "{percentile} {tag}") }
    }
}

/// The differences that the user does not mind, as shares: 0.05 is 5 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Margins {
    /// Of medians.
    pub p50: f64,
    /// Of 99th percentiles, which a handful of messages decide.
    pub p99: f64,
    /// Of processor time for each message.
    pub cpu: f64,
}

impl Default for Margins {
    fn default() -> Self {
        Self { p50: 0.05, p99: 0.10, cpu: 0.05 }
    }
}

impl Margins {
    /// That of one metric.
    #[must_use]
    pub fn of(&self, metric: &Metric) -> f64 {
        match metric {
            Metric::P50(_) => self.p50,
            Metric::P99(_) => self.p99,
            Metric::CpuPerMessage => self.cpu,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_called_by_what_is_not_obvious() {
        let names: Vec<String> =
            Metric::of(&["ack".to_owned(), "deliver:orders".to_owned()]).iter().map(Metric::to_string).collect();
        assert_eq!(names, ["p50", "p99", "p50 deliver:orders", "p99 deliver:orders", "cpu/message"]);
    }
}
