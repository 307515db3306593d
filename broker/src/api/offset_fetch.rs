//! `OffsetFetch` 1–9: where a group is, as far as it is committed to the log: no later answer can be less.
//!
//! Version steps: 2 all topics by null, top-level error; 5 leader epochs; 7 require stable (KIP-447), which holds at once
//! without transactions; 8 several groups (KIP-709); 9 member of the new consumer protocol.

use super::{Call, Effect};
use crate::group::own;
use crate::group::state::Committed;
use crate::node::Node;
use crate::types::TopicPartition;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{GroupId, OffsetFetchRequest, OffsetFetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

/// Partitions by topic, in the order asked, each with what is committed.
type Found = Vec<(TopicName, Vec<(i32, Option<Committed>)>)>;

pub(super) fn handle(node: &mut Node, call: &Call, request: OffsetFetchRequest) -> Effect {
    if call.version >= 8 {
        let groups = request.groups.into_iter().map(|group| {
            let topics =
                group.topics.map(|topics| topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)));
            one_of_many(group.group_id.clone(), find(node, &group.group_id, topics.map(Iterator::collect)))
        });
        return OffsetFetchResponse::default().with_groups(groups.collect()).into();
    }
    let topics = request.topics.map(|topics| topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)));
    let asked: Option<Vec<(TopicName, Vec<i32>)>> = topics.map(Iterator::collect);
    match find(node, &request.group_id, asked.clone()) {
        Ok(found) => OffsetFetchResponse::default().with_topics(only_one(found, 0)).into(),
        Err(error) => {
            // Version 1 has no top-level error: every partition carries it.
            let nothing = asked.unwrap_or_default().into_iter();
            let nothing =
                nothing.map(|(name, indexes)| (name, indexes.into_iter().map(|index| (index, None)).collect()));
            let topics = only_one(nothing.collect(), error.code());
            let response = OffsetFetchResponse::default().with_topics(topics);
            if call.version >= 2 { response.with_error_code(error.code()).into() } else { response.into() }
        }
    }
}

fn find(node: &Node, name: &StrBytes, asked: Option<Vec<(TopicName, Vec<i32>)>>) -> Result<Found, ResponseError> {
    own(node, name)?;
    let offsets = node.groups.groups.get(name).map(|group| &group.offsets);
    let Some(asked) = asked else {
        let mut all: Found = Vec::new();
        for (partition, committed) in offsets.into_iter().flatten() {
            let entry = (partition.partition, Some(committed.clone()));
            match all.last_mut() {
                Some((topic, partitions)) if topic.0 == partition.topic => partitions.push(entry),
                _ => all.push((partition.topic.clone().into(), vec![entry])),
            }
        }
        return Ok(all);
    };
    let look_up = |topic: &TopicName, partition: i32| {
        offsets.and_then(|offsets| offsets.get(&TopicPartition { topic: topic.0.clone(), partition }).cloned())
    };
    let topics = asked.into_iter().map(|(topic, indexes)| {
        let partitions = indexes.into_iter().map(|index| (index, look_up(&topic, index))).collect();
        (topic, partitions)
    });
    Ok(topics.collect())
}

/// What is answered for a partition: offset, epoch, note.
fn fields(committed: Option<Committed>) -> (i64, i32, Option<StrBytes>) {
    match committed {
        Some(committed) => (committed.offset, committed.leader_epoch, Some(committed.metadata)),
        None => (-1, -1, Some(StrBytes::default())),
    }
}

fn only_one(found: Found, error: i16) -> Vec<OffsetFetchResponseTopic> {
    let topic = |(name, partitions): (TopicName, Vec<(i32, Option<Committed>)>)| {
        let partition = |(index, committed)| {
            let (offset, epoch, note) = fields(committed);
            OffsetFetchResponsePartition::default()
                .with_partition_index(index)
                .with_committed_offset(offset)
                .with_committed_leader_epoch(epoch)
                .with_metadata(note)
                .with_error_code(error)
        };
        OffsetFetchResponseTopic::default()
            .with_name(name)
            .with_partitions(partitions.into_iter().map(partition).collect())
    };
    found.into_iter().map(topic).collect()
}

fn one_of_many(group: GroupId, found: Result<Found, ResponseError>) -> OffsetFetchResponseGroup {
    let response = OffsetFetchResponseGroup::default().with_group_id(group);
    let found = match found {
        Ok(found) => found,
        Err(error) => return response.with_error_code(error.code()),
    };
    let topic = |(name, partitions): (TopicName, Vec<(i32, Option<Committed>)>)| {
        let partition = |(index, committed)| {
            let (offset, epoch, note) = fields(committed);
            OffsetFetchResponsePartitions::default()
                .with_partition_index(index)
                .with_committed_offset(offset)
                .with_committed_leader_epoch(epoch)
                .with_metadata(note)
        };
        OffsetFetchResponseTopics::default()
            .with_name(name)
            .with_partitions(partitions.into_iter().map(partition).collect())
    };
    response.with_topics(found.into_iter().map(topic).collect())
}
