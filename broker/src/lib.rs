//! One KRaft node as a pure state machine.
//!
//! A [`Node`] is given everything that happens ([`Input`]) together with the instant at which it happens ([`Now`]), and
//! hands out everything it wants done ([`Output`]), and when it wants to be woken. It opens no socket, reads no clock,
//! spawns nothing and draws chance only from its seed. Storage comes in as a [`LogStore`].
//!
//! Reading order: [`node`] (the state machine), [`api`] (one file for each request), [`log`] (a partition), [`replica`] (the
//! replicated log below partitions and metadata), [`quorum`] (who leads the metadata log), [`controller`] (who decides),
//! [`metadata`] (topics and brokers as a replayed log), [`group`] (consumer groups), [`wire`] (bytes to requests and back),
//! [`batch`] (the record batch format).

pub mod api;
pub mod batch;
pub mod config;
pub mod controller;
pub mod faults;
pub mod fetch_session;
pub mod group;
pub mod inspect;
pub mod io;
mod lifecycle;
pub mod log;
pub mod metadata;
pub mod node;
pub mod peer;
pub mod purgatory;
pub mod quorum;
pub mod replica;
pub mod timers;
pub mod types;
pub mod wire;

pub use config::NodeConfig;
pub use io::{Event, Input, Output, RequestToken};
pub use log::store::{LogStore, MemoryStore};
pub use node::Node;
pub use peer::PeerMessage;
pub use types::{BrokerId, ConnectionId, Now};
