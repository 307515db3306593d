//! Batches in memory up to a budget, and beyond it in a temporary file that has no name and goes with the process.
//!
//! The oldest batches of a node move first. Their places stay in memory, their bytes are read back by position.

use bytes::{Bytes, BytesMut};
use shakedown_broker::log::store::{LogId, LogStore, ReadLimits, StorageError, StoredBatch};
use shakedown_broker::types::Offset;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

/// How much moves to the file at once: enough to make a write worth its call.
const SPILL_BYTES: usize = 1024 * 1024;

/// What all nodes of a cluster may keep in memory together.
#[derive(Debug)]
pub struct Budget {
    allowed: u64,
    used: u64,
    file: Option<File>,
    file_end: u64,
}

impl Budget {
    /// Bytes of batches in memory, at most.
    #[must_use]
    pub fn new(allowed: u64) -> Self {
        Self { allowed, used: 0, file: None, file_end: 0 }
    }

    /// Writes to the end of the file, and tells where that was.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<u64> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.write_all_at(bytes, self.file_end)?;
        let at = self.file_end;
        self.file_end += bytes.len() as u64;
        Ok(at)
    }

    fn read(&self, at: u64, length: usize) -> std::io::Result<Bytes> {
        let mut bytes = BytesMut::zeroed(length);
        let file = self.file.as_ref().ok_or(std::io::ErrorKind::NotFound)?;
        file.read_exact_at(&mut bytes, at)?;
        Ok(bytes.freeze())
    }
}

#[derive(Debug)]
enum Body {
    Memory(Bytes),
    File { at: u64 },
}

#[derive(Debug)]
struct Entry {
    base: Offset,
    last: Offset,
    max_timestamp: i64,
    size: usize,
    body: Body,
}

/// The batches of a log, counted from the first that was ever appended, so that a batch's number never changes.
#[derive(Debug, Default)]
struct Log {
    removed: usize,
    entries: Vec<Entry>,
}

impl Log {
    fn get_mut(&mut self, number: usize) -> Option<&mut Entry> {
        self.entries.get_mut(number.checked_sub(self.removed)?)
    }
}

/// The logs of one node.
#[derive(Debug)]
pub struct SpillingStore {
    budget: Rc<RefCell<Budget>>,
    logs: Vec<Log>,
    /// Which batch, by log and number, is the next oldest in memory.
    in_memory: VecDeque<(LogId, usize)>,
}

impl SpillingStore {
    /// A store of a node, within the budget of its cluster.
    #[must_use]
    pub fn new(budget: Rc<RefCell<Budget>>) -> Self {
        Self { budget, logs: Vec::new(), in_memory: VecDeque::new() }
    }

    /// Moves the oldest batches to the file.
    fn spill(&mut self) -> std::io::Result<()> {
        let mut bytes = Vec::with_capacity(SPILL_BYTES);
        let mut moving = Vec::new();
        while bytes.len() < SPILL_BYTES {
            let Some((log, number)) = self.in_memory.pop_front() else {
                break;
            };
            if let Some(Entry { body: Body::Memory(batch), .. }) = self.logs[log.0].get_mut(number) {
                moving.push((log, number, bytes.len() as u64));
                bytes.extend_from_slice(batch);
            }
        }
        let mut budget = self.budget.borrow_mut();
        let at = match budget.write(&bytes) {
            Ok(at) => at,
            Err(error) => {
                // They stay in memory and are the first to move once there is room again.
                moving.into_iter().rev().for_each(|(log, number, _)| self.in_memory.push_front((log, number)));
                return Err(error);
            }
        };
        for (log, number, offset) in moving {
            if let Some(entry) = self.logs[log.0].get_mut(number) {
                entry.body = Body::File { at: at + offset };
            }
        }
        budget.used -= bytes.len() as u64;
        Ok(())
    }

    /// Gives back what removed batches took of the budget.
    fn release(&mut self, log: LogId, entries: &[Entry]) {
        let in_memory = entries.iter().filter(|entry| matches!(entry.body, Body::Memory(_)));
        self.budget.borrow_mut().used -= in_memory.map(|entry| entry.size as u64).sum::<u64>();
        let removed = self.logs[log.0].removed;
        self.in_memory.retain(|(other, number)| *other != log || *number >= removed);
    }

    fn bytes(&self, log: LogId, entry: &Entry) -> Result<Bytes, StorageError> {
        match &entry.body {
            Body::Memory(bytes) => Ok(bytes.clone()),
            Body::File { at } => self.budget.borrow().read(*at, entry.size).map_err(|error| failed(log, &error)),
        }
    }
}

fn failed(log: LogId, error: &std::io::Error) -> StorageError {
    StorageError { log, reason: error.to_string() }
}

impl LogStore for SpillingStore {
    fn create(&mut self) -> LogId {
        self.logs.push(Log::default());
        LogId(self.logs.len() - 1)
    }

    fn remove(&mut self, log: LogId) {
        self.remove_before(log, Offset(i64::MAX));
    }

    fn remove_before(&mut self, log: LogId, offset: Offset) {
        let kept = &mut self.logs[log.0];
        let count = kept.entries.partition_point(|entry| entry.last < offset);
        let removed: Vec<Entry> = kept.entries.drain(..count).collect();
        kept.removed += count;
        self.release(log, &removed);
    }

    fn size(&self, log: LogId) -> u64 {
        self.logs[log.0].entries.iter().map(|entry| entry.size as u64).sum()
    }

    fn append(&mut self, log: LogId, batch: StoredBatch) -> Result<(), StorageError> {
        let size = batch.bytes.len();
        let StoredBatch { base, last, max_timestamp, bytes } = batch;
        let kept = &mut self.logs[log.0];
        self.in_memory.push_back((log, kept.removed + kept.entries.len()));
        kept.entries.push(Entry { base, last, max_timestamp, size, body: Body::Memory(bytes) });
        let over = {
            let mut budget = self.budget.borrow_mut();
            budget.used += size as u64;
            budget.used > budget.allowed
        };
        if over && let Err(error) = self.spill() {
            // Better above the budget than a batch that is acknowledged and gone.
            tracing::warn!(%error, "cannot move batches to a temporary file");
        }
        Ok(())
    }

    fn read(&mut self, log: LogId, limits: ReadLimits) -> Result<Vec<Bytes>, StorageError> {
        let entries = &self.logs[log.0].entries;
        let first = entries.partition_point(|entry| entry.last < limits.from);
        let mut taken = Vec::new();
        let mut left = limits.max_bytes;
        for entry in entries[first..].iter().take_while(|entry| entry.last < limits.below) {
            if entry.size > left && !(taken.is_empty() && limits.at_least_one) {
                break;
            }
            left = left.saturating_sub(entry.size);
            taken.push(self.bytes(log, entry)?);
        }
        Ok(taken)
    }

    fn find_timestamp(&mut self, log: LogId, from: Offset, timestamp_ms: i64) -> Result<Option<Bytes>, StorageError> {
        let mut entries = self.logs[log.0].entries.iter();
        let found = entries.find(|entry| entry.last >= from && entry.max_timestamp >= timestamp_ms);
        found.map(|entry| self.bytes(log, entry)).transpose()
    }

    fn max_timestamp(&self, log: LogId) -> Option<(i64, Offset)> {
        let entries = self.logs[log.0].entries.iter();
        entries.map(|entry| (entry.max_timestamp, entry.base)).max_by_key(|(at, base)| (*at, std::cmp::Reverse(*base)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 100_000;

    fn batch(n: i64) -> StoredBatch {
        let bytes = Bytes::from(vec![u8::try_from(n % 251).expect("below 251"); SIZE]);
        StoredBatch { base: Offset(n), last: Offset(n), max_timestamp: n, bytes }
    }

    #[test]
    fn what_moved_to_the_file_reads_back_and_memory_stays_within_the_budget() {
        let budget = Rc::new(RefCell::new(Budget::new(2 * SPILL_BYTES as u64)));
        let mut store = SpillingStore::new(Rc::clone(&budget));
        let (first, second) = (store.create(), store.create());
        for n in 0..200 {
            let log = if n % 2 == 0 { first } else { second };
            store.append(log, batch(n)).expect("a temporary file has room");
            assert!(budget.borrow().used <= 2 * SPILL_BYTES as u64 + SIZE as u64);
        }
        assert!(budget.borrow().file_end > 15 * SPILL_BYTES as u64);
        let limits = ReadLimits { from: Offset(0), below: Offset(200), max_bytes: usize::MAX, at_least_one: true };
        for (log, parity) in [(first, 0), (second, 1)] {
            let batches = store.read(log, limits).expect("all is there");
            assert_eq!(batches.len(), 100);
            for (bytes, nth) in batches.iter().zip(0..) {
                let expected = u8::try_from((2 * nth + parity) % 251).expect("below 251");
                assert!(
                    bytes.len() == SIZE && bytes.iter().all(|byte| *byte == expected),
                    "batch {nth} of log {log:?}"
                );
            }
        }
    }

    #[test]
    fn removing_a_log_gives_its_memory_back() {
        let budget = Rc::new(RefCell::new(Budget::new(u64::MAX)));
        let mut store = SpillingStore::new(Rc::clone(&budget));
        let log = store.create();
        store.append(log, batch(1)).expect("memory");
        store.remove(log);
        assert_eq!((budget.borrow().used, store.in_memory.len()), (0, 0));
    }

    #[test]
    fn a_log_that_lost_its_beginning_spills_and_reads_the_rest() {
        let budget = Rc::new(RefCell::new(Budget::new(2 * SPILL_BYTES as u64)));
        let mut store = SpillingStore::new(Rc::clone(&budget));
        let log = store.create();
        for n in 0..15 {
            store.append(log, batch(n)).expect("a temporary file has room");
        }
        store.remove_before(log, Offset(10));
        assert_eq!((budget.borrow().used, store.size(log)), (5 * SIZE as u64, 5 * SIZE as u64));
        for n in 15..60 {
            store.append(log, batch(n)).expect("a temporary file has room");
        }
        assert!(budget.borrow().file_end > 2 * SPILL_BYTES as u64);
        let limits = ReadLimits { from: Offset(0), below: Offset(60), max_bytes: usize::MAX, at_least_one: true };
        let read: Vec<u8> = store.read(log, limits).expect("all is there").iter().map(|bytes| bytes[0]).collect();
        assert_eq!(read, (10..60).collect::<Vec<u8>>());
        let found = store.find_timestamp(log, Offset(30), 0).expect("all is there").expect("it is there");
        assert_eq!(found[0], 30);
    }
}
