//! Who appends to the metadata log. For now one fixed node, the first voter: what it appends is committed at once, and
//! the others pull it from there as they will from an elected leader.

use super::record::MetadataRecord;
use crate::io::PeerMessage;
use crate::node::Node;
use crate::types::{BrokerId, Now, Offset, ProducerId};
use std::collections::BTreeMap;

/// Ids in one block (Kafka's `ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
const PRODUCER_ID_BLOCK: i64 = 1000;

/// The metadata log and who waits for its next records.
#[derive(Debug, Default)]
pub struct Controller {
    log: Vec<MetadataRecord>,
    waiting: BTreeMap<BrokerId, Offset>,
}

impl Controller {
    /// Answers a follower's fetch, or remembers it until there is something to answer.
    pub(crate) fn fetch(&mut self, from: BrokerId, offset: Offset) -> Option<PeerMessage> {
        let records = usize::try_from(offset.0).ok().and_then(|at| self.log.get(at..)).unwrap_or_default();
        if records.is_empty() {
            self.waiting.insert(from, offset);
            return None;
        }
        Some(PeerMessage::Metadata { base: offset, records: records.to_vec() })
    }
}

impl Node {
    /// Appends metadata records, replays them here, and answers followers that waited for them. On a node that is not
    /// the controller nothing happens.
    pub(crate) fn append_metadata(&mut self, now: Now, records: &[MetadataRecord]) {
        let Some(controller) = &mut self.controller else { return };
        controller.log.extend(records.iter().cloned());
        for record in records {
            self.replay(now, record);
        }
        let Some(controller) = &mut self.controller else { return };
        let waiting = std::mem::take(&mut controller.waiting);
        let replies: Vec<_> =
            waiting.into_iter().filter_map(|(to, offset)| Some((to, controller.fetch(to, offset)?))).collect();
        for (to, reply) in replies {
            self.send(to, reply);
        }
    }

    /// Hands out the next block of producer ids: its first id and its size.
    pub(crate) fn allocate_producer_ids(&mut self, now: Now) -> (i64, i64) {
        let first = self.image.next_producer_id.0;
        self.append_metadata(now, &[MetadataRecord::ProducerIds { next: ProducerId(first + PRODUCER_ID_BLOCK) }]);
        (first, PRODUCER_ID_BLOCK)
    }
}
