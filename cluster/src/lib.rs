//! A Kafka cluster inside your process: N KRaft nodes of `shakedown-broker` on real sockets, up within milliseconds.
//!
//! ```
//! use std::net::TcpStream;
//! let cluster = shakedown_cluster::Cluster::builder().brokers(3).start()?;
//! assert_eq!(cluster.nodes().len(), 3);
//! for address in cluster.bootstrap_servers().split(',') {
//!     TcpStream::connect(address)?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate moves bytes: listeners, connections, framing, the clock, and where batches are kept; and it does to nodes
//! what machines and networks do to them. What a request means is decided in `shakedown-broker`.
//!
//! - [`builder`], [`handle`]: what users see.
//! - [`faults`], [`roles`], [`watch`]: what can be done to nodes, to which, and when; [`rolling`]: to one after another;
//!   [`rules`]: what to requests.
//! - [`keyed`]: which message of a key is where.
//! - [`interventions`]: what only a client of the cluster can do: move leaders, play a member of a group.
//! - [`injection`]: faults that stand until their guard is dropped, by role in [`disturbance`]; [`network`]: the simple calls. What they do to links is
//!   in [`links`], to clients' connections in [`weather`], to wall clocks in [`wall`]; their chance comes from [`chance`].
//! - [`thread`], [`shell`]: all nodes on one thread, their messages to each other, and their deadlines. A node over all
//!   its lives is a [`slot`]; how time goes on is in [`clock`].
//! - [`listener`], [`connection`], [`mailbox`]: sockets to frames and back.
//! - [`settings`]: what may be configured; [`names`]: what Kafka calls its APIs and errors.
//! - `control`: all of this over HTTP, for tests in other languages (feature `control`).
//! - `apache`: Apache Kafka itself in place of all of this, as JVM processes (feature `apache`).
//! - [`store`]: batches in memory up to a budget, then in a temporary file; or in files that stay, in a [`data_folder`].
//!   What goes wrong with a node's disk is in [`disks`].

#[cfg(feature = "apache")]
pub mod apache;
pub mod builder;
mod chance;
mod clock;
mod connection;
#[cfg(feature = "control")]
pub mod control;
pub mod data_folder;
pub mod disks;
pub mod disturbance;
pub mod faults;
pub mod handle;
pub mod injection;
pub mod interventions;
pub mod keyed;
pub mod links;
mod listener;
mod mailbox;
pub mod names;
pub mod network;
pub mod roles;
pub mod rolling;
pub mod rules;
pub mod settings;
mod shell;
mod slot;
pub mod store;
mod thread;
pub mod wall;
pub mod watch;
pub mod weather;

pub use builder::{ClusterBuilder, StartError};
pub use data_folder::DataFolderError;
pub use disks::{Damage, DiskFault};
pub use disturbance::{Disturbance, Links};
pub use faults::{FaultError, NodeFault, Strike};
pub use handle::{Cluster, ClusterEvent, NodeAddress};
pub use injection::{AnyFault, Fault};
pub use interventions::{Intervened, Intervention, InterventionError, Patience};
pub use kafka_protocol::error::ResponseError;
pub use kafka_protocol::messages::ApiKey;
pub use keyed::KeyedMessage;
pub use links::{Delay, LinkFault, LinkSet};
pub use names::{error_name, served_apis};
pub use roles::{Role, Share};
pub use rolling::{RollingRestart, Turn};
pub use rules::RuleGuard;
pub use shakedown_broker::BrokerId;
pub use shakedown_broker::Event;
pub use shakedown_broker::config::ConfigError;
pub use shakedown_broker::faults::{Effect, Rule, Selector};
pub use wall::{ClockEffect, ClockFault, TimeShift};
pub use watch::{Condition, Produced, Watch};
pub use weather::{ClientEffect, ClientFault, Clients};
