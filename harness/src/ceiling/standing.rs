//! A cluster that stays up between trials, for back ends whose start costs more than a trial: a broker in a JVM is slow
//! until it is warm, and the ceiling of a cold one is nobody's.
//!
//! To each run it looks like somebody else's cluster: topics are made for the run, and go with it.

use crate::backend::{
    Awaited, Backend, BackendError, BrokerFaults, BrokerSettings, ClusterPlan, Inside, RunningCluster, StrikeError,
    Whereabouts,
};
use shakedown_cluster::{ClusterEvent, Condition, NodeFault, Role, Strike};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// A back end that boots once.
pub struct Standing {
    backend: Arc<dyn Backend>,
    cluster: Mutex<Option<Arc<dyn RunningCluster>>>,
}

impl Standing {
    /// Boots this one, at the first trial.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend, cluster: Mutex::new(None) }
    }
}

impl Backend for Standing {
    fn name(&self) -> &'static str {
        self.backend.name()
    }

    fn arguments(&self) -> Vec<String> {
        self.backend.arguments()
    }

    fn broker_faults(&self) -> BrokerFaults {
        self.backend.broker_faults()
    }

    fn broker_settings(&self) -> BrokerSettings {
        self.backend.broker_settings()
    }

    fn has_controllers(&self) -> bool {
        self.backend.has_controllers()
    }

    fn has_transactions(&self) -> bool {
        self.backend.has_transactions()
    }

    fn boot(&self, plan: &ClusterPlan) -> Result<Box<dyn RunningCluster>, BackendError> {
        let mut cluster = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        let standing = match &*cluster {
            Some(standing) => Arc::clone(standing),
            None => Arc::clone(cluster.insert(Arc::from(self.backend.boot(plan)?))),
        };
        Ok(Box::new(Lent(standing)))
    }
}

/// The cluster, for one run.
struct Lent(Arc<dyn RunningCluster>);

impl RunningCluster for Lent {
    fn bootstrap_servers(&self) -> String {
        self.0.bootstrap_servers()
    }

    fn is_borrowed(&self) -> bool {
        true
    }

    fn events(&self) -> Receiver<ClusterEvent> {
        // Whoever listens waits until the cluster ends, which outlives the run.
        channel().1
    }

    fn strike(&self, fault: NodeFault, role: &Role) -> Result<Strike, StrikeError> {
        self.0.strike(fault, role)
    }

    fn when(&self, condition: Condition, fault: Option<(NodeFault, Role)>) -> Result<Box<dyn Awaited>, StrikeError> {
        self.0.when(condition, fault)
    }

    fn inside(&self) -> Option<&dyn Inside> {
        self.0.inside()
    }

    fn whereabouts(&self) -> Whereabouts {
        self.0.whereabouts()
    }

    fn undo(&self, fault: NodeFault, node: i32) -> Result<(), StrikeError> {
        self.0.undo(fault, node)
    }

    fn unsettled(&self) -> Option<(i32, Vec<i32>)> {
        self.0.unsettled()
    }
}
