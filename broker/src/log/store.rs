//! Where batches are kept: the [`LogStore`] trait, through which all durable state of a node goes, and the store that
//! keeps them in memory.
//!
//! A store knows batches and offsets; epochs, producers and watermarks are the log's business. What every store has to
//! remember besides the bytes is in [`logs`].
//!
//! A process that is killed loses nothing of its store: a new node on the same store finds every log by its name. Power
//! loss is [`LogStore::lose_power`]: what was not synced is gone, as it is for a broker whose machine went down with
//! dirty pages.

pub mod logs;

use self::logs::{Entry, Logs};
use crate::types::{Offset, PartitionId};
use bytes::Bytes;
use std::ops::Range;

/// A log within a store, given out by [`LogStore::open`]; never given out again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogId(pub usize);

/// What a log is found by after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogName {
    /// `__cluster_metadata`.
    Metadata,
    /// The replica of a partition.
    Partition(PartitionId),
}

/// Small state that is replaced as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// Kafka's `quorum-state` file: epoch, vote and leader.
    Quorum,
    /// The newest `.checkpoint` file of `__cluster_metadata`: what its log held in front of its start.
    MetadataSnapshot,
}

/// What is noted beside a log from time to time (Kafka's `log-start-offset-checkpoint` and
/// `replication-offset-checkpoint`). Batches may be ahead of it, and after power loss behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// The first offset that still exists.
    pub log_start: Offset,
    /// One past the last offset that was known to be committed.
    pub high_watermark: Offset,
}

/// A batch as it is appended: its place, and its bytes, shared with every reader.
#[derive(Debug, Clone)]
pub struct StoredBatch {
    /// The first record's offset.
    pub base: Offset,
    /// The last record's offset.
    pub last: Offset,
    /// The largest timestamp of its records.
    pub max_timestamp: i64,
    /// The whole batch.
    pub bytes: Bytes,
}

/// The store could not keep or find something: KAFKA_STORAGE_ERROR to a client.
#[derive(Debug, thiserror::Error)]
#[error("storage of log {log:?} failed: {reason}")]
pub struct StorageError {
    /// The log.
    pub log: LogId,
    /// What the system said.
    pub reason: String,
}

/// What a read may return.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimits {
    /// Batches from the one that holds this offset.
    pub from: Offset,
    /// Only batches that end below this offset.
    pub below: Offset,
    /// Most bytes.
    pub max_bytes: usize,
    /// Whether the first batch is returned even if it is larger (KIP-74: a consumer must make progress).
    pub at_least_one: bool,
}

/// All durable state of a node.
pub trait LogStore {
    /// The log of that name, or a new, empty one.
    fn open(&mut self, name: LogName) -> LogId;
    /// The names of all logs, in order.
    fn names(&self) -> Vec<LogName>;
    /// Forgets a log and its name.
    fn remove(&mut self, log: LogId);
    /// Adds a batch behind the last one.
    ///
    /// # Errors
    /// When the batch could not be kept; the log is then unchanged.
    fn append(&mut self, log: LogId, batch: StoredBatch) -> Result<(), StorageError>;
    /// Batches in order, each whole.
    ///
    /// # Errors
    /// When kept batches could not be read back.
    fn read(&mut self, log: LogId, limits: ReadLimits) -> Result<Vec<Bytes>, StorageError>;
    /// The first batch that ends at or behind `from` and holds a record with a timestamp at or after this one.
    ///
    /// # Errors
    /// When kept batches could not be read back.
    fn find_timestamp(&mut self, log: LogId, from: Offset, timestamp_ms: i64) -> Result<Option<Bytes>, StorageError>;
    /// The largest timestamp of the log and the batch that holds it, the first of several.
    fn max_timestamp(&self, log: LogId) -> Option<(i64, Offset)>;
    /// Forgets the batches that end below an offset. Counts as synced: the log does not begin earlier again, as far as its
    /// checkpoint tells, whatever power does.
    fn remove_before(&mut self, log: LogId, offset: Offset);
    /// As [`Self::remove_before`], for several logs: whatever it costs to have that synced need be paid only once.
    fn remove_all_before(&mut self, logs: &[(LogId, Offset)]) {
        logs.iter().for_each(|(log, offset)| self.remove_before(*log, *offset));
    }
    /// Forgets the batches that reach to or behind an offset; a batch is never cut. Counts as synced.
    ///
    /// # Errors
    /// When they could not be forgotten; the log is then unchanged.
    fn truncate(&mut self, log: LogId, end: Offset) -> Result<(), StorageError>;
    /// Where the file ends, or later, that has the first batch at or behind an offset, where batches lie in files that are
    /// written again as a whole when some of them are replaced. `None` where that costs nothing beyond the batches.
    fn file_end(&self, _log: LogId, _offset: Offset) -> Option<Offset> {
        None
    }
    /// Puts batches in the place of those that lie wholly in a range of offsets, in order and within the range; wholly or not at
    /// all. Counts as synced, and so does all that lies in front of them: Kafka flushes a segment before it is cleaned.
    ///
    /// # Errors
    /// When they could not be kept; the log is then unchanged.
    fn replace(&mut self, log: LogId, range: Range<Offset>, batches: Vec<StoredBatch>) -> Result<(), StorageError>;
    /// Bytes of all batches that are kept.
    fn size(&self, log: LogId) -> u64;
    /// Makes everything that was appended to a log, and its checkpoint, survive power loss.
    ///
    /// # Errors
    /// When that cannot be said of all of it.
    fn sync(&mut self, log: LogId) -> Result<(), StorageError>;
    /// Replaces the state in a slot, wholly or not at all. It is synced.
    ///
    /// # Errors
    /// When it could not be kept; the state from before then stays.
    fn save(&mut self, slot: Slot, state: Bytes) -> Result<(), StorageError>;
    /// What was last saved in a slot.
    fn load(&self, slot: Slot) -> Option<Bytes>;
    /// Notes where a log begins and how far it is committed. The note is written, not synced; but a high watermark that went
    /// back stays back, power or no power: a log that was truncated and has grown again would be taken for committed.
    fn checkpoint(&mut self, log: LogId, checkpoint: Checkpoint);
    /// What was last noted; zeros where nothing was.
    fn checkpointed(&self, log: LogId) -> Checkpoint;
    /// The machine lost power: every log ends at its last synced batch, and checkpoints are back at what was synced.
    fn lose_power(&mut self);
}

/// Keeps everything in memory, for as long as the store lives.
#[derive(Debug, Default)]
pub struct MemoryStore {
    logs: Logs<Bytes>,
}

fn entry(batch: StoredBatch) -> Entry<Bytes> {
    let StoredBatch { base, last, max_timestamp, bytes } = batch;
    Entry { base, last, max_timestamp, body: bytes }
}

impl LogStore for MemoryStore {
    fn open(&mut self, name: LogName) -> LogId {
        self.logs.open(name)
    }

    fn names(&self) -> Vec<LogName> {
        self.logs.names()
    }

    fn remove(&mut self, log: LogId) {
        self.logs.remove(log);
    }

    fn append(&mut self, log: LogId, batch: StoredBatch) -> Result<(), StorageError> {
        self.logs.append(log, entry(batch));
        Ok(())
    }

    fn read(&mut self, log: LogId, limits: ReadLimits) -> Result<Vec<Bytes>, StorageError> {
        Ok(self.logs.select(log, limits).iter().map(|entry| entry.body.clone()).collect())
    }

    fn find_timestamp(&mut self, log: LogId, from: Offset, timestamp_ms: i64) -> Result<Option<Bytes>, StorageError> {
        Ok(self.logs.find_timestamp(log, from, timestamp_ms).map(|entry| entry.body.clone()))
    }

    fn max_timestamp(&self, log: LogId) -> Option<(i64, Offset)> {
        self.logs.max_timestamp(log)
    }

    fn remove_before(&mut self, log: LogId, offset: Offset) {
        self.logs.remove_before(log, offset);
    }

    fn truncate(&mut self, log: LogId, end: Offset) -> Result<(), StorageError> {
        self.logs.truncate(log, end);
        Ok(())
    }

    fn replace(&mut self, log: LogId, range: Range<Offset>, batches: Vec<StoredBatch>) -> Result<(), StorageError> {
        self.logs.replace(log, range, batches.into_iter().map(entry).collect());
        Ok(())
    }

    fn size(&self, log: LogId) -> u64 {
        self.logs.size(log)
    }

    fn sync(&mut self, log: LogId) -> Result<(), StorageError> {
        self.logs.sync(log);
        Ok(())
    }

    fn save(&mut self, slot: Slot, state: Bytes) -> Result<(), StorageError> {
        self.logs.save(slot, state);
        Ok(())
    }

    fn load(&self, slot: Slot) -> Option<Bytes> {
        self.logs.load(slot)
    }

    fn checkpoint(&mut self, log: LogId, checkpoint: Checkpoint) {
        self.logs.checkpoint(log, checkpoint);
    }

    fn checkpointed(&self, log: LogId) -> Checkpoint {
        self.logs.checkpointed(log)
    }

    fn lose_power(&mut self) {
        self.logs.lose_power();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn partition(index: i32) -> LogName {
        LogName::Partition(PartitionId { topic: Uuid::from_u128(7), index })
    }

    /// Batches of 100 bytes, each with ten records, from these offsets on.
    fn append(store: &mut MemoryStore, log: LogId, bases: impl IntoIterator<Item = i64>) {
        for base in bases {
            let bytes = Bytes::from(vec![0; 100]);
            let batch = StoredBatch { base: Offset(base), last: Offset(base + 9), max_timestamp: 1000 + base, bytes };
            store.append(log, batch).expect("memory keeps everything");
        }
    }

    fn store_of_three() -> (MemoryStore, LogId) {
        let mut store = MemoryStore::default();
        let log = store.open(partition(1));
        append(&mut store, log, [0, 10, 20]);
        (store, log)
    }

    fn count(from: i64, below: i64, max_bytes: usize, at_least_one: bool) -> usize {
        let (mut store, log) = store_of_three();
        let limits = ReadLimits { from: Offset(from), below: Offset(below), max_bytes, at_least_one };
        store.read(log, limits).expect("memory reads everything").len()
    }

    /// How many batches there are, and their bytes.
    fn kept(store: &mut MemoryStore, log: LogId) -> (usize, u64) {
        let limits = ReadLimits { from: Offset(0), below: Offset(1000), max_bytes: usize::MAX, at_least_one: true };
        (store.read(log, limits).expect("memory reads everything").len(), store.size(log))
    }

    #[test]
    fn reads_whole_batches_from_the_one_that_holds_the_offset() {
        assert_eq!(count(0, 30, 1000, true), 3);
        assert_eq!(count(15, 30, 1000, true), 2);
        assert_eq!(count(30, 30, 1000, true), 0);
    }

    #[test]
    fn stops_at_the_watermark_and_at_the_limit() {
        assert_eq!(count(0, 20, 1000, true), 2);
        assert_eq!(count(0, 19, 1000, true), 1, "a batch that reaches past the watermark is not visible");
        assert_eq!(count(0, 30, 250, true), 2);
        assert_eq!(count(0, 30, 50, true), 1);
        assert_eq!(count(0, 30, 50, false), 0);
    }

    #[test]
    fn finds_timestamps_behind_an_offset() {
        let (mut store, log) = store_of_three();
        let found = |store: &mut MemoryStore, from, at| {
            store.find_timestamp(log, Offset(from), at).expect("memory reads everything").is_some()
        };
        assert!(found(&mut store, 0, 1020) && found(&mut store, 29, 0));
        assert!(!found(&mut store, 0, 1021) && !found(&mut store, 30, 0));
        assert_eq!(store.max_timestamp(log), Some((1020, Offset(20))));
    }

    #[test]
    fn a_log_is_found_by_its_name_until_it_is_removed() {
        let (mut store, log) = store_of_three();
        let metadata = store.open(LogName::Metadata);
        assert_eq!((store.open(partition(1)), store.open(LogName::Metadata)), (log, metadata));
        store.open(partition(0));
        assert_eq!(store.names(), [LogName::Metadata, partition(0), partition(1)]);
        store.checkpoint(log, Checkpoint { log_start: Offset(5), high_watermark: Offset(20) });
        store.remove(log);
        assert_eq!(store.names(), [LogName::Metadata, partition(0)]);
        let again = store.open(partition(1));
        assert_ne!(again, log);
        assert_eq!(kept(&mut store, again), (0, 0));
        assert_eq!(store.checkpointed(again), Checkpoint::default());
        store.remove(log);
        assert_eq!(store.open(partition(1)), again, "a log that is gone takes no other with it");
    }

    #[test]
    fn truncation_forgets_whole_batches() {
        for (end, batches) in [(30, 3), (29, 2), (20, 2), (19, 1), (0, 0)] {
            let (mut store, log) = store_of_three();
            store.truncate(log, Offset(end)).expect("memory");
            assert_eq!(kept(&mut store, log), (batches, 100 * batches as u64), "truncated to {end}");
        }
    }

    #[test]
    fn power_loss_takes_back_what_was_not_synced() {
        let (mut store, log) = store_of_three();
        store.lose_power();
        assert_eq!(kept(&mut store, log), (0, 0), "nothing was synced");
        append(&mut store, log, [0, 10]);
        store.sync(log).expect("memory");
        append(&mut store, log, [20, 30]);
        store.lose_power();
        assert_eq!(kept(&mut store, log), (2, 200));
        store.lose_power();
        assert_eq!(kept(&mut store, log), (2, 200), "once synced, it stays");
    }

    #[test]
    fn what_was_synced_shrinks_with_the_log_and_never_covers_what_came_later() {
        let (mut store, log) = store_of_three();
        store.sync(log).expect("memory");
        store.truncate(log, Offset(20)).expect("memory");
        append(&mut store, log, [20]);
        store.lose_power();
        assert_eq!(kept(&mut store, log), (2, 200), "the batch that took a synced one's place was not synced");
        append(&mut store, log, [20, 30]);
        store.remove_before(log, Offset(15));
        store.lose_power();
        assert_eq!(kept(&mut store, log), (1, 100), "of the synced batches one is left");
    }

    fn replace(store: &mut MemoryStore, log: LogId, range: Range<i64>, bases: &[i64]) {
        let batch = |base: &i64| {
            let bytes = Bytes::from(vec![1; 40]);
            StoredBatch { base: Offset(*base), last: Offset(*base + 9), max_timestamp: 0, bytes }
        };
        let range = Offset(range.start)..Offset(range.end);
        store.replace(log, range, bases.iter().map(batch).collect()).expect("memory");
    }

    #[test]
    fn batches_make_room_for_others_and_the_rest_stays() {
        for (range, bases, expected) in [
            (0..30, [0, 20].as_slice(), (2, 80)),
            (0..20, &[10], (2, 140)),
            (5..29, &[10], (3, 240)),
            (10..20, &[], (2, 200)),
            (20..30, &[20], (3, 240)),
        ] {
            let (mut store, log) = store_of_three();
            replace(&mut store, log, range.clone(), bases);
            assert_eq!(kept(&mut store, log), expected, "{range:?}");
            store.lose_power();
            let synced = if range.end == 30 { expected } else { (expected.0 - 1, expected.1 - 100) };
            let synced = if range.end == 29 { (2, 140) } else { synced };
            assert_eq!(kept(&mut store, log), synced, "{range:?}: up to what was replaced it is synced");
        }
    }

    #[test]
    fn checkpoints_are_written_with_the_log_and_synced_with_it() {
        let (mut store, log) = store_of_three();
        let at = |log_start, high_watermark| Checkpoint {
            log_start: Offset(log_start),
            high_watermark: Offset(high_watermark),
        };
        store.checkpoint(log, at(0, 10));
        store.sync(log).expect("memory");
        store.checkpoint(log, at(0, 30));
        assert_eq!(store.checkpointed(log), at(0, 30));
        store.lose_power();
        assert_eq!(store.checkpointed(log), at(0, 10));
        store.checkpoint(log, at(0, 4));
        store.checkpoint(log, at(0, 8));
        store.lose_power();
        assert_eq!(store.checkpointed(log), at(0, 4), "what went back stays back");
        store.remove_before(log, Offset(15));
        store.lose_power();
        assert_eq!(store.checkpointed(log), at(15, 15), "a log whose batches are gone does not begin at them again");
    }

    #[test]
    fn a_saved_slot_outlives_power_loss() {
        let mut store = MemoryStore::default();
        assert_eq!(store.load(Slot::Quorum), None);
        for state in ["voted for 1", "voted for 2"] {
            store.save(Slot::Quorum, Bytes::from_static(state.as_bytes())).expect("memory");
        }
        store.lose_power();
        assert_eq!(store.load(Slot::Quorum).as_deref(), Some(b"voted for 2".as_slice()));
    }
}
