//! What operators do to a cluster, and how that is called: no faults, and nothing that heals.

use std::fmt;

/// What an operator does.
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
