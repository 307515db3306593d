//! Who leads the quorum: Raft's elections with pre-votes (KIP-595, KIP-996).
//!
//! A voter that has not heard from the leader for `controller.quorum.fetch.timeout.ms` first asks whether it would be
//! elected. Only with a majority of such promises does it begin a new epoch, so that a node that was cut off does not
//! depose a healthy leader when it comes back. A leader that no majority fetches from steps down by itself.

use super::state::Role;
use crate::batch::build::BatchBuilder;
use crate::config::Defect;
use crate::node::Node;
use crate::peer::{PeerMessage, Vote, Voted};
use crate::timers::Timer;
use crate::types::{BrokerId, LeaderEpoch, Now};
use rand_chacha::rand_core::Rng;
use std::collections::{BTreeMap, BTreeSet};

impl Node {
    /// The node starts: voters wait for a leader, or stand; others look for one.
    pub(crate) fn start_quorum(&mut self, now: Now) {
        if !self.quorum.is_voter() {
            return self.fetch_metadata(now);
        }
        // In a cluster that has never had a leader somebody may stand at once: there is nothing to disturb.
        let is_new = self.quorum.epoch == LeaderEpoch(0);
        if is_new && self.quorum.voters.first() == Some(&self.quorum.own) {
            self.stand(now, true);
        } else {
            self.set_election_timer(now);
        }
    }

    fn chance_ms(&mut self, most: i64) -> i64 {
        let most = u64::try_from(most).unwrap_or(0) + 1;
        i64::try_from(self.rng.next_u64() % most).unwrap_or(0)
    }

    /// (Re)starts the time after which a voter acts: longer where it has a leader to wait for.
    pub(crate) fn set_election_timer(&mut self, now: Now) {
        let timing = self.config.timing;
        let wait = match self.quorum.role {
            Role::Follower { .. } => timing.fetch_timeout_ms + self.chance_ms(timing.fetch_timeout_ms / 4),
            _ => timing.election_timeout_ms + self.chance_ms(timing.election_timeout_ms),
        };
        self.timers.set(Timer::Election, now.after_ms(wait));
    }

    /// No leader, or no majority, in time.
    pub(crate) fn on_election_timer(&mut self, now: Now) {
        if self.quorum.is_voter() && !self.quorum.leads() {
            self.stand(now, true);
        }
    }

    /// Asks for votes, or for promises of them.
    fn stand(&mut self, now: Now, pre_vote: bool) {
        let granted = BTreeSet::from([self.quorum.own]);
        if pre_vote {
            self.quorum.role = Role::Prospective { granted };
        } else {
            let own = self.quorum.own;
            let epoch = LeaderEpoch(self.quorum.epoch.0 + 1);
            if !self.enter_epoch(epoch, Some(own)) {
                return self.set_election_timer(now);
            }
            self.quorum.role = Role::Candidate { granted };
        }
        self.set_election_timer(now);
        let vote = Vote {
            epoch: self.quorum.epoch,
            last_epoch: self.quorum.last_epoch(),
            log_end: self.quorum.log.end(),
            pre_vote,
        };
        for voter in self.other_voters() {
            self.send(voter, PeerMessage::Vote(vote));
        }
        self.count_votes(now);
    }

    fn other_voters(&self) -> Vec<BrokerId> {
        self.quorum.voters.iter().copied().filter(|id| *id != self.quorum.own).collect()
    }

    /// Writes down a newer epoch and the vote in it. Where the disk refuses nothing happens.
    fn enter_epoch(&mut self, epoch: LeaderEpoch, voted: Option<BrokerId>) -> bool {
        let before = (self.quorum.epoch, self.quorum.voted);
        (self.quorum.epoch, self.quorum.voted) = (epoch, voted);
        if self.quorum.save(&mut *self.store).is_err() {
            (self.quorum.epoch, self.quorum.voted) = before;
            return false;
        }
        true
    }

    /// A message speaks of a newer epoch: this node is nobody in it yet.
    pub(crate) fn learn_epoch(&mut self, now: Now, epoch: LeaderEpoch) -> bool {
        if epoch <= self.quorum.epoch {
            return true;
        }
        if !self.enter_epoch(epoch, None) {
            return false;
        }
        self.step_down(now);
        true
    }

    /// The node leads no longer, follows nobody, and waits.
    fn step_down(&mut self, now: Now) {
        self.quorum.role = Role::Unattached;
        self.quorum.fetching = false;
        self.timers.cancel(&Timer::Majority);
        self.abdicate();
        if self.quorum.is_voter() {
            self.set_election_timer(now);
        }
    }

    /// A node asks for this voter's vote.
    pub(crate) fn on_vote(&mut self, now: Now, from: BrokerId, vote: Vote) {
        if !self.learn_epoch(now, vote.epoch) {
            return;
        }
        let quorum = &self.quorum;
        let is_current = vote.epoch == quorum.epoch && quorum.is_voter();
        let up_to_date = (vote.last_epoch, vote.log_end) >= (quorum.last_epoch(), quorum.log.end());
        let granted = is_current && up_to_date && if vote.pre_vote { self.would_vote() } else { self.votes_for(from) };
        if granted && !vote.pre_vote && self.quorum.voted != Some(from) {
            let epoch = self.quorum.epoch;
            if !self.enter_epoch(epoch, Some(from)) {
                return;
            }
            self.set_election_timer(now);
        }
        let (epoch, leader) = (self.quorum.epoch, self.quorum.leader());
        self.send(from, PeerMessage::Voted(Voted { epoch, leader, granted, pre_vote: vote.pre_vote }));
    }

    /// Whether this voter would help to depose the leader: not while it hears from one.
    fn would_vote(&self) -> bool {
        !matches!(self.quorum.role, Role::Leader { .. } | Role::Follower { heard: true, .. })
    }

    /// Whether the vote of this epoch is still to be had.
    fn votes_for(&self, candidate: BrokerId) -> bool {
        if self.config.has(Defect::VoteTwice) {
            return !self.quorum.leads();
        }
        let free = matches!(self.quorum.role, Role::Unattached | Role::Prospective { .. });
        match self.quorum.voted {
            Some(voted) => voted == candidate,
            None => free,
        }
    }

    /// A voter has answered.
    pub(crate) fn on_voted(&mut self, now: Now, from: BrokerId, voted: Voted) {
        if voted.epoch > self.quorum.epoch {
            if self.learn_epoch(now, voted.epoch)
                && let Some(leader) = voted.leader.filter(|leader| *leader != self.quorum.own)
            {
                self.follow_controller(now, leader);
            }
            return;
        }
        if voted.epoch < self.quorum.epoch || !self.quorum.voters.contains(&from) {
            return;
        }
        match (&mut self.quorum.role, voted.pre_vote) {
            (Role::Prospective { granted }, true) | (Role::Candidate { granted }, false) if voted.granted => {
                granted.insert(from);
                self.count_votes(now);
            }
            // Somebody leads, and a voter hears from it: so may this node.
            (Role::Prospective { .. }, true) => {
                if let Some(leader) = voted.leader.filter(|leader| *leader != self.quorum.own) {
                    self.follow_controller(now, leader);
                }
            }
            _ => {}
        }
    }

    fn count_votes(&mut self, now: Now) {
        let majority = self.quorum.majority();
        match &self.quorum.role {
            Role::Prospective { granted } if granted.len() >= majority => self.stand(now, false),
            Role::Candidate { granted } if granted.len() >= majority => self.lead_quorum(now),
            _ => {}
        }
    }

    /// This node leads the new epoch. Its first record says so; with it whatever lies before is committed, too.
    fn lead_quorum(&mut self, now: Now) {
        let epoch = self.quorum.epoch;
        let epoch_start = self.quorum.log.end();
        self.quorum.role = Role::Leader { epoch_start, progress: BTreeMap::new(), since_ns: now.monotonic_ns };
        self.timers.cancel(&Timer::Election);
        self.timers.cancel(&Timer::MetadataFetch);
        let announcement = BatchBuilder::leader_change(now.wall_ms, self.quorum.own.0, &self.quorum.voters);
        if !self.append_to_quorum(now, announcement) {
            return self.resign(now);
        }
        for voter in self.other_voters() {
            self.send(voter, PeerMessage::BeginEpoch(epoch));
        }
        self.timers.set(Timer::Majority, now.after_ms(self.majority_check_ms()));
        self.resend_to_controller(now);
    }

    fn majority_check_ms(&self) -> i64 {
        self.config.timing.fetch_timeout_ms / 2
    }

    /// Somebody leads this epoch.
    pub(crate) fn on_begin_epoch(&mut self, now: Now, from: BrokerId, epoch: LeaderEpoch) {
        if self.learn_epoch(now, epoch) && epoch == self.quorum.epoch && !self.quorum.leads() {
            self.follow_controller(now, from);
        }
    }

    /// The leader steps down: whoever votes may stand at once, after a moment of chance.
    pub(crate) fn on_end_epoch(&mut self, now: Now, from: BrokerId, epoch: LeaderEpoch) {
        if epoch == self.quorum.epoch && self.quorum.leader() == Some(from) && from != self.quorum.own {
            self.step_down(now);
            if self.quorum.is_voter() {
                let wait = self.chance_ms(self.config.timing.election_backoff_max_ms);
                self.timers.set(Timer::Election, now.after_ms(wait));
            } else {
                self.fetch_metadata(now);
            }
        }
    }

    pub(crate) fn follow_controller(&mut self, now: Now, leader: BrokerId) {
        if self.quorum.leader() == Some(leader) || self.quorum.leads() {
            return;
        }
        self.quorum.role = Role::Follower { leader, heard: false };
        if self.quorum.is_voter() {
            self.set_election_timer(now);
        }
        self.fetch_metadata(now);
        self.resend_to_controller(now);
    }

    /// The leader looks whether a majority still fetches (KIP-595's `checkQuorum`). One that is cut off would go on
    /// promising what nobody hears.
    pub(crate) fn on_majority_timer(&mut self, now: Now) {
        let Role::Leader { progress, since_ns, .. } = &self.quorum.role else { return };
        let patience = u64::try_from(self.config.timing.fetch_timeout_ms).unwrap_or(0) * 1_500_000;
        let is_heard = |id: &&BrokerId| {
            let fetched_ns = progress.get(id).map_or(*since_ns, |progress| progress.fetched_ns.max(*since_ns));
            **id == self.quorum.own || now.monotonic_ns.saturating_sub(fetched_ns) <= patience
        };
        if self.quorum.voters.iter().filter(is_heard).count() < self.quorum.majority() {
            return self.resign(now);
        }
        // Voters that do not know of the epoch yet are told again.
        let epoch = self.quorum.epoch;
        let unheard = |id: &BrokerId| progress.get(id).is_none_or(|progress| progress.end.is_none());
        let unheard: Vec<BrokerId> = self.other_voters().into_iter().filter(unheard).collect();
        unheard.into_iter().for_each(|voter| self.send(voter, PeerMessage::BeginEpoch(epoch)));
        self.timers.set(Timer::Majority, now.after_ms(self.majority_check_ms()));
    }

    /// Leads no longer, of its own accord. In this epoch it stays nobody: it has voted for itself.
    pub(crate) fn resign(&mut self, now: Now) {
        let epoch = self.quorum.epoch;
        for voter in self.other_voters() {
            self.send(voter, PeerMessage::EndEpoch(epoch));
        }
        self.step_down(now);
    }
}
