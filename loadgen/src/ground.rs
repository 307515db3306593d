//! What a load has before it begins, whatever it is offered to: its schedule, its record, and the threads it gives both to.
//!
//! `load.rs` makes the clients; what they are made for lies in `topic_target.rs` and `http_client.rs`. Each client has a
//! [`Lane`] of its own, with a pacer and a thread for its answers; lanes share the record, the cap and the start.

use crate::clock::RunClock;
use crate::lateness::OwnLateness;
use crate::load::{Load, LoadError};
use crate::meter::Reporter;
use crate::pacer::{Cap, Pacer, PacerState};
use crate::part::{Part, Shard};
use crate::plan::LoadPlan;
use crate::recorder::Recorder;
use crate::schedule::Schedule;
use crate::stop::StopFlag;
use crate::target::Target;
use crate::workload::Workload;
use shakedown_reports::{IntervalLog, OperationWriter};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// What a load has before it begins, whatever it is offered to.
pub(crate) struct Ground {
    schedule: Schedule,
    workload: Workload,
    /// How many messages of the plan are this shard's.
    pub(crate) planned: u64,
    cap: Option<Arc<Cap>>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) clock: RunClock,
    intervals: IntervalLog,
    /// Raised with the one that the load was given, and when a thread of the load panics: the others would wait for it.
    pub(crate) stop: StopFlag,
}

impl Ground {
    pub(crate) fn new(
        plan: &LoadPlan,
        shard: Shard,
        clock: RunClock,
        operations: OperationWriter,
        intervals: IntervalLog,
        stop: StopFlag,
    ) -> Result<Self, LoadError> {
        plan.validate_for(shard)?;
        let (schedule, workload) = (plan.schedule()?, plan.workload()?);
        Ok(Self {
            planned: planned(&workload, schedule.total(), shard),
            // Shards know nothing of what the others send: each has an equal part of the cap, so that all keep it together.
            cap: plan.max_rate.and_then(|rate| Cap::new(rate.slowed(shard.of()))).map(Arc::new),
            recorder: Arc::new(Recorder::new(clock, operations)?),
            schedule,
            workload,
            clock,
            intervals,
            stop: stop.into_part(),
        })
    }

    /// From the load's beginning to the last arrival.
    pub(crate) fn span_ns(&self) -> u64 {
        self.schedule.duration_ns()
    }

    /// Begins to offer, each lane with the thread that takes its answers; offsets of the schedule count from `started_ns`.
    pub(crate) fn begin<T>(self, lanes: Vec<(Lane, T, Delivery)>, started_ns: u64) -> Result<Load, LoadError>
    where
        T: Target + Send + 'static,
    {
        let recorder = &self.recorder;
        let reporter = Reporter::start("load-reporter", self.clock, self.intervals.clone(), recorder.meters());
        let mut load = Load {
            planned: self.planned,
            planned_span_ns: self.schedule.duration_ns(),
            started_ns,
            recorder: Arc::clone(recorder),
            lanes: Vec::with_capacity(lanes.len()),
            threads: Vec::with_capacity(lanes.len()),
            reporter: reporter.map_err(|source| LoadError::Spawn { thread: "reporter", source })?,
        };
        let mut failed = None;
        for (lane, target, delivery) in lanes {
            let pacer = match &failed {
                None => self.pace(&lane, target, started_ns).map_err(|error| failed = Some(error)).ok(),
                Some(_) => None,
            };
            if pacer.is_none() {
                lane.state.done();
            }
            load.lanes.push(lane.state);
            load.threads.push(LaneThreads { pacer, delivery });
        }
        match failed {
            None => Ok(load),
            Some(error) => {
                self.stop.stop();
                // Why the load did not begin says more than how its empty record was closed.
                drop(load.join());
                Err(error)
            }
        }
    }

    fn pace<T>(&self, lane: &Lane, target: T, started_ns: u64) -> Result<JoinHandle<()>, LoadError>
    where
        T: Target + Send + 'static,
    {
        let pacer = Pacer {
            clock: self.clock,
            started_ns,
            part: lane.part,
            target,
            recorder: Arc::clone(&self.recorder),
            state: Arc::clone(&lane.state),
            stop: self.stop.clone(),
            cap: self.cap.clone(),
            schedule: self.schedule.clone().cursor(),
            workload: self.workload.clone(),
            own_lateness: OwnLateness::default(),
            since_answers: 0,
            read_ns: 0,
        };
        self.spawn("pacer", move || pacer.run())
    }

    /// A thread of this load, without which there is no use in the others.
    pub(crate) fn spawn(
        &self,
        name: &'static str,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<JoinHandle<()>, LoadError> {
        let guard = StopsOnPanic(self.stop.clone());
        let body = move || {
            let _guard = guard;
            body();
        };
        let builder = thread::Builder::new().name(format!("load-{name}"));
        builder.spawn(body).map_err(|source| LoadError::Spawn { thread: name, source })
    }

    /// The load does not begin, for this reason.
    pub(crate) fn abandon(self, deliveries: Vec<(Lane, Delivery)>, error: LoadError) -> LoadError {
        for (lane, _) in &deliveries {
            lane.state.done();
        }
        let mut panicked = false;
        for (_, delivery) in deliveries {
            panicked |= delivery.join().is_err();
        }
        // Why the load did not begin says more than how its empty record was closed.
        drop(self.recorder.finish());
        if panicked { LoadError::Panicked { thread: "delivery" } } else { error }
    }
}

/// How many messages of a plan are a shard's. Without shards nobody has to look.
fn planned(workload: &Workload, total: u64, shard: Shard) -> u64 {
    if shard == Shard::WHOLE {
        return total;
    }
    let mut workload = workload.clone();
    (0..total).map(|_| u64::from(shard.has(workload.next_message().key))).sum()
}

/// One client's part of a load.
pub(crate) struct Lane {
    pub(crate) part: Part,
    pub(crate) state: Arc<PacerState>,
}

impl Lane {
    pub(crate) fn new(part: Part) -> Self {
        Self { part, state: Arc::new(PacerState::default()) }
    }
}

/// The threads of a lane under load.
#[derive(Debug)]
pub(crate) struct LaneThreads {
    /// Nobody where its thread could not be started.
    pub(crate) pacer: Option<JoinHandle<()>>,
    pub(crate) delivery: Delivery,
}

/// The thread that takes the answers.
pub(crate) type Delivery = JoinHandle<()>;

struct StopsOnPanic(StopFlag);

impl Drop for StopsOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeySpace;
    use crate::schedule::{Arrivals, Shape};
    use crate::slots::InFlight;
    use crate::target::Handed;
    use crate::workload::PlannedMessage;
    use shakedown_reports::{RunDirectory, RunInfo};
    use std::time::Duration;

    /// Has no room for anything, ever.
    struct Full;

    impl Target for Full {
        fn prepare(&mut self, _: &Workload, _: &PlannedMessage) {}

        fn hand_over(&mut self, _: &InFlight, _: u64) -> Handed {
            Handed::Full
        }
    }

    #[test]
    fn a_load_that_loses_a_thread_ends_and_leaves_others_alone() {
        let rate = "1000/s".parse().expect("a rate");
        let arrivals = Arrivals { shape: Shape::Constant, rate, duration: Duration::from_secs(3_600) };
        let plan = LoadPlan::new(1, 1, "orders", arrivals, KeySpace::uniform(10));
        let root = tempfile::tempdir().expect("a temporary directory");
        let directory = RunDirectory::create(root.path(), &RunInfo::new("lost", 1)).expect("a run directory");
        let (clock, stop) = (RunClock::start(), StopFlag::new());
        let operations = directory.operation_writer().expect("one load a run");
        let ground = Ground::new(&plan, Shard::WHOLE, clock, operations, directory.interval_log(), stop.clone());
        let ground = ground.expect("a plan that is fit");
        let lane = Lane::new(Part::all(Shard::WHOLE, 1).next().expect("one producer has one part"));
        let state = Arc::clone(&lane.state);
        let delivery = ground.spawn("delivery", move || {
            while state.queue_full.load(std::sync::atomic::Ordering::Relaxed) == 0 {
                thread::yield_now();
            }
            panic!("a bug in the test's delivery thread, on purpose");
        });
        let lanes = vec![(lane, Full, delivery.expect("a thread"))];
        let ended = ground.begin(lanes, clock.now_ns()).expect("it begins").join();
        assert!(matches!(ended, Err(LoadError::Panicked { thread: "delivery" })), "{ended:?}");
        assert!(!stop.is_stopped());
    }
}
