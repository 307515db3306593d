//! What plays the cluster. A scenario runs unchanged on each back end.

mod contract;
mod embedded;

pub use contract::{Backend, BackendError, BrokerFaults, ClusterPlan, RunningCluster};
pub use embedded::Embedded;
