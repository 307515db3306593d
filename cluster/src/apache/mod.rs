//! Apache Kafka itself as a cluster: combined KRaft nodes as plain JVM processes on loopback, from a folder of jars.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let apache = shakedown_cluster::apache::Apache::builder().nodes(3).start()?;
//! apache.kill(2)?;
//! apache.restart(2)?;
//! println!("{}", apache.bootstrap_servers());
//! # Ok(())
//! # }
//! ```
//!
//! Owns what is done to these processes from outside: starting, signals, an end. What they answer is Kafka's; nothing here
//! can get in between its nodes or into its requests.
//!
//! - [`builder`]: how a cluster is set up; [`properties`]: the `server.properties` of a node.
//! - [`cluster`]: the running cluster; [`node`]: one process over all its lives; [`roles`]: who plays which role;
//!   [`sight`]: what can be seen of elections.
//! - [`jars`]: where Kafka's code is; [`java`]: how it is run.
//! - [`client`]: one request and its answer; [`ports`]: addresses that a node finds free again after a restart.
//! - [`reaper`]: no process outlives the one that started it, however that one ends.

mod builder;
mod client;
mod cluster;
mod error;
mod jars;
mod java;
mod node;
mod ports;
mod properties;
pub mod reaper;
mod roles;
mod sight;

pub use builder::{ApacheBuilder, NODES_MAX};
pub use cluster::Apache;
pub use error::ApacheError;
pub use jars::{JARS_VARIABLE, Jars, VERSION};
pub use java::java_program;
pub use properties::broker_settings;
