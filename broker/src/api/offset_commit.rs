//! `OffsetCommit` 2–9: a group remembers where it is. It is answered, and visible to OffsetFetch, once it is committed.
//!
//! Version steps: 5 no retention time; 6 leader epochs (KIP-320); 7 instance id; 8 flexible; 9 new consumer protocol.

use super::{Call, Effect};
use crate::group::changes::Change;
use crate::group::offsets::{self, Committer, METADATA_MAX};
use crate::group::rebalance::heard_of;
use crate::group::state::Committed;
use crate::group::{own, pending};
use crate::node::Node;
use crate::types::TopicPartition;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse, ResponseKind};
use kafka_protocol::protocol::StrBytes;

/// `OffsetCommitRequest.DEFAULT_RETENTION_TIME`: the coordinator's setting counts.
const RETENTION_UNSAID: i64 = -1;

pub(super) fn handle(node: &mut Node, call: &Call, request: OffsetCommitRequest) -> Effect {
    let name = request.group_id.0.clone();
    let committer = Committer {
        generation: request.generation_id_or_member_epoch,
        member: request.member_id.clone(),
        instance: request.group_instance_id.clone(),
    };
    let id = own(node, &name).and_then(|id| {
        offsets::may_commit(node.groups.groups.get(&name), &committer)?;
        Ok(id)
    });
    let id = match id {
        Ok(id) => id,
        // Of what nobody has the group is not even asked.
        Err(error) => {
            let refused = |topic: &OffsetCommitRequestTopic, partition: &OffsetCommitRequestPartition| {
                let known = node.image.partition(&topic.name, partition.partition_index);
                Err(if known.is_some() { error } else { ResponseError::UnknownTopicOrPartition })
            };
            return answer(&request, refused).into();
        }
    };
    let mut changes = Vec::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            if check(node, topic, partition).is_ok() {
                let (partition, committed) = committed(node, call, request.retention_time_ms, (topic, partition));
                changes.push(Change::Offset { group: name.clone(), partition, committed: Some(committed) });
            }
        }
    }
    heard_of(node, call.now, &name, &committer.member);
    let response = answer(&request, |topic, partition| check(node, topic, partition));
    pending::write_and_reply(node, call, id, changes, ResponseKind::from(response), refuse)
}

/// The answer where nothing of what could have been committed is.
fn refuse(response: ResponseKind, error: ResponseError) -> ResponseKind {
    let ResponseKind::OffsetCommit(mut response) = response else { return response };
    for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        if partition.error_code == 0 {
            partition.error_code = error.code();
        }
    }
    response.into()
}

fn check(
    node: &Node,
    topic: &OffsetCommitRequestTopic,
    partition: &OffsetCommitRequestPartition,
) -> Result<(), ResponseError> {
    if node.image.partition(&topic.name, partition.partition_index).is_none() {
        return Err(ResponseError::UnknownTopicOrPartition);
    }
    if partition.committed_metadata.as_ref().is_some_and(|note| note.len() > METADATA_MAX) {
        return Err(ResponseError::OffsetMetadataTooLarge);
    }
    Ok(())
}

fn committed(
    node: &Node,
    call: &Call,
    retention_ms: i64,
    (topic, partition): (&OffsetCommitRequestTopic, &OffsetCommitRequestPartition),
) -> (TopicPartition, Committed) {
    let known = node.image.topics.get_key_value(&topic.name.0);
    let name = known.map_or_else(|| topic.name.0.clone(), |(name, _)| name.clone());
    let note = partition.committed_metadata.as_ref().map(|note| StrBytes::from_string(note.to_string()));
    let committed = Committed {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: note.unwrap_or_default(),
        committed_ms: call.now.wall_ms,
        expires_ms: (retention_ms != RETENTION_UNSAID).then(|| call.now.wall_ms.saturating_add(retention_ms)),
    };
    (TopicPartition { topic: name, partition: partition.partition_index }, committed)
}

fn answer(
    request: &OffsetCommitRequest,
    outcome: impl Fn(&OffsetCommitRequestTopic, &OffsetCommitRequestPartition) -> Result<(), ResponseError>,
) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let code = outcome(topic, partition).map_or_else(|error| error.code(), |()| 0);
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code)
        });
        OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}
