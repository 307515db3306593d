//! May this batch be appended? Kafka's rules for what producers send (`LogValidator`, `ProduceRequest.validateRecords`).
//!
//! Difference from Kafka: the records of a compressed batch are not decompressed here, so a batch whose compressed
//! body lies is only found by its readers; its header, length and checksum are checked like any other.

use super::header::{BatchHeader, HEADER_SIZE, MAGIC, checksum_holds};
use super::records::Records;
use crate::batch::header::Compression;
use crate::types::Now;
use kafka_protocol::error::ResponseError;

/// What a partition's configuration allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `max.message.bytes`: most bytes of one batch, compressed, header included.
    pub max_message_bytes: usize,
    /// `message.timestamp.after.max.ms`: how far a timestamp may lie in the future.
    pub timestamp_after_max_ms: i64,
    /// Whether the broker's clock overrides the timestamps anyway.
    pub log_append_time: bool,
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

/// Checks the records of one partition in a Produce request: exactly one sound batch of magic 2.
///
/// # Errors
/// Kafka's error for the first rule that is broken.
pub fn batch(records: &[u8], limits: Limits, now: Now) -> Result<BatchHeader, Refusal> {
    if let Some(magic) = records.get(16).copied().filter(|magic| i8::from_be_bytes([*magic]) != MAGIC) {
        return refuse(
            ResponseError::InvalidRecord,
            format!("record batches of magic {magic} are not accepted, only magic {MAGIC} is"),
        );
    }
    let Some(header) = BatchHeader::read(records) else {
        return refuse(
            ResponseError::CorruptMessage,
            format!("{} bytes are too few for a record batch of at least {HEADER_SIZE}", records.len()),
        );
    };
    let size = header.size().filter(|size| (HEADER_SIZE..=records.len()).contains(size));
    let Some(size) = size else {
        let claimed = header.length;
        let there = records.len();
        return refuse(
            ResponseError::CorruptMessage,
            format!("the batch claims {claimed} bytes behind its length field, {there} bytes were sent in all"),
        );
    };
    if size != records.len() {
        return refuse(
            ResponseError::InvalidRecord,
            "a Produce request carries exactly one record batch for each partition",
        );
    }
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

fn fields(header: &BatchHeader, records: &[u8], limits: Limits, now: Now) -> Result<(), Refusal> {
    let count = header.count;
    if count <= 0 || header.last_offset_delta != count - 1 {
        let delta = header.last_offset_delta;
        return refuse(
            ResponseError::InvalidRecord,
            format!("the batch claims {count} records and a last offset delta of {delta}"),
        );
    }
    if header.is_control() {
        return refuse(ResponseError::InvalidRecord, "clients may not write control records");
    }
    if header.has_producer() && (header.producer_epoch < 0 || header.base_sequence < 0) {
        return refuse(
            ResponseError::InvalidRecord,
            format!(
                "a batch of producer {} needs an epoch and a sequence from 0, not {} and {}",
                header.producer_id, header.producer_epoch, header.base_sequence
            ),
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
    let latest = now.wall_ms.saturating_add(limits.timestamp_after_max_ms);
    if !limits.log_append_time && header.max_timestamp > latest {
        return refuse(
            ResponseError::InvalidTimestamp,
            format!(
                "timestamp {} lies more than message.timestamp.after.max.ms = {} in the future",
                header.max_timestamp, limits.timestamp_after_max_ms
            ),
        );
    }
    Ok(())
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
    use super::super::header::seal;
    use super::*;
    use bytes::BytesMut;

    const NOW: Now = Now { monotonic_ns: 0, wall_ms: 1_000_000 };
    const LIMITS: Limits =
        Limits { max_message_bytes: 1000, timestamp_after_max_ms: 3_600_000, log_append_time: false };

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
        assert_eq!(damaged(57, &3_i32.to_be_bytes()), ResponseError::InvalidRecord, "count");
        assert_eq!(damaged(22, &[0b10_0000]), ResponseError::InvalidRecord, "control");
        assert_eq!(damaged(22, &[0b111]), ResponseError::UnsupportedCompressionType, "codec 7");
        assert_eq!(damaged(35, &i64::MAX.to_be_bytes()), ResponseError::InvalidTimestamp, "far future");
        assert_eq!(damaged(43, &7_i64.to_be_bytes()), ResponseError::InvalidRecord, "producer without epoch");
        assert_eq!(damaged(61, &[0xff]), ResponseError::InvalidRecord, "record length");
    }

    #[test]
    fn lengths_and_checksums_are_believed_only_where_true() {
        let mut flipped = sound();
        let last = flipped.len() - 1;
        flipped[last] ^= 1;
        assert_eq!(batch(&flipped, LIMITS, NOW).map_err(|refusal| refusal.error), Err(ResponseError::CorruptMessage));
        for length in 0..sound().len() {
            let error = batch(&sound()[..length], LIMITS, NOW).expect_err("cut").error;
            assert_eq!(error, ResponseError::CorruptMessage, "cut to {length}");
        }
        let twice = [sound(), sound()].concat();
        assert_eq!(batch(&twice, LIMITS, NOW).map_err(|refusal| refusal.error), Err(ResponseError::InvalidRecord));
        let small = Limits { max_message_bytes: 60, ..LIMITS };
        assert_eq!(batch(&sound(), small, NOW).map_err(|refusal| refusal.error), Err(ResponseError::MessageTooLarge));
    }
}
