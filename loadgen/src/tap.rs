//! A tap: reads a whole topic beside its real consumers and records every message it sees.
//!
//! A tap assigns itself every partition, as a rule from its beginning; it joins no group, commits nothing, and so disturbs nobody.
//! What its rule cannot read is counted and kept as a sample, never silently dropped.

use crate::clock::RunClock;
use crate::identity_rule::IdentityRule;
use crate::live::Gauges;
use crate::meter::{Meter, PartitionMeters, Reporter};
use crate::names::Names;
use crate::part::Shard;
use crate::stop::StopFlag;
use crate::tap_reader::{Reader, Seen};
use crate::topic::{self, TopicError};
use hdrhistogram::Histogram;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use shakedown_reports::record::StreamId;
use shakedown_reports::{BackgroundWriter, DeliveryWriter, DirectoryError, Interner, IntervalLog};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

/// What a tap reads, and how.
#[derive(Debug, Clone)]
pub struct TapPlan {
    /// The stream of the record.
    pub stream: StreamId,
    /// The topic.
    pub topic: String,
    /// Where a message's identity is.
    pub identity: IdentityRule,
    /// The seed of the load's plan, for its order ids.
    pub seed: u64,
    /// How many messages the load plans; sequences from here on are not its own.
    pub planned: u64,
    /// The run that headers must name; messages of others are counted and left out.
    pub run: Option<u32>,
    /// Whether what the topic holds before the tap begins is left out: it belongs to nobody who is measured.
    pub from_end: bool,
    /// Whether messages of the load's plan are counted once each, too; for a bit of memory for each of them.
    pub counts_planned: bool,
    /// Of the topic's partitions only those of this shard are read: each of so many, counted through.
    pub shard: Shard,
    /// Whether the topic is read once more, long after its messages came: no latency is measured then.
    pub again: bool,
    /// Whether each partition is measured by itself, too.
    pub measures_partitions: bool,
    /// Properties of librdkafka, over the tap's own.
    pub client: BTreeMap<String, String>,
}

impl TapPlan {
    /// A tap for messages of any run, with the default client.
    #[must_use]
    pub fn new(stream: StreamId, topic: impl Into<String>, identity: IdentityRule, seed: u64, planned: u64) -> Self {
        Self {
            stream,
            topic: topic.into(),
            identity,
            seed,
            planned,
            run: None,
            from_end: false,
            counts_planned: false,
            again: false,
            shard: Shard::WHOLE,
            measures_partitions: false,
            client: BTreeMap::new(),
        }
    }
}

/// Why a topic could not be tapped, or not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// The topic is not there, or cannot be learned about.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// librdkafka refuses the properties or the assignment.
    #[error("topic {topic:?} cannot be tapped: {source}")]
    Client {
        /// The topic.
        topic: String,
        /// What the client answered.
        source: Box<KafkaError>,
    },
    /// The client gave up for good; what was read until then is recorded.
    #[error("the tap of topic {topic:?} ended after {count} messages: {source}")]
    Fatal {
        /// The topic.
        topic: String,
        /// Messages recorded.
        count: u64,
        /// What the client answered.
        source: Box<KafkaError>,
    },
    /// The record cannot be written.
    #[error(transparent)]
    Record(#[from] DirectoryError),
    /// A thread could not be started.
    #[error("a thread for the tap of topic {topic:?} cannot be started: {source}")]
    Spawn {
        /// The topic.
        topic: String,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A thread panicked: a bug in the tap.
    #[error("a thread of the tap of topic {topic:?} panicked")]
    Panicked {
        /// The topic.
        topic: String,
    },
}

/// A message that the rule could not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Where it lies.
    pub partition: i32,
    /// Where it lies.
    pub offset: i64,
    /// Why it could not be read, after "message X is unreadable:".
    pub reason: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "partition {} offset {}: {}", self.partition, self.offset, self.reason)
    }
}

/// What a tap saw.
#[derive(Debug, Clone)]
pub struct TapSummary {
    /// The stream of the record.
    pub stream: StreamId,
    /// The topic.
    pub topic: String,
    /// Partitions that were assigned.
    pub partitions: usize,
    /// Deliveries recorded.
    pub count: u64,
    /// Messages that the rule could not read.
    pub unreadable: u64,
    /// The first hundred of them.
    pub unreadable_samples: Vec<Unreadable>,
    /// Messages of other runs, left out.
    pub foreign: u64,
    /// How often a partition's offsets went back: the log was truncated below what the tap had read. What it reads
    /// again is recorded again.
    pub rewinds: u64,
    /// Deliveries received before their intended instant, by clocks that differ; their latency counts as 0.
    pub early: u64,
    /// Errors that the client met and went on after.
    pub errors: u64,
    /// The last of them.
    pub last_error: Option<String>,
    /// Received less intended, of everything that names its intended instant.
    pub latency: Histogram<u64>,
}

/// What the handle and the thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The next offset of each partition.
    pub(crate) positions: Vec<AtomicI64>,
    /// The next offset behind the last message of each: behind it there may be the ends of transactions.
    pub(crate) message_ends: Vec<AtomicI64>,
    pub(crate) count: AtomicU64,
    pub(crate) unreadable: AtomicU64,
    /// Messages of the load's plan, each once, where that is asked for.
    pub(crate) planned: AtomicU64,
}

/// What a tap measures: received less intended.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) whole: Arc<Meter>,
    pub(crate) partitions: Option<PartitionMeters>,
}

impl Measured {
    fn meters(&self) -> Vec<Arc<Meter>> {
        let partitions = self.partitions.iter().flat_map(PartitionMeters::all);
        std::iter::once(Arc::clone(&self.whole)).chain(partitions).collect()
    }

    pub(crate) fn record(&self, partition: i32, latency_ns: u64) {
        self.whole.record(latency_ns);
        if let Some(partitions) = &self.partitions {
            partitions.record(partition, latency_ns);
        }
    }
}

/// A tap that runs.
#[derive(Debug)]
pub struct Tap {
    stream: StreamId,
    topic: String,
    shared: Arc<Shared>,
    thread: JoinHandle<Result<Seen, TapError>>,
    reporter: Reporter,
    gauges: Gauges,
}

impl Tap {
    /// Assigns every partition of the topic, from its beginning unless the plan says otherwise, and begins to read.
    ///
    /// # Errors
    /// When the topic does not exist, or the cluster cannot be reached within 30 s.
    pub fn start(
        plan: TapPlan,
        bootstrap: &str,
        clock: RunClock,
        deliveries: DeliveryWriter,
        interner: Arc<Interner>,
        intervals: IntervalLog,
        stop: StopFlag,
    ) -> Result<Self, TapError> {
        let (stream, topic) = (plan.stream, plan.topic.clone());
        let client_error = |source| TapError::Client { topic: topic.clone(), source: Box::new(source) };
        let consumer = connect(bootstrap, &topic, &plan.client).map_err(client_error)?;
        let partitions = topic::partitions(consumer.client(), bootstrap, &topic)?;
        let watermarks = topic::watermarks(consumer.client(), bootstrap, &topic, partitions)?;
        let mut assignment = TopicPartitionList::with_capacity(partitions);
        let mut positions = Vec::with_capacity(partitions);
        let first = |(low, high): &(i64, i64)| if plan.from_end { *high } else { *low };
        for (partition, first) in (0_i32..).zip(watermarks.iter().map(first)) {
            if plan.shard.has(partition.unsigned_abs()) {
                assignment.add_partition_offset(&topic, partition, Offset::Offset(first)).map_err(client_error)?;
                positions.push(AtomicI64::new(first));
            } else {
                // Somebody else reads it: nothing of it is waited for.
                positions.push(AtomicI64::new(i64::MAX));
            }
        }
        consumer.assign(&assignment).map_err(client_error)?;

        let message_ends = watermarks.iter().map(|marks| AtomicI64::new(first(marks))).collect();
        let shared = Arc::new(Shared {
            positions,
            message_ends,
            count: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            planned: AtomicU64::new(0),
        });
        let spawn_error = |source| TapError::Spawn { topic: topic.clone(), source };
        let tag = format!("deliver:{topic}");
        let measured = Measured {
            partitions: plan.measures_partitions.then(|| PartitionMeters::new(&tag, partitions)),
            whole: Meter::new(tag),
        };
        let gauges = Gauges(measured.meters());
        let reporter = Reporter::start("tap-reporter", clock, intervals, measured.meters()).map_err(spawn_error)?;
        let names = Names::new(interner, plan.seed, plan.planned);
        let deliveries = BackgroundWriter::start(deliveries)?;
        let reader = Reader::new(plan, names, clock, deliveries, Arc::clone(&shared), measured);
        let thread = thread::Builder::new()
            .name(format!("tap-{topic}"))
            .spawn(move || reader.run(&consumer, &stop))
            .map_err(spawn_error)?;
        Ok(Self { stream, topic, shared, thread, reporter, gauges })
    }

    /// What is measured, for whoever shows it while the tap reads.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        self.gauges.clone()
    }

    /// How many partitions are assigned.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.shared.positions.len()
    }

    /// The next offset of each partition: everything below was seen, or is another shard's, where it is the greatest number.
    #[must_use]
    pub fn positions(&self) -> Vec<i64> {
        self.shared.positions.iter().map(|position| position.load(Ordering::Acquire)).collect()
    }

    /// The next offset behind the last message of each partition that was read.
    #[must_use]
    pub fn message_ends(&self) -> Vec<i64> {
        self.shared.message_ends.iter().map(|end| end.load(Ordering::Acquire)).collect()
    }

    /// How many deliveries are recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.shared.count.load(Ordering::Acquire)
    }

    /// How many messages of the load's plan were seen, each counted once; 0 where the plan does not have them counted.
    #[must_use]
    pub fn planned(&self) -> u64 {
        self.shared.planned.load(Ordering::Acquire)
    }

    /// How many messages the rule could not read.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.shared.unreadable.load(Ordering::Acquire)
    }

    /// Whether everything below these high watermarks, one for each partition, was seen. Never when their number is
    /// not that of the assigned partitions: the topic has grown, and the tap does not see all of it.
    #[must_use]
    pub fn drained(&self, high_watermarks: &[i64]) -> bool {
        self.positions().len() == high_watermarks.len()
            && self.positions().iter().zip(high_watermarks).all(|(position, high)| position >= high)
    }

    /// Whether the tap has ended: it was stopped, or its client gave up.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the tap's end, which the flag given to [`Tap::start`] brings about, and closes the record.
    ///
    /// # Errors
    /// When the client gave up, or the record could not be written.
    pub fn join(self) -> Result<TapSummary, TapError> {
        let seen = self.thread.join();
        let totals = self.reporter.finish().ok_or_else(|| TapError::Panicked { topic: self.topic.clone() })?;
        let seen = seen.map_err(|_| TapError::Panicked { topic: self.topic.clone() })??;
        let latency = totals?.into_iter().next().expect("the whole is always measured");
        Ok(TapSummary {
            stream: self.stream,
            partitions: self.shared.positions.len(),
            count: self.shared.count.load(Ordering::Acquire),
            unreadable: self.shared.unreadable.load(Ordering::Acquire),
            unreadable_samples: seen.unreadable_samples,
            foreign: seen.foreign,
            rewinds: seen.rewinds,
            early: seen.early,
            errors: seen.errors,
            last_error: seen.last_error,
            latency,
            topic: self.topic,
        })
    }
}

/// The high watermark of every partition of a topic.
///
/// # Errors
/// When the topic does not exist, or the cluster cannot be reached within 30 s.
pub fn high_watermarks(bootstrap: &str, topic: &str) -> Result<Vec<i64>, TapError> {
    // Where the log ends, not where its last transaction that has ended does: what was committed a moment ago is still to come.
    let uncommitted = BTreeMap::from([("isolation.level".to_owned(), "read_uncommitted".to_owned())]);
    let consumer = connect(bootstrap, topic, &uncommitted)
        .map_err(|source| TapError::Client { topic: topic.to_owned(), source: Box::new(source) })?;
    let partitions = topic::partitions(consumer.client(), bootstrap, topic)?;
    let watermarks = topic::watermarks(consumer.client(), bootstrap, topic, partitions)?;
    Ok(watermarks.into_iter().map(|(_, high)| high).collect())
}

pub(crate) fn connect(
    bootstrap: &str,
    topic: &str,
    client: &BTreeMap<String, String>,
) -> Result<BaseConsumer, KafkaError> {
    let mut properties = ClientConfig::new();
    properties
        .set("client.id", "shakedown-tap")
        // librdkafka assigns nothing without the name of a group, though nobody joins or commits to it.
        .set("group.id", format!("shakedown-tap-{topic}"))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A log cut below the tap's position is read again from its beginning; see `TapSummary::rewinds`.
        .set("auto.offset.reset", "earliest")
        // What the tap measures is when a message can be read, so a fetch waits for the first byte and no longer.
        .set("fetch.min.bytes", "1")
        .set("fetch.wait.max.ms", "100")
        // A broker that dies must not cost the tap more time than it costs the system, or measured latencies are the
        // tap's. A broker that stands still or is cut off refuses nothing: only metadata tells that another leads, and
        // while it is told the old leader, librdkafka asks again only once a second or later.
        .set("topic.metadata.refresh.interval.ms", "100")
        .set("topic.metadata.refresh.fast.interval.ms", "50")
        // After an error in a fetch (not the leader any more), librdkafka leaves the partition alone for half a second.
        .set("fetch.error.backoff.ms", "10")
        // A broker that comes back is tried at once, not after waits that double up to ten seconds.
        .set("reconnect.backoff.ms", "10")
        .set("reconnect.backoff.max.ms", "100");
    for (name, value) in client {
        properties.set(name, value);
    }
    properties.set("bootstrap.servers", bootstrap);
    properties.create()
}
