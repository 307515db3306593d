//! The ceiling: the highest rate that holds a service level.
//!
//! Owns the search, which is pure: results of trials go in, the next trial comes out, and neither time nor chance is taken
//! from anywhere else. Whoever carries out trials (the harness, on any back end) stores what they came to; a [`Study`] that
//! is given the same results again stands where it stood, so that a search goes on after it was interrupted.
//!
//! Reading order:
//! - [`settings`]: the service level, how long trials are, when a bracket is close enough;
//! - [`trial`]: one trial, what was measured in it, and the verdict; [`trend`] says whether a lag grows;
//! - [`replicate`]: one search from a first rate to a confirmed bracket;
//! - [`study`]: the generator's own ceiling, several replicates, and what they come to;
//! - [`measuring`]: from the operations of a run to what was measured;
//! - [`generator`]: what the generator can do at most, against a broker that only acknowledges;
//! - [`table`]: all of it for people.

pub mod generator;
pub mod measuring;
pub mod replicate;
pub mod settings;
#[cfg(test)]
mod simulated;
pub mod study;
pub mod table;
pub mod trend;
pub mod trial;

pub use settings::{Lengths, ServiceLevel, Settings};
pub use study::{Outcome, Step, Study};
pub use trial::{Measured, Phase, Trial, TrialResult, Verdict};
