//! How the metadata log travels: everybody pulls it from the leader, which holds a fetch until it has news. Owns the
//! leader's high watermark and what happens once a record is committed: every node replays it. What a log does not reach
//! back to is the business of `snapshots.rs`.

use super::state::{HeldFetch, Progress, Role};
use crate::batch::header::{BatchHeader, HEADER_SIZE};
use crate::batch::records::Records;
use crate::metadata::codec;
use crate::metadata::snapshot::Snapshot;
use crate::node::Node;
use crate::peer::{Found, MetadataFetch, MetadataFetched, PeerMessage};
use crate::timers::Timer;
use crate::types::{BrokerId, Now, Offset};
use bytes::{Bytes, BytesMut};

/// How long the leader holds a fetch; voters must hear from it well within their fetch time-out.
const HOLD_SHARE: i64 = 3;
/// Bytes of one answer, `MAX_BATCH_SIZE_BYTES` of Kafka's raft client.
const ANSWER_BYTES_MAX: usize = 8 << 20;

impl Node {
    /// Asks the leader for what comes next, or, without one, some voter for the leader.
    pub(crate) fn fetch_metadata(&mut self, now: Now) {
        let to = match self.quorum.role {
            Role::Follower { leader, .. } => leader,
            Role::Unattached if !self.quorum.is_voter() => {
                let voters = &self.quorum.voters;
                let Some(voter) = voters.get(self.quorum.next_voter % voters.len().max(1)) else { return };
                self.quorum.next_voter += 1;
                *voter
            }
            _ => return,
        };
        self.quorum.fetch_id += 1;
        self.quorum.fetching = true;
        let fetch = MetadataFetch {
            id: self.quorum.fetch_id,
            epoch: self.quorum.epoch,
            offset: self.quorum.log.end(),
            last_epoch: self.quorum.last_epoch(),
            high_watermark: self.quorum.log.high_watermark(),
        };
        self.timers.set(Timer::MetadataFetch, now.after_ms(self.config.timing.fetch_timeout_ms * 2 / HOLD_SHARE));
        self.send(to, PeerMessage::MetadataFetch(fetch));
    }

    /// The latest fetch was not answered: it, or its answer, is lost.
    pub(crate) fn on_metadata_fetch_timer(&mut self, now: Now) {
        if !self.quorum.is_voter() && matches!(self.quorum.role, Role::Follower { .. }) {
            // An observer has no elections to wait for: it asks around.
            self.quorum.role = Role::Unattached;
        }
        self.fetch_metadata(now);
    }

    /// Somebody fetches.
    pub(crate) fn on_metadata_fetch(&mut self, now: Now, from: BrokerId, fetch: MetadataFetch) {
        if !self.learn_epoch(now, fetch.epoch) {
            return;
        }
        let in_epoch = fetch.epoch == self.quorum.epoch;
        let diverging = self.quorum.log.divergence(fetch.offset, (fetch.last_epoch.0 >= 0).then_some(fetch.last_epoch));
        let within = fetch.offset <= self.quorum.log.end();
        let snapshot = self.snapshot_for(fetch);
        let Role::Leader { progress, .. } = &mut self.quorum.role else {
            return self.answer_metadata(from, fetch.id, None);
        };
        if !in_epoch {
            return self.answer_metadata(from, fetch.id, None);
        }
        let known = progress.entry(from).or_insert_with(Progress::default);
        // As for replicas of partitions: level now, or with what there was when it fetched last.
        let end = self.quorum.log.end();
        if within && diverging.is_none() {
            if fetch.offset == end {
                known.caught_up_ns = Some(now.monotonic_ns);
            } else if known.end.is_some() && fetch.offset >= known.end_at_fetch {
                known.caught_up_ns = known.caught_up_ns.max(Some(known.fetched_ns));
            }
        }
        (known.fetched_ns, known.end_at_fetch) = (now.monotonic_ns, end);
        if let Some(snapshot) = snapshot {
            return self.answer_with_snapshot(from, fetch.id, snapshot);
        }
        if diverging.is_some() || !within {
            let (latest, end) = (self.quorum.last_epoch(), self.quorum.log.end());
            return self.answer_metadata(from, fetch.id, Some(diverging.unwrap_or((latest, end))));
        }
        known.end = Some(fetch.offset);
        known.held = Some(HeldFetch { id: fetch.id, offset: fetch.offset, high_watermark: fetch.high_watermark });
        self.timers.set(Timer::HeldMetadata(from), now.after_ms(self.config.timing.fetch_timeout_ms / HOLD_SHARE));
        self.answer_held_metadata(from, false);
        self.advance_quorum(now);
    }

    fn answer_metadata(&mut self, to: BrokerId, id: u64, diverging: Option<(crate::types::LeaderEpoch, Offset)>) {
        let found = diverging.map(|diverging| Found {
            high_watermark: self.quorum.log.high_watermark(),
            log_start: self.quorum.log.start(),
            diverging: Some(diverging),
            batches: Vec::new(),
        });
        let (epoch, leader) = (self.quorum.epoch, self.quorum.leader());
        self.send(to, PeerMessage::MetadataFetched(MetadataFetched { id, epoch, leader, found, snapshot: None }));
    }

    fn answer_with_snapshot(&mut self, to: BrokerId, id: u64, snapshot: Snapshot) {
        let (epoch, leader) = (self.quorum.epoch, self.quorum.leader());
        let (high_watermark, log_start) = (self.quorum.log.high_watermark(), self.quorum.log.start());
        let found = Some(Found { high_watermark, log_start, diverging: None, batches: Vec::new() });
        let snapshot = Some(snapshot);
        self.send(to, PeerMessage::MetadataFetched(MetadataFetched { id, epoch, leader, found, snapshot }));
    }

    /// Answers a fetch that is held, if there is news for it or it has waited long enough.
    pub(crate) fn answer_held_metadata(&mut self, to: BrokerId, out_of_time: bool) {
        let (end, high_watermark) = (self.quorum.log.end(), self.quorum.log.high_watermark());
        let Role::Leader { progress, .. } = &mut self.quorum.role else { return };
        let Some(known) = progress.get_mut(&to) else { return };
        let Some(held) = known.held else { return };
        if !out_of_time && held.offset == end && held.high_watermark >= high_watermark {
            return;
        }
        known.held = None;
        let Ok(batches) = self.quorum.log.read(&mut *self.store, held.offset, end, ANSWER_BYTES_MAX) else { return };
        self.timers.cancel(&Timer::HeldMetadata(to));
        let log_start = self.quorum.log.start();
        let found = Some(Found { high_watermark, log_start, diverging: None, batches });
        let (id, epoch, leader) = (held.id, self.quorum.epoch, self.quorum.leader());
        self.send(to, PeerMessage::MetadataFetched(MetadataFetched { id, epoch, leader, found, snapshot: None }));
    }

    fn answer_all_held_metadata(&mut self) {
        let Role::Leader { progress, .. } = &self.quorum.role else { return };
        let waiting: Vec<BrokerId> =
            progress.iter().filter(|(_, known)| known.held.is_some()).map(|(id, _)| *id).collect();
        waiting.into_iter().for_each(|id| self.answer_held_metadata(id, false));
    }

    /// The leader appends a batch of its own and syncs it. Whether it could.
    pub(crate) fn append_to_quorum(&mut self, now: Now, batch: BytesMut) -> bool {
        let header = BatchHeader::read(&batch).expect("a batch builder writes whole headers");
        let epoch = self.quorum.epoch;
        let log = &mut self.quorum.log;
        let kept = log.append_as_leader(&mut *self.store, batch, &header, epoch, None).is_ok();
        if !kept || log.sync(&mut *self.store).is_err() {
            return false;
        }
        self.answer_all_held_metadata();
        self.advance_quorum(now);
        true
    }

    /// Moves the leader's high watermark to what a majority has. Records of earlier epochs are committed only by one of
    /// this epoch behind them (Raft, 5.4.2).
    fn advance_quorum(&mut self, now: Now) {
        let Role::Leader { epoch_start, .. } = self.quorum.role else { return };
        let Some(end) = self.quorum.majority_end().filter(|end| *end > epoch_start) else { return };
        if self.quorum.log.raise_high_watermark(&mut *self.store, end) {
            // Followers first: they hear of a record no later than whoever waits for it.
            self.answer_all_held_metadata();
            self.replay_committed(now);
        }
    }

    /// The leader, or a node that was taken for it, answers.
    pub(crate) fn on_metadata_fetched(&mut self, now: Now, from: BrokerId, answer: MetadataFetched) {
        if answer.epoch > self.quorum.epoch && !self.learn_epoch(now, answer.epoch) {
            return;
        }
        if answer.epoch < self.quorum.epoch || self.quorum.leads() {
            return;
        }
        if let Some(leader) = answer.leader.filter(|leader| *leader != self.quorum.own) {
            self.follow_controller(now, leader);
        }
        if answer.id != self.quorum.fetch_id || !self.quorum.fetching {
            return;
        }
        let Some(found) = answer.found else { return };
        self.quorum.fetching = false;
        let Role::Follower { leader, heard } = &mut self.quorum.role else { return };
        if *leader != from {
            return;
        }
        *heard = true;
        if self.quorum.is_voter() {
            self.set_election_timer(now);
        }
        let taken = match &answer.snapshot {
            Some(snapshot) => self.load_snapshot(now, snapshot),
            None => self.take_metadata(&found),
        };
        if taken {
            self.fetch_metadata(now);
            self.replay_committed(now);
        }
    }

    /// Appends or cuts as the leader says. `false` where the disk refuses: the fetch time-out asks again.
    fn take_metadata(&mut self, found: &Found) -> bool {
        let store = &mut *self.store;
        let log = &mut self.quorum.log;
        if let Some(diverging) = found.diverging {
            return log.follow_divergence(store, diverging).is_ok();
        }
        let all = Offset(i64::MAX);
        let mut batches = found.batches.iter();
        if !batches.all(|batch| log.append_as_follower(store, batch, all).is_ok()) || log.sync(store).is_err() {
            return false;
        }
        log.raise_high_watermark(store, found.high_watermark);
        true
    }

    /// Replays what was committed since the last time.
    fn replay_committed(&mut self, now: Now) {
        // What is committed by a consequence of a record is replayed behind it, not in the middle of it.
        if std::mem::replace(&mut self.replaying, true) {
            return;
        }
        while self.image.end < self.quorum.log.high_watermark() {
            let below = self.quorum.log.high_watermark();
            let from = self.image.end;
            let Ok(batches) = self.quorum.log.read(&mut *self.store, from, below, ANSWER_BYTES_MAX) else { break };
            if batches.is_empty() {
                break;
            }
            for batch in batches {
                self.replay_batch(now, &batch);
                self.quorum.bytes_replayed += batch.len();
            }
        }
        self.replaying = false;
        self.take_snapshot_if_due(now);
        self.after_replay(now);
    }

    fn replay_batch(&mut self, now: Now, batch: &Bytes) {
        let Some(header) = BatchHeader::read(batch) else { return };
        let mut offset = header.base_offset;
        if header.is_control() {
            while self.image.end <= header.last_offset() {
                self.image.skip();
            }
            return;
        }
        for record in Records::new(&batch[HEADER_SIZE..]) {
            if offset >= self.image.end {
                match record.ok().and_then(|record| record.value).map(codec::decode) {
                    Some(Ok(record)) => self.replay(now, &record),
                    // What this version does not know it skips, as Kafka does with records of no importance to it.
                    _ => self.image.skip(),
                }
            }
            offset = offset.plus(1);
        }
    }
}
