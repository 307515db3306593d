//! Shakedown's own brokers, in this process.

use super::contract::{
    Awaited, Backend, BackendError, BrokerFaults, BrokerSettings, ClusterPlan, Inside, ROLES, RunningCluster,
    StrikeError, Whereabouts,
};
use shakedown_cluster::{
    Cluster, ClusterEvent, Condition, Damage, DiskFault, Disturbance, Fault, NodeFault, Role, Rule, RuleGuard, Strike,
    Watch,
};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// The default back end: no container, no JVM, no second process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Embedded;

impl Backend for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn broker_faults(&self) -> BrokerFaults {
        BrokerFaults {
            actions: &[
                NodeFault::Kill,
                NodeFault::PowerLoss,
                NodeFault::Pause,
                NodeFault::Isolate,
                NodeFault::Restart,
                NodeFault::Disk(DiskFault::Full { after_bytes: 0 }),
                NodeFault::Disk(DiskFault::WriteErrors),
                NodeFault::Disk(DiskFault::ReadErrors),
                NodeFault::Disk(DiskFault::SlowSync { by: Duration::ZERO }),
                NodeFault::Damage(Damage::FlippedBit { offset: 0 }),
                NodeFault::Damage(Damage::TornTail { bytes: 0 }),
                NodeFault::Damage(Damage::LostBatches { from: 0, below: 0 }),
                NodeFault::Damage(Damage::LostLog),
            ],
            roles: &ROLES,
            inside: true,
        }
    }

    fn broker_settings(&self) -> BrokerSettings {
        BrokerSettings::Checked
    }

    fn has_controllers(&self) -> bool {
        true
    }

    fn has_transactions(&self) -> bool {
        false
    }

    fn boot(&self, plan: &ClusterPlan) -> Result<Box<dyn RunningCluster>, BackendError> {
        let mut builder = Cluster::builder().brokers(plan.brokers).controllers(plan.controllers).seed(plan.seed);
        if let Some(port) = plan.base_port {
            builder = builder.base_port(port);
        }
        if let Some(bytes) = plan.memory {
            builder = builder.memory_budget(bytes);
        }
        for (name, value) in &plan.config {
            builder = builder.config(name, value);
        }
        match builder.start() {
            Ok(cluster) => Ok(Box::new(cluster)),
            Err(source) => Err(BackendError { backend: self.name(), source: Box::new(source) }),
        }
    }
}

impl RunningCluster for Cluster {
    fn bootstrap_servers(&self) -> String {
        Self::bootstrap_servers(self)
    }

    fn is_borrowed(&self) -> bool {
        false
    }

    fn whereabouts(&self) -> Whereabouts {
        Whereabouts::ThisProcess
    }

    fn events(&self) -> Receiver<ClusterEvent> {
        Self::events(self)
    }

    fn strike(&self, fault: NodeFault, role: &Role) -> Result<Strike, StrikeError> {
        Ok(Self::strike(self, fault, role)?)
    }

    fn when(&self, condition: Condition, fault: Option<(NodeFault, Role)>) -> Result<Box<dyn Awaited>, StrikeError> {
        Ok(Box::new(Self::when(self, condition, fault)?))
    }

    fn inside(&self) -> Option<&dyn Inside> {
        Some(self)
    }

    fn undo(&self, fault: NodeFault, node: i32) -> Result<(), StrikeError> {
        Ok(Self::undo(self, fault, node)?)
    }

    fn unsettled(&self) -> Option<(i32, Vec<i32>)> {
        Self::unsettled(self)
    }
}

impl Awaited for Watch {
    fn outcome(&self) -> Option<Result<Strike, StrikeError>> {
        Some(Self::outcome(self)?.map_err(StrikeError::from))
    }

    fn cancel(self: Box<Self>) -> Option<Result<Strike, StrikeError>> {
        Some(Self::cancel(*self)?.map_err(StrikeError::from))
    }
}

impl Inside for Cluster {
    fn rule(&self, rule: Rule) -> RuleGuard {
        Self::rule(self, rule)
    }

    fn rule_when(&self, rule: Rule, condition: Condition) -> Result<RuleGuard, StrikeError> {
        Ok(Self::rule_when(self, rule, condition)?)
    }

    fn disturb(&self, disturbance: &Disturbance) -> Result<Fault, StrikeError> {
        Ok(Self::disturb(self, disturbance)?)
    }

    fn advance_clock(&self, by: Duration) {
        Self::advance_clock(self, by);
    }
}
