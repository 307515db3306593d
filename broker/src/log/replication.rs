//! What a partition's leader and its followers do with each other's messages.

use super::partition::{Partition, Role};
use super::store::{LogStore, StorageError};
use crate::peer::{FetchPosition, FetchRefused, Found};
use crate::replica::leader::Leadership;
use crate::replica::link::Outcome;
use crate::types::{BrokerId, Now, Offset};
use bytes::Bytes;

impl Partition {
    /// On the leader: a follower has everything below its position. Whether that is so: a follower of another epoch, or
    /// one whose log has left this one, has told nothing yet.
    pub fn note_follower(&mut self, from: BrokerId, broker_epoch: i64, at: FetchPosition, now: Now) -> bool {
        if at.leader_epoch != self.leader_epoch() || at.offset > self.log_end() {
            return false;
        }
        if self.log.divergence(at.offset, at.last_epoch).is_some() || at.offset < self.log_start() {
            return false;
        }
        let end = self.log_end();
        self.leadership_mut()
            .is_some_and(|leadership| leadership.fetched(from, broker_epoch, at.offset, end, now.monotonic_ns))
    }

    /// On the leader: a follower of this epoch says where its log begins. Whether that is later than it was.
    pub fn note_follower_start(&mut self, from: BrokerId, at: FetchPosition) -> bool {
        at.leader_epoch == self.leader_epoch()
            && self.leadership_mut().is_some_and(|leadership| leadership.begins(from, at.log_start))
    }

    /// On the leader: below this no replica that is alive has anything; `None` while one has not said where its log begins.
    #[must_use]
    pub fn low_watermark(&self, is_alive: impl Fn(BrokerId) -> bool) -> Option<Offset> {
        self.leadership()?.low_watermark(self.log_start(), is_alive)
    }

    fn leadership_mut(&mut self) -> Option<&mut Leadership> {
        match &mut self.role {
            Role::Leader(leadership) => Some(leadership),
            Role::Follower(_) => None,
        }
    }

    /// The leader's view of its followers.
    #[must_use]
    pub fn leadership(&self) -> Option<&Leadership> {
        match &self.role {
            Role::Leader(leadership) => Some(leadership),
            Role::Follower(_) => None,
        }
    }

    /// The leader's followers.
    pub fn follower_ids(&self) -> impl Iterator<Item = BrokerId> + '_ {
        self.leadership().into_iter().flat_map(Leadership::followers).map(|(id, _)| id)
    }

    /// The ISR with those who have caught up, if there are any.
    #[must_use]
    pub fn joining(&self, may_join: impl Fn(BrokerId, i64) -> bool) -> Option<Vec<BrokerId>> {
        self.leadership()?.proposal(may_join, self.high_watermark())
    }

    /// The ISR without those who have lagged for too long, if there are any.
    #[must_use]
    pub fn lagging(&self, now: Now, lag_max_ms: i64) -> Option<Vec<BrokerId>> {
        let lag_max_ns = u64::try_from(lag_max_ms).unwrap_or(0).saturating_mul(1_000_000);
        self.leadership()?.without_laggards(self.own, self.log_end(), now.monotonic_ns, lag_max_ns)
    }

    /// The controller is asked for this ISR.
    pub fn propose(&mut self, isr: Vec<BrokerId>) {
        if let Some(leadership) = self.leadership_mut() {
            leadership.propose(isr);
        }
    }

    /// The controller did not agree.
    pub fn undecided(&mut self) {
        if let Some(leadership) = self.leadership_mut() {
            leadership.undecided();
        }
    }

    /// The ISR changes without the controller: a defect that the simulator can switch on.
    pub fn overrule_isr(&mut self, store: &mut dyn LogStore, isr: Vec<BrokerId>) {
        if let Some(leadership) = self.leadership_mut() {
            leadership.overrule(isr);
        }
        self.advance(store);
    }

    /// On the leader: whether a follower's log is a part of this one, and if it is how much of it is committed.
    ///
    /// # Errors
    /// For an offset outside of the log.
    pub fn check_follower(&self, at: FetchPosition) -> Result<Found, FetchRefused> {
        let (start, end) = (self.log_start(), self.log_end());
        let diverging = self.log.divergence(at.offset, at.last_epoch);
        if diverging.is_none() && !(start..=end).contains(&at.offset) {
            return Err(FetchRefused::OutOfRange(start, end));
        }
        Ok(Found { high_watermark: self.high_watermark(), log_start: start, diverging, batches: Vec::new() })
    }

    /// On the leader: what there is for a follower. Unlike a consumer it reads to the log's end.
    ///
    /// # Errors
    /// For an offset outside of the log, and when kept batches could not be read back.
    pub fn find_for_follower(
        &self,
        store: &mut dyn LogStore,
        at: FetchPosition,
        max_bytes: usize,
    ) -> Result<Found, FetchRefused> {
        let found = self.check_follower(at)?;
        if found.diverging.is_some() {
            return Ok(found);
        }
        let batches = self.log.read(store, at.offset, self.log_end(), max_bytes).map_err(|_| FetchRefused::Storage)?;
        Ok(Found { batches, ..found })
    }

    /// Every batch from an offset to the log's end.
    ///
    /// # Errors
    /// When kept batches could not be read back.
    pub fn read_all(&self, store: &mut dyn LogStore, from: Offset) -> Result<Vec<Bytes>, StorageError> {
        self.log.read(store, from, self.log_end(), usize::MAX)
    }

    /// On a follower: where it is.
    #[must_use]
    pub fn position(&self) -> FetchPosition {
        let last_epoch = self.log.last_epoch();
        FetchPosition {
            leader_epoch: self.leader_epoch(),
            offset: self.log_end(),
            last_epoch,
            log_start: self.log_start(),
        }
    }

    /// On a follower: takes what the leader sent when it was asked from an offset on.
    pub fn append_fetched(&mut self, store: &mut dyn LogStore, asked: Offset, found: &Found) -> Outcome {
        let before = self.position();
        if let Some(diverging) = found.diverging {
            // A log that is cut to where it already ends would ask the same again for ever.
            let cut = self.log.follow_divergence(store, diverging).is_ok() && self.position() != before;
            return if cut { Outcome::Moved } else { Outcome::Refused };
        }
        if self.log_end() < asked {
            // This log was cut meanwhile. What is missing now would look like what compaction has taken out.
            return Outcome::Refused;
        }
        let appended = self.append_all(store, found);
        self.high_watermark_moved |= self.log.raise_high_watermark(store, found.high_watermark);
        if found.log_start > self.log_start() && found.log_start <= self.high_watermark() {
            self.log.begin_at(store, found.log_start);
        }
        // The leader may have somebody who waits until its followers have deleted what it has.
        let moved = self.log_end() > before.offset || self.log_start() > before.log_start;
        match (appended, moved) {
            (_, true) => Outcome::Moved,
            (true, false) => Outcome::Level,
            (false, false) => Outcome::Refused,
        }
    }

    /// A follower that keeps up takes what its leader got a moment ago and checked then: that is handed on by reference,
    /// and nobody touches its bytes. Whatever had time to become another is checked, before a second replica has it, too.
    fn append_all(&mut self, store: &mut dyn LogStore, found: &Found) -> bool {
        let doubted_below = if self.in_sync { found.high_watermark } else { Offset(i64::MAX) };
        found.batches.iter().all(|batch| self.log.append_as_follower(store, batch, doubted_below).is_ok())
    }

    /// On a follower: the leader's log reaches from `start` to `end`, and this one ends outside of it.
    pub fn back_into_range(&mut self, store: &mut dyn LogStore, start: Offset, end: Offset) -> Outcome {
        let before = self.position();
        let moved =
            if self.log_end() < start { self.log.restart_at(store, start) } else { self.log.truncate_to(store, end) };
        // A log that stays where it is would ask the same again for ever.
        if moved.is_ok() && self.position() != before { Outcome::Moved } else { Outcome::Refused }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cleaning::random::{ID, LIMITS, POLICY, broker};
    use super::super::store::MemoryStore;
    use super::*;
    use crate::batch::build::BatchBuilder;
    use crate::batch::header::{self, HEADER_SIZE};
    use crate::metadata::record::PartitionState;
    use crate::types::LeaderEpoch;

    const NOW: Now = Now { monotonic_ns: 0, wall_ms: 1000 };

    /// What the leader answers to the first fetch: three batches of one record, in the second of which a bit is another.
    fn found(high_watermark: i64) -> Found {
        let batch = |base| {
            let mut batch = BatchBuilder::new(1000).record(b"key", b"value").finish();
            header::patch(&mut batch, Offset(base), LeaderEpoch(1));
            batch[HEADER_SIZE + 3] ^= u8::from(base == 1);
            batch.freeze()
        };
        let batches = (0..3).map(batch).collect();
        Found { high_watermark: Offset(high_watermark), log_start: Offset(0), diverging: None, batches }
    }

    /// A follower, in the ISR or behind it, and what it makes of that answer: where it ends, and whether it asks again.
    fn followed(in_sync: bool, high_watermark: i64) -> (i64, [Outcome; 2]) {
        let mut store = MemoryStore::default();
        let mut follower = Partition::open(&mut store, broker(0), ID, (LIMITS, POLICY), false, NOW).expect("memory");
        let isr = if in_sync { vec![broker(0), broker(1)] } else { vec![broker(1)] };
        let replicas = vec![broker(0), broker(1)];
        let (leader, leader_epoch) = (Some(broker(1)), LeaderEpoch(1));
        let state = PartitionState { replicas, isr, leader, leader_epoch, ..PartitionState::default() };
        follower.assume(&mut store, &state, NOW);
        let mut fetch = || follower.append_fetched(&mut store, follower.log_end(), &found(high_watermark));
        let outcomes = [fetch(), fetch()];
        (follower.log_end().0, outcomes)
    }

    #[test]
    fn a_follower_does_not_copy_what_became_another_on_its_leader() {
        let stuck = (1, [Outcome::Moved, Outcome::Refused]);
        assert_eq!(followed(false, 0), stuck, "a follower that catches up believes nothing");
        assert_eq!(followed(false, 3), stuck);
        assert_eq!(followed(true, 3), stuck, "it was committed, so it lay there for a while");
        // What has just come was checked then; to check it once more for every replica would cost too much.
        assert_eq!(followed(true, 0), (3, [Outcome::Moved, Outcome::Level]));
    }
}
