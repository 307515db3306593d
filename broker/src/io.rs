//! What goes into a node and what comes out of it.

use crate::metadata::record::{BrokerRegistration, MetadataRecord};
use crate::types::{BrokerId, ConnectionId, Offset, ProducerId, TopicPartition};
use crate::wire::request::Frame;
use crate::wire::response::Response;
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
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
}

/// Something that a node wants done.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "moved once for each request and never kept for long")]
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

/// What nodes tell each other.
#[derive(Debug, Clone)]
pub enum PeerMessage {
    /// To the controller: here I am.
    Register(BrokerRegistration),
    /// To the controller: metadata records from this offset on, now or once there are any.
    FetchMetadata {
        /// The first offset that the sender lacks.
        from: Offset,
    },
    /// From the controller: metadata records.
    Metadata {
        /// The first record's offset.
        base: Offset,
        /// The records.
        records: Vec<MetadataRecord>,
    },
    /// To the controller: a client's request that only it can serve.
    Forward {
        /// The sender's number for it.
        id: u64,
        /// Its API.
        api: ApiKey,
        /// The version it was sent in.
        version: i16,
        /// The request.
        request: Box<RequestKind>,
    },
    /// From the controller: the answer.
    Forwarded {
        /// The number it was asked under.
        id: u64,
        /// The answer.
        response: Box<ResponseKind>,
    },
    /// To the controller: a block of producer ids, please.
    AllocateProducerIds,
    /// From the controller: a block of producer ids.
    ProducerIds {
        /// The first.
        first: ProducerId,
        /// How many.
        count: i64,
    },
}

/// What observers see; never needed for the node's own work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The node has seen its own registration come back through the metadata log.
    Registered(BrokerId),
    /// This node leads a partition.
    Leads(TopicPartition),
    /// A group has a new generation.
    Rebalanced {
        /// The group.
        group: StrBytes,
        /// Its generation.
        generation: i32,
        /// How many members.
        members: usize,
    },
    /// A client asked for something that is not supported.
    Unsupported {
        /// What, in words.
        what: String,
    },
}
