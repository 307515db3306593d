//! The records of `__consumer_offsets` for committed offsets, in Kafka's formats, so that Kafka's own tools can read what is
//! kept here: `OffsetCommitKey` version 1 and `OffsetCommitValue` version 3, or 1 where the client said when the offset
//! expires. Only that version has a place for it, and none for the leader's epoch, which such a client does not know.

use super::state::Committed;
use crate::types::TopicPartition;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;

const KEY_VERSION: i16 = 1;
const VALUE_VERSION: i16 = 3;
const VALUE_VERSION_EXPIRING: i16 = 1;
/// What `expireTimestamp` is where nobody said it.
const UNSAID: i64 = -1;

/// The key: group, topic, partition.
#[must_use]
pub fn offset_key(group: &str, partition: &TopicPartition) -> Bytes {
    let mut key = BytesMut::new();
    key.put_i16(KEY_VERSION);
    put_text(&mut key, group);
    put_text(&mut key, &partition.topic);
    key.put_i32(partition.partition);
    key.freeze()
}

/// The value: offset, epoch, note, and when it was committed.
#[must_use]
pub fn offset_value(committed: &Committed) -> Bytes {
    let mut value = BytesMut::new();
    value.put_i16(if committed.expires_ms.is_some() { VALUE_VERSION_EXPIRING } else { VALUE_VERSION });
    value.put_i64(committed.offset);
    if committed.expires_ms.is_none() {
        value.put_i32(committed.leader_epoch);
    }
    put_text(&mut value, &committed.metadata);
    value.put_i64(committed.committed_ms);
    if let Some(at) = committed.expires_ms {
        value.put_i64(at);
    }
    value.freeze()
}

/// Reads a key back; `None` for other kinds of records.
#[must_use]
pub fn read_offset_key(mut key: &[u8]) -> Option<(StrBytes, TopicPartition)> {
    if i16::from_be_bytes(take(&mut key)?) != KEY_VERSION {
        return None;
    }
    let group = text(&mut key)?;
    let topic = text(&mut key)?;
    let partition = i32::from_be_bytes(take(&mut key)?);
    Some((group, TopicPartition { topic, partition }))
}

/// Reads a value back; `None` for other versions.
#[must_use]
pub fn read_offset_value(mut value: &[u8]) -> Option<Committed> {
    let version = i16::from_be_bytes(take(&mut value)?);
    if ![VALUE_VERSION, VALUE_VERSION_EXPIRING].contains(&version) {
        return None;
    }
    let offset = i64::from_be_bytes(take(&mut value)?);
    let leader_epoch = if version == VALUE_VERSION { i32::from_be_bytes(take(&mut value)?) } else { -1 };
    let metadata = text(&mut value)?;
    let committed_ms = i64::from_be_bytes(take(&mut value)?);
    let expires_ms = if version == VALUE_VERSION {
        None
    } else {
        Some(i64::from_be_bytes(take(&mut value)?)).filter(|at| *at != UNSAID)
    };
    Some(Committed { offset, leader_epoch, metadata, committed_ms, expires_ms })
}

pub(super) fn put_text(buffer: &mut BytesMut, text: &str) {
    buffer.put_i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
    buffer.extend_from_slice(text.as_bytes());
}

pub(super) fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = from.split_first_chunk::<N>()?;
    *from = left;
    Some(*taken)
}

pub(super) fn text(from: &mut &[u8]) -> Option<StrBytes> {
    let length = usize::try_from(i16::from_be_bytes(take(from)?)).ok()?;
    let (taken, left) = from.split_at_checked(length)?;
    *from = left;
    StrBytes::from_utf8(Bytes::copy_from_slice(taken)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let partition = TopicPartition { topic: StrBytes::from_static_str("orders"), partition: 7 };
        let key = offset_key("order-tracker", &partition);
        assert_eq!(&key[..2], [0, 1]);
        assert_eq!(read_offset_key(&key), Some((StrBytes::from_static_str("order-tracker"), partition)));
        let metadata = StrBytes::from_static_str("note");
        let committed = Committed { offset: 42, leader_epoch: 3, metadata, committed_ms: 99, expires_ms: None };
        let value = offset_value(&committed);
        assert_eq!(read_offset_value(&value).as_ref(), Some(&committed));
        assert_eq!((&value[..2], value.len()), (&[0, 3][..], 2 + 8 + 4 + 2 + 4 + 8));
        let expiring = Committed { leader_epoch: -1, expires_ms: Some(199), ..committed };
        let value = offset_value(&expiring);
        assert_eq!(read_offset_value(&value), Some(expiring));
        assert_eq!((&value[..2], value.len()), (&[0, 1][..], 2 + 8 + 2 + 4 + 8 + 8));
        assert_eq!(read_offset_value(&value[..value.len() - 1]), None);
    }
}
