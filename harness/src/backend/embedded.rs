//! Shakedown's own brokers, in this process.

use super::contract::{Backend, BackendError, ClusterPlan, RunningCluster};
use shakedown_cluster::Cluster;

/// The default back end: no container, no JVM, no second process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Embedded;

impl Backend for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn broker_faults(&self) -> &'static [&'static str] {
        &[]
    }

    fn boot(&self, plan: &ClusterPlan) -> Result<Box<dyn RunningCluster>, BackendError> {
        let mut builder = Cluster::builder().brokers(plan.brokers).seed(plan.seed);
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
            Err(source) => Err(BackendError { backend: self.name(), brokers: plan.brokers, source: Box::new(source) }),
        }
    }
}

impl RunningCluster for Cluster {
    fn bootstrap_servers(&self) -> String {
        Self::bootstrap_servers(self)
    }
}
