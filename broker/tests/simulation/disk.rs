//! Disks that fail as disks do: what was not synced is lost with the power, but for a part that the operating system
//! happened to write; the last batch of that part may be torn; for a while nothing can be written at all.
//!
//! A process crash keeps everything: the next process opens the same disk. Finding torn batches is the broker's task.

use crate::chance::Chance;
use bytes::Bytes;
use shakedown_broker::log::store::{Checkpoint, LogId, LogName, LogStore, ReadLimits, Slot, StorageError, StoredBatch};
use shakedown_broker::metadata::snapshot::Snapshot;
use shakedown_broker::types::Offset;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

/// The first byte of a batch that its checksum covers; damage in front of it could not be found.
const CHECKED_FROM: usize = 21;

/// A disk, shared by the node that writes it and the world that breaks it.
#[derive(Clone, Default)]
pub(crate) struct Disk(Rc<RefCell<Platter>>);

#[derive(Default)]
struct Platter {
    logs: Vec<Option<Kept>>,
    slots: Vec<(Slot, Bytes)>,
    failing: bool,
    written: Vec<Wrote>,
}

struct Kept {
    name: LogName,
    batches: Vec<StoredBatch>,
    /// How many of them survive a power loss.
    synced: usize,
    checkpoint: Checkpoint,
    checkpoint_synced: Checkpoint,
}

/// What was done to a disk, for whoever watches it.
#[derive(Debug, Clone)]
pub(crate) enum Wrote {
    Batch(Written),
    /// A batch of the metadata log, told in addition: it may be in a snapshot, and gone, within the step that commits it.
    Metadata(StoredBatch),
    Removed(LogName),
}

/// A batch that was appended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) log: LogName,
    pub(crate) base: i64,
    /// CRC-32C of the whole batch.
    pub(crate) print: u32,
    /// The leader's epoch, as the batch says.
    pub(crate) epoch: i32,
}

/// A batch's fingerprint.
pub(crate) fn print(batch: &[u8]) -> u32 {
    crc32c::crc32c(batch)
}

impl Disk {
    /// Whether writes fail from here on.
    pub(crate) fn set_failing(&self, failing: bool) {
        self.0.borrow_mut().failing = failing;
    }

    /// What was done since this was last asked.
    pub(crate) fn take_written(&self) -> Vec<Wrote> {
        std::mem::take(&mut self.0.borrow_mut().written)
    }

    /// The operating system writes pages, as much of each log as it likes.
    pub(crate) fn write_back(&self, chance: &mut Chance) {
        for log in self.0.borrow_mut().logs.iter_mut().flatten() {
            let dirty = log.batches.len() - log.synced;
            log.synced += chance.index(dirty + 1);
            log.checkpoint_synced = log.checkpoint;
        }
    }

    /// The power fails. Returns how many batches are lost or damaged.
    pub(crate) fn lose_power(&self, chance: &mut Chance) -> usize {
        let mut lost = 0;
        for log in self.0.borrow_mut().logs.iter_mut().flatten() {
            log.checkpoint = if chance.permille(500) { log.checkpoint } else { log.checkpoint_synced };
            let dirty = log.batches.len() - log.synced;
            if dirty == 0 {
                continue;
            }
            let survive = log.synced + chance.index(dirty + 1);
            lost += log.batches.len() - survive;
            log.batches.truncate(survive);
            if survive > log.synced && chance.permille(500) {
                let last = log.batches.last_mut().expect("some survive");
                let damaged = damage(&last.bytes, chance);
                lost += usize::from(damaged != last.bytes);
                last.bytes = damaged;
            }
            log.synced = log.batches.len();
        }
        lost
    }

    /// Where the metadata snapshot ends, 0 without one.
    pub(crate) fn snapshot_end(&self) -> i64 {
        let snapshot = self.load(Slot::MetadataSnapshot).and_then(Snapshot::from_bytes);
        snapshot.map_or(0, |snapshot| snapshot.id.end.0)
    }

    /// Whether the disk holds a batch, undamaged; `synced`: in a way that survives a power loss.
    pub(crate) fn holds(&self, name: LogName, base: i64, print_of_it: u32, synced: bool) -> bool {
        let platter = self.0.borrow();
        let Some(log) = platter.logs.iter().flatten().find(|log| log.name == name) else { return false };
        let at = log.batches.partition_point(|batch| batch.base.0 < base);
        let found = log.batches.get(at).filter(|_| !synced || at < log.synced);
        found.is_some_and(|batch| batch.base.0 == base && print(&batch.bytes) == print_of_it)
    }
}

/// A batch that was being written when the power failed: cut off, half zeroes, or with one wrong bit.
fn damage(batch: &Bytes, chance: &mut Chance) -> Bytes {
    let mut bytes = batch.to_vec();
    match chance.below(3) {
        0 => bytes.truncate(1 + chance.index(bytes.len() - 1)),
        1 => {
            let from = CHECKED_FROM + chance.index(bytes.len() - CHECKED_FROM);
            bytes[from..].fill(0);
        }
        _ => {
            let at = CHECKED_FROM + chance.index(bytes.len() - CHECKED_FROM);
            bytes[at] ^= 1 << chance.below(8);
        }
    }
    bytes.into()
}

impl Platter {
    fn log(&self, log: LogId) -> Option<&Kept> {
        self.logs.get(log.0)?.as_ref()
    }

    fn writable(&mut self, log: LogId) -> Result<&mut Kept, StorageError> {
        if self.failing {
            return Err(StorageError { log, reason: String::from("the simulated disk does not write") });
        }
        let kept = self.logs.get_mut(log.0).and_then(Option::as_mut);
        kept.ok_or_else(|| StorageError { log, reason: String::from("the log was removed") })
    }
}

impl LogStore for Disk {
    fn open(&mut self, name: LogName) -> LogId {
        let mut platter = self.0.borrow_mut();
        let found = platter.logs.iter().position(|log| log.as_ref().is_some_and(|log| log.name == name));
        LogId(found.unwrap_or_else(|| {
            let (checkpoint, checkpoint_synced) = (Checkpoint::default(), Checkpoint::default());
            platter.logs.push(Some(Kept { name, batches: Vec::new(), synced: 0, checkpoint, checkpoint_synced }));
            platter.logs.len() - 1
        }))
    }

    fn names(&self) -> Vec<LogName> {
        let mut names: Vec<LogName> = self.0.borrow().logs.iter().flatten().map(|log| log.name).collect();
        names.sort_unstable();
        names
    }

    fn remove(&mut self, log: LogId) {
        let mut platter = self.0.borrow_mut();
        if let Some(kept) = platter.logs[log.0].take() {
            platter.written.push(Wrote::Removed(kept.name));
        }
    }

    fn append(&mut self, log: LogId, batch: StoredBatch) -> Result<(), StorageError> {
        let mut platter = self.0.borrow_mut();
        let kept = platter.writable(log)?;
        let epoch = batch.bytes.get(12..16).map_or(-1, |bytes| i32::from_be_bytes(bytes.try_into().expect("four")));
        let written = Written { log: kept.name, base: batch.base.0, print: print(&batch.bytes), epoch };
        kept.batches.push(batch.clone());
        if written.log == LogName::Metadata {
            platter.written.push(Wrote::Metadata(batch));
        }
        platter.written.push(Wrote::Batch(written));
        Ok(())
    }

    fn read(&mut self, log: LogId, limits: ReadLimits) -> Result<Vec<Bytes>, StorageError> {
        let platter = self.0.borrow();
        let batches = platter.log(log).map_or(&[][..], |log| &log.batches);
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
        let platter = self.0.borrow();
        let mut batches = platter.log(log).map_or(&[][..], |log| &log.batches).iter();
        let found = batches.find(|batch| batch.last >= from && batch.max_timestamp >= timestamp_ms);
        Ok(found.map(|batch| batch.bytes.clone()))
    }

    fn max_timestamp(&self, log: LogId) -> Option<(i64, Offset)> {
        let platter = self.0.borrow();
        let batches = platter.log(log)?.batches.iter();
        batches.map(|batch| (batch.max_timestamp, batch.base)).max_by_key(|(at, base)| (*at, std::cmp::Reverse(*base)))
    }

    fn remove_before(&mut self, log: LogId, offset: Offset) {
        if let Some(kept) = self.0.borrow_mut().logs[log.0].as_mut() {
            let from = kept.batches.partition_point(|batch| batch.last < offset);
            kept.batches.drain(..from);
            kept.synced = kept.synced.saturating_sub(from);
            let synced = &mut kept.checkpoint_synced;
            synced.log_start = synced.log_start.max(offset);
            synced.high_watermark = synced.high_watermark.max(offset);
        }
    }

    fn size(&self, log: LogId) -> u64 {
        self.0.borrow().log(log).map_or(0, |log| log.batches.iter().map(|batch| batch.bytes.len() as u64).sum())
    }

    fn truncate(&mut self, log: LogId, end: Offset) -> Result<(), StorageError> {
        let mut platter = self.0.borrow_mut();
        let kept = platter.writable(log)?;
        kept.batches.truncate(kept.batches.partition_point(|batch| batch.last < end));
        kept.synced = kept.synced.min(kept.batches.len());
        Ok(())
    }

    fn replace(&mut self, log: LogId, range: Range<Offset>, batches: Vec<StoredBatch>) -> Result<(), StorageError> {
        let mut platter = self.0.borrow_mut();
        let kept = platter.writable(log)?;
        let from = kept.batches.partition_point(|batch| batch.base < range.start);
        let to = kept.batches.partition_point(|batch| batch.last < range.end).max(from);
        kept.synced = kept.synced.max(to) - (to - from) + batches.len();
        kept.batches.splice(from..to, batches);
        Ok(())
    }

    fn sync(&mut self, log: LogId) -> Result<(), StorageError> {
        let mut platter = self.0.borrow_mut();
        let kept = platter.writable(log)?;
        kept.synced = kept.batches.len();
        kept.checkpoint_synced = kept.checkpoint;
        Ok(())
    }

    fn save(&mut self, slot: Slot, state: Bytes) -> Result<(), StorageError> {
        let mut platter = self.0.borrow_mut();
        if platter.failing {
            return Err(StorageError { log: LogId(0), reason: String::from("the simulated disk does not write") });
        }
        platter.slots.retain(|(kept, _)| *kept != slot);
        platter.slots.push((slot, state));
        Ok(())
    }

    fn load(&self, slot: Slot) -> Option<Bytes> {
        self.0.borrow().slots.iter().find(|(kept, _)| *kept == slot).map(|(_, state)| state.clone())
    }

    fn checkpoint(&mut self, log: LogId, checkpoint: Checkpoint) {
        if let Some(kept) = self.0.borrow_mut().logs[log.0].as_mut() {
            kept.checkpoint = checkpoint;
            let synced = &mut kept.checkpoint_synced.high_watermark;
            *synced = checkpoint.high_watermark.min(*synced);
        }
    }

    fn checkpointed(&self, log: LogId) -> Checkpoint {
        self.0.borrow().log(log).map(|log| log.checkpoint).unwrap_or_default()
    }

    fn lose_power(&mut self) {
        for log in self.0.borrow_mut().logs.iter_mut().flatten() {
            log.batches.truncate(log.synced);
            log.checkpoint = log.checkpoint_synced;
        }
    }
}
