//! Kafka, as far as letters are concerned: which topics there are, how far they reach, what lies in them, and what a group has
//! committed. Changes nothing but these commits.

use super::error::DlqError;
use super::letter::{Letter, first_topic};
use super::memory::Memory;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

/// How long a question may go unanswered, and how long a topic may give nothing though there is something.
const PATIENCE: Duration = Duration::from_secs(15);

/// Between two looks at the clock while letters are awaited.
const POLL: Duration = Duration::from_millis(100);

/// A connection to Kafka, with a group of its own in which it is nobody's member.
pub struct Post {
    bootstrap: String,
    group: String,
    consumer: BaseConsumer,
}

impl Post {
    /// Connects to the cluster behind `bootstrap` (`HOST:PORT`, with commas between) and remembers in `group`.
    ///
    /// # Errors
    /// [`DlqError::NoAnswer`] when nobody is there.
    pub fn open(bootstrap: &str, group: &str) -> Result<Self, DlqError> {
        let no_answer = |source| DlqError::NoAnswer { bootstrap: bootstrap.to_owned(), source: Box::new(source) };
        let consumer: BaseConsumer = client(bootstrap)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            // Tells a topic that has no more from one that does not answer.
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("allow.auto.create.topics", "false")
            .create()
            .map_err(no_answer)?;
        let post = Self { bootstrap: bootstrap.to_owned(), group: group.to_owned(), consumer };
        post.topics()?;
        Ok(post)
    }

    /// As it was given.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The group that remembers.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Every topic with the number of its partitions, in the order of names.
    ///
    /// # Errors
    /// [`DlqError::NoAnswer`].
    pub fn topics(&self) -> Result<BTreeMap<String, i32>, DlqError> {
        let no_answer = |source| DlqError::NoAnswer { bootstrap: self.bootstrap.clone(), source: Box::new(source) };
        let metadata = self.consumer.fetch_metadata(None, PATIENCE).map_err(no_answer)?;
        let partitions = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let named = metadata.topics().iter();
        Ok(named.map(|topic| (topic.name().to_owned(), partitions(topic.partitions().len()))).collect())
    }

    /// The topics of dead letters, or this one.
    ///
    /// # Errors
    /// [`DlqError::NoSuchTopic`] when it is none, and those of [`Post::topics`].
    pub fn dead_letter_topics(&self, only: Option<&str>) -> Result<BTreeMap<String, i32>, DlqError> {
        let mut topics = self.topics()?;
        topics.retain(|topic, _| first_topic(topic).is_some());
        let Some(only) = only else { return Ok(topics) };
        match topics.remove_entry(only) {
            Some(found) => Ok(BTreeMap::from([found])),
            None => Err(DlqError::NoSuchTopic { topic: only.to_owned(), known: topics.into_keys().collect() }),
        }
    }

    /// The offsets that a partition has.
    ///
    /// # Errors
    /// [`DlqError::Kafka`].
    pub fn extent(&self, topic: &str, partition: i32) -> Result<Range<i64>, DlqError> {
        let failed = |source| DlqError::Kafka {
            what: format!("ask how far {topic}/{partition} reaches"),
            source: Box::new(source),
        };
        let (first, end) = self.consumer.fetch_watermarks(topic, partition, PATIENCE).map_err(failed)?;
        Ok(first..end)
    }

    /// What the group remembers of each partition of a topic.
    ///
    /// # Errors
    /// [`DlqError::ForeignGroup`] when somebody else commits in it, and [`DlqError::Kafka`].
    pub fn memories(&self, topic: &str, partitions: i32) -> Result<Vec<Memory>, DlqError> {
        let mut asked = TopicPartitionList::new();
        for partition in 0..partitions {
            asked.add_partition(topic, partition);
        }
        let what = || format!("ask what group {} remembers of {topic}", self.group);
        let failed = |source| DlqError::Kafka { what: what(), source: Box::new(source) };
        let committed = self.consumer.committed_offsets(asked, PATIENCE).map_err(failed)?;
        let mut memories = vec![Memory::default(); usize::try_from(partitions).unwrap_or_default()];
        for element in committed.elements() {
            element.error().map_err(failed)?;
            let next = match element.offset() {
                Offset::Offset(next) => Some(next),
                _ => None,
            };
            let partition = element.partition();
            let memory = Memory::read(next, element.metadata()).map_err(|source| DlqError::ForeignGroup {
                group: self.group.clone(),
                topic: topic.to_owned(),
                partition,
                source,
            })?;
            if let Some(place) = usize::try_from(partition).ok().and_then(|place| memories.get_mut(place)) {
                *place = memory;
            }
        }
        Ok(memories)
    }

    /// Makes sure that nobody is a member of the group: it would not let anybody else commit.
    ///
    /// # Errors
    /// [`DlqError::GroupInUse`], and [`DlqError::Kafka`].
    pub(super) fn is_free(&self) -> Result<(), DlqError> {
        let failed =
            |source| DlqError::Kafka { what: format!("look who is in group {}", self.group), source: Box::new(source) };
        let groups = self.consumer.client().fetch_group_list(Some(&self.group), PATIENCE).map_err(failed)?;
        let members = groups.groups().iter().map(|group| group.members().len()).sum();
        if members > 0 { Err(DlqError::GroupInUse { group: self.group.clone(), members }) } else { Ok(()) }
    }

    /// Commits what was played again of a partition.
    ///
    /// # Errors
    /// The client's, when the coordinator does not take it: the group may have members, which are not this tool's.
    pub(super) fn remember(&self, topic: &str, partition: i32, memory: &Memory) -> Result<(), KafkaError> {
        let mut offsets = TopicPartitionList::new();
        let mut element = offsets.add_partition(topic, partition);
        element.set_offset(Offset::Offset(memory.next()))?;
        element.set_metadata(memory.to_string());
        self.consumer.commit(&offsets, CommitMode::Sync)
    }

    /// Reads the letters of a stretch of a partition, in their order, until `each` has had enough and says `false`.
    ///
    /// # Errors
    /// Those of `each`, and [`DlqError::Kafka`].
    pub fn read(
        &self,
        topic: &str,
        partition: i32,
        stretch: Range<i64>,
        each: &mut dyn FnMut(Letter) -> Result<bool, DlqError>,
    ) -> Result<(), DlqError> {
        if stretch.is_empty() {
            return Ok(());
        }
        let what = || format!("read {topic}/{partition} from offset {}", stretch.start);
        let failed = |source| DlqError::Kafka { what: what(), source: Box::new(source) };
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, partition, Offset::Offset(stretch.start)).map_err(failed)?;
        self.consumer.assign(&assignment).map_err(failed)?;
        let result = self.poll_letters(partition, stretch.end, &failed, each);
        // Nothing of it may come along with the next stretch.
        self.consumer.unassign().map_err(failed)?;
        result
    }

    fn poll_letters(
        &self,
        partition: i32,
        end: i64,
        failed: &dyn Fn(KafkaError) -> DlqError,
        each: &mut dyn FnMut(Letter) -> Result<bool, DlqError>,
    ) -> Result<(), DlqError> {
        let mut deadline = Instant::now() + PATIENCE;
        let mut last_failure = None;
        loop {
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    let offset = message.offset();
                    if offset >= end || !each(Letter::copy(&message))? || offset + 1 >= end {
                        return Ok(());
                    }
                    deadline = Instant::now() + PATIENCE;
                }
                // The rest of the stretch was never letters: markers of transactions, or what compaction took out.
                Some(Err(KafkaError::PartitionEOF(ended))) if ended == partition => return Ok(()),
                // It is another stretch's, which is no longer assigned.
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(source @ KafkaError::MessageConsumptionFatal(_))) => return Err(failed(source)),
                // The client tries again by itself.
                Some(Err(source)) => last_failure = Some(source),
                None => {}
            }
            if Instant::now() >= deadline {
                let timed_out = rdkafka::types::RDKafkaErrorCode::OperationTimedOut;
                return Err(failed(last_failure.unwrap_or(KafkaError::MessageConsumption(timed_out))));
            }
        }
    }
}

/// What every client of the tool starts from.
pub(super) fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("client.id", "shakedown-dlq");
    config
}
