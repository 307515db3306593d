//! What brokers say of topics.

use super::Sequence;
use crate::pair::{Pair, Side};
use crate::requests::{NewTopic, create_topics, describe_topic_partitions, metadata, metadata_by_id, text};
use crate::setup::versions;
use kafka_protocol::messages::{ApiKey, MetadataRequest, metadata_request};
use std::slice::from_ref;

pub(super) const ALL: &[Sequence] = &[
    ("metadata::every_version", every_version),
    ("metadata::topics_that_are_not_there", topics_that_are_not_there),
    ("metadata::topics_that_come_by_being_asked_for", topics_that_come_by_being_asked_for),
    ("metadata::authorized_operations", authorized_operations),
    ("metadata::pages_of_partitions", pages_of_partitions),
];

fn every_version(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 3);
    for version in versions(ApiKey::Metadata) {
        pair.ask(ApiKey::Metadata, version, |_| metadata(version, &[&orders.name]));
        if version >= 1 {
            pair.ask(ApiKey::Metadata, version, |_| metadata(version, &[]));
        }
    }
}

fn topics_that_are_not_there(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let (nobody, bad) = (pair.name("nobody"), pair.name("no spaces"));
    for version in [4, 9, 10, 12, 13] {
        for names in [&[nobody.as_str()][..], &[&bad], &[&nobody, &orders.name, &bad], &["."], &[""], &["__absent"]] {
            pair.ask(ApiKey::Metadata, version, |_| metadata(version, names));
        }
    }
    let absent = pair.absent("nobody").on(Side::Ours).id;
    for version in [12, 13] {
        pair.ask(ApiKey::Metadata, version, |side| metadata_by_id(&[orders.on(side).id]));
        pair.ask(ApiKey::Metadata, version, |_| metadata_by_id(&[absent]));
        pair.ask(ApiKey::Metadata, version, |side| metadata_by_id(&[absent, orders.on(side).id]));
    }
    // A topic of a request has one name, not two; without any Kafka stumbles over it.
    pair.ask(ApiKey::Metadata, 12, |side| {
        let topic = metadata_request::MetadataRequestTopic::default().with_topic_id(orders.on(side).id);
        let topic = topic.with_name(Some(text(&orders.name).into()));
        MetadataRequest::default().with_topics(Some(vec![topic])).into()
    });
}

fn topics_that_come_by_being_asked_for(pair: &mut Pair<'_>) {
    let asks = |name: &str| {
        let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(text(name).into()));
        MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true).into()
    };
    for (version, short) in [(4, "a"), (9, "b"), (12, "c")] {
        let name = pair.name(short);
        pair.ask(ApiKey::Metadata, version, |_| asks(&name));
        let led = |answer: &crate::tree::Tree| {
            answer.number("topics.0.error_code") == Some(0)
                && answer.number("topics.0.partitions.0.leader_id").is_some_and(|leader| leader > 0)
        };
        pair.until("the topic", 1, (ApiKey::Metadata, 9), |_| metadata(9, &[&name]), led);
        pair.ask(ApiKey::Metadata, version, |_| asks(&name));
    }
    for short in ["no spaces", "x/y"] {
        let name = pair.name(short);
        pair.ask(ApiKey::Metadata, 9, |_| asks(&name));
    }
}

fn authorized_operations(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    for version in 8..=13 {
        for (of_topics, of_cluster) in [(true, false), (false, true), (true, true)] {
            pair.ask(ApiKey::Metadata, version, |_| {
                let topic =
                    metadata_request::MetadataRequestTopic::default().with_name(Some(text(&orders.name).into()));
                let request = MetadataRequest::default().with_topics(Some(vec![topic]));
                let request = request.with_include_topic_authorized_operations(of_topics);
                let in_range = (8..=10).contains(&version);
                request.with_include_cluster_authorized_operations(of_cluster && in_range).into()
            });
        }
    }
}

fn pages_of_partitions(pair: &mut Pair<'_>) {
    let (a, b) = (pair.create("a", 3), pair.create("b", 2));
    let (nobody, bad) = (pair.name("nobody"), pair.name("no spaces"));
    let both = [a.name.as_str(), b.name.as_str()];
    for limit in [2000, 0, -1, 1, 3, 4, 5] {
        pair.ask(ApiKey::DescribeTopicPartitions, 0, |_| describe_topic_partitions(&both, limit, None));
    }
    for (limit, name, partition) in
        [(10, &a.name, 1), (1, &a.name, 2), (10, &a.name, 3), (10, &b.name, 0), (10, &b.name, 1), (10, &a.name, -1)]
    {
        let cursor = Some((name.as_str(), partition));
        pair.ask(ApiKey::DescribeTopicPartitions, 0, |_| describe_topic_partitions(&both, limit, cursor));
    }
    for names in [&[nobody.as_str()][..], &[&bad], &[&b.name, &nobody, &a.name], &[&a.name, &a.name]] {
        pair.ask(ApiKey::DescribeTopicPartitions, 0, |_| describe_topic_partitions(names, 100, None));
    }
    // A topic that is made meanwhile does not disturb what is described.
    let new = NewTopic { name: &nobody, partitions: 1, replicas: 1, ..NewTopic::default() };
    pair.ask(ApiKey::CreateTopics, 5, |_| create_topics(true, from_ref(&new)));
    pair.ask(ApiKey::DescribeTopicPartitions, 0, |_| describe_topic_partitions(&[&nobody], 100, None));
}
