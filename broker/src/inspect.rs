//! What tests, and the shell on behalf of its users, may see of a node. Nothing here changes anything.

use crate::metadata::image::Image;
use crate::node::Node;
use crate::types::{BrokerId, LeaderEpoch, Offset, PartitionId, TopicPartition};
use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;

/// One replica of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaView {
    /// Whether this node leads the partition.
    pub leads: bool,
    /// Who does, as far as this node knows.
    pub leader: Option<BrokerId>,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// The first offset that still exists.
    pub log_start: Offset,
    /// One past the last offset.
    pub log_end: Offset,
    /// One past the last committed offset, as far as this node knows.
    pub high_watermark: Offset,
    /// Who is in sync, on the leader; empty on followers.
    pub isr: Vec<BrokerId>,
}

/// A node's part in the quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumView {
    /// Its epoch.
    pub epoch: LeaderEpoch,
    /// The leader, as far as it knows.
    pub leader: Option<BrokerId>,
    /// Whether it leads.
    pub is_leader: bool,
    /// Whether it decides.
    pub is_active_controller: bool,
    /// Whom it voted for in the epoch.
    pub voted: Option<BrokerId>,
    /// Where the metadata log begins: what lies before it is in a snapshot.
    pub log_start: Offset,
    /// One past the last record of the metadata log.
    pub log_end: Offset,
    /// One past the last record that it knows to be committed.
    pub high_watermark: Offset,
}

impl Node {
    /// The cluster as this node knows it.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// This node's replicas, in order.
    #[must_use]
    pub fn replicas(&self) -> Vec<PartitionId> {
        self.partitions.keys().copied().collect()
    }

    /// One of this node's replicas.
    #[must_use]
    pub fn replica(&self, id: PartitionId) -> Option<ReplicaView> {
        self.partitions.get(&id).map(|partition| ReplicaView {
            leads: partition.leads(),
            leader: partition.leader(),
            leader_epoch: partition.leader_epoch(),
            log_start: partition.log_start(),
            log_end: partition.log_end(),
            high_watermark: partition.high_watermark(),
            isr: partition.isr().to_vec(),
        })
    }

    /// The batches of a replica from an offset to its end, committed or not; none where the store cannot read.
    pub fn read_replica(&mut self, id: PartitionId, from: Offset) -> Vec<Bytes> {
        let Some(partition) = self.partitions.get(&id) else { return Vec::new() };
        partition.read_all(&mut *self.store, from).unwrap_or_default()
    }

    /// The node's part in the quorum.
    #[must_use]
    pub fn quorum(&self) -> QuorumView {
        QuorumView {
            epoch: self.quorum.epoch,
            leader: self.quorum.leader(),
            is_leader: self.quorum.leads(),
            is_active_controller: self.controller.is_some(),
            voted: self.quorum.voted,
            log_start: self.quorum.log.start(),
            log_end: self.quorum.log.end(),
            high_watermark: self.quorum.log.high_watermark(),
        }
    }

    /// The batches of the metadata log from an offset to its end; none where the store cannot read.
    pub fn read_metadata(&mut self, from: Offset) -> Vec<Bytes> {
        let log = &self.quorum.log;
        log.read(&mut *self.store, from, log.end(), usize::MAX).unwrap_or_default()
    }

    /// The partitions of `__consumer_offsets` whose groups this node coordinates, and has loaded.
    #[must_use]
    pub fn coordinated(&self) -> Vec<i32> {
        self.groups.loaded_partitions()
    }

    /// What the groups that this node coordinates have committed: the answers of OffsetFetch.
    #[must_use]
    pub fn committed_offsets(&self) -> BTreeMap<StrBytes, BTreeMap<TopicPartition, i64>> {
        self.groups.committed()
    }

    /// The groups that this node coordinates.
    #[must_use]
    pub fn groups(&self) -> &crate::group::Groups {
        &self.groups
    }

    /// A partition by its topic's name.
    #[must_use]
    pub fn topic_partition(&self, id: PartitionId) -> Option<TopicPartition> {
        let topic = self.image.names.get(&id.topic)?.clone();
        Some(TopicPartition { topic, partition: id.index })
    }
}
