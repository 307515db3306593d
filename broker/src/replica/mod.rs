//! One replicated log, for partitions and for the metadata quorum alike. Nothing here knows what the records mean.
//!
//! - [`epochs`]: which leader epoch began where, and where logs that differ left each other.
//! - [`log`]: the log itself: append as leader or as follower, truncate, recover.
//! - [`leader`]: what a partition's leader knows of its followers, and the high watermark that follows from it.
//! - [`selector`]: which replica a consumer should read from.
//! - [`serving`]: the fetch sessions of followers, on their leader.
//! - [`link`]: a follower's one stream of fetches to each leader.
//! - [`roles`]: what replayed metadata makes of this node's replicas.

pub mod epochs;
pub mod leader;
pub mod link;
pub mod log;
pub mod roles;
pub mod selector;
pub mod serving;
