//! Looks at watched topics and groups: what each group has committed, and from where to where each log reaches.
//!
//! A look at a topic is whole or not there: where one partition does not answer, what the others said is left out, because
//! sums over half of the partitions say nothing. The order of the questions is part of their meaning; see [`Reading`].

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use shakedown_loadgen::RunClock;
use shakedown_reports::watch::{Reading, Watch, WatchId};
use std::time::Duration;

/// For one question: a cluster that needs longer has nothing to tell about this instant.
const ATTEMPT: Duration = Duration::from_secs(1);

/// Asks the cluster about everything that is watched.
pub struct Looker {
    clock: RunClock,
    watched: Vec<Watched>,
    /// Sees logs up to the high watermark.
    uncommitted: BaseConsumer,
    /// Sees logs up to the last stable offset.
    committed: BaseConsumer,
}

struct Watched {
    id: WatchId,
    topic: String,
    /// Asks what the group has committed, as a member of it would.
    group: Option<BaseConsumer>,
}

impl Looker {
    /// Prepares to ask.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(watches: &[Watch], bootstrap: &str, clock: RunClock) -> KafkaResult<Self> {
        let client = |group: &str, isolation: &str| -> KafkaResult<BaseConsumer> {
            ClientConfig::new()
                .set("bootstrap.servers", bootstrap)
                .set("client.id", "shakedown-look")
                .set("group.id", group)
                .set("isolation.level", isolation)
                .set("enable.auto.commit", "false")
                // A broker that was dead for a while is not left alone for longer than that.
                .set("reconnect.backoff.ms", "10")
                .set("reconnect.backoff.max.ms", "100")
                .create()
        };
        let watched = (0..).zip(watches).map(|(id, watch)| {
            let group = watch.group.as_deref().map(|group| client(group, "read_committed")).transpose()?;
            Ok(Watched { id, topic: watch.topic.clone(), group })
        });
        Ok(Self {
            clock,
            watched: watched.collect::<KafkaResult<Vec<_>>>()?,
            uncommitted: client("shakedown-look", "read_uncommitted")?,
            committed: client("shakedown-look", "read_committed")?,
        })
    }

    /// Looks at everything once. What does not answer in time is left out.
    pub fn look(&self, mut see: impl FnMut(&Reading)) {
        for watched in &self.watched {
            if let Ok(readings) = self.look_at(watched) {
                readings.iter().for_each(&mut see);
            }
        }
    }

    fn look_at(&self, watched: &Watched) -> KafkaResult<Vec<Reading>> {
        let asked_ns = self.clock.now_ns();
        let partitions =
            partitions(&self.committed, &watched.topic)?.min(partitions(&self.uncommitted, &watched.topic)?);
        let committed = match &watched.group {
            Some(group) => committed(group, &watched.topic, partitions)?,
            None => (0..partitions).map(|_| -1).collect(),
        };
        let starts = offsets(&self.uncommitted, &watched.topic, partitions, Offset::Beginning)?;
        let stable = offsets(&self.committed, &watched.topic, partitions, Offset::End)?;
        let ends = offsets(&self.uncommitted, &watched.topic, partitions, Offset::End)?;
        let answered_ns = self.clock.now_ns();
        let places = starts.into_iter().zip(stable).zip(ends.into_iter().zip(committed));
        let reading = |(partition, ((start, stable), (end, committed)))| Reading {
            watch: watched.id,
            partition,
            start,
            stable,
            end,
            committed,
            asked_ns,
            answered_ns,
        };
        Ok((0..).zip(places).map(reading).collect())
    }
}

/// How many partitions the topic has by now. Asking has the client learn who leads them, too: by itself it believes for
/// minutes what it once heard, and asks a broker that has died.
fn partitions(client: &BaseConsumer, topic: &str) -> KafkaResult<i32> {
    let metadata = client.fetch_metadata(Some(topic), ATTEMPT)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    match found.map(|found| i32::try_from(found.partitions().len()).unwrap_or(i32::MAX)) {
        Some(partitions @ 1..) => Ok(partitions),
        _ => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)),
    }
}

/// What the group has committed at each partition, -1 where nothing.
fn committed(group: &BaseConsumer, topic: &str, partitions: i32) -> KafkaResult<Vec<i64>> {
    let mut question = TopicPartitionList::new();
    (0..partitions).for_each(|partition| _ = question.add_partition(topic, partition));
    answers(&group.committed_offsets(question, ATTEMPT)?, topic, partitions, -1)
}

/// The offset of each partition at this end of its log. One request for each leader: ListOffsets takes -1 and -2, which are
/// what librdkafka calls these two offsets, in the place of a time.
fn offsets(client: &BaseConsumer, topic: &str, partitions: i32, which: Offset) -> KafkaResult<Vec<i64>> {
    let mut question = TopicPartitionList::new();
    for partition in 0..partitions {
        question.add_partition_offset(topic, partition, which)?;
    }
    // An answer that is no offset leaves the question where it was.
    answers(&client.offsets_for_times(question, ATTEMPT)?, topic, partitions, i64::MIN)
}

/// The offset of each partition; `nothing` where there is none, which is an error if it cannot be.
fn answers(list: &TopicPartitionList, topic: &str, partitions: i32, nothing: i64) -> KafkaResult<Vec<i64>> {
    let missing = || KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownPartition);
    let answer = |partition| {
        let element = list.find_partition(topic, partition).ok_or_else(missing)?;
        element.error()?;
        match element.offset() {
            Offset::Offset(offset) => Ok(offset),
            _ if nothing == i64::MIN => Err(missing()),
            _ => Ok(nothing),
        }
    };
    (0..partitions).map(answer).collect()
}
