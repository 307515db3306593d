//! The numbers of the field, each with a type of its own, so that an offset is never taken for an epoch.
//!
//! Owns no behaviour beyond arithmetic that is meaningful in Kafka.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number! {
    /// A node's id (`node.id`), from 1.
    BrokerId(i32)
}
number! {
    /// A record's place in its partition, from 0.
    Offset(i64)
}
number! {
    /// How many leaders a partition has had; written into every batch.
    LeaderEpoch(i32)
}
number! {
    /// An idempotent producer's id.
    ProducerId(i64)
}
number! {
    /// A client's connection, unique for the life of a node.
    ConnectionId(u64)
}

impl Offset {
    /// The offset `count` records further on. It stops at the ends of all offsets: counts come from bytes that clients
    /// and disks wrote, and may be anything.
    #[must_use]
    pub const fn plus(self, count: i64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

/// The instant at which something reaches a node. The shell reads clocks; the core only compares what it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic nanoseconds since any fixed start: what deadlines are made of.
    pub monotonic_ns: u64,
    /// Milliseconds since the Unix epoch as this node's clock has it: what timestamps are made of.
    pub wall_ms: i64,
}

impl Now {
    /// The monotonic instant `ms` milliseconds from now; negative waits count as none.
    #[must_use]
    pub fn after_ms(self, ms: i64) -> u64 {
        let wait = u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000);
        self.monotonic_ns.saturating_add(wait)
    }
}

/// A topic's partition, by the topic's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: kafka_protocol::protocol::StrBytes,
    /// The partition's index, from 0.
    pub partition: i32,
}

/// Which partition, on every node alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId {
    /// The topic's id.
    pub topic: uuid::Uuid,
    /// The partition's index, from 0.
    pub index: i32,
}

impl PartitionId {
    /// Every partition that a topic can have, as a range of ids.
    #[must_use]
    pub fn all_of(topic: uuid::Uuid) -> std::ops::RangeInclusive<Self> {
        Self { topic, index: 0 }..=Self { topic, index: i32::MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_end_where_their_numbers_do() {
        assert_eq!(Offset(7).plus(i64::MAX), Offset(i64::MAX));
        assert_eq!(Offset(-7).plus(i64::MIN), Offset(i64::MIN));
        assert_eq!(Offset(7).plus(-3), Offset(4));
    }
}
