//! Who leads a partition, who is in sync, and who could lead it if nobody were: Kafka's `PartitionChangeBuilder` with
//! eligible leader replicas (KIP-966).
//!
//! A replica that left the ISR while that was below `min.insync.replicas` still has everything that was committed, since
//! nothing is committed below that minimum: it stays eligible, until it restarts uncleanly. Where nobody is eligible any
//! more the last leader comes back; unclean elections only happen where the topic allows them.

use super::Controller;
use crate::io::Event;
use crate::metadata::record::{MetadataRecord, PartitionChange, PartitionState};
use crate::types::{BrokerId, PartitionId};
use kafka_protocol::protocol::StrBytes;

/// Why a leader is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Election {
    /// The leader stays if it can.
    IfNeeded,
    /// The first replica leads if it can.
    Preferred,
    /// Any replica may lead if no other can, whatever it lacks.
    Unclean,
}

/// A change of one partition in the making.
#[derive(Debug)]
pub(crate) struct ChangeBuilder<'a> {
    pub(crate) state: &'a PartitionState,
    pub(crate) isr: Vec<BrokerId>,
    pub(crate) replicas: Vec<BrokerId>,
    pub(crate) removing: Vec<BrokerId>,
    pub(crate) adding: Vec<BrokerId>,
    /// A replica that restarted and may lack what it had not synced.
    pub(crate) restarted: Option<BrokerId>,
    pub(crate) election: Election,
    pub(crate) min_isr: usize,
}

impl<'a> ChangeBuilder<'a> {
    pub(crate) fn new(state: &'a PartitionState, min_isr: usize, unclean: bool) -> Self {
        Self {
            state,
            isr: state.isr.clone(),
            replicas: state.replicas.clone(),
            removing: state.removing.clone(),
            adding: state.adding.clone(),
            restarted: None,
            election: if unclean { Election::Unclean } else { Election::IfNeeded },
            min_isr,
        }
    }

    /// The change, if there is any. `can_lead` says who is alive.
    pub(crate) fn build(mut self, can_lead: impl Fn(BrokerId) -> bool) -> Option<PartitionChange> {
        self.complete_reassignment();
        let mut elr = self.eligible();
        let (leader, unclean) = self.elect(&elr, can_lead);
        if let Some(leader) = leader
            && (unclean || !self.isr.contains(&leader))
        {
            self.isr = vec![leader];
            // After an unclean election nobody is known to have everything.
            elr.retain(|id| !unclean && *id != leader);
        }
        let state = self.state;
        let last_known = match (leader, state.leader) {
            (Some(_), _) => Vec::new(),
            (None, Some(last)) if self.isr.is_empty() => vec![last],
            (None, _) => state.last_known_elr.clone(),
        };
        // A replica that is dropped must not be believed any more, whoever leads.
        let drops = !state.replicas.iter().all(|id| self.replicas.contains(id));
        let differs = |new: Vec<BrokerId>, old: &Vec<BrokerId>| (new != *old).then_some(new);
        let change = PartitionChange {
            leader: (leader != state.leader || drops).then_some(leader),
            isr: differs(self.isr, &state.isr),
            replicas: differs(self.replicas, &state.replicas),
            removing: differs(self.removing, &state.removing),
            adding: differs(self.adding, &state.adding),
            elr: differs(elr, &state.elr),
            last_known_elr: differs(last_known, &state.last_known_elr),
            recovering: None,
        };
        (change != PartitionChange::default()).then_some(change)
    }

    /// Once every replica that stays is in sync, those that are being removed go.
    fn complete_reassignment(&mut self) {
        if self.removing.is_empty() && self.adding.is_empty() {
            return;
        }
        let stays = |id: &BrokerId| !self.removing.contains(id);
        let isr: Vec<BrokerId> = self.isr.iter().copied().filter(stays).collect();
        let replicas: Vec<BrokerId> = self.replicas.iter().copied().filter(stays).collect();
        if replicas.is_empty() || !replicas.iter().all(|id| isr.contains(id)) {
            return;
        }
        self.replicas = replicas;
        self.isr = isr;
        self.removing.clear();
        self.adding.clear();
    }

    /// Who has everything that was committed without being in sync.
    fn eligible(&self) -> Vec<BrokerId> {
        if self.isr.len() >= self.min_isr.min(self.replicas.len()) {
            return Vec::new();
        }
        let mut eligible: Vec<BrokerId> = Vec::new();
        for id in self.state.elr.iter().chain(&self.state.isr) {
            let counts = !self.isr.contains(id) && self.restarted != Some(*id) && self.replicas.contains(id);
            if counts && !eligible.contains(id) {
                eligible.push(*id);
            }
        }
        eligible
    }

    /// The leader, and whether it may lack something that was committed.
    fn elect(&self, elr: &[BrokerId], can_lead: impl Fn(BrokerId) -> bool) -> (Option<BrokerId>, bool) {
        // Somebody eligible may lack what was acknowledged by the ISR alone, and leads only where nobody else can.
        let has_all = |id: BrokerId| self.isr.contains(&id) || (self.isr.is_empty() && elr.contains(&id));
        let is_valid = |id: BrokerId| has_all(id) && can_lead(id);
        let preferred =
            self.replicas.first().copied().filter(|id| self.election == Election::Preferred && is_valid(*id));
        let stays = self.state.leader.filter(|id| is_valid(*id) && self.replicas.contains(id));
        let any = || self.replicas.iter().copied().find(|id| is_valid(*id));
        if let Some(leader) = preferred.or(stays).or_else(any) {
            return (Some(leader), false);
        }
        if let ([last], true, true) = (&self.state.last_known_elr[..], elr.is_empty(), self.isr.is_empty())
            && can_lead(*last)
        {
            return (Some(*last), true);
        }
        let anybody = || self.replicas.iter().copied().find(|id| can_lead(*id));
        (if self.election == Election::Unclean { anybody() } else { None }, true)
    }
}

impl Controller {
    /// A builder with the partition's own rules.
    pub(crate) fn builder<'a>(&self, topic: &StrBytes, state: &'a PartitionState) -> ChangeBuilder<'a> {
        ChangeBuilder::new(state, self.min_isr(topic, state), self.may_elect_unclean(topic))
    }

    pub(crate) fn append_changes(&mut self, changes: Vec<(PartitionId, PartitionChange)>) {
        for (PartitionId { topic, index }, change) in changes {
            self.append(MetadataRecord::PartitionChange { topic, index, change });
        }
    }

    /// A broker is gone: it is in sync nowhere, and others lead. One that `restarted` may have lost what it had not synced.
    pub(crate) fn leave_all(&mut self, broker: BrokerId, restarted: bool) {
        let mut changes = Vec::new();
        for (topic, id, state) in self.partitions() {
            let concerned = state.leader == Some(broker)
                || state.isr.contains(&broker)
                || (restarted && state.elr.contains(&broker));
            if !concerned {
                continue;
            }
            let mut builder = self.builder(topic, state);
            builder.isr.retain(|id| *id != broker);
            builder.restarted = restarted.then_some(broker);
            let change = builder.build(|id| id != broker && self.image.is_alive(id));
            changes.extend(change.map(|change| (id, change)));
        }
        self.append_changes(changes);
        self.tell(Event::Fenced(broker));
    }

    /// Partitions without a leader look for one: a broker is back.
    pub(crate) fn lead_orphans(&mut self) {
        let mut changes = Vec::new();
        for (topic, id, state) in self.partitions().filter(|(_, _, state)| state.leader.is_none()) {
            let change = self.builder(topic, state).build(|id| self.image.is_alive(id));
            changes.extend(change.map(|change| (id, change)));
        }
        self.append_changes(changes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::LeaderEpoch;

    fn ids(ids: &[i32]) -> Vec<BrokerId> {
        ids.iter().map(|id| BrokerId(*id)).collect()
    }

    fn state(leader: i32, isr: &[i32]) -> PartitionState {
        PartitionState {
            replicas: ids(&[1, 2, 3]),
            isr: ids(isr),
            leader: (leader > 0).then_some(BrokerId(leader)),
            leader_epoch: LeaderEpoch(4),
            ..PartitionState::default()
        }
    }

    /// What becomes of a partition of three replicas, two of which must be in sync, when a broker goes.
    fn without(state: &mut PartitionState, gone: i32, restarted: bool, alive: &[i32]) {
        let mut builder = ChangeBuilder::new(state, 2, false);
        builder.isr.retain(|id| id.0 != gone);
        builder.restarted = restarted.then_some(BrokerId(gone));
        if let Some(change) = builder.build(|id| id.0 != gone && alive.contains(&id.0)) {
            state.merge(&change);
        }
    }

    #[test]
    fn the_next_replica_in_sync_leads_and_who_left_stays_eligible() {
        let mut partition = state(1, &[1, 2, 3]);
        without(&mut partition, 1, false, &[2, 3]);
        assert_eq!((partition.leader, &partition.isr, &partition.elr), (Some(BrokerId(2)), &ids(&[2, 3]), &ids(&[])));
        without(&mut partition, 2, false, &[3]);
        assert_eq!((partition.leader, &partition.isr, &partition.elr), (Some(BrokerId(3)), &ids(&[3]), &ids(&[2])));
        without(&mut partition, 3, false, &[]);
        assert_eq!((partition.leader, &partition.isr), (None, &ids(&[])));
        assert_eq!((&partition.elr, &partition.last_known_elr), (&ids(&[2, 3]), &ids(&[3])));
        // Whoever of the eligible comes back first leads.
        let change = ChangeBuilder::new(&partition, 2, false).build(|id| id.0 == 2).expect("a leader");
        partition.merge(&change);
        assert_eq!((partition.leader, &partition.isr, &partition.elr), (Some(BrokerId(2)), &ids(&[2]), &ids(&[3])));
    }

    #[test]
    fn who_restarts_is_not_eligible_and_only_the_last_leader_comes_back_without_leave() {
        let mut partition = state(3, &[3]);
        partition.elr = ids(&[2]);
        without(&mut partition, 2, true, &[3]);
        assert_eq!(partition.elr, ids(&[]));
        without(&mut partition, 3, false, &[]);
        without(&mut partition, 3, true, &[]);
        assert_eq!((partition.leader, &partition.elr, &partition.last_known_elr), (None, &ids(&[]), &ids(&[3])));
        assert_eq!(
            ChangeBuilder::new(&partition, 2, false).build(|id| id.0 != 3),
            None,
            "the others may lack something"
        );
        let unclean = ChangeBuilder::new(&partition, 2, true).build(|id| id.0 == 1).expect("allowed");
        assert_eq!(unclean.leader, Some(Some(BrokerId(1))));
        let last = ChangeBuilder::new(&partition, 2, false).build(|_| true).expect("the last leader");
        assert_eq!((last.leader, last.isr), (Some(Some(BrokerId(3))), Some(ids(&[3]))));
    }

    #[test]
    fn who_is_eligible_leads_only_where_nobody_is_in_sync() {
        let mut partition = state(2, &[2]);
        partition.elr = ids(&[1]);
        let mut builder = ChangeBuilder::new(&partition, 2, false);
        builder.election = Election::Preferred;
        assert_eq!(builder.build(|_| true), None, "1 is preferred and may lack what 2 alone has acknowledged");
        let mut partition = state(2, &[2, 3]);
        partition.elr = ids(&[1]);
        let mut builder = ChangeBuilder::new(&partition, 3, false);
        builder.isr = ids(&[3]);
        assert_eq!(builder.build(|id| id.0 != 2).expect("a leader").leader, Some(Some(BrokerId(3))));
    }

    #[test]
    fn after_an_unclean_election_nobody_is_eligible() {
        let mut partition = state(0, &[]);
        (partition.elr, partition.last_known_elr) = (ids(&[2]), ids(&[3]));
        let change = ChangeBuilder::new(&partition, 2, true).build(|id| id.0 == 1).expect("allowed");
        partition.merge(&change);
        assert_eq!((partition.leader, &partition.isr), (Some(BrokerId(1)), &ids(&[1])));
        assert_eq!((&partition.elr, &partition.last_known_elr), (&ids(&[]), &ids(&[])));
    }

    #[test]
    fn a_reassignment_completes_when_all_that_stay_are_in_sync() {
        let mut partition = state(1, &[1, 2, 3]);
        (partition.replicas, partition.adding, partition.removing) = (ids(&[1, 2, 3, 4]), ids(&[4]), ids(&[1]));
        let build = |isr: &[i32]| {
            let mut builder = ChangeBuilder::new(&partition, 2, false);
            builder.isr = ids(isr);
            builder.build(|_| true)
        };
        assert_eq!(build(&[1, 2, 3]), None);
        assert_eq!(build(&[1, 3, 4]).expect("a change of the ISR").replicas, None, "2 stays, and is not in sync");
        let change = build(&[1, 2, 3, 4]).expect("complete");
        assert_eq!((change.replicas, change.isr), (Some(ids(&[2, 3, 4])), Some(ids(&[2, 3, 4]))));
        assert_eq!((change.leader, change.adding), (Some(Some(BrokerId(2))), Some(ids(&[]))));
    }
}
