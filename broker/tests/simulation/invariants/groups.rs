//! A coordinator's live state is what replaying its partition gives.

use super::{Checked, require};
use crate::chance::MS;
use shakedown_broker::Node;
use shakedown_broker::batch::header::BatchHeader;
use shakedown_broker::group::loading::replayed_state;
use shakedown_broker::metadata::CONSUMER_OFFSETS;
use shakedown_broker::types::{Offset, PartitionId};

/// How often a coordinator is compared with its partition: replaying costs what the partition holds.
const INTERVAL_NS: u64 = 500 * MS;

/// When coordinators are looked at next.
pub(crate) struct Coordinators {
    next_ns: Vec<u64>,
}

impl Coordinators {
    pub(crate) fn new(hosts: usize) -> Self {
        Self { next_ns: vec![0; hosts] }
    }

    pub(crate) fn after_step(&mut self, now_ns: u64, at: usize, node: &mut Node) -> Checked {
        if now_ns < self.next_ns[at] {
            return Ok(());
        }
        self.next_ns[at] = now_ns + INTERVAL_NS;
        coordinators_are_what_their_partition_says(at, node)
    }
}

/// At any moment.
pub(crate) fn coordinators_are_what_their_partition_says(at: usize, node: &mut Node) -> Checked {
    let Some(topic) = node.image().topics.get(CONSUMER_OFFSETS.as_bytes()) else { return Ok(()) };
    let (topic, partitions) = (topic.id, i32::try_from(topic.partitions.len()).expect("a few partitions"));
    for index in node.coordinated() {
        let id = PartitionId { topic, index };
        let Some(high_watermark) = node.replica(id).map(|view| view.high_watermark) else { continue };
        let mut batches = node.read_replica(id, Offset(0));
        batches.retain(|batch| BatchHeader::read(batch).is_some_and(|header| header.last_offset() < high_watermark));
        let (live, replayed) = (node.groups().image_of(index, partitions), replayed_state(&batches));
        require(live == replayed, "a coordinator is what its partition says", || {
            format!("node {}, {id:?} up to {high_watermark}: live {live:?}, replayed {replayed:?}", at + 1)
        })?;
    }
    Ok(())
}
