//! `DescribeTopicPartitions` 0 (KIP-966): topics by name, a page at a time. With one replica there are no eligible leader
//! replicas outside the ISR.

use super::{Call, Effect, authorized_operations, create_topics};
use crate::metadata::image::{Image, Topic};
use crate::metadata::is_internal;
use crate::node::Node;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, describe_topic_partitions_request,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;

/// `max.request.partition.size.limit`, Kafka's default.
const PARTITIONS_MAX: usize = 2000;

pub(super) fn handle(node: &mut Node, _call: &Call, request: DescribeTopicPartitionsRequest) -> Effect {
    let cursor = request.cursor.as_ref();
    // A cursor stands in one of the topics that are asked for.
    let is_elsewhere = |cursor: &describe_topic_partitions_request::Cursor| {
        !request.topics.is_empty() && request.topics.iter().all(|topic| topic.name != cursor.topic_name)
    };
    if cursor.is_some_and(|cursor| cursor.partition_index < 0 || is_elsewhere(cursor)) {
        let topics = request.topics.into_iter().map(|topic| failed(topic.name.0, ResponseError::InvalidRequest));
        return DescribeTopicPartitionsResponse::default().with_topics(topics.collect()).into();
    }
    let image = &node.image;
    let all = request.topics.is_empty();
    let names: BTreeSet<StrBytes> = if all {
        image.topics.keys().cloned().collect()
    } else {
        request.topics.into_iter().map(|topic| topic.name.0).collect()
    };
    let from = cursor.map(|cursor| cursor.topic_name.0.clone()).unwrap_or_default();
    let mut left = usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, PARTITIONS_MAX);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names.into_iter().filter(|name| *name >= from) {
        let resumed = cursor.filter(|cursor| cursor.topic_name.0 == name);
        let first = resumed.map_or(0, |cursor| usize::try_from(cursor.partition_index).unwrap_or(0));
        if left == 0 {
            response.next_cursor = Some(Cursor::default().with_topic_name(name.into()));
            break;
        }
        let Some(topic) = image.topics.get(&name) else {
            response.topics.push(unknown(name));
            continue;
        };
        let described = describe(image, &name, topic, first, left);
        let end = first + described.partitions.len();
        left -= described.partitions.len();
        response.topics.push(described);
        if end < topic.partitions.len() {
            let next = i32::try_from(end).unwrap_or(i32::MAX);
            response.next_cursor = Some(Cursor::default().with_topic_name(name.into()).with_partition_index(next));
            break;
        }
    }
    response.into()
}

fn unknown(name: StrBytes) -> DescribeTopicPartitionsResponseTopic {
    let error = if create_topics::is_valid_name(&name) {
        ResponseError::UnknownTopicOrPartition
    } else {
        ResponseError::InvalidTopicException
    };
    failed(name, error).with_topic_authorized_operations(authorized_operations::TOPIC)
}

fn failed(name: StrBytes, error: ResponseError) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(error.code())
        .with_is_internal(is_internal(&name))
        .with_name(Some(name.into()))
        .with_topic_authorized_operations(authorized_operations::NOT_ASKED)
}

fn describe(
    image: &Image,
    name: &StrBytes,
    topic: &Topic,
    first: usize,
    most: usize,
) -> DescribeTopicPartitionsResponseTopic {
    let ids = |brokers: &[crate::BrokerId]| brokers.iter().map(|id| BrokerId(id.0)).collect::<Vec<_>>();
    let partitions = topic.partitions.iter().zip(0..).skip(first).take(most).map(|(state, index)| {
        let leader = state.leader.filter(|leader| image.is_alive(*leader));
        let error = if leader.is_some() { 0 } else { ResponseError::LeaderNotAvailable.code() };
        let offline: Vec<crate::BrokerId> = state.replicas.iter().copied().filter(|id| !image.is_alive(*id)).collect();
        DescribeTopicPartitionsResponsePartition::default()
            .with_error_code(error)
            .with_partition_index(index)
            .with_leader_id(leader.map_or(-1, |leader| leader.0).into())
            .with_leader_epoch(state.leader_epoch.0)
            .with_replica_nodes(ids(&state.replicas))
            .with_isr_nodes(ids(&state.isr))
            .with_eligible_leader_replicas(Some(ids(&state.elr)))
            .with_last_known_elr(Some(ids(&state.last_known_elr)))
            .with_offline_replicas(ids(&offline))
    });
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(name.clone().into()))
        .with_topic_id(topic.id)
        .with_is_internal(is_internal(name))
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(authorized_operations::TOPIC)
}
