//! `CreatePartitions` 0–3, on the controller: a topic grows; it never shrinks.

use super::create_topics::{PARTITIONS_MAX, check_replicas, first_state};
use crate::metadata::placement;
use crate::metadata::record::MetadataRecord;
use crate::node::Node;
use crate::types::{BrokerId, Now};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;

pub(super) fn apply(
    node: &mut Node,
    now: Now,
    _version: i16,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut seen = BTreeSet::new();
    let names = request.topics.iter().map(|topic| topic.name.clone());
    let twice: BTreeSet<TopicName> = names.filter(|name| !seen.insert(name.clone())).collect();
    // A name that is given twice gets one answer.
    let topics = request.topics.into_iter().filter(|topic| seen.remove(&topic.name));
    let results = topics.map(|topic| {
        let result = CreatePartitionsTopicResult::default().with_name(topic.name.clone()).with_error_message(None);
        let grown = if twice.contains(&topic.name) {
            Err((ResponseError::InvalidRequest, String::from("Duplicate topic name.")))
        } else {
            grow(node, now, request.validate_only, &topic)
        };
        match grown {
            Ok(()) => result,
            Err((error, message)) => {
                result.with_error_code(error.code()).with_error_message(Some(StrBytes::from_string(message)))
            }
        }
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

fn grow(
    node: &mut Node,
    now: Now,
    validate_only: bool,
    asked: &CreatePartitionsTopic,
) -> Result<(), (ResponseError, String)> {
    let Some(topic) = node.image.topics.get(&asked.name.0) else {
        let message = String::from("This server does not host this topic-partition.");
        return Err((ResponseError::UnknownTopicOrPartition, message));
    };
    let (id, before) = (topic.id, topic.partitions.len());
    let wanted = usize::try_from(asked.count).unwrap_or(0);
    if wanted <= before {
        let message = format!(
            "The topic {} currently has {before} partition(s); {} would not be an increase.",
            &**asked.name, asked.count
        );
        return Err((ResponseError::InvalidPartitions, message));
    }
    if asked.count > PARTITIONS_MAX {
        let message = format!("{} partitions are too many: a topic has at most {PARTITIONS_MAX} here.", asked.count);
        return Err((ResponseError::InvalidPartitions, message));
    }
    let added = wanted - before;
    let brokers: Vec<BrokerId> = node.image.brokers.keys().copied().collect();
    let replicas = match &asked.assignments {
        Some(assignments) => {
            if assignments.len() != added {
                let given = assignments.len();
                let message = format!(
                    "Attempted to add {added} additional partition(s), but only {given} assignment(s) were specified."
                );
                return Err((ResponseError::InvalidReplicaAssignment, message));
            }
            let by_hand: Vec<Vec<BrokerId>> = assignments
                .iter()
                .map(|assignment| assignment.broker_ids.iter().map(|id| BrokerId(id.0)).collect())
                .collect();
            by_hand.iter().try_for_each(|replicas| check_replicas(&brokers, replicas))?;
            by_hand
        }
        None => placement::place(&brokers, added, 1, before),
    };
    if !validate_only {
        let first = i32::try_from(before).unwrap_or(i32::MAX);
        let partition =
            |(replicas, index)| MetadataRecord::Partition { topic: id, index, state: first_state(replicas) };
        let records: Vec<MetadataRecord> = replicas.into_iter().zip(first..).map(partition).collect();
        node.append_metadata(now, &records);
    }
    Ok(())
}
