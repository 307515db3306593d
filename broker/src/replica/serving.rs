//! The fetch sessions of followers, on their leader: what each follower has, which partitions have something for it, and
//! the fetch that waits until one does.
//!
//! A fetch is held, never polled: an idle link costs nothing. It is answered when a partition of the session has new
//! batches or begins later, or after `replica.fetch.wait.max.ms`, and then tells of moved high watermarks, too (as in Kafka, a high
//! watermark alone wakes nobody).

use crate::node::Node;
use crate::peer::{FetchPosition, FetchRefused, FetchedReplica, Found, PeerMessage, ReplicaFetch, ReplicaFetched};
use crate::timers::Timer;
use crate::types::{BrokerId, Now, PartitionId};
use std::collections::{BTreeMap, BTreeSet};

/// `replica.fetch.max.bytes`, Kafka's default: bytes of one partition in one answer.
const PARTITION_BYTES_MAX: usize = 1 << 20;
/// `replica.fetch.response.max.bytes`, Kafka's default.
const ANSWER_BYTES_MAX: usize = 10 << 20;

/// A follower's session.
#[derive(Debug, Default)]
pub struct Serving {
    session: u64,
    /// The latest fetch.
    sequence: u32,
    /// The life of the follower that asks: what an earlier one had it may have lost.
    broker_epoch: i64,
    positions: BTreeMap<PartitionId, FetchPosition>,
    /// Whether the latest fetch waits for an answer.
    held: bool,
    /// The latest fetch that was answered with something, and the partitions that it was about.
    told: Option<(u32, Vec<PartitionId>)>,
    /// Partitions that may have something to send.
    ready: BTreeSet<PartitionId>,
    /// Partitions whose high watermark the follower may not know yet.
    stale: BTreeSet<PartitionId>,
}

/// Whether a follower learns nothing from this but perhaps a high watermark.
fn is_nothing(found: &Found, at: FetchPosition) -> bool {
    found.batches.is_empty() && found.diverging.is_none() && found.log_start <= at.log_start
}

impl Serving {
    fn admits(&self, session: u64, sequence: u32) -> bool {
        self.session == session && self.sequence.wrapping_add(1) == sequence
    }

    fn forget(&mut self, id: PartitionId) {
        self.positions.remove(&id);
        self.ready.remove(&id);
        self.stale.remove(&id);
    }
}

impl Node {
    /// A follower fetches.
    pub(crate) fn serve_replica(&mut self, now: Now, from: BrokerId, fetch: ReplicaFetch) {
        let ReplicaFetch { session, sequence, answered, broker_epoch, positions, forgotten } = fetch;
        if sequence == 0 {
            self.serving.insert(from, Serving { session, ..Serving::default() });
        } else if !self.serving.get(&from).is_some_and(|serving| serving.admits(session, sequence)) {
            let unknown = ReplicaFetched { session, sequence, partitions: None };
            return self.send(from, PeerMessage::ReplicaFetched(unknown));
        }
        for (id, position) in &positions {
            self.note_position(now, from, broker_epoch, *id, *position);
        }
        let Some(serving) = self.serving.get_mut(&from) else { return };
        serving.sequence = sequence;
        serving.broker_epoch = broker_epoch;
        serving.held = true;
        // A follower need not wait for one answer before it asks again, so an answer may be lost without a pause.
        if let Some((_, lost)) = serving.told.take_if(|(told, _)| answered < Some(*told)) {
            serving.ready.extend(lost);
        }
        forgotten.into_iter().for_each(|id| serving.forget(id));
        // Whether there is anything for it is found out when the answer is built.
        serving.ready.extend(positions.iter().map(|(id, _)| *id));
        serving.positions.extend(positions);
        self.timers.set(Timer::HeldFetch(from), now.after_ms(self.config.timing.replica_fetch_wait_max_ms));
        self.answerable.insert(from);
    }

    /// What a follower's position means for the partition: the high watermark, and who is in sync.
    fn note_position(&mut self, now: Now, from: BrokerId, broker_epoch: i64, id: PartitionId, position: FetchPosition) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        if partition.note_follower_start(from, position) {
            self.moved.push(id);
        }
        if !partition.note_follower(from, broker_epoch, position, now) {
            return;
        }
        if partition.advance(&mut *self.store) {
            self.moved.push(id);
        }
        let joining = self.partitions.get(&id).and_then(|it| it.joining(|id, epoch| self.may_join(id, epoch)));
        if let Some(isr) = joining {
            self.propose_isr(id, isr);
        }
    }

    /// A partition grew, its high watermark moved, or this node's role in it changed: whoever follows it here may get an
    /// answer.
    pub(crate) fn offer_to_followers(&mut self, id: PartitionId) {
        let Some(partition) = self.partitions.get(&id) else { return };
        for follower in partition.follower_ids() {
            let Some(serving) = self.serving.get_mut(&follower) else { continue };
            let Some(position) = serving.positions.get(&id) else { continue };
            let lacks = position.offset < partition.log_end() || position.log_start < partition.log_start();
            if lacks || position.leader_epoch != partition.leader_epoch() {
                serving.ready.insert(id);
                if serving.held {
                    self.answerable.insert(follower);
                }
            } else {
                serving.stale.insert(id);
            }
        }
    }

    /// This node leads a partition in a new epoch: followers may have asked for it before it knew.
    pub(crate) fn replay_positions(&mut self, now: Now, id: PartitionId) {
        let asked: Vec<(BrokerId, i64, FetchPosition)> = self
            .serving
            .iter()
            .filter_map(|(follower, serving)| Some((*follower, serving.broker_epoch, *serving.positions.get(&id)?)))
            .collect();
        for (follower, epoch, position) in asked {
            self.note_position(now, follower, epoch, id, position);
            if let Some(serving) = self.serving.get_mut(&follower) {
                serving.ready.insert(id);
                self.answerable.insert(follower);
            }
        }
    }

    /// Answers a held fetch if there is anything to tell, or in any case once it has waited long enough.
    pub(crate) fn answer_replica(&mut self, from: BrokerId, out_of_time: bool) {
        let Some(mut serving) = self.serving.remove(&from) else { return };
        if serving.held {
            let mut partitions = self.collect_ready(&mut serving);
            if !partitions.is_empty() || out_of_time {
                self.collect_stale(&mut serving, &mut partitions);
                serving.held = false;
                serving.told = Some((serving.sequence, partitions.iter().map(|(id, _)| *id).collect()));
                self.timers.cancel(&Timer::HeldFetch(from));
                let (session, sequence, partitions) = (serving.session, serving.sequence, Some(partitions));
                self.send(from, PeerMessage::ReplicaFetched(ReplicaFetched { session, sequence, partitions }));
            }
        }
        self.serving.insert(from, serving);
    }

    fn collect_ready(&mut self, serving: &mut Serving) -> Vec<(PartitionId, FetchedReplica)> {
        let mut partitions = Vec::new();
        let mut left = ANSWER_BYTES_MAX;
        for id in std::mem::take(&mut serving.ready) {
            if left == 0 {
                serving.ready.insert(id);
                continue;
            }
            let Some(position) = serving.positions.get(&id) else { continue };
            let Some(fetched) = self.read_for_follower(id, *position, PARTITION_BYTES_MAX.min(left)) else { continue };
            if fetched.found.as_ref().is_ok_and(|found| is_nothing(found, *position)) {
                serving.stale.insert(id);
                continue;
            }
            let bytes = fetched.found.iter().flat_map(|found| &found.batches).map(bytes::Bytes::len).sum();
            left = left.saturating_sub(bytes);
            partitions.push((id, fetched));
        }
        partitions
    }

    fn collect_stale(&mut self, serving: &mut Serving, partitions: &mut Vec<(PartitionId, FetchedReplica)>) {
        let told = partitions.len();
        for id in std::mem::take(&mut serving.stale) {
            if partitions[..told].iter().any(|(other, _)| *other == id) {
                continue;
            }
            let Some(position) = serving.positions.get(&id) else { continue };
            partitions.extend(self.tell_follower(id, *position).map(|fetched| (id, fetched)));
        }
    }

    /// What there is for a follower; `None` where this node does not lead the partition in the follower's epoch.
    fn read_for_follower(&mut self, id: PartitionId, at: FetchPosition, max_bytes: usize) -> Option<FetchedReplica> {
        let partition = self.partitions.get(&id)?;
        if !partition.leads() || partition.leader_epoch() != at.leader_epoch {
            return None;
        }
        let found = partition.find_for_follower(&mut *self.store, at, max_bytes);
        if matches!(found, Err(FetchRefused::Storage)) {
            self.unsupported("reading a partition for a follower from storage that fails");
        }
        Some(FetchedReplica { leader_epoch: at.leader_epoch, offset: at.offset, found })
    }

    /// The partition's high watermark; or, as ever, that the follower's log is not the leader's. Only who shares the
    /// leader's log may believe its high watermark.
    fn tell_follower(&self, id: PartitionId, at: FetchPosition) -> Option<FetchedReplica> {
        let partition = self.partitions.get(&id)?;
        let current = partition.leads() && partition.leader_epoch() == at.leader_epoch;
        current.then(|| FetchedReplica {
            leader_epoch: at.leader_epoch,
            offset: at.offset,
            found: partition.check_follower(at),
        })
    }
}
