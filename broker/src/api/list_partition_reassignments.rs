//! `ListPartitionReassignments` 0 (KIP-455), on the controller: which partitions are on their way to other replicas.

use crate::BrokerId;
use crate::controller::Controller;
use crate::metadata::record::PartitionState;
use crate::types::Now;
use kafka_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use kafka_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};
use kafka_protocol::protocol::StrBytes;

pub(super) fn apply(
    controller: &mut Controller,
    _now: Now,
    _version: i16,
    request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let image = &controller.image;
    let asked: Vec<(StrBytes, Option<Vec<i32>>)> = match request.topics {
        Some(topics) => topics.into_iter().map(|topic| (topic.name.0, Some(topic.partition_indexes))).collect(),
        None => image.topics.keys().map(|name| (name.clone(), None)).collect(),
    };
    let topics = asked.into_iter().filter_map(|(name, indexes)| {
        let states = image.topics.get(&name)?.partitions.iter().zip(0..);
        let wanted = states.filter(|(_, index)| indexes.as_ref().is_none_or(|indexes| indexes.contains(index)));
        let ongoing: Vec<_> = wanted.filter_map(|(state, index)| describe(state, index)).collect();
        let topic = OngoingTopicReassignment::default().with_name(name.into());
        (!ongoing.is_empty()).then(|| topic.with_partitions(ongoing))
    });
    ListPartitionReassignmentsResponse::default().with_error_message(None).with_topics(topics.collect())
}

fn describe(state: &PartitionState, index: i32) -> Option<OngoingPartitionReassignment> {
    if state.adding.is_empty() && state.removing.is_empty() {
        return None;
    }
    let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.0.into()).collect::<Vec<_>>();
    Some(
        OngoingPartitionReassignment::default()
            .with_partition_index(index)
            .with_replicas(ids(&state.replicas))
            .with_adding_replicas(ids(&state.adding))
            .with_removing_replicas(ids(&state.removing)),
    )
}
