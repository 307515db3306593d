//! What lies where in a node's folder: `__cluster_metadata-0` and a folder for each partition, and in them segments named
//! by their first offset, as Kafka has it.
//!
//! A partition's folder is named by its topic's id, as `kafka-topics --describe` shows it, and not by the topic's name: a
//! name is given again while the folder of the topic that had it before may still be there.

use shakedown_broker::log::store::{LogName, Slot};
use shakedown_broker::types::PartitionId;
use uuid::Uuid;

const METADATA: &str = "__cluster_metadata-0";

/// What a folder's name ends with while its files are deleted (Kafka's `DELETE_DIR_SUFFIX`).
pub(super) const DELETED: &str = "-delete";

const SEGMENT_SUFFIX: &str = ".log";

/// URL-safe base64 (RFC 4648, 5), which is how Kafka prints ids.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Digits of an id: 21 with six bits each and one with the last two.
const ID_DIGITS: usize = 22;

/// The folder of a log.
pub(super) fn folder_of(name: LogName) -> String {
    match name {
        LogName::Metadata => METADATA.to_owned(),
        LogName::Partition(PartitionId { topic, index }) => format!("{}-{index}", digits_of(topic)),
    }
}

/// The log that a folder belongs to, if it is one.
pub(super) fn log_of(folder: &str) -> Option<LogName> {
    if folder == METADATA {
        return Some(LogName::Metadata);
    }
    let (topic, index) = folder.rsplit_once('-')?;
    let index = index.parse().ok().filter(|index| *index >= 0)?;
    Some(LogName::Partition(PartitionId { topic: id_of(topic)?, index }))
}

/// The file in which a segment keeps its batches.
pub(super) fn segment_file(base: i64) -> String {
    format!("{base:020}{SEGMENT_SUFFIX}")
}

/// The first offset of a segment, by its file.
pub(super) fn segment_base(file: &str) -> Option<i64> {
    file.strip_suffix(SEGMENT_SUFFIX).filter(|base| base.len() == 20)?.parse().ok().filter(|base| *base >= 0)
}

/// The file that keeps what is in a slot, in the folder of the metadata log.
pub(super) fn slot_file(slot: Slot) -> &'static str {
    match slot {
        Slot::Quorum => "quorum-state",
        Slot::MetadataSnapshot => "metadata.checkpoint",
    }
}

fn digits_of(id: Uuid) -> String {
    let bits = id.as_u128();
    let digit = |nth: usize| {
        let six = if nth + 1 < ID_DIGITS { bits >> (122 - 6 * nth) } else { bits << 4 };
        char::from(DIGITS[(six & 0x3f) as usize])
    };
    (0..ID_DIGITS).map(digit).collect()
}

fn id_of(digits: &str) -> Option<Uuid> {
    let value = |digit: &u8| DIGITS.iter().position(|known| known == digit).map(|value| value as u128);
    let digits = digits.as_bytes();
    let (last, others) = digits.split_last().filter(|_| digits.len() == ID_DIGITS)?;
    let high = others.iter().try_fold(0_u128, |bits, digit| Some(bits << 6 | value(digit)?))?;
    let low = value(last)?;
    (low & 0xf == 0).then(|| Uuid::from_u128(high << 2 | low >> 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_as_kafka_prints_ids() {
        let topic = Uuid::from_u128(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);
        let name = LogName::Partition(PartitionId { topic, index: 17 });
        assert_eq!(folder_of(name), "ASNFZ4mrze_-3LqYdlQyEA-17");
        assert_eq!(folder_of(LogName::Metadata), "__cluster_metadata-0");
    }

    #[test]
    fn every_folder_leads_back_to_its_log() {
        for topic in [0, 1, 2, 3, u128::MAX, u128::MAX - 1, 7 << 64, 0xfbff_ffff << 90].map(Uuid::from_u128) {
            let name = LogName::Partition(PartitionId { topic, index: 3 });
            assert_eq!(log_of(&folder_of(name)), Some(name));
        }
        assert_eq!(log_of(&folder_of(LogName::Metadata)), Some(LogName::Metadata));
        for other in ["orders-0", "lost+found", "ASNFZ4mrze_-3LqYdlQyEA", "ASNFZ4mrze_-3LqYdlQyEB-1", ""] {
            assert_eq!(log_of(other), None, "{other}");
        }
        let deleted = format!("{}{DELETED}", folder_of(LogName::Metadata));
        assert_eq!(log_of(&deleted), None);
    }

    #[test]
    fn segments_are_named_by_their_first_offset() {
        assert_eq!(segment_file(4711), "00000000000000004711.log");
        assert_eq!(segment_base(&segment_file(4711)), Some(4711));
        for other in ["4711.log", "00000000000000004711.index", "-0000000000000000001.log", ".log"] {
            assert_eq!(segment_base(other), None, "{other}");
        }
    }
}
