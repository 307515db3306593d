//! Committed offsets: who may commit, and the records that keep it.

use super::offset_records::{offset_key, offset_value};
use super::state::{Committed, Group, GroupState};
use super::{own, rebalance};
use crate::batch::build::BatchBuilder;
use crate::node::Node;
use crate::types::{Now, TopicPartition};
use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;

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

/// Appends the offsets to the group's partition of `__consumer_offsets`, then remembers them.
pub(crate) fn commit(
    node: &mut Node,
    now: Now,
    name: &StrBytes,
    offsets: Vec<(TopicPartition, Committed)>,
) -> Result<(), ResponseError> {
    let mut batch = BatchBuilder::new(now.wall_ms);
    for (partition, committed) in &offsets {
        batch = batch.record(&offset_key(name, partition), &offset_value(committed, now.wall_ms));
    }
    append(node, now, name, batch)?;
    rebalance::group_mut(node, name).offsets.extend(offsets);
    Ok(())
}

/// Forgets offsets, with tombstones for what is kept.
pub(crate) fn forget(
    node: &mut Node,
    now: Now,
    name: &StrBytes,
    partitions: &[TopicPartition],
) -> Result<(), ResponseError> {
    let mut batch = BatchBuilder::new(now.wall_ms);
    for partition in partitions {
        batch = batch.tombstone(&offset_key(name, partition));
    }
    append(node, now, name, batch)?;
    if let Some(group) = node.groups.groups.get_mut(name) {
        group.offsets.retain(|partition, _| !partitions.contains(partition));
    }
    Ok(())
}

fn append(node: &mut Node, now: Now, name: &StrBytes, batch: BatchBuilder) -> Result<(), ResponseError> {
    let id = own(node, name)?;
    if batch.is_empty() {
        return Ok(());
    }
    let partition = node.partitions.get_mut(&id).ok_or(ResponseError::NotCoordinator)?;
    partition.append_own(&mut *node.store, batch.finish(), now).map_err(|refusal| refusal.error)?;
    node.moved.push(id);
    Ok(())
}
