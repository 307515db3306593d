//! When each message is due: a pure function of the arrivals and the seed.
//!
//! Open loop: the schedule knows nothing of how the system fares. What is late stays due; nobody forgives arrears. All
//! offsets are nanoseconds from the start of the load.

use crate::clock::nanoseconds;
use crate::duration_text;
use crate::poisson::PoissonCells;
use crate::ramp::Ramp;
use crate::rate::Rate;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most messages of one plan: a key's sequence has 32 bits, and all messages may have one key.
pub const MESSAGES_MAX: u64 = u32::MAX as u64;

/// How arrivals are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    },
}

/// An arrival process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrivals {
    /// How they are spread.
    pub shape: Shape,
    /// How many there are on average; at the end of a ramp.
    pub rate: Rate,
    /// For how long.
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
}

impl Arrivals {
    /// Fixes every arrival.
    ///
    /// # Errors
    /// When the duration is zero or there are more than [`MESSAGES_MAX`] messages.
    pub fn schedule(&self, seed: u64) -> Result<Schedule, ScheduleError> {
        let total = self.total()?;
        let duration_ns = nanoseconds(self.duration);
        let process = match self.shape {
            Shape::Constant => Process::Constant(self.rate),
            Shape::Poisson => Process::Poisson(PoissonCells::new(seed, total, duration_ns)),
            Shape::Ramp { from } => Process::Ramp(self.ramp(from)?),
        };
        Ok(Schedule { total, duration_ns, process })
    }

    /// How many messages that makes: rate times duration, in any shape but a ramp, where it is the mean of its two rates.
    ///
    /// # Errors
    /// As for [`Arrivals::schedule`].
    pub fn total(&self) -> Result<u64, ScheduleError> {
        let duration_ns = nanoseconds(self.duration);
        if duration_ns == 0 || duration_ns == u64::MAX {
            return Err(ScheduleError::Duration { received: self.duration });
        }
        let total = match self.shape {
            Shape::Constant | Shape::Poisson => self.rate.messages_within(duration_ns),
            Shape::Ramp { from } => self.ramp(from)?.messages_within(duration_ns),
        };
        total
            .filter(|total| *total <= MESSAGES_MAX)
            .ok_or(ScheduleError::TooMany { rate: self.rate, duration: self.duration })
    }

    fn ramp(&self, from: Rate) -> Result<Ramp, ScheduleError> {
        let (to, duration) = (self.rate, self.duration);
        Ramp::new(from, to, nanoseconds(duration)).ok_or(ScheduleError::Ramp { from, to, duration })
    }
}

/// Every arrival of a load.
#[derive(Debug, Clone)]
pub struct Schedule {
    total: u64,
    duration_ns: u64,
    process: Process,
}

#[derive(Debug, Clone)]
enum Process {
    Constant(Rate),
    Poisson(PoissonCells),
    Ramp(Ramp),
}

impl Schedule {
    /// How many messages there are; at least one.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The span of the arrivals; all lie before its end.
    #[must_use]
    pub const fn duration_ns(&self) -> u64 {
        self.duration_ns
    }

    /// When the `n`-th message (from 0) is due. One after another, [`Schedule::cursor`] is faster.
    ///
    /// # Panics
    /// When there is no such message.
    #[must_use]
    pub fn offset_ns(&self, n: u64) -> u64 {
        assert!(n < self.total, "message {n} of {}", self.total);
        match &self.process {
            Process::Constant(rate) => rate.offset_ns(n).expect("offsets lie before the end of the duration"),
            Process::Poisson(cells) => {
                let cell = cells.cell_of(n);
                let mut offsets = Vec::new();
                cells.fill(cell, &mut offsets);
                offsets[index(n - cells.before(cell))]
            }
            Process::Ramp(ramp) => ramp.offset_ns(n),
        }
    }

    /// How many messages are due when so much time has passed.
    #[must_use]
    pub fn due(&self, elapsed_ns: u64) -> u64 {
        if elapsed_ns >= self.duration_ns {
            return self.total;
        }
        match &self.process {
            Process::Constant(rate) => {
                rate.messages_within(elapsed_ns + 1).map_or(self.total, |due| due.min(self.total))
            }
            Process::Poisson(cells) => cells.due(elapsed_ns),
            Process::Ramp(ramp) => ramp.messages_within(elapsed_ns + 1).map_or(self.total, |due| due.min(self.total)),
        }
    }

    /// Walks the arrivals in order. Allocates once, for the largest cell of a Poisson process, and never after.
    #[must_use]
    pub fn cursor(self) -> ScheduleCursor {
        let capacity = match &self.process {
            Process::Constant(_) | Process::Ramp(_) => 0,
            Process::Poisson(cells) => cells.largest_cell(),
        };
        let mut cursor = ScheduleCursor {
            schedule: self,
            next: 0,
            next_offset: 0,
            cell_end: 0,
            offsets: Vec::with_capacity(capacity),
        };
        cursor.load_next();
        cursor
    }
}

/// A place in a [`Schedule`].
#[derive(Debug)]
pub struct ScheduleCursor {
    schedule: Schedule,
    next: u64,
    next_offset: u64,
    /// The first message behind the cell in `offsets`.
    cell_end: u64,
    offsets: Vec<u64>,
}

impl ScheduleCursor {
    /// When the next message is due; `None` at the end.
    #[must_use]
    pub fn peek(&self) -> Option<u64> {
        (self.next < self.schedule.total).then_some(self.next_offset)
    }

    /// Goes on to the message after it.
    pub fn advance(&mut self) {
        self.next += 1;
        self.load_next();
    }

    fn load_next(&mut self) {
        let n = self.next;
        if n >= self.schedule.total {
            return;
        }
        self.next_offset = match &self.schedule.process {
            Process::Constant(rate) => rate.offset_ns(n).expect("offsets lie before the end of the duration"),
            Process::Poisson(cells) => {
                if n >= self.cell_end {
                    let cell = cells.cell_of(n);
                    cells.fill(cell, &mut self.offsets);
                    self.cell_end = cells.before(cell + 1);
                }
                self.offsets[self.offsets.len() - index(self.cell_end - n)]
            }
            Process::Ramp(ramp) => ramp.offset_ns(n),
        };
    }
}

fn index(n: u64) -> usize {
    usize::try_from(n).expect("a place in a cell of some thousand")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(shape: Shape, rate: &str, duration: &str) -> Arrivals {
        Arrivals {
            shape,
            rate: rate.parse().expect("a rate"),
            duration: duration_text::parse(duration).expect("a duration"),
        }
    }

    fn walk(schedule: Schedule) -> Vec<u64> {
        let mut cursor = schedule.cursor();
        std::iter::from_fn(|| {
            let offset = cursor.peek()?;
            cursor.advance();
            Some(offset)
        })
        .collect()
    }

    #[test]
    fn constant_arrivals_are_due_exactly_when_arithmetic_says() {
        let schedule = arrivals(Shape::Constant, "500/s", "10s").schedule(1).expect("valid");
        assert_eq!(schedule.total(), 5_000);
        for (elapsed_ns, due) in [
            (0, 1),
            (1_999_999, 1),
            (2_000_000, 2),
            (1_000_000_000, 501),
            (9_998_000_000, 5_000),
            (10_000_000_000, 5_000),
            (u64::MAX, 5_000),
        ] {
            assert_eq!(schedule.due(elapsed_ns), due, "{elapsed_ns} ns");
        }
        assert_eq!(schedule.offset_ns(4_999), 9_998_000_000);
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
    }

    #[test]
    fn a_ramp_has_the_mean_of_its_rates() {
        let ramp = Shape::Ramp { from: "100/s".parse().expect("a rate") };
        let schedule = arrivals(ramp, "300/s", "10s").schedule(1).expect("valid");
        assert_eq!((schedule.total(), schedule.due(5_000_000_000)), (2_000, 751));
        // The second comes after a hundredth of a second, the last one three hundred times as densely.
        assert_eq!((schedule.offset_ns(0), schedule.offset_ns(1)), (0, 9_990_019));
        assert_eq!(10_000_000_000 - schedule.offset_ns(1_999), 3_333_704);
    }

    #[test]
    fn refuses_what_cannot_be_scheduled() {
        let error = arrivals(Shape::Constant, "500/s", "0s").schedule(1).expect_err("no time");
        assert_eq!(error, ScheduleError::Duration { received: Duration::ZERO });
        let error = arrivals(Shape::Poisson, "2000000/s", "1h").schedule(1).expect_err("too many");
        assert_eq!(
            error.to_string(),
            "2000000/s for 3600s is more than 4294967295 messages: split the load into several runs"
        );
    }

    #[test]
    fn walking_random_access_and_counting_agree() {
        let ramp = Shape::Ramp { from: "3/s".parse().expect("a rate") };
        for shape in [Shape::Constant, Shape::Poisson, ramp] {
            for (rate, duration) in
                [("5000/s", "1s"), ("7/s", "3s"), ("1/s", "1s"), ("100000/s", "100ms"), ("5/ns", "3ns")]
            {
                let schedule = arrivals(shape, rate, duration).schedule(9).expect("valid");
                let offsets = walk(schedule.clone());
                assert_eq!(offsets.len() as u64, schedule.total(), "{shape:?} {rate} for {duration}");
                assert!(offsets.is_sorted(), "{shape:?} {rate} for {duration}");
                assert!(*offsets.last().expect("not empty") < schedule.duration_ns());
                for (n, offset) in offsets.iter().enumerate().step_by(97) {
                    assert_eq!(schedule.offset_ns(n as u64), *offset, "{shape:?} {rate} for {duration}: message {n}");
                    let due = offsets.partition_point(|other| other <= offset) as u64;
                    assert_eq!(schedule.due(*offset), due, "{shape:?} {rate} for {duration}: at {offset} ns");
                }
            }
        }
    }

    #[test]
    fn poisson_arrivals_follow_the_seed() {
        let arrivals = arrivals(Shape::Poisson, "5000/s", "1s");
        let walk_of = |seed| walk(arrivals.schedule(seed).expect("valid"));
        assert_eq!(walk_of(1), walk_of(1));
        assert_ne!(walk_of(1), walk_of(2));
    }

    /// Gaps of a Poisson process are exponential: the share above x means is e^-x. And counts over windows have a
    /// variance equal to their mean, at every scale well below the whole: evenly spread or clumped arrivals do not.
    #[test]
    fn poisson_arrivals_have_poisson_statistics() {
        let offsets = walk(arrivals(Shape::Poisson, "200000/s", "1s").schedule(5).expect("valid"));
        let gaps: Vec<f64> = offsets.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 5_000.0).collect();
        for (means, share) in [(0.5, 0.6065), (1.0, 0.3679), (2.0, 0.1353), (4.0, 0.0183)] {
            let above = gaps.iter().filter(|gap| **gap > means).count() as f64 / gaps.len() as f64;
            assert!((above - share).abs() < 0.006, "{above} of the gaps are above {means} means, not {share}");
        }
        for windows in [20_000_usize, 2_000, 200] {
            let mut counts = vec![0_f64; windows];
            for offset in &offsets {
                counts[usize::try_from(*offset).expect("fits") * windows / 1_000_000_000] += 1.0;
            }
            let mean = offsets.len() as f64 / windows as f64;
            let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / windows as f64;
            assert!((0.7..1.35).contains(&(variance / mean)), "{windows} windows: variance {variance}, mean {mean}");
        }
    }
}
