//! Walks the records inside a batch. Only for what the header cannot answer: is the batch what its count says, which
//! record is the first at or after a timestamp, what did a coordinator write.

use super::header::{BatchHeader, Compression, HEADER_SIZE};
use crate::types::Offset;
use std::io::Read;

/// Most bytes that a batch may have once decompressed; beyond it a timestamp look-up answers with the batch's first
/// offset, which is correct, only less precise.
pub const MAX_DECOMPRESSED: u64 = 64 * 1024 * 1024;

/// One record, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Offset minus the batch's base offset.
    pub offset_delta: i64,
    /// Timestamp minus the batch's base timestamp.
    pub timestamp_delta: i64,
    /// The key, `None` for null.
    pub key: Option<&'a [u8]>,
    /// The value, `None` for a tombstone.
    pub value: Option<&'a [u8]>,
}

/// One record and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawRecord<'a> {
    pub(super) view: RecordView<'a>,
    /// All of it, with its length in front.
    pub(super) bytes: &'a [u8],
    /// What follows its timestamp.
    pub(super) rest: &'a [u8],
}

/// Iterates over uncompressed records; `Err(())` once where the bytes end being records.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    left: &'a [u8],
    failed: bool,
}

/// The bytes are not records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRecords;

impl<'a> Records<'a> {
    /// Over what follows a batch's header.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self { left: body, failed: false }
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.left.is_empty()
    }

    /// The next record with its bytes; `None` where nothing is left that is one.
    pub(super) fn raw(&mut self) -> Option<RawRecord<'a>> {
        let begin = self.left;
        let length = usize::try_from(varint(&mut self.left)?).ok()?;
        let (mut body, left) = self.left.split_at_checked(length)?;
        self.left = left;
        body = body.get(1..)?; // attributes
        let timestamp_delta = varint(&mut body)?;
        let rest = body;
        let offset_delta = varint(&mut body)?;
        let key = bytes(&mut body)?;
        let value = bytes(&mut body)?;
        // Headers are the client's business: their bytes are bounded by the record's own length.
        let view = RecordView { offset_delta, timestamp_delta, key, value };
        let bytes = &begin[..begin.len() - left.len()];
        (varint(&mut body)? >= 0).then_some(RawRecord { view, bytes, rest })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>, NotRecords>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.left.is_empty() {
            return None;
        }
        let record = self.raw().map(|record| record.view).ok_or(NotRecords);
        self.failed = record.is_err();
        Some(record)
    }
}

fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (at * 7);
        if byte & 0x80 == 0 {
            *bytes = &bytes[at + 1..];
            return Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
        }
    }
    None
}

#[expect(clippy::option_option, reason = "the outer level is malformed or not, the inner one is Kafka's null")]
fn bytes<'a>(from: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = varint(from)?;
    if length < 0 {
        return Some(None);
    }
    let (taken, left) = from.split_at_checked(usize::try_from(length).ok()?)?;
    *from = left;
    Some(Some(taken))
}

/// The first record of a batch at or behind `from` whose timestamp is at or after `timestamp_ms`: its offset and
/// timestamp.
///
/// A batch whose records cannot be read is answered as a whole: its first offset and largest timestamp.
#[must_use]
pub fn first_at_or_after(header: &BatchHeader, batch: &[u8], timestamp_ms: i64, from: Offset) -> Option<(Offset, i64)> {
    let whole = || {
        let found = header.max_timestamp >= timestamp_ms && header.last_offset() >= from;
        found.then_some((header.base_offset.max(from), header.max_timestamp))
    };
    // All records have the same timestamp then, but compaction may have taken the first ones out.
    if header.is_log_append_time() && i64::from(header.count) > i64::from(header.last_offset_delta) {
        return whole();
    }
    let Some(body) = decompressed(header, batch) else {
        return whole();
    };
    Records::new(&body).map_while(Result::ok).find_map(|record| {
        let offset = header.base_offset.0.saturating_add(record.offset_delta);
        let timestamp = timestamp_of(header, record);
        (timestamp >= timestamp_ms && offset >= from.0).then_some((Offset(offset), timestamp))
    })
}

/// A record's timestamp: its own, or the broker's, which is the same for all records of a batch.
pub(super) fn timestamp_of(header: &BatchHeader, record: RecordView<'_>) -> i64 {
    if header.is_log_append_time() {
        header.max_timestamp
    } else {
        header.base_timestamp.saturating_add(record.timestamp_delta)
    }
}

/// The oldest timestamp of a batch's records, of those that have one.
pub(super) fn oldest_timestamp(header: &BatchHeader, batch: &[u8]) -> Option<i64> {
    let body = decompressed(header, batch)?;
    let timestamps = Records::new(&body).map_while(Result::ok).map(|record| timestamp_of(header, record));
    timestamps.filter(|timestamp| *timestamp >= 0).min()
}

/// The offsets of a batch's records that have this key; none where the batch holds no data, or cannot be read.
#[must_use]
pub fn offsets_of_key(header: &BatchHeader, batch: &[u8], key: &[u8]) -> Vec<Offset> {
    let Some(body) = decompressed(header, batch).filter(|_| !header.is_control()) else { return Vec::new() };
    let records = Records::new(&body).map_while(Result::ok).filter(|record| record.key == Some(key));
    records.map(|record| Offset(header.base_offset.0.saturating_add(record.offset_delta))).collect()
}

/// The records of a batch, decompressed within [`MAX_DECOMPRESSED`]; `None` where they cannot be.
pub(crate) fn decompressed(header: &BatchHeader, batch: &[u8]) -> Option<Vec<u8>> {
    let body = batch.get(HEADER_SIZE..)?;
    let mut out = Vec::new();
    match header.compression()? {
        Compression::None => out.extend_from_slice(body),
        Compression::Gzip => read_bounded(flate2::read::GzDecoder::new(body), &mut out)?,
        Compression::Lz4 => read_bounded(lz4_flex::frame::FrameDecoder::new(body), &mut out)?,
        Compression::Zstd => read_bounded(ruzstd::decoding::StreamingDecoder::new(body).ok()?, &mut out)?,
        Compression::Snappy => snappy(body, &mut out)?,
    }
    Some(out)
}

fn read_bounded(from: impl Read, out: &mut Vec<u8>) -> Option<()> {
    from.take(MAX_DECOMPRESSED + 1).read_to_end(out).ok()?;
    (out.len() as u64 <= MAX_DECOMPRESSED).then_some(())
}

/// Raw snappy, or the framing of Java's snappy library: magic and two versions, then blocks with their length in front.
fn snappy(body: &[u8], out: &mut Vec<u8>) -> Option<()> {
    const XERIAL: &[u8] = b"\x82SNAPPY\0";
    let Some(framed) = body.strip_prefix(XERIAL) else {
        return snappy_block(body, out);
    };
    let mut left = framed.get(8..)?;
    while !left.is_empty() {
        let length = usize::try_from(u32::from_be_bytes(left.get(..4)?.try_into().ok()?)).ok()?;
        let (block, rest) = left[4..].split_at_checked(length)?;
        snappy_block(block, out)?;
        left = rest;
    }
    Some(())
}

fn snappy_block(block: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let length = snap::raw::decompress_len(block).ok()?;
    if (out.len() + length) as u64 > MAX_DECOMPRESSED {
        return None;
    }
    out.extend(snap::raw::Decoder::new().decompress_vec(block).ok()?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::build::BatchBuilder;
    use super::*;

    #[test]
    fn what_the_builder_writes_is_read_back() {
        let batch = BatchBuilder::new(1000).record(b"a", b"1").tombstone(b"b").finish();
        let header = BatchHeader::read(&batch).expect("a whole header");
        assert_eq!(header.count, 2);
        let records: Vec<_> = Records::new(&batch[HEADER_SIZE..]).collect::<Result<_, _>>().expect("records");
        assert_eq!((records[0].key, records[0].value), (Some(&b"a"[..]), Some(&b"1"[..])));
        assert_eq!((records[1].key, records[1].value, records[1].offset_delta), (Some(&b"b"[..]), None, 1));
    }

    #[test]
    fn a_cut_record_is_an_error_not_a_panic() {
        let batch = BatchBuilder::new(1000).record(b"key", b"value").finish();
        for end in HEADER_SIZE + 1..batch.len() {
            let last = Records::new(&batch[HEADER_SIZE..end]).last();
            assert_eq!(last, Some(Err(NotRecords)), "cut at {end}");
        }
    }

    #[test]
    fn timestamps_are_found_within_a_batch_and_not_beyond_it() {
        let batch = BatchBuilder::new(1000).record(b"a", b"1").finish();
        let header = BatchHeader::read(&batch).expect("a whole header");
        assert_eq!(first_at_or_after(&header, &batch, 900, Offset(0)), Some((Offset(0), 1000)));
        assert_eq!(first_at_or_after(&header, &batch, 1001, Offset(0)), None);
    }
}
