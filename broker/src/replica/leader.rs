//! What a partition's leader knows of its followers: how far each has come, who is in sync, and the high watermark that
//! follows from both (Kafka's `Partition` and `Replica`, KIP-101, KIP-497, KIP-966).
//!
//! Pure arithmetic: it is told of fetches and of the controller's decisions, and asked what to propose.

use crate::types::{BrokerId, Offset};
use std::collections::BTreeMap;

/// A follower, as its leader sees it.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// One past its last record; `None` until it has fetched in this epoch.
    pub end: Option<Offset>,
    /// Where its log begins; `None` until it has said so in this epoch.
    pub start: Option<Offset>,
    /// Its broker epoch, as it said itself.
    pub broker_epoch: i64,
    /// When it last had everything that there was.
    pub caught_up_ns: u64,
    /// When it last fetched, and where the log ended then.
    fetched: (u64, Offset),
}

/// The leader's part of a partition.
#[derive(Debug)]
pub struct Leadership {
    /// Where the log ended when this epoch began: followers must have come this far to be in sync, and the high watermark
    /// is only known from here on.
    pub epoch_start: Offset,
    followers: BTreeMap<BrokerId, Progress>,
    isr: Vec<BrokerId>,
    /// What the controller was asked to make the ISR.
    proposed: Option<Vec<BrokerId>>,
}

impl Leadership {
    /// A leader at the beginning of its epoch. Who is in sync is taken to have caught up just now.
    #[must_use]
    pub fn new(own: BrokerId, replicas: &[BrokerId], isr: &[BrokerId], epoch_start: Offset, now_ns: u64) -> Self {
        let progress = |id: &BrokerId| Progress {
            end: None,
            start: None,
            broker_epoch: -1,
            caught_up_ns: if isr.contains(id) { now_ns } else { 0 },
            fetched: (0, Offset(0)),
        };
        let followers = replicas.iter().filter(|id| **id != own).map(|id| (*id, progress(id))).collect();
        Self { epoch_start, followers, isr: isr.to_vec(), proposed: None }
    }

    /// Who is in sync, as the controller has committed it.
    #[must_use]
    pub fn isr(&self) -> &[BrokerId] {
        &self.isr
    }

    /// The followers.
    pub fn followers(&self) -> impl Iterator<Item = (BrokerId, &Progress)> {
        self.followers.iter().map(|(id, progress)| (*id, progress))
    }

    /// Whether the controller still owes an answer.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.proposed.is_some()
    }

    /// The controller has decided: this is the ISR, and these are the replicas.
    pub fn decided(&mut self, own: BrokerId, replicas: &[BrokerId], isr: &[BrokerId]) {
        isr.clone_into(&mut self.isr);
        self.proposed = None;
        self.followers.retain(|id, _| replicas.contains(id));
        for id in replicas.iter().filter(|id| **id != own) {
            let unknown =
                Progress { end: None, start: None, broker_epoch: -1, caught_up_ns: 0, fetched: (0, Offset(0)) };
            self.followers.entry(*id).or_insert(unknown);
        }
    }

    /// The controller has refused, or did not answer: another proposal may be made.
    pub fn undecided(&mut self) {
        self.proposed = None;
    }

    /// A follower fetches from an offset, so it has everything below it. `false` for somebody who is no replica.
    pub fn fetched(
        &mut self,
        follower: BrokerId,
        broker_epoch: i64,
        offset: Offset,
        log_end: Offset,
        now: u64,
    ) -> bool {
        let Some(progress) = self.followers.get_mut(&follower) else {
            return false;
        };
        // Caught up now, or with what there was when it fetched last: a follower of a busy partition is never level.
        if offset >= log_end {
            progress.caught_up_ns = progress.caught_up_ns.max(now);
        } else if offset >= progress.fetched.1 {
            progress.caught_up_ns = progress.caught_up_ns.max(progress.fetched.0);
        }
        progress.fetched = (now, log_end);
        progress.end = Some(offset);
        progress.broker_epoch = broker_epoch;
        true
    }

    /// A follower's log begins here. Whether that is later than it was.
    pub fn begins(&mut self, follower: BrokerId, start: Offset) -> bool {
        let Some(progress) = self.followers.get_mut(&follower) else { return false };
        progress.start.replace(start) < Some(start)
    }

    /// Below this nobody who is alive has anything, in sync or not (`lowWatermarkIfLeader`); `None` while one of them has not
    /// said where its log begins.
    #[must_use]
    pub fn low_watermark(&self, own_start: Offset, is_alive: impl Fn(BrokerId) -> bool) -> Option<Offset> {
        let alive = self.followers.iter().filter(|(id, _)| is_alive(**id));
        alive
            .map(|(_, progress)| progress.start)
            .try_fold(own_start, |least, start| start.map(|start| least.min(start)))
    }

    /// The log grew from here: who was level until now falls behind only from now on.
    pub fn appended(&mut self, end_before: Offset, now_ns: u64) {
        for progress in self.followers.values_mut().filter(|progress| progress.end == Some(end_before)) {
            progress.caught_up_ns = progress.caught_up_ns.max(now_ns);
        }
    }

    /// The members that may already be, or still be, in sync: until the controller has answered both ISRs count.
    fn maximal_isr(&self) -> impl Iterator<Item = BrokerId> {
        let joining = self.proposed.iter().flatten().copied().filter(|id| !self.isr.contains(id));
        self.isr.iter().copied().chain(joining)
    }

    /// One past what every replica in sync has; `None` while one of them is not heard of yet.
    #[must_use]
    pub fn commit(&self, own: BrokerId, log_end: Offset) -> Option<Offset> {
        let ends = self.maximal_isr().filter(|id| *id != own);
        ends.map(|id| self.followers.get(&id).and_then(|progress| progress.end))
            .try_fold(log_end, |least, end| end.map(|end| least.min(end)))
    }

    /// The ISR that should be: followers that have come up to the high watermark join, those that were silent for too
    /// long leave. `None` where it is as it should be, or a proposal is on its way.
    #[must_use]
    pub fn proposal(&self, may_join: impl Fn(BrokerId, i64) -> bool, high_watermark: Offset) -> Option<Vec<BrokerId>> {
        if self.proposed.is_some() {
            return None;
        }
        let enough = high_watermark.max(self.epoch_start);
        let joins = self.followers.iter().filter(|(id, progress)| {
            !self.isr.contains(id)
                && progress.end.is_some_and(|end| end >= enough)
                && may_join(**id, progress.broker_epoch)
        });
        let mut isr = self.isr.clone();
        isr.extend(joins.map(|(id, _)| *id));
        (isr.len() > self.isr.len()).then_some(isr)
    }

    /// The ISR without those who have lagged for longer than allowed.
    #[must_use]
    pub fn without_laggards(
        &self,
        own: BrokerId,
        log_end: Offset,
        now_ns: u64,
        lag_max_ns: u64,
    ) -> Option<Vec<BrokerId>> {
        if self.proposed.is_some() {
            return None;
        }
        let keeps_up = |id: &BrokerId| {
            *id == own
                || self.followers.get(id).is_some_and(|progress| {
                    progress.end == Some(log_end) || now_ns.saturating_sub(progress.caught_up_ns) <= lag_max_ns
                })
        };
        let isr: Vec<BrokerId> = self.isr.iter().copied().filter(keeps_up).collect();
        (isr.len() < self.isr.len()).then_some(isr)
    }

    /// Who is in sync, whatever the controller thinks: a defect that the simulator can switch on.
    pub fn overrule(&mut self, isr: Vec<BrokerId>) {
        self.isr = isr;
    }

    /// The controller is asked for this ISR.
    pub fn propose(&mut self, isr: Vec<BrokerId>) {
        self.proposed = Some(isr);
    }

    /// The broker epoch that a member told its leader, -1 for unknown.
    #[must_use]
    pub fn broker_epoch(&self, id: BrokerId) -> i64 {
        self.followers.get(&id).map_or(-1, |progress| progress.broker_epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: BrokerId = BrokerId(1);
    const ALL: [BrokerId; 3] = [BrokerId(1), BrokerId(2), BrokerId(3)];

    #[test]
    fn the_high_watermark_is_what_everybody_in_sync_has() {
        let mut leader = Leadership::new(OWN, &ALL, &ALL, Offset(0), 0);
        assert_eq!(leader.commit(OWN, Offset(10)), None, "nobody has fetched yet");
        leader.fetched(BrokerId(2), 1, Offset(10), Offset(10), 1);
        assert_eq!(leader.commit(OWN, Offset(10)), None);
        leader.fetched(BrokerId(3), 1, Offset(4), Offset(10), 1);
        assert_eq!(leader.commit(OWN, Offset(10)), Some(Offset(4)));
        leader.propose(vec![OWN, BrokerId(2)]);
        assert_eq!(leader.commit(OWN, Offset(10)), Some(Offset(4)), "a proposal decides nothing");
        leader.decided(OWN, &ALL, &[OWN, BrokerId(2)]);
        assert_eq!(leader.commit(OWN, Offset(10)), Some(Offset(10)));
    }

    #[test]
    fn the_low_watermark_is_where_the_last_replica_that_lives_begins() {
        let mut leader = Leadership::new(OWN, &ALL, &[OWN, BrokerId(2)], Offset(0), 0);
        assert!(leader.begins(BrokerId(2), Offset(4)));
        assert!(!leader.begins(BrokerId(2), Offset(4)), "that is known");
        assert_eq!(leader.low_watermark(Offset(4), |_| true), None, "nobody knows what the third has");
        assert_eq!(leader.low_watermark(Offset(4), |id| id != BrokerId(3)), Some(Offset(4)));
        assert!(leader.begins(BrokerId(3), Offset(1)));
        assert_eq!(leader.low_watermark(Offset(4), |_| true), Some(Offset(1)), "in sync or not");
    }

    #[test]
    fn a_follower_joins_at_the_high_watermark_and_counts_from_then_on() {
        let mut leader = Leadership::new(OWN, &ALL, &[OWN], Offset(5), 0);
        leader.fetched(BrokerId(2), 1, Offset(4), Offset(10), 1);
        assert_eq!(leader.proposal(|_, _| true, Offset(3)), None, "not up to the beginning of the epoch");
        leader.fetched(BrokerId(2), 1, Offset(7), Offset(10), 2);
        assert_eq!(leader.proposal(|_, _| true, Offset(8)), None, "not up to the high watermark");
        assert_eq!(leader.proposal(|_, _| false, Offset(6)), None, "fenced");
        assert_eq!(leader.proposal(|_, _| true, Offset(6)), Some(vec![OWN, BrokerId(2)]));
        leader.propose(vec![OWN, BrokerId(2)]);
        assert_eq!(leader.commit(OWN, Offset(10)), Some(Offset(7)));
        assert_eq!(leader.proposal(|_, _| true, Offset(6)), None, "one at a time");
    }

    #[test]
    fn who_is_silent_leaves_unless_there_is_nothing_to_fetch() {
        let mut leader = Leadership::new(OWN, &ALL, &ALL, Offset(0), 0);
        leader.fetched(BrokerId(2), 1, Offset(10), Offset(10), 100);
        leader.fetched(BrokerId(3), 1, Offset(9), Offset(10), 100);
        assert_eq!(leader.without_laggards(OWN, Offset(10), 150, 150), None);
        assert_eq!(leader.without_laggards(OWN, Offset(10), 151, 150), Some(vec![OWN, BrokerId(2)]));
        assert_eq!(leader.without_laggards(OWN, Offset(11), 300, 150), Some(vec![OWN]));
        // Level with the log as it was when it fetched before.
        leader.fetched(BrokerId(3), 1, Offset(10), Offset(20), 200);
        assert_eq!(leader.without_laggards(OWN, Offset(10), 250, 150), None);
    }
}
