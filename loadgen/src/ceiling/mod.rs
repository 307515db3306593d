//! The ceiling: the highest rate that holds a service level.
//!
//! Owns the search, which is pure: results of trials go in, the next trial comes out, and neither time nor chance is taken
//! from anywhere else; a [`Study`] that is given the same results again stands where it stood, so that a search goes on after it
//! was interrupted. And how a search is carried out on any [`subject`]: a topic here, a scenario in the harness.
//!
//! Reading order:
//! - [`settings`]: the service level, how long trials are, when a bracket is close enough;
//! - [`trial`]: one trial, what was measured in it, and the verdict; [`trend`] says whether a lag grows;
//! - [`replicate`]: one search from a first rate to a confirmed bracket;
//! - [`study`]: the generator's own ceiling, several replicates, and what they come to;
//! - [`measuring`]: from the operations of a run to what was measured;
//! - [`generator`]: what the generator can do at most, against a broker that only acknowledges;
//! - [`table`]: all of it for people; [`curve`]: latency against rate as a picture;
//! - [`subject`]: what trials are carried out on; [`topic_subject`] is a topic of any Kafka;
//! - [`state`]: `ceiling.json`, from which a search goes on;
//! - [`search`]: trial after trial until there is an outcome;
//! - [`arguments`] and [`command`]: `loadgen ceiling`, and what `shakedown ceiling` has in common with it.

pub mod arguments;
pub mod command;
pub mod curve;
pub mod generator;
pub mod measuring;
pub mod replicate;
pub mod search;
pub mod settings;
#[cfg(test)]
mod simulated;
pub mod state;
pub mod study;
pub mod subject;
pub mod table;
pub mod topic_subject;
pub mod trend;
pub mod trial;

pub use settings::{Lengths, ServiceLevel, Settings};
pub use study::{Outcome, Step, Study};
pub use trial::{Measured, Phase, Trial, TrialResult, Verdict};
