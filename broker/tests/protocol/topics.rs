//! Topics: created, described, grown, configured and deleted, through any node.

use crate::client::{Cluster, expect_kind};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    ApiKey, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest, RequestKind, TopicName,
};
use kafka_protocol::protocol::StrBytes;

pub(crate) fn name(topic: &'static str) -> TopicName {
    StrBytes::from_static_str(topic).into()
}

/// Creates a topic through a node and tells with which error.
pub(crate) fn create_with(cluster: &mut Cluster, node: usize, topic: CreatableTopic) -> i16 {
    let request = RequestKind::CreateTopics(CreateTopicsRequest::default().with_topics(vec![topic]));
    expect_kind!(CreateTopics, cluster.ask(node, ApiKey::CreateTopics, 7, &request)).topics[0].error_code
}

pub(crate) fn create(cluster: &mut Cluster, topic: &'static str, partitions: i32) {
    let topic =
        CreatableTopic::default().with_name(name(topic)).with_num_partitions(partitions).with_replication_factor(1);
    assert_eq!(create_with(cluster, 0, topic), 0);
}

pub(crate) fn describe(cluster: &mut Cluster, node: usize, topic: &'static str) -> MetadataResponseTopic {
    let topic = MetadataRequestTopic::default().with_name(Some(name(topic)));
    let request = RequestKind::Metadata(MetadataRequest::default().with_topics(Some(vec![topic])));
    expect_kind!(Metadata, cluster.ask(node, ApiKey::Metadata, 12, &request)).topics.remove(0)
}

/// The node, by index, that leads a partition.
pub(crate) fn leader(cluster: &mut Cluster, topic: &'static str, partition: usize) -> usize {
    let node = (0..cluster.len()).find(|node| cluster.is_alive(*node)).expect("a node that is alive");
    let leader = describe(cluster, node, topic).partitions[partition].leader_id.0;
    usize::try_from(leader - 1).expect("the partition has a leader")
}

#[test]
fn a_topic_created_through_any_node_is_known_to_all() {
    let mut cluster = Cluster::new(3);
    for (node, topic) in ["a", "b", "c"].into_iter().enumerate() {
        let asked = CreatableTopic::default().with_name(name(topic)).with_num_partitions(6).with_replication_factor(-1);
        assert_eq!(create_with(&mut cluster, node, asked), 0);
        for node in 0..3 {
            let described = describe(&mut cluster, node, topic);
            assert_eq!((described.error_code, described.partitions.len()), (0, 6));
            let mut leaders: Vec<i32> = described.partitions.iter().map(|partition| partition.leader_id.0).collect();
            leaders.sort_unstable();
            assert_eq!(leaders, [1, 1, 2, 2, 3, 3], "leaders are spread");
        }
    }
}

#[test]
fn what_cannot_be_created_is_refused_with_kafkas_error() {
    let mut cluster = Cluster::new(3);
    let topic =
        |topic| CreatableTopic::default().with_name(name(topic)).with_num_partitions(1).with_replication_factor(1);
    let mut error = |topic: CreatableTopic| create_with(&mut cluster, 1, topic);
    assert_eq!(error(topic("orders.paid")), 0);
    assert_eq!(error(topic("orders.paid")), ResponseError::TopicAlreadyExists.code());
    assert_eq!(error(topic("orders_paid")), ResponseError::InvalidTopicException.code(), "collides in metrics");
    assert_eq!(error(topic("no spaces")), ResponseError::InvalidTopicException.code());
    assert_eq!(error(topic("a").with_replication_factor(4)), ResponseError::InvalidReplicationFactor.code());
    assert_eq!(error(topic("a").with_replication_factor(0)), ResponseError::InvalidReplicationFactor.code());
    assert_eq!(error(topic("a").with_num_partitions(0)), ResponseError::InvalidPartitions.code());
    assert_eq!(error(topic("a").with_num_partitions(10_001)), ResponseError::PolicyViolation.code());
    assert_eq!(error(topic("a").with_num_partitions(i32::MAX)), ResponseError::PolicyViolation.code());
    let config = CreatableTopicConfig::default()
        .with_name(StrBytes::from_static_str("retention.ms"))
        .with_value(Some(StrBytes::from_static_str("soon")));
    assert_eq!(error(topic("a").with_configs(vec![config])), ResponseError::InvalidConfig.code());
}

#[test]
fn asking_for_a_topic_creates_it_where_that_is_allowed() {
    let mut cluster = Cluster::new(2);
    assert_eq!(describe(&mut cluster, 1, "new").error_code, ResponseError::UnknownTopicOrPartition.code());
    assert_eq!(describe(&mut cluster, 1, "new").error_code, 0);
    let mut strict = Cluster::with(2, |config| config.auto_create_topics = false);
    for _ in 0..2 {
        assert_eq!(describe(&mut strict, 1, "new").error_code, ResponseError::UnknownTopicOrPartition.code());
    }
}

#[test]
fn a_topic_grows_and_never_shrinks() {
    let mut cluster = Cluster::new(2);
    create(&mut cluster, "orders", 2);
    let mut grow = |count| {
        let topic = CreatePartitionsTopic::default().with_name(name("orders")).with_count(count).with_assignments(None);
        let request = RequestKind::CreatePartitions(CreatePartitionsRequest::default().with_topics(vec![topic]));
        expect_kind!(CreatePartitions, cluster.ask(1, ApiKey::CreatePartitions, 3, &request)).results[0].error_code
    };
    assert_eq!(grow(2), ResponseError::InvalidPartitions.code());
    assert_eq!(grow(5), 0);
    assert_eq!(grow(4), ResponseError::InvalidPartitions.code());
    assert_eq!(describe(&mut cluster, 1, "orders").partitions.len(), 5);
}

#[test]
fn a_deleted_topic_is_gone_and_its_name_free_for_another() {
    let mut cluster = Cluster::with(2, |config| config.auto_create_topics = false);
    create(&mut cluster, "orders", 2);
    let before = describe(&mut cluster, 1, "orders").topic_id;
    let topic = DeleteTopicState::default().with_topic_id(before);
    let request = RequestKind::DeleteTopics(DeleteTopicsRequest::default().with_topics(vec![topic]));
    let deleted = expect_kind!(DeleteTopics, cluster.ask(1, ApiKey::DeleteTopics, 6, &request));
    assert_eq!(deleted.responses[0].error_code, 0);
    assert_eq!(describe(&mut cluster, 0, "orders").error_code, ResponseError::UnknownTopicOrPartition.code());
    create(&mut cluster, "orders", 1);
    assert_ne!(describe(&mut cluster, 0, "orders").topic_id, before);
}
