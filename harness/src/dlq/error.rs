//! What can go wrong with dead letters.

use super::SUFFIX;
use super::memory::Foreign;
use crate::language::names;
use rdkafka::error::KafkaError;
use thiserror::Error;

/// Why letters were not read, or not played again.
#[derive(Debug, Error)]
pub enum DlqError {
    /// Nobody answers at the bootstrap servers, or not as Kafka does.
    #[error("no answer from Kafka at {bootstrap}: {source}")]
    NoAnswer {
        /// As they were given.
        bootstrap: String,
        /// The client's words.
        source: Box<KafkaError>,
    },
    /// A question that a cluster which answers did not answer.
    #[error("failed to {what}: {source}")]
    Kafka {
        /// What was asked for: reads after "failed to".
        what: String,
        /// The client's words.
        source: Box<KafkaError>,
    },
    /// A name that no topic of dead letters has.
    #[error("there is no topic of dead letters `{topic}`\n  {}", those_that_are(.topic, .known))]
    NoSuchTopic {
        /// The name.
        topic: String,
        /// Those that are.
        known: Vec<String>,
    },
    /// There is nowhere to send them.
    #[error("there is no topic `{target}` to send the letters to\n  --to names another")]
    NoTarget {
        /// Where they would go.
        target: String,
    },
    /// They would come back for ever.
    #[error("`{topic}` is the topic that the letters lie in\n  --to names another")]
    Circle {
        /// Both.
        topic: String,
    },
    /// An offset without a partition, of several.
    #[error("`{topic}` has {partitions} partitions: write PARTITION:{offset}, such as 0:{offset}")]
    WhichPartition {
        /// The topic.
        topic: String,
        /// How many it has.
        partitions: i32,
        /// The offset.
        offset: i64,
    },
    /// A place where no letter lies.
    #[error("there is no letter at offset {offset} of {topic}/{partition}\n  it has {}", extent(.first, .end))]
    NoLetter {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
        /// The first that is there.
        first: i64,
        /// The next one that will be.
        end: i64,
    },
    /// The group is somebody else's.
    #[error(
        "group `{group}` remembers something else than letters of {topic}/{partition}: {source}\n  --group names one that only this tool uses"
    )]
    ForeignGroup {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What it has committed.
        source: Foreign,
    },
    /// The group has members, which commit what they like.
    #[error("group `{group}` is in use: it has {members} members\n  --group names one that only this tool uses")]
    GroupInUse {
        /// The group.
        group: String,
        /// How many.
        members: usize,
    },
    /// More letters picked out than one commit can remember.
    #[error(
        "so many letters of {topic}/{partition} were picked out that group `{group}` cannot remember another\n  --all replays those between them, too; --group names a group that remembers nothing yet"
    )]
    TooManyPicked {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The group.
        group: String,
    },
    /// A letter that its topic did not take. What was sent before it is remembered.
    #[error(
        "{topic}/{partition} offset {offset} was not taken by `{target}`: {source}\n  {done} replayed and remembered before it; run it again to go on there"
    )]
    NotTaken {
        /// The letter's topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Its offset.
        offset: i64,
        /// Where it was sent.
        target: String,
        /// How many went before it in this replay.
        done: u64,
        /// The client's words.
        source: Box<KafkaError>,
    },
    /// Letters were sent, and that is not remembered.
    #[error(
        "{sent} letters of {topic}/{partition} were replayed, and group `{group}` did not take note of it: {source}\n  they will be replayed again"
    )]
    NotRemembered {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// How many.
        sent: usize,
        /// The group.
        group: String,
        /// The client's words.
        source: Box<KafkaError>,
    },
    /// The system denies a thread or a timer.
    #[error("failed to start a runtime: {0}")]
    Runtime(#[from] std::io::Error),
}

impl DlqError {
    /// Whether whoever typed the command can put it right by typing another.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NoSuchTopic { .. }
                | Self::NoTarget { .. }
                | Self::Circle { .. }
                | Self::WhichPartition { .. }
                | Self::NoLetter { .. }
                | Self::ForeignGroup { .. }
                | Self::GroupInUse { .. }
                | Self::TooManyPicked { .. }
        )
    }
}

fn those_that_are(topic: &str, known: &[String]) -> String {
    if known.is_empty() {
        return format!("this cluster has none; their names end in {SUFFIX}");
    }
    names::advice(topic, known.iter().map(String::as_str))
}

fn extent(first: &i64, end: &i64) -> String {
    if first >= end { "none".to_owned() } else { format!("offsets {first} to {}", end - 1) }
}
