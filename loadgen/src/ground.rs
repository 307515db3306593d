//! What a load has before it begins, whatever it is offered to: its schedule, its record, and the threads it gives both to.
//!
//! `load.rs` makes the client; what the client is made for lies in `topic_target.rs` and `http_client.rs`.

use crate::clock::RunClock;
use crate::lateness::OwnLateness;
use crate::load::{Load, LoadError};
use crate::meter::Reporter;
use crate::pacer::{Cap, Pacer, PacerState};
use crate::plan::LoadPlan;
use crate::recorder::Recorder;
use crate::schedule::Schedule;
use crate::slots::Slots;
use crate::stop::StopFlag;
use crate::target::Target;
use crate::workload::Workload;
use shakedown_reports::{DirectoryError, IntervalLog, OperationWriter};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

/// What a load has before it begins, whatever it is offered to.
pub(crate) struct Ground {
    schedule: Schedule,
    workload: Workload,
    cap: Option<Cap>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) state: Arc<PacerState>,
    clock: RunClock,
    intervals: IntervalLog,
    pub(crate) stop: StopFlag,
}

impl Ground {
    /// `slots_of` says how many messages may be in flight, of so many in all.
    pub(crate) fn new(
        plan: &LoadPlan,
        slots_of: impl FnOnce(u64) -> u32,
        clock: RunClock,
        operations: OperationWriter,
        intervals: IntervalLog,
        stop: StopFlag,
    ) -> Result<Self, LoadError> {
        plan.validate()?;
        let schedule = plan.schedule()?;
        Ok(Self {
            workload: plan.workload()?,
            cap: plan.max_rate.and_then(Cap::new),
            slots: Arc::new(Slots::new(slots_of(schedule.total()))),
            recorder: Arc::new(Recorder::new(clock, operations)),
            state: Arc::new(PacerState::default()),
            schedule,
            clock,
            intervals,
            stop,
        })
    }

    /// Begins to offer, with the thread that takes the answers.
    pub(crate) fn begin<T: Target + Send + 'static>(self, target: T, delivery: Delivery) -> Result<Load, LoadError> {
        let (planned, planned_span_ns) = (self.schedule.total(), self.schedule.duration_ns());
        let (recorder, state) = (Arc::clone(&self.recorder), Arc::clone(&self.state));
        match self.pace(target) {
            Ok((reporter, pacer)) => Ok(Load { planned, planned_span_ns, recorder, state, pacer, delivery, reporter }),
            Err(error) => Err(abandon(&state, delivery, error)),
        }
    }

    fn pace<T: Target + Send + 'static>(self, target: T) -> Result<(Reporter, JoinHandle<()>), LoadError> {
        let Self { schedule, workload, cap, slots, recorder, state, clock, intervals, stop } = self;
        let meters = [&recorder.ack, &recorder.service, &recorder.delay, &recorder.lateness].map(Arc::clone).to_vec();
        let reporter = Reporter::start("load-reporter", clock, intervals, meters)
            .map_err(|source| LoadError::Spawn { thread: "reporter", source })?;
        let pacer = Pacer {
            clock,
            target,
            recorder,
            slots,
            state,
            stop,
            cap,
            schedule: schedule.cursor(),
            workload,
            held: None,
            own_lateness: OwnLateness::default(),
        };
        Ok((reporter, spawn("pacer", move || pacer.run())?))
    }

    /// The load does not begin, for this reason.
    pub(crate) fn abandon(self, delivery: Delivery, error: LoadError) -> LoadError {
        abandon(&self.state, delivery, error)
    }
}

/// The thread that takes the answers.
pub(crate) type Delivery = JoinHandle<Result<(), DirectoryError>>;

fn abandon(state: &PacerState, delivery: Delivery, error: LoadError) -> LoadError {
    state.done.store(true, Ordering::Release);
    // Why the load did not begin says more than how its empty record was closed.
    drop(delivery.join());
    error
}

pub(crate) fn spawn<T: Send + 'static>(
    name: &'static str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, LoadError> {
    let builder = thread::Builder::new().name(format!("load-{name}"));
    builder.spawn(body).map_err(|source| LoadError::Spawn { thread: name, source })
}
