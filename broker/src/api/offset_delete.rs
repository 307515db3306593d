//! `OffsetDelete` 0 (KIP-496): a group forgets partitions of topics to which none of its members subscribes.

use super::{Call, Effect};
use crate::group::changes::Change;
use crate::group::state::{Group, GroupState};
use crate::group::{offsets, own_members, pending};
use crate::node::Node;
use crate::types::{PartitionId, TopicPartition};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse, ResponseKind};

pub(super) fn handle(node: &mut Node, call: &Call, request: OffsetDeleteRequest) -> Effect {
    let name = request.group_id.0.clone();
    let refuse = |_, error: ResponseError| OffsetDeleteResponse::default().with_error_code(error.code()).into();
    let (id, group) = match group(node, &name) {
        Ok(found) => found,
        Err(error) => return OffsetDeleteResponse::default().with_error_code(error.code()).into(),
    };
    let known = offsets::in_log(node, id, &name);
    let mut forgotten = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        // Members that say what nobody can read may have subscribed to anything.
        let subscribed = group.subscribes_to(&topic.name) || group.has_unreadable_subscriptions();
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
    let forget = |partition| Change::Offset { group: name.clone(), partition, committed: None };
    let changes = forgotten.into_iter().filter(|partition| known.contains(partition)).map(forget).collect();
    let response = OffsetDeleteResponse::default().with_topics(topics);
    pending::write_and_reply(node, call, id, changes, ResponseKind::from(response), refuse)
}

/// The group, if its offsets may be deleted. Whether members of other than consumer groups subscribe to a topic cannot be
/// told, so those have to be empty.
fn group<'a>(node: &'a Node, name: &str) -> Result<(PartitionId, &'a Group), ResponseError> {
    let id = own_members(node, name)?;
    let group = node.groups.groups.get(name.as_bytes()).ok_or(ResponseError::GroupIdNotFound)?;
    let is_consumer = group.protocol_type.as_deref() == Some("consumer");
    if group.state == GroupState::Empty || is_consumer { Ok((id, group)) } else { Err(ResponseError::NonEmptyGroup) }
}
