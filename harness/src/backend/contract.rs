//! What the harness asks of a back end: boot a cluster of this size, say how to reach it, hit its brokers with faults, tell
//! what happens in it, and stop when dropped.

use shakedown_cluster::{
    ClusterEvent, Condition, Disturbance, Fault, FaultError, NodeFault, Role, Rule, RuleGuard, Strike,
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
#[error("the back end `{backend}` gives no cluster")]
pub struct BackendError {
    /// Which back end.
    pub backend: &'static str,
    /// What went wrong.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// The roles that brokers play on every back end, as a scenario writes them.
pub(super) const ROLES: [&str; 10] = [
    "broker(ID)",
    "leader(TOPIC/PARTITION)",
    "follower(TOPIC/PARTITION)",
    "followers(TOPIC/PARTITION)",
    "controller",
    "group-coordinator(GROUP)",
    "all",
    "one",
    "minority",
    "majority",
];

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

/// What becomes of the broker settings that a scenario has in `[cluster] config`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerSettings {
    /// They are checked when the scenario is planned, against those that the embedded brokers have.
    Checked,
    /// They are handed on to Apache Kafka, which judges them.
    HandedOn,
    /// The brokers run already, with settings of their own.
    Refused,
}

/// Why nothing was done to a broker.
#[derive(Debug, thiserror::Error)]
pub enum StrikeError {
    /// Nobody plays the role at the moment; it may be tried again.
    #[error("nobody is {role} at the moment")]
    Nobody {
        /// The role.
        role: Role,
    },
    /// Whoever plays the role has nothing yet that this could happen to; it may be tried again.
    #[error(transparent)]
    NothingThere(Box<dyn std::error::Error + Send + Sync>),
    /// It cannot be done.
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl StrikeError {
    /// Whether it may be different when it is tried again.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Nobody { .. } | Self::NothingThere(_))
    }
}

impl From<FaultError> for StrikeError {
    fn from(error: FaultError) -> Self {
        match error {
            FaultError::Nobody { role } => Self::Nobody { role },
            nothing @ FaultError::NothingThere { .. } => Self::NothingThere(Box::new(nothing)),
            other => Self::Failed(Box::new(other)),
        }
    }
}

/// Something that can play the cluster.
pub trait Backend: Send + Sync {
    /// Its name in scenarios and on the command line.
    fn name(&self) -> &'static str;

    /// What has to be typed to get it, whatever the scenario says.
    fn arguments(&self) -> Vec<String> {
        vec!["--backend".to_owned(), self.name().to_owned()]
    }

    /// The faults on brokers that it can do.
    fn broker_faults(&self) -> BrokerFaults;

    /// What becomes of broker settings.
    fn broker_settings(&self) -> BrokerSettings;

    /// Whether it can boot controllers that are no brokers.
    fn has_controllers(&self) -> bool;

    /// Whether producers can have transactions there.
    fn has_transactions(&self) -> bool;

    /// Boots a cluster that is ready for clients.
    ///
    /// # Errors
    /// When it cannot.
    fn boot(&self, plan: &ClusterPlan) -> Result<Box<dyn RunningCluster>, BackendError>;
}

/// Where the brokers of a cluster run, for whoever wants to know what they cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whereabouts {
    /// On threads of this process.
    ThisProcess,
    /// As these processes of this machine, at this moment.
    Processes(Vec<u32>),
    /// Where nobody can look.
    Elsewhere,
}

/// A cluster that runs until it is dropped.
pub trait RunningCluster: Send + Sync {
    /// Where clients connect first.
    fn bootstrap_servers(&self) -> String;

    /// Whether the cluster was there before the run and will be after it: what the run finds in it is left alone, and what
    /// it brings goes with it.
    fn is_borrowed(&self) -> bool;

    /// Where its brokers run.
    fn whereabouts(&self) -> Whereabouts;

    /// What happens in it from here on, until it ends.
    fn events(&self) -> Receiver<ClusterEvent>;

    /// Does something to whoever plays a role at this moment.
    ///
    /// # Errors
    /// [`StrikeError::Nobody`] when nobody does, [`StrikeError::NothingThere`] where there is nothing to hit yet; either may be
    /// tried again.
    fn strike(&self, fault: NodeFault, role: &Role) -> Result<Strike, StrikeError>;

    /// As [`RunningCluster::strike`], as soon as something has happened. Without a fault it only tells.
    ///
    /// # Errors
    /// When nothing can be waited for.
    fn when(&self, condition: Condition, fault: Option<(NodeFault, Role)>) -> Result<Box<dyn Awaited>, StrikeError>;

    /// What gets in between, where the back end can: see [`BrokerFaults::inside`].
    fn inside(&self) -> Option<&dyn Inside>;

    /// Undoes a fault on a node. It may return before the node is back; see [`RunningCluster::unsettled`].
    ///
    /// # Errors
    /// When the node cannot come back.
    fn undo(&self, fault: NodeFault, node: i32) -> Result<(), StrikeError>;

    /// A running node that does not see every other running broker alive, and whom it misses; `None` when all is well.
    fn unsettled(&self) -> Option<(i32, Vec<i32>)>;
}

/// Something that is waited for, and what comes of it. Dropping it calls it off.
pub trait Awaited: Send {
    /// What came of it, once, as soon as it has happened.
    fn outcome(&self) -> Option<Result<Strike, StrikeError>>;

    /// Calls it off, and tells what came of it if that is too late.
    fn cancel(self: Box<Self>) -> Option<Result<Strike, StrikeError>>;
}

/// What only a cluster in the harness's own process lets happen: to requests, links, connections and clocks.
pub trait Inside {
    /// Puts a rule for requests into force.
    fn rule(&self, rule: Rule) -> RuleGuard;

    /// As [`Inside::rule`], from the very step on in which something has happened.
    ///
    /// # Errors
    /// When the cluster has ended.
    fn rule_when(&self, rule: Rule, condition: Condition) -> Result<RuleGuard, StrikeError>;

    /// Puts a fault of links, connections or clocks in place.
    ///
    /// # Errors
    /// [`StrikeError::Nobody`] when nobody plays one of its roles; it may be tried again.
    fn disturb(&self, disturbance: &Disturbance) -> Result<Fault, StrikeError>;

    /// Moves every wall clock on.
    fn advance_clock(&self, by: Duration);
}
