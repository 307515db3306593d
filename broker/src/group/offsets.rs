//! Committed offsets: who may commit, and which there are.

use super::changes::Change;
use super::partition_of;
use super::pending::{self, Shard, Then};
use super::state::{Group, GroupState};
use crate::node::Node;
use crate::types::{Now, PartitionId, TopicPartition};
use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;

/// `offset.metadata.max.bytes`, Kafka's default.
pub(crate) const METADATA_MAX: usize = 4096;

/// Who commits, as the request says.
#[derive(Debug)]
pub(crate) struct Committer {
    pub(crate) generation: i32,
    pub(crate) member: StrBytes,
    pub(crate) instance: Option<StrBytes>,
}

/// Whether the committer may commit for the group (`ClassicGroup.validateOffsetCommit`).
pub(crate) fn may_commit(group: Option<&Group>, committer: &Committer) -> Result<(), ResponseError> {
    let anonymous = committer.generation < 0 && committer.member.is_empty() && committer.instance.is_none();
    let Some(group) = group else {
        return if committer.generation < 0 { Ok(()) } else { Err(ResponseError::IllegalGeneration) };
    };
    if committer.generation < 0 && group.state == GroupState::Empty {
        return Ok(());
    }
    if anonymous {
        return Err(ResponseError::UnknownMemberId);
    }
    known_member(group, &committer.member, committer.instance.as_ref())?;
    if committer.generation != group.generation {
        return Err(ResponseError::IllegalGeneration);
    }
    // Committing what was processed is still possible while a rebalance begins, not while one ends.
    if group.state == GroupState::CompletingRebalance { Err(ResponseError::RebalanceInProgress) } else { Ok(()) }
}

/// Whether the group knows the member, under that instance id where there is one (KIP-345).
pub(crate) fn known_member(group: &Group, member: &StrBytes, instance: Option<&StrBytes>) -> Result<(), ResponseError> {
    if let Some(instance) = instance {
        return match group.statics.get(instance) {
            None => Err(ResponseError::UnknownMemberId),
            Some(known) if known != member => Err(ResponseError::FencedInstanceId),
            Some(_) => Ok(()),
        };
    }
    if group.members.contains_key(member) { Ok(()) } else { Err(ResponseError::UnknownMemberId) }
}

/// The partitions for which the log has an offset of the group: those that are committed, and those that will be.
pub(crate) fn in_log(node: &Node, id: PartitionId, name: &StrBytes) -> BTreeSet<TopicPartition> {
    let group = node.groups.groups.get(name);
    let mut found: BTreeSet<TopicPartition> = group.iter().flat_map(|group| group.offsets.keys().cloned()).collect();
    let uncommitted = node.groups.shards.get(&id).into_iter().flat_map(Shard::uncommitted);
    for change in uncommitted.filter(|change| change.group() == name) {
        match change {
            Change::Offset { partition, committed: Some(_), .. } => drop(found.insert(partition.clone())),
            Change::Offset { partition, committed: None, .. } => drop(found.remove(partition)),
            Change::Group { .. } => {}
        }
    }
    found
}

/// A topic is gone: the coordinators of its consumers forget their offsets (`GroupCoordinator.onPartitionsDeleted`), so that
/// they do not come back with a topic of the same name.
pub(crate) fn topic_deleted(node: &mut Node, now: Now, topic: &StrBytes) {
    let shards: Vec<PartitionId> = node.groups.shards.keys().copied().collect();
    for id in shards {
        let mut names: BTreeSet<StrBytes> = node.groups.groups.keys().cloned().collect();
        names.retain(|name| partition_of(name, node.config.offsets_partitions) == id.index);
        let uncommitted = node.groups.shards.get(&id).into_iter().flat_map(Shard::uncommitted);
        names.extend(uncommitted.map(|change| change.group().clone()));
        let mut changes = Vec::new();
        for group in names {
            let partitions = in_log(node, id, &group).into_iter().filter(|partition| partition.topic == *topic);
            let forget = |partition| Change::Offset { group: group.clone(), partition, committed: None };
            changes.extend(partitions.map(forget));
        }
        if !changes.is_empty() {
            // Where they cannot be written the offsets stay, as in Kafka.
            pending::write(node, now, id, changes, Then::Nothing).ok();
        }
    }
}
