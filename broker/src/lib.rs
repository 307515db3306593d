//! One KRaft node as a pure state machine.
//!
//! A [`Node`] is given everything that happens ([`Input`]) together with the instant at which it happens ([`Now`]), and
//! hands out everything it wants done ([`Output`]), and when it wants to be woken. It opens no socket, reads no clock,
//! spawns nothing and draws chance only from its seed. Storage comes in as a [`LogStore`].
//!
//! Reading order: [`node`] (the state machine), [`api`] (one file for each request), [`log`] (a partition), [`metadata`]
//! (topics and brokers as a replayed log), [`group`] (consumer groups), [`wire`] (bytes to requests and back),
//! [`batch`] (the record batch format).

pub mod api;
pub mod batch;
pub mod config;
pub mod fetch_session;
pub mod group;
pub mod io;
pub mod log;
pub mod metadata;
pub mod node;
pub mod purgatory;
pub mod timers;
pub mod types;
pub mod wire;

pub use config::NodeConfig;
pub use io::{Event, Input, Output, PeerMessage, RequestToken};
pub use log::store::{LogStore, MemoryStore};
pub use node::Node;
pub use types::{BrokerId, ConnectionId, Now};
