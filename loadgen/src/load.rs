//! One load: the pacer, the client, and the thread that takes its answers.
//!
//! Three threads: the pacer offers; the delivery thread polls the client and records how each message ended; the
//! reporter writes an interval of the histograms each second. At the end everything offered has ended: acknowledged,
//! failed, or unknown when the plan's flush timeout passes without an answer.

use crate::client::{self, LoadProducer};
use crate::clock::RunClock;
use crate::lateness::OwnLateness;
use crate::meter::Reporter;
use crate::pacer::{Cap, Pacer, PacerState};
use crate::plan::{LoadPlan, PlanError};
use crate::recorder::{End, Recorder};
use crate::slots::Slots;
use crate::stop::StopFlag;
use crate::topic::{self, TopicError};
use hdrhistogram::Histogram;
use rdkafka::error::KafkaError;
use rdkafka::producer::{Producer, PurgeConfig};
use shakedown_reports::record::Outcome;
use shakedown_reports::{DirectoryError, IntervalLog, OperationWriter};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long one poll of the client takes. The binding polls again for whatever is left of it, librdkafka counts whole
/// milliseconds and takes less than one for none, and both together spin: 20 ms, of which some microseconds have gone by,
/// are 19 ms of sleep and one of a busy processor. A little more than whole milliseconds is slept through.
const POLL: Duration = Duration::from_micros(20_200);
/// How often an idle stream of operations is handed to the operating system.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How long the cluster may take to let the client begin: coordinators may still be loading.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the client may take to give back what it was told to drop.
const PURGE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a load could not be offered, or not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The plan cannot be carried out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// librdkafka refuses the plan's properties.
    #[error("the Kafka client cannot be made: {0}")]
    Client(Box<KafkaError>),
    /// The topic cannot be offered to.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The cluster is reachable, and does not let an idempotent client begin.
    #[error("{bootstrap} gave no producer id within {READY_TIMEOUT:?}: {}", last_error.as_deref().unwrap_or("no error was reported"))]
    NotReady {
        /// Where it was asked for.
        bootstrap: String,
        /// What the client complained about last.
        last_error: Option<String>,
    },
    /// The record cannot be written.
    #[error(transparent)]
    Record(#[from] DirectoryError),
    /// A thread could not be started.
    #[error("the {thread} thread cannot be started: {source}")]
    Spawn {
        /// Which one.
        thread: &'static str,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A thread panicked: a bug in the generator.
    #[error("the {thread} thread panicked")]
    Panicked {
        /// Which one.
        thread: &'static str,
    },
}

/// Where a load stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Messages of the plan.
    pub planned: u64,
    /// Messages handed to the client.
    pub offered: u64,
    /// Messages that the cluster acknowledged.
    pub acknowledged: u64,
    /// Messages that were certainly not written.
    pub failed: u64,
    /// Messages of which nobody knows.
    pub unknown: u64,
    /// Messages that have not ended yet.
    pub in_flight: u64,
    /// How often the client's queue was full.
    pub queue_full: u64,
    /// How long the pacer waited for a full queue, in all.
    pub blocked_ns: u64,
    /// How late messages were by the generator's own making, up to the last whole interval; so are the others. What the
    /// system held back by a full queue is no part of it.
    pub lateness_p99_ns: u64,
    /// As [`Self::lateness_p99_ns`], of the latest message.
    pub lateness_max_ns: u64,
    /// Sent less intended, whoever made it late.
    pub delay_p99_ns: u64,
    /// Acknowledged less intended.
    pub ack_p50_ns: u64,
    /// Acknowledged less intended.
    pub ack_p99_ns: u64,
}

/// What a load came to.
#[derive(Debug, Clone)]
pub struct LoadSummary {
    /// The final counts and percentiles.
    pub progress: Progress,
    /// The instant that offsets of the schedule count from.
    pub started_ns: u64,
    /// The span of the plan's arrivals.
    pub planned_span_ns: u64,
    /// When the last message was handed to the client.
    pub last_sent_ns: u64,
    /// When the last message ended.
    pub finished_ns: u64,
    /// Acknowledged less intended: latency.
    pub ack: Histogram<u64>,
    /// Acknowledged less sent.
    pub service: Histogram<u64>,
    /// Sent less intended, of everything offered, whoever made it late.
    pub delay: Histogram<u64>,
    /// The generator's own part of [`Self::delay`]: without what a full queue held back.
    pub lateness: Histogram<u64>,
    /// What the client complained about last.
    pub last_error: Option<String>,
    /// The flag was raised before the schedule's end.
    pub stopped_early: bool,
}

impl LoadSummary {
    /// Messages handed to the client in each second of the load.
    #[must_use]
    pub fn offered_per_second(&self) -> f64 {
        per_second(self.progress.offered, self.last_sent_ns.saturating_sub(self.started_ns))
    }

    /// The rate that was offered, of the rate that was planned: 1 when the whole plan was offered in its time, 0.5 when
    /// it took twice as long or was stopped half-way. A little lateness of the last message is forgiven where it
    /// stays within the plan's span.
    #[must_use]
    pub fn achieved_ratio(&self) -> f64 {
        achieved_ratio(
            (self.progress.offered, self.last_sent_ns.saturating_sub(self.started_ns)),
            (self.progress.planned, self.planned_span_ns),
        )
    }

    /// Messages acknowledged in each second until the last one ended.
    #[must_use]
    pub fn acknowledged_per_second(&self) -> f64 {
        per_second(self.progress.acknowledged, self.finished_ns.saturating_sub(self.started_ns))
    }
}

fn per_second(count: u64, span_ns: u64) -> f64 {
    if span_ns == 0 { 0.0 } else { count as f64 * 1e9 / span_ns as f64 }
}

/// Both as messages in a span of nanoseconds. Nothing is offered faster than planned: an offering that was stopped, or
/// whose last arrivals come before the end of the plan's span, is measured against the whole span.
fn achieved_ratio(offered: (u64, u64), planned: (u64, u64)) -> f64 {
    let planned_rate = per_second(planned.0, planned.1);
    if planned_rate == 0.0 { 0.0 } else { per_second(offered.0, offered.1.max(planned.1)) / planned_rate }
}

/// A load that runs.
#[derive(Debug)]
pub struct Load {
    planned: u64,
    planned_span_ns: u64,
    recorder: Arc<Recorder>,
    state: Arc<PacerState>,
    pacer: JoinHandle<()>,
    delivery: JoinHandle<Result<(), DirectoryError>>,
    reporter: Reporter,
}

impl Load {
    /// Connects, looks the topic up, and begins to offer. Raising `stop` ends the offering; what was offered is still
    /// waited for and recorded.
    ///
    /// # Errors
    /// When the plan, the client or the topic is not fit, or the cluster cannot be reached within 30 s.
    pub fn start(
        plan: &LoadPlan,
        bootstrap: &str,
        clock: RunClock,
        operations: OperationWriter,
        intervals: IntervalLog,
        stop: StopFlag,
    ) -> Result<Self, LoadError> {
        plan.validate()?;
        let schedule = plan.schedule()?;
        let (planned, planned_span_ns) = (schedule.total(), schedule.duration_ns());
        let workload = plan.workload()?;
        let slots = Arc::new(Slots::new(client::slots_of(plan, planned)));
        let recorder = Arc::new(Recorder::new(clock, operations));
        let state = Arc::new(PacerState::default());
        let producer = Arc::new(
            client::connect(plan, bootstrap, Arc::clone(&slots), Arc::clone(&recorder))
                .map_err(|source| LoadError::Client(Box::new(source)))?,
        );
        for topic in plan.topics() {
            topic::partitions(producer.client(), bootstrap, topic)?;
        }
        let answers = Answers {
            producer: Arc::clone(&producer),
            slots: Arc::clone(&slots),
            recorder: Arc::clone(&recorder),
            state: Arc::clone(&state),
            flush_timeout: plan.flush_timeout,
        };
        let delivery = spawn("delivery", move || answers.run())?;
        let begin = || {
            // The client's own start is no latency of the system: the schedule begins when the client could send.
            if !producer.context().wait_until_ready(READY_TIMEOUT) {
                let (bootstrap, last_error) = (bootstrap.to_owned(), recorder.last_error());
                return Err(LoadError::NotReady { bootstrap, last_error });
            }
            let meters =
                [&recorder.ack, &recorder.service, &recorder.delay, &recorder.lateness].map(Arc::clone).to_vec();
            let reporter = Reporter::start("load-reporter", clock, intervals, meters)
                .map_err(|source| LoadError::Spawn { thread: "reporter", source })?;
            let pacer = Pacer {
                clock,
                producer: Arc::clone(&producer),
                recorder: Arc::clone(&recorder),
                slots: Arc::clone(&slots),
                state: Arc::clone(&state),
                stop,
                topics: plan.topics().map(str::to_owned).collect(),
                run: plan.run,
                cap: plan.max_rate.and_then(Cap::new),
                schedule: schedule.cursor(),
                workload,
                key: Vec::with_capacity(32),
                payload: Vec::with_capacity(256),
                held: None,
                own_lateness: OwnLateness::default(),
            };
            Ok((reporter, spawn("pacer", move || pacer.run())?))
        };
        match begin() {
            Ok((reporter, pacer)) => Ok(Self { planned, planned_span_ns, recorder, state, pacer, delivery, reporter }),
            Err(error) => {
                state.done.store(true, Ordering::Release);
                // Why the load did not begin says more than how its empty record was closed.
                drop(delivery.join());
                Err(error)
            }
        }
    }

    /// Has the load wait behind so many messages until it is told otherwise, for up to 10 s at each such place; without a
    /// number it goes on. Its schedule stands still meanwhile: what is measured from intended instants says nothing of the wait.
    pub fn hold_at(&self, messages: Option<u64>) {
        self.state.gate.hold_at(messages);
    }

    /// Where the load stands; cheap enough to ask ten times a second.
    #[must_use]
    pub fn progress(&self) -> Progress {
        // What has ended is read first, so that it is never more than what was offered.
        let ended = self.recorder.ended();
        let offered = self.state.offered.load(Ordering::Acquire).max(ended);
        let recorder = &self.recorder;
        Progress {
            planned: self.planned,
            offered,
            acknowledged: recorder.acknowledged.load(Ordering::Acquire),
            failed: recorder.failed.load(Ordering::Acquire),
            unknown: recorder.unknown.load(Ordering::Acquire),
            in_flight: offered - ended,
            queue_full: self.state.queue_full.load(Ordering::Relaxed),
            blocked_ns: self.state.blocked_ns.load(Ordering::Relaxed),
            lateness_p99_ns: recorder.lateness.p99_ns(),
            lateness_max_ns: recorder.lateness.max_ns(),
            delay_p99_ns: recorder.delay.p99_ns(),
            ack_p50_ns: recorder.ack.p50_ns(),
            ack_p99_ns: recorder.ack.p99_ns(),
        }
    }

    /// Whether everything offered has ended, so that [`Load::join`] returns at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.delivery.is_finished()
    }

    /// Waits for the schedule's end and for every answer, and closes the record.
    ///
    /// # Errors
    /// When the record could not be written.
    pub fn join(self) -> Result<LoadSummary, LoadError> {
        let paced = self.pacer.join();
        let delivered = self.delivery.join();
        let totals = self.reporter.finish().ok_or(LoadError::Panicked { thread: "reporter" })??;
        paced.map_err(|_| LoadError::Panicked { thread: "pacer" })?;
        delivered.map_err(|_| LoadError::Panicked { thread: "delivery" })??;
        let [ack, service, delay, lateness] = totals.try_into().expect("four meters were started");

        let ended = self.recorder.ended();
        let progress = Progress {
            planned: self.planned,
            offered: self.state.offered.load(Ordering::Acquire),
            acknowledged: self.recorder.acknowledged.load(Ordering::Acquire),
            failed: self.recorder.failed.load(Ordering::Acquire),
            unknown: self.recorder.unknown.load(Ordering::Acquire),
            in_flight: self.state.offered.load(Ordering::Acquire).saturating_sub(ended),
            queue_full: self.state.queue_full.load(Ordering::Relaxed),
            blocked_ns: self.state.blocked_ns.load(Ordering::Relaxed),
            lateness_p99_ns: lateness.value_at_quantile(0.99),
            lateness_max_ns: lateness.max(),
            delay_p99_ns: delay.value_at_quantile(0.99),
            ack_p50_ns: ack.value_at_quantile(0.5),
            ack_p99_ns: ack.value_at_quantile(0.99),
        };
        Ok(LoadSummary {
            progress,
            started_ns: self.state.started_ns.load(Ordering::Acquire),
            planned_span_ns: self.planned_span_ns,
            last_sent_ns: self.state.last_sent_ns.load(Ordering::Relaxed),
            finished_ns: self.recorder.last_completed_ns.load(Ordering::Acquire),
            ack,
            service,
            delay,
            lateness,
            last_error: self.recorder.last_error(),
            stopped_early: self.state.stopped_early.load(Ordering::Acquire),
        })
    }
}

fn spawn<T: Send + 'static>(
    name: &'static str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, LoadError> {
    let builder = thread::Builder::new().name(format!("load-{name}"));
    builder.spawn(body).map_err(|source| LoadError::Spawn { thread: name, source })
}

/// The delivery thread.
struct Answers {
    producer: Arc<LoadProducer>,
    slots: Arc<Slots>,
    recorder: Arc<Recorder>,
    state: Arc<PacerState>,
    flush_timeout: Duration,
}

impl Answers {
    fn run(self) -> Result<(), DirectoryError> {
        let mut flushed = Instant::now();
        while !self.state.done.load(Ordering::Acquire) {
            self.producer.poll(POLL);
            if flushed.elapsed() >= FLUSH_EVERY {
                self.recorder.flush();
                flushed = Instant::now();
            }
        }
        let deadline = Instant::now() + self.flush_timeout;
        while self.unanswered() && Instant::now() < deadline {
            // Flushing also sends at once what the client would let linger. Its only error is that time is up.
            drop(self.producer.flush(POLL));
            self.producer.poll(Duration::ZERO);
        }
        if self.unanswered() {
            // What is purged comes back with an error that leaves its outcome unknown.
            self.producer.purge(PurgeConfig::default().queue().inflight());
            let deadline = Instant::now() + PURGE_TIMEOUT;
            while self.unanswered() && Instant::now() < deadline {
                self.producer.poll(POLL);
            }
        }
        for slot in 0..self.slots.capacity() {
            if let Some(message) = self.slots.finish(slot) {
                self.recorder.record(&message, End::unacknowledged(Outcome::Unknown, 0));
            }
        }
        self.recorder.finish()
    }

    fn unanswered(&self) -> bool {
        self.recorder.ended() < self.state.offered.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_achieved_ratio_compares_rates() {
        const SECOND: u64 = 1_000_000_000;
        for (offered, planned, ratio) in [
            ((1_000, SECOND - 1_000_000), (1_000, SECOND), 1.0),
            ((1, 20_000), (1, SECOND), 1.0),
            ((1_000, 2 * SECOND), (1_000, SECOND), 0.5),
            ((500, SECOND / 2), (1_000, SECOND), 0.5),
            ((5_000, 10 * SECOND + SECOND / 10), (5_000, 10 * SECOND), 1.0 / 1.01),
            ((0, 0), (1_000, SECOND), 0.0),
            ((0, 0), (0, 0), 0.0),
        ] {
            let achieved = achieved_ratio(offered, planned);
            assert!((achieved - ratio).abs() < 1e-9, "{offered:?} of {planned:?} is {achieved}, not {ratio}");
        }
    }
}
