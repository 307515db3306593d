//! Topics and settings through librdkafka's admin client.

use super::{admin, block_on, client, create_topic};
use rdkafka::admin::{AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use shakedown_cluster::Cluster;
use std::time::Duration;

fn partition_count(cluster: &Cluster, topic: &str) -> usize {
    let consumer: BaseConsumer = client(cluster).create().expect("a consumer");
    let metadata = consumer.fetch_metadata(None, Duration::from_secs(10)).expect("metadata");
    metadata.topics().iter().find(|one| one.name() == topic).map_or(0, |one| one.partitions().len())
}

#[test]
fn a_topic_lives_grows_and_dies() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_topic(&cluster, "orders", 4, &[("retention.ms", "1000")]);
    assert_eq!(partition_count(&cluster, "orders"), 4);
    let admin = admin(&cluster);
    let options = AdminOptions::new();
    let grown = block_on(admin.create_partitions([&NewPartitions::new("orders", 9)], &options)).expect("an answer");
    assert!(grown[0].is_ok(), "{grown:?}");
    assert_eq!(partition_count(&cluster, "orders"), 9);
    let described = block_on(admin.describe_configs([&ResourceSpecifier::Topic("orders")], &options));
    let described = described.expect("an answer").remove(0).expect("a topic");
    let value = |name| described.get(name).and_then(|entry| entry.value.clone());
    assert_eq!(value("retention.ms").as_deref(), Some("1000"));
    assert_eq!(value("cleanup.policy").as_deref(), Some("delete"));
    let deleted = block_on(admin.delete_topics(&["orders"], &options)).expect("an answer");
    assert!(deleted[0].is_ok(), "{deleted:?}");
    assert_eq!(partition_count(&cluster, "orders"), 0);
}

#[test]
fn a_topic_has_as_many_replicas_as_there_are_brokers_and_no_more() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_topic(&cluster, "orders", 1, &[]);
    let consumer: BaseConsumer = client(&cluster).create().expect("a consumer");
    let metadata = consumer.fetch_metadata(Some("orders"), Duration::from_secs(10)).expect("metadata");
    let partition = &metadata.topics()[0].partitions()[0];
    assert_eq!((partition.replicas().len(), partition.isr().len()), (3, 3), "the default of three brokers");
    let new = NewTopic::new("more", 1, TopicReplication::Fixed(4));
    let refused = block_on(admin(&cluster).create_topics([&new], &AdminOptions::new())).expect("an answer");
    assert_eq!(refused, [Err((String::from("more"), RDKafkaErrorCode::InvalidReplicationFactor))]);
}
