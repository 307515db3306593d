//! May this batch be appended? Kafka's rules for what producers send (`LogValidator`, `ProduceRequest.validateRecords`).
//!
//! Difference from Kafka: the records of a compressed batch are not decompressed here unless the log is compacted, so a
//! batch whose compressed body lies is only found by its readers; its header, length and checksum are checked like any
//! other. Where Kafka decompresses it gives records with wrong offsets the right ones; here they are refused.

use super::header::{BatchHeader, HEADER_SIZE, LENGTH_PREFIX, MAGIC, MAGIC_AT, checksum_holds};
use super::records::{self, Records};
use crate::batch::header::Compression;
use crate::types::Now;
use kafka_protocol::error::ResponseError;

/// The smallest record of the oldest format, Kafka's `LegacyRecord.RECORD_OVERHEAD_V0`.
const RECORD_OVERHEAD_V0: usize = 14;

/// What a partition's configuration allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `max.message.bytes`: most bytes of one batch, compressed, header included.
    pub max_message_bytes: usize,
    /// `message.timestamp.before.max.ms`: how far a timestamp may lie in the past.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far a timestamp may lie in the future.
    pub timestamp_after_max_ms: i64,
    /// Whether the broker's clock overrides the timestamps anyway.
    pub log_append_time: bool,
    /// Whether the log is compacted, so that every record needs a key.
    pub compacted: bool,
}

/// A batch that may not be appended: Kafka's code and a sentence for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Kafka's error.
    pub error: ResponseError,
    /// What was wrong, for `error_message`.
    pub message: String,
}

fn refuse<T>(error: ResponseError, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { error, message: message.into() })
}

/// The records of one partition in a Produce request, which are exactly one batch of magic 2: what Kafka looks at before
/// it looks for the partition.
///
/// # Errors
/// Kafka's error for the first rule that is broken.
pub fn one_batch(records: &[u8]) -> Result<&[u8], Refusal> {
    let Some(size) = first_size(records)? else {
        return refuse(
            ResponseError::InvalidRecord,
            format!("{} bytes hold no whole record batch, a Produce request carries one", records.len()),
        );
    };
    // Kafka ignores a second batch that is cut off, and so does this.
    let (records, rest) = records.split_at(size);
    if first_size(rest)?.is_some() {
        return refuse(
            ResponseError::InvalidRecord,
            "a Produce request carries exactly one record batch for each partition",
        );
    }
    if records[MAGIC_AT] != MAGIC.to_be_bytes()[0] {
        let magic = records[MAGIC_AT];
        return refuse(
            ResponseError::InvalidRecord,
            format!("record batches of magic {magic} are not accepted, only magic {MAGIC} is"),
        );
    }
    Ok(records)
}

/// Checks the records of one partition in a Produce request: exactly one sound batch of magic 2.
///
/// # Errors
/// Kafka's error for the first rule that is broken.
pub fn batch(records: &[u8], limits: Limits, now: Now) -> Result<BatchHeader, Refusal> {
    let records = one_batch(records)?;
    let size = records.len();
    let Some(header) = BatchHeader::read(records) else {
        return refuse(
            ResponseError::CorruptMessage,
            format!("{size} bytes are too few for a record batch of at least {HEADER_SIZE}"),
        );
    };
    if size > limits.max_message_bytes {
        let allowed = limits.max_message_bytes;
        return refuse(
            ResponseError::MessageTooLarge,
            format!("the batch has {size} bytes, max.message.bytes allows {allowed}"),
        );
    }
    if !checksum_holds(&header, records) {
        return refuse(ResponseError::CorruptMessage, "the batch does not match its CRC-32C");
    }
    fields(&header, records, limits, now)?;
    Ok(header)
}

/// Whether a batch that comes back from storage is what was written: whole, and as its checksum says.
#[must_use]
pub fn is_sound(batch: &[u8], header: &BatchHeader) -> bool {
    header.size() == Some(batch.len()) && header.magic == MAGIC && checksum_holds(header, batch)
}

/// The size of the batch at the beginning, `None` where it is not whole (Kafka's `ByteBufferLogInputStream`).
fn first_size(records: &[u8]) -> Result<Option<usize>, Refusal> {
    let Some(length) = records.get(LENGTH_PREFIX - 4..LENGTH_PREFIX) else { return Ok(None) };
    let length = i32::from_be_bytes(length.try_into().expect("four bytes were taken"));
    let size = usize::try_from(length).ok().filter(|length| *length >= RECORD_OVERHEAD_V0);
    let Some(size) = size.and_then(|length| length.checked_add(LENGTH_PREFIX)) else {
        let message = format!("Record size {length} is less than the minimum record overhead ({RECORD_OVERHEAD_V0})");
        return refuse(ResponseError::CorruptMessage, message);
    };
    let Some(magic) = records.get(MAGIC_AT) else { return Ok(None) };
    if !(0..=MAGIC).contains(&i8::from_be_bytes([*magic])) {
        return refuse(ResponseError::CorruptMessage, format!("no record batch has the magic {magic}"));
    }
    Ok((size <= records.len()).then_some(size))
}

fn fields(header: &BatchHeader, records: &[u8], limits: Limits, now: Now) -> Result<(), Refusal> {
    let count = header.count;
    if count <= 0 || header.last_offset_delta != count - 1 {
        let delta = header.last_offset_delta;
        return refuse(
            ResponseError::InvalidRecord,
            format!("the batch claims {count} records and a last offset delta of {delta}"),
        );
    }
    if header.base_offset.0 != 0 {
        let base = header.base_offset.0;
        return refuse(
            ResponseError::InvalidRecord,
            format!("the base offset of the batch should be 0, but it is {base}"),
        );
    }
    if header.is_transactional() {
        return refuse(ResponseError::TransactionalIdAuthorizationFailed, "transactions are not supported");
    }
    if header.is_control() {
        return refuse(ResponseError::InvalidRecord, "clients may not write control records");
    }
    if header.has_producer() && header.base_sequence < 0 {
        return refuse(
            ResponseError::InvalidRecord,
            format!("a batch of producer {} needs a sequence from 0, not {}", header.producer_id, header.base_sequence),
        );
    }
    let Some(compression) = header.compression() else {
        return refuse(
            ResponseError::UnsupportedCompressionType,
            format!("no compression has the code {}", header.attributes & 0b111),
        );
    };
    if compression == Compression::None {
        walk(header, &records[HEADER_SIZE..])?;
    }
    if limits.compacted {
        check_keys(header, records)?;
    }
    timestamps(header, records, limits, now)
}

/// `LogValidator.validateTimestamp`. Where the broker's clock counts a producer's need not be right, but the producer must
/// not claim that the broker's wrote them.
fn timestamps(header: &BatchHeader, batch: &[u8], limits: Limits, now: Now) -> Result<(), Refusal> {
    let invalid = |message: String| refuse(ResponseError::InvalidTimestamp, message);
    if limits.log_append_time {
        return if header.is_log_append_time() {
            invalid(String::from("producers should not set the timestamp type LogAppendTime"))
        } else {
            Ok(())
        };
    }
    let (before_max_ms, after_max_ms) = (limits.timestamp_before_max_ms, limits.timestamp_after_max_ms);
    if header.max_timestamp > now.wall_ms.saturating_add(after_max_ms) {
        let timestamp = header.max_timestamp;
        return invalid(format!(
            "timestamp {timestamp} lies more than message.timestamp.after.max.ms = {after_max_ms} in the future"
        ));
    }
    let earliest = now.wall_ms.saturating_sub(before_max_ms);
    // By default nothing is too old, and records need not be read for it.
    if earliest > 0
        && let Some(timestamp) = records::oldest_timestamp(header, batch).filter(|oldest| *oldest < earliest)
    {
        return invalid(format!(
            "timestamp {timestamp} lies more than message.timestamp.before.max.ms = {before_max_ms} in the past"
        ));
    }
    Ok(())
}

/// Compaction keeps the last record of each key, so there has to be one.
fn check_keys(header: &BatchHeader, batch: &[u8]) -> Result<(), Refusal> {
    let Some(body) = records::decompressed(header, batch) else {
        return refuse(ResponseError::CorruptMessage, "the records of the batch cannot be decompressed");
    };
    // Cleaning goes by their offsets. Others were walked through before.
    if header.compression() != Some(Compression::None) {
        walk(header, &body)?;
    }
    let has_keys = Records::new(&body).map_while(Result::ok).all(|record| record.key.is_some());
    if has_keys {
        return Ok(());
    }
    refuse(ResponseError::InvalidRecord, "Compacted topic cannot accept message without key.")
}

/// The body holds exactly `count` records whose offsets count up from the base.
fn walk(header: &BatchHeader, body: &[u8]) -> Result<(), Refusal> {
    let mut records = Records::new(body);
    for expected in 0..i64::from(header.count) {
        match records.next() {
            Some(Ok(record)) if record.offset_delta == expected => {}
            Some(Ok(record)) => {
                let found = record.offset_delta;
                return refuse(
                    ResponseError::InvalidRecord,
                    format!("record {expected} of the batch claims the offset delta {found}"),
                );
            }
            Some(Err(_)) | None => {
                let count = header.count;
                return refuse(
                    ResponseError::InvalidRecord,
                    format!("the batch claims {count} records, {expected} could be read"),
                );
            }
        }
    }
    if records.is_at_end() {
        return Ok(());
    }
    let count = header.count;
    refuse(ResponseError::InvalidRecord, format!("bytes are left behind the {count} records of the batch"))
}

#[cfg(test)]
mod tests {
    use super::super::build::BatchBuilder;
    use super::super::filter::recoded;
    use super::super::header::seal;
    use super::*;
    use bytes::BytesMut;

    const NOW: Now = Now { monotonic_ns: 0, wall_ms: 1_000_000 };
    const LIMITS: Limits = Limits {
        max_message_bytes: 1000,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        log_append_time: false,
        compacted: false,
    };

    fn sound() -> BytesMut {
        BatchBuilder::new(NOW.wall_ms).record(b"k", b"v").record(b"k", b"w").finish()
    }

    /// Overwrites bytes, renews the CRC, and tells with which error the batch is refused.
    fn damaged(at: usize, bytes: &[u8]) -> ResponseError {
        let mut damaged = sound();
        damaged[at..at + bytes.len()].copy_from_slice(bytes);
        seal(&mut damaged);
        batch(&damaged, LIMITS, NOW).expect_err("the batch is damaged").error
    }

    #[test]
    fn a_sound_batch_passes() {
        assert_eq!(batch(&sound(), LIMITS, NOW).map(|header| header.count), Ok(2));
    }

    #[test]
    fn each_rule_has_kafkas_error() {
        assert_eq!(damaged(16, &[1]), ResponseError::InvalidRecord, "magic 1");
        assert_eq!(damaged(16, &[3]), ResponseError::CorruptMessage, "magic 3");
        assert_eq!(damaged(8, &13_i32.to_be_bytes()), ResponseError::CorruptMessage, "length 13");
        assert_eq!(damaged(22, &[0b1_0000]), ResponseError::TransactionalIdAuthorizationFailed, "transactional");
        assert_eq!(damaged(57, &3_i32.to_be_bytes()), ResponseError::InvalidRecord, "count");
        assert_eq!(damaged(22, &[0b10_0000]), ResponseError::InvalidRecord, "control");
        assert_eq!(damaged(22, &[0b111]), ResponseError::UnsupportedCompressionType, "codec 7");
        assert_eq!(damaged(35, &i64::MAX.to_be_bytes()), ResponseError::InvalidTimestamp, "far future");
        assert_eq!(damaged(43, &7_i64.to_be_bytes()), ResponseError::InvalidRecord, "producer without epoch");
        assert_eq!(damaged(61, &[0xff]), ResponseError::InvalidRecord, "record length");
    }

    #[test]
    fn timestamps_lie_neither_too_far_back_nor_ahead() {
        let error = |limits, records: &[u8]| batch(records, limits, NOW).map_err(|refusal| refusal.error).err();
        let old = BatchBuilder::new(NOW.wall_ms - 1001).record(b"k", b"v").finish();
        let before = |timestamp_before_max_ms| Limits { timestamp_before_max_ms, ..LIMITS };
        assert_eq!(error(before(1000), &old), Some(ResponseError::InvalidTimestamp));
        assert_eq!(error(before(1001), &old), None);
        assert_eq!(
            error(before(1000), &BatchBuilder::new(-1).record(b"k", b"v").finish()),
            None,
            "no timestamp at all"
        );
        let mut claims = sound();
        super::super::header::stamp_log_append_time(&mut claims, NOW.wall_ms);
        let brokers_clock = Limits { log_append_time: true, ..LIMITS };
        assert_eq!(error(brokers_clock, &claims), Some(ResponseError::InvalidTimestamp));
        assert_eq!(error(LIMITS, &claims), None);
        assert_eq!(error(Limits { timestamp_before_max_ms: 0, ..brokers_clock }, &old), None);
    }

    #[test]
    fn a_compacted_log_needs_the_offsets_that_a_compressed_batch_claims() {
        let mut lies = sound();
        // The second record's offset delta: behind a record of nine bytes, a length, attributes and a timestamp.
        let delta = HEADER_SIZE + 9 + 3;
        assert_eq!(lies[delta], 2, "1 as a zigzag varint");
        lies[delta] = 4;
        let lies = recoded(&lies, Compression::Gzip);
        assert!(batch(&lies, LIMITS, NOW).is_ok(), "nobody looks");
        let compacted = Limits { compacted: true, ..LIMITS };
        let refusal = batch(&lies, compacted, NOW).expect_err("it has the offsets 0 and 2");
        assert_eq!(refusal.error, ResponseError::InvalidRecord);
        assert!(batch(&recoded(&sound(), Compression::Gzip), compacted, NOW).is_ok());
    }

    #[test]
    fn a_compacted_log_needs_keys() {
        let compacted = Limits { compacted: true, ..LIMITS };
        assert!(batch(&sound(), compacted, NOW).is_ok());
        let without = BatchBuilder::new(NOW.wall_ms).keyless(b"v").finish();
        assert!(batch(&without, LIMITS, NOW).is_ok());
        let refusal = batch(&without, compacted, NOW).expect_err("there is no key");
        assert_eq!(refusal.error, ResponseError::InvalidRecord);
    }

    #[test]
    fn lengths_and_checksums_are_believed_only_where_true() {
        let mut flipped = sound();
        let last = flipped.len() - 1;
        flipped[last] ^= 1;
        assert_eq!(batch(&flipped, LIMITS, NOW).map_err(|refusal| refusal.error), Err(ResponseError::CorruptMessage));
        for length in 0..sound().len() {
            let error = batch(&sound()[..length], LIMITS, NOW).expect_err("cut").error;
            assert_eq!(error, ResponseError::InvalidRecord, "cut to {length}");
        }
        let cut_behind = [&sound()[..], &sound()[..70]].concat();
        assert_eq!(batch(&cut_behind, LIMITS, NOW).map(|header| header.count), Ok(2), "a second batch that is cut");
        let twice = [sound(), sound()].concat();
        assert_eq!(batch(&twice, LIMITS, NOW).map_err(|refusal| refusal.error), Err(ResponseError::InvalidRecord));
        let small = Limits { max_message_bytes: 60, ..LIMITS };
        assert_eq!(batch(&sound(), small, NOW).map_err(|refusal| refusal.error), Err(ResponseError::MessageTooLarge));
    }
}
