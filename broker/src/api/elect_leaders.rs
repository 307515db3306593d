//! `ElectLeaders` 0–2 (KIP-183, KIP-460), on the controller. With one replica each partition is led by its preferred
//! replica or by nobody, so an election is either not needed or impossible.
//!
//! Version steps: 1 kind of election, top-level error; 2 flexible.

use crate::metadata::record::PartitionState;
use crate::node::Node;
use crate::types::Now;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

pub(super) fn apply(node: &mut Node, _now: Now, version: i16, request: ElectLeadersRequest) -> ElectLeadersResponse {
    let kind = if version == 0 { PREFERRED } else { request.election_type };
    if !(PREFERRED..=UNCLEAN).contains(&kind) {
        return unknown_kind(request);
    }
    let results = match request.topic_partitions {
        Some(topics) => topics
            .into_iter()
            .map(|topic| {
                let partitions = topic.partitions.iter().map(|index| one(node, kind, &topic.topic, *index)).collect();
                ReplicaElectionResult::default().with_topic(topic.topic).with_partition_result(partitions)
            })
            .collect(),
        None => all(node, kind),
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
fn all(node: &Node, kind: i8) -> Vec<ReplicaElectionResult> {
    let topics = node.image.topics.iter().map(|(name, topic)| {
        let results = topic.partitions.iter().zip(0..).filter_map(|(state, index)| {
            let (error, message) = elect(kind, state);
            (error != ResponseError::ElectionNotNeeded).then(|| result(index, error, message))
        });
        ReplicaElectionResult::default().with_topic(name.clone().into()).with_partition_result(results.collect())
    });
    topics.collect()
}

fn one(node: &Node, kind: i8, topic: &TopicName, index: i32) -> PartitionResult {
    if !node.image.topics.contains_key(&topic.0) {
        return result(index, ResponseError::UnknownTopicOrPartition, format!("No such topic as {}", &***topic));
    }
    match node.image.partition(topic, index) {
        Some(state) => {
            let (error, message) = elect(kind, state);
            result(index, error, message)
        }
        None => {
            let message = format!("No such partition as {}-{index}", &***topic);
            result(index, ResponseError::UnknownTopicOrPartition, message)
        }
    }
}

fn elect(kind: i8, state: &PartitionState) -> (ResponseError, &'static str) {
    match (kind, state.leader) {
        (PREFERRED, leader) if leader.is_some() && leader == state.replicas.first().copied() => {
            (ResponseError::ElectionNotNeeded, "Leader election not needed for topic partition.")
        }
        (UNCLEAN, Some(_)) => (ResponseError::ElectionNotNeeded, "Leader election not needed for topic partition."),
        (PREFERRED, _) => (ResponseError::PreferredLeaderNotAvailable, "The preferred leader was not available."),
        (_, _) => (ResponseError::EligibleLeadersNotAvailable, "Eligible topic partition leaders are not available."),
    }
}

fn result(index: i32, error: ResponseError, message: impl Into<String>) -> PartitionResult {
    PartitionResult::default()
        .with_partition_id(index)
        .with_error_code(error.code())
        .with_error_message(Some(StrBytes::from_string(message.into())))
}
