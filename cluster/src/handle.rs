//! A running cluster, as its user holds it. What can be done to its network is in [`crate::network`], to its clocks in
//! [`crate::wall`]; faults that a guard undoes in [`crate::injection`].
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = shakedown_cluster::Cluster::builder().brokers(3).start()?;
//! let controller = cluster.controller().ok_or("there is a controller")?;
//! cluster.kill(controller)?;
//! assert_ne!(cluster.controller(), Some(controller));
//! cluster.restart(controller)?;
//! # Ok(())
//! # }
//! ```

use crate::builder::ClusterBuilder;
use crate::faults::{FaultError, NodeFault, Strike};
use crate::roles::Role;
use crate::shell::Shell;
use crate::thread::ClusterThread;
use crate::watch::{Condition, Produced, Watch};
use shakedown_broker::Event;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

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

/// Something that happened in the cluster: an election, a change of an ISR, a truncation, a rebalance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterEvent {
    /// When.
    pub at: Instant,
    /// The node that tells of it.
    pub node: i32,
    /// What.
    pub event: Event,
}

/// A running cluster. Dropping it stops every node, closes every connection and leaves no file but those of a data folder.
///
/// Every call may be made from any thread; it returns once the cluster has done what it says.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) nodes: Vec<NodeAddress>,
    pub(crate) thread: ClusterThread,
}

impl Cluster {
    /// Three brokers on free ports, unless told otherwise.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// What clients connect to first: every broker's `host:port`, with commas between them.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(|node| format!("{}:{}", node.host, node.port)).collect();
        addresses.join(",")
    }

    /// The brokers, by id. Dedicated controllers, whom no client talks to, are the ids behind theirs.
    #[must_use]
    pub fn nodes(&self) -> &[NodeAddress] {
        &self.nodes
    }

    /// What happens from here on, for as long as the receiver is kept.
    #[must_use]
    pub fn events(&self) -> Receiver<ClusterEvent> {
        let (observer, events) = channel();
        self.thread.ask(move |shell| shell.observe(observer));
        events
    }

    /// The node that leads a partition; nobody where there is no such partition, or its leader is down and no other has
    /// been elected.
    #[must_use]
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let topic = topic.to_owned();
        self.thread.ask(move |shell| shell.leader(&topic, partition)).flatten()
    }

    /// The nodes that are up and follow a partition's leader, in the order of its replicas.
    #[must_use]
    pub fn followers(&self, topic: &str, partition: i32) -> Vec<i32> {
        let topic = topic.to_owned();
        self.thread.ask(move |shell| shell.followers(&topic, partition)).unwrap_or_default()
    }

    /// The nodes that play a role at the moment, as far as they are up.
    #[must_use]
    pub fn players(&self, role: &Role) -> Vec<i32> {
        let role = role.clone();
        self.thread.ask(move |shell| shell.players(&role)).unwrap_or_default()
    }

    /// The active controller.
    #[must_use]
    pub fn controller(&self) -> Option<i32> {
        self.thread.ask(Shell::controller).flatten()
    }

    /// The node that coordinates a group; nobody before the first group makes `__consumer_offsets` exist.
    #[must_use]
    pub fn group_coordinator(&self, group: &str) -> Option<i32> {
        let group = group.to_owned();
        self.thread.ask(move |shell| shell.group_coordinator(&group)).flatten()
    }

    /// A running node that does not see every other running broker alive, and whom it misses; `None` when all is well.
    #[must_use]
    pub fn unsettled(&self) -> Option<(i32, Vec<i32>)> {
        self.thread.ask(Shell::unsettled).flatten()
    }

    /// `kill -9`: connections close, the port refuses, what other nodes say to it vanishes; its disk stays.
    ///
    /// # Errors
    /// When there is no such node, or it is down.
    pub fn kill(&self, id: i32) -> Result<(), FaultError> {
        self.order(move |shell| shell.kill(id))
    }

    /// Starts a node on the disk that its last life left. One that is up is killed first.
    ///
    /// # Errors
    /// When there is no such node, or its port is taken.
    pub fn restart(&self, id: i32) -> Result<(), FaultError> {
        self.order(move |shell| shell.restart(id))
    }

    /// As [`Self::kill`], and what the node did not sync is gone from its disk.
    ///
    /// # Errors
    /// When there is no such node, or it is down.
    pub fn power_loss(&self, id: i32) -> Result<(), FaultError> {
        self.order(move |shell| shell.power_loss(id))
    }

    /// SIGSTOP: connections stay open and silent; whatever reaches the node waits for [`Self::resume`].
    ///
    /// # Errors
    /// When there is no such node, or it is down.
    pub fn pause(&self, id: i32) -> Result<(), FaultError> {
        self.order(move |shell| shell.pause(id))
    }

    /// SIGCONT; nothing for a node that was not paused.
    ///
    /// # Errors
    /// When there is no such node, or it is down.
    pub fn resume(&self, id: i32) -> Result<(), FaultError> {
        self.order(move |shell| shell.resume(id))
    }

    /// Undoes what is done to nodes and their disks: mends every disk, lets every node go on that stands still, and starts
    /// those that are down, dedicated controllers among them; which those were. The network is [`Self::heal`]'s business.
    ///
    /// # Errors
    /// When a node cannot start: the first reason. Whatever else can be undone is undone all the same.
    pub fn heal_nodes(&self) -> Result<Vec<i32>, FaultError> {
        self.thread.ask(Shell::heal_nodes).unwrap_or(Err(FaultError::Stopped))
    }

    /// Does something to whoever plays a role at this moment.
    ///
    /// # Errors
    /// [`FaultError::Nobody`] when nobody does; [`FaultError::UnknownNode`] for a broker that there is not.
    pub fn strike(&self, fault: NodeFault, role: &Role) -> Result<Strike, FaultError> {
        let role = role.clone();
        self.thread.ask(move |shell| shell.strike(fault, &role)).unwrap_or(Err(FaultError::Stopped))
    }

    /// Undoes a fault on a node: starts it, lets it go on, mends its links.
    ///
    /// # Errors
    /// As the call that undoes it.
    pub fn undo(&self, fault: NodeFault, id: i32) -> Result<(), FaultError> {
        self.order(move |shell| shell.undo(fault, id))
    }

    /// Does something to whoever plays a role, in the very step in which so many records have been produced: they have
    /// been replicated as far as they will be before the fault, and their producer has been answered. Without a fault it
    /// only tells.
    ///
    /// # Errors
    /// When the cluster has ended.
    pub fn when_produced(&self, condition: Produced, fault: Option<(NodeFault, Role)>) -> Result<Watch, FaultError> {
        self.when(condition.into(), fault)
    }

    /// As [`Self::when_produced`], for anything that may be waited for.
    ///
    /// # Errors
    /// When the cluster has ended.
    pub fn when(&self, condition: Condition, fault: Option<(NodeFault, Role)>) -> Result<Watch, FaultError> {
        let (outcome, outcomes) = channel();
        let number =
            self.thread.ask(move |shell| shell.watch(condition, fault, None, outcome)).ok_or(FaultError::Stopped)?;
        Ok(Watch::new(number, self.thread.calls.clone(), outcomes))
    }

    pub(crate) fn order(
        &self,
        call: impl FnOnce(&Shell) -> Result<(), FaultError> + Send + 'static,
    ) -> Result<(), FaultError> {
        self.thread.ask(call).unwrap_or(Err(FaultError::Stopped))
    }
}
