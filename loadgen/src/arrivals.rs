//! Arrivals as they are described: a shape, a rate, a duration.
//!
//! Owns what is said about nonsense, and how many messages there are. What they become, instant by instant, is the
//! [`Schedule`]'s.

use crate::burst::Burst;
use crate::clock::nanoseconds;
use crate::duration_text;
use crate::intensity::{Intensity, Varying};
use crate::ramp::Ramp;
use crate::rate::Rate;
use crate::replay::{Recording, Speed};
use crate::schedule::Schedule;
use crate::steps::Steps;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most messages of one plan: a key's sequence has 32 bits, and all messages may have one key.
pub const MESSAGES_MAX: u64 = u32::MAX as u64;
/// The most steps of one plan.
pub const STEPS_MAX: usize = 10_000;

/// How arrivals follow a rate that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Process {
    /// Each when the rate, summed up, has come to the next whole message.
    #[default]
    Even,
    /// Independently of one another, the more densely the higher the rate is; the total is fixed.
    Poisson,
}

impl Process {
    fn is_even(&self) -> bool {
        *self == Self::Even
    }
}

/// A rate that holds for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The rate.
    pub rate: Rate,
    /// The while.
    #[serde(rename = "for", with = "duration_text")]
    pub duration: Duration,
}

/// Bursts at equal distances. The first begins when the first period is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bursts {
    /// The rate while a burst lasts, instead of the steady one.
    pub rate: Rate,
    /// From the beginning of one burst to that of the next.
    #[serde(with = "duration_text")]
    pub every: Duration,
    /// How long each lasts.
    #[serde(rename = "for", with = "duration_text")]
    pub duration: Duration,
}

/// How arrivals are spread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Evenly.
    Constant,
    /// Independently of one another, as those of many users are; the total is fixed.
    Poisson,
    /// Closer and closer together, or less and less: the rate changes evenly up to that of the arrivals.
    Ramp {
        /// The rate at the beginning.
        from: Rate,
        /// How arrivals follow it.
        #[serde(default, skip_serializing_if = "Process::is_even")]
        process: Process,
    },
    /// Rates one after another.
    Steps {
        /// The rates, each with its while.
        steps: Vec<Step>,
        /// How arrivals follow them.
        #[serde(default, skip_serializing_if = "Process::is_even")]
        process: Process,
    },
    /// The rate of the arrivals, with bursts.
    Burst {
        /// The bursts.
        bursts: Bursts,
        /// How arrivals follow the rate.
        #[serde(default, skip_serializing_if = "Process::is_even")]
        process: Process,
    },
    /// As they came once before.
    Replay {
        /// When they came.
        recording: Recording,
        /// How fast they come now.
        speed: Speed,
    },
}

impl Shape {
    /// The shape in a word, as reports have it: `constant`, `Poisson`, `ramp`, `Poisson steps`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Poisson => "Poisson",
            Self::Ramp { process: Process::Even, .. } => "ramp",
            Self::Ramp { process: Process::Poisson, .. } => "Poisson ramp",
            Self::Steps { process: Process::Even, .. } => "steps",
            Self::Steps { process: Process::Poisson, .. } => "Poisson steps",
            Self::Burst { process: Process::Even, .. } => "bursts",
            Self::Burst { process: Process::Poisson, .. } => "Poisson bursts",
            Self::Replay { .. } => "replay",
        }
    }

    /// How arrivals follow the rate.
    pub(crate) const fn process(&self) -> Process {
        match self {
            Self::Constant | Self::Replay { .. } => Process::Even,
            Self::Poisson => Process::Poisson,
            Self::Ramp { process, .. } | Self::Steps { process, .. } | Self::Burst { process, .. } => *process,
        }
    }
}

/// An arrival process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrivals {
    /// How they are spread.
    pub shape: Shape,
    /// How many there are on average; at the end of a ramp, between bursts, in the densest of the steps.
    pub rate: Rate,
    /// For how long, in all.
    #[serde(rename = "for", with = "duration_text")]
    pub duration: Duration,
}

/// Arrivals that cannot be scheduled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// There is no time to send anything.
    #[error("arrivals for {received:?}: allowed is anything above zero and below 584 years")]
    Duration {
        /// The duration received.
        received: Duration,
    },
    /// More than a key's sequence can count.
    #[error("{rate} for {duration:?} is more than {MESSAGES_MAX} messages: split the load into several runs")]
    TooMany {
        /// The rate received.
        rate: Rate,
        /// The duration received.
        duration: Duration,
    },
    /// Rates whose common denominator, times the duration, leaves 128 bits.
    #[error(
        "a ramp from {from} to {to} for {duration:?} cannot be computed exactly: write both rates in the same unit"
    )]
    Ramp {
        /// The rate at the beginning.
        from: Rate,
        /// The rate at the end.
        to: Rate,
        /// The duration received.
        duration: Duration,
    },
    /// No steps, or too many.
    #[error("{received} steps: allowed are 1 to {STEPS_MAX}")]
    Steps {
        /// How many were received.
        received: usize,
    },
    /// A step of no time.
    #[error("a step at {rate} for {received:?}: allowed is anything above zero, and below 584 years in all")]
    Step {
        /// Its rate.
        rate: Rate,
        /// The duration received.
        received: Duration,
    },
    /// Bursts that are not within their period, or that never come.
    #[error(
        "bursts of {length:?} every {every:?} for {duration:?}: each must be shorter than the next: length, period, load"
    )]
    Bursts {
        /// How long each lasts.
        length: Duration,
        /// The period.
        every: Duration,
        /// How long the load lasts.
        duration: Duration,
    },
    /// Rates whose common denominator, times the duration, leaves 128 bits.
    #[error("these {what} cannot be computed exactly: write all their rates in the same unit")]
    Inexact {
        /// What they are: steps or bursts.
        what: &'static str,
    },
    /// What is written down twice, and differs.
    #[error("{what} of {rate} for {duration:?} in arrivals of {received} for {received_for:?}: both must say the same")]
    Contradiction {
        /// What they are: steps or a replay.
        what: &'static str,
        /// The rate that they have.
        rate: Rate,
        /// How long they last.
        duration: Duration,
        /// The rate received.
        received: Rate,
        /// The duration received.
        received_for: Duration,
    },
}

impl Arrivals {
    /// At these rates, one after another.
    ///
    /// # Errors
    /// When there are none, or too many, or one lasts no time.
    pub fn steps(steps: Vec<Step>, process: Process) -> Result<Self, ScheduleError> {
        let (rate, duration) = extent(&steps)?;
        Ok(Self { shape: Shape::Steps { steps, process }, rate, duration })
    }

    /// As they came once before, at this speed. The last arrival is the end of the load.
    ///
    /// # Errors
    /// When that takes 584 years.
    pub fn replay(recording: Recording, speed: Speed) -> Result<Self, ScheduleError> {
        let (rate, duration) = replayed(&recording, speed)?;
        Ok(Self { shape: Shape::Replay { recording, speed }, rate, duration })
    }

    /// Fixes every arrival.
    ///
    /// # Errors
    /// When there is no time, or more than [`MESSAGES_MAX`] messages, or the shape is none.
    pub fn schedule(&self, seed: u64) -> Result<Schedule, ScheduleError> {
        let (total, duration_ns) = (self.total()?, nanoseconds(self.duration));
        Ok(match (&self.shape, self.varying()?) {
            (Shape::Replay { recording, speed }, _) => Schedule::replay(recording.clone(), *speed, duration_ns),
            (shape, Some(varying)) => Schedule::varying(varying, shape.process(), seed, total, duration_ns),
            (shape, None) => Schedule::steady(self.rate, shape.process(), seed, total, duration_ns),
        })
    }

    /// How many messages that makes: the rate, summed up over the duration.
    ///
    /// # Errors
    /// As for [`Arrivals::schedule`].
    pub fn total(&self) -> Result<u64, ScheduleError> {
        let duration_ns = nanoseconds(self.duration);
        if duration_ns == 0 || duration_ns == u64::MAX {
            return Err(ScheduleError::Duration { received: self.duration });
        }
        let total = match (&self.shape, self.varying()?) {
            (Shape::Replay { recording, speed }, _) => {
                self.check("a replay", replayed(recording, *speed)?)?;
                Some(recording.offsets_ns().len() as u64)
            }
            (_, Some(varying)) => varying.messages_within(duration_ns),
            (_, None) => self.rate.messages_within(duration_ns),
        };
        total
            .filter(|total| *total <= MESSAGES_MAX)
            .ok_or(ScheduleError::TooMany { rate: self.rate, duration: self.duration })
    }

    /// The rate over time, where it changes.
    fn varying(&self) -> Result<Option<Varying>, ScheduleError> {
        let duration_ns = nanoseconds(self.duration);
        Ok(Some(match &self.shape {
            Shape::Constant | Shape::Poisson | Shape::Replay { .. } => return Ok(None),
            Shape::Ramp { from, .. } => {
                let (from, to, duration) = (*from, self.rate, self.duration);
                let ramp = Ramp::new(from, to, duration_ns);
                Varying::Ramp(ramp.ok_or(ScheduleError::Ramp { from, to, duration })?)
            }
            Shape::Steps { steps, .. } => {
                self.check("steps", extent(steps)?)?;
                let steps: Vec<_> = steps.iter().map(|step| (step.rate, nanoseconds(step.duration))).collect();
                Varying::Steps(Steps::new(&steps).ok_or(ScheduleError::Inexact { what: "steps" })?)
            }
            Shape::Burst { bursts, .. } => {
                let Bursts { rate, every, duration: length } = *bursts;
                if length.is_zero() || length >= every || every >= self.duration {
                    return Err(ScheduleError::Bursts { length, every, duration: self.duration });
                }
                let burst = Burst::new(self.rate, rate, nanoseconds(every), nanoseconds(length), duration_ns);
                Varying::Burst(burst.ok_or(ScheduleError::Inexact { what: "bursts" })?)
            }
        }))
    }

    fn check(&self, what: &'static str, (rate, duration): (Rate, Duration)) -> Result<(), ScheduleError> {
        if (rate, duration) == (self.rate, self.duration) {
            return Ok(());
        }
        let (received, received_for) = (self.rate, self.duration);
        Err(ScheduleError::Contradiction { what, rate, duration, received, received_for })
    }
}

/// The highest rate of the steps, and how long they last.
fn extent(steps: &[Step]) -> Result<(Rate, Duration), ScheduleError> {
    let error = ScheduleError::Steps { received: steps.len() };
    if steps.len() > STEPS_MAX {
        return Err(error);
    }
    let mut whole = Duration::ZERO;
    for Step { rate, duration } in steps {
        let sum = whole.saturating_add(*duration);
        if duration.is_zero() || nanoseconds(sum) == u64::MAX {
            return Err(ScheduleError::Step { rate: *rate, received: *duration });
        }
        whole = sum;
    }
    let part = |rate: &Rate| (u128::from(rate.messages()), u128::from(rate.per_ns()));
    let densest = steps.iter().map(|step| step.rate).max_by(|one, other| {
        let ((above, below), (other_above, other_below)) = (part(one), part(other));
        (above * other_below).cmp(&(other_above * below))
    });
    Ok((densest.ok_or(error)?, whole))
}

/// The mean rate of a replay, and how long it lasts.
fn replayed(recording: &Recording, speed: Speed) -> Result<(Rate, Duration), ScheduleError> {
    let offsets = recording.offsets_ns();
    let last = offsets.last().copied().and_then(|last| speed.scale(last)).and_then(|last| last.checked_add(1));
    let too_long = ScheduleError::Duration { received: Duration::from_nanos(u64::MAX) };
    let duration = Duration::from_nanos(last.ok_or(too_long.clone())?);
    Ok((Rate::new(offsets.len() as u64, duration).map_err(|_| too_long)?, duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().expect("a rate")
    }

    fn arrivals(shape: Shape, rate_text: &str, duration: &str) -> Arrivals {
        Arrivals { shape, rate: rate(rate_text), duration: duration_text::parse(duration).expect("a duration") }
    }

    fn bursts(burst: &str, every: &str, length: &str) -> Shape {
        let duration = |text| duration_text::parse(text).expect("a duration");
        let bursts = Bursts { rate: rate(burst), every: duration(every), duration: duration(length) };
        Shape::Burst { bursts, process: Process::Even }
    }

    fn step(rate_text: &str, seconds: u64) -> Step {
        Step { rate: rate(rate_text), duration: Duration::from_secs(seconds) }
    }

    #[test]
    fn totals_are_rate_times_duration() {
        for (rate, duration, total) in [
            ("500/s", "10s", 5_000),
            ("3/s", "1s", 3),
            ("1/s", "1ms", 1),
            ("7/250ms", "1s", 28),
            ("1000000/s", "1h", 3_600_000_000),
        ] {
            assert_eq!(arrivals(Shape::Constant, rate, duration).total(), Ok(total), "{rate} for {duration}");
        }
        assert_eq!(arrivals(bursts("1000/s", "5s", "500ms"), "100/s", "12s").total(), Ok(2_100));
    }

    #[test]
    fn steps_and_replays_know_their_rate_and_duration() {
        let steps = Arrivals::steps(vec![step("100/s", 2), step("30000/m", 1), step("1/s", 3)], Process::Even);
        let steps = steps.expect("steps");
        assert_eq!((steps.rate, steps.duration, steps.total()), (rate("30000/m"), Duration::from_secs(6), Ok(703)));
        let recording = Recording::new(vec![7_000, 5_000, 9_000]).expect("a recording");
        let replay = Arrivals::replay(recording, "2".parse().expect("a speed")).expect("a replay");
        assert_eq!((replay.duration, replay.total()), (Duration::from_nanos(2_001), Ok(3)));
        for arrivals in [steps, replay] {
            let error = Arrivals { duration: Duration::from_secs(7), ..arrivals }.schedule(1).expect_err("refused");
            assert!(error.to_string().ends_with("for 7s: both must say the same"), "{error}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_scheduled() {
        let error = arrivals(Shape::Constant, "500/s", "0s").schedule(1).expect_err("no time");
        assert_eq!(error, ScheduleError::Duration { received: Duration::ZERO });
        for (shape, expected) in [
            (Shape::Poisson, "2000000/s for 3600s is more than 4294967295 messages: split the load into several runs"),
            (
                bursts("1/s", "1s", "1s"),
                "bursts of 1s every 1s for 3600s: each must be shorter than the next: length, period, load",
            ),
            (
                bursts("1/s", "2h", "1s"),
                "bursts of 1s every 7200s for 3600s: each must be shorter than the next: length, period, load",
            ),
            (
                bursts("1/s", "1s", "0s"),
                "bursts of 0ns every 1s for 3600s: each must be shorter than the next: length, period, load",
            ),
        ] {
            assert_eq!(arrivals(shape, "2000000/s", "1h").schedule(1).expect_err("refused").to_string(), expected);
        }
        for (steps, expected) in [
            (vec![], "0 steps: allowed are 1 to 10000"),
            (vec![step("1/s", 1); STEPS_MAX + 1], "10001 steps: allowed are 1 to 10000"),
            (
                vec![step("1/s", 1), step("2/s", 0)],
                "a step at 2/s for 0ns: allowed is anything above zero, and below 584 years in all",
            ),
        ] {
            assert_eq!(Arrivals::steps(steps, Process::Even).expect_err("refused").to_string(), expected);
        }
        let odd = |per_ns| Rate::new(1, Duration::from_nanos(per_ns)).expect("a rate");
        let odd = [u64::MAX, u64::MAX - 1, u64::MAX - 2].map(|per_ns| Step { rate: odd(per_ns), ..step("1/s", 1) });
        let error = Arrivals::steps(odd.to_vec(), Process::Even).expect("its extent is known").total();
        let expected = "these steps cannot be computed exactly: write all their rates in the same unit";
        assert_eq!(error.expect_err("refused").to_string(), expected);
    }
}
