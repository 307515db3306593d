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
//! This crate moves bytes: listeners, connections, framing, the clock, and where batches are kept. What a request
//! means is decided in `shakedown-broker`.
//!
//! - [`builder`], [`handle`]: what users see.
//! - [`shell`]: all nodes on one thread, their messages to each other, and their deadlines.
//! - [`listener`], [`connection`]: sockets to frames and back.
//! - [`settings`]: what may be configured.
//! - [`store`]: batches in memory up to a budget, then in a temporary file.

pub mod builder;
mod connection;
pub mod handle;
mod listener;
pub mod settings;
mod shell;
pub mod store;

pub use builder::{ClusterBuilder, StartError};
pub use handle::{Cluster, NodeAddress};
pub use shakedown_broker::config::ConfigError;
