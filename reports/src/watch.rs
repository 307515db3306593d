//! What is watched beside the messages themselves: how far logs reach, and how far consumer groups have come.
//!
//! - A [`Watch`] is one topic, with the group that consumes it where there is one, and where its work can be seen.
//! - A [`Commit`] is what `__consumer_offsets` says of a group: the truth about the order of its commits.
//! - A [`Reading`] is what the cluster answered when it was asked: what a consumer that starts now would be told.
//!
//! Both are kept, because they can differ: a coordinator that recovers badly gives other answers than its own log.

use crate::record::StreamId;
use serde::{Deserialize, Serialize};

/// A watch's number within its run; the index into [`crate::record::Record::watches`].
pub type WatchId = u16;

/// One topic that is watched, for one group that consumes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The topic.
    pub topic: String,
    /// The group; `None` where only the log is watched.
    pub group: Option<String>,
    /// The topic's tap, where it has one: what the group was to process.
    pub source: Option<StreamId>,
    /// Where the group's work shows: ledgers of its services and topics that they produce to. A message is *processed*
    /// once such a stream has it. Each is judged for itself.
    pub sinks: Vec<StreamId>,
}

impl Watch {
    /// How reports name it: `group order-tracker on orders`, `topic orders`.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.group {
            Some(group) => format!("group {group} on {}", self.topic),
            None => format!("topic {}", self.topic),
        }
    }
}

/// Who wrote a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum CommitKind {
    /// A member of the group, or a consumer that assigns partitions to itself: its own word on how far it has come.
    Member = 0,
    /// Somebody else, while a group that has had members had none: an administrator who resets offsets. Kafka takes
    /// commits without a member's id and generation for an empty group only.
    Reset = 1,
    /// Nobody any more: the commit expired, or the group or its offset was deleted (a tombstone).
    Removed = 2,
}

/// One commit of a group, as `__consumer_offsets` has it. Those of aborted transactions are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// The group and the topic.
    pub watch: WatchId,
    /// Who wrote it.
    pub kind: CommitKind,
    /// The partition of the topic.
    pub partition: i32,
    /// The next offset that the group wants to read; -1 where it was [`CommitKind::Removed`].
    pub offset: i64,
    /// The leader epoch of the last message that was read, -1 where the client did not say (KIP-320).
    pub leader_epoch: i32,
    /// The group's generation at that place of the log, -1 where it has had none.
    pub generation: i32,
    /// The record's offset in its partition of `__consumer_offsets`; all commits of one group are in one partition.
    pub log_offset: i64,
    /// When the coordinator wrote it, by its own clock, in milliseconds since the Unix epoch.
    pub committed_ms: i64,
    /// When the record was read: it had been committed by then.
    pub seen_ns: u64,
}

/// What the cluster answered about one partition of a watched topic. The commit is asked for first, the end of the log
/// last, so that a sound group is never found beyond the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The topic, and the group.
    pub watch: WatchId,
    /// The partition of the topic.
    pub partition: i32,
    /// Where the log starts.
    pub start: i64,
    /// The last stable offset: how far readers of committed messages get. -1 where nobody asked.
    pub stable: i64,
    /// The high watermark.
    pub end: i64,
    /// What the group has committed, -1 where it has not, or where there is no group.
    pub committed: i64,
    /// When the look began; all partitions of one look at one watch share it.
    pub asked_ns: u64,
    /// When the last answer of the look had come.
    pub answered_ns: u64,
}

impl Reading {
    /// The offset from which the group goes on: its commit, or the start of the log where it has none.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.committed.max(self.start)
    }

    /// How many messages the group has not committed yet.
    #[must_use]
    pub fn lag(&self) -> u64 {
        u64::try_from(self.end - self.position()).unwrap_or(0)
    }
}
