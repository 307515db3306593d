//! A running cluster of Apache Kafka, as its user holds it.

use super::builder::ApacheBuilder;
use super::client;
use super::error::ApacheError;
use super::java::Java;
use super::node::Node;
use super::reaper::Reaper;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long nodes may take to serve; a loaded machine needs half a minute for three of them.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Between two looks at whether a node serves.
const POLL: Duration = Duration::from_millis(20);

/// A running cluster. Dropping it kills its processes and removes everything that they wrote.
///
/// Every call may be made from any thread.
#[derive(Debug)]
pub struct Apache {
    nodes: Mutex<Vec<Node>>,
    java: Java,
    reaper: Reaper,
    started: Instant,
    /// What brokers are drawn from.
    pub(super) seed: u64,
    /// Behind the nodes: it goes after they have ended.
    folder: TempDir,
}

impl Apache {
    /// Three nodes on free ports, unless told otherwise.
    pub fn builder() -> ApacheBuilder {
        ApacheBuilder::default()
    }

    /// Starts the processes, and waits until every node sees all others alive.
    pub(super) fn launch(mut nodes: Vec<Node>, java: Java, folder: TempDir, seed: u64) -> Result<Self, ApacheError> {
        let sh = |source| ApacheError::Spawn { program: "sh".to_owned(), source };
        let reaper = Reaper::start().map_err(sh)?;
        let started = Instant::now();
        let spawned = nodes.iter_mut().try_for_each(|node| node.start(&java, &reaper));
        let ids: Vec<i32> = nodes.iter().map(|node| node.id).collect();
        // From here on, an error drops what runs already, and so ends it.
        let apache = Self { nodes: Mutex::new(nodes), java, reaper, started, seed, folder };
        spawned?;
        for id in &ids {
            apache.await_sight(*id, &ids)?;
        }
        Ok(apache)
    }

    /// What clients connect to first: every node's `host:port`, with commas between them.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        self.lock().iter().map(|node| node.address.to_string()).collect::<Vec<_>>().join(",")
    }

    /// The ids of the nodes, from 1.
    #[must_use]
    pub fn nodes(&self) -> Vec<i32> {
        self.lock().iter().map(|node| node.id).collect()
    }

    /// Where clients find a node, up or not; nothing for an id that does not exist.
    #[must_use]
    pub fn address(&self, id: i32) -> Option<SocketAddr> {
        self.lock().iter().find(|node| node.id == id).map(|node| node.address)
    }

    /// A node's process; nothing while it is down.
    #[must_use]
    pub fn process_id(&self, id: i32) -> Option<u32> {
        self.lock().iter().find(|node| node.id == id).and_then(Node::process_id)
    }

    /// Just before the first process was started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// What the nodes write: `1.log` is what the first one says. It goes with the cluster.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// SIGKILL: its connections close, what it has written stays.
    ///
    /// # Errors
    /// When there is no such node, or it is down.
    pub fn kill(&self, id: i32) -> Result<(), ApacheError> {
        self.with(id, |node| if node.kill(&self.reaper) { Ok(()) } else { Err(ApacheError::Down { id }) })
    }

    /// SIGSTOP: its connections stay open and silent.
    ///
    /// # Errors
    /// When there is no such node, or it is down.
    pub fn pause(&self, id: i32) -> Result<(), ApacheError> {
        self.with(id, |node| node.pause(true, &self.reaper))
    }

    /// SIGCONT; nothing for a node that was not stopped.
    ///
    /// # Errors
    /// When there is no such node, or it is down.
    pub fn resume(&self, id: i32) -> Result<(), ApacheError> {
        self.with(id, |node| node.pause(false, &self.reaper))
    }

    /// Starts a node that is down, with the data that its last life left, and does not wait for it; nothing for one that is
    /// up.
    ///
    /// # Errors
    /// When there is no such node, or no process for it.
    pub fn start(&self, id: i32) -> Result<(), ApacheError> {
        self.with(id, |node| if node.is_up(&self.reaper) { Ok(()) } else { node.start(&self.java, &self.reaper) })
    }

    /// Starts a node with the data that its last life left, and returns once it serves. One that is up is killed first.
    ///
    /// # Errors
    /// When there is no such node, or it does not come back.
    pub fn restart(&self, id: i32) -> Result<(), ApacheError> {
        self.with(id, |node| {
            node.kill(&self.reaper);
            node.start(&self.java, &self.reaper)
        })?;
        self.await_sight(id, &[id])
    }

    /// A node that was not killed and does not see every other such node alive, and whom it misses; nothing when all is well.
    /// One that does not answer misses all, also one that ended by itself. Nodes that are stopped are not asked.
    #[must_use]
    pub fn unsettled(&self) -> Option<(i32, Vec<i32>)> {
        let wanted: Vec<i32> = self.lock().iter().filter(|node| node.is_wanted()).map(|node| node.id).collect();
        let mut missing = wanted.iter().map(|id| (*id, self.missing(*id, &wanted)));
        missing.find(|(_, missing)| !missing.is_empty())
    }

    /// The nodes that run and are not stopped, with their addresses.
    pub(super) fn answering(&self) -> Vec<(i32, SocketAddr)> {
        let mut nodes = self.lock();
        nodes.iter_mut().filter_map(|node| node.answers(&self.reaper).then_some((node.id, node.address))).collect()
    }

    /// Whether a node's process runs, stopped or not.
    pub(super) fn is_up(&self, id: i32) -> bool {
        self.lock().iter_mut().any(|node| node.id == id && node.is_up(&self.reaper))
    }

    /// Which of these brokers a node does not see alive; all, if it does not answer.
    fn missing(&self, id: i32, brokers: &[i32]) -> Vec<i32> {
        let seen = self.address(id).and_then(|address| client::metadata(address, Some(&[])).ok());
        let seen: Vec<i32> =
            seen.iter().flat_map(|metadata| &metadata.brokers).map(|broker| broker.node_id.0).collect();
        brokers.iter().copied().filter(|broker| !seen.contains(broker)).collect()
    }

    /// Waits until a node sees these brokers alive.
    fn await_sight(&self, id: i32, brokers: &[i32]) -> Result<(), ApacheError> {
        let begun = Instant::now();
        loop {
            let missing = self.missing(id, brokers);
            if missing.is_empty() {
                return Ok(());
            }
            let waited = begun.elapsed();
            // Any node that has ended: the others would wait for it in vain.
            let mut nodes = self.lock();
            for node in nodes.iter_mut().filter(|node| brokers.contains(&node.id)) {
                if let Some(status) = node.ended(&self.reaper) {
                    return Err(ApacheError::Died { id: node.id, status, log: node.last_lines() });
                }
            }
            if waited > START_LIMIT {
                let log = nodes.iter().find(|node| node.id == id).map(Node::last_lines).unwrap_or_default();
                return Err(ApacheError::NotReady { id, missing, waited, log });
            }
            drop(nodes);
            std::thread::sleep(POLL);
        }
    }

    fn with<T>(&self, id: i32, act: impl FnOnce(&mut Node) -> Result<T, ApacheError>) -> Result<T, ApacheError> {
        let mut nodes = self.lock();
        let known = nodes.iter().map(|node| node.id).collect();
        nodes.iter_mut().find(|node| node.id == id).map_or(Err(ApacheError::UnknownNode { id, known }), act)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Node>> {
        // What a panic has interrupted is a signal at most.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        for node in self.lock().iter_mut() {
            node.kill(&self.reaper);
        }
    }
}
