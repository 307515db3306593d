//! What every store remembers of its logs, wherever it keeps their bytes: names, the batches' places, what was synced.
//!
//! [`Logs`] is generic in what stands for a batch's bytes: the bytes themselves in memory, a handle elsewhere. What
//! forgets batches hands those back, so that the store can free what they stand for.

use super::{Checkpoint, LogId, LogName, ReadLimits, Slot};
use crate::types::Offset;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;

/// What stands for a batch's bytes.
pub trait Body {
    /// How many bytes the batch has.
    fn size(&self) -> usize;
}

impl Body for Bytes {
    fn size(&self) -> usize {
        self.len()
    }
}

/// A batch within its log.
#[derive(Debug)]
pub struct Entry<B> {
    /// The first record's offset.
    pub base: Offset,
    /// The last record's offset.
    pub last: Offset,
    /// The largest timestamp of its records.
    pub max_timestamp: i64,
    /// What stands for its bytes.
    pub body: B,
}

/// A cluster has tens of thousands of these, most of them empty: every field counts.
#[derive(Debug)]
struct Log<B> {
    /// `None` once it is removed.
    name: Option<LogName>,
    batches: Vec<Entry<B>>,
    /// Bytes of all batches.
    size: u64,
    /// How many batches, from the first, power loss spares.
    synced: usize,
    checkpoint: Checkpoint,
    /// The checkpoint that power loss goes back to.
    checkpoint_synced: Checkpoint,
}

impl<B> Default for Log<B> {
    fn default() -> Self {
        Self {
            name: None,
            batches: Vec::new(),
            size: 0,
            synced: 0,
            checkpoint: Checkpoint::default(),
            checkpoint_synced: Checkpoint::default(),
        }
    }
}

impl<B: Body> Log<B> {
    fn forget(&mut self, range: Range<usize>) -> Vec<B> {
        self.synced -= self.synced.min(range.end) - self.synced.min(range.start);
        let bodies: Vec<B> = self.batches.drain(range).map(|entry| entry.body).collect();
        self.size -= bodies.iter().map(|body| body.size() as u64).sum::<u64>();
        bodies
    }
}

/// The logs of one node.
#[derive(Debug)]
pub struct Logs<B> {
    logs: Vec<Log<B>>,
    names: BTreeMap<LogName, LogId>,
    slots: BTreeMap<Slot, Bytes>,
}

impl<B> Default for Logs<B> {
    fn default() -> Self {
        Self { logs: Vec::new(), names: BTreeMap::new(), slots: BTreeMap::new() }
    }
}

impl<B: Body> Logs<B> {
    /// See [`super::LogStore::open`].
    pub fn open(&mut self, name: LogName) -> LogId {
        *self.names.entry(name).or_insert_with(|| {
            self.logs.push(Log { name: Some(name), ..Log::default() });
            LogId(self.logs.len() - 1)
        })
    }

    /// See [`super::LogStore::names`].
    #[must_use]
    pub fn names(&self) -> Vec<LogName> {
        self.names.keys().copied().collect()
    }

    /// See [`super::LogStore::remove`].
    pub fn remove(&mut self, log: LogId) -> Vec<B> {
        let removed = std::mem::take(&mut self.logs[log.0]);
        if let Some(name) = removed.name {
            self.names.remove(&name);
        }
        removed.batches.into_iter().map(|entry| entry.body).collect()
    }

    /// See [`super::LogStore::append`].
    pub fn append(&mut self, log: LogId, entry: Entry<B>) {
        let log = &mut self.logs[log.0];
        log.size += entry.body.size() as u64;
        log.batches.push(entry);
    }

    /// The batches that a read returns, see [`super::LogStore::read`].
    #[must_use]
    pub fn select(&self, log: LogId, limits: ReadLimits) -> &[Entry<B>] {
        let batches = &self.logs[log.0].batches;
        let first = batches.partition_point(|entry| entry.last < limits.from);
        let mut end = first;
        let mut left = limits.max_bytes;
        for entry in batches[first..].iter().take_while(|entry| entry.last < limits.below) {
            let size = entry.body.size();
            if size > left && !(end == first && limits.at_least_one) {
                break;
            }
            left = left.saturating_sub(size);
            end += 1;
        }
        &batches[first..end]
    }

    /// See [`super::LogStore::find_timestamp`].
    #[must_use]
    pub fn find_timestamp(&self, log: LogId, from: Offset, timestamp_ms: i64) -> Option<&Entry<B>> {
        let batches = &self.logs[log.0].batches;
        let first = batches.partition_point(|entry| entry.last < from);
        batches[first..].iter().find(|entry| entry.max_timestamp >= timestamp_ms)
    }

    /// See [`super::LogStore::max_timestamp`].
    #[must_use]
    pub fn max_timestamp(&self, log: LogId) -> Option<(i64, Offset)> {
        let batches = self.logs[log.0].batches.iter();
        batches.map(|entry| (entry.max_timestamp, entry.base)).max_by_key(|(at, base)| (*at, std::cmp::Reverse(*base)))
    }

    /// See [`super::LogStore::remove_before`].
    pub fn remove_before(&mut self, log: LogId, offset: Offset) -> Vec<B> {
        let log = &mut self.logs[log.0];
        // Were the checkpoint to go back while the batches stay away, a log that was emptied would begin at 0 again.
        let synced = &mut log.checkpoint_synced;
        synced.log_start = synced.log_start.max(offset);
        synced.high_watermark = synced.high_watermark.max(offset);
        let count = log.batches.partition_point(|entry| entry.last < offset);
        log.forget(0..count)
    }

    /// See [`super::LogStore::truncate`].
    pub fn truncate(&mut self, log: LogId, end: Offset) -> Vec<B> {
        let log = &mut self.logs[log.0];
        // A log that was cut in front of its beginning does not begin there again when power is lost.
        let synced = &mut log.checkpoint_synced;
        synced.log_start = synced.log_start.min(end);
        synced.high_watermark = synced.high_watermark.min(end);
        let kept = log.batches.partition_point(|entry| entry.last < end);
        log.forget(kept..log.batches.len())
    }

    /// See [`super::LogStore::replace`].
    pub fn replace(&mut self, log: LogId, range: Range<Offset>, entries: Vec<Entry<B>>) -> Vec<B> {
        let log = &mut self.logs[log.0];
        let from = log.batches.partition_point(|entry| entry.base < range.start);
        let to = log.batches.partition_point(|entry| entry.last < range.end).max(from);
        log.synced = log.synced.max(to) - (to - from) + entries.len();
        log.size += entries.iter().map(|entry| entry.body.size() as u64).sum::<u64>();
        let removed: Vec<B> = log.batches.splice(from..to, entries).map(|entry| entry.body).collect();
        log.size -= removed.iter().map(|body| body.size() as u64).sum::<u64>();
        removed
    }

    /// See [`super::LogStore::size`].
    #[must_use]
    pub fn size(&self, log: LogId) -> u64 {
        self.logs[log.0].size
    }

    /// See [`super::LogStore::sync`].
    pub fn sync(&mut self, log: LogId) {
        let log = &mut self.logs[log.0];
        log.synced = log.batches.len();
        log.checkpoint_synced = log.checkpoint;
    }

    /// See [`super::LogStore::save`].
    pub fn save(&mut self, slot: Slot, state: Bytes) {
        self.slots.insert(slot, state);
    }

    /// See [`super::LogStore::load`].
    #[must_use]
    pub fn load(&self, slot: Slot) -> Option<Bytes> {
        self.slots.get(&slot).cloned()
    }

    /// See [`super::LogStore::checkpoint`].
    pub fn checkpoint(&mut self, log: LogId, checkpoint: Checkpoint) {
        let log = &mut self.logs[log.0];
        log.checkpoint = checkpoint;
        let synced = &mut log.checkpoint_synced.high_watermark;
        *synced = checkpoint.high_watermark.min(*synced);
    }

    /// See [`super::LogStore::checkpointed`].
    #[must_use]
    pub fn checkpointed(&self, log: LogId) -> Checkpoint {
        self.logs[log.0].checkpoint
    }

    /// See [`super::LogStore::lose_power`].
    pub fn lose_power(&mut self) -> Vec<B> {
        let mut lost = Vec::new();
        for log in &mut self.logs {
            lost.extend(log.forget(log.synced..log.batches.len()));
            log.checkpoint = log.checkpoint_synced;
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_log_is_small() {
        // 1,000 topics with 10 partitions on 3 replicas: 30,000 logs in well below 30 MB.
        assert!(size_of::<Log<Bytes>>() <= 96, "{} bytes", size_of::<Log<Bytes>>());
    }
}
