//! `shakedown ceiling`: the highest rate that holds a service level, on any back end or any topic.
//!
//! Owns how trials are carried out, and what is kept of a search. What is tried next, and what it means, is decided by
//! [`shakedown_loadgen::ceiling`], which runs nothing.
//!
//! - [`subject`]: what trials are carried out on; [`scenario_subject`] and [`topic_subject`] are the two there are;
//! - [`standing`]: a cluster that stays up between trials;
//! - [`state`]: `ceiling.json`, from which a search goes on;
//! - [`search`]: trial after trial until there is an outcome;
//! - [`curve`]: latency against rate as a picture.

pub mod curve;
pub mod scenario_subject;
pub mod search;
pub mod standing;
pub mod state;
pub mod subject;
pub mod topic_subject;
