//! A partition on one node, leader or follower: its role, what clients may append and read, look-ups.
//!
//! What leaders and followers tell each other is in `replication.rs` beside it; the log itself in `replica/log.rs`.

use super::cleaning::policy::Policy;
use super::producer_state::{Admission, ProducerStates};
use super::segments::Segments;
use super::store::{LogName, LogStore, ReadLimits, StorageError};
use crate::batch::header::BatchHeader;
use crate::batch::records;
use crate::batch::validate::{self, Limits, Refusal};
use crate::metadata::record::PartitionState;
use crate::purgatory::WaitId;
use crate::replica::leader::Leadership;
use crate::replica::log::ReplicatedLog;
pub use crate::types::PartitionId;
use crate::types::{BrokerId, LeaderEpoch, Now, Offset};
use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;

/// A replica on this node.
#[derive(Debug)]
pub struct Partition {
    pub(super) own: BrokerId,
    pub(super) log: ReplicatedLog,
    leader_epoch: LeaderEpoch,
    /// Whether this node is in the ISR, as far as it knows.
    pub(super) in_sync: bool,
    /// The epoch in which this node last became leader: it can lead on in a new one, and has lost nothing then.
    leads_since: LeaderEpoch,
    partition_epoch: i32,
    pub(super) role: Role,
    /// What may be appended, and what is enough to acknowledge it.
    pub limits: Limits,
    pub(super) policy: Policy,
    /// Up to where its log was cleaned, and how often it had been cut then.
    pub(super) cleaned: (Offset, u64),
    /// `min.insync.replicas`, but never more than there are replicas.
    pub min_isr: usize,
    /// Requests to look at again once the high watermark moves.
    pub watchers: Vec<WaitId>,
    pub(super) high_watermark_moved: bool,
}

/// What this node is to a partition.
#[derive(Debug)]
pub(super) enum Role {
    Leader(Leadership),
    /// `None` while there is no leader.
    Follower(Option<BrokerId>),
}

/// What new metadata did to a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleChange {
    /// Nothing that anybody has to be told.
    None,
    /// It leads as before; the controller has decided about its ISR or its replicas.
    Decided {
        /// Whether the ISR is another.
        isr_changed: bool,
    },
    /// It leads in a new epoch; it followed that node before.
    Leads {
        /// Whom it followed.
        before: Option<BrokerId>,
    },
    /// It follows.
    Follows {
        /// Whether it led until now.
        led: bool,
        /// Whom it followed before.
        before: Option<BrokerId>,
        /// Whom it follows now.
        leader: Option<BrokerId>,
        /// Whether the leader's epoch is new.
        new_epoch: bool,
    },
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
    /// Opens this node's replica; it follows nobody until [`Self::assume`].
    ///
    /// # Errors
    /// When the store cannot read it.
    pub fn open(
        store: &mut dyn LogStore,
        own: BrokerId,
        id: PartitionId,
        settings: (Limits, Policy),
        trust: bool,
        now: Now,
    ) -> Result<Self, StorageError> {
        let (limits, policy) = settings;
        let segments = Segments::new(policy.segment_limits(), now.wall_ms);
        Ok(Self {
            own,
            log: ReplicatedLog::open(store, LogName::Partition(id), trust, segments)?,
            leader_epoch: LeaderEpoch(-1),
            in_sync: false,
            leads_since: LeaderEpoch(-1),
            partition_epoch: -1,
            role: Role::Follower(None),
            limits,
            policy,
            cleaned: (Offset(0), 0),
            min_isr: 1,
            watchers: Vec::new(),
            high_watermark_moved: false,
        })
    }

    /// Takes the role that the metadata gives this node. What changed, if anything did.
    pub fn assume(&mut self, store: &mut dyn LogStore, state: &PartitionState, now: Now) -> RoleChange {
        if state.partition_epoch <= self.partition_epoch {
            return RoleChange::None;
        }
        self.partition_epoch = state.partition_epoch;
        let new_epoch = state.leader_epoch > self.leader_epoch;
        self.leader_epoch = state.leader_epoch;
        self.in_sync = state.isr.contains(&self.own);
        if state.leader != Some(self.own) {
            let led = self.leads();
            let before = self.leader();
            self.role = Role::Follower(state.leader);
            return RoleChange::Follows { led, before: before.filter(|_| !led), leader: state.leader, new_epoch };
        }
        let before = if self.leads() { None } else { self.leader() };
        if !self.leads() {
            self.leads_since = state.leader_epoch;
        }
        match &mut self.role {
            Role::Leader(leadership) if !new_epoch => {
                let changed = leadership.isr() != state.isr;
                leadership.decided(self.own, &state.replicas, &state.isr);
                self.advance(store);
                RoleChange::Decided { isr_changed: changed }
            }
            _ => {
                self.log.begin_epoch(state.leader_epoch);
                let now_ns = now.monotonic_ns;
                let leadership = Leadership::new(self.own, &state.replicas, &state.isr, self.log.end(), now_ns);
                self.role = Role::Leader(leadership);
                self.advance(store);
                RoleChange::Leads { before }
            }
        }
    }

    /// What becomes of its old records from now on. Segments that are drawn stay as they are.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
        self.log.segments_mut().limits = policy.segment_limits();
    }

    /// What time it is for batches that come next and do not say.
    pub fn note_time(&mut self, now: Now) {
        self.log.segments_mut().clock_ms = now.wall_ms;
    }

    /// Gives the log's space back.
    pub fn remove(self, store: &mut dyn LogStore) {
        store.remove(self.log.id());
    }

    /// The epoch of the current leader, this node or another.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// Counts every change of leader, replicas and ISR.
    #[must_use]
    pub fn partition_epoch(&self) -> i32 {
        self.partition_epoch
    }

    /// The first offset that still exists.
    #[must_use]
    pub fn log_start(&self) -> Offset {
        self.log.start()
    }

    /// One past the last offset that was appended here.
    #[must_use]
    pub fn log_end(&self) -> Offset {
        self.log.end()
    }

    /// One past the last offset that consumers may read.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.log.high_watermark()
    }

    /// Whether this node leads it.
    #[must_use]
    pub fn leads(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Whether this node has led it ever since an epoch, in which it led: then nothing was cut off.
    #[must_use]
    pub fn leads_since(&self, epoch: LeaderEpoch) -> bool {
        self.leads() && epoch >= self.leads_since
    }

    /// Who leads it, as far as this node knows.
    #[must_use]
    pub fn leader(&self) -> Option<BrokerId> {
        match self.role {
            Role::Leader(_) => Some(self.own),
            Role::Follower(leader) => leader,
        }
    }

    /// Who is in sync; empty on a follower, which does not know.
    #[must_use]
    pub fn isr(&self) -> &[BrokerId] {
        match &self.role {
            Role::Leader(leadership) => leadership.isr(),
            Role::Follower(_) => &[],
        }
    }

    /// Whether the high watermark is known since this leader's epoch began: before that it may be lower than what
    /// consumers were shown by the last leader (KIP-207).
    #[must_use]
    pub fn knows_high_watermark(&self) -> bool {
        match &self.role {
            Role::Leader(leadership) => self.high_watermark() >= leadership.epoch_start,
            Role::Follower(_) => true,
        }
    }

    /// Whether fewer replicas are in sync than `min.insync.replicas` asks for.
    #[must_use]
    pub fn is_under_min_isr(&self) -> bool {
        self.isr().len() < self.min_isr
    }

    /// Moves the high watermark to what the ISR has. Whether it moved. Below `min.insync.replicas` it stands still
    /// (KIP-966): what consumers were shown must survive.
    pub fn advance(&mut self, store: &mut dyn LogStore) -> bool {
        let Role::Leader(leadership) = &self.role else { return false };
        if self.is_under_min_isr() {
            return false;
        }
        let committed = leadership.commit(self.own, self.log.end());
        let moved = committed.is_some_and(|to| self.log.raise_high_watermark(store, to));
        self.high_watermark_moved |= moved;
        moved
    }

    /// Whether the high watermark moved since it was asked last.
    pub fn take_high_watermark_moved(&mut self) -> bool {
        std::mem::take(&mut self.high_watermark_moved)
    }

    /// The high watermark is the log end, whoever has it: a defect that the simulator can switch on.
    pub fn overrule_high_watermark(&mut self, store: &mut dyn LogStore) {
        if self.leads() {
            self.high_watermark_moved |= self.log.raise_high_watermark(store, self.log.end());
        }
    }

    /// Validates a producer's batch and appends it; a retry is answered as the first time.
    ///
    /// # Errors
    /// Kafka's error for a batch that may not be appended; the log is then unchanged.
    pub fn append(&mut self, store: &mut dyn LogStore, batch: &Bytes, now: Now) -> Result<Appended, Refusal> {
        let header = validate::batch(batch, self.limits, now)?;
        if header.has_producer() {
            match self.log.producers().admit(&header) {
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

    /// Appends a batch of a coordinator's own, which asks for as many replicas as acks=all does.
    ///
    /// # Errors
    /// `NOT_ENOUGH_REPLICAS`, or when the store cannot keep it.
    pub fn append_own(&mut self, store: &mut dyn LogStore, batch: BytesMut, now: Now) -> Result<Appended, Refusal> {
        self.check_min_isr()?;
        let header = BatchHeader::read(&batch).expect("a batch builder writes whole headers");
        self.write(store, batch, &header, now)
    }

    /// Whether acks=all can be promised at all.
    ///
    /// # Errors
    /// `NOT_ENOUGH_REPLICAS`.
    pub fn check_min_isr(&self) -> Result<(), Refusal> {
        if !self.is_under_min_isr() {
            return Ok(());
        }
        let (isr, min) = (self.isr().len(), self.min_isr);
        let message = format!("{isr} replicas are in sync, min.insync.replicas asks for {min}");
        Err(Refusal { error: ResponseError::NotEnoughReplicas, message })
    }

    fn write(
        &mut self,
        store: &mut dyn LogStore,
        batch: BytesMut,
        header: &BatchHeader,
        now: Now,
    ) -> Result<Appended, Refusal> {
        let before = self.log.end();
        self.note_time(now);
        let time = self.limits.log_append_time.then_some(now.wall_ms);
        let base = self
            .log
            .append_as_leader(store, batch, header, self.leader_epoch, time)
            .map_err(|error| Refusal { error: ResponseError::KafkaStorageError, message: error.to_string() })?;
        if let Role::Leader(leadership) = &mut self.role {
            leadership.appended(before, now.monotonic_ns);
        }
        self.advance(store);
        Ok(Appended { base, log_append_time_ms: time.unwrap_or(-1), is_new: true })
    }

    fn sequence_refusal(&self, header: &BatchHeader, error: ResponseError) -> Refusal {
        let message = format!(
            "producer {} with epoch {} sent sequence {} at log end {}",
            header.producer_id,
            header.producer_epoch,
            header.base_sequence,
            self.log_end()
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
        let below = self.high_watermark();
        if from >= below {
            return Ok(Vec::new());
        }
        store.read(self.log.id(), ReadLimits { from, below, max_bytes, at_least_one })
    }

    /// As [`Self::read`], for clients: the limit is used to its last byte even where that cuts a batch, as in Kafka, which sends
    /// slices of files. Clients take no notice of a batch that is not whole. The first one is whole or not there at all.
    ///
    /// # Errors
    /// When kept batches could not be read back.
    pub fn read_for_client(
        &self,
        store: &mut dyn LogStore,
        from: Offset,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Vec<Bytes>, StorageError> {
        let mut batches = self.read(store, from, max_bytes, at_least_one)?;
        let left = max_bytes.saturating_sub(batches.iter().map(Bytes::len).sum());
        let last = batches.last().and_then(|last| BatchHeader::read(last)).filter(|_| left > 0);
        if let Some(next) = last.map(|last| last.last_offset().plus(1)) {
            let cut = self.read(store, next, left, true)?;
            batches.extend(cut.first().map(|batch| batch.slice(..left.min(batch.len()))));
        }
        Ok(batches)
    }

    /// Whether a fetch may begin here.
    #[must_use]
    pub fn contains(&self, offset: Offset) -> bool {
        (self.log_start()..=self.log_end()).contains(&offset)
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
        let Some(mut from) = self.log.segments().seek(self.log_start(), timestamp_ms) else {
            return Ok(TimestampOffset::NONE);
        };
        while let Some(batch) = store.find_timestamp(self.log.id(), from, timestamp_ms)? {
            let Some(header) = BatchHeader::read(&batch) else { break };
            if let Some((offset, timestamp_ms)) = records::first_at_or_after(&header, &batch, timestamp_ms, from) {
                let visible = offset < self.high_watermark();
                return Ok(if visible { TimestampOffset { timestamp_ms, offset } } else { TimestampOffset::NONE });
            }
            // The record of that age was deleted, or compaction took it out.
            from = header.last_offset().plus(1);
        }
        Ok(TimestampOffset::NONE)
    }

    /// The record with the largest timestamp (KIP-734).
    ///
    /// # Errors
    /// When kept batches could not be read back.
    pub fn offset_of_max_timestamp(&self, store: &mut dyn LogStore) -> Result<TimestampOffset, StorageError> {
        // Of the first segment only the end is left where records were deleted.
        let indexed = self.log.segments().max_timestamp().filter(|(_, at)| *at >= self.log_start());
        match indexed.or_else(|| store.max_timestamp(self.log.id())) {
            Some((timestamp_ms, _)) => self.offset_for_timestamp(store, timestamp_ms),
            None => Ok(TimestampOffset::NONE),
        }
    }

    /// Deletes the records below an offset (DeleteRecords): where the log begins then.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` for what lies behind the high watermark.
    pub fn delete_before(&mut self, store: &mut dyn LogStore, offset: Offset) -> Result<Offset, ResponseError> {
        if !(Offset(0)..=self.high_watermark()).contains(&offset) {
            return Err(ResponseError::OffsetOutOfRange);
        }
        self.log.begin_at(store, offset);
        Ok(self.log_start())
    }

    /// Bytes of its batches.
    #[must_use]
    pub fn size(&self, store: &dyn LogStore) -> u64 {
        store.size(self.log.id())
    }

    /// The idempotent producers that it remembers, by id.
    #[must_use]
    pub fn producers(&self) -> &ProducerStates {
        self.log.producers()
    }

    /// The epoch in which a record was appended; of the log's end, the leader's.
    #[must_use]
    pub fn epoch_of(&self, offset: Offset) -> LeaderEpoch {
        let of_record = if offset < self.log_end() { self.log.epochs().at(offset) } else { None };
        of_record.unwrap_or(self.leader_epoch)
    }

    /// The end offset of an epoch (OffsetForLeaderEpoch): the epoch that was found, and where it ends.
    #[must_use]
    pub fn end_of_epoch(&self, epoch: i32) -> (i32, Offset) {
        let epochs = self.log.epochs();
        // An epoch that left nothing in the log ended where the first one that did began.
        let before =
            || epochs.first().filter(|(first, _)| (0..first.0).contains(&epoch)).map(|(_, start)| (epoch, start));
        let found = epochs.end_of(LeaderEpoch(epoch), self.log_end()).map(|(found, end)| (found.0, end));
        found.or_else(before).unwrap_or((-1, Offset(-1)))
    }
}

#[cfg(test)]
mod tests;
