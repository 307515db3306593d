//! What the cluster consists of, as a log of typed records that every node replays.
//!
//! - [`record`]: the records, by Kafka's names.
//! - [`image`]: what they add up to; each node works from its own.
//! - [`codec`]: the records' bytes, which are Kafka's.
//! - [`snapshot`]: the records that an image amounts to.
//! - [`placement`]: which node gets which partition.

pub mod codec;
pub mod image;
pub mod placement;
pub mod record;
pub mod snapshot;

/// The topic in which group coordinators keep committed offsets.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";

/// Whether clients may read but not write a topic.
#[must_use]
pub fn is_internal(topic: &str) -> bool {
    matches!(topic, CONSUMER_OFFSETS | "__transaction_state" | "__share_group_state")
}
