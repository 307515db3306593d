//! The fixed part of a record batch: where each field lies, and the three fields that a broker writes.
//!
//! The CRC covers everything behind itself, so base offset and leader epoch are patched without a new checksum; a
//! timestamp of the broker's own (`LogAppendTime`) needs one.

use crate::types::{LeaderEpoch, Offset, ProducerId};
use bytes::BytesMut;

/// Bytes in front of the first record.
pub const HEADER_SIZE: usize = 61;
/// Base offset and length: what precedes the bytes that `length` counts.
pub const LENGTH_PREFIX: usize = 12;
/// The only format that is still written since Kafka 4.0 (KIP-724).
pub const MAGIC: i8 = 2;

pub(super) const LENGTH: usize = 8;
const EPOCH: usize = 12;
/// Where the format lies.
pub const MAGIC_AT: usize = 16;
const CRC: usize = 17;
/// Where the bytes begin that the CRC covers.
pub const CHECKED_FROM: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
pub(super) const BASE_TIMESTAMP: usize = 27;
pub(super) const MAX_TIMESTAMP: usize = 35;
const PRODUCER_ID: usize = 43;
const PRODUCER_EPOCH: usize = 51;
const BASE_SEQUENCE: usize = 53;
pub(super) const COUNT: usize = 57;

const COMPRESSION_MASK: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 0b1000;
const TRANSACTIONAL: i16 = 0b1_0000;
const CONTROL: i16 = 0b10_0000;
const DELETE_HORIZON: i16 = 0b100_0000;

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, code 1.
    Gzip,
    /// snappy, code 2.
    Snappy,
    /// lz4, code 3.
    Lz4,
    /// zstd, code 4 (KIP-110).
    Zstd,
}

/// The header's fields, copied out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// The first record's offset.
    pub base_offset: Offset,
    /// Bytes behind the length field.
    pub length: i32,
    /// The epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
    /// The format.
    pub magic: i8,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Compression, timestamp type, transactional, control, delete horizon.
    pub attributes: i16,
    /// The last record's offset minus the first's.
    pub last_offset_delta: i32,
    /// The first record's timestamp; in a batch with a delete horizon, that. The records' own are relative to it either way.
    pub base_timestamp: i64,
    /// The largest timestamp of all records.
    pub max_timestamp: i64,
    /// The producer, -1 for none.
    pub producer_id: ProducerId,
    /// The producer's epoch, -1 for none.
    pub producer_epoch: i16,
    /// The first record's sequence number, -1 for none.
    pub base_sequence: i32,
    /// How many records there are; fewer than offsets where compaction has taken some out.
    pub count: i32,
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the caller checked that the header is whole")
}

impl BatchHeader {
    /// Reads the header; `None` where fewer than [`HEADER_SIZE`] bytes are there.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= HEADER_SIZE).then(|| Self {
            base_offset: Offset(i64::from_be_bytes(field(bytes, 0))),
            length: i32::from_be_bytes(field(bytes, LENGTH)),
            leader_epoch: LeaderEpoch(i32::from_be_bytes(field(bytes, EPOCH))),
            magic: i8::from_be_bytes(field(bytes, MAGIC_AT)),
            crc: u32::from_be_bytes(field(bytes, CRC)),
            attributes: i16::from_be_bytes(field(bytes, CHECKED_FROM)),
            last_offset_delta: i32::from_be_bytes(field(bytes, LAST_OFFSET_DELTA)),
            base_timestamp: i64::from_be_bytes(field(bytes, BASE_TIMESTAMP)),
            max_timestamp: i64::from_be_bytes(field(bytes, MAX_TIMESTAMP)),
            producer_id: ProducerId(i64::from_be_bytes(field(bytes, PRODUCER_ID))),
            producer_epoch: i16::from_be_bytes(field(bytes, PRODUCER_EPOCH)),
            base_sequence: i32::from_be_bytes(field(bytes, BASE_SEQUENCE)),
            count: i32::from_be_bytes(field(bytes, COUNT)),
        })
    }

    /// The last record's offset.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(self.last_offset_delta.into())
    }

    /// Bytes of the whole batch, as its length field claims; `None` for a negative length.
    #[must_use]
    pub fn size(&self) -> Option<usize> {
        usize::try_from(self.length).ok()?.checked_add(LENGTH_PREFIX)
    }

    /// How the records are compressed; `None` for a code that Kafka does not know.
    #[must_use]
    pub fn compression(&self) -> Option<Compression> {
        Some(match self.attributes & COMPRESSION_MASK {
            0 => Compression::None,
            1 => Compression::Gzip,
            2 => Compression::Snappy,
            3 => Compression::Lz4,
            4 => Compression::Zstd,
            _ => return None,
        })
    }

    /// Whether the broker's clock wrote the timestamps.
    #[must_use]
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the batch is a transaction marker.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// From when on, by the wall clock, the batch's tombstones may go (KIP-534); `None` where compaction has not set it yet.
    #[must_use]
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    /// Whether an idempotent or transactional producer sent it.
    #[must_use]
    pub fn has_producer(&self) -> bool {
        self.producer_id.0 >= 0
    }

    /// The last record's sequence number, which wraps from 2^31 - 1 to 0.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 { -1 } else { add_sequence(self.base_sequence, self.last_offset_delta) }
    }
}

/// Sequence arithmetic: non-negative 31-bit numbers that wrap to 0.
#[must_use]
pub fn add_sequence(sequence: i32, increment: i32) -> i32 {
    sequence.wrapping_add(increment) & i32::MAX
}

/// Whether the bytes behind the CRC are those that were checksummed.
#[must_use]
pub fn checksum_holds(header: &BatchHeader, batch: &[u8]) -> bool {
    crc32c::crc32c(&batch[CHECKED_FROM..]) == header.crc
}

/// Writes what the leader decides: where the batch lies and who appended it.
pub fn patch(batch: &mut BytesMut, base: Offset, epoch: LeaderEpoch) {
    batch[..LENGTH].copy_from_slice(&base.0.to_be_bytes());
    batch[EPOCH..EPOCH + 4].copy_from_slice(&epoch.0.to_be_bytes());
}

/// Makes the broker's clock the timestamp of every record (`message.timestamp.type=LogAppendTime`), with a new CRC.
pub fn stamp_log_append_time(batch: &mut BytesMut, wall_ms: i64) {
    change_attributes(batch, |attributes| attributes | LOG_APPEND_TIME);
    batch[MAX_TIMESTAMP..MAX_TIMESTAMP + 8].copy_from_slice(&wall_ms.to_be_bytes());
    seal(batch);
}

/// Makes the producer's clock the timestamp of every record again, whatever the producer said it was, with a new CRC.
pub fn stamp_create_time(batch: &mut BytesMut) {
    change_attributes(batch, |attributes| attributes & !LOG_APPEND_TIME);
    seal(batch);
}

/// Compression, of those that [`BatchHeader::compression`] tells, taken out.
pub(super) fn mark_uncompressed(batch: &mut BytesMut) {
    change_attributes(batch, |attributes| attributes & !COMPRESSION_MASK);
}

/// Sets or clears the mark that the base timestamp is a delete horizon.
pub(super) fn mark_horizon(batch: &mut BytesMut, has_horizon: bool) {
    change_attributes(
        batch,
        |attributes| {
            if has_horizon { attributes | DELETE_HORIZON } else { attributes & !DELETE_HORIZON }
        },
    );
}

fn change_attributes(batch: &mut BytesMut, change: impl Fn(i16) -> i16) {
    let attributes = change(i16::from_be_bytes(field(batch, CHECKED_FROM)));
    batch[CHECKED_FROM..CHECKED_FROM + 2].copy_from_slice(&attributes.to_be_bytes());
}

/// Makes the batch a control batch, which no consumer sees.
pub(super) fn mark_control(batch: &mut BytesMut) {
    change_attributes(batch, |attributes| attributes | CONTROL);
    seal(batch);
}

/// Writes the CRC over what is there now.
pub(super) fn seal(batch: &mut BytesMut) {
    let crc = crc32c::crc32c(&batch[CHECKED_FROM..]);
    batch[CRC..CRC + 4].copy_from_slice(&crc.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::build::BatchBuilder;
    use super::*;

    #[test]
    fn patching_keeps_the_checksum_and_stamping_renews_it() {
        let mut batch = BatchBuilder::new(5).record(b"k", b"v").record(b"k", b"w").finish();
        patch(&mut batch, Offset(900), LeaderEpoch(3));
        let header = BatchHeader::read(&batch).expect("a whole header");
        assert_eq!((header.base_offset, header.last_offset(), header.leader_epoch.0), (Offset(900), Offset(901), 3));
        assert!(checksum_holds(&header, &batch));
        stamp_log_append_time(&mut batch, 77);
        let stamped = BatchHeader::read(&batch).expect("a whole header");
        assert!(stamped.is_log_append_time() && stamped.max_timestamp == 77);
        assert!(stamped.crc != header.crc && checksum_holds(&stamped, &batch));
    }

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(add_sequence(i32::MAX, 1), 0);
        assert_eq!(add_sequence(i32::MAX - 1, 3), 1);
        assert_eq!(add_sequence(4, 5), 9);
    }
}
