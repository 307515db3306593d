//! `OffsetDelete` 0 (KIP-496): a group forgets partitions of topics to which none of its members subscribes.

use super::{Call, Effect};
use crate::group::{offsets, own};
use crate::node::Node;
use crate::types::TopicPartition;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

pub(super) fn handle(node: &mut Node, call: &Call, request: OffsetDeleteRequest) -> Effect {
    let name = request.group_id.0.clone();
    let group = own(node, &name).and_then(|_| node.groups.groups.get(&name).ok_or(ResponseError::GroupIdNotFound));
    let group = match group {
        Ok(group) => group,
        Err(error) => return OffsetDeleteResponse::default().with_error_code(error.code()).into(),
    };
    let mut forgotten = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let subscribed = group.subscribes_to(&topic.name);
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            let code = if subscribed {
                ResponseError::GroupSubscribedToTopic.code()
            } else if node.image.partition(&topic.name, index).is_none() {
                ResponseError::UnknownTopicOrPartition.code()
            } else {
                forgotten.push(TopicPartition { topic: topic.name.0.clone(), partition: index });
                0
            };
            OffsetDeleteResponsePartition::default().with_partition_index(index).with_error_code(code)
        });
        let partitions = partitions.collect();
        topics.push(OffsetDeleteResponseTopic::default().with_name(topic.name).with_partitions(partitions));
    }
    let code = offsets::forget(node, call.now, &name, &forgotten).map_or_else(|error| error.code(), |()| 0);
    OffsetDeleteResponse::default().with_error_code(code).with_topics(topics).into()
}
