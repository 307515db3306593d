//! What the cluster is, by the committed metadata alone, replayed here record by record; and what nodes believe of it:
//! epochs in a node's image never go back, and an image is what the log says up to its end, whether the node
//! has replayed it or begun with a snapshot.

use super::{Checked, Violation, require};
use bytes::Bytes;
use shakedown_broker::Node;
use shakedown_broker::batch::header::{BatchHeader, HEADER_SIZE};
use shakedown_broker::batch::records::Records;
use shakedown_broker::group::partition_of;
use shakedown_broker::metadata::CONSUMER_OFFSETS;
use shakedown_broker::metadata::codec;
use shakedown_broker::metadata::image::Image;
use shakedown_broker::metadata::record::{MetadataRecord, PartitionState};
use shakedown_broker::types::{BrokerId, Offset, PartitionId};
use std::collections::BTreeMap;

/// What a node's image looked like when it was last looked at.
#[derive(Debug, Clone, Default)]
struct Seen {
    end: i64,
    /// Leader epoch and partition epoch of each partition.
    epochs: BTreeMap<PartitionId, (i32, i32)>,
}

/// A last leader that leads again, whatever its disk kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comeback {
    pub(crate) partition: PartitionId,
    pub(crate) leader: BrokerId,
    /// The epoch before.
    pub(crate) epoch: i32,
}

/// What the cluster is, and what nodes believe.
pub(crate) struct Images {
    /// All that is committed.
    pub(crate) newest: Image,
    /// The image at the end of every committed batch: nodes may stop at each of them, and begin at it with a snapshot.
    known: BTreeMap<Offset, Image>,
    seen: Vec<Seen>,
}

impl Images {
    pub(crate) fn new(hosts: usize) -> Self {
        Self { newest: Image::default(), known: BTreeMap::new(), seen: vec![Seen::default(); hosts] }
    }

    pub(crate) fn booted(&mut self, at: usize) {
        self.seen[at] = Seen::default();
    }

    /// Whether a partition belongs to `__consumer_offsets`.
    pub(crate) fn is_offsets_topic(&self, id: PartitionId) -> bool {
        self.newest.names.get(&id.topic).is_some_and(|name| &**name == CONSUMER_OFFSETS)
    }

    /// The partition that keeps a group's offsets.
    pub(crate) fn offsets_partition(&self, group: &str) -> Option<PartitionId> {
        let topic = self.newest.topics.get(CONSUMER_OFFSETS.as_bytes())?;
        let partitions = i32::try_from(topic.partitions.len()).ok().filter(|partitions| *partitions > 0)?;
        Some(PartitionId { topic: topic.id, index: partition_of(group, partitions) })
    }

    /// Who coordinates a group, and since which leader epoch.
    pub(crate) fn coordinator(&self, group: &str) -> Option<(BrokerId, i32)> {
        let state = self.newest.state(self.offsets_partition(group)?)?;
        Some((state.leader?, state.leader_epoch.0))
    }

    /// Topics by their names, where a text has their ids.
    pub(crate) fn readable(&self, text: &str) -> String {
        self.newest.names.iter().fold(text.to_owned(), |text, (id, name)| text.replace(&id.to_string(), name))
    }

    /// Replays a committed batch. Returns the partitions whose last leader came back since nobody was left who is promised
    /// to have everything.
    pub(crate) fn replay(&mut self, batch: &Bytes) -> Result<Vec<Comeback>, Violation> {
        let mut comebacks = Vec::new();
        let header = BatchHeader::read(batch).expect("committed batches are whole");
        if header.is_control() {
            (0..header.count).for_each(|_| self.newest.skip());
            self.known.insert(self.newest.end, self.newest.clone());
            return Ok(comebacks);
        }
        let mut restarted = Vec::new();
        for record in Records::new(&batch[HEADER_SIZE..]) {
            let record = record.ok().and_then(|record| record.value).map(codec::decode);
            let Some(Ok(record)) = record else {
                let detail = format!("the batch at {} holds something else", header.base_offset);
                return Err(Violation::new("the metadata log holds metadata records", detail));
            };
            match record {
                MetadataRecord::RegisterBroker(ref registration) => restarted.push(registration.id),
                MetadataRecord::PartitionChange { topic, index, .. } => {
                    let id = PartitionId { topic, index };
                    let before = self.newest.state(id).cloned();
                    self.newest.apply(&record);
                    if let (Some(before), Some(now)) = (before, self.newest.state(id)) {
                        comebacks.extend(leaders_are_elected_cleanly(id, &before, now, &restarted)?);
                    }
                    continue;
                }
                _ => {}
            }
            self.newest.apply(&record);
        }
        self.known.insert(self.newest.end, self.newest.clone());
        Ok(comebacks)
    }

    pub(crate) fn after_step(&mut self, at: usize, node: &Node) -> Checked {
        let image = node.image();
        let (was, is) = (self.seen[at].end, image.end.0);
        if was == is {
            return Ok(());
        }
        require(is >= was, "an image never goes back", || format!("node {}: {was} to {is}", at + 1))?;
        self.seen[at].end = is;
        for (id, state) in image.partitions() {
            let epochs = (state.leader_epoch.0, state.partition_epoch);
            let before = self.seen[at].epochs.insert(id, epochs).unwrap_or((i32::MIN, i32::MIN));
            require(epochs.0 >= before.0 && epochs.1 >= before.1, "epochs never go back in a node's image", || {
                format!("node {}, {id:?}: {before:?} to {epochs:?}", at + 1)
            })?;
        }
        let known = self.known.get(&image.end);
        require(Some(image) == known, "an image is what the metadata log says", || {
            format!("node {} at {is}: {image:?} instead of {known:?}", at + 1)
        })
    }
}

/// A leader is elected from those who are promised to have everything; only once they have all restarted uncleanly, the
/// last of them in this very change, may the last leader come back.
fn leaders_are_elected_cleanly(
    partition: PartitionId,
    before: &PartitionState,
    now: &PartitionState,
    restarted: &[BrokerId],
) -> Result<Option<Comeback>, Violation> {
    let mut holders = before.isr.iter().chain(&before.elr);
    let Some(leader) = now.leader.filter(|leader| !holders.clone().any(|holder| holder == leader)) else {
        return Ok(None);
    };
    // A reassignment that completes lets in, and elects, whom the leader has just found in sync.
    let was_moving = !before.adding.is_empty() || !before.removing.is_empty();
    let completed = was_moving && now.adding.is_empty() && now.removing.is_empty();
    if completed && now.isr.contains(&leader) {
        return Ok(None);
    }
    let may_come_back = before.last_known_elr == [leader] && holders.all(|holder| restarted.contains(holder));
    require(may_come_back, "leaders are elected cleanly", || format!("{partition:?}: {before:?} to {now:?}"))?;
    Ok(Some(Comeback { partition, leader, epoch: before.leader_epoch.0 }))
}
