//! What can be done to clients' connections, as data.

use crate::links::Delay;
use crate::mailbox::Mailbox;
use std::num::NonZeroU64;
use std::time::Duration;

/// A fault between clients and nodes. It applies to every connection that it selects: those that are open, and those that
/// come while it stands.
///
/// ```
/// use shakedown_cluster::{ClientEffect, ClientFault, Clients};
/// let fault = ClientFault::new(ClientEffect::Reset { after: 5 })
///     .at(2)
///     .of(Clients::Named(String::from("payment")))
///     .at_most(1);
/// assert_eq!(fault.node, Some(2));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a fault does nothing before `Cluster::inject`"]
pub struct ClientFault {
    /// At this node, or at every broker.
    pub node: Option<i32>,
    /// Whose connections.
    pub clients: Clients,
    /// What happens to them.
    pub effect: ClientEffect,
    /// How often at most; what is a hit is said at each effect. Without a bound, for as long as the fault stands.
    pub at_most: Option<u64>,
}

impl ClientFault {
    /// At every broker, to all clients, as often as it comes to it.
    pub const fn new(effect: ClientEffect) -> Self {
        Self { node: None, clients: Clients::All, effect, at_most: None }
    }

    /// At this node only.
    pub const fn at(mut self, node: i32) -> Self {
        self.node = Some(node);
        self
    }

    /// To these clients only.
    pub fn of(mut self, clients: Clients) -> Self {
        self.clients = clients;
        self
    }

    /// So often at most.
    pub const fn at_most(mut self, hits: u64) -> Self {
        self.at_most = Some(hits);
        self
    }
}

/// Whose connections a fault selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clients {
    /// Everybody's.
    All,
    /// Those of clients by this name (`client.id`), known from the first request of a connection on.
    Named(String),
    /// The one that comes from this port.
    Port(u16),
}

impl Clients {
    pub(super) fn has(&self, mailbox: &Mailbox) -> bool {
        match self {
            Self::All => true,
            Self::Named(name) => mailbox.client_id.borrow().as_deref() == Some(name),
            Self::Port(port) => mailbox.port == *port,
        }
    }
}

/// What happens to a connection between a client and a node. Of several faults with the same kind of effect on one
/// connection, the first that stands and has not struck as often as it may counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEffect {
    /// Nothing arrives any more, either way, as if cables had been pulled. Open connections fall silent: nothing is read,
    /// answered, noticed or closed. New ones come into being, as a system behind a long queue lets them, and nobody accepts
    /// them. When the fault is undone, everything goes on where it stopped: what was sent meanwhile arrives late. A node
    /// that is killed meanwhile refuses new connections, as its port is closed; those that it had stay silent.
    ///
    /// A hit is a connection that fell silent.
    Cut,
    /// The node's end is gone and nobody told the client, as when a firewall forgets a connection or a machine loses power:
    /// the node treats the connection as closed; the socket stays open, takes what the client sends until its buffers are
    /// full, and answers nothing. This happens to connections that are open when the fault is put in place; later ones are
    /// not touched. When the fault is undone, the forgotten connections are reset.
    ///
    /// A hit is a connection that was forgotten.
    HalfOpen,
    /// Answers arrive later, in order, those of one connection without waiting for each other. When the fault is undone,
    /// those that are still under way arrive at once. A hit is an answer.
    Delay(Delay),
    /// A connection carries so many bytes a second and no more, each way: the node reads no faster, and writes no faster.
    /// What the systems' buffers hold is beyond it. A hit is a piece that was carried: what takes ten milliseconds, or
    /// 64 KiB.
    Bandwidth {
        /// Bytes a second, each way, for each connection by itself.
        bytes_per_second: NonZeroU64,
    },
    /// The next answer breaks off after so many bytes of its frame (its length of 4 bytes among them), and the connection is
    /// reset (RST). The request has been carried out. Answers before it arrive. A hit is a connection.
    Reset {
        /// Bytes of the answer that still arrive; the whole of it, if it has no more.
        after: u64,
    },
    /// When a connection ends, whoever ends it, its socket is closed so much later. The node knows at once. A hit is a
    /// connection.
    SlowClose {
        /// How much later.
        by: Duration,
    },
}
