//! What replayed metadata means for this node's replicas: they are opened, lead, follow, or go. And what a leader asks of
//! the controller in return: another ISR.

use crate::api;
use crate::config::{Defect, topic};
use crate::controller::min_isr;
use crate::controller::requests::Purpose;
use crate::group;
use crate::io::Event;
use crate::log::partition::{Partition, RoleChange};
use crate::log::store::LogName;
use crate::metadata::CONSUMER_OFFSETS;
use crate::metadata::record::{ConfigResource, MetadataRecord, PartitionState};
use crate::node::Node;
use crate::peer::{ControllerRequest, ControllerResponse, IsrChange};
use crate::timers::Timer;
use crate::types::{BrokerId, Now, PartitionId};
use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

impl Node {
    /// Replays one committed metadata record and does what it means for this node.
    pub(crate) fn replay(&mut self, now: Now, record: &MetadataRecord) {
        let removed = match record {
            MetadataRecord::RemoveTopic { id } => self.image.names.get(id).cloned(),
            _ => None,
        };
        self.image.apply(record);
        // Until it knows its own registration a broker only listens: the past may have it lead what others lead by now.
        if !self.lifecycle.published {
            return;
        }
        match record {
            MetadataRecord::Partition { topic, index, .. } | MetadataRecord::PartitionChange { topic, index, .. } => {
                let id = PartitionId { topic: *topic, index: *index };
                if let Some(state) = self.image.state(id).cloned() {
                    self.assume(now, id, &state);
                }
            }
            MetadataRecord::RemoveTopic { id } => {
                self.remove_partitions(now, *id);
                if let Some(name) = removed {
                    group::offsets::topic_deleted(self, now, &name);
                }
            }
            MetadataRecord::Config { resource: ConfigResource::Topic(name), .. } => self.take_topic_settings(name),
            MetadataRecord::BrokerRegistrationChange { fenced: Some(false), .. } => self.reconsider_isrs(),
            _ => {}
        }
    }

    /// The broker has caught up with its own registration: from now on the metadata decides what it does, and clients are
    /// served.
    pub(crate) fn publish(&mut self, now: Now) {
        let caught_up = self.lifecycle.epoch.is_some_and(|epoch| self.image.end.0 > epoch);
        if self.lifecycle.published || !caught_up {
            return;
        }
        self.lifecycle.published = true;
        let mine: Vec<(PartitionId, PartitionState)> = self
            .image
            .partitions()
            .filter(|(_, state)| state.replicas.contains(&self.config.id))
            .map(|(id, state)| (id, state.clone()))
            .collect();
        for (id, state) in mine {
            self.assume(now, id, &state);
        }
        self.remove_strays();
        for (call, request) in std::mem::take(&mut self.before_published) {
            self.dispatch(call, request);
        }
    }

    /// Logs of partitions that moved elsewhere, or whose topic was deleted, while this node was away.
    fn remove_strays(&mut self) {
        for name in self.store.names() {
            if let LogName::Partition(id) = name
                && !self.partitions.contains_key(&id)
                && self.image.state(id).is_none_or(|state| !state.replicas.contains(&self.config.id))
            {
                let log = self.store.open(name);
                self.store.remove(log);
            }
        }
    }

    /// Replayed as far as possible for now.
    pub(crate) fn after_replay(&mut self, now: Now) {
        self.publish(now);
        self.hurry_heartbeat(now);
        api::find_coordinator::answer_waiting(self);
        self.maybe_activate(now);
        self.answer_committed();
    }

    /// Takes the role in a partition that the metadata gives this node.
    pub(crate) fn assume(&mut self, now: Now, id: PartitionId, state: &PartitionState) {
        if !state.replicas.contains(&self.config.id) {
            return self.remove_replica(now, id);
        }
        if !self.partitions.contains_key(&id) && !self.open_replica(now, id) {
            return;
        }
        self.take_min_isr(id, state.replicas.len());
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let change = partition.assume(&mut *self.store, state, now);
        if partition.take_high_watermark_moved() {
            self.moved.push(id);
        }
        match change {
            RoleChange::None => {}
            RoleChange::Decided { isr_changed } => {
                if isr_changed {
                    self.tell_isr(id);
                }
                self.moved.push(id);
                // A replica that is new may have fetched before this node knew that it is one.
                self.replay_positions(now, id);
            }
            RoleChange::Leads { before } => self.on_leading(now, id, before),
            RoleChange::Follows { led, before, leader, new_epoch } => {
                self.on_following(now, id, led, before, leader, new_epoch);
            }
        }
    }

    fn open_replica(&mut self, now: Now, id: PartitionId) -> bool {
        let Some(name) = self.image.names.get(&id.topic).cloned() else { return false };
        let own = self.image.topic_settings(&name);
        let settings = (topic::limits(own), topic::policy(own));
        let trust = self.config.has(Defect::TrustUnsynced);
        match Partition::open(&mut *self.store, self.config.id, id, settings, trust, now) {
            Ok(partition) => {
                self.partitions.insert(id, partition);
                true
            }
            Err(error) => {
                self.unsupported(format!("a replica whose storage fails ({error})"));
                false
            }
        }
    }

    fn on_leading(&mut self, now: Now, id: PartitionId, before: Option<BrokerId>) {
        if let Some(leader) = before {
            self.unfollow(leader, id);
        }
        self.deposed.push(id);
        self.moved.push(id);
        self.replay_positions(now, id);
        if self.timers.deadline(&Timer::Lag).is_none() {
            self.timers.set(Timer::Lag, now.after_ms(self.lag_check_ms()));
        }
        if let (Some(partition), Some(replica)) = (self.topic_partition(id), self.partitions.get(&id)) {
            let is_offsets = &*partition.topic == CONSUMER_OFFSETS;
            let epoch = replica.leader_epoch();
            self.event(Event::Leads { partition, epoch });
            if is_offsets {
                group::loading::lead(self, now, id);
            }
        }
    }

    fn on_following(
        &mut self,
        now: Now,
        id: PartitionId,
        led: bool,
        before: Option<BrokerId>,
        leader: Option<BrokerId>,
        new_epoch: bool,
    ) {
        if let Some(before) = before.filter(|before| Some(*before) != leader) {
            self.unfollow(before, id);
        }
        if let Some(leader) = leader
            && (new_epoch || led || before != Some(leader))
        {
            self.follow(leader, id);
        }
        if led || new_epoch {
            self.deposed.push(id);
        }
        if led && self.is_offsets_partition(id) {
            group::loading::resign(self, now, id);
        }
    }

    fn is_offsets_partition(&self, id: PartitionId) -> bool {
        self.image.names.get(&id.topic).is_some_and(|name| &**name == CONSUMER_OFFSETS)
    }

    /// The replica moved elsewhere, or its topic is gone.
    fn remove_replica(&mut self, now: Now, id: PartitionId) {
        let Some(mut partition) = self.partitions.remove(&id) else { return };
        if let Some(leader) = partition.leader().filter(|_| !partition.leads()) {
            self.unfollow(leader, id);
        }
        if partition.leads() && self.is_offsets_partition(id) {
            group::loading::resign(self, now, id);
        }
        let watchers = std::mem::take(&mut partition.watchers);
        partition.remove(&mut *self.store);
        self.wake_for_the_last_time(now, watchers);
    }

    pub(crate) fn remove_partitions(&mut self, now: Now, topic: Uuid) {
        let ids: Vec<PartitionId> = self.partitions.range(PartitionId::all_of(topic)).map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.remove_replica(now, id));
    }

    pub(crate) fn take_topic_settings(&mut self, name: &StrBytes) {
        let Some(topic) = self.image.topics.get(name) else { return };
        let own = self.image.topic_settings(name);
        let (limits, policy) = (topic::limits(own), topic::policy(own));
        let ids: Vec<PartitionId> = self.partitions.range(PartitionId::all_of(topic.id)).map(|(id, _)| *id).collect();
        for id in ids {
            if let Some(partition) = self.partitions.get_mut(&id) {
                partition.limits = limits;
                partition.set_policy(policy);
            }
            let replicas = self.image.state(id).map_or(1, |state| state.replicas.len());
            self.take_min_isr(id, replicas);
        }
    }

    fn take_min_isr(&mut self, id: PartitionId, replicas: usize) {
        let Some(name) = self.image.names.get(&id.topic) else { return };
        let min = min_isr(&self.config, &self.image, name, replicas);
        if let Some(partition) = self.partitions.get_mut(&id) {
            partition.min_isr = min;
            if partition.advance(&mut *self.store) {
                self.moved.push(id);
            }
        }
    }

    fn tell_isr(&mut self, id: PartitionId) {
        let (Some(partition), Some(replica)) = (self.topic_partition(id), self.partitions.get(&id)) else {
            return;
        };
        let (isr, epoch) = (replica.isr().to_vec(), replica.leader_epoch());
        self.event(Event::IsrChanged { partition, isr, epoch });
    }

    /// A leader wants another ISR.
    pub(crate) fn propose_isr(&mut self, id: PartitionId, isr: Vec<BrokerId>) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let Some(leadership) = partition.leadership() else { return };
        let own = self.config.id;
        let own_epoch = self.lifecycle.epoch.unwrap_or(-1);
        let epoch_of = |id: &BrokerId| if *id == own { own_epoch } else { leadership.broker_epoch(*id) };
        let change = IsrChange {
            partition: id,
            leader_epoch: partition.leader_epoch(),
            partition_epoch: partition.partition_epoch(),
            isr: isr.iter().map(|id| (*id, epoch_of(id))).collect(),
        };
        partition.propose(isr);
        self.isr_changes.push(change);
    }

    pub(crate) fn send_isr_changes(&mut self, now: Now) {
        let mut partitions = std::mem::take(&mut self.isr_changes);
        // What the metadata has overtaken meanwhile decides nothing, and there is one change of a partition in a request.
        partitions.retain(|change| {
            let partition = self.partitions.get(&change.partition);
            partition.is_some_and(|partition| partition.partition_epoch() == change.partition_epoch)
        });
        if partitions.is_empty() {
            return;
        }
        let concerned = partitions.clone();
        let request = ControllerRequest::AlterPartition { broker_epoch: self.broker_epoch(), partitions };
        self.ask_controller(now, request, Purpose::Isr(concerned));
    }

    /// The controller has decided, or refused. A decision takes effect when it comes through the metadata log. Until it is
    /// certain that none will come the proposed members count as in sync: the controller may elect them.
    pub(crate) fn on_isr_response(&mut self, changes: Vec<IsrChange>, response: ControllerResponse) {
        let ControllerResponse::Altered(altered) = response else { return self.give_up_isrs(&changes) };
        for change in changes {
            let Some(partition) = self.partitions.get_mut(&change.partition) else { continue };
            if partition.leader_epoch() != change.leader_epoch || partition.partition_epoch() != change.partition_epoch
            {
                continue;
            }
            match altered.iter().find(|(id, _)| *id == change.partition).map(|(_, outcome)| outcome) {
                // It is as it should be already, or cannot be so.
                Some(Ok(epoch)) if *epoch == change.partition_epoch => partition.undecided(),
                Some(Err(ResponseError::IneligibleReplica | ResponseError::InvalidRequest)) => partition.undecided(),
                // A controller that knows less than this leader is none for long.
                Some(Err(ResponseError::NotController)) => self.isr_again.push(change),
                // The decision, or a newer one than this leader knows, is on its way.
                Some(_) => {}
                None => partition.undecided(),
            }
        }
    }

    /// The controller does not know this broker in its present life, so nothing was decided.
    fn give_up_isrs(&mut self, changes: &[IsrChange]) {
        for change in changes {
            if let Some(partition) = self.partitions.get_mut(&change.partition)
                && partition.partition_epoch() == change.partition_epoch
            {
                partition.undecided();
            }
        }
    }

    fn lag_check_ms(&self) -> i64 {
        (self.config.timing.replica_lag_max_ms / 2).max(1)
    }

    /// Looks which followers were silent for too long.
    pub(crate) fn on_lag_timer(&mut self, now: Now) {
        let lag_max_ms = self.config.timing.replica_lag_max_ms;
        let led = self.partitions.iter().filter(|(_, partition)| partition.leads());
        let lagging: Vec<(PartitionId, Vec<BrokerId>)> =
            led.filter_map(|(id, partition)| Some((*id, partition.lagging(now, lag_max_ms)?))).collect();
        for (id, isr) in lagging {
            if self.config.has(Defect::LostIsrChange) {
                self.overrule_isr(id, isr);
            } else {
                self.propose_isr(id, isr);
            }
        }
        self.isr_changes.append(&mut self.isr_again);
        self.reconsider_isrs();
        if self.partitions.values().any(Partition::leads) {
            self.timers.set(Timer::Lag, now.after_ms(self.lag_check_ms()));
        }
    }

    /// Followers may have become fit to be in sync without having fetched again: a broker was fenced, or the controller
    /// did not agree.
    pub(crate) fn reconsider_isrs(&mut self) {
        let led = self.partitions.iter().filter(|(_, partition)| partition.leads());
        let joining: Vec<(PartitionId, Vec<BrokerId>)> = led
            .filter_map(|(id, partition)| Some((*id, partition.joining(|id, epoch| self.may_join(id, epoch))?)))
            .collect();
        joining.into_iter().for_each(|(id, isr)| self.propose_isr(id, isr));
    }

    /// Whether a follower may be in sync: alive, and in the life in which it has fetched (KIP-903).
    pub(crate) fn may_join(&self, id: BrokerId, epoch: i64) -> bool {
        let fencing = !self.config.has(Defect::NoFencing);
        let broker = self.image.brokers.get(&id);
        broker.is_some_and(|it| !it.fenced && !it.in_controlled_shutdown && (it.epoch == epoch || !fencing))
    }

    fn overrule_isr(&mut self, id: PartitionId, isr: Vec<BrokerId>) {
        if let Some(partition) = self.partitions.get_mut(&id) {
            partition.overrule_isr(&mut *self.store, isr);
            self.moved.push(id);
        }
    }
}
