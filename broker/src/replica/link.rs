//! A follower's one stream of fetches to each leader, over all partitions that it leads for this node.
//!
//! There is always a fetch under way, which the leader holds until it has something. What a fetch brings is appended;
//! where the logs differ this one is cut.

use crate::io::Event;
use crate::node::Node;
use crate::peer::{FetchRefused, FetchedReplica, Found, PeerMessage, ReplicaFetch, ReplicaFetched};
use crate::timers::Timer;
use crate::types::{BrokerId, Now, Offset, PartitionId};
use rand_chacha::rand_core::Rng;
use std::collections::BTreeSet;

/// How long an answer may take beyond the time that the leader may hold it, before the session is begun anew.
const ANSWER_TIMEOUT_MS: i64 = 300;
/// `replica.fetch.backoff.ms`, Kafka's default: 1000.
const BACKOFF_MS: i64 = 100;

/// The stream of fetches to one leader.
#[derive(Debug)]
pub struct Link {
    session: u64,
    /// The next fetch.
    sequence: u32,
    /// The latest fetch, while it is not answered.
    outstanding: Option<u32>,
    /// The latest fetch whose answer has come.
    answered: Option<u32>,
    partitions: BTreeSet<PartitionId>,
    /// Partitions whose position the leader does not know.
    dirty: BTreeSet<PartitionId>,
    forgotten: BTreeSet<PartitionId>,
    /// Partitions to ask for again after a while.
    refused: BTreeSet<PartitionId>,
}

impl Link {
    fn new(session: u64) -> Self {
        let (partitions, dirty, forgotten, refused) = Default::default();
        Self { session, sequence: 0, outstanding: None, answered: None, partitions, dirty, forgotten, refused }
    }

    /// Begins a new session: the leader is told everything again.
    fn restart(&mut self, session: u64) {
        (self.session, self.sequence, self.outstanding, self.answered) = (session, 0, None, None);
        self.dirty = self.partitions.clone();
        self.forgotten.clear();
        self.refused.clear();
    }
}

impl Node {
    /// This node follows a leader in a partition from now on, at a position of which the leader has to be told.
    pub(crate) fn follow(&mut self, leader: BrokerId, id: PartitionId) {
        let session = self.rng.next_u64();
        let link = self.links.entry(leader).or_insert_with(|| Link::new(session));
        link.partitions.insert(id);
        link.forgotten.remove(&id);
        link.dirty.insert(id);
        self.pumpable.insert(leader);
    }

    /// This node does not follow that leader any more.
    pub(crate) fn unfollow(&mut self, leader: BrokerId, id: PartitionId) {
        if let Some(link) = self.links.get_mut(&leader)
            && link.partitions.remove(&id)
        {
            link.dirty.remove(&id);
            link.refused.remove(&id);
            link.forgotten.insert(id);
            self.pumpable.insert(leader);
        }
    }

    /// Sends the next fetch to a leader, if there is anything to tell it or none is under way.
    pub(crate) fn pump_link(&mut self, now: Now, leader: BrokerId) {
        let Some(link) = self.links.get_mut(&leader) else { return };
        let is_last = link.partitions.is_empty();
        if link.outstanding.is_some() && link.dirty.is_empty() && link.forgotten.is_empty() {
            return;
        }
        let mut positions = Vec::with_capacity(link.dirty.len());
        for id in std::mem::take(&mut link.dirty) {
            positions.extend(self.partitions.get(&id).map(|partition| (id, partition.position())));
        }
        let fetch = ReplicaFetch {
            session: link.session,
            sequence: link.sequence,
            answered: link.answered,
            broker_epoch: self.lifecycle.epoch.unwrap_or(-1),
            positions,
            forgotten: std::mem::take(&mut link.forgotten).into_iter().collect(),
        };
        link.outstanding = Some(link.sequence);
        link.sequence = link.sequence.wrapping_add(1);
        if is_last {
            self.links.remove(&leader);
            self.timers.cancel(&Timer::Link(leader));
        } else {
            let wait = self.config.timing.replica_fetch_wait_max_ms + ANSWER_TIMEOUT_MS;
            self.timers.set(Timer::Link(leader), now.after_ms(wait));
        }
        self.send(leader, PeerMessage::ReplicaFetch(fetch));
    }

    /// A leader does not answer: begin again. It may be gone, or it may have forgotten this session.
    pub(crate) fn restart_link(&mut self, leader: BrokerId) {
        let session = self.rng.next_u64();
        if let Some(link) = self.links.get_mut(&leader) {
            link.restart(session);
            self.pumpable.insert(leader);
        }
    }

    /// Every session begins anew, since this node has a new broker epoch to tell.
    pub(crate) fn restart_links(&mut self) {
        let leaders: Vec<BrokerId> = self.links.keys().copied().collect();
        leaders.into_iter().for_each(|leader| self.restart_link(leader));
    }

    /// Refused partitions have waited long enough.
    pub(crate) fn retry_link(&mut self, leader: BrokerId) {
        if let Some(link) = self.links.get_mut(&leader) {
            let refused = std::mem::take(&mut link.refused);
            link.dirty.extend(refused);
            self.pumpable.insert(leader);
        }
    }

    /// A leader answers.
    pub(crate) fn replicate(&mut self, now: Now, from: BrokerId, answer: ReplicaFetched) {
        let Some(link) = self.links.get_mut(&from) else { return };
        if link.session != answer.session {
            return;
        }
        let Some(partitions) = answer.partitions else {
            return self.restart_link(from);
        };
        if link.outstanding == Some(answer.sequence) {
            link.outstanding = None;
        }
        link.answered = link.answered.max(Some(answer.sequence));
        self.pumpable.insert(from);
        for (id, fetched) in partitions {
            if !self.links.get(&from).is_some_and(|link| link.partitions.contains(&id)) {
                continue;
            }
            match self.replicate_partition(now, id, fetched) {
                Outcome::Level => {}
                Outcome::Moved => {
                    self.links.get_mut(&from).map(|link| link.dirty.insert(id));
                }
                Outcome::Refused => {
                    self.links.get_mut(&from).map(|link| link.refused.insert(id));
                    self.timers.set(Timer::LinkRetry(from), now.after_ms(BACKOFF_MS));
                }
            }
        }
    }

    fn replicate_partition(&mut self, now: Now, id: PartitionId, fetched: FetchedReplica) -> Outcome {
        let keeps_all = self.config.has(crate::config::Defect::NoTruncation);
        let Some(partition) = self.partitions.get_mut(&id) else { return Outcome::Level };
        if partition.leads() || partition.leader_epoch() != fetched.leader_epoch {
            return Outcome::Level;
        }
        let before = partition.log_end();
        partition.note_time(now);
        let outcome = match fetched.found {
            Ok(Found { diverging: Some(_), .. }) if keeps_all => Outcome::Refused,
            Ok(found) => partition.append_fetched(&mut *self.store, fetched.offset, &found),
            Err(FetchRefused::OutOfRange(start, end)) => partition.back_into_range(&mut *self.store, start, end),
            Err(FetchRefused::Storage) => return Outcome::Refused,
        };
        let after = partition.log_end();
        if partition.take_high_watermark_moved() {
            self.moved.push(id);
        }
        if after < before {
            self.tell_truncated(id, before, after);
        }
        outcome
    }

    fn tell_truncated(&mut self, id: PartitionId, from: Offset, to: Offset) {
        if let Some(partition) = self.topic_partition(id) {
            self.event(Event::Truncated { partition, from, to });
        }
    }
}

/// What an answer did to a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: the leader knows this node's position.
    Level,
    /// The log's end is elsewhere: the leader has to be told.
    Moved,
    /// It could not be used: ask again after a while.
    Refused,
}
