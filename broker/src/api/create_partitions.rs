//! `CreatePartitions` 0–3, on the controller: a topic grows; it never shrinks.

use super::create_topics::{
    PARTITIONS_MAX, add_partitions, check_equally_many, check_new_partitions, check_new_replicas, place,
};
use crate::controller::Controller;
use crate::types::{BrokerId, Now};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;

pub(super) fn apply(
    controller: &mut Controller,
    _now: Now,
    _version: i16,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut seen = BTreeSet::new();
    let names = request.topics.iter().map(|topic| topic.name.clone());
    let twice: BTreeSet<TopicName> = names.filter(|name| !seen.insert(name.clone())).collect();
    // A name that is given twice gets one answer.
    let topics: Vec<CreatePartitionsTopic> =
        request.topics.into_iter().filter(|topic| seen.remove(&topic.name)).collect();
    let new = |topic: &CreatePartitionsTopic| {
        let before = controller.image.topics.get(&topic.name.0).map_or(0, |topic| topic.partitions.len());
        u64::try_from(topic.count).unwrap_or(0).saturating_sub(before as u64)
    };
    let too_many = check_new_partitions(topics.iter().map(new));
    let results = topics.into_iter().map(|topic| {
        let result = CreatePartitionsTopicResult::default().with_name(topic.name.clone()).with_error_message(None);
        let grown = if twice.contains(&topic.name) {
            Err((ResponseError::InvalidRequest, String::from("Duplicate topic name.")))
        } else if let Err(refused) = &too_many {
            Err(refused.clone())
        } else {
            grow(controller, request.validate_only, &topic)
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
    controller: &mut Controller,
    validate_only: bool,
    asked: &CreatePartitionsTopic,
) -> Result<(), (ResponseError, String)> {
    let Some(topic) = controller.image.topics.get(&asked.name.0) else {
        let message = String::from("This server does not host this topic-partition.");
        return Err((ResponseError::UnknownTopicOrPartition, message));
    };
    let (id, before) = (topic.id, topic.partitions.len());
    let factor = topic.partitions.first().map_or(1, |state| state.replicas.len());
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
            by_hand.iter().try_for_each(|replicas| check_new_replicas(controller, replicas))?;
            check_equally_many(&by_hand, factor)?;
            by_hand
        }
        None => place(controller, added, i16::try_from(factor).unwrap_or(i16::MAX), before)?,
    };
    if !validate_only {
        let first = i32::try_from(before).unwrap_or(i32::MAX);
        add_partitions(controller, id, first, replicas);
    }
    Ok(())
}
