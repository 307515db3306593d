//! The consumer loop: poll a batch, hand it to the service, pass on what it finished, look whether to stop.
//!
//! One thread does all of it, so nothing is ever in flight while the group rebalances, and a partition that is given
//! up has either been worked off and committed or not been touched. A batch is whatever has arrived: one event when
//! the topic is quiet, up to the service's limit when it is behind. A batch that fails is rewound and read again after
//! a growing pause; between attempts the group is served. A handler must give up within `max.poll.interval.ms`
//! (five minutes by default), or the group goes on without this member.

use super::batch::{BatchError, Event, Offsets};
use super::group::{GroupContext, PositionSource};
use crate::config::{ConfigError, Environment};
use crate::error::{RunError, WorkerError};
use crate::failpoint::Place;
use crate::gathering::Gathering;
use crate::metrics::TopicLabel;
use crate::service::Context;
use crate::worker::Worker;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use prometheus_client::metrics::counter::Counter;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::warn;

/// How long one poll waits for the first event of a batch; bounds how late a stop is noticed.
const POLL_TIMEOUT: Duration = Duration::from_millis(100);

/// How long a batch may still work after the request to stop; the rest of the five seconds is for leaving the group.
const FINISH_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the last commit and the leaving may take.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(1500);
const LEAVE_POLL: Duration = Duration::from_millis(20);

/// How long to wait for the client when it moves a position.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a batch may wait for its commit, where that comes first. The group is not served meanwhile.
const FIRST_COMMIT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long to wait for an answer about the topic.
const TOPIC_TIMEOUT: Duration = Duration::from_secs(1);

/// How long to wait before looking for a missing topic again.
const TOPIC_RETRY: Duration = Duration::from_millis(200);

const DEFAULTS: [(&str, &str); 6] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // An order placed before the group first joined is an order all the same.
    ("auto.offset.reset", "earliest"),
    // The default of 45 s leaves the orders of a killed instance lying for that long.
    ("session.timeout.ms", "10000"),
    ("heartbeat.interval.ms", "3000"),
    // Never create a mistyped topic.
    ("allow.auto.create.topics", "false"),
];

/// What a service consumes.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerSettings {
    pub(crate) topics: Vec<String>,
    pub(crate) group: String,
    /// The most events that a batch has.
    pub(crate) batch_events_max: usize,
}

impl ConsumerSettings {
    /// Reads `GROUP_ID` and `BATCH_EVENTS_MAX`.
    pub(crate) fn read(
        environment: &Environment,
        topics: Vec<String>,
        group: &str,
        batch_events_max: usize,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            topics,
            group: environment.text("GROUP_ID", group),
            batch_events_max: environment
                .parse("BATCH_EVENTS_MAX", batch_events_max, "1 to 50000", |n| (1..=50_000).contains(n))?,
        })
    }
}

/// Which of a service's consumers it is, as `/ready` tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// That it has joined its group.
    pub(crate) group: &'static str,
    /// That batches go through. Where only some of their events have to wait the service is ready, and degraded.
    pub(crate) work: &'static str,
}

impl Conditions {
    /// Of the consumer of the service's topics.
    pub(crate) const MAIN: Self = Self { group: "group", work: "work" };
    /// Of the consumer of its retry topic.
    pub(crate) const RETRY: Self = Self { group: "retry_group", work: "retry_work" };
}

/// When offsets are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitTime {
    /// Once the work behind them is done: a crash does some of it again.
    AfterWork,
    /// Before any of it is done, as automatic commits may: a crash leaves it undone for good.
    BeforeWork,
}

impl CommitTime {
    /// Reads `COMMIT`.
    pub(crate) fn read(environment: &Environment) -> Result<Self, ConfigError> {
        environment.choice("COMMIT", &[("after", Self::AfterWork), ("before", Self::BeforeWork)])
    }
}

/// The work of a service.
pub(crate) trait BatchHandler: Send + 'static {
    /// Does the work of these events, in the order of each partition. An error says which of it was finished.
    ///
    /// # Cancel safety
    /// Must be safe: the future is dropped when a stop is requested and the time for it is over. Nothing of the batch
    /// is then committed.
    fn handle(&mut self, batch: &[Event]) -> impl Future<Output = Result<(), BatchError>> + Send;
}

/// Starts the consumer's thread.
pub(crate) fn spawn_consumer(
    settings: &ConsumerSettings,
    handler: impl BatchHandler,
    positions: Option<Box<dyn PositionSource>>,
    context: &Context,
) -> Result<Worker, RunError> {
    spawn_consumer_as(Conditions::MAIN, settings, handler, positions, context)
}

/// As `spawn_consumer`, for one of several consumers.
pub(crate) fn spawn_consumer_as(
    conditions: Conditions,
    settings: &ConsumerSettings,
    handler: impl BatchHandler,
    positions: Option<Box<dyn PositionSource>>,
    context: &Context,
) -> Result<Worker, RunError> {
    let group = GroupContext::new(conditions.group, context.metrics.clone(), context.readiness.clone(), positions);
    let consumer: BaseConsumer<GroupContext> = context
        .kafka
        .client(&DEFAULTS)
        .set("group.id", &settings.group)
        .create_with_context(group)
        .map_err(|source| RunError::KafkaClient { client: "consumer", source })?;
    let consumer = Arc::new(consumer);
    consumer.context().commits.spawn(&consumer)?;
    let topics = settings.topics.iter().map(|topic| {
        (Arc::from(topic.as_str()), context.metrics.consumed.get_or_create(&TopicLabel::new(topic)).clone())
    });
    let consumer_loop = ConsumerLoop {
        consumer,
        handler,
        topics: topics.collect(),
        conditions,
        batch: Vec::with_capacity(settings.batch_events_max),
        batch_events_max: settings.batch_events_max,
        gathering: Gathering::default(),
        pause: pauses(),
        context: context.clone(),
    };
    Worker::spawn("consumer", move || consumer_loop.run())
}

struct ConsumerLoop<H> {
    consumer: Arc<BaseConsumer<GroupContext>>,
    handler: H,
    /// Each with the number of its events that were read.
    topics: Vec<(Arc<str>, Counter)>,
    conditions: Conditions,
    batch: Vec<Event>,
    batch_events_max: usize,
    gathering: Gathering,
    pause: ExponentialBackoff,
    context: Context,
}

impl<H: BatchHandler> ConsumerLoop<H> {
    fn run(mut self) -> Result<(), WorkerError> {
        if !self.wait_for_topics() {
            return Ok(());
        }
        let topics: Vec<&str> = self.topics.iter().map(|(topic, _)| &**topic).collect();
        self.consumer
            .subscribe(&topics)
            .map_err(|source| WorkerError::Kafka { during: "subscribe to the topics", source })?;
        while !self.context.stop.is_requested() {
            self.collect()?;
            if let Some(failure) = self.consumer.context().take_failure() {
                return Err(failure);
            }
            if !self.batch.is_empty() {
                self.work()?;
            }
            self.consumer.context().commits.commit_due();
        }
        self.leave();
        Ok(())
    }

    /// Commits what is finished and leaves the group, waiting for the coordinator's answers as long as there is time.
    ///
    /// Dropping the consumer would do the leaving too, but waits for an absent coordinator longer than a stop may take.
    fn leave(self) {
        let consumer = self.consumer;
        let deadline = Instant::now() + LEAVE_TIMEOUT;
        let commits = Arc::clone(&consumer.context().commits);
        if !commits.settle(deadline - LEAVE_TIMEOUT / 3) {
            warn!("stopping before the last commit was answered: some events may be handled again");
        }
        commits.close();
        if consumer.close_queue().is_ok() {
            while !consumer.closed() {
                if Instant::now() >= deadline {
                    warn!("left without the coordinator's answer; the group notices when the session expires");
                    // The process is about to end, and with it everything that the client holds.
                    std::mem::forget(consumer);
                    return;
                }
                // Serves the rebalance; events that come along are not handled, they are the next member's.
                drop(consumer.poll(LEAVE_POLL));
            }
        }
    }

    /// Blocks until the topics exist: a group that subscribes to a missing topic joins without its partitions, and learns
    /// about them only with a later refresh of its metadata. False if a stop was requested first.
    fn wait_for_topics(&self) -> bool {
        let Context { stop, readiness, .. } = &self.context;
        for (topic, _) in &self.topics {
            loop {
                if stop.is_requested() {
                    return false;
                }
                let reason = match self.consumer.fetch_metadata(Some(topic), TOPIC_TIMEOUT) {
                    Ok(metadata) if metadata.topics().iter().any(|topic| !topic.partitions().is_empty()) => break,
                    Ok(_) => format!("topic {topic} does not exist"),
                    Err(failure) => format!("Kafka does not answer: {failure}"),
                };
                readiness.wait_for(self.conditions.group, reason);
                stop.sleep(TOPIC_RETRY);
            }
        }
        !stop.is_requested()
    }

    /// Fills the batch with what has arrived, waiting only for the first event, and for company behind a batch that has only
    /// just begun.
    fn collect(&mut self) -> Result<(), WorkerError> {
        self.batch.clear();
        self.context.stop.sleep(self.gathering.wait(Instant::now()));
        let mut timeout = POLL_TIMEOUT;
        while self.batch.len() < self.batch_events_max {
            match self.consumer.poll(timeout) {
                None => break,
                Some(Ok(message)) => {
                    // Few topics: looking each up in turn is cheaper than hashing its name.
                    let known = self.topics.iter().find(|(topic, _)| **topic == *message.topic());
                    if let Some((topic, consumed)) = known {
                        consumed.inc();
                        self.batch.push(Event::copy(&message, topic));
                    }
                }
                Some(Err(source @ KafkaError::MessageConsumptionFatal(_))) => {
                    return Err(WorkerError::Kafka { during: "consume", source });
                }
                // The client goes on by itself; the events read so far are good.
                Some(Err(failure)) => {
                    self.context.metrics.kafka_errors.inc();
                    warn!(error = %failure, "failed to consume, the client retries");
                    break;
                }
            }
            timeout = Duration::ZERO;
        }
        self.gathering.began(Instant::now(), self.batch.len(), self.batch_events_max);
        Ok(())
    }

    fn work(&mut self) -> Result<(), WorkerError> {
        if self.context.modes.commit == CommitTime::BeforeWork && !self.commit_first()? {
            return Ok(());
        }
        let (stop, failpoint) = (self.context.stop.clone(), self.context.failpoint.clone());
        let work = async {
            failpoint.visit(Place::BeforeWork).await;
            self.handler.handle(&self.batch).await
        };
        let outcome = self.context.runtime.block_on(async {
            tokio::select! {
                outcome = work => Some(outcome),
                () = stop.wait_and(FINISH_TIMEOUT) => None,
            }
        });
        match outcome {
            Some(Ok(())) => {
                self.finished(&self.offsets());
                self.pause = pauses();
                self.context.readiness.satisfied(self.conditions.work);
                Ok(())
            }
            Some(Err(failure)) => self.retry(&failure),
            None => {
                warn!(events = self.batch.len(), "stopped before the batch was done; it is left to the next member");
                Ok(())
            }
        }
    }

    /// Commits the batch in hand before its work begins. False if that is not answered in time: the batch is read again.
    fn commit_first(&self) -> Result<bool, WorkerError> {
        let commits = &self.consumer.context().commits;
        commits.finished(&self.offsets());
        let committed = commits.settle(Instant::now() + FIRST_COMMIT_TIMEOUT);
        if !committed {
            warn!(events = self.batch.len(), "the commit of a batch was not answered, the batch is read again");
            self.rewind(&Offsets::default())?;
        }
        Ok(committed)
    }

    /// The offsets behind the batch in hand.
    fn offsets(&self) -> Offsets {
        let mut offsets = Offsets::default();
        self.batch.iter().for_each(|event| offsets.pass(event));
        offsets
    }

    /// The work before these offsets is done. Where they were committed before it, there is nothing left to commit.
    fn finished(&self, offsets: &Offsets) {
        if self.context.modes.commit == CommitTime::AfterWork {
            self.consumer.context().commits.finished(offsets);
        }
    }

    fn retry(&mut self, failure: &BatchError) -> Result<(), WorkerError> {
        let pause = self.pause.next().unwrap_or(PAUSE_MAX);
        let events = self.batch.len();
        warn!(error = %failure, events, ?pause, "failed to handle a batch, it is read again");
        self.context.metrics.batches_retried.inc();
        let readiness = &self.context.readiness;
        if failure.is_whole {
            readiness.wait_for(self.conditions.work, failure.to_string());
        } else {
            readiness.degraded(self.conditions.work, failure.to_string());
        }
        self.finished(&failure.finished);
        self.rewind(&failure.finished)?;
        self.context.stop.sleep(pause);
        Ok(())
    }

    /// Moves each partition of the batch back to its first unfinished event. If that fails the worker must end: to go
    /// on would commit, with the next batch, events that nobody handled.
    fn rewind(&self, finished: &Offsets) -> Result<(), WorkerError> {
        let mut positions = Offsets::default();
        let mut list = TopicPartitionList::new();
        for event in &self.batch {
            if positions.get(&event.topic, event.partition).is_none() {
                let next = finished.get(&event.topic, event.partition).unwrap_or(event.offset);
                positions.advance(&event.topic, event.partition, next);
            }
        }
        let failed = |topic: &str, partition, offset, source| WorkerError::Rewind {
            topic: topic.to_owned(),
            partition,
            offset,
            source,
        };
        for (topic, partition, next) in positions.iter() {
            list.add_partition_offset(topic, partition, Offset::Offset(next))
                .map_err(|source| failed(topic, partition, next, source))?;
        }
        let list = self
            .consumer
            .seek_partitions(list, REQUEST_TIMEOUT)
            .map_err(|source| WorkerError::Kafka { during: "rewind a failed batch", source })?;
        for (topic, partition, next) in positions.iter() {
            let Some(element) = list.find_partition(topic, partition) else {
                continue;
            };
            element.error().map_err(|source| failed(topic, partition, next, source))?;
        }
        Ok(())
    }
}

const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The pauses between attempts at one batch: growing, jittered, without end.
fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(PAUSE_MAX)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ_between_members() {
        let pauses_of_one: Vec<Duration> = pauses().take(10).collect();
        let pauses_of_other: Vec<Duration> = pauses().take(10).collect();
        assert_ne!(pauses_of_one, pauses_of_other, "members that failed together must not come back together");
        assert!(pauses_of_one[0] < Duration::from_millis(101), "{pauses_of_one:?}");
        // The jitter comes on top and is at most as long.
        assert!(pauses_of_one[9] >= PAUSE_MAX && pauses_of_one[9] <= 2 * PAUSE_MAX, "{pauses_of_one:?}");
    }
}
