//! What administrators ask: records deleted, settings replaced, topics paged through, what a partition remembers.

use crate::client::{Cluster, batch, expect_kind};
use crate::topics::{create, leader, name};
use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_producers_request::TopicRequest as ProducersOfTopic;
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource as ChangedResource, AlterableConfig as Change,
};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;

const TOPIC: i8 = 2;
const EARLIEST: i64 = -2;

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn produce(cluster: &mut Cluster, node: usize, records: Bytes) -> i16 {
    let partition = PartitionProduceData::default().with_records(Some(records));
    let topic = TopicProduceData::default().with_name(name("orders")).with_partition_data(vec![partition]);
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(1000).with_topic_data(vec![topic]);
    let response = cluster.ask(node, ApiKey::Produce, 9, &request.into());
    expect_kind!(Produce, response).responses[0].partition_responses[0].error_code
}

/// Deletes below an offset: the error, and where the log begins now.
fn delete_records(cluster: &mut Cluster, node: usize, topic: &'static str, offset: i64) -> (i16, i64) {
    let partition = DeleteRecordsPartition::default().with_offset(offset);
    let topic = DeleteRecordsTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]);
    let response = cluster.ask(node, ApiKey::DeleteRecords, 2, &request.into());
    let partition = expect_kind!(DeleteRecords, response).topics[0].partitions[0].clone();
    (partition.error_code, partition.low_watermark)
}

#[test]
fn deleted_records_are_gone_for_every_reader() {
    let mut cluster = Cluster::new(2);
    create(&mut cluster, "orders", 1);
    let node = leader(&mut cluster, "orders", 0);
    assert_eq!(produce(&mut cluster, node, batch(5, -1, -1, -1)), 0);
    assert_eq!(delete_records(&mut cluster, node, "orders", 3), (0, 3));
    assert_eq!(delete_records(&mut cluster, node, "orders", 1), (0, 3), "a log never begins earlier again");
    assert_eq!(delete_records(&mut cluster, node, "orders", 6), (ResponseError::OffsetOutOfRange.code(), -1));
    assert_eq!(delete_records(&mut cluster, 1 - node, "orders", 4), (ResponseError::NotLeaderOrFollower.code(), -1));
    assert_eq!(delete_records(&mut cluster, node, "absent", 0), (ResponseError::UnknownTopicOrPartition.code(), -1));

    let partition = ListOffsetsPartition::default().with_timestamp(EARLIEST).with_current_leader_epoch(-1);
    let topic = ListOffsetsTopic::default().with_name(name("orders")).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    let response = expect_kind!(ListOffsets, cluster.ask(node, ApiKey::ListOffsets, 5, &request.into()));
    assert_eq!(response.topics[0].partitions[0].offset, 3);
    assert_eq!(delete_records(&mut cluster, node, "orders", -1), (0, 5), "-1 is the high watermark");
}

#[test]
fn what_is_only_compacted_keeps_its_records_and_needs_keys() {
    let mut cluster = Cluster::new(1);
    create(&mut cluster, "orders", 1);
    let alter = |cluster: &mut Cluster, setting: &'static str, value: &'static str| {
        let config = AlterableConfig::default().with_name(text(setting)).with_value(Some(text(value)));
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text("orders"))
            .with_configs(vec![config]);
        let request = AlterConfigsRequest::default().with_resources(vec![resource]);
        expect_kind!(AlterConfigs, cluster.ask(0, ApiKey::AlterConfigs, 2, &request.into())).responses[0].error_code
    };
    assert_eq!(alter(&mut cluster, "cleanup.policy", "compact"), 0);
    assert_eq!(delete_records(&mut cluster, 0, "orders", 0), (ResponseError::PolicyViolation.code(), -1));
    assert_eq!(alter(&mut cluster, "retention.ms", "soon"), ResponseError::InvalidConfig.code());
    // What is not named again goes back to its default.
    assert_eq!(alter(&mut cluster, "retention.ms", "77"), 0);
    assert_eq!(delete_records(&mut cluster, 0, "orders", 0), (0, 0));

    let resource = DescribeConfigsResource::default().with_resource_type(TOPIC).with_resource_name(text("orders"));
    let request = DescribeConfigsRequest::default().with_include_synonyms(true).with_resources(vec![resource]);
    let described = expect_kind!(DescribeConfigs, cluster.ask(0, ApiKey::DescribeConfigs, 4, &request.into()));
    let configs = &described.results[0].configs;
    let find = |name: &str| configs.iter().find(|config| &*config.name == name).expect("a setting");
    assert_eq!(find("retention.ms").value.as_deref(), Some("77"));
    assert_eq!(find("cleanup.policy").value.as_deref(), Some("delete"));
    let synonyms: Vec<&str> = find("max.message.bytes").synonyms.iter().map(|synonym| &*synonym.name).collect();
    assert_eq!(synonyms, ["message.max.bytes"]);
    assert_eq!(configs.len(), 33, "as many as Kafka 4.1 has");
}

#[test]
fn a_resource_or_a_setting_that_is_named_twice_is_refused() {
    let mut cluster = Cluster::new(1);
    create(&mut cluster, "orders", 1);
    let change = Change::default().with_name(text("retention.ms")).with_value(Some(text("5")));
    let resource = |changes| {
        ChangedResource::default().with_resource_type(TOPIC).with_resource_name(text("orders")).with_configs(changes)
    };
    let mut errors = |resources: Vec<ChangedResource>| {
        let request = IncrementalAlterConfigsRequest::default().with_resources(resources);
        let response = cluster.ask(0, ApiKey::IncrementalAlterConfigs, 1, &request.into());
        let responses = expect_kind!(IncrementalAlterConfigs, response).responses;
        responses.iter().map(|one| one.error_code).collect::<Vec<_>>()
    };
    let invalid = ResponseError::InvalidRequest.code();
    let once = resource(vec![change.clone()]);
    assert_eq!(errors(vec![resource(vec![change.clone(), change])]), [invalid]);
    assert_eq!(errors(vec![once.clone(), once.clone()]), [invalid, invalid]);
    assert_eq!(errors(vec![once]), [0]);
}

#[test]
fn topics_are_described_a_page_at_a_time() {
    let mut cluster = Cluster::new(1);
    create(&mut cluster, "orders", 3);
    create(&mut cluster, "details", 2);
    let mut cursor: Option<(StrBytes, i32)> = None;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let from = cursor
            .take()
            .map(|(topic, partition)| Cursor::default().with_topic_name(topic.into()).with_partition_index(partition));
        let topics = ["orders", "details"].map(|topic| TopicRequest::default().with_name(name(topic)));
        let request = DescribeTopicPartitionsRequest::default()
            .with_topics(topics.to_vec())
            .with_response_partition_limit(2)
            .with_cursor(from);
        let response = cluster.ask(0, ApiKey::DescribeTopicPartitions, 0, &request.into());
        let response = expect_kind!(DescribeTopicPartitions, response);
        for topic in &response.topics {
            let topic_name = topic.name.as_ref().expect("a name").to_string();
            seen.extend(topic.partitions.iter().map(|partition| (topic_name.clone(), partition.partition_index)));
        }
        cursor = response.next_cursor.map(|next| (next.topic_name.0.clone(), next.partition_index));
    }
    assert!(cursor.is_none());
    let expected = [("details", 0), ("details", 1), ("orders", 0), ("orders", 1), ("orders", 2)];
    assert_eq!(seen, expected.map(|(topic, partition)| (topic.to_owned(), partition)));
}

#[test]
fn an_election_is_not_needed_where_the_only_replica_leads() {
    let mut cluster = Cluster::new(2);
    create(&mut cluster, "orders", 1);
    for kind in [0, 1] {
        let topic = TopicPartitions::default().with_topic(name("orders")).with_partitions(vec![0, 9]);
        let request = ElectLeadersRequest::default().with_election_type(kind).with_topic_partitions(Some(vec![topic]));
        let response = expect_kind!(ElectLeaders, cluster.ask(1, ApiKey::ElectLeaders, 2, &request.into()));
        let results = &response.replica_election_results[0].partition_result;
        assert_eq!(results[0].error_code, ResponseError::ElectionNotNeeded.code());
        assert_eq!(results[1].error_code, ResponseError::UnknownTopicOrPartition.code());
    }
}

#[test]
fn sizes_and_producers_of_a_partition_are_told_by_its_leader() {
    let mut cluster = Cluster::new(1);
    create(&mut cluster, "orders", 1);
    let records = batch(3, 1000, 0, 0);
    assert_eq!(produce(&mut cluster, 0, records.clone()), 0);
    let request = DescribeLogDirsRequest::default().with_topics(None);
    let response = expect_kind!(DescribeLogDirs, cluster.ask(0, ApiKey::DescribeLogDirs, 4, &request.into()));
    let partition = &response.results[0].topics[0].partitions[0];
    assert_eq!(partition.partition_size, i64::try_from(records.len()).expect("a small batch"));

    let topic = ProducersOfTopic::default().with_name(name("orders")).with_partition_indexes(vec![0]);
    let request = DescribeProducersRequest::default().with_topics(vec![topic]);
    let response = expect_kind!(DescribeProducers, cluster.ask(0, ApiKey::DescribeProducers, 0, &request.into()));
    let producers = &response.topics[0].partitions[0].active_producers;
    assert_eq!((producers[0].producer_id.0, producers[0].last_sequence), (1000, 2));
    assert_eq!(producers[0].last_timestamp, 1_700_000_000_000);
}

#[test]
fn authorized_operations_are_told_only_where_they_were_asked_for() {
    let mut cluster = Cluster::new(1);
    let mut operations = |asked| {
        let request = DescribeClusterRequest::default().with_include_cluster_authorized_operations(asked);
        let response = cluster.ask(0, ApiKey::DescribeCluster, 1, &request.into());
        expect_kind!(DescribeCluster, response).cluster_authorized_operations
    };
    assert_eq!((operations(false), operations(true)), (i32::MIN, 0b1_1111_1010_0000));
}
