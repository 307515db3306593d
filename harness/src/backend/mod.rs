//! What plays the cluster. A scenario runs unchanged on each back end; what one cannot do is refused when it is planned.
//!
//! [`contract`] is what the harness asks of any; [`embedded`], [`apache`] and [`external`] are those that there are.
//! [`waiting`] is how the latter two see that something has happened.

mod apache;
mod contract;
mod embedded;
mod external;
mod waiting;

pub use apache::Apache;
pub use contract::{
    Awaited, Backend, BackendError, BrokerFaults, BrokerSettings, ClusterPlan, Inside, RunningCluster, StrikeError,
    Whereabouts,
};
pub use embedded::Embedded;
pub use external::External;
