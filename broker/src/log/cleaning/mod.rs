//! What becomes of old records: retention deletes them, compaction keeps the last of each key (Kafka's `UnifiedLog`
//! `.deleteOldSegments`, `LogCleanerManager` and `Cleaner`).
//!
//! - [`policy`]: what a topic's settings ask for.
//! - [`retention`]: whole segments go, by time and by size.
//! - [`dirty`]: how much of a log is worth cleaning, and how far it may be cleaned.
//! - [`keys`]: the last offset of each key.
//! - [`pass`]: one cleaning of one log, in slices.
//! - [`schedule`]: when a node looks at which of its logs.
//!
//! Every replica deletes and cleans for itself, so that logs of one partition differ in what is still there; never in
//! what an offset holds. Only what is committed is touched, and never the active segment's records.
//!
//! Differences from Kafka. How far a log has been cleaned is not kept: a log that is opened again is cleaned from its
//! beginning, which changes nothing that was clean. The first batch of each leader epoch stays, without its records if
//! need be: epochs are told by batches here, where Kafka has a file for them. Of transactions, which are not served
//! yet, every batch stays as it is.

pub mod dirty;
pub mod keys;
pub mod pass;
pub mod policy;
pub mod retention;
pub mod schedule;

#[cfg(test)]
pub(super) mod random;
