//! `DeleteRecords` 0–2 (KIP-107): a partition's log begins later. Batches that end below the new start are given back;
//! one that lies across it stays, and its readers skip what is deleted. Version 2 is flexible.

use super::{Call, Effect};
use crate::config::topic;
use crate::log::partition::PartitionId;
use crate::metadata::is_internal;
use crate::node::Node;
use crate::types::Offset;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_records_request::DeleteRecordsPartition;
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use kafka_protocol::protocol::StrBytes;

/// Stands for everything below the high watermark.
const HIGH_WATERMARK: i64 = -1;

pub(super) fn handle(node: &mut Node, _call: &Call, request: DeleteRecordsRequest) -> Effect {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let result = DeleteRecordsPartitionResult::default().with_partition_index(asked.partition_index);
            match delete(node, &topic.name, asked) {
                Ok(start) => result.with_low_watermark(start.0),
                Err(error) => result.with_low_watermark(-1).with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions)
    });
    DeleteRecordsResponse::default().with_topics(topics.collect()).into()
}

fn delete(node: &mut Node, name: &StrBytes, asked: &DeleteRecordsPartition) -> Result<Offset, ResponseError> {
    let index = asked.partition_index;
    let topic = node.image.topics.get(name).map(|topic| topic.id).ok_or(ResponseError::UnknownTopicOrPartition)?;
    if node.image.partition(name, index).is_none() {
        return Err(ResponseError::UnknownTopicOrPartition);
    }
    if is_internal(name) {
        return Err(ResponseError::InvalidTopicException);
    }
    let id = PartitionId { topic, index };
    // A topic that is only compacted promises to keep the last record of each key.
    if !topic::deletes(node.image.topic_settings(name)) {
        return Err(ResponseError::PolicyViolation);
    }
    let partition =
        node.partitions.get_mut(&id).filter(|partition| partition.leads()).ok_or(ResponseError::NotLeaderOrFollower)?;
    let before = match asked.offset {
        HIGH_WATERMARK => partition.high_watermark(),
        offset => Offset(offset),
    };
    let start = partition.delete_before(&mut *node.store, before);
    // Followers are told where the log begins.
    node.moved.push(id);
    start
}
