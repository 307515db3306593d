//! What leaders want the ISR to be (`AlterPartition`, KIP-497, KIP-903): checked against what the controller knows, then
//! decided like any other change.

use super::Controller;
use crate::config::Defect;
use crate::metadata::record::PartitionState;
use crate::peer::{ControllerResponse, IsrChange};
use crate::types::BrokerId;
use kafka_protocol::error::ResponseError;

impl Controller {
    pub(crate) fn alter_partitions(
        &mut self,
        from: BrokerId,
        broker_epoch: i64,
        changes: Vec<IsrChange>,
    ) -> ControllerResponse {
        let known = self.image.brokers.get(&from).map(|broker| broker.epoch);
        if known != Some(broker_epoch) && !self.config.has(Defect::NoFencing) {
            return ControllerResponse::StaleBroker;
        }
        let altered = changes.into_iter().map(|change| (change.partition, self.alter_partition(from, &change)));
        ControllerResponse::Altered(altered.collect())
    }

    /// The partition epoch after the change.
    fn alter_partition(&mut self, from: BrokerId, wanted: &IsrChange) -> Result<i32, ResponseError> {
        let name = self.image.names.get(&wanted.partition.topic).ok_or(ResponseError::UnknownTopicId)?.clone();
        let state = self.image.state(wanted.partition).ok_or(ResponseError::UnknownTopicOrPartition)?;
        self.check(from, state, wanted)?;
        let mut builder = self.builder(&name, state);
        builder.isr = wanted.isr.iter().map(|(id, _)| *id).collect();
        let epoch = state.partition_epoch;
        let Some(change) = builder.build(|id| self.image.is_alive(id)) else {
            return Ok(epoch);
        };
        self.append_changes(vec![(wanted.partition, change)]);
        Ok(epoch + 1)
    }

    fn check(&self, from: BrokerId, state: &PartitionState, wanted: &IsrChange) -> Result<(), ResponseError> {
        if self.config.has(Defect::NoFencing) {
            return Ok(());
        }
        if wanted.leader_epoch > state.leader_epoch || wanted.partition_epoch > state.partition_epoch {
            // The leader knows more than this node, which then cannot be the active controller for long.
            return Err(ResponseError::NotController);
        }
        if wanted.leader_epoch < state.leader_epoch {
            return Err(ResponseError::FencedLeaderEpoch);
        }
        if state.leader != Some(from) {
            return Err(ResponseError::InvalidRequest);
        }
        if wanted.partition_epoch < state.partition_epoch {
            return Err(ResponseError::InvalidUpdateVersion);
        }
        let is_member = |id: &BrokerId| wanted.isr.iter().any(|(member, _)| member == id);
        if !is_member(&from) || !wanted.isr.iter().all(|(id, _)| state.replicas.contains(id)) {
            return Err(ResponseError::InvalidRequest);
        }
        let is_eligible = |(id, epoch): &(BrokerId, i64)| {
            let broker = self.image.brokers.get(id);
            broker.is_some_and(|broker| {
                let same = *epoch == -1 || *epoch == broker.epoch;
                // Who is in sync already may stay: fencing takes it out by itself.
                state.isr.contains(id) || (same && !broker.fenced && !broker.in_controlled_shutdown)
            })
        };
        if wanted.isr.iter().all(is_eligible) { Ok(()) } else { Err(ResponseError::IneligibleReplica) }
    }
}
