//! The thread that offers the load: wakes at absolute deadlines and sends what is due, late or not.
//!
//! The pacer knows nothing of how the system fares but for one thing: when the target has no room it tries again
//! until the message is taken. The message keeps its intended instant, so the wait is part of its latency, and so is
//! that of every message behind it. Where somebody has closed its [`Gate`], it waits there, and the schedule with it.

use crate::clock::RunClock;
use crate::gate::{Gate, HELD_MAX};
use crate::lateness::OwnLateness;
use crate::part::Part;
use crate::rate::Rate;
use crate::recorder::Recorder;
use crate::schedule::ScheduleCursor;
use crate::slots::InFlight;
use crate::stop::StopFlag;
use crate::target::{Handed, Target};
use crate::turn::Turn;
use crate::workload::{PlannedMessage, Workload};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// The pacer sleeps no less, so that a fast schedule costs ten thousand wake-ups a second and not a core.
const TICK_NS: u64 = 100_000;
/// It sleeps no longer, so that a slow schedule sees a raised flag.
const SLEEP_MAX_NS: u64 = 20_000_000;
/// How long a full queue is left alone.
const QUEUE_FULL_PAUSE: Duration = Duration::from_micros(200);
/// Between two looks at a gate that is closed.
const GATE_PAUSE: Duration = Duration::from_micros(200);
/// So late it has no time to sleep for a while, and takes the answers itself.
const FAR_BEHIND_NS: u64 = 10_000_000;
/// After so many messages, then.
const ANSWERS_EVERY: u32 = 64;
/// What a cap may let through at once; a limiter without any burst cannot reach its rate with real sleeps.
const CAP_BURST_NS: u64 = 5_000_000;

/// What the pacer tells while it runs, and is told.
#[derive(Debug, Default)]
pub(crate) struct PacerState {
    /// Written by the pacer alone.
    pub(crate) offered: AtomicU64,
    /// Of these, how many the client refused for good.
    pub(crate) refused: AtomicU64,
    pub(crate) queue_full: AtomicU64,
    pub(crate) blocked_ns: AtomicU64,
    pub(crate) last_sent_ns: AtomicU64,
    pub(crate) stopped_early: AtomicBool,
    /// Where it is to wait.
    pub(crate) gate: Gate,
    /// Who takes the answers.
    pub(crate) turn: Turn,
    /// Nothing more will be offered.
    pub(crate) done: AtomicBool,
}

impl PacerState {
    /// Nothing more will be offered.
    pub(crate) fn done(&self) {
        self.turn.give_back();
        self.done.store(true, Ordering::Release);
    }
}

/// How long to sleep until the next message is due, given that one tick is the least.
fn pause_ns(now_ns: u64, due_ns: u64) -> u64 {
    due_ns.saturating_sub(now_ns).clamp(TICK_NS, SLEEP_MAX_NS)
}

pub(crate) struct Pacer<T> {
    pub(crate) clock: RunClock,
    /// When offsets of the schedule count from.
    pub(crate) started_ns: u64,
    /// Whose messages are offered; those of others are passed over.
    pub(crate) part: Part,
    pub(crate) target: T,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) state: Arc<PacerState>,
    pub(crate) stop: StopFlag,
    pub(crate) cap: Option<Arc<Cap>>,
    pub(crate) schedule: ScheduleCursor,
    pub(crate) workload: Workload,
    pub(crate) own_lateness: OwnLateness,
    /// Messages since the pacer took answers itself.
    pub(crate) since_answers: u32,
    /// The last reading of the clock, of which there are few: a pacer in arrears has no time for more.
    pub(crate) read_ns: u64,
}

/// The message was never offered: the run was stopped.
struct Stopped;

impl<T: Target> Pacer<T> {
    /// Offers its part of the whole schedule, or what of it is due until the flag is raised.
    pub(crate) fn run(mut self) {
        let mut held_ns = 0;
        while let Some(offset) = self.schedule.peek() {
            let message = self.workload.next_message();
            if !self.part.has(message.key) {
                self.schedule.advance();
                continue;
            }
            let due_ns = self.started_ns.saturating_add(offset);
            let ready = self.wait_until(due_ns.saturating_add(held_ns));
            let ready = ready.and_then(|()| self.wait_at_gate(message.sequence));
            let offered = ready.and_then(|waited_ns| {
                held_ns += waited_ns;
                self.offer(&message, due_ns.saturating_add(held_ns))
            });
            if offered.is_err() {
                self.state.stopped_early.store(true, Ordering::Release);
                break;
            }
            self.schedule.advance();
        }
    }

    fn wait_until(&mut self, due_ns: u64) -> Result<(), Stopped> {
        loop {
            if self.stop.is_stopped() {
                return Err(Stopped);
            }
            if self.read_ns < due_ns {
                self.read_ns = self.clock.now_ns();
            }
            if self.read_ns >= due_ns {
                self.take_answers_when_behind(self.read_ns - due_ns);
                return Ok(());
            }
            self.own_lateness.caught_up();
            // Whoever sleeps takes no answers.
            self.state.turn.give_back();
            self.target.rest();
            // What was put off has taken its time.
            self.clock.sleep(Duration::from_nanos(pause_ns(self.clock.now_ns(), due_ns)));
        }
    }

    /// Where nothing else makes it wait: a gate and a cap do, and answers must not wait with it.
    fn take_answers_when_behind(&mut self, late_ns: u64) {
        if !T::HAS_ANSWERS || self.cap.is_some() {
            return;
        }
        if late_ns < FAR_BEHIND_NS {
            self.state.turn.give_back();
        } else if self.state.turn.ask() {
            self.since_answers += 1;
            if self.since_answers >= ANSWERS_EVERY {
                self.since_answers = 0;
                self.target.take_answers();
            }
        }
    }

    /// Waits for as long as the gate holds it here; how long that was.
    fn wait_at_gate(&mut self, sequence: u64) -> Result<u64, Stopped> {
        if !self.state.gate.holds(sequence) {
            return Ok(0);
        }
        self.state.turn.give_back();
        self.target.rest();
        let began_ns = self.clock.now_ns();
        while self.state.gate.holds(sequence) {
            if self.stop.is_stopped() {
                return Err(Stopped);
            }
            if u128::from(self.clock.now_ns() - began_ns) >= HELD_MAX.as_nanos() {
                self.state.gate.give_up();
            }
            thread::sleep(GATE_PAUSE);
        }
        Ok(self.clock.now_ns() - began_ns)
    }

    fn offer(&mut self, message: &PlannedMessage, intended_ns: u64) -> Result<(), Stopped> {
        if let Some(cap) = &self.cap {
            cap.wait(&self.stop, || self.target.rest())?;
        }
        self.target.prepare(&self.workload, message);
        let mut first = None;
        loop {
            self.read_ns = self.clock.now_ns();
            let (first_ns, own_ns) =
                *first.get_or_insert_with(|| (self.read_ns, self.own_lateness.of(intended_ns, self.read_ns)));
            let in_flight = InFlight {
                sequence: message.sequence,
                key: message.key,
                key_sequence: message.key_sequence,
                value: message.value,
                intended_ns,
                sent_ns: self.read_ns,
            };
            match self.target.hand_over(&in_flight, own_ns) {
                Handed::Full => {
                    self.pause_for_queue()?;
                    continue;
                }
                Handed::Taken => {}
                Handed::Refused(end) => {
                    self.recorder.record(&in_flight, end);
                    self.state.refused.fetch_add(1, Ordering::Release);
                }
            }
            // It may have waited for room before.
            self.own_lateness.blocked(in_flight.sent_ns - first_ns);
            self.count(in_flight.sent_ns);
            return Ok(());
        }
    }

    fn count(&self, sent_ns: u64) {
        self.state.last_sent_ns.store(sent_ns, Ordering::Relaxed);
        // Nobody else writes it: to add in one step would be to wait for all that was written before.
        let offered = self.state.offered.load(Ordering::Relaxed);
        self.state.offered.store(offered + 1, Ordering::Release);
    }

    fn pause_for_queue(&mut self) -> Result<(), Stopped> {
        self.state.queue_full.fetch_add(1, Ordering::Relaxed);
        if self.stop.is_stopped() {
            return Err(Stopped);
        }
        self.target.rest();
        let before_ns = self.clock.now_ns();
        if self.state.turn.is_lent() {
            self.target.take_answers();
        }
        self.target.wait_for_room(QUEUE_FULL_PAUSE);
        self.state.blocked_ns.fetch_add(self.clock.now_ns() - before_ns, Ordering::Relaxed);
        Ok(())
    }
}

/// However the pacer ends, the delivery thread must not wait for more.
impl<T> Drop for Pacer<T> {
    fn drop(&mut self) {
        self.state.done();
    }
}

/// A plan's `max_rate`, or a shard's part of it, over all producers of this process. What it holds back is late. Periods are
/// whole nanoseconds, rounded up: a cap is never passed.
pub(crate) struct Cap {
    limiter: DefaultDirectRateLimiter,
    clock: DefaultClock,
}

impl Cap {
    /// `None` for a rate beyond one message each nanosecond, which caps nothing.
    pub(crate) fn new(rate: Rate) -> Option<Self> {
        let quota = Quota::with_period(Duration::from_nanos(rate.per_ns().div_ceil(rate.messages())))?;
        let burst = rate.messages_within(CAP_BURST_NS).and_then(|burst| u32::try_from(burst).ok()).unwrap_or(u32::MAX);
        let quota = quota.allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN));
        Some(Self { limiter: RateLimiter::direct(quota), clock: DefaultClock::default() })
    }

    /// Waits until it may go on, if it has to, and says so before.
    fn wait(&self, stop: &StopFlag, mut about_to_wait: impl FnMut()) -> Result<(), Stopped> {
        while let Err(early) = self.limiter.check() {
            if stop.is_stopped() {
                return Err(Stopped);
            }
            about_to_wait();
            let wait = early.wait_time_from(self.clock.now());
            thread::sleep(wait.min(Duration::from_nanos(SLEEP_MAX_NS)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_end_when_a_message_is_due_within_bounds() {
        for (now_ns, due_ns, pause) in [
            (0, 2_000_000, 2_000_000),
            (1_000, 151_000, 150_000),
            (0, 10, TICK_NS),
            (10, 10, TICK_NS),
            (20, 10, TICK_NS),
            (0, 3_600_000_000_000, SLEEP_MAX_NS),
        ] {
            assert_eq!(pause_ns(now_ns, due_ns), pause, "at {now_ns}, due {due_ns}");
        }
    }
}
