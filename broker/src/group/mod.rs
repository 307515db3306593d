//! Consumer groups of the classic protocol (KIP-62, KIP-345, KIP-394), on their coordinator.
//!
//! - [`state`]: a group and its members.
//! - [`rebalance`]: joining, synchronising, staying alive, leaving.
//! - [`offsets`]: what groups have committed.
//! - [`group_records`], [`offset_records`]: the records in which both are kept, in Kafka's formats; [`changes`]: what such
//!   a record changes.
//! - [`pending`]: what was written and is not committed yet, with the answers that depend on it.
//! - [`loading`]: a coordinator begins and ends.
//! - [`expiry`]: offsets that nobody has used for long, and groups without any, are forgotten.
//!
//! Members and rebalances live in memory only, as in Kafka; offsets and stable generations are what the log says up to its
//! high watermark. A client hears of a write once it is committed, so that nothing which a client was told is forgotten by
//! the next coordinator.
//!
//! Here: which groups there are, and which node coordinates a group.

pub mod changes;
pub mod expiry;
pub mod group_records;
pub mod loading;
pub mod offset_records;
pub mod offsets;
pub mod pending;
pub mod rebalance;
pub mod state;

use crate::config::NodeConfig;
use crate::metadata::CONSUMER_OFFSETS;
use crate::metadata::image::Image;
use crate::node::Node;
use crate::types::{BrokerId, PartitionId, TopicPartition};
use changes::GroupMap;
use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;
use loading::GroupImage;
use pending::{Deletions, Shard};
use state::GroupState;
use std::collections::BTreeMap;

/// The groups that a node coordinates.
#[derive(Debug, Default)]
pub struct Groups {
    /// All groups of partitions that are loaded.
    pub(crate) groups: GroupMap,
    /// The partitions of `__consumer_offsets` that this node leads.
    pub(crate) shards: BTreeMap<PartitionId, Shard>,
    pub(crate) deletions: Deletions,
}

impl Groups {
    /// Whether `__consumer_offsets` is there, and so every group has a coordinator.
    #[must_use]
    pub fn coordinators_are_known(&self, image: &Image, config: &NodeConfig) -> bool {
        let topic = image.topics.get(CONSUMER_OFFSETS.as_bytes());
        topic.is_some_and(|topic| topic.partitions.len() >= usize::try_from(config.offsets_partitions).unwrap_or(0))
    }

    /// The node that coordinates a group, if it is alive.
    #[must_use]
    pub fn coordinator(&self, image: &Image, config: &NodeConfig, group: &str) -> Option<BrokerId> {
        let leader = image.partition(CONSUMER_OFFSETS, partition_of(group, config.offsets_partitions))?.leader;
        leader.filter(|id| image.is_alive(*id))
    }

    /// What OffsetFetch answers here, for all groups of partitions that are loaded.
    #[must_use]
    pub fn committed(&self) -> BTreeMap<StrBytes, BTreeMap<TopicPartition, i64>> {
        let offsets = self.groups.iter().filter(|(_, group)| !group.offsets.is_empty()).map(|(name, group)| {
            let offsets = group.offsets.iter().map(|(partition, committed)| (partition.clone(), committed.offset));
            (name.clone(), offsets.collect())
        });
        offsets.collect()
    }

    /// How many messages of a topic a group that this node coordinates has committed: its offsets, over all partitions.
    #[must_use]
    pub fn consumed(&self, group: &str, topic: &str) -> u64 {
        let offsets = self.groups.get(group.as_bytes()).into_iter().flat_map(|group| &group.offsets);
        let of_topic = offsets.filter(|(partition, _)| *partition.topic == *topic);
        of_topic.map(|(_, committed)| u64::try_from(committed.offset).unwrap_or_default()).sum()
    }

    /// The offset that a group which this node coordinates has committed for a partition.
    #[must_use]
    pub fn committed_offset(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let mut offsets = self.groups.get(group.as_bytes())?.offsets.iter();
        let of_partition = offsets.find(|(known, _)| known.partition == partition && *known.topic == *topic);
        of_partition.map(|(_, committed)| committed.offset)
    }

    /// Whether a group that this node coordinates is between two generations: some member has no assignment.
    #[must_use]
    pub fn is_rebalancing(&self, group: &str) -> bool {
        let state = self.groups.get(group.as_bytes()).map(|group| group.state);
        matches!(state, Some(GroupState::PreparingRebalance | GroupState::CompletingRebalance))
    }

    /// The partitions of `__consumer_offsets` whose groups this node coordinates and knows.
    #[must_use]
    pub fn loaded_partitions(&self) -> Vec<i32> {
        self.shards.iter().filter(|(_, shard)| shard.is_loaded()).map(|(id, _)| id.index).collect()
    }

    /// What this node takes the committed state of a partition to be, of `partitions_total`: what
    /// [`loading::replayed_state`] gives for its log up to the high watermark.
    ///
    /// A stable group is described by its live members: that these are the ones that are stored is the point. While it
    /// rebalances, or while a write of its is under way, it is described by what was stored last.
    #[must_use]
    pub fn image_of(&self, partition: i32, partitions_total: i32) -> GroupImage {
        let shard = self.shards.iter().find(|(id, _)| id.index == partition).map(|(_, shard)| shard);
        let mut image = GroupImage::default();
        for (name, group) in self.groups.iter().filter(|(name, _)| partition_of(name, partitions_total) == partition) {
            let is_settled = group.state == GroupState::Stable && !shard.is_some_and(|shard| shard.stores(name));
            let stored = if is_settled { Some(group.to_stored()) } else { group.stored.clone() };
            image.add(name, group.offsets.clone(), stored);
        }
        image
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
/// `NOT_COORDINATOR` where another node coordinates the group, `COORDINATOR_LOAD_IN_PROGRESS` while this one still reads
/// what its predecessor wrote.
pub(crate) fn own(node: &Node, group: &str) -> Result<PartitionId, ResponseError> {
    let topic = node.image.topics.get(CONSUMER_OFFSETS.as_bytes()).ok_or(ResponseError::NotCoordinator)?;
    let id = PartitionId { topic: topic.id, index: partition_of(group, node.config.offsets_partitions) };
    match node.groups.shards.get(&id) {
        Some(shard) if shard.is_loaded() => Ok(id),
        Some(_) => Err(ResponseError::CoordinatorLoadInProgress),
        None => Err(ResponseError::NotCoordinator),
    }
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
