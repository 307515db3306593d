//! Where batches are kept: the [`LogStore`] trait, through which all durable state of a node goes, and the store that
//! keeps them in memory.
//!
//! A store knows batches and offsets; epochs, producers and watermarks are the log's business.

use crate::types::Offset;
use bytes::Bytes;

/// A log within a store, given out by [`LogStore::create`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogId(pub usize);

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
    /// A new, empty log.
    fn create(&mut self) -> LogId;
    /// Forgets a log.
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
    /// Forgets the batches that end below an offset.
    fn remove_before(&mut self, log: LogId, offset: Offset);
    /// Bytes of all batches that are kept.
    fn size(&self, log: LogId) -> u64;
}

/// Keeps everything in memory, for as long as the store lives.
#[derive(Debug, Default)]
pub struct MemoryStore {
    logs: Vec<Vec<StoredBatch>>,
}

impl LogStore for MemoryStore {
    fn create(&mut self) -> LogId {
        self.logs.push(Vec::new());
        LogId(self.logs.len() - 1)
    }

    fn remove(&mut self, log: LogId) {
        self.logs[log.0] = Vec::new();
    }

    fn append(&mut self, log: LogId, batch: StoredBatch) -> Result<(), StorageError> {
        self.logs[log.0].push(batch);
        Ok(())
    }

    fn read(&mut self, log: LogId, limits: ReadLimits) -> Result<Vec<Bytes>, StorageError> {
        let batches = &self.logs[log.0];
        let first = batches.partition_point(|batch| batch.last < limits.from);
        let mut taken = Vec::new();
        let mut left = limits.max_bytes;
        for batch in batches[first..].iter().take_while(|batch| batch.last < limits.below) {
            if batch.bytes.len() > left && !(taken.is_empty() && limits.at_least_one) {
                break;
            }
            left = left.saturating_sub(batch.bytes.len());
            taken.push(batch.bytes.clone());
        }
        Ok(taken)
    }

    fn find_timestamp(&mut self, log: LogId, from: Offset, timestamp_ms: i64) -> Result<Option<Bytes>, StorageError> {
        let found = self.logs[log.0].iter().find(|batch| batch.last >= from && batch.max_timestamp >= timestamp_ms);
        Ok(found.map(|batch| batch.bytes.clone()))
    }

    fn max_timestamp(&self, log: LogId) -> Option<(i64, Offset)> {
        let batches = self.logs[log.0].iter();
        batches.map(|batch| (batch.max_timestamp, batch.base)).max_by_key(|(at, base)| (*at, std::cmp::Reverse(*base)))
    }

    fn remove_before(&mut self, log: LogId, offset: Offset) {
        let batches = &mut self.logs[log.0];
        let kept_from = batches.partition_point(|batch| batch.last < offset);
        batches.drain(..kept_from);
    }

    fn size(&self, log: LogId) -> u64 {
        self.logs[log.0].iter().map(|batch| batch.bytes.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store_of_three() -> (MemoryStore, LogId) {
        let mut store = MemoryStore::default();
        let log = store.create();
        for base in [0, 10, 20] {
            let bytes = Bytes::from(vec![0; 100]);
            let batch = StoredBatch { base: Offset(base), last: Offset(base + 9), max_timestamp: 1000 + base, bytes };
            store.append(log, batch).expect("memory keeps everything");
        }
        (store, log)
    }

    fn count(from: i64, below: i64, max_bytes: usize, at_least_one: bool) -> usize {
        let (mut store, log) = store_of_three();
        let limits = ReadLimits { from: Offset(from), below: Offset(below), max_bytes, at_least_one };
        store.read(log, limits).expect("memory reads everything").len()
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
}
