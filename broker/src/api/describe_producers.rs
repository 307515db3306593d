//! `DescribeProducers` 0 (KIP-664): the idempotent producers that a partition remembers.

use super::create_topics::is_valid_name;
use super::{Call, Effect};
use crate::log::partition::PartitionId;
use crate::node::Node;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use kafka_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse, TopicName};

/// No coordinator has ever written a marker for the producer.
const NO_COORDINATOR: i32 = -1;
const NO_TRANSACTION: i64 = -1;

pub(super) fn handle(node: &mut Node, _call: &Call, request: DescribeProducersRequest) -> Effect {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|index| {
            let response = PartitionResponse::default().with_partition_index(*index).with_error_message(None);
            match describe(node, &topic.name, *index) {
                Ok(producers) => response.with_active_producers(producers),
                Err(error) => response.with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        TopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    DescribeProducersResponse::default().with_topics(topics.collect()).into()
}

fn describe(node: &Node, topic: &TopicName, index: i32) -> Result<Vec<ProducerState>, ResponseError> {
    if !is_valid_name(topic) {
        return Err(ResponseError::InvalidTopicException);
    }
    let id = node.image.topics.get(&topic.0).map(|topic| PartitionId { topic: topic.id, index });
    let Some(partition) = id.and_then(|id| node.led(&id)) else {
        let known = node.image.partition(topic, index).is_some();
        return Err(if known { ResponseError::NotLeaderOrFollower } else { ResponseError::UnknownTopicOrPartition });
    };
    let describe = |(id, epoch, last): (crate::types::ProducerId, i16, &crate::log::producer_state::SeenBatch)| {
        ProducerState::default()
            .with_producer_id(id.0.into())
            .with_producer_epoch(epoch.into())
            .with_last_sequence(last.last_sequence)
            .with_last_timestamp(last.timestamp)
            .with_coordinator_epoch(NO_COORDINATOR)
            .with_current_txn_start_offset(NO_TRANSACTION)
    };
    Ok(partition.producers().active().map(describe).collect())
}
