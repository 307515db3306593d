//! Configuration by Kafka's names: [`topic`] for what each topic may set, [`broker`] for what each node sets.

pub mod broker;
pub mod topic;

pub use broker::{Defect, NodeConfig, Timing};

/// A value that its setting cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No such setting.
    #[error("unknown config {name:?}; known: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// All that exist.
        known: String,
    },
    /// The value does not fit.
    #[error("invalid value {value:?} for {name}: {allowed}")]
    Invalid {
        /// The setting.
        name: String,
        /// What was given.
        value: String,
        /// What may be given.
        allowed: String,
    },
}
