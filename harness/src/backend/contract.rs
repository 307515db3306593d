//! What the harness asks of a back end: boot a cluster of this size, say how to reach it, and stop when dropped.

use std::collections::BTreeMap;

/// The cluster that a scenario wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterPlan {
    /// How many brokers.
    pub brokers: u32,
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

/// Something that can play the cluster.
pub trait Backend: Sync {
    /// Its name in scenarios and on the command line.
    fn name(&self) -> &'static str;

    /// The faults on brokers that it can do, as a scenario writes them: `kill leader(TOPIC/PARTITION)`.
    fn broker_faults(&self) -> &'static [&'static str];

    /// Boots a cluster that is ready for clients.
    ///
    /// # Errors
    /// When it cannot.
    fn boot(&self, plan: &ClusterPlan) -> Result<Box<dyn RunningCluster>, BackendError>;
}

/// A cluster that runs until it is dropped.
pub trait RunningCluster: Send {
    /// Where clients connect first.
    fn bootstrap_servers(&self) -> String;
}
