//! What goes into a node and what comes out of it.

use crate::peer::PeerMessage;
use crate::types::{BrokerId, ConnectionId, LeaderEpoch, Offset, TopicPartition};
use crate::wire::request::Frame;
use crate::wire::response::Response;
use kafka_protocol::protocol::StrBytes;

/// One request, by which its reply finds the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestToken {
    /// The connection it came on.
    pub connection: ConnectionId,
    /// Its number on that connection.
    pub number: u64,
}

/// Something that happens to a node.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "moved once for each request and never kept for long")]
pub enum Input {
    /// A client asks.
    Request {
        /// Where the reply goes.
        token: RequestToken,
        /// The client's address, as groups describe it.
        client_host: StrBytes,
        /// The request, decoded.
        frame: Frame,
    },
    /// A client's connection is gone, and with it whatever it waited for.
    Disconnected(ConnectionId),
    /// Another node says something.
    Peer {
        /// Which.
        from: BrokerId,
        /// What.
        message: PeerMessage,
    },
    /// Nothing but time.
    Tick,
    /// The wall clock was moved: what goes by it may be due at once, whenever it would have been looked at otherwise.
    /// Nothing that goes by monotonic time is.
    ClockMoved,
}

/// Something that a node wants done.
#[derive(Debug, Clone)]
pub enum Output {
    /// Answer a request. Each request gets at most one of [`Output::Reply`] and [`Output::NoReply`].
    Reply {
        /// Which request.
        token: RequestToken,
        /// The answer.
        response: Response,
    },
    /// The request is done, and its client expects no answer (acks=0).
    NoReply {
        /// Which request.
        token: RequestToken,
    },
    /// Close a client's connection.
    HangUp {
        /// Which.
        connection: ConnectionId,
        /// Why, for the log.
        reason: String,
    },
    /// Tell another node something.
    Send {
        /// Which.
        to: BrokerId,
        /// What.
        message: PeerMessage,
    },
    /// Something that observers may want to know.
    Event(Event),
}

/// What observers see; never needed for the node's own work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The node is registered and may serve clients.
    Registered(BrokerId),
    /// This node leads a partition.
    Leads {
        /// The partition.
        partition: TopicPartition,
        /// In which epoch.
        epoch: LeaderEpoch,
    },
    /// A partition that this node leads has other replicas in sync.
    IsrChanged {
        /// The partition.
        partition: TopicPartition,
        /// Who is in sync now.
        isr: Vec<BrokerId>,
        /// The leader's epoch.
        epoch: LeaderEpoch,
    },
    /// This node threw away what its leader does not have.
    Truncated {
        /// The partition.
        partition: TopicPartition,
        /// Where the log ended.
        from: Offset,
        /// Where it ends now.
        to: Offset,
    },
    /// This node is the active controller.
    ControllerElected {
        /// In which epoch of the quorum.
        epoch: LeaderEpoch,
    },
    /// Told by the active controller: a broker's heartbeats stopped, or it restarted.
    Fenced(BrokerId),
    /// Told by the active controller: a broker may lead again.
    Unfenced(BrokerId),
    /// This node coordinates the groups of a partition of `__consumer_offsets`, and knows them.
    GroupsLoaded {
        /// The partition.
        partition: i32,
        /// How many groups.
        groups: usize,
    },
    /// A group has a new generation.
    Rebalanced {
        /// The group.
        group: StrBytes,
        /// Its generation.
        generation: i32,
        /// How many members.
        members: usize,
    },
    /// Told by the shell: this node has stopped because its disk failed.
    StorageFailed {
        /// What failed first, in words.
        reason: String,
    },
    /// A client asked for something that is not supported.
    Unsupported {
        /// What, in words.
        what: String,
    },
}
