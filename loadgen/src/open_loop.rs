//! A test of the arithmetic of an open loop: a target that stands still for a known time makes known percentiles.
//!
//! At a constant rate, a message each `T`, those that are due while the target stands still for `S` wait for what is left of
//! it, and then for those before them, `s` each: the k-th of them comes `S - k (T - s)` late. So the latency at quantile `q` of
//! `n` messages is that of the k-th with `k = (1 - q) n`, for as long as `k` is less than what waits. A generator that measures
//! from the send sees one slow message and no more ("coordinated omission").
//!
//! And of what the pacer does where a target has no room, or takes no message at all.
//!
//! Time is told here, so that the machine's own lateness is no part of the result; everything else is what a real load runs:
//! schedule, pacer, recorder, histograms, interval log.

use crate::clock::RunClock;
use crate::keys::KeySpace;
use crate::lateness::OwnLateness;
use crate::meter::Reporter;
use crate::pacer::{Pacer, PacerState};
use crate::part::{Part, Shard};
use crate::plan::LoadPlan;
use crate::recorder::{End, Recorder};
use crate::schedule::{Arrivals, Shape};
use crate::slots::InFlight;
use crate::stop::StopFlag;
use crate::target::{Handed, Target};
use crate::workload::{PlannedMessage, Workload};
use hdrhistogram::Histogram;
use shakedown_reports::record::Outcome;
use shakedown_reports::{RunDirectory, RunInfo, intervals};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long the target stands still, and before which message.
const STALL: Duration = Duration::from_millis(500);
const STALLS_AT: u64 = 2_000;
/// How long it takes for a message otherwise.
const SERVICE: Duration = Duration::from_micros(2);

/// Acknowledges a message within [`SERVICE`], on the pacer's own thread, and stands still once.
struct StallingTarget {
    clock: RunClock,
    recorder: Arc<Recorder>,
}

impl Target for StallingTarget {
    fn prepare(&mut self, _: &Workload, _: &PlannedMessage) {}

    fn hand_over(&mut self, message: &InFlight, own_ns: u64) -> Handed {
        if message.sequence == STALLS_AT {
            self.clock.sleep(STALL);
        }
        self.clock.sleep(SERVICE);
        self.recorder.lateness.record(own_ns);
        self.recorder.record(message, End::taken());
        Handed::Taken
    }
}

/// The pacer of a plan whose first message is due now.
fn pacer<T>(plan: &LoadPlan, clock: RunClock, target: T, recorder: Arc<Recorder>) -> Pacer<T> {
    Pacer {
        clock,
        started_ns: clock.now_ns(),
        part: Part::all(Shard::WHOLE, 1).next().expect("one producer has one part"),
        target,
        recorder,
        state: Arc::new(PacerState::default()),
        stop: StopFlag::new(),
        cap: None,
        schedule: plan.schedule().expect("valid").cursor(),
        workload: plan.workload().expect("valid"),
        own_lateness: OwnLateness::default(),
        since_answers: 0,
        read_ns: 0,
    }
}

/// Where a run is recorded, for as long as its folder is held.
fn record(clock: RunClock) -> (TempDir, RunDirectory, Arc<Recorder>) {
    let root = tempfile::tempdir().expect("a temporary directory");
    let directory = RunDirectory::create(root.path(), &RunInfo::new("open loop", 1)).expect("a run directory");
    let operations = directory.operation_writer().expect("one load a run");
    let recorder = Arc::new(Recorder::new(clock, operations).expect("a thread"));
    (root, directory, recorder)
}

/// 8,000 messages at 10,000/s against that target; what the run directory says of them, by tag.
fn offer() -> impl Fn(&str) -> Histogram<u64> {
    let arrivals = Arrivals {
        shape: Shape::Constant,
        rate: "10000/s".parse().expect("a rate"),
        duration: Duration::from_millis(800),
    };
    let plan = LoadPlan::new(1, 1, "orders", arrivals, KeySpace::uniform(10));
    let clock = RunClock::told();
    let (_root, directory, recorder) = record(clock);
    let reporter = Reporter::start("reporter", clock, directory.interval_log(), recorder.meters()).expect("a thread");
    let target = StallingTarget { clock, recorder: Arc::clone(&recorder) };
    let pacer = pacer(&plan, clock, target, Arc::clone(&recorder));
    pacer.run();
    recorder.finish().expect("operations are written");
    reporter.finish().expect("no panic").expect("intervals are written");
    let log = intervals::read(directory.path()).expect("a good log");
    move |tag| intervals::total(&log, tag)
}

#[test]
fn a_stall_of_half_a_second_has_its_true_weight_in_every_percentile() {
    let measured = offer();
    let (ack, service, delay, lateness) =
        (measured("ack"), measured("service"), measured("delay"), measured("lateness"));
    for histogram in [&ack, &service, &delay, &lateness] {
        assert_eq!(histogram.len(), 8_000, "nothing is sampled");
    }
    let (stall_ns, interval_ns, service_ns) = (500e6, 100e3, 2e3);
    for (quantile, above) in [(0.5, 4_000.0), (0.75, 2_000.0), (0.9, 800.0), (0.99, 80.0), (0.999, 8.0), (0.9999, 0.0)]
    {
        let expected_ns = stall_ns - above * (interval_ns - service_ns);
        let off = |histogram: &Histogram<u64>| histogram.value_at_quantile(quantile) as f64 / expected_ns - 1.0;
        assert!(off(&ack).abs() < 0.05, "p{}: {:+.1} % off {expected_ns} ns", quantile * 100.0, off(&ack) * 100.0);
        // The same check convicts whoever measures from the send: half a second is one message in 8,000 to him.
        if quantile < 0.9999 {
            assert!(off(&service) < -0.99, "p{}: {:+.1} %", quantile * 100.0, off(&service) * 100.0);
        }
    }
    assert!(ack.max().abs_diff(500_002_000) < 1_000_000, "{} ns", ack.max());
    assert_eq!(ack.value_at_quantile(0.3) / 1_000_000, 0, "what was due before and behind it is fast");
}

/// Takes everything, answers nothing, and has answers to be taken.
struct Silent(mpsc::Sender<u64>);

impl Target for Silent {
    const HAS_ANSWERS: bool = true;

    fn prepare(&mut self, _: &Workload, _: &PlannedMessage) {}

    fn hand_over(&mut self, message: &InFlight, _: u64) -> Handed {
        self.0.send(message.sequence).expect("the test listens");
        Handed::Taken
    }
}

#[test]
fn a_pacer_that_was_late_and_sleeps_leaves_the_answers_to_others() {
    // One message at once, and the next in a minute.
    let arrivals =
        Arrivals { shape: Shape::Constant, rate: "1/m".parse().expect("a rate"), duration: Duration::from_secs(120) };
    let plan = LoadPlan::new(1, 1, "orders", arrivals, KeySpace::uniform(10));
    let clock = RunClock::start();
    let (_root, _directory, recorder) = record(clock);
    let (sent, handed) = mpsc::channel();
    let mut pacer = pacer(&plan, clock, Silent(sent), recorder);
    // It is late by as much as makes it ask for the turn.
    pacer.started_ns -= 1_000_000_000;
    let (state, stop) = (Arc::clone(&pacer.state), pacer.stop.clone());
    let pacing = thread::spawn(move || pacer.run());
    assert_eq!(handed.recv_timeout(Duration::from_secs(30)), Ok(0));
    let began = Instant::now();
    while state.turn.lend(Duration::ZERO) {
        assert!(began.elapsed() < Duration::from_secs(30), "nobody takes answers while it sleeps");
        thread::yield_now();
    }
    assert!(!state.turn.is_lent() && state.offered.load(Ordering::Acquire) == 1);
    stop.stop();
    pacing.join().expect("no panic");
}

/// Has room at some attempts only, and says what it was handed; an attempt takes no time, and a wait what the pacer asks for.
struct Narrow {
    clock: RunClock,
    attempts: u32,
    /// Sequence, intended, sent, and how late by the generator's own doing.
    taken: mpsc::Sender<(u64, u64, u64, u64)>,
    stop: StopFlag,
}

impl Target for Narrow {
    fn wait_for_room(&mut self, pause: Duration) {
        self.clock.sleep(pause);
    }

    fn prepare(&mut self, _: &Workload, _: &PlannedMessage) {}

    fn hand_over(&mut self, message: &InFlight, own_ns: u64) -> Handed {
        self.attempts += 1;
        match self.attempts {
            // The first message is full twice, the second once and then refused, the third taken at once; the fourth never.
            1 | 2 | 4 => return Handed::Full,
            5 => return Handed::Refused(End::unacknowledged(Outcome::Fail, 10)),
            3 | 6 => {}
            9 => {
                self.stop.stop();
                return Handed::Full;
            }
            _ => return Handed::Full,
        }
        let place = (message.sequence, message.intended_ns, message.sent_ns, own_ns);
        self.taken.send(place).expect("the test listens");
        Handed::Taken
    }
}

#[test]
fn a_message_without_room_waits_keeps_its_instant_and_excuses_those_behind_it() {
    let arrivals =
        Arrivals { shape: Shape::Constant, rate: "10000/s".parse().expect("a rate"), duration: Duration::from_secs(1) };
    let plan = LoadPlan::new(1, 1, "orders", arrivals, KeySpace::uniform(10));
    let clock = RunClock::told();
    let (_root, _directory, recorder) = record(clock);
    let ((sent, taken), stop) = (mpsc::channel(), StopFlag::new());
    let target = Narrow { clock, attempts: 0, taken: sent, stop: stop.clone() };
    let mut pacer = pacer(&plan, clock, target, Arc::clone(&recorder));
    pacer.stop = stop;
    let (state, began_ns) = (Arc::clone(&pacer.state), pacer.started_ns);
    pacer.run();
    // Waits are of 200 us: the first message goes after two, the second is refused after a third, the third goes then.
    let taken: Vec<_> =
        taken.iter().map(|(sequence, due, sent, own)| (sequence, due - began_ns, sent - began_ns, own)).collect();
    assert_eq!(taken, [(0, 0, 400_000, 0), (2, 200_000, 600_000, 0)]);
    let count = |counter: &AtomicU64| counter.load(Ordering::Acquire);
    assert_eq!((count(&state.offered), count(&state.refused), count(&recorder.failed)), (3, 1, 1));
    // The fourth was full three times, and the load was stopped before it waited once more.
    assert_eq!((count(&state.queue_full), count(&state.blocked_ns)), (6, 5 * 200_000));
    assert!(state.stopped_early.load(Ordering::Acquire));
    recorder.finish().expect("operations are written");
}
