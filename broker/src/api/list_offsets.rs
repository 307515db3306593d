//! `ListOffsets` 1–10: the first, the last, or the offset of a timestamp.
//!
//! Version steps: 4 leader epochs (KIP-320); 6 flexible; 7 largest timestamp (KIP-734); 8 local log start (KIP-405); 9
//! last tiered offset (KIP-1005); 10 time-out (KIP-1075). Without tiered storage the local log is the log.

use super::{Call, Effect, fetch::check_epoch};
use crate::log::partition::Partition;
use crate::log::partition::{PartitionId, TimestampOffset};
use crate::log::store::LogStore;
use crate::node::Node;
use crate::types::LeaderEpoch;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse, TopicName};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

pub(super) fn handle(node: &mut Node, call: &Call, request: ListOffsetsRequest) -> Effect {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let partitions = topic.partitions.iter().map(|asked| look_up(node, call.version, &topic.name, asked)).collect();
        topics.push(ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions));
    }
    ListOffsetsResponse::default().with_topics(topics).into()
}

fn look_up(
    node: &mut Node,
    version: i16,
    topic: &TopicName,
    asked: &ListOffsetsPartition,
) -> ListOffsetsPartitionResponse {
    let index = asked.partition_index;
    let response = ListOffsetsPartitionResponse::default().with_partition_index(index);
    let failed = |error: ResponseError| response.clone().with_error_code(error.code());
    if !is_understood(version, asked.timestamp) {
        return failed(ResponseError::UnsupportedVersion);
    }
    let id = node.image.topics.get(&topic.0).map(|topic| PartitionId { topic: topic.id, index });
    let replica = id.and_then(|id| node.partitions.get(&id));
    // A follower, too, knows whether an epoch is the current one.
    if let Some(Err(error)) = replica.map(|found| check_epoch(asked.current_leader_epoch, found.leader_epoch().0)) {
        return failed(error);
    }
    let Some(partition) = replica.filter(|partition| partition.leads()) else {
        let known = node.image.partition(topic, index).is_some();
        let error = if known { ResponseError::NotLeaderOrFollower } else { ResponseError::UnknownTopicOrPartition };
        return failed(error);
    };
    // A new leader may know of fewer committed records than the last one showed: it must not answer with less (KIP-207).
    let uncertain = !partition.knows_high_watermark();
    let unavailable = if version >= 5 { ResponseError::OffsetNotAvailable } else { ResponseError::LeaderNotAvailable };
    if uncertain && asked.timestamp == LATEST {
        return failed(unavailable);
    }
    match find(partition, &mut *node.store, asked.timestamp) {
        Ok(TimestampOffset::NONE) if uncertain && matches!(asked.timestamp, MAX_TIMESTAMP | 0..) => failed(unavailable),
        Ok(found) => {
            // The field is there from version 4 on, and the codec refuses to leave a value out.
            let has_epoch = version >= 4 && found != TimestampOffset::NONE;
            let epoch = match asked.timestamp {
                _ if !has_epoch => LeaderEpoch(-1),
                // Of the end, the epoch in which it goes on.
                LATEST => partition.leader_epoch(),
                _ => partition.epoch_of(found.offset),
            };
            response.with_timestamp(found.timestamp_ms).with_offset(found.offset.0).with_leader_epoch(epoch.0)
        }
        Err(error) => failed(error),
    }
}

/// Whether a version knows what a timestamp below zero stands for.
fn is_understood(version: i16, timestamp: i64) -> bool {
    let from = match timestamp {
        LATEST | EARLIEST | 0.. => 0,
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        _ => return false,
    };
    version >= from
}

fn find(partition: &Partition, store: &mut dyn LogStore, timestamp: i64) -> Result<TimestampOffset, ResponseError> {
    let at = |offset| Ok(TimestampOffset { timestamp_ms: -1, offset });
    let storage = |_| ResponseError::KafkaStorageError;
    match timestamp {
        LATEST => at(partition.high_watermark()),
        EARLIEST => at(partition.log_start()),
        MAX_TIMESTAMP => partition.offset_of_max_timestamp(store).map_err(storage),
        EARLIEST_LOCAL => at(partition.log_start()),
        LATEST_TIERED => Ok(TimestampOffset::NONE),
        ..0 => Err(ResponseError::UnsupportedVersion),
        _ => partition.offset_for_timestamp(store, timestamp).map_err(storage),
    }
}
