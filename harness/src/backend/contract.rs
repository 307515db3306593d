//! What the harness asks of a back end: boot a cluster of this size, say how to reach it, hit its brokers with faults, tell
//! what happens in it, and stop when dropped.

use shakedown_cluster::{
    ClusterEvent, Condition, Disturbance, Fault, FaultError, NodeFault, Role, Rule, RuleGuard, Strike, Watch,
};
use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// The cluster that a scenario wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterPlan {
    /// How many brokers.
    pub brokers: u32,
    /// How many dedicated controllers.
    pub controllers: u32,
    /// Bytes of the log in memory, over all brokers; `None` for the back end's default.
    pub memory: Option<u64>,
    /// Kafka's broker configuration.
    pub config: BTreeMap<String, String>,
    /// The first broker's port, the others behind it; `None` for free ones.
    pub base_port: Option<u16>,
    /// What the back end draws from, where it draws at all.
    pub seed: u64,
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
#[error("the back end `{backend}` cannot boot {brokers} brokers")]
pub struct BackendError {
    /// Which back end.
    pub backend: &'static str,
    /// How many brokers were asked for.
    pub brokers: u32,
    /// What went wrong.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// What can be done to brokers, and to which: every action to every role.
#[derive(Debug, Clone, Copy)]
pub struct BrokerFaults {
    /// What.
    pub actions: &'static [NodeFault],
    /// To whom, as a scenario writes it: `leader(TOPIC/PARTITION)`.
    pub roles: &'static [&'static str],
    /// Whether it can get in between: into requests, clients' connections, links between nodes, clocks.
    pub inside: bool,
}

impl BrokerFaults {
    /// Whether an action is among them, however much of it.
    #[must_use]
    pub fn can(&self, action: NodeFault) -> bool {
        self.actions.iter().any(|possible| possible.word() == action.word())
    }
}

/// Something that can play the cluster.
pub trait Backend: Sync {
    /// Its name in scenarios and on the command line.
    fn name(&self) -> &'static str;

    /// The faults on brokers that it can do.
    fn broker_faults(&self) -> BrokerFaults;

    /// Boots a cluster that is ready for clients.
    ///
    /// # Errors
    /// When it cannot.
    fn boot(&self, plan: &ClusterPlan) -> Result<Box<dyn RunningCluster>, BackendError>;
}

/// A cluster that runs until it is dropped.
pub trait RunningCluster: Send + Sync {
    /// Where clients connect first.
    fn bootstrap_servers(&self) -> String;

    /// What happens in it from here on, until it ends.
    fn events(&self) -> Receiver<ClusterEvent>;

    /// Does something to whoever plays a role at this moment.
    ///
    /// # Errors
    /// [`FaultError::Nobody`] when nobody does; it may be tried again.
    fn strike(&self, fault: NodeFault, role: &Role) -> Result<Strike, FaultError>;

    /// As [`RunningCluster::strike`], as soon as something has happened. Without a fault it only tells.
    ///
    /// # Errors
    /// When the cluster has ended.
    fn when(&self, condition: Condition, fault: Option<(NodeFault, Role)>) -> Result<Watch, FaultError>;

    /// Puts a rule for requests into force.
    fn rule(&self, rule: Rule) -> RuleGuard;

    /// As [`RunningCluster::rule`], from the very step on in which something has happened.
    ///
    /// # Errors
    /// When the cluster has ended.
    fn rule_when(&self, rule: Rule, condition: Condition) -> Result<RuleGuard, FaultError>;

    /// Puts a fault of links, connections or clocks in place.
    ///
    /// # Errors
    /// [`FaultError::Nobody`] when nobody plays one of its roles; it may be tried again.
    fn disturb(&self, disturbance: &Disturbance) -> Result<Fault, FaultError>;

    /// Moves every wall clock on.
    fn advance_clock(&self, by: Duration);

    /// Undoes a fault on a node.
    ///
    /// # Errors
    /// When the node cannot come back.
    fn undo(&self, fault: NodeFault, node: i32) -> Result<(), FaultError>;

    /// A running node that does not see every other running broker alive, and whom it misses; `None` when all is well.
    fn unsettled(&self) -> Option<(i32, Vec<i32>)>;
}
