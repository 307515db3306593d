//! One load: its pacers, its clients, and the threads that take their answers.
//!
//! Each client has a lane of two threads: a pacer offers its messages; a delivery thread records how each ended, by polling
//! a producer (`delivery.rs`) or by asking a service (`http_client.rs`). One reporter for all of them writes an interval of
//! the histograms each second. A key has one lane, so that its order is kept. At the end everything offered has ended:
//! acknowledged, failed, or unknown when the plan's flush timeout passes without an answer, or [`STOPPED_PATIENCE`](crate::stop::STOPPED_PATIENCE)
//! after a stop.

use crate::clock::RunClock;
use crate::endpoints::Endpoints;
use crate::ground::{Ground, Lane, LaneThreads};
use crate::http_client::{self, HttpSettings};
use crate::live::Gauges;
use crate::meter::Reporter;
use crate::pacer::PacerState;
use crate::part::{Part, Shard};
use crate::plan::{LoadPlan, PlanError};
use crate::recorder::{Recorder, TransactionTally};
use crate::shards::client::ShardError;
use crate::slots::Slots;
use crate::stop::StopFlag;
use crate::topic::TopicError;
use crate::topic_load::{self, READY_TIMEOUT};
use hdrhistogram::Histogram;
use rdkafka::error::KafkaError;
use shakedown_reports::{DirectoryError, IntervalLog, OperationWriter};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

/// From the moment in which everybody can send to the first intended instant: until then all pacers have been started.
const START_LEAD_NS: u64 = 1_000_000;

/// Why a load could not be offered, or not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The plan cannot be carried out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// librdkafka refuses the plan's properties.
    #[error("the Kafka client cannot be made: {0}")]
    Client(Box<KafkaError>),
    /// The plan is for another kind of target.
    #[error("the plan is for {planned}, and was started as a load on {started}")]
    Target {
        /// What the plan says.
        planned: &'static str,
        /// What it was started as.
        started: &'static str,
    },
    /// The HTTP client has nothing to run on.
    #[error("the HTTP client cannot be made: {0}")]
    Http(std::io::Error),
    /// The direct driver has nothing to run on.
    #[error("the direct driver cannot be made: {0}")]
    Direct(std::io::Error),
    /// The topic cannot be offered to.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The cluster is reachable, and does not let a client begin: it gives no producer id, or leaders do not answer.
    #[error("{bootstrap} did not let the client begin within {READY_TIMEOUT:?}: {}", last_error.as_deref().unwrap_or("no error was reported"))]
    NotReady {
        /// Where it was asked for.
        bootstrap: String,
        /// What the client complained about last.
        last_error: Option<String>,
    },
    /// The cluster has no transactions, or none for this client.
    #[error("{bootstrap} lets no transactional producer begin: {reason}")]
    Transactions {
        /// Where it was asked for.
        bootstrap: String,
        /// What the client answered.
        reason: String,
    },
    /// It is a shard, and the others are not there, or do not want it.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// Somebody stopped it before its first message.
    #[error("the load was stopped before it began")]
    Stopped,
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
    /// Messages that are certainly not there: never written, or aborted.
    pub failed: u64,
    /// Messages of which nobody knows.
    pub unknown: u64,
    /// Messages that have not ended yet.
    pub in_flight: u64,
    /// How often something was asked once more; always 0 on a topic, where the client does that by itself.
    pub asked_again: u64,
    /// How often the client's queue was full, or no transaction open.
    pub queue_full: u64,
    /// How long the pacer waited for a full queue, or for a transaction's end, in all.
    pub blocked_ns: u64,
    /// Transactions that were committed.
    pub committed: u64,
    /// Transactions that were aborted.
    pub aborted: u64,
    /// Transactions of which nobody knows whether they were committed.
    pub undecided: u64,
    /// Messages that failed because the plan has their transactions aborted.
    pub aborted_on_purpose: u64,
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
    /// From the end of a transaction's time until it was committed, where there are transactions.
    pub commit: Option<Histogram<u64>>,
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

/// When a load begins, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// What offsets of the schedule count from, on the run's clock: nanoseconds since the Unix epoch.
    pub at_ns: u64,
    /// The run that messages name.
    pub run: u32,
}

/// A load that runs.
#[derive(Debug)]
pub struct Load {
    pub(crate) planned: u64,
    pub(crate) planned_span_ns: u64,
    pub(crate) started_ns: u64,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) lanes: Vec<Arc<PacerState>>,
    pub(crate) threads: Vec<LaneThreads>,
    pub(crate) reporter: Reporter,
}

impl Load {
    /// Connects, looks the topic up, and begins to offer. Raising `stop` ends the offering; what was offered is still
    /// waited for, but no longer than [`STOPPED_PATIENCE`](crate::stop::STOPPED_PATIENCE), and recorded.
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
        let begin = || Ok(Start { at_ns: clock.now_ns() + START_LEAD_NS, run: plan.run });
        Self::start_shard(plan, Shard::WHOLE, bootstrap, clock, operations, intervals, stop, begin)
    }

    /// As [`Load::start`], for one shard of a plan whose other shards are offered by other processes. `meet` is called once
    /// all its clients can send, and says when the schedule begins, for all shards alike.
    ///
    /// # Errors
    /// As [`Load::start`], and whatever `meet` says.
    #[expect(
        clippy::too_many_arguments,
        reason = "what a load is, where it goes, where its record goes, and who stops it"
    )]
    pub fn start_shard(
        plan: &LoadPlan,
        shard: Shard,
        bootstrap: &str,
        clock: RunClock,
        operations: OperationWriter,
        intervals: IntervalLog,
        stop: StopFlag,
        meet: impl FnOnce() -> Result<Start, LoadError>,
    ) -> Result<Self, LoadError> {
        if plan.http.is_some() {
            return Err(LoadError::Target { planned: "a service", started: "a topic" });
        }
        let ground = Ground::new(plan, shard, clock, operations, intervals, stop)?;
        topic_load::start(plan, shard, bootstrap, ground, meet)
    }

    /// Begins to ask a service that listens at these endpoints, which may change meanwhile. Raising `stop` ends the offering
    /// and lets nothing be asked again; what was offered is still waited for and recorded.
    ///
    /// # Errors
    /// When the plan is not fit, or the client cannot be made.
    pub fn start_http(
        plan: &LoadPlan,
        endpoints: Endpoints,
        clock: RunClock,
        operations: OperationWriter,
        intervals: IntervalLog,
        stop: StopFlag,
    ) -> Result<Self, LoadError> {
        let Some(http) = &plan.http else {
            return Err(LoadError::Target { planned: "a topic", started: "a service" });
        };
        let ground = Ground::new(plan, Shard::WHOLE, clock, operations, intervals, stop)?;
        let part = Part::all(Shard::WHOLE, 1).next().expect("one producer has one part");
        let in_flight = u32::try_from(ground.planned).unwrap_or(u32::MAX).min(http.in_flight).max(1);
        let (target, client) = http_client::connect(HttpSettings {
            plan: http,
            seed: plan.seed,
            endpoints,
            flush_timeout: plan.flush_timeout.max(http.patience()),
            clock,
            slots: Arc::new(Slots::new(in_flight)),
            recorder: Arc::clone(&ground.recorder),
            stop: ground.stop.clone(),
        })
        .map_err(LoadError::Http)?;
        let delivery = ground.spawn("delivery", move || client.run())?;
        ground.begin(vec![(Lane::new(part), target, delivery)], clock.now_ns() + START_LEAD_NS)
    }

    /// Has the load wait behind so many messages until it is told otherwise, for up to 10 s at each such place; without a
    /// number it goes on. Its schedule stands still meanwhile: what is measured from intended instants says nothing of the
    /// wait.
    pub fn hold_at(&self, messages: Option<u64>) {
        for lane in &self.lanes {
            lane.gate.hold_at(messages);
        }
    }

    /// Where the load stands; cheap enough to ask ten times a second.
    #[must_use]
    pub fn progress(&self) -> Progress {
        // What has ended is read first, so that it is never more than what was offered.
        let ended = self.recorder.ended();
        let offered = self.sum(|state| &state.offered).max(ended);
        let recorder = &self.recorder;
        Progress {
            lateness_p99_ns: recorder.lateness.p99_ns(),
            lateness_max_ns: recorder.lateness.max_ns(),
            delay_p99_ns: recorder.delay.p99_ns(),
            ack_p50_ns: recorder.ack.p50_ns(),
            ack_p99_ns: recorder.ack.p99_ns(),
            ..self.counts(offered, ended)
        }
    }

    /// The counts alone.
    fn counts(&self, offered: u64, ended: u64) -> Progress {
        Progress {
            planned: self.planned,
            offered,
            acknowledged: self.recorder.acknowledged.load(Ordering::Acquire),
            failed: self.recorder.failed.load(Ordering::Acquire),
            unknown: self.recorder.unknown.load(Ordering::Acquire),
            in_flight: offered.saturating_sub(ended),
            asked_again: self.recorder.asked_again.load(Ordering::Relaxed),
            queue_full: self.sum(|state| &state.queue_full),
            blocked_ns: self.sum(|state| &state.blocked_ns),
            committed: self.of_transactions(|tally| &tally.committed),
            aborted: self.of_transactions(|tally| &tally.aborted),
            undecided: self.of_transactions(|tally| &tally.undecided),
            aborted_on_purpose: self.of_transactions(|tally| &tally.messages_aborted),
            ..Progress::default()
        }
    }

    /// Over all lanes.
    fn sum(&self, counter: impl Fn(&PacerState) -> &AtomicU64) -> u64 {
        self.lanes.iter().map(|state| counter(state).load(Ordering::Acquire)).sum()
    }

    /// 0 where there are none.
    fn of_transactions(&self, counter: impl Fn(&TransactionTally) -> &AtomicU64) -> u64 {
        self.recorder.transactions.get().map_or(0, |tally| counter(tally).load(Ordering::Acquire))
    }

    /// What is measured, for whoever shows it while the load runs.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        Gauges(self.recorder.meters())
    }

    /// Whether everything offered has ended, so that [`Load::join`] returns at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.threads.iter().all(|threads| threads.delivery.is_finished())
    }

    /// Waits for the schedule's end and for every answer, and closes the record.
    ///
    /// # Errors
    /// When the record could not be written.
    pub fn join(mut self) -> Result<LoadSummary, LoadError> {
        let (mut paced, mut delivered) = (Ok(()), Ok(()));
        for LaneThreads { pacer, delivery } in mem::take(&mut self.threads) {
            paced = paced.and(pacer.map_or(Ok(()), JoinHandle::join));
            delivered = delivered.and(delivery.join());
        }
        let counts = self.counts(self.sum(|state| &state.offered), self.recorder.ended());
        let last_sent_ns = self.lanes.iter().map(|state| state.last_sent_ns.load(Ordering::Relaxed)).max();
        let stopped_early = self.lanes.iter().any(|state| state.stopped_early.load(Ordering::Acquire));
        let totals = self.reporter.finish().ok_or(LoadError::Panicked { thread: "reporter" });
        self.recorder.finish()?;
        paced.map_err(|_| LoadError::Panicked { thread: "pacer" })?;
        delivered.map_err(|_| LoadError::Panicked { thread: "delivery" })?;
        let mut totals = totals??.into_iter();
        let [ack, service, delay, lateness] =
            std::array::from_fn(|_| totals.next().expect("these four are always measured"));
        let commit = self.recorder.transactions.get().and_then(|_| totals.next());
        let progress = Progress {
            lateness_p99_ns: lateness.value_at_quantile(0.99),
            lateness_max_ns: lateness.max(),
            delay_p99_ns: delay.value_at_quantile(0.99),
            ack_p50_ns: ack.value_at_quantile(0.5),
            ack_p99_ns: ack.value_at_quantile(0.99),
            ..counts
        };
        Ok(LoadSummary {
            progress,
            started_ns: self.started_ns,
            planned_span_ns: self.planned_span_ns,
            last_sent_ns: last_sent_ns.unwrap_or(0),
            finished_ns: self.recorder.last_completed_ns.load(Ordering::Acquire),
            ack,
            service,
            delay,
            lateness,
            commit,
            last_error: self.recorder.last_error(),
            stopped_early,
        })
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
