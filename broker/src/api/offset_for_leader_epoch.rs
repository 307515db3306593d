//! `OffsetForLeaderEpoch` 2–4 (KIP-101, KIP-320): where an epoch ends, so that a client can see a truncated log.

use super::{Call, Effect, fetch::check_epoch};
use crate::log::partition::PartitionId;
use crate::node::Node;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, TopicName};

pub(super) fn handle(node: &mut Node, _call: &Call, request: OffsetForLeaderEpochRequest) -> Effect {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| look_up(node, &topic.topic, asked)).collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect()).into()
}

fn look_up(node: &Node, topic: &TopicName, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let index = asked.partition;
    let response = EpochEndOffset::default().with_partition(index).with_leader_epoch(-1).with_end_offset(-1);
    let id = node.image.topics.get(&topic.0).map(|topic| PartitionId { topic: topic.id, index });
    // A follower, too, knows whether an epoch is the current one.
    let replica = id.and_then(|id| node.partitions.get(&id));
    if let Some(Err(error)) = replica.map(|found| check_epoch(asked.current_leader_epoch, found.leader_epoch().0)) {
        return response.with_error_code(error.code());
    }
    let Some(partition) = id.and_then(|id| node.led(&id)) else {
        let known = node.image.partition(topic, index).is_some();
        let error = if known { ResponseError::NotLeaderOrFollower } else { ResponseError::UnknownTopicOrPartition };
        return response.with_error_code(error.code());
    };
    let (epoch, end) = partition.end_of_epoch(asked.leader_epoch);
    response.with_leader_epoch(epoch).with_end_offset(end.0)
}
