//! The KRaft quorum (KIP-595): the metadata log, and the election of who may append to it.
//!
//! - [`state`]: what a voter must remember, and the role that it has.
//! - [`election`]: pre-votes, votes, time-outs.
//! - [`fetching`]: how everybody else pulls the log from the leader, and the high watermark that follows.
//! - [`snapshots`]: what takes the place of the log's beginning, and how a node jumps over it.
//!
//! The log is the same replicated log that partitions have; what is committed is what a majority of the voters has synced.
//! What the records mean belongs to `metadata/`, who writes them to `controller/`.

pub mod election;
pub mod fetching;
pub mod snapshots;
pub mod state;
