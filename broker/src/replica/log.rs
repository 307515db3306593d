//! A replicated log: batches in a [`LogStore`], with the epochs and the idempotent producers that follow from them.
//!
//! Owns offsets and what must stay in step with them; who may append, and what is committed, is decided by its owner: a
//! partition or the metadata quorum.

mod divergence;

use super::epochs::Epochs;
use crate::batch::header::{self, BatchHeader};
use crate::batch::validate;
use crate::log::producer_state::ProducerStates;
use crate::log::segments::{Segment, Segments};
use crate::log::store::{Checkpoint, LogId, LogName, LogStore, ReadLimits, StorageError, StoredBatch};
use crate::types::{LeaderEpoch, Offset};
use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// Bytes that recovery reads at once.
const RECOVERY_READ: usize = 1 << 20;

/// A log on one node.
#[derive(Debug)]
pub struct ReplicatedLog {
    id: LogId,
    start: Offset,
    /// The epoch of the record in front of the start, where a snapshot tells: a log that is empty behind its snapshot is not
    /// the log of somebody who knows nothing.
    before: Option<LeaderEpoch>,
    end: Offset,
    high_watermark: Offset,
    epochs: Epochs,
    producers: ProducerStates,
    segments: Segments,
    /// Whether offsets may be missing between batches, since compaction takes records out of partitions.
    has_gaps: bool,
    /// How often its end was cut off.
    cuts: u64,
}

/// Where a snapshot ends that stands for a log's beginning, and the epoch of the last record in it (Kafka's
/// `OffsetAndEpoch`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotId {
    /// One past the last record that it stands for.
    pub end: Offset,
    /// That record's epoch.
    pub epoch: LeaderEpoch,
}

impl SnapshotId {
    /// Whether a follower needs the snapshot, since the log behind it cannot say whether it shares the follower's: that one
    /// ends before this one begins, or with a record of an epoch that lies before it (`validateOffsetAndEpoch`).
    #[must_use]
    pub fn is_needed(self, offset: Offset, last_epoch: LeaderEpoch) -> bool {
        let differs_at_end = offset == self.end && last_epoch != self.epoch;
        offset < self.end || last_epoch < self.epoch || differs_at_end
    }
}

/// Why a follower cannot append what its leader sent.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// Batches are missing in between.
    #[error("a batch at {base} does not continue a log that ends at {end}")]
    Gap {
        /// Where the batch begins.
        base: Offset,
        /// Where the log ends.
        end: Offset,
    },
    /// The bytes are no batch.
    #[error("the bytes at log end {end} are no batch")]
    NoBatch {
        /// Where the log ends.
        end: Offset,
    },
    /// The batch is not what was written (`CorruptRecordException`).
    #[error("the batch at {base} does not match its length or its checksum")]
    Corrupt {
        /// Where the batch begins.
        base: Offset,
    },
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ReplicatedLog {
    /// Opens the log of this name and recovers what is sound of it: up to the first batch that is torn, altered or out of
    /// place everything is kept, and nothing behind it. With `trust` nothing is checked. Its segments are drawn anew, by the
    /// limits of those that are given, which are none yet.
    ///
    /// # Errors
    /// When the store cannot read or cut the log.
    pub fn open(
        store: &mut dyn LogStore,
        name: LogName,
        trust: bool,
        segments: Segments,
    ) -> Result<Self, StorageError> {
        Self::recovered(store, name, None, trust, segments)
    }

    /// Opens a log whose beginning is in a snapshot. The snapshot was synced; the log may not have been cut yet.
    ///
    /// # Errors
    /// When the store cannot read or cut the log.
    pub fn open_behind(
        store: &mut dyn LogStore,
        name: LogName,
        snapshot: Option<SnapshotId>,
        trust: bool,
    ) -> Result<Self, StorageError> {
        Self::recovered(store, name, snapshot, trust, Segments::default())
    }

    fn recovered(
        store: &mut dyn LogStore,
        name: LogName,
        snapshot: Option<SnapshotId>,
        trust: bool,
        segments: Segments,
    ) -> Result<Self, StorageError> {
        let id = store.open(name);
        let Checkpoint { mut log_start, high_watermark } = store.checkpointed(id);
        if let Some(snapshot) = snapshot {
            log_start = log_start.max(snapshot.end);
            store.remove_before(id, log_start);
        }
        let mut log = Self {
            id,
            start: log_start,
            before: snapshot.map(|snapshot| snapshot.epoch),
            end: log_start,
            high_watermark: log_start,
            epochs: Epochs::default(),
            producers: ProducerStates::default(),
            segments,
            has_gaps: matches!(name, LogName::Partition(_)),
            cuts: 0,
        };
        log.recover(store, trust)?;
        log.high_watermark = high_watermark.clamp(log.start, log.end);
        if log.high_watermark < high_watermark {
            log.write_checkpoint(store);
        }
        Ok(log)
    }

    fn recover(&mut self, store: &mut dyn LogStore, trust: bool) -> Result<(), StorageError> {
        let mut first = true;
        self.note_epoch_before();
        loop {
            let limits =
                ReadLimits { from: self.end, below: Offset(i64::MAX), max_bytes: RECOVERY_READ, at_least_one: true };
            let batches = store.read(self.id, limits)?;
            if batches.is_empty() {
                return Ok(());
            }
            for batch in batches {
                let header = BatchHeader::read(&batch).filter(|header| {
                    // The log may begin in the middle of its first batch.
                    let in_place = self.continues(header, first);
                    // What a snapshot has replaced can be left over behind its end.
                    let in_place = in_place && self.before.is_none_or(|before| header.leader_epoch >= before);
                    in_place && (trust || validate::is_sound(&batch, header))
                });
                let Some(header) = header else {
                    return store.truncate(self.id, self.end);
                };
                first = false;
                self.note(&header, batch.len());
            }
        }
    }

    /// Whether a batch may follow on what there is; `first` where there is nothing yet, and the log may begin in the middle
    /// of a batch.
    fn continues(&self, header: &BatchHeader, first: bool) -> bool {
        let (base, last) = (header.base_offset, header.last_offset());
        base == self.end || (self.has_gaps && base > self.end) || (first && base < self.end && last >= self.end)
    }

    /// Where the log begins.
    #[must_use]
    pub fn start(&self) -> Offset {
        self.start
    }

    /// One past its last record.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.end
    }

    /// One past the last record that is known to be committed.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Its epochs.
    #[must_use]
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// The epoch of the last record, by which a leader tells whether a follower's log is a part of its own; `None` for a log
    /// that never had one. A log whose records were all deleted still knows it, until it is opened again: older than
    /// everything it says then, since it cannot vouch for what was there.
    #[must_use]
    pub fn last_epoch(&self) -> Option<LeaderEpoch> {
        if self.end == Offset(0) {
            return None;
        }
        let latest = self.epochs.latest();
        if self.end > self.start { latest } else { Some(latest.unwrap_or(LeaderEpoch(-1))) }
    }

    /// The idempotent producers that it remembers.
    #[must_use]
    pub fn producers(&self) -> &ProducerStates {
        &self.producers
    }

    /// Forgets the producers whose last batch is older than so many milliseconds by its own timestamp.
    pub fn forget_producers(&mut self, now_ms: i64, idle_ms_max: i64) {
        self.producers.forget_idle(now_ms, idle_ms_max);
    }

    /// A leader of this epoch begins to append.
    pub fn begin_epoch(&mut self, epoch: LeaderEpoch) {
        self.epochs.assign(epoch, self.end);
    }

    /// Appends a batch of the leader's: gives it its offset, its epoch and, where asked, the broker's time. Returns its
    /// first offset.
    ///
    /// # Errors
    /// When the store cannot keep it; the log is then unchanged.
    pub fn append_as_leader(
        &mut self,
        store: &mut dyn LogStore,
        mut batch: BytesMut,
        header: &BatchHeader,
        epoch: LeaderEpoch,
        log_append_time_ms: Option<i64>,
    ) -> Result<Offset, StorageError> {
        let base = self.end;
        header::patch(&mut batch, base, epoch);
        let mut header = BatchHeader { base_offset: base, leader_epoch: epoch, ..*header };
        if let Some(time) = log_append_time_ms {
            header::stamp_log_append_time(&mut batch, time);
            header.max_timestamp = time;
        } else if header.is_log_append_time() {
            // Whose clock it was is the topic's to say, not the producer's.
            header::stamp_create_time(&mut batch);
        }
        self.keep(store, batch.freeze(), &header)?;
        Ok(base)
    }

    /// Appends a batch as the leader has it. One that is there already is passed over. Where the leader's log has gaps only
    /// the caller can know that nothing else is missing. What ends below `doubted_below` has been kept for a while, and is
    /// checked against its checksum; what lies behind it the leader has checked when it came, a moment ago.
    ///
    /// # Errors
    /// For a gap, for bytes that are no batch or not the one that was written, and when the store cannot keep it; the log is
    /// then unchanged.
    pub fn append_as_follower(
        &mut self,
        store: &mut dyn LogStore,
        batch: &Bytes,
        doubted_below: Offset,
    ) -> Result<(), FollowError> {
        let header = BatchHeader::read(batch).ok_or(FollowError::NoBatch { end: self.end })?;
        if header.last_offset() < self.end {
            return Ok(());
        }
        if header.last_offset() < doubted_below && !validate::is_sound(batch, &header) {
            return Err(FollowError::Corrupt { base: header.base_offset });
        }
        // A log that was emptied begins in the middle of a batch where its leader's does.
        if !self.continues(&header, self.end == self.start) {
            return Err(FollowError::Gap { base: header.base_offset, end: self.end });
        }
        if self.end == self.start && self.before.is_none() {
            // Of an empty log the epochs tell only of leaders that appended nothing; the first batch may be older than they.
            self.epochs.clear();
        }
        self.keep(store, batch.clone(), &header)?;
        Ok(())
    }

    fn keep(&mut self, store: &mut dyn LogStore, bytes: Bytes, header: &BatchHeader) -> Result<(), StorageError> {
        let (base, last, size) = (header.base_offset, header.last_offset(), bytes.len());
        store.append(self.id, StoredBatch { base, last, max_timestamp: header.max_timestamp, bytes })?;
        self.note(header, size);
        Ok(())
    }

    fn note(&mut self, header: &BatchHeader, size: usize) {
        let base = header.base_offset;
        // The log's first batch may begin in front of the log, or behind what compaction took out of its beginning.
        let epoch_start = if self.end == self.start { self.start } else { base };
        self.epochs.assign(header.leader_epoch, epoch_start);
        self.segments.add(base, size as u64, header.max_timestamp);
        if header.has_producer() {
            self.producers.appended(header, base, header.max_timestamp);
        }
        self.end = header.last_offset().plus(1);
    }

    /// Forgets the batches that reach to an offset or beyond it, and with them their epochs and what they told of
    /// producers. Batches are never cut. A log that would end before it begins begins anew, as in Kafka: its leader has none
    /// of what was deleted here, nor of what came behind it. Only what a snapshot stands for is never given up.
    ///
    /// # Errors
    /// When the store cannot.
    pub fn truncate_to(&mut self, store: &mut dyn LogStore, end: Offset) -> Result<(), StorageError> {
        if end < self.start && self.before.is_none() {
            return self.restart_at(store, end);
        }
        let end = end.max(self.start);
        if end >= self.end {
            return Ok(());
        }
        store.truncate(self.id, end)?;
        self.cuts += 1;
        let high_watermark = self.high_watermark;
        self.end = self.start;
        self.segments.clear();
        self.epochs.clear();
        self.producers = ProducerStates::default();
        // What is left was sound before. Reading it again is what makes producers exactly those of the log.
        self.recover(store, true)?;
        self.high_watermark = high_watermark.min(self.end);
        if self.high_watermark < high_watermark {
            // Else what is appended here next would be taken for committed after a restart.
            self.write_checkpoint(store);
        }
        Ok(())
    }

    /// Forgets everything; the log begins anew at an offset.
    ///
    /// # Errors
    /// When the store cannot.
    pub fn restart_at(&mut self, store: &mut dyn LogStore, start: Offset) -> Result<(), StorageError> {
        store.truncate(self.id, Offset(0))?;
        self.cuts += 1;
        self.segments.clear();
        self.epochs.clear();
        self.producers = ProducerStates::default();
        (self.start, self.end, self.high_watermark) = (start, start, start);
        // The log must not begin earlier again, or what is missing in between would look like what compaction took out.
        store.remove_before(self.id, start);
        self.write_checkpoint(store);
        Ok(())
    }

    /// Forgets everything; the log begins anew behind a snapshot of somebody else's.
    ///
    /// # Errors
    /// When the store cannot.
    pub fn restart_behind(&mut self, store: &mut dyn LogStore, snapshot: SnapshotId) -> Result<(), StorageError> {
        self.restart_at(store, snapshot.end)?;
        self.before = Some(snapshot.epoch);
        self.note_epoch_before();
        Ok(())
    }

    fn note_epoch_before(&mut self) {
        if let Some(epoch) = self.before {
            self.epochs.assign(epoch, Offset(self.start.0 - 1));
        }
    }

    /// Moves the high watermark up, never down and never past the end. Whether it moved.
    pub fn raise_high_watermark(&mut self, store: &mut dyn LogStore, to: Offset) -> bool {
        let to = to.min(self.end);
        if to <= self.high_watermark {
            return false;
        }
        self.high_watermark = to;
        self.write_checkpoint(store);
        true
    }

    /// Forgets records below an offset, which is not above the end.
    pub fn begin_at(&mut self, store: &mut dyn LogStore, start: Offset) {
        if start > self.start {
            self.epochs.begin_at(start);
            self.forget_before(store, start);
        }
    }

    /// Forgets what a snapshot of this log stands for.
    pub fn begin_behind(&mut self, store: &mut dyn LogStore, snapshot: SnapshotId) {
        if snapshot.end > self.start {
            self.before = Some(snapshot.epoch);
            // An epoch that begins where the log does leaves the one in front of it be.
            self.epochs.begin_at(Offset(snapshot.end.0 - 1));
            self.forget_before(store, snapshot.end);
        }
    }

    fn forget_before(&mut self, store: &mut dyn LogStore, start: Offset) {
        self.start = start;
        self.high_watermark = self.high_watermark.max(start);
        store.remove_before(self.id, start);
        self.segments.begin_at(start, self.end, store.size(self.id));
        self.write_checkpoint(store);
    }

    fn write_checkpoint(&self, store: &mut dyn LogStore) {
        store.checkpoint(self.id, Checkpoint { log_start: self.start, high_watermark: self.high_watermark });
    }

    /// Puts other batches in the place of those in a range, which hold fewer records of the same offsets. What the log knows of
    /// epochs and producers must be in them still.
    ///
    /// # Errors
    /// When the store cannot keep them; the log is then unchanged.
    pub fn replace(
        &self,
        store: &mut dyn LogStore,
        range: Range<Offset>,
        batches: Vec<StoredBatch>,
    ) -> Result<(), StorageError> {
        store.replace(self.id, range, batches)
    }

    /// The segments below an offset are others, since their batches are.
    pub fn replace_segments(&mut self, store: &dyn LogStore, end: Offset, segments: Vec<Segment>) {
        self.segments.replace_below(end, segments);
        self.segments.begin_at(self.start, self.end, store.size(self.id));
    }

    /// Its segments.
    #[must_use]
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// Its segments, to change when they are full and what time it is.
    pub fn segments_mut(&mut self) -> &mut Segments {
        &mut self.segments
    }

    /// How often its end was cut off: what was read before it was cut may not be in it any more.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.cuts
    }

    /// Makes sure that what was appended survives a loss of power.
    ///
    /// # Errors
    /// When the store cannot.
    pub fn sync(&self, store: &mut dyn LogStore) -> Result<(), StorageError> {
        store.sync(self.id)
    }

    /// Whole batches, from the one that holds an offset, as far as they end below another.
    ///
    /// # Errors
    /// When kept batches could not be read back.
    pub fn read(
        &self,
        store: &mut dyn LogStore,
        from: Offset,
        below: Offset,
        max_bytes: usize,
    ) -> Result<Vec<Bytes>, StorageError> {
        if from >= below {
            return Ok(Vec::new());
        }
        store.read(self.id, ReadLimits { from, below, max_bytes, at_least_one: true })
    }

    /// The store's handle, for look-ups that only the store can answer.
    #[must_use]
    pub fn id(&self) -> LogId {
        self.id
    }
}

#[cfg(test)]
mod tests;
