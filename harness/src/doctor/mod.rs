//! `shakedown doctor`: what this machine has of what Shakedown can use, and how to get the rest.
//!
//! The embedded cluster and the built-in systems need nothing. Required is what runs scenarios on Apache Kafka itself; the
//! rest is for single tests and measurements.
//!
//! - [`finding`]: one thing with what was found of it; [`machine`]: programs and variables of this machine.
//! - [`fetch`]: getting Kafka's jars.

pub mod fetch;
mod finding;
mod machine;

pub use finding::{Finding, Found, findings};
