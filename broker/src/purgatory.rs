//! Requests that wait: a fetch for enough bytes, a produce for the high watermark, a deletion for the followers.
//!
//! Owns who waits and on which partitions; what "enough" means belongs to `api/fetch.rs`, `api/produce.rs` and
//! `api/delete_records.rs`. Named after Kafka's delayed operation purgatory.

use crate::api::delete_records::WaitingDelete;
use crate::api::fetch::WaitingFetch;
use crate::api::produce::WaitingProduce;
use crate::group::pending::WaitingGroup;
use crate::log::partition::PartitionId;
use crate::types::ConnectionId;
use std::collections::BTreeMap;

/// A waiting request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitId(pub u64);

/// What waits.
#[derive(Debug)]
pub enum Waiting {
    /// A fetch for `min_bytes`.
    Fetch(WaitingFetch),
    /// A produce with acks=all for its offsets to pass below the high watermark.
    Produce(WaitingProduce),
    /// A deletion of records, for all replicas that are alive to have deleted them.
    Delete(WaitingDelete),
    /// What a group coordinator wrote to a partition, and the answers that depend on it.
    Group(WaitingGroup),
}

/// Why a waiting request is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// A high watermark moved, or there is more to read.
    Moved,
    /// It has waited as long as it may.
    TimedOut,
    /// This node does not lead a partition of it any more, or leads it in a new epoch.
    NotLeader,
    /// A partition of it was deleted.
    Gone,
}

impl Waiting {
    /// Whose connection it is; nobody's for what a node does on its own account.
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Fetch(fetch) => Some(fetch.token.connection),
            Self::Produce(produce) => Some(produce.token.connection),
            Self::Delete(delete) => Some(delete.token.connection),
            Self::Group(_) => None,
        }
    }

    /// The partitions that it waits for.
    #[must_use]
    pub fn partitions(&self) -> Vec<PartitionId> {
        match self {
            Self::Fetch(fetch) => fetch.partitions(),
            Self::Produce(produce) => produce.required.iter().map(|(partition, _)| *partition).collect(),
            Self::Delete(delete) => delete.required.iter().map(|(partition, _)| *partition).collect(),
            Self::Group(group) => vec![group.partition()],
        }
    }
}

/// All waiting requests of a node.
#[derive(Debug, Default)]
pub struct Purgatory {
    waiting: BTreeMap<WaitId, Waiting>,
    next: u64,
}

impl Purgatory {
    /// Lets a request wait.
    pub fn insert(&mut self, waiting: Waiting) -> WaitId {
        let id = WaitId(self.next);
        self.next += 1;
        self.waiting.insert(id, waiting);
        id
    }

    /// Takes a request out, to answer or forget it.
    pub fn take(&mut self, id: WaitId) -> Option<Waiting> {
        self.waiting.remove(&id)
    }

    /// Puts a request back under its number.
    pub fn put_back(&mut self, id: WaitId, waiting: Waiting) {
        self.waiting.insert(id, waiting);
    }

    /// Looks at a request.
    #[must_use]
    pub fn get(&self, id: WaitId) -> Option<&Waiting> {
        self.waiting.get(&id)
    }

    /// Everything that waits on behalf of a connection.
    #[must_use]
    pub fn of_connection(&self, connection: ConnectionId) -> Vec<WaitId> {
        let of_it = self.waiting.iter().filter(|(_, waiting)| waiting.connection() == Some(connection));
        of_it.map(|(id, _)| *id).collect()
    }
}
