//! The n-th message of a key: where it is, and whether a group has got past it.
//!
//! Only a log knows keys, so whoever waits for one reads what leaders append, each batch once and for as long as somebody
//! waits. A topic's messages count by partition; those of one key are in one, unless partitions were added.

use crate::roles::find;
use crate::shell::Shell;
use shakedown_broker::batch::header::BatchHeader;
use shakedown_broker::batch::records::offsets_of_key;
use shakedown_broker::types::{Offset, PartitionId};
use std::collections::BTreeMap;

/// A message of a key, and who is to have got past it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedMessage {
    /// The topic.
    pub topic: String,
    /// The key, as its bytes are in UTF-8.
    pub key: String,
    /// Which message of the key, from 1.
    pub nth: u64,
    /// The group that has committed an offset behind it; `None` where it is enough that it was produced.
    pub committed_by: Option<String>,
}

/// How far the search is.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// By partition, the next offset to be read.
    read: BTreeMap<i32, Offset>,
    found: u64,
    /// The partition and the offset of the message.
    at: Option<(i32, i64)>,
}

impl Shell {
    /// Whether it has come to that.
    pub(crate) fn has_come(&self, wanted: &KeyedMessage, search: &mut Search) -> bool {
        if search.at.is_none() {
            self.search(wanted, search);
        }
        match (&wanted.committed_by, search.at) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(group), Some((partition, offset))) => {
                self.committed(group, &wanted.topic, partition).is_some_and(|committed| committed > offset)
            }
        }
    }

    /// Reads what leaders have appended since the last time.
    fn search(&self, wanted: &KeyedMessage, search: &mut Search) {
        let known = self.newest(|image| {
            let topic = image.topics.get(wanted.topic.as_bytes())?;
            let leaders = topic.partitions.iter().map(|state| state.leader);
            Some((topic.id, (0..).zip(leaders).collect::<Vec<(i32, _)>>()))
        });
        let Some((topic, leaders)) = known else { return };
        let mut slots = self.slots.borrow_mut();
        for (index, leader) in leaders {
            let Some(at) = leader.and_then(|leader| find(&slots, leader.0)) else { continue };
            let Some(node) = slots[at].node_mut() else { continue };
            let id = PartitionId { topic, index };
            let from = search.read.get(&index).copied().unwrap_or(Offset(0));
            if node.replica(id).is_none_or(|replica| replica.log_end <= from) {
                continue;
            }
            let mut next = from;
            for batch in node.read_replica(id, from) {
                let Some(header) = BatchHeader::read(&batch) else { continue };
                next = next.max(header.last_offset().plus(1));
                for offset in offsets_of_key(&header, &batch, wanted.key.as_bytes()) {
                    search.found += u64::from(offset >= from);
                    if search.found == wanted.nth && search.at.is_none() {
                        search.at = Some((index, offset.0));
                    }
                }
            }
            search.read.insert(index, next);
        }
    }
}
