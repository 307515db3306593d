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
//! - [`faults`], [`roles`], [`watch`]: what can be done to nodes, to which, and when.
//! - [`thread`], [`shell`]: all nodes on one thread, their messages to each other, and their deadlines. A node over all
//!   its lives is a [`slot`]; who hears whom is in [`links`]; how time goes on is in [`clock`].
//! - [`listener`], [`connection`], [`mailbox`]: sockets to frames and back.
//! - [`settings`]: what may be configured.
//! - [`store`]: batches in memory up to a budget, then in a temporary file; or in files that stay, in a [`data_folder`].
//!   What goes wrong with a node's disk is in [`disks`].

pub mod builder;
mod clock;
mod connection;
pub mod data_folder;
pub mod disks;
pub mod faults;
pub mod handle;
mod links;
mod listener;
mod mailbox;
pub mod roles;
pub mod settings;
mod shell;
mod slot;
pub mod store;
mod thread;
pub mod watch;

pub use builder::{ClusterBuilder, StartError};
pub use data_folder::DataFolderError;
pub use disks::{Damage, DiskFault};
pub use faults::{FaultError, NodeFault, Strike};
pub use handle::{Cluster, ClusterEvent, NodeAddress};
pub use roles::Role;
pub use shakedown_broker::Event;
pub use shakedown_broker::config::ConfigError;
pub use watch::{Produced, Watch};
