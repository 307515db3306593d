//! A record batch (format 2, KIP-98) that is written once, record by record, where it will be sent from.
//!
//! The header is filled in last, when the batch is sent for the first time, or again under another producer id.

use crate::slots::InFlight;
use lz4_flex::frame::FrameEncoder;
use std::io::Write as _;

/// What stands in front of the records.
pub(crate) const HEADER_SIZE: usize = 61;
/// Offset and length, which the length does not count.
const LENGTH_PREFIX: usize = 12;
const MAGIC: u8 = 2;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
/// `CompressionType.LZ4`, in the low bits of the attributes.
const LZ4: u8 = 3;
/// The most that a record has beside its key, its value and its header: five lengths, its deltas and its attributes.
const RECORD_OVERHEAD_MAX: usize = 36;

/// A record's name and value of its only header.
pub(crate) type Header<'a> = (&'a str, &'a [u8]);

/// What becomes one record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) timestamp_ms: i64,
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) header: Option<Header<'a>>,
}

impl Record<'_> {
    /// No record takes more.
    pub(crate) fn size_max(&self) -> usize {
        let header = self.header.map_or(0, |(name, value)| name.len() + value.len());
        RECORD_OVERHEAD_MAX + self.key.len() + self.value.len() + header
    }
}

/// Who sends a batch, and where it stands among that producer's (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) sequence: i32,
}

impl Stamp {
    /// Of a producer that is not idempotent.
    pub(crate) const NONE: Self = Self { producer_id: -1, epoch: -1, sequence: -1 };
}

/// Records on their way to one partition, and the messages that they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch {
    /// The header's room, then the records.
    bytes: Vec<u8>,
    /// Of each record, in order.
    messages: Vec<InFlight>,
    first_ms: i64,
    last_ms: i64,
    attributes: u8,
    /// What it has taken of the queue's bytes.
    taken: usize,
}

impl Batch {
    /// Empties it, with its room.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.messages.clear();
        (self.attributes, self.taken) = (0, 0);
    }

    pub(crate) fn messages(&self) -> &[InFlight] {
        &self.messages
    }

    /// How many records it has.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Its length on the wire.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Remembers how much of the queue it has taken, whatever it is compressed to.
    pub(crate) fn of_size(mut self, size: usize) -> Self {
        self.taken = size;
        self
    }

    /// How much of the queue it has taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// What goes over the wire, once it was stamped.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn push(&mut self, record: Record<'_>, message: InFlight) {
        if self.bytes.is_empty() {
            self.bytes.resize(HEADER_SIZE, 0);
            self.first_ms = record.timestamp_ms;
        }
        self.last_ms = self.last_ms.max(record.timestamp_ms);
        let timestamp_delta = record.timestamp_ms - self.first_ms;
        let offset_delta = signed(self.messages.len());
        let header_size = record.header.map_or(0, |(name, value)| field_size(name.len()) + field_size(value.len()));
        let size = 1
            + varint_size(timestamp_delta)
            + varint_size(offset_delta)
            + field_size(record.key.len())
            + field_size(record.value.len())
            + 1
            + header_size;
        let bytes = &mut self.bytes;
        put_varint(bytes, signed(size));
        bytes.push(0); // attributes
        put_varint(bytes, timestamp_delta);
        put_varint(bytes, offset_delta);
        put_field(bytes, record.key);
        put_field(bytes, record.value);
        put_varint(bytes, i64::from(record.header.is_some()));
        if let Some((name, value)) = record.header {
            put_field(bytes, name.as_bytes());
            put_field(bytes, value);
        }
        self.messages.push(message);
    }

    /// Compresses the records, unless that makes them longer. To be done once, before the batch is stamped.
    pub(crate) fn compress(&mut self) {
        let mut encoder = FrameEncoder::new(Vec::with_capacity(self.bytes.len() / 2));
        let written = encoder.write_all(&self.bytes[HEADER_SIZE..]).map_err(lz4_flex::frame::Error::from);
        let compressed = written.and_then(|()| encoder.finish()).expect("memory takes every frame");
        if compressed.len() < self.bytes.len() - HEADER_SIZE {
            self.bytes.truncate(HEADER_SIZE);
            self.bytes.extend_from_slice(&compressed);
            self.attributes = LZ4;
        }
    }

    /// Fills the header in.
    pub(crate) fn stamp(&mut self, stamp: Stamp) {
        let length = i32::try_from(self.bytes.len() - LENGTH_PREFIX).expect("a batch has a bound");
        let records = i32::try_from(self.messages.len()).expect("a batch has a bound");
        let header = &mut self.bytes[..HEADER_SIZE];
        header[0..8].fill(0); // base offset: the broker's to say
        header[8..12].copy_from_slice(&length.to_be_bytes());
        header[12..16].copy_from_slice(&(-1_i32).to_be_bytes()); // leader epoch: the broker's to say
        header[16] = MAGIC;
        header[ATTRIBUTES_AT..23].copy_from_slice(&u16::from(self.attributes).to_be_bytes());
        header[23..27].copy_from_slice(&(records - 1).to_be_bytes());
        header[27..35].copy_from_slice(&self.first_ms.to_be_bytes());
        header[35..43].copy_from_slice(&self.last_ms.to_be_bytes());
        header[43..51].copy_from_slice(&stamp.producer_id.to_be_bytes());
        header[51..53].copy_from_slice(&stamp.epoch.to_be_bytes());
        header[53..57].copy_from_slice(&stamp.sequence.to_be_bytes());
        header[57..61].copy_from_slice(&records.to_be_bytes());
        let checksum = crc32c::crc32c(&self.bytes[ATTRIBUTES_AT..]);
        self.bytes[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// A length: nothing in memory is as long as would not fit.
const fn signed(length: usize) -> i64 {
    (length as u64).cast_signed()
}

/// Zigzag, as all varints of records are.
fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

fn varint_size(value: i64) -> usize {
    (70 - (zigzag(value) | 1).leading_zeros() as usize) / 7
}

fn put_varint(bytes: &mut Vec<u8>, value: i64) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push((rest & 0x7f) as u8);
}

/// A length and so many bytes.
fn field_size(length: usize) -> usize {
    varint_size(signed(length)) + length
}

fn put_field(bytes: &mut Vec<u8>, field: &[u8]) {
    put_varint(bytes, signed(field.len()));
    bytes.extend_from_slice(field);
}

/// Some message, sent at this instant.
#[cfg(test)]
pub(crate) fn message(sequence: u64, sent_ns: u64) -> InFlight {
    InFlight { sequence, key: 7, key_sequence: 3, value: -5, intended_ns: sent_ns, sent_ns }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::records::{Compression, RecordBatchDecoder};

    fn value(number: usize) -> Vec<u8> {
        format!("{number} ").into_bytes().repeat(number)
    }

    fn batch(records: usize) -> Batch {
        let mut batch = Batch::default();
        for number in 0..records {
            let (key, value) = (format!("user-{}", number % 3), value(number));
            let header = (number % 2 == 0).then_some(("shakedown", &b"identity"[..]));
            let timestamp_ms = 1_700_000_000_000 + signed(number) * 3;
            let record = Record { timestamp_ms, key: key.as_bytes(), value: &value, header };
            let (before, most) = (batch.size(), record.size_max());
            batch.push(record, message(number as u64, 1));
            assert!(batch.size() - before.max(HEADER_SIZE) <= most, "record {number}");
        }
        batch
    }

    /// Somebody else's decoder, which checks the length and the checksum.
    fn decode(bytes: &[u8]) -> kafka_protocol::records::RecordSet {
        let decompress = |bytes: &mut bytes::Bytes, compression| {
            match compression {
                Compression::None => return Ok(bytes.clone()),
                other => assert!(matches!(other, Compression::Lz4), "{other:?}"),
            }
            let mut records = Vec::new();
            let mut decoder = lz4_flex::frame::FrameDecoder::new(&bytes[..]);
            std::io::Read::read_to_end(&mut decoder, &mut records)?;
            Ok(bytes::Bytes::from(records))
        };
        let mut bytes = bytes::Bytes::copy_from_slice(bytes);
        RecordBatchDecoder::decode_with_custom_compression(&mut bytes, Some(decompress)).expect("a good batch")
    }

    #[test]
    fn others_read_what_was_written() {
        for compress in [false, true] {
            let mut batch = batch(200);
            if compress {
                let before = batch.size();
                batch.compress();
                assert!(batch.size() < before / 2);
            }
            batch.stamp(Stamp { producer_id: 4_711, epoch: 3, sequence: 17 });
            let records = decode(batch.bytes()).records;
            assert_eq!(records.len(), 200);
            for (number, record) in records.iter().enumerate() {
                assert_eq!(record.offset, signed(number));
                assert_eq!((record.producer_id, record.producer_epoch), (4_711, 3));
                assert_eq!(record.sequence, 17 + i32::try_from(number).expect("small"));
                assert_eq!(record.timestamp, 1_700_000_000_000 + signed(number) * 3);
                assert_eq!(record.key.as_deref(), Some(format!("user-{}", number % 3).as_bytes()));
                assert_eq!(record.value.as_deref(), Some(&value(number)[..]));
                assert_eq!(record.headers.len(), usize::from(number % 2 == 0));
            }
        }
    }

    #[test]
    fn a_batch_that_is_stamped_again_is_good_again() {
        let mut batch = batch(3);
        batch.stamp(Stamp { producer_id: 1, epoch: 0, sequence: 5 });
        batch.stamp(Stamp::NONE);
        let records = decode(batch.bytes()).records;
        assert_eq!(records.iter().map(|record| record.producer_id).collect::<Vec<_>>(), [-1; 3]);
        batch.clear();
        assert!(batch.is_empty() && batch.size() == 0);
    }

    #[test]
    fn sizes_of_varints_are_what_is_written() {
        for value in [0, 1, -1, 63, 64, -64, -65, 8_191, 8_192, i64::from(i32::MAX), i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(bytes.len(), varint_size(value), "{value}");
        }
    }
}
