//! What nodes tell each other. Typed, since nodes share a process: what Kafka encodes for its own brokers is handed over
//! by reference here, under the names of Kafka's requests.
//!
//! Any message may be lost, delayed or come after its sender's death. Within one link messages keep their order.

use crate::metadata::record::BrokerRegistration;
use crate::metadata::snapshot::Snapshot;
use crate::types::{BrokerId, LeaderEpoch, Offset, PartitionId, ProducerId};
use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};

/// A message from one node to another.
#[derive(Debug, Clone)]
pub enum PeerMessage {
    /// `Vote`: a candidate, or a node that considers standing, asks a voter (KIP-595, KIP-996).
    Vote(Vote),
    /// The answer to a vote.
    Voted(Voted),
    /// `BeginQuorumEpoch`: the sender leads this epoch.
    BeginEpoch(LeaderEpoch),
    /// `EndQuorumEpoch`: the sender leads this epoch no longer; voters may stand at once.
    EndEpoch(LeaderEpoch),
    /// `Fetch` of the metadata log, by voters and by everybody else.
    MetadataFetch(MetadataFetch),
    /// The answer to it.
    MetadataFetched(MetadataFetched),
    /// `Fetch` by a follower, for all partitions that the receiver leads for it.
    ReplicaFetch(ReplicaFetch),
    /// The answer to it.
    ReplicaFetched(ReplicaFetched),
    /// A request to the active controller.
    ToController {
        /// The sender's number for it.
        id: u64,
        /// What is asked.
        request: ControllerRequest,
    },
    /// The answer to it.
    FromController {
        /// The number that it was asked under.
        id: u64,
        /// The answer.
        response: ControllerResponse,
    },
}

/// A request for a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// The epoch that the candidate stands for; with `pre_vote` the epoch that it is in.
    pub epoch: LeaderEpoch,
    /// The epoch of the last record of its log.
    pub last_epoch: LeaderEpoch,
    /// Where its log ends.
    pub log_end: Offset,
    /// Whether it only asks whether it would get the vote.
    pub pre_vote: bool,
}

/// A voter's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voted {
    /// The voter's epoch.
    pub epoch: LeaderEpoch,
    /// The leader of that epoch, as far as the voter knows.
    pub leader: Option<BrokerId>,
    /// Whether it gives its vote.
    pub granted: bool,
    /// What was asked.
    pub pre_vote: bool,
}

/// A fetch of the metadata log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataFetch {
    /// The sender's number for it.
    pub id: u64,
    /// The epoch in which it takes the receiver for the leader.
    pub epoch: LeaderEpoch,
    /// The first offset that it lacks.
    pub offset: Offset,
    /// The epoch of its last record.
    pub last_epoch: LeaderEpoch,
    /// The high watermark that it knows (KIP-1166): the leader answers once its own is higher.
    pub high_watermark: Offset,
}

/// The answer to a fetch of the metadata log.
#[derive(Debug, Clone)]
pub struct MetadataFetched {
    /// The number that it was asked under.
    pub id: u64,
    /// The answering node's epoch.
    pub epoch: LeaderEpoch,
    /// The leader of that epoch, as far as it knows.
    pub leader: Option<BrokerId>,
    /// What it has to say as the leader; `None` where it is not.
    pub found: Option<Found>,
    /// What to begin with instead of a log that the leader does not have any more (KIP-630). Kafka names the snapshot's end
    /// and epoch here, and `FetchSnapshot` pulls its bytes piece by piece; nodes that share a process hand it over at once, by
    /// reference.
    pub snapshot: Option<Snapshot>,
}

/// What a leader found where a follower asked.
#[derive(Debug, Clone)]
pub struct Found {
    /// The leader's high watermark.
    pub high_watermark: Offset,
    /// Where the leader's log begins.
    pub log_start: Offset,
    /// Where the follower's log leaves the leader's: the largest epoch that both may share, and where that ends (KIP-320).
    pub diverging: Option<(LeaderEpoch, Offset)>,
    /// Whole batches, in order.
    pub batches: Vec<Bytes>,
}

/// Where a follower is in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchPosition {
    /// The epoch in which it takes the receiver for the leader.
    pub leader_epoch: LeaderEpoch,
    /// The first offset that it lacks.
    pub offset: Offset,
    /// The epoch of its last batch; `None` for an empty log.
    pub last_epoch: Option<LeaderEpoch>,
    /// Where its log begins.
    pub log_start: Offset,
}

/// A follower's fetch. A partition that the receiver does not lead in that epoch is not refused but kept: one of the two
/// does not know the latest metadata yet, and will. As in a fetch session (KIP-227) only what changed is named; a sequence of 0 names everything.
#[derive(Debug, Clone)]
pub struct ReplicaFetch {
    /// Drawn by the follower for each new session.
    pub session: u64,
    /// Counts the fetches of the session.
    pub sequence: u32,
    /// The latest fetch of the session whose answer has come: what later answers told may be lost.
    pub answered: Option<u32>,
    /// The follower's broker epoch, by which the leader knows a restarted follower (KIP-903).
    pub broker_epoch: i64,
    /// Partitions whose position changed.
    pub positions: Vec<(PartitionId, FetchPosition)>,
    /// Partitions that the follower does not fetch here any more.
    pub forgotten: Vec<PartitionId>,
}

/// The answer to a follower's fetch.
#[derive(Debug, Clone)]
pub struct ReplicaFetched {
    /// The session.
    pub session: u64,
    /// The latest fetch that the leader had seen.
    pub sequence: u32,
    /// What is new, or `None` where the leader does not know the session.
    pub partitions: Option<Vec<(PartitionId, FetchedReplica)>>,
}

/// What is new in a partition.
#[derive(Debug, Clone)]
pub struct FetchedReplica {
    /// The epoch in which the follower asked.
    pub leader_epoch: LeaderEpoch,
    /// From where it asked: what is found follows on that, whatever offsets are missing in between.
    pub offset: Offset,
    /// What there is.
    pub found: Result<Found, FetchRefused>,
}

/// Why a leader has nothing for a follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchRefused {
    /// The offset is outside of the leader's log, which reaches from the first to the second.
    OutOfRange(Offset, Offset),
    /// The leader's storage failed.
    Storage,
}

/// What the active controller is asked.
#[derive(Debug, Clone)]
pub enum ControllerRequest {
    /// `BrokerRegistration`. The registration's epoch is not known yet.
    Register(BrokerRegistration),
    /// `BrokerHeartbeat`.
    Heartbeat {
        /// The broker's epoch.
        epoch: i64,
        /// How far it has replayed the metadata log.
        metadata_end: Offset,
    },
    /// `AlterPartition`: a leader's view of who is in sync.
    AlterPartition {
        /// The leader's broker epoch.
        broker_epoch: i64,
        /// What it wants.
        partitions: Vec<IsrChange>,
    },
    /// `AllocateProducerIds`.
    AllocateProducerIds {
        /// The broker's epoch.
        broker_epoch: i64,
    },
    /// `Envelope`: a client's request that only the controller can serve.
    Forward {
        /// Its API.
        api: ApiKey,
        /// The version that it was sent in.
        version: i16,
        /// The request.
        request: Box<RequestKind>,
    },
}

/// An ISR that a leader proposes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsrChange {
    /// The partition.
    pub partition: PartitionId,
    /// The epoch in which the sender leads it.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch that the change is based on.
    pub partition_epoch: i32,
    /// The members, each with its broker epoch (KIP-903), -1 for unknown.
    pub isr: Vec<(BrokerId, i64)>,
}

/// What the controller answers.
#[derive(Debug, Clone)]
pub enum ControllerResponse {
    /// The receiver is not the active controller.
    NotController,
    /// The broker's new epoch.
    Registered {
        /// The epoch, or why there is none.
        epoch: Result<i64, ResponseError>,
    },
    /// The answer to a heartbeat: whether the broker is fenced.
    Alive {
        /// Whether it is fenced, or that it has to register anew.
        fenced: Result<bool, ResponseError>,
    },
    /// The answer to ISR changes, in their order: the partition epoch that each led to.
    Altered(Vec<(PartitionId, Result<i32, ResponseError>)>),
    /// A block of producer ids.
    ProducerIds {
        /// The first.
        first: ProducerId,
        /// How many.
        count: i64,
    },
    /// The broker is not known with that epoch.
    StaleBroker,
    /// The answer to a client's request.
    Forwarded(Box<ResponseKind>),
}
