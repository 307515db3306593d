//! What a search is asked for: the service level, the lengths of trials, when a bracket is close enough.

use crate::duration_text;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Less of what was offered than this, delivered in time, is too little.
pub const DELIVERED_MIN: f64 = 0.995;
/// A lag may grow by this part of the rate.
pub const LAG_SLOPE_MAX: f64 = 0.005;
/// A result within this part of a limit is decided by the best of three.
pub const NEAR: f64 = 0.1;
/// A bracket is close enough when its ends are this part apart: half of [`STABLE`]. Replicates lie anywhere in their brackets,
/// and with brackets as wide as what is allowed, three replicates of a perfectly sharp ceiling would often be UNSTABLE.
pub const BRACKET: f64 = 0.015;
/// A ceiling is stable when its interval at 95 % ends this part above and below it.
pub const STABLE: f64 = 0.03;
/// Above this part of the generator's own ceiling, what holds is the generator's limit as much as the system's.
pub const GENERATOR_SHARE_MAX: f64 = 0.7;
/// No generator may be later than this at p99, whatever the service level.
const LATENESS_MAX: Duration = Duration::from_millis(1);

/// What has to hold at a rate: 99 of 100 messages are acknowledged so soon after the instant at which they were due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceLevel {
    /// From intended to acknowledged, at p99.
    #[serde(with = "duration_text")]
    pub p99: Duration,
}

/// A service level that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no service level: write p99=DURATION above zero, as in \"p99=20ms\"")]
pub struct ServiceLevelError {
    text: String,
}

impl ServiceLevel {
    /// How late the generator may be at p99: no later than a tenth of the service level, and than a millisecond.
    #[must_use]
    pub fn lateness_max(self) -> Duration {
        LATENESS_MAX.min(self.p99 / 10)
    }

    /// In nanoseconds.
    #[must_use]
    pub fn p99_ns(self) -> u64 {
        u64::try_from(self.p99.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl FromStr for ServiceLevel {
    type Err = ServiceLevelError;

    fn from_str(text: &str) -> Result<Self, ServiceLevelError> {
        let error = || ServiceLevelError { text: text.to_owned() };
        let bound = text.strip_prefix("p99=").ok_or_else(error)?;
        let p99 = duration_text::parse(bound).map_err(|_| error())?;
        if p99.is_zero() { Err(error()) } else { Ok(Self { p99 }) }
    }
}

impl fmt::Display for ServiceLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = u64::try_from(self.p99.as_nanos()).unwrap_or(u64::MAX);
        write!(formatter, "p99 <= {}", shakedown_reports::numbers::duration(nanoseconds))
    }
}

/// How long the measured part of a trial is in each phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lengths {
    /// While the first failure is looked for.
    #[serde(with = "duration_text")]
    pub ramp: Duration,
    /// While the bracket is narrowed.
    #[serde(with = "duration_text")]
    pub bisect: Duration,
    /// While its ends are confirmed.
    #[serde(with = "duration_text")]
    pub confirm: Duration,
    /// While the generator's own ceiling is measured.
    #[serde(with = "duration_text")]
    pub generator: Duration,
}

impl Lengths {
    /// 10 s, 30 s and 60 s.
    #[must_use]
    pub const fn full() -> Self {
        Self {
            ramp: Duration::from_secs(10),
            bisect: Duration::from_secs(30),
            confirm: Duration::from_secs(60),
            generator: Duration::from_secs(5),
        }
    }

    /// For a first idea: a fifth of that and less. Rare stalls fall between such trials.
    #[must_use]
    pub const fn quick() -> Self {
        Self {
            ramp: Duration::from_secs(2),
            bisect: Duration::from_secs(4),
            confirm: Duration::from_secs(8),
            generator: Duration::from_secs(3),
        }
    }
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// What has to hold.
    pub service_level: ServiceLevel,
    /// The first rate, in messages a second.
    pub from: u64,
    /// How often the search is done, each time from another rate.
    pub replicates: u32,
    /// How long trials are.
    pub lengths: Lengths,
    /// Trials are shorter than they should be.
    pub quick: bool,
    /// What the first rates of replicates are drawn from.
    pub seed: u64,
}

impl Settings {
    /// A search with this service level from 1,000 messages a second: three replicates of full length.
    #[must_use]
    pub const fn new(service_level: ServiceLevel, seed: u64) -> Self {
        Self { service_level, from: 1_000, replicates: 3, lengths: Lengths::full(), quick: false, seed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_level_goes_both_ways() {
        let level: ServiceLevel = "p99=20ms".parse().expect("allowed");
        assert_eq!((level.p99, level.to_string()), (Duration::from_millis(20), "p99 <= 20 ms".to_owned()));
        for text in ["20ms", "p99", "p99=", "p99=0ms", "p95=20ms", "p99=20"] {
            let error = text.parse::<ServiceLevel>().expect_err(text).to_string();
            assert!(error.contains("p99=20ms"), "{error}");
        }
    }

    #[test]
    fn the_generator_may_be_late_by_a_tenth_and_by_a_millisecond_at_most() {
        for (p99, late) in [("20ms", "1ms"), ("10ms", "1ms"), ("5ms", "500us"), ("1s", "1ms")] {
            let level: ServiceLevel = format!("p99={p99}").parse().expect("allowed");
            assert_eq!(level.lateness_max(), duration_text::parse(late).expect("a duration"), "{p99}");
        }
    }
}
