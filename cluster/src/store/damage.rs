//! Damage to what a disk has: flipped bits, torn tails, logs and parts of them that are gone.
//!
//! It is done by what every store can do, and so to every store alike: batches are taken out and others, or none, put in
//! their places. Bytes that replicas share are never touched.

use bytes::{Bytes, BytesMut};
use shakedown_broker::batch::header::{BatchHeader, HEADER_SIZE};
use shakedown_broker::log::store::{LogId, LogName, LogStore, ReadLimits, StorageError, StoredBatch};
use shakedown_broker::types::Offset;
use std::ops::Range;

/// Damage to what a disk has. It is done once, and is not undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// One bit of the batch that holds this offset, in the middle of its records.
    FlippedBit {
        /// An offset of the batch.
        offset: i64,
    },
    /// The last batch lacks its last bytes, all but one of them at most: the process died while it was written.
    TornTail {
        /// How many bytes.
        bytes: usize,
    },
    /// Batches that reach into this range of offsets, as if their segment's file were gone.
    LostBatches {
        /// The first offset that is gone.
        from: i64,
        /// One past the last offset that is gone.
        below: i64,
    },
    /// The whole log, and what was noted of it.
    LostLog,
}

impl std::fmt::Display for Damage {
    /// `flipped-bit 25`, `torn-tail 40`, `lost-segment 0 to 99`, `lost-log`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::FlippedBit { offset } => write!(f, " {offset}"),
            Self::TornTail { bytes } => write!(f, " {bytes}"),
            Self::LostBatches { from, below } => write!(f, " {from} to {}", below - 1),
            Self::LostLog => Ok(()),
        }
    }
}

impl Damage {
    /// The damage as scenarios call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::FlippedBit { .. } => "flipped-bit",
            Self::TornTail { .. } => "torn-tail",
            Self::LostBatches { .. } => "lost-segment",
            Self::LostLog => "lost-log",
        }
    }

    /// Whether it can be done under the feet of a node that runs. One that has opened a file keeps it, whatever becomes of
    /// its name.
    pub(crate) const fn needs_rest(self) -> bool {
        !matches!(self, Self::FlippedBit { .. })
    }

    /// Whether it finds something in a log with these offsets, as far as a node can tell that runs on it.
    pub(crate) fn would_find(self, log: &Range<Offset>) -> bool {
        match self {
            Self::FlippedBit { offset } => log.contains(&Offset(offset)),
            Self::TornTail { .. } => !log.is_empty(),
            Self::LostBatches { from, below } => from.max(log.start.0) < below.min(log.end.0),
            Self::LostLog => true,
        }
    }

    /// Does it to a log of a store; whether anything of it was there. Whatever lies behind the damage is written anew, and
    /// all of it counts as synced.
    pub(crate) fn strike(self, store: &mut dyn LogStore, name: LogName) -> Result<bool, StorageError> {
        if !store.names().contains(&name) {
            return Ok(false);
        }
        let log = store.open(name);
        match self {
            Self::FlippedBit { offset } => {
                rewrite(store, log, offset, |batch| (batch.base.0 <= offset).then(|| flip(batch)))
            }
            Self::TornTail { bytes } => {
                let Some(end) = end(store, log)? else { return Ok(false) };
                rewrite(store, log, end, |batch| Some(tear(batch, bytes)))
            }
            Self::LostBatches { from, below } => {
                rewrite(store, log, from, |batch| (batch.base.0 < below).then_some(None))
            }
            Self::LostLog => {
                store.remove(log);
                Ok(true)
            }
        }
    }
}

/// The last offset of a log that has batches.
fn end(store: &mut dyn LogStore, log: LogId) -> Result<Option<i64>, StorageError> {
    let mut last = None;
    let mut from = Offset(0);
    loop {
        let limits = ReadLimits { from, below: Offset(i64::MAX), max_bytes: 1 << 20, at_least_one: true };
        let batches = store.read(log, limits)?;
        let Some(header) = batches.last().and_then(|batch| BatchHeader::read(batch)) else { return Ok(last) };
        last = Some(header.last_offset().0);
        from = header.last_offset().plus(1);
    }
}

/// Changes batches from the one that holds an offset on, for as long as `change` answers: with another batch, or with
/// none in its place.
fn rewrite(
    store: &mut dyn LogStore,
    log: LogId,
    from: i64,
    mut change: impl FnMut(&StoredBatch) -> Option<Option<StoredBatch>>,
) -> Result<bool, StorageError> {
    let limits = ReadLimits { from: Offset(from), below: Offset(i64::MAX), max_bytes: usize::MAX, at_least_one: true };
    let stored = |bytes: Bytes| {
        let header = BatchHeader::read(&bytes)?;
        let (base, last) = (header.base_offset, header.last_offset());
        Some(StoredBatch { base, last, max_timestamp: header.max_timestamp, bytes })
    };
    let batches: Vec<StoredBatch> = store.read(log, limits)?.into_iter().filter_map(stored).collect();
    let Some(changed) = batches.first().and_then(&mut change) else { return Ok(false) };
    store.truncate(log, batches[0].last)?;
    let mut changed = Some(changed);
    for batch in batches {
        let kept = match changed.take().or_else(|| change(&batch)) {
            Some(replaced) => replaced,
            None => Some(batch),
        };
        if let Some(batch) = kept {
            store.append(log, batch)?;
        }
    }
    store.sync(log)?;
    Ok(true)
}

fn flip(batch: &StoredBatch) -> Option<StoredBatch> {
    let mut bytes = BytesMut::from(&batch.bytes[..]);
    let middle = HEADER_SIZE.midpoint(bytes.len()).min(bytes.len() - 1);
    bytes[middle] ^= 1;
    Some(StoredBatch { bytes: bytes.freeze(), ..batch.clone() })
}

fn tear(batch: &StoredBatch, bytes: usize) -> Option<StoredBatch> {
    let left = batch.bytes.len().saturating_sub(bytes).max(1);
    // A copy: what other nodes share stays whole.
    Some(StoredBatch { bytes: Bytes::copy_from_slice(&batch.bytes[..left]), ..batch.clone() })
}
