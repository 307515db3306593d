//! Refusals of what reads and writes records and their offsets in logs.

use super::NONE;
use crate::node::Node;
use crate::wire::fetch::{FetchResponse, FetchedPartition, FetchedTopic};
use kafka_protocol::messages as kafka;
use kafka_protocol::messages::{FetchRequest, ProduceRequest, RequestKind, ResponseKind};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Every partition that it names or its session has.
pub(super) fn of_fetch(node: &Node, fetch: &FetchRequest, code: i16) -> FetchResponse {
    let mut topics: BTreeMap<(StrBytes, Uuid), Vec<FetchedPartition>> = BTreeMap::new();
    let named = fetch.topics.iter().flat_map(|topic| {
        let key = (topic.topic.0.clone(), topic.topic_id);
        topic.partitions.iter().map(move |partition| (key.clone(), partition.partition))
    });
    let in_session = node.sessions.targets(fetch.session_id);
    let in_session = in_session.map(|target| ((target.topic.clone(), target.topic_id), target.partition));
    for (key, index) in named.chain(in_session) {
        let partitions = topics.entry(key).or_default();
        if !partitions.iter().any(|partition| partition.index == index) {
            partitions.push(FetchedPartition::failed(index, code));
        }
    }
    let topics = topics.into_iter().map(|((name, id), partitions)| FetchedTopic { name, id, partitions });
    let topics: Vec<FetchedTopic> = topics.collect();
    // A fetch without partitions has nowhere else to say it.
    let error = if topics.is_empty() { code } else { 0 };
    FetchResponse { error, session_id: fetch.session_id, topics, ..FetchResponse::default() }
}

fn of_produce(produce: &ProduceRequest, code: i16) -> ResponseKind {
    let topics = produce.topic_data.iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|partition| {
            kafka::produce_response::PartitionProduceResponse::default()
                .with_index(partition.index)
                .with_error_code(code)
                .with_base_offset(NONE.into())
                .with_log_append_time_ms(NONE.into())
                .with_log_start_offset(NONE.into())
        });
        kafka::produce_response::TopicProduceResponse::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id)
            .with_partition_responses(partitions.collect())
    });
    kafka::ProduceResponse::default().with_responses(topics.collect()).into()
}

/// Requests about partitions' logs, but for Fetch.
pub(super) fn of(request: &RequestKind, code: i16) -> Option<ResponseKind> {
    Some(match request {
        RequestKind::Produce(produce) => of_produce(produce, code),
        RequestKind::ListOffsets(list) => {
            use kafka::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
            let topics = list.topics.iter().map(|topic| {
                let partitions = topic.partitions.iter().map(|partition| {
                    let answer =
                        ListOffsetsPartitionResponse::default().with_partition_index(partition.partition_index);
                    answer.with_error_code(code).with_timestamp(NONE.into()).with_offset(NONE.into())
                });
                ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
            });
            kafka::ListOffsetsResponse::default().with_topics(topics.collect()).into()
        }
        RequestKind::OffsetForLeaderEpoch(ask) => {
            use kafka::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
            let topics = ask.topics.iter().map(|topic| {
                let partitions = topic.partitions.iter().map(|partition| {
                    let answer = EpochEndOffset::default().with_partition(partition.partition).with_error_code(code);
                    answer.with_leader_epoch(NONE).with_end_offset(NONE.into())
                });
                OffsetForLeaderTopicResult::default()
                    .with_topic(topic.topic.clone())
                    .with_partitions(partitions.collect())
            });
            kafka::OffsetForLeaderEpochResponse::default().with_topics(topics.collect()).into()
        }
        RequestKind::DeleteRecords(delete) => {
            use kafka::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
            let topics = delete.topics.iter().map(|topic| {
                let partitions = topic.partitions.iter().map(|partition| {
                    let answer =
                        DeleteRecordsPartitionResult::default().with_partition_index(partition.partition_index);
                    answer.with_low_watermark(NONE.into()).with_error_code(code)
                });
                DeleteRecordsTopicResult::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
            });
            kafka::DeleteRecordsResponse::default().with_topics(topics.collect()).into()
        }
        RequestKind::DescribeProducers(describe) => {
            use kafka::describe_producers_response::{PartitionResponse, TopicResponse};
            let topics = describe.topics.iter().map(|topic| {
                let partitions = topic
                    .partition_indexes
                    .iter()
                    .map(|index| PartitionResponse::default().with_partition_index(*index).with_error_code(code));
                TopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
            });
            kafka::DescribeProducersResponse::default().with_topics(topics.collect()).into()
        }
        RequestKind::InitProducerId(_) => {
            let answer = kafka::InitProducerIdResponse::default().with_error_code(code);
            answer.with_producer_id(i64::from(NONE).into()).with_producer_epoch(-1).into()
        }
        _ => return None,
    })
}
