//! The records of `__consumer_offsets` for groups, in Kafka's formats: `GroupMetadataKey` (record type 2) and
//! `GroupMetadataValue` version 3, the last one before Kafka's flexible encoding and the one that Kafka 4.1 writes.
//!
//! Keys and values of other versions are not read: this broker never writes them.

use super::offset_records::{put_text, take, text};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;

const KEY_VERSION: i16 = 2;
const VALUE_VERSION: i16 = 3;
const NULL: i16 = -1;
const NO_TIMESTAMP: i64 = -1;

/// A generation of a group, as its coordinator keeps it: what another coordinator goes on from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredGroup {
    /// `consumer`, `connect`, ...; empty before the first member.
    pub protocol_type: StrBytes,
    /// The generation.
    pub generation: i32,
    /// When it began (`currentStateTimestamp`); `None` where that was not noted.
    pub since_ms: Option<i64>,
    /// The protocol that its members agreed on.
    pub protocol: Option<StrBytes>,
    /// The member that assigned.
    pub leader: Option<StrBytes>,
    /// The members by id.
    pub members: BTreeMap<StrBytes, StoredMember>,
}

/// A member of a stored generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMember {
    /// `group.instance.id`, for static members.
    pub instance: Option<StrBytes>,
    /// The client's name for itself.
    pub client_id: StrBytes,
    /// The client's address.
    pub client_host: StrBytes,
    /// How long it may take to join again; -1 for as long as its session.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// What it said under the generation's protocol.
    pub subscription: Bytes,
    /// What the leader gave it.
    pub assignment: Bytes,
}

/// The key: the group.
#[must_use]
pub fn group_key(group: &str) -> Bytes {
    let mut key = BytesMut::new();
    key.put_i16(KEY_VERSION);
    put_text(&mut key, group);
    key.freeze()
}

/// The value: the generation, when it began, and its members.
#[must_use]
pub fn group_value(group: &StoredGroup) -> Bytes {
    let mut value = BytesMut::new();
    value.put_i16(VALUE_VERSION);
    put_text(&mut value, &group.protocol_type);
    value.put_i32(group.generation);
    put_nullable(&mut value, group.protocol.as_ref());
    put_nullable(&mut value, group.leader.as_ref());
    value.put_i64(group.since_ms.unwrap_or(NO_TIMESTAMP));
    value.put_i32(count(group.members.len()));
    for (id, member) in &group.members {
        put_text(&mut value, id);
        put_nullable(&mut value, member.instance.as_ref());
        put_text(&mut value, &member.client_id);
        put_text(&mut value, &member.client_host);
        value.put_i32(member.rebalance_timeout_ms);
        value.put_i32(member.session_timeout_ms);
        put_bytes(&mut value, &member.subscription);
        put_bytes(&mut value, &member.assignment);
    }
    value.freeze()
}

/// Reads a key back; `None` for other kinds of records.
#[must_use]
pub fn read_group_key(mut key: &[u8]) -> Option<StrBytes> {
    if i16::from_be_bytes(take(&mut key)?) != KEY_VERSION {
        return None;
    }
    text(&mut key)
}

/// Reads a value back; `None` for other versions and for what is no group.
#[must_use]
pub fn read_group_value(mut value: &[u8]) -> Option<StoredGroup> {
    if i16::from_be_bytes(take(&mut value)?) != VALUE_VERSION {
        return None;
    }
    let mut group = StoredGroup {
        protocol_type: text(&mut value)?,
        generation: i32::from_be_bytes(take(&mut value)?),
        protocol: nullable(&mut value)?,
        leader: nullable(&mut value)?,
        since_ms: Some(i64::from_be_bytes(take(&mut value)?)).filter(|since_ms| *since_ms != NO_TIMESTAMP),
        members: BTreeMap::new(),
    };
    // What the count claims is believed only as far as the bytes go.
    for _ in 0..i32::from_be_bytes(take(&mut value)?) {
        let id = text(&mut value)?;
        let member = StoredMember {
            instance: nullable(&mut value)?,
            client_id: text(&mut value)?,
            client_host: text(&mut value)?,
            rebalance_timeout_ms: i32::from_be_bytes(take(&mut value)?),
            session_timeout_ms: i32::from_be_bytes(take(&mut value)?),
            subscription: bytes(&mut value)?,
            assignment: bytes(&mut value)?,
        };
        group.members.insert(id, member);
    }
    Some(group)
}

fn count(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

fn put_nullable(buffer: &mut BytesMut, text: Option<&StrBytes>) {
    match text {
        Some(text) => put_text(buffer, text),
        None => buffer.put_i16(NULL),
    }
}

fn put_bytes(buffer: &mut BytesMut, bytes: &[u8]) {
    buffer.put_i32(count(bytes.len()));
    buffer.extend_from_slice(bytes);
}

#[expect(clippy::option_option, reason = "the outer level is malformed or not, the inner one is Kafka's null")]
fn nullable(from: &mut &[u8]) -> Option<Option<StrBytes>> {
    match from.first_chunk::<2>() {
        Some(length) if i16::from_be_bytes(*length) == NULL => {
            *from = &from[2..];
            Some(None)
        }
        _ => text(from).map(Some),
    }
}

fn bytes(from: &mut &[u8]) -> Option<Bytes> {
    let length = usize::try_from(i32::from_be_bytes(take(from)?)).ok()?;
    let (taken, left) = from.split_at_checked(length)?;
    *from = left;
    Some(Bytes::copy_from_slice(taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> StoredGroup {
        let text = StrBytes::from_static_str;
        let member = |instance: Option<&'static str>| StoredMember {
            instance: instance.map(text),
            client_id: text("app"),
            client_host: text("/127.0.0.1"),
            rebalance_timeout_ms: 300_000,
            session_timeout_ms: 45_000,
            subscription: Bytes::from_static(b"subscription"),
            assignment: Bytes::from_static(b"assignment"),
        };
        StoredGroup {
            protocol_type: text("consumer"),
            generation: 7,
            since_ms: Some(99),
            protocol: Some(text("range")),
            leader: Some(text("a")),
            members: BTreeMap::from([(text("a"), member(None)), (text("b"), member(Some("pod-1")))]),
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let key = group_key("billing");
        assert_eq!(&key[..], b"\0\x02\0\x07billing");
        assert_eq!(read_group_key(&key).as_deref(), Some("billing"));
        assert_eq!(read_group_value(&group_value(&stored())), Some(stored()));
        let empty = StoredGroup { generation: 3, ..StoredGroup::default() };
        let value = group_value(&empty);
        assert_eq!(value.len(), 2 + 2 + 4 + 2 + 2 + 8 + 4);
        assert_eq!(read_group_value(&value), Some(empty));
    }

    #[test]
    fn a_group_is_written_as_kafka_writes_it() {
        // What Kafka 4.1.1 makes of the same group (`MessageUtil.toVersionPrefixedBytes`).
        let kafka = "00030008636f6e73756d657200000007000572616e676500016100000000000000630000000200\
                     0161ffff0003617070000a2f3132372e302e302e31000493e00000afc80000000c737562736372\
                     697074696f6e0000000a61737369676e6d656e740001620005706f642d310003617070000a2f31\
                     32372e302e302e31000493e00000afc80000000c737562736372697074696f6e0000000a617373\
                     69676e6d656e74";
        let ours: String = group_value(&stored()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(ours, kafka);
    }

    #[test]
    fn what_is_cut_or_of_another_version_is_no_group() {
        let value = group_value(&stored());
        for end in 0..value.len() {
            assert_eq!(read_group_value(&value[..end]), None, "cut at {end}");
        }
        let mut newer = value.to_vec();
        newer[1] = 4;
        assert_eq!(read_group_value(&newer), None);
        assert_eq!(read_group_key(b"\0\x03\0\x01a"), None);
    }
}
