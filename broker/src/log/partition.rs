//! A partition on its leader: append, read, look-ups, high watermark.
//!
//! With one replica the high watermark is the log end: everything appended is as durable as it will get. What waits
//! for it (acks=all, consumers) already goes by the high watermark, never by the log end.

use super::producer_state::{Admission, ProducerStates};
use super::store::{LogId, LogStore, ReadLimits, StorageError, StoredBatch};
use crate::batch::header::{self, BatchHeader};
use crate::batch::records;
use crate::batch::validate::{self, Limits, Refusal};
use crate::purgatory::WaitId;
use crate::types::{LeaderEpoch, Now, Offset};
use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;

/// Which partition, on every node alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionId {
    /// The topic's id.
    pub topic: uuid::Uuid,
    /// The partition's index, from 0.
    pub index: i32,
}

/// What the leader keeps of a partition.
#[derive(Debug)]
pub struct Partition {
    log: LogId,
    /// The epoch under which this node leads.
    pub leader_epoch: LeaderEpoch,
    /// The first offset that still exists.
    pub log_start: Offset,
    /// One past the last offset that was appended.
    pub log_end: Offset,
    /// One past the last offset that consumers may read.
    pub high_watermark: Offset,
    /// What may be appended.
    pub limits: Limits,
    producers: ProducerStates,
    /// Fetches to look at again once the high watermark moves.
    pub watchers: Vec<WaitId>,
}

/// A batch in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Its first offset.
    pub base: Offset,
    /// The broker's timestamp under `LogAppendTime`, otherwise -1.
    pub log_append_time_ms: i64,
    /// Whether anything was added; false for a recognised retry.
    pub is_new: bool,
}

/// An answer to "where is this timestamp".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    /// -1 for none.
    pub timestamp_ms: i64,
    /// -1 for none.
    pub offset: Offset,
}

impl TimestampOffset {
    /// No record is that young.
    pub const NONE: Self = Self { timestamp_ms: -1, offset: Offset(-1) };
}

impl Partition {
    /// A new, empty partition that this node leads.
    pub fn new(store: &mut dyn LogStore, leader_epoch: LeaderEpoch, limits: Limits) -> Self {
        Self {
            log: store.create(),
            leader_epoch,
            log_start: Offset(0),
            log_end: Offset(0),
            high_watermark: Offset(0),
            limits,
            producers: ProducerStates::default(),
            watchers: Vec::new(),
        }
    }

    /// Gives the log's space back.
    pub fn remove(self, store: &mut dyn LogStore) {
        store.remove(self.log);
    }

    /// Validates a producer's batch and appends it; a retry is answered as the first time.
    ///
    /// # Errors
    /// Kafka's error for a batch that may not be appended; the log is then unchanged.
    pub fn append(&mut self, store: &mut dyn LogStore, batch: &Bytes, now: Now) -> Result<Appended, Refusal> {
        let header = validate::batch(batch, self.limits, now)?;
        if header.has_producer() {
            match self.producers.admit(&header) {
                Ok(Admission::Append) => {}
                Ok(Admission::Duplicate(seen)) => {
                    return Ok(Appended { base: seen.base, log_append_time_ms: seen.timestamp, is_new: false });
                }
                Err(error) => return Err(self.sequence_refusal(&header, error)),
            }
        }
        let size = header.size().unwrap_or(batch.len()).min(batch.len());
        self.write(store, BytesMut::from(&batch[..size]), &header, now)
    }

    /// Appends a batch of a coordinator's own.
    ///
    /// # Errors
    /// When the store cannot keep it.
    pub fn append_own(&mut self, store: &mut dyn LogStore, batch: BytesMut, now: Now) -> Result<Appended, Refusal> {
        let header = BatchHeader::read(&batch).expect("a batch builder writes whole headers");
        self.write(store, batch, &header, now)
    }

    fn write(
        &mut self,
        store: &mut dyn LogStore,
        mut batch: BytesMut,
        header: &BatchHeader,
        now: Now,
    ) -> Result<Appended, Refusal> {
        let base = self.log_end;
        header::patch(&mut batch, base, self.leader_epoch);
        let mut log_append_time_ms = -1;
        if self.limits.log_append_time {
            header::stamp_log_append_time(&mut batch, now.wall_ms);
            log_append_time_ms = now.wall_ms;
        }
        let max_timestamp = if self.limits.log_append_time { now.wall_ms } else { header.max_timestamp };
        let last = base.plus(header.last_offset_delta.into());
        store
            .append(self.log, StoredBatch { base, last, max_timestamp, bytes: batch.freeze() })
            .map_err(|error| Refusal { error: ResponseError::KafkaStorageError, message: error.to_string() })?;
        if header.has_producer() {
            self.producers.appended(header, base, max_timestamp);
        }
        self.log_end = last.plus(1);
        self.high_watermark = self.log_end;
        Ok(Appended { base, log_append_time_ms, is_new: true })
    }

    fn sequence_refusal(&self, header: &BatchHeader, error: ResponseError) -> Refusal {
        let message = format!(
            "producer {} with epoch {} sent sequence {} at log end {}",
            header.producer_id, header.producer_epoch, header.base_sequence, self.log_end
        );
        Refusal { error, message }
    }

    /// Batches below the high watermark, from the one that holds `from`.
    ///
    /// # Errors
    /// When kept batches could not be read back.
    pub fn read(
        &self,
        store: &mut dyn LogStore,
        from: Offset,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Vec<Bytes>, StorageError> {
        if from >= self.high_watermark {
            return Ok(Vec::new());
        }
        store.read(self.log, ReadLimits { from, below: self.high_watermark, max_bytes, at_least_one })
    }

    /// Whether a fetch may begin here.
    #[must_use]
    pub fn contains(&self, offset: Offset) -> bool {
        (self.log_start..=self.log_end).contains(&offset)
    }

    /// The first record at or after a timestamp.
    ///
    /// # Errors
    /// When kept batches could not be read back.
    pub fn offset_for_timestamp(
        &self,
        store: &mut dyn LogStore,
        timestamp_ms: i64,
    ) -> Result<TimestampOffset, StorageError> {
        let mut from = self.log_start;
        while let Some(batch) = store.find_timestamp(self.log, from, timestamp_ms)? {
            let Some(header) = BatchHeader::read(&batch) else { break };
            if let Some((offset, timestamp_ms)) = records::first_at_or_after(&header, &batch, timestamp_ms, from) {
                let visible = offset < self.high_watermark;
                return Ok(if visible { TimestampOffset { timestamp_ms, offset } } else { TimestampOffset::NONE });
            }
            // Only the batch in which the log begins can end here: its record of that age has been deleted.
            from = header.last_offset().plus(1);
        }
        Ok(TimestampOffset::NONE)
    }

    /// The record with the largest timestamp (KIP-734).
    ///
    /// # Errors
    /// When kept batches could not be read back.
    pub fn offset_of_max_timestamp(&self, store: &mut dyn LogStore) -> Result<TimestampOffset, StorageError> {
        match store.max_timestamp(self.log) {
            Some((timestamp_ms, _)) => self.offset_for_timestamp(store, timestamp_ms),
            None => Ok(TimestampOffset::NONE),
        }
    }

    /// Deletes the records below an offset (DeleteRecords): where the log begins then.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` for what lies behind the high watermark.
    pub fn delete_before(&mut self, store: &mut dyn LogStore, offset: Offset) -> Result<Offset, ResponseError> {
        if !(Offset(0)..=self.high_watermark).contains(&offset) {
            return Err(ResponseError::OffsetOutOfRange);
        }
        if offset > self.log_start {
            self.log_start = offset;
            store.remove_before(self.log, offset);
        }
        Ok(self.log_start)
    }

    /// Bytes of its batches.
    #[must_use]
    pub fn size(&self, store: &dyn LogStore) -> u64 {
        store.size(self.log)
    }

    /// The idempotent producers that it remembers, by id.
    #[must_use]
    pub fn producers(&self) -> &ProducerStates {
        &self.producers
    }

    /// The end offset of an epoch (OffsetForLeaderEpoch): the epoch that was found, and where it ends.
    #[must_use]
    pub fn end_of_epoch(&self, epoch: i32) -> (i32, Offset) {
        // A partition with one replica has known one epoch only.
        if epoch == self.leader_epoch.0 { (epoch, self.log_end) } else { (-1, Offset(-1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::MemoryStore;
    use super::*;
    use crate::batch::build::BatchBuilder;

    const NOW: Now = Now { monotonic_ns: 0, wall_ms: 50_000 };
    const LIMITS: Limits = Limits {
        max_message_bytes: 1 << 20,
        timestamp_after_max_ms: 3_600_000,
        log_append_time: false,
        compacted: false,
    };

    fn two_records(timestamp_ms: i64) -> Bytes {
        BatchBuilder::new(timestamp_ms).record(b"k", b"v").record(b"k", b"w").finish().freeze()
    }

    #[test]
    fn offsets_count_up_and_the_epoch_is_written() {
        let mut store = MemoryStore::default();
        let mut partition = Partition::new(&mut store, LeaderEpoch(4), LIMITS);
        for expected in [0, 2, 4] {
            let appended = partition.append(&mut store, &two_records(10), NOW).expect("a sound batch");
            assert_eq!(appended.base, Offset(expected));
        }
        let batches = partition.read(&mut store, Offset(3), 1 << 20, true).expect("memory");
        let headers: Vec<_> = batches.iter().filter_map(|batch| BatchHeader::read(batch)).collect();
        assert_eq!(headers.iter().map(|header| header.base_offset.0).collect::<Vec<_>>(), [2, 4]);
        assert!(headers.iter().all(|header| header.leader_epoch == LeaderEpoch(4)));
        assert_eq!((partition.log_end, partition.high_watermark), (Offset(6), Offset(6)));
    }

    #[test]
    fn timestamps_lead_to_the_first_record_at_or_after_them() {
        let mut store = MemoryStore::default();
        let mut partition = Partition::new(&mut store, LeaderEpoch(0), LIMITS);
        for timestamp in [100, 300, 200] {
            partition.append(&mut store, &two_records(timestamp), NOW).expect("a sound batch");
        }
        let mut at = |timestamp| partition.offset_for_timestamp(&mut store, timestamp).expect("memory").offset.0;
        assert_eq!([at(0), at(101), at(200), at(300), at(301)], [0, 2, 2, 2, -1]);
        let latest = partition.offset_of_max_timestamp(&mut store).expect("memory");
        assert_eq!(latest, TimestampOffset { timestamp_ms: 300, offset: Offset(2) });
    }

    #[test]
    fn deleted_records_are_out_of_reach_even_within_a_batch() {
        let mut store = MemoryStore::default();
        let mut partition = Partition::new(&mut store, LeaderEpoch(0), LIMITS);
        for timestamp in [100, 300, 200] {
            partition.append(&mut store, &two_records(timestamp), NOW).expect("a sound batch");
        }
        let before = partition.size(&store);
        assert_eq!(partition.delete_before(&mut store, Offset(7)), Err(ResponseError::OffsetOutOfRange));
        assert_eq!(partition.delete_before(&mut store, Offset(3)), Ok(Offset(3)));
        assert_eq!(partition.delete_before(&mut store, Offset(1)), Ok(Offset(3)), "the log never begins earlier again");
        assert!(!partition.contains(Offset(2)) && partition.contains(Offset(3)));
        assert_eq!(partition.size(&store), before / 3 * 2);
        let mut at = |timestamp| partition.offset_for_timestamp(&mut store, timestamp).expect("memory").offset.0;
        assert_eq!([at(0), at(300), at(301)], [3, 3, -1]);
        assert_eq!(partition.delete_before(&mut store, Offset(6)), Ok(Offset(6)));
        assert_eq!(partition.offset_for_timestamp(&mut store, 0).expect("memory"), TimestampOffset::NONE);
        assert_eq!(partition.size(&store), 0);
    }

    #[test]
    fn log_append_time_overrides_the_clients_clock() {
        let mut store = MemoryStore::default();
        let limits = Limits { log_append_time: true, ..LIMITS };
        let mut partition = Partition::new(&mut store, LeaderEpoch(0), limits);
        let appended = partition.append(&mut store, &two_records(i64::MAX), NOW).expect("its clock does not matter");
        assert_eq!(appended.log_append_time_ms, NOW.wall_ms);
        let found = partition.offset_for_timestamp(&mut store, 49_000).expect("memory");
        assert_eq!(found, TimestampOffset { timestamp_ms: NOW.wall_ms, offset: Offset(0) });
    }
}
