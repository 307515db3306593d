//! Writes a batch again with fewer of its records, as compaction does (Kafka's `MemoryRecords.filterTo`).
//!
//! Offsets stay: the batch begins and ends where it did, with its epoch, its producer and its sequence, whichever
//! records are left. A batch with tombstones is told until when they have to stay: its base timestamp becomes that
//! horizon, marked by an attribute (KIP-534), and its records' timestamps become relative to it.

use super::build::put_varint;
use super::compress::compressed;
use super::header::{self, BASE_TIMESTAMP, BatchHeader, COUNT, HEADER_SIZE, LENGTH, LENGTH_PREFIX, MAX_TIMESTAMP};
use super::records::{self, RawRecord, RecordView, Records};
use bytes::{Bytes, BytesMut};

/// Kafka's `NO_TIMESTAMP`.
const NO_TIMESTAMP: i64 = -1;

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filtered {
    /// All of it stays as it is.
    Unchanged,
    /// It has fewer records, or a delete horizon.
    Changed(Bytes),
    /// Nothing of it stays.
    Gone,
}

/// Keeps the records of a batch that `keeps` names. Tombstones among them get the horizon, unless they have one.
///
/// Without records a batch goes, unless it has to stay for its header's sake. A batch whose records cannot be read,
/// or are not as many as its header says, stays.
pub fn filter(
    batch: &[u8],
    header: &BatchHeader,
    horizon_ms: i64,
    stays_empty: bool,
    mut keeps: impl FnMut(RecordView<'_>) -> bool,
) -> Filtered {
    let Some(body) = records::decompressed(header, batch) else { return Filtered::Unchanged };
    let mut walk = Records::new(&body);
    let mut kept = Vec::new();
    let mut total = 0;
    while !walk.is_at_end() {
        let Some(record) = walk.raw() else { return Filtered::Unchanged };
        total += 1;
        if keeps(record.view) {
            kept.push(record);
        }
    }
    // What its head denies was never accepted.
    if i32::try_from(total) != Ok(header.count) {
        return Filtered::Unchanged;
    }
    if kept.is_empty() {
        return match (total, stays_empty) {
            (0, true) => Filtered::Unchanged,
            (_, true) => Filtered::Changed(without_records(batch)),
            (_, false) => Filtered::Gone,
        };
    }
    let has_tombstones = kept.iter().any(|record| record.view.value.is_none());
    let new_horizon_ms = (has_tombstones && header.delete_horizon_ms().is_none()).then_some(horizon_ms);
    if kept.len() == total && new_horizon_ms.is_none() {
        return Filtered::Unchanged;
    }
    rebuilt(batch, header, &kept, new_horizon_ms).map_or(Filtered::Unchanged, Filtered::Changed)
}

/// The batch with these records; `None` where they cannot be compressed.
fn rebuilt(batch: &[u8], header: &BatchHeader, kept: &[RawRecord<'_>], horizon_ms: Option<i64>) -> Option<Bytes> {
    let mut body = BytesMut::with_capacity(batch.len());
    for record in kept {
        match horizon_ms {
            None => body.extend_from_slice(record.bytes),
            Some(horizon_ms) => put_record(&mut body, record, header.base_timestamp, horizon_ms),
        }
    }
    let body = compressed(header.compression()?, &body)?;
    let timestamps = kept.iter().map(|record| records::timestamp_of(header, record.view));
    let mut out = with_body(batch, &body, kept.len(), timestamps.max().unwrap_or(NO_TIMESTAMP))?;
    if let Some(horizon_ms) = horizon_ms {
        out[BASE_TIMESTAMP..BASE_TIMESTAMP + 8].copy_from_slice(&horizon_ms.to_be_bytes());
        header::mark_horizon(&mut out, true);
    }
    header::seal(&mut out);
    Some(out.freeze())
}

/// A record with its timestamp relative to another instant.
fn put_record(out: &mut BytesMut, record: &RawRecord<'_>, base_before: i64, base: i64) {
    let timestamp = base_before.saturating_add(record.view.timestamp_delta);
    let mut front = BytesMut::with_capacity(11);
    front.extend_from_slice(&[0]); // attributes
    put_varint(&mut front, timestamp.saturating_sub(base));
    let length = front.len() + record.rest.len();
    put_varint(out, i64::try_from(length).unwrap_or(i64::MAX));
    out.extend_from_slice(&front);
    out.extend_from_slice(record.rest);
}

/// The batch's header with other records behind it, not sealed; `None` where they are too long.
fn with_body(batch: &[u8], body: &[u8], count: usize, max_timestamp: i64) -> Option<BytesMut> {
    let length = i32::try_from(HEADER_SIZE - LENGTH_PREFIX + body.len()).ok()?;
    let mut out = BytesMut::with_capacity(HEADER_SIZE + body.len());
    out.extend_from_slice(&batch[..HEADER_SIZE]);
    out.extend_from_slice(body);
    out[LENGTH..LENGTH + 4].copy_from_slice(&length.to_be_bytes());
    out[MAX_TIMESTAMP..MAX_TIMESTAMP + 8].copy_from_slice(&max_timestamp.to_be_bytes());
    out[COUNT..COUNT + 4].copy_from_slice(&i32::try_from(count).ok()?.to_be_bytes());
    Some(out)
}

/// The batch's header alone (`DefaultRecordBatch.writeEmptyHeader`): not compressed, without a horizon, its largest
/// timestamp as it was.
fn without_records(batch: &[u8]) -> Bytes {
    let mut out = BytesMut::from(&batch[..HEADER_SIZE]);
    let length = i32::try_from(HEADER_SIZE - LENGTH_PREFIX).unwrap_or(i32::MAX);
    out[LENGTH..LENGTH + 4].copy_from_slice(&length.to_be_bytes());
    out[BASE_TIMESTAMP..BASE_TIMESTAMP + 8].copy_from_slice(&NO_TIMESTAMP.to_be_bytes());
    out[COUNT..COUNT + 4].copy_from_slice(&0_i32.to_be_bytes());
    header::mark_horizon(&mut out, false);
    header::mark_uncompressed(&mut out);
    header::seal(&mut out);
    out.freeze()
}

/// The batch in another codec, as a producer would have sent it.
#[cfg(test)]
pub(crate) fn recoded(batch: &[u8], codec: header::Compression) -> Bytes {
    let header = BatchHeader::read(batch).expect("a whole header");
    let body = records::decompressed(&header, batch).expect("records");
    let body = compressed(codec, &body).expect("a codec that works");
    let count = usize::try_from(header.count).expect("not negative");
    let mut out = with_body(batch, &body, count, header.max_timestamp).expect("it is small");
    let attributes = (header.attributes & !0b111) | codec as i16;
    out[header::CHECKED_FROM..header::CHECKED_FROM + 2].copy_from_slice(&attributes.to_be_bytes());
    header::seal(&mut out);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::super::build::BatchBuilder;
    use super::super::header::Compression;
    use super::super::validate::is_sound;
    use super::*;

    const CODECS: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    /// Four records, one of them a tombstone, from a producer, at offset 100 in epoch 3.
    fn batch(codec: Compression) -> Bytes {
        let value = [b'v'; 300];
        let records = BatchBuilder::new(1000).record(b"a", &value).record(b"b", &value).tombstone(b"c");
        let mut batch = records.record(b"d", &value).finish();
        header::patch(&mut batch, crate::types::Offset(100), crate::types::LeaderEpoch(3));
        batch[43..51].copy_from_slice(&7_i64.to_be_bytes());
        batch[51..53].copy_from_slice(&2_i16.to_be_bytes());
        batch[53..57].copy_from_slice(&40_i32.to_be_bytes());
        recoded(&batch, codec)
    }

    fn keep(batch: &[u8], stays_empty: bool, keys: &[&[u8]]) -> Filtered {
        let header = BatchHeader::read(batch).expect("a whole header");
        filter(batch, &header, 5000, stays_empty, |record| record.key.is_some_and(|key| keys.contains(&key)))
    }

    /// The header, and each record's offset, key and timestamp, of what is sound.
    fn read(batch: &[u8]) -> (BatchHeader, Vec<(i64, Vec<u8>, i64)>) {
        let header = BatchHeader::read(batch).expect("a whole header");
        assert!(is_sound(batch, &header), "length and checksum hold");
        let body = records::decompressed(&header, batch).expect("records");
        let records = Records::new(&body).map(|record| {
            let record = record.expect("records");
            let key = record.key.expect("a key").to_vec();
            (header.base_offset.0 + record.offset_delta, key, records::timestamp_of(&header, record))
        });
        (header, records.collect())
    }

    #[test]
    fn what_stays_keeps_its_offset_its_producer_and_its_timestamp_in_every_codec() {
        for codec in CODECS {
            let original = batch(codec);
            let Filtered::Changed(filtered) = keep(&original, false, &[b"b", b"d"]) else {
                panic!("{codec:?}: two records go")
            };
            let (before, _) = read(&original);
            let (after, records) = read(&filtered);
            assert_eq!(records, [(101, b"b".to_vec(), 1000), (103, b"d".to_vec(), 1000)], "{codec:?}");
            assert_eq!((after.last_offset(), after.last_sequence()), (before.last_offset(), before.last_sequence()));
            assert_eq!((after.leader_epoch, after.producer_id), (before.leader_epoch, before.producer_id));
            assert_eq!((after.count, after.compression()), (2, Some(codec)));
            assert_eq!(after.delete_horizon_ms(), None);
        }
    }

    #[test]
    fn a_tombstone_gets_a_horizon_once() {
        for codec in CODECS {
            let Filtered::Changed(filtered) = keep(&batch(codec), false, &[b"a", b"b", b"c", b"d"]) else {
                panic!("{codec:?}: it gets a horizon")
            };
            let (header, records) = read(&filtered);
            assert_eq!(header.delete_horizon_ms(), Some(5000));
            assert_eq!(header.max_timestamp, 1000);
            assert!(records.iter().all(|(_, _, timestamp)| *timestamp == 1000), "{codec:?}: {records:?}");
            assert_eq!(keep(&filtered, false, &[b"a", b"b", b"c", b"d"]), Filtered::Unchanged);
            let Filtered::Changed(again) = keep(&filtered, false, &[b"c"]) else { panic!("three records go") };
            let (header, records) = read(&again);
            assert_eq!((header.delete_horizon_ms(), records), (Some(5000), vec![(102, b"c".to_vec(), 1000)]));
        }
    }

    #[test]
    fn without_records_the_header_stays_where_it_is_needed() {
        for codec in CODECS {
            let original = batch(codec);
            assert_eq!(keep(&original, false, &[]), Filtered::Gone);
            let Filtered::Changed(empty) = keep(&original, true, &[]) else { panic!("the header stays") };
            let ((before, _), (after, records)) = (read(&original), read(&empty));
            assert_eq!((empty.len(), records.len(), after.count), (HEADER_SIZE, 0, 0));
            assert_eq!((after.base_offset, after.last_offset()), (before.base_offset, before.last_offset()));
            assert_eq!((after.base_sequence, after.last_sequence()), (40, 43));
            assert_eq!((after.max_timestamp, after.base_timestamp), (1000, -1));
            assert_eq!(keep(&empty, true, &[]), Filtered::Unchanged);
            assert_eq!(keep(&empty, false, &[]), Filtered::Gone);
        }
    }

    #[test]
    fn what_cannot_be_read_stays() {
        let mut lies = BytesMut::from(&batch(Compression::Gzip)[..]);
        lies[HEADER_SIZE] ^= 0xff;
        assert_eq!(keep(&lies, false, &[]), Filtered::Unchanged);
        let whole = batch(Compression::None);
        assert_eq!(keep(&whole[..whole.len() - 3], false, &[]), Filtered::Unchanged);
        let mut denied = BytesMut::from(&whole[..]);
        denied[COUNT..COUNT + 4].copy_from_slice(&0_i32.to_be_bytes());
        assert_eq!(keep(&denied, false, &[b"c"]), Filtered::Unchanged, "its head says that it has none");
    }

    #[test]
    fn the_brokers_timestamp_is_that_of_every_record() {
        let mut stamped = BytesMut::from(&batch(Compression::None)[..]);
        header::stamp_log_append_time(&mut stamped, 9000);
        let Filtered::Changed(filtered) = keep(&stamped, false, &[b"c"]) else { panic!("three records go") };
        let (header, records) = read(&filtered);
        assert_eq!((header.max_timestamp, records), (9000, vec![(102, b"c".to_vec(), 9000)]));
        assert_eq!(header.delete_horizon_ms(), Some(5000));
    }
}
