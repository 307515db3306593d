//! Events as they are handed to a service, and the offsets that say how far it has come.

use crate::trace::{TRACEPARENT, TraceContext};
use rdkafka::TopicPartitionList;
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Headers, Message, OwnedHeaders};
use rdkafka::topic_partition_list::Offset;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;
use thiserror::Error;

/// One message of a topic, owned.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) headers: Option<OwnedHeaders>,
    pub(crate) trace: Option<TraceContext>,
}

impl Event {
    /// Copies a message out of the client. `topic` is its topic's name, shared by all events.
    pub(crate) fn copy(message: &BorrowedMessage<'_>, topic: &Arc<str>) -> Self {
        let trace = message
            .headers()
            .and_then(|headers| headers.iter().find(|header| header.key == TRACEPARENT))
            .and_then(|header| TraceContext::parse(header.value?));
        Self {
            topic: Arc::clone(topic),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().map(<[u8]>::to_vec),
            headers: message.headers().map(|headers| headers.detach()),
            trace,
        }
    }

    /// The value of a header, if it is there and text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.headers.as_ref()?;
        let header = headers.iter().find(|header| header.key == name)?;
        std::str::from_utf8(header.value?).ok()
    }

    /// Whether every hop should log this order at `info`.
    pub(crate) fn is_sampled(&self) -> bool {
        self.trace.is_some_and(|trace| trace.sampled)
    }
}

/// For each partition the next offset to read; partitions that are not named are where they were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Offsets {
    next: BTreeMap<(Arc<str>, i32), i64>,
}

impl Offsets {
    /// The event is done.
    pub(crate) fn pass(&mut self, event: &Event) {
        self.advance(&event.topic, event.partition, event.offset + 1);
    }

    /// Everything of this partition before `next` is done. Offsets never go back.
    pub(crate) fn advance(&mut self, topic: &Arc<str>, partition: i32, next: i64) {
        let known = self.next.entry((Arc::clone(topic), partition)).or_insert(next);
        *known = next.max(*known);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for ((topic, partition), next) in &other.next {
            self.advance(topic, *partition, *next);
        }
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<i64> {
        self.iter().find(|(name, number, _)| *name == topic && *number == partition).map(|(_, _, next)| next)
    }

    /// Those of these partitions.
    pub(crate) fn only(&self, partitions: &BTreeSet<(Arc<str>, i32)>) -> Self {
        let next = self.next.iter().filter(|(partition, _)| partitions.contains(partition));
        Self { next: next.map(|(partition, next)| (partition.clone(), *next)).collect() }
    }

    /// Leaves a partition out.
    pub(crate) fn forget(&mut self, partition: &(Arc<str>, i32)) {
        self.next.remove(partition);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, i32, i64)> {
        self.next.iter().map(|((topic, partition), next)| (&**topic, *partition, *next))
    }

    /// The form in which they are committed.
    pub(crate) fn to_list(&self) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::with_capacity(self.next.len());
        for (topic, partition, next) in self.iter() {
            list.add_partition_offset(topic, partition, Offset::Offset(next))?;
        }
        Ok(list)
    }
}

/// A batch that was not finished. What was finished is committed, the rest is read again.
#[derive(Debug, Error)]
#[error("{source}")]
pub(crate) struct BatchError {
    pub(crate) finished: Offsets,
    pub(crate) source: Box<dyn Error + Send + Sync>,
    /// Whether it speaks of this service, not of some events or of somebody whom they need.
    pub(crate) is_whole: bool,
}

impl BatchError {
    /// Nothing of the batch was finished: the service cannot work.
    pub(crate) fn whole(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { finished: Offsets::default(), source: source.into(), is_whole: true }
    }

    /// The service works, and some of these events have to wait.
    pub(crate) fn part(finished: Offsets, source: Box<dyn Error + Send + Sync>) -> Self {
        Self { finished, source, is_whole: false }
    }
}

/// How far each partition is done when exactly the events marked in `finished` are: up to its first unfinished one.
pub(crate) fn finished_offsets(batch: &[Event], finished: &[bool]) -> Offsets {
    let mut offsets = Offsets::default();
    let mut stuck = BTreeSet::new();
    for (event, is_finished) in batch.iter().zip(finished) {
        let partition = (&event.topic, event.partition);
        if !is_finished {
            stuck.insert(partition);
        } else if !stuck.contains(&partition) {
            offsets.pass(event);
        }
    }
    offsets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::testing::event;

    #[test]
    fn a_partition_is_done_up_to_its_first_unfinished_event() {
        let batch = [
            event("t", 0, 10, "a", ""),
            event("t", 1, 20, "b", ""),
            event("t", 0, 11, "a", ""),
            event("t", 0, 12, "a", ""),
            event("t", 2, 30, "c", ""),
        ];
        let offsets = finished_offsets(&batch, &[true, true, false, true, false]);
        assert_eq!(offsets.iter().collect::<Vec<_>>(), [("t", 0, 11), ("t", 1, 21)]);
    }

    #[test]
    fn offsets_never_go_back() {
        let topic: Arc<str> = Arc::from("t");
        let mut offsets = Offsets::default();
        offsets.advance(&topic, 0, 5);
        let mut older = Offsets::default();
        older.advance(&topic, 0, 3);
        older.advance(&topic, 1, 7);
        offsets.merge(&older);
        assert_eq!(offsets.iter().collect::<Vec<_>>(), [("t", 0, 5), ("t", 1, 7)]);
        assert_eq!(offsets.get("t", 1), Some(7));
        assert_eq!(offsets.get("t", 2), None);
    }

    #[test]
    fn a_list_carries_the_next_offset() {
        let mut offsets = Offsets::default();
        offsets.pass(&event("t", 3, 41, "a", ""));
        let list = offsets.to_list().unwrap();
        assert_eq!(list.find_partition("t", 3).unwrap().offset(), Offset::Offset(42));
    }
}
