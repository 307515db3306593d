//! Batches that a node writes itself: the records of its coordinators. Uncompressed, without a producer.

use super::header::{self, HEADER_SIZE, LENGTH_PREFIX, MAGIC};
use crate::types::BrokerId;
use bytes::{BufMut, BytesMut};

/// `ControlRecordType.LEADER_CHANGE`.
const LEADER_CHANGE: i16 = 2;

/// Collects records and seals them into one batch at offset 0, which an append patches like any other.
#[derive(Debug)]
pub struct BatchBuilder {
    timestamp_ms: i64,
    count: i32,
    records: BytesMut,
}

impl BatchBuilder {
    /// Every record gets this timestamp.
    #[must_use]
    pub fn new(timestamp_ms: i64) -> Self {
        Self { timestamp_ms, count: 0, records: BytesMut::new() }
    }

    /// Adds a record with a value.
    #[must_use]
    pub fn record(self, key: &[u8], value: &[u8]) -> Self {
        self.push(Some(key), Some(value))
    }

    /// Adds a tombstone: a record that deletes its key.
    #[must_use]
    pub fn tombstone(self, key: &[u8]) -> Self {
        self.push(Some(key), None)
    }

    /// Adds a record without a key, as the metadata log has them.
    #[must_use]
    pub fn keyless(self, value: &[u8]) -> Self {
        self.push(None, Some(value))
    }

    /// The control batch with which a leader of the quorum begins its epoch: `LeaderChangeMessage`, version 0.
    #[must_use]
    pub fn leader_change(timestamp_ms: i64, leader: i32, voters: &[BrokerId]) -> BytesMut {
        let mut value = BytesMut::new();
        value.put_i16(0); // version
        value.put_i32(leader);
        for _ in ["voters", "granting voters"] {
            value.put_u8(u8::try_from(voters.len() + 1).unwrap_or(u8::MAX)); // compact array
            for voter in voters {
                value.put_i32(voter.0);
                value.put_u8(0); // tagged fields
            }
        }
        value.put_u8(0); // tagged fields
        let mut key = BytesMut::new();
        key.put_i16(0); // version
        key.put_i16(LEADER_CHANGE);
        let mut batch = Self::new(timestamp_ms).push(Some(&key), Some(&value)).finish();
        header::mark_control(&mut batch);
        batch
    }

    fn push(mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> Self {
        let size = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        let mut body = BytesMut::with_capacity(size + 16);
        body.put_u8(0); // attributes
        put_varint(&mut body, 0); // timestamp delta
        put_varint(&mut body, self.count.into());
        put_bytes(&mut body, key);
        put_bytes(&mut body, value);
        put_varint(&mut body, 0); // headers
        put_varint(&mut self.records, length(body.len()));
        self.records.extend_from_slice(&body);
        self.count += 1;
        self
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The sealed batch.
    #[must_use]
    pub fn finish(self) -> BytesMut {
        let size = HEADER_SIZE + self.records.len();
        let mut batch = BytesMut::with_capacity(size);
        batch.put_i64(0); // base offset
        batch.put_i32(i32::try_from(size - LENGTH_PREFIX).unwrap_or(i32::MAX));
        batch.put_i32(-1); // leader epoch
        batch.put_i8(MAGIC);
        batch.put_u32(0); // CRC, sealed below
        batch.put_i16(0); // attributes
        batch.put_i32(self.count - 1);
        batch.put_i64(self.timestamp_ms);
        batch.put_i64(self.timestamp_ms);
        batch.put_i64(-1); // producer id
        batch.put_i16(-1); // producer epoch
        batch.put_i32(-1); // base sequence
        batch.put_i32(self.count);
        batch.extend_from_slice(&self.records);
        header::seal(&mut batch);
        batch
    }
}

fn length(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn put_bytes(buffer: &mut BytesMut, bytes: Option<&[u8]>) {
    put_varint(buffer, bytes.map_or(-1, |bytes| length(bytes.len())));
    buffer.extend_from_slice(bytes.unwrap_or_default());
}

/// Zig-zag variable-length integer, as inside records.
pub(super) fn put_varint(buffer: &mut BytesMut, value: i64) {
    let mut left = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while left >= 0x80 {
        buffer.put_u8((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    buffer.put_u8((left & 0x7f) as u8);
}
