//! A running cluster, as its user holds it.

use crate::builder::ClusterBuilder;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddress {
    /// `node.id`.
    pub id: i32,
    /// The host that clients are told.
    pub host: String,
    /// The port that clients are told.
    pub port: u16,
}

/// A running cluster. Dropping it stops every node, closes every connection and leaves no file.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) nodes: Vec<NodeAddress>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) thread: Option<JoinHandle<()>>,
}

impl Cluster {
    /// Three brokers on free ports, unless told otherwise.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// What clients connect to first: every node's `host:port`, with commas between them.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(|node| format!("{}:{}", node.host, node.port)).collect();
        addresses.join(",")
    }

    /// The nodes, by id.
    #[must_use]
    pub fn nodes(&self) -> &[NodeAddress] {
        &self.nodes
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may be gone already, after a panic of its own.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
