//! What a record of `__consumer_offsets` changes. A coordinator writes changes, waits until they are committed and then
//! applies them; one that loads reads them back and applies them in the same way, so that both end with the same groups.

use super::group_records::{StoredGroup, StoredMember, group_key, group_value, read_group_key, read_group_value};
use super::offset_records::{offset_key, offset_value, read_offset_key, read_offset_value};
use super::state::{Committed, Group, GroupState};
use crate::batch::build::BatchBuilder;
use crate::batch::header::{BatchHeader, Compression, HEADER_SIZE};
use crate::batch::records::{RecordView, Records};
use crate::types::TopicPartition;
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;

/// Groups by name.
pub type GroupMap = BTreeMap<StrBytes, Group>;

/// The longest text that the records can hold.
const TEXT_MAX: usize = i16::MAX.unsigned_abs() as usize;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A group committed an offset, or (`None`) forgets it.
    Offset {
        /// The group.
        group: StrBytes,
        /// The partition that it consumes.
        partition: TopicPartition,
        /// What it committed.
        committed: Option<Committed>,
    },
    /// A group has a new generation, or (`None`) is gone.
    Group {
        /// The group.
        group: StrBytes,
        /// Its generation.
        stored: Option<StoredGroup>,
    },
}

impl Change {
    /// The group that changes.
    #[must_use]
    pub fn group(&self) -> &StrBytes {
        match self {
            Self::Offset { group, .. } | Self::Group { group, .. } => group,
        }
    }

    /// Whether the formats can hold it: their texts have two bytes for the length, what clients send may be longer.
    #[must_use]
    pub fn fits(&self) -> bool {
        let short = |text: &StrBytes| text.len() <= TEXT_MAX;
        let member = |member: &StoredMember| {
            short(&member.client_id) && short(&member.client_host) && member.instance.as_ref().is_none_or(short)
        };
        short(self.group())
            && match self {
                Self::Offset { partition, committed, .. } => {
                    short(&partition.topic) && committed.as_ref().is_none_or(|committed| short(&committed.metadata))
                }
                Self::Group { stored, .. } => stored.as_ref().is_none_or(|stored| {
                    short(&stored.protocol_type)
                        && stored.protocol.as_ref().is_none_or(short)
                        && stored.members.iter().all(|(id, one)| short(id) && member(one))
                }),
            }
    }

    /// Adds the record to a batch.
    #[must_use]
    pub fn add_to(&self, batch: BatchBuilder) -> BatchBuilder {
        match self {
            Self::Offset { group, partition, committed: Some(committed) } => {
                batch.record(&offset_key(group, partition), &offset_value(committed))
            }
            Self::Offset { group, partition, committed: None } => batch.tombstone(&offset_key(group, partition)),
            Self::Group { group, stored: Some(stored) } => batch.record(&group_key(group), &group_value(stored)),
            Self::Group { group, stored: None } => batch.tombstone(&group_key(group)),
        }
    }

    fn from_record(record: RecordView<'_>) -> Option<Self> {
        let key = record.key?;
        if let Some((group, partition)) = read_offset_key(key) {
            let committed = record.value.map(read_offset_value);
            return (committed != Some(None)).then(|| Self::Offset {
                group,
                partition,
                committed: committed.flatten(),
            });
        }
        let group = read_group_key(key)?;
        let stored = record.value.map(read_group_value);
        (stored != Some(None)).then(|| Self::Group { group, stored: stored.flatten() })
    }
}

/// The changes of a batch, in order. What coordinators of classic groups do not write is skipped: other kinds of records,
/// transactions, control batches, compressed batches.
#[must_use]
pub fn read(batch: &[u8]) -> Vec<Change> {
    let Some(header) = BatchHeader::read(batch) else { return Vec::new() };
    let is_ours = header.compression() == Some(Compression::None) && !header.is_control() && !header.is_transactional();
    if !is_ours {
        return Vec::new();
    }
    Records::new(&batch[HEADER_SIZE..]).map_while(Result::ok).filter_map(Change::from_record).collect()
}

/// Applies a change that is committed.
pub fn apply(groups: &mut GroupMap, change: Change) {
    match change {
        Change::Offset { group, partition, committed: Some(committed) } => {
            entry(groups, &group).offsets.insert(partition, committed);
        }
        Change::Offset { group, partition, committed: None } => {
            if let Some(group) = groups.get_mut(&group) {
                group.offsets.remove(&partition);
            }
        }
        Change::Group { group, stored: Some(stored) } => entry(groups, &group).stored = Some(stored),
        Change::Group { group: name, stored: None } => {
            let Some(group) = groups.get_mut(&name) else { return };
            group.stored = None;
            // Somebody may have joined the group since it was deleted.
            if group.state == GroupState::Empty && group.offsets.is_empty() {
                groups.remove(&name);
            }
        }
    }
}

fn entry<'a>(groups: &'a mut GroupMap, name: &StrBytes) -> &'a mut Group {
    // A copy of the name: the request's would keep its whole frame in memory.
    if !groups.contains_key(name) {
        groups.insert(StrBytes::from_string(name.to_string()), Group::default());
    }
    let group = groups.get_mut(name).expect("it was inserted above");
    group.is_uncommitted = false;
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(partition: i32, offset: Option<i64>) -> Change {
        let note = StrBytes::from_static_str("note");
        Change::Offset {
            group: StrBytes::from_static_str("billing"),
            partition: TopicPartition { topic: StrBytes::from_static_str("orders"), partition },
            committed: offset.map(|offset| Committed {
                offset,
                leader_epoch: -1,
                metadata: note,
                committed_ms: 99,
                expires_ms: None,
            }),
        }
    }

    fn generation(generation: Option<i32>) -> Change {
        let stored = generation.map(|generation| StoredGroup { generation, ..StoredGroup::default() });
        Change::Group { group: StrBytes::from_static_str("billing"), stored }
    }

    #[test]
    fn what_is_written_reads_back_and_other_records_are_skipped() {
        let changes = [generation(Some(1)), offset(0, Some(5)), offset(1, None), generation(None)];
        let mut batch = BatchBuilder::new(99).record(b"\0\x09other", b"value").record(b"", b"");
        for change in &changes {
            batch = change.add_to(batch);
        }
        let batch = batch.finish();
        assert_eq!(read(&batch), changes);
        for end in 0..batch.len() {
            let cut = read(&batch[..end]);
            assert_eq!(cut, changes[..cut.len()], "cut at {end}");
        }
        let mut transactional = batch;
        transactional[22] |= 0b1_0000;
        assert_eq!(read(&transactional), []);
    }

    #[test]
    fn the_last_change_counts() {
        let mut groups = GroupMap::new();
        for change in [offset(0, Some(5)), offset(1, Some(6)), offset(0, Some(7)), offset(1, None)] {
            apply(&mut groups, change);
        }
        let group = groups.get("billing".as_bytes()).expect("it has offsets");
        assert_eq!(group.offsets.values().map(|committed| committed.offset).collect::<Vec<_>>(), [7]);
        for change in [generation(Some(1)), offset(0, None), generation(None)] {
            apply(&mut groups, change);
        }
        assert!(groups.is_empty());
    }

    #[test]
    fn a_group_that_has_members_again_outlives_its_deletion() {
        let mut groups = GroupMap::new();
        apply(&mut groups, generation(Some(1)));
        groups.values_mut().for_each(|group| group.state = GroupState::PreparingRebalance);
        apply(&mut groups, generation(None));
        assert_eq!(groups.values().map(|group| group.stored.clone()).collect::<Vec<_>>(), [None]);
    }

    #[test]
    fn texts_that_the_format_cannot_hold_do_not_fit() {
        assert!(offset(0, Some(5)).fits());
        let group = StrBytes::from_string("g".repeat(TEXT_MAX + 1));
        assert!(!Change::Group { group, stored: None }.fits());
    }
}
