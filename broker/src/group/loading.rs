//! A coordinator begins by reading what its predecessors wrote, and ends by forgetting it.
//!
//! Everything that the log held when this node began to lead is read before the first request is served, and only once it
//! is committed. A new leader may know less of the high watermark than the old one did; by the time that it has caught up
//! nothing can be missing that the old one told anybody (KIP-207 has the same rule for offsets of partitions). Difference
//! from Kafka: its coordinators read to the log's end at once, and until the high watermark catches up OffsetFetch answers
//! with less than it did before.
//!
//! A log is read in slices, so that a long one does not keep the node from everything else; meanwhile clients are told
//! COORDINATOR_LOAD_IN_PROGRESS.

use super::changes::{self, GroupMap};
use super::group_records::StoredGroup;
use super::pending::{self, Shard};
use super::state::Committed;
use super::{partition_of, rebalance};
use crate::batch::header::BatchHeader;
use crate::config::Defect;
use crate::io::Event;
use crate::node::Node;
use crate::timers::Timer;
use crate::types::{Now, Offset, PartitionId, TopicPartition};
use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;

/// Bytes that are read in one step of the node.
const SLICE_BYTES: usize = 1 << 20;
/// How long after a failed read the next one is tried.
const RETRY_MS: i64 = 100;

/// How far reading has come.
#[derive(Debug)]
pub(crate) struct Loading {
    /// The next offset to read.
    next: Offset,
    /// Where the log ended when this node began to lead.
    end: Offset,
    groups: GroupMap,
}

/// This node leads a partition of `__consumer_offsets`, perhaps in a new epoch. It goes on with what it knows if it led it
/// before: nobody else can have written anything.
pub(crate) fn lead(node: &mut Node, now: Now, id: PartitionId) {
    let Some(partition) = node.partitions.get(&id).filter(|partition| partition.leads()) else { return };
    if node.groups.shards.contains_key(&id) {
        return;
    }
    let end = partition.log_end();
    let next = if node.config.has(Defect::SkipReplay) { end } else { partition.log_start() };
    node.groups.shards.insert(id, Shard::new(Loading { next, end, groups: GroupMap::new() }));
    go_on(node, now, id);
    pending::arm(node, id);
}

/// This node does not lead the partition any more: whoever waits for anything asks the next coordinator.
pub(crate) fn resign(node: &mut Node, now: Now, id: PartitionId) {
    let Some(shard) = node.groups.shards.remove(&id) else { return };
    node.timers.cancel(&Timer::Load(id));
    let total = node.config.offsets_partitions;
    let names = node.groups.groups.keys().filter(|name| partition_of(name, total) == id.index);
    for name in names.cloned().collect::<Vec<_>>() {
        rebalance::abandon(node, &name);
    }
    pending::abandon(node, now, shard);
}

/// Loading goes on.
#[expect(clippy::needless_pass_by_value, reason = "one shape for all timers: a timer that fires is gone")]
pub(crate) fn on_timer(node: &mut Node, now: Now, timer: Timer) {
    if let Timer::Load(id) = timer {
        go_on(node, now, id);
    }
}

/// Reads the next slice of what is committed. Where nothing is left but uncommitted records, the high watermark's next move
/// goes on.
pub(super) fn go_on(node: &mut Node, now: Now, id: PartitionId) {
    let Some(loading) = node.groups.shards.get_mut(&id).and_then(|shard| shard.loading.as_mut()) else { return };
    let Some(partition) = node.partitions.get(&id).filter(|partition| partition.leads()) else { return };
    let high_watermark = partition.high_watermark();
    if loading.next < loading.end {
        let Ok(batches) = partition.read(&mut *node.store, loading.next, SLICE_BYTES, true) else {
            return node.timers.set(Timer::Load(id), now.after_ms(RETRY_MS));
        };
        let read_to = batches.last().and_then(|last| BatchHeader::read(last)).map(|last| last.last_offset().plus(1));
        for change in batches.iter().flat_map(|batch| changes::read(batch)) {
            changes::apply(&mut loading.groups, change);
        }
        // Without batches below the high watermark there is nothing to read below it.
        loading.next = read_to.unwrap_or(high_watermark).max(loading.next);
    }
    if loading.next >= loading.end {
        begin(node, now, id);
    } else if loading.next < high_watermark {
        // Not at this very instant: requests that have come meanwhile are answered first.
        node.timers.set(Timer::Load(id), now.monotonic_ns.saturating_add(1));
    }
}

/// Everything is read: members have their whole session from now on to be heard of.
fn begin(node: &mut Node, now: Now, id: PartitionId) {
    let Some(loading) = node.groups.shards.get_mut(&id).and_then(|shard| shard.loading.take()) else { return };
    node.timers.cancel(&Timer::Load(id));
    let groups = loading.groups.len();
    let mut members = Vec::new();
    for (name, mut group) in loading.groups {
        group.resume();
        members.extend(group.members.keys().map(|member| (name.clone(), member.clone())));
        node.groups.groups.insert(name, group);
    }
    for (name, member) in members {
        rebalance::heard_of(node, now, &name, &member);
    }
    node.event(Event::GroupsLoaded { partition: id.index, groups });
}

/// The committed state of a partition of `__consumer_offsets`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupImage {
    /// What each group committed.
    pub offsets: BTreeMap<StrBytes, BTreeMap<TopicPartition, Committed>>,
    /// The last generation of each group that has one.
    pub groups: BTreeMap<StrBytes, StoredGroup>,
}

impl GroupImage {
    pub(super) fn add(
        &mut self,
        name: &StrBytes,
        offsets: BTreeMap<TopicPartition, Committed>,
        stored: Option<StoredGroup>,
    ) {
        if !offsets.is_empty() {
            self.offsets.insert(name.clone(), offsets);
        }
        if let Some(stored) = stored {
            self.groups.insert(name.clone(), stored);
        }
    }
}

/// What a log of `__consumer_offsets` adds up to.
#[must_use]
pub fn replayed_state(batches: &[Bytes]) -> GroupImage {
    let mut groups = GroupMap::new();
    for change in batches.iter().flat_map(|batch| changes::read(batch)) {
        changes::apply(&mut groups, change);
    }
    let mut image = GroupImage::default();
    for (name, group) in groups {
        image.add(&name, group.offsets, group.stored);
    }
    image
}

#[cfg(test)]
mod tests {
    use super::super::changes::Change;
    use super::*;
    use crate::batch::build::BatchBuilder;

    fn batch(changes: &[Change]) -> Bytes {
        let batch = changes.iter().fold(BatchBuilder::new(99), |batch, change| change.add_to(batch));
        batch.finish().freeze()
    }

    #[test]
    fn a_log_adds_up_to_its_last_records() {
        let group = StrBytes::from_static_str("billing");
        let offset = |partition, offset: Option<i64>| Change::Offset {
            group: group.clone(),
            partition: TopicPartition { topic: StrBytes::from_static_str("orders"), partition },
            committed: offset.map(|offset| Committed {
                offset,
                leader_epoch: -1,
                metadata: StrBytes::default(),
                committed_ms: 99,
                expires_ms: None,
            }),
        };
        let generation = |generation| {
            let stored = StoredGroup { generation, ..StoredGroup::default() };
            Change::Group { group: group.clone(), stored: Some(stored) }
        };
        let log = [
            batch(&[generation(1)]),
            batch(&[offset(0, Some(5)), offset(1, Some(6))]),
            batch(&[generation(2), offset(0, Some(7)), offset(1, None)]),
        ];
        let image = replayed_state(&log);
        let offsets =
            image.offsets[&group].iter().map(|(partition, committed)| (partition.partition, committed.offset));
        assert_eq!(offsets.collect::<Vec<_>>(), [(0, 7)]);
        assert_eq!(image.groups[&group].generation, 2);
        let deleted = [batch(&[offset(0, None), Change::Group { group: group.clone(), stored: None }])];
        assert_eq!(replayed_state(&[&log[..], &deleted[..]].concat()), GroupImage::default());
    }
}
