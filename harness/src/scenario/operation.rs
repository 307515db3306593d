//! What people do to a cluster, and how that is called: nothing that heals.

use std::fmt;

/// What somebody does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Deletes records (KIP-107).
    DeleteRecords {
        /// Of this topic.
        topic: String,
        /// In this partition.
        partition: i32,
        /// Up to where.
        before: Before,
    },
    /// Gives a topic more partitions.
    AddPartitions {
        /// The topic.
        topic: String,
        /// How many it has then.
        to: u32,
    },
    /// Produces a message that nobody can decode.
    Poison {
        /// To this topic.
        topic: String,
        /// And this partition; `None`: as the key has it.
        partition: Option<i32>,
        /// Its key.
        key: Option<String>,
        /// Its value.
        value: String,
    },
}

/// Up to where records are deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// An offset.
    Offset(i64),
    /// What a group has committed, and so many more.
    Past {
        /// The group.
        group: String,
        /// How many more.
        by: i64,
    },
}

impl fmt::Display for Operation {
    /// `delete records of orders/0 before 500`, `add partitions to orders, up to 12`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeleteRecords { topic, partition, before } => {
                write!(f, "delete records of {topic}/{partition} {before}")
            }
            Self::AddPartitions { topic, to } => write!(f, "add partitions to {topic}, up to {to}"),
            Self::Poison { topic, partition: Some(partition), .. } => write!(f, "poison in {topic}/{partition}"),
            Self::Poison { topic, partition: None, .. } => write!(f, "poison in {topic}"),
        }
    }
}

impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offset(offset) => write!(f, "before {offset}"),
            Self::Past { group, by: 0 } => write!(f, "up to group {group}"),
            Self::Past { group, by } => write!(f, "up to {by} past group {group}"),
        }
    }
}
