//! When each message is due: a pure function of the arrivals and the seed.
//!
//! Open loop: the schedule knows nothing of how the system fares. What is late stays due; nobody forgives arrears. All
//! offsets are nanoseconds from the start of the load. What arrivals there can be is [`crate::arrivals`]' to say.

pub use crate::arrivals::{Arrivals, Bursts, MESSAGES_MAX, Process, STEPS_MAX, ScheduleError, Shape, Step};

use crate::intensity::{Intensity, Varying, Warp};
use crate::poisson::PoissonCells;
use crate::rate::Rate;
use crate::replay::{Recording, Speed};

/// Every arrival of a load.
#[derive(Debug, Clone)]
pub struct Schedule {
    total: u64,
    duration_ns: u64,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Constant(Rate),
    Poisson(PoissonCells),
    Varying(Varying),
    /// A Poisson process in the time in which the rate is steady.
    Warped(PoissonCells, Warp),
    Replay(Recording, Speed),
}

impl Schedule {
    /// At a rate that does not change.
    pub(crate) fn steady(rate: Rate, process: Process, seed: u64, total: u64, duration_ns: u64) -> Self {
        let kind = match process {
            Process::Even => Kind::Constant(rate),
            Process::Poisson => Kind::Poisson(PoissonCells::new(seed, total, duration_ns)),
        };
        Self { total, duration_ns, kind }
    }

    /// At a rate that changes.
    pub(crate) fn varying(varying: Varying, process: Process, seed: u64, total: u64, duration_ns: u64) -> Self {
        let kind = match process {
            Process::Even => Kind::Varying(varying),
            Process::Poisson => {
                let warp = Warp::new(varying, duration_ns);
                Kind::Warped(PoissonCells::new(seed, total, warp.span()), warp)
            }
        };
        Self { total, duration_ns, kind }
    }

    /// As it came once before.
    pub(crate) fn replay(recording: Recording, speed: Speed, duration_ns: u64) -> Self {
        Self { total: recording.offsets_ns().len() as u64, duration_ns, kind: Kind::Replay(recording, speed) }
    }

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
        let offset = match &self.kind {
            Kind::Constant(rate) => rate.offset_ns(n),
            Kind::Varying(varying) => Some(varying.offset_ns(n)),
            Kind::Replay(recording, speed) => speed.scale(recording.offsets_ns()[index(n)]),
            Kind::Poisson(cells) => Some(nth(cells, n)),
            Kind::Warped(cells, warp) => Some(warp.offset_ns(nth(cells, n))),
        };
        offset.expect("offsets lie before the end of the duration")
    }

    /// How many messages are due when so much time has passed.
    #[must_use]
    pub fn due(&self, elapsed_ns: u64) -> u64 {
        if elapsed_ns >= self.duration_ns {
            return self.total;
        }
        let before = |messages: Option<u64>| messages.map_or(self.total, |due| due.min(self.total));
        match &self.kind {
            Kind::Constant(rate) => before(rate.messages_within(elapsed_ns + 1)),
            Kind::Varying(varying) => before(varying.messages_within(elapsed_ns + 1)),
            Kind::Poisson(cells) => cells.due(elapsed_ns),
            Kind::Warped(cells, warp) => warp.places(elapsed_ns).checked_sub(1).map_or(0, |last| cells.due(last)),
            Kind::Replay(recording, speed) => {
                let is_due = |offset: &u64| speed.scale(*offset).is_some_and(|offset| offset <= elapsed_ns);
                recording.offsets_ns().partition_point(is_due) as u64
            }
        }
    }

    /// Walks the arrivals in order. Allocates once, for the largest cell of a Poisson process, and never after.
    #[must_use]
    pub fn cursor(self) -> ScheduleCursor {
        let capacity = match &self.kind {
            Kind::Constant(_) | Kind::Varying(_) | Kind::Replay(..) => 0,
            Kind::Poisson(cells) | Kind::Warped(cells, _) => cells.largest_cell(),
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

/// The `n`-th arrival of a Poisson process, at the price of its whole cell.
fn nth(cells: &PoissonCells, n: u64) -> u64 {
    let cell = cells.cell_of(n);
    let mut offsets = Vec::new();
    cells.fill(cell, &mut offsets);
    offsets[index(n - cells.before(cell))]
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
        self.next_offset = match &self.schedule.kind {
            Kind::Constant(_) | Kind::Varying(_) | Kind::Replay(..) => self.schedule.offset_ns(n),
            Kind::Poisson(cells) => drawn(cells, n, &mut self.cell_end, &mut self.offsets),
            Kind::Warped(cells, warp) => warp.offset_ns(drawn(cells, n, &mut self.cell_end, &mut self.offsets)),
        };
    }
}

/// The `n`-th arrival of a Poisson process, from the cell in `offsets`, or from the next one.
fn drawn(cells: &PoissonCells, n: u64, cell_end: &mut u64, offsets: &mut Vec<u64>) -> u64 {
    if n >= *cell_end {
        let cell = cells.cell_of(n);
        cells.fill(cell, offsets);
        *cell_end = cells.before(cell + 1);
    }
    offsets[offsets.len() - index(*cell_end - n)]
}

fn index(n: u64) -> usize {
    usize::try_from(n).expect("a place among some millions")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duration_text;
    use proptest::prelude::*;
    use std::time::Duration;

    fn arrivals(shape: Shape, rate: &str, duration: &str) -> Arrivals {
        Arrivals {
            shape,
            rate: rate.parse().expect("a rate"),
            duration: duration_text::parse(duration).expect("a duration"),
        }
    }

    fn ramp(from: &str, process: Process) -> Shape {
        Shape::Ramp { from: from.parse().expect("a rate"), process }
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
    fn a_ramp_has_the_mean_of_its_rates() {
        let schedule = arrivals(ramp("100/s", Process::Even), "300/s", "10s").schedule(1).expect("valid");
        assert_eq!((schedule.total(), schedule.due(5_000_000_000)), (2_000, 751));
        // The second comes after a hundredth of a second, the last one three hundred times as densely.
        assert_eq!((schedule.offset_ns(0), schedule.offset_ns(1)), (0, 9_990_019));
        assert_eq!(10_000_000_000 - schedule.offset_ns(1_999), 3_333_704);
    }

    #[test]
    fn a_replay_is_the_recording_at_its_speed() {
        let recording = Recording::new(vec![500, 100, 100, 1_100]).expect("a recording");
        let replay = Arrivals::replay(recording, "0.5".parse().expect("a speed")).expect("a replay");
        let schedule = replay.schedule(1).expect("valid");
        assert_eq!((walk(schedule.clone()), schedule.duration_ns()), (vec![0, 0, 800, 2_000], 2_001));
        assert_eq!([0, 799, 800, 2_000, 9_999].map(|elapsed_ns| schedule.due(elapsed_ns)), [2, 2, 3, 4, 4]);
    }

    /// Walking, random access and counting agree, all lie within the span, and there are as many as there should be.
    fn agrees(arrivals: &Arrivals, seed: u64) {
        let schedule = arrivals.schedule(seed).expect("valid");
        let offsets = walk(schedule.clone());
        assert_eq!(Ok(offsets.len() as u64), arrivals.total(), "{arrivals:?}");
        assert_eq!(schedule.total(), offsets.len() as u64, "{arrivals:?}");
        assert!(offsets.is_sorted(), "{arrivals:?}");
        assert!(*offsets.last().expect("not empty") < schedule.duration_ns(), "{arrivals:?}");
        for (n, offset) in offsets.iter().enumerate().step_by(1 + offsets.len() / 50) {
            assert_eq!(schedule.offset_ns(n as u64), *offset, "{arrivals:?}: message {n}");
            for at in [offset.saturating_sub(1), *offset, offset + 1] {
                let due = offsets.partition_point(|other| *other <= at) as u64;
                assert_eq!(schedule.due(at), due, "{arrivals:?}: at {at} ns");
            }
        }
    }

    #[test]
    fn walking_random_access_and_counting_agree() {
        for (rate, duration) in [("5000/s", "1s"), ("7/s", "3s"), ("1/s", "1s"), ("100000/s", "100ms"), ("5/ns", "3ns")]
        {
            for shape in [Shape::Constant, Shape::Poisson, ramp("3/s", Process::Even), ramp("3/s", Process::Poisson)] {
                agrees(&arrivals(shape, rate, duration), 9);
            }
        }
    }

    /// At most 30,000/s.
    fn any_rate() -> impl Strategy<Value = Rate> {
        let units = [250_000_000, 1_000_000_000, 60_000_000_000];
        let per_ns = prop_oneof![proptest::sample::select(units.to_vec()), 100_000_000_u64..1_000_000_000];
        (1_u64..3_000, per_ns)
            .prop_map(|(messages, per_ns)| Rate::new(messages, Duration::from_nanos(per_ns)).expect("a rate"))
    }

    fn any_process() -> impl Strategy<Value = Process> {
        prop_oneof![Just(Process::Even), Just(Process::Poisson)]
    }

    fn any_duration(most_ns: u64) -> impl Strategy<Value = Duration> {
        prop_oneof![1..most_ns, 1..1_000_u64].prop_map(Duration::from_nanos)
    }

    fn any_arrivals() -> impl Strategy<Value = Arrivals> {
        let steady = (any_rate(), any_process(), any_duration(100_000_000)).prop_map(|(rate, process, duration)| {
            let shape = if process == Process::Even { Shape::Constant } else { Shape::Poisson };
            Arrivals { shape, rate, duration }
        });
        let ramp = (any_rate(), any_rate(), any_process(), any_duration(100_000_000)).prop_map(
            |(from, rate, process, duration)| Arrivals { shape: Shape::Ramp { from, process }, rate, duration },
        );
        let step = (any_rate(), any_duration(20_000_000)).prop_map(|(rate, duration)| Step { rate, duration });
        let steps = (proptest::collection::vec(step, 1..6), any_process())
            .prop_map(|(steps, process)| Arrivals::steps(steps, process).expect("steps"));
        let burst = (any_rate(), any_rate(), any_process(), [1_u64..5_000_000, 1..10_000_000, 1..50_000_000]).prop_map(
            |(rate, burst, process, [length, gap, rest])| {
                let [length, every, whole] = [length, length + gap, length + gap + rest].map(Duration::from_nanos);
                let bursts = Bursts { rate: burst, every, duration: length };
                Arrivals { shape: Shape::Burst { bursts, process }, rate, duration: whole }
            },
        );
        let replay = (proptest::collection::vec(0_u64..1_000_000_000, 1..500), 1_u32..5_000).prop_map(
            |(instants, thousandths)| {
                let speed = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
                let recording = Recording::new(instants).expect("a recording");
                Arrivals::replay(recording, speed.parse().expect("a speed")).expect("a replay")
            },
        );
        prop_oneof![steady, ramp, steps, burst, replay]
    }

    proptest! {
        #[test]
        fn every_shape_agrees_with_itself(arrivals in any_arrivals(), seed: u64) {
            // Rates whose units have nothing in common may leave 128 bits; that is said, and nothing is scheduled.
            if !matches!(arrivals.total(), Err(ScheduleError::Inexact { .. } | ScheduleError::Ramp { .. })) {
                agrees(&arrivals, seed);
            }
        }

        #[test]
        fn arrivals_survive_json(arrivals in any_arrivals()) {
            let text = serde_json::to_string(&arrivals).expect("serializable");
            prop_assert_eq!(serde_json::from_str::<Arrivals>(&text).expect("readable"), arrivals);
        }
    }

    #[test]
    fn poisson_arrivals_follow_the_seed() {
        for shape in [Shape::Poisson, ramp("1/s", Process::Poisson)] {
            let arrivals = arrivals(shape, "5000/s", "1s");
            let walk_of = |seed| walk(arrivals.schedule(seed).expect("valid"));
            assert_eq!(walk_of(1), walk_of(1));
            assert_ne!(walk_of(1), walk_of(2));
        }
    }
}
