//! `ElectLeaders` 0–2 (KIP-183, KIP-460), on the controller: the preferred replica leads again, or, where nobody can lead
//! without loss, anybody.
//!
//! Version steps: 1 kind of election, top-level error; 2 flexible.

use crate::controller::Controller;
use crate::controller::elections::Election;
use crate::types::{Now, PartitionId};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};
use kafka_protocol::protocol::StrBytes;

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

pub(super) fn apply(
    controller: &mut Controller,
    _now: Now,
    version: i16,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    let kind = if version == 0 { PREFERRED } else { request.election_type };
    if !(PREFERRED..=UNCLEAN).contains(&kind) {
        return unknown_kind(request);
    }
    let results = match request.topic_partitions {
        Some(topics) => topics
            .into_iter()
            .map(|topic| {
                let partitions =
                    topic.partitions.iter().map(|index| one(controller, kind, &topic.topic, *index)).collect();
                ReplicaElectionResult::default().with_topic(topic.topic).with_partition_result(partitions)
            })
            .collect(),
        None => all(controller, kind),
    };
    ElectLeadersResponse::default().with_replica_election_results(results)
}

/// Kafka refuses each partition, or everything where none is named.
fn unknown_kind(request: ElectLeadersRequest) -> ElectLeadersResponse {
    let error = ResponseError::InvalidRequest;
    let message = format!("Unknown election type {}", request.election_type);
    let Some(topics) = request.topic_partitions else {
        return ElectLeadersResponse::default().with_error_code(error.code());
    };
    let refused = topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|index| result(*index, error, message.clone())).collect();
        ReplicaElectionResult::default().with_topic(topic.topic).with_partition_result(partitions)
    });
    ElectLeadersResponse::default().with_error_code(error.code()).with_replica_election_results(refused.collect())
}

/// Asked for every partition, those that need no election are not mentioned.
fn all(controller: &mut Controller, kind: i8) -> Vec<ReplicaElectionResult> {
    let names: Vec<StrBytes> = controller.image.topics.keys().cloned().collect();
    let topics = names.into_iter().map(|name| {
        let count = controller.image.topics.get(&name).map_or(0, |topic| topic.partitions.len());
        let results = (0..i32::try_from(count).unwrap_or(i32::MAX)).map(|index| one(controller, kind, &name, index));
        let needed = results.filter(|result| result.error_code != ResponseError::ElectionNotNeeded.code()).collect();
        ReplicaElectionResult::default().with_topic(name.into()).with_partition_result(needed)
    });
    topics.collect()
}

fn one(controller: &mut Controller, kind: i8, topic: &StrBytes, index: i32) -> PartitionResult {
    let Some(known) = controller.image.topics.get(topic) else {
        return result(index, ResponseError::UnknownTopicOrPartition, format!("No such topic as {}", &**topic));
    };
    let id = PartitionId { topic: known.id, index };
    if controller.image.state(id).is_none() {
        let message = format!("No such partition as {}-{index}", &**topic);
        return result(index, ResponseError::UnknownTopicOrPartition, message);
    }
    match elect(controller, kind, topic, id) {
        Ok(()) => PartitionResult::default().with_partition_id(index).with_error_message(None),
        Err((error, message)) => result(index, error, message),
    }
}

fn elect(
    controller: &mut Controller,
    kind: i8,
    topic: &StrBytes,
    id: PartitionId,
) -> Result<(), (ResponseError, &'static str)> {
    let Some(state) = controller.image.state(id) else { return Ok(()) };
    let not_needed = (ResponseError::ElectionNotNeeded, "Leader election not needed for topic partition.");
    let preferred = state.leader.is_some() && state.leader == state.replicas.first().copied();
    if (kind == PREFERRED && preferred) || (kind == UNCLEAN && state.leader.is_some()) {
        return Err(not_needed);
    }
    let before = state.leader;
    let mut builder = controller.builder(topic, state);
    builder.election = if kind == PREFERRED { Election::Preferred } else { Election::Unclean };
    let change = builder.build(|id| controller.image.is_alive(id));
    let elected = change.filter(|change| change.leader.is_some_and(|leader| leader.is_some() && leader != before));
    match elected {
        Some(change) => {
            controller.append_changes(vec![(id, change)]);
            Ok(())
        }
        None if kind == PREFERRED => {
            Err((ResponseError::PreferredLeaderNotAvailable, "The preferred leader was not available."))
        }
        None => {
            Err((ResponseError::EligibleLeadersNotAvailable, "Eligible topic partition leaders are not available."))
        }
    }
}

fn result(index: i32, error: ResponseError, message: impl Into<String>) -> PartitionResult {
    PartitionResult::default()
        .with_partition_id(index)
        .with_error_code(error.code())
        .with_error_message(Some(StrBytes::from_string(message.into())))
}
