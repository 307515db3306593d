//! Consumer groups of the classic protocol (KIP-62, KIP-345, KIP-394), on their coordinator.
//!
//! - [`state`]: a group and its members.
//! - [`rebalance`]: joining, synchronising, staying alive, leaving.
//! - [`offsets`]: what groups have committed.
//! - [`offset_records`]: the records in which offsets are kept, in Kafka's format.
//!
//! Here: which groups there are, and which node coordinates a group.

pub mod offset_records;
pub mod offsets;
pub mod rebalance;
pub mod state;

use crate::config::NodeConfig;
use crate::log::partition::PartitionId;
use crate::metadata::CONSUMER_OFFSETS;
use crate::metadata::image::Image;
use crate::node::Node;
use crate::types::BrokerId;
use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;
use state::Group;
use std::collections::BTreeMap;

/// The groups that a node coordinates.
#[derive(Debug, Default)]
pub struct Groups {
    pub(crate) groups: BTreeMap<StrBytes, Group>,
}

impl Groups {
    /// Whether `__consumer_offsets` is there, and so every group has a coordinator.
    #[must_use]
    pub fn coordinators_are_known(&self, image: &Image, config: &NodeConfig) -> bool {
        let topic = image.topics.get(CONSUMER_OFFSETS.as_bytes());
        topic.is_some_and(|topic| topic.partitions.len() >= usize::try_from(config.offsets_partitions).unwrap_or(0))
    }

    /// The node that coordinates a group.
    #[must_use]
    pub fn coordinator(&self, image: &Image, config: &NodeConfig, group: &str) -> Option<BrokerId> {
        image.partition(CONSUMER_OFFSETS, partition_of(group, config.offsets_partitions))?.leader
    }

    /// Forgets what groups have committed for a topic that is gone.
    pub fn forget_topic(&mut self, topic: &StrBytes) {
        for group in self.groups.values_mut() {
            group.offsets.retain(|partition, _| partition.topic != *topic);
        }
    }
}

/// The group's partition of `__consumer_offsets`: Java's `String.hashCode`, made positive, modulo the partitions.
#[must_use]
pub fn partition_of(group: &str, partitions: i32) -> i32 {
    let hash = group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
    hash.checked_abs().unwrap_or(0) % partitions
}

/// The partition that keeps a group's offsets, if this node leads it and so coordinates the group.
///
/// # Errors
/// `NOT_COORDINATOR` where another node coordinates the group.
pub(crate) fn own(node: &Node, group: &str) -> Result<PartitionId, ResponseError> {
    let topic = node.image.topics.get(CONSUMER_OFFSETS.as_bytes()).ok_or(ResponseError::NotCoordinator)?;
    let id = PartitionId { topic: topic.id, index: partition_of(group, node.config.offsets_partitions) };
    if node.partitions.contains_key(&id) { Ok(id) } else { Err(ResponseError::NotCoordinator) }
}

/// As [`own`], for what only members ask. A group without a name can keep offsets, but have no members.
///
/// # Errors
/// `INVALID_GROUP_ID` for no name at all, and those of [`own`].
pub(crate) fn own_members(node: &Node, group: &str) -> Result<PartitionId, ResponseError> {
    if group.is_empty() { Err(ResponseError::InvalidGroupId) } else { own(node, group) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_hash_as_in_java() {
        // "order-tracker".hashCode() = -1326098366, "a".hashCode() = 97, and a string whose hash is Integer.MIN_VALUE.
        assert_eq!(partition_of("a", 50), 47);
        assert_eq!(partition_of("", 50), 0);
        assert_eq!(partition_of("polygenelubricants", 50), 0);
    }
}
