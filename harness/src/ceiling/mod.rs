//! `shakedown ceiling` of a scenario: the highest rate that holds a service level, on any back end.
//!
//! Owns how a trial is carried out on a scenario's system. What is tried next, what it means, what is kept of a search, and the
//! ceiling of a bare topic are for [`shakedown_loadgen::ceiling`].
//!
//! - [`scenario_subject`]: a scenario as what trials are carried out on;
//! - [`standing`]: a cluster that stays up between trials.

pub mod scenario_subject;
pub mod standing;

use crate::run::error::RunError;
use shakedown_loadgen::ceiling::subject::CeilingError;

/// A run broke, and the search with it. The command finds out by downcasting what kind of error it is.
pub(crate) fn broke(error: impl Into<RunError>) -> CeilingError {
    CeilingError::Run(Box::new(error.into()))
}
