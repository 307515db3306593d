//! Why there is no cluster of Apache Kafka, or why one of its nodes does not do what it was told.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum ApacheError {
    /// There are no jars where they could be.
    #[error(
        "there are no jars of Apache Kafka: {}\n  `shakedown doctor --fetch` gets them with Maven; or set {} to a folder that \
         has them, or KAFKA_HOME to an unpacked distribution",
        looked.join(", "),
        super::JARS_VARIABLE
    )]
    NoJars {
        /// Where they were looked for, and what was there instead.
        looked: Vec<String>,
    },
    /// A number of nodes that makes no cluster.
    #[error("a cluster has 1 to {} nodes, not {nodes}", super::NODES_MAX)]
    Nodes {
        /// What was asked for.
        nodes: u32,
    },
    /// A setting that says who a node is and where it listens, which is decided here.
    #[error("`{name}` cannot be set: every node needs its own")]
    Reserved {
        /// Kafka's name of the setting.
        name: String,
    },
    /// There are no ports for the nodes.
    #[error("the nodes have no ports: {source}")]
    Ports {
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder of the cluster cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Folder {
        /// What should be written.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A process could not be started.
    #[error("cannot start `{program}`: {source}\n  Apache Kafka 4 needs Java 17 or newer on the PATH, or in JAVA_HOME")]
    Spawn {
        /// The program.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Kafka's own tool refuses to prepare a node's storage.
    #[error("the storage of node {id} cannot be formatted: {output}")]
    Format {
        /// The node.
        id: i32,
        /// What the tool said.
        output: String,
    },
    /// A node ended before it served.
    #[error("node {id} ended ({status}) before it served; the end of its log:\n{log}")]
    Died {
        /// The node.
        id: i32,
        /// How it ended.
        status: ExitStatus,
        /// Its last lines.
        log: String,
    },
    /// A node did not serve in time.
    #[error("node {id} does not see brokers {missing:?} alive after {waited:?}; the end of its log:\n{log}")]
    NotReady {
        /// The node.
        id: i32,
        /// Whom it misses; every node, if it does not answer at all.
        missing: Vec<i32>,
        /// How long it was waited for.
        waited: Duration,
        /// Its last lines.
        log: String,
    },
    /// There is no such node.
    #[error("there is no node {id}: nodes are {known:?}")]
    UnknownNode {
        /// The id that was asked for.
        id: i32,
        /// All that exist.
        known: Vec<i32>,
    },
    /// The node is down, and can only be started.
    #[error("node {id} is down")]
    Down {
        /// The node.
        id: i32,
    },
    /// The system did not deliver a signal.
    #[error("node {id} cannot be signalled: {source}")]
    Signal {
        /// The node.
        id: i32,
        /// What the system said.
        source: std::io::Error,
    },
}
