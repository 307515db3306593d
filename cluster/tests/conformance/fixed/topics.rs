//! Topics created, grown and deleted.

use super::Sequence;
use crate::pair::{Pair, Side};
use crate::requests::{NewTopic, create_partitions, create_topics, delete_topics, delete_topics_by_id, metadata};
use crate::setup::versions;
use kafka_protocol::messages::ApiKey;
use std::slice::from_ref;

pub(super) const ALL: &[Sequence] = &[
    ("topics::created_by_every_version", created_by_every_version),
    ("topics::names", names),
    ("topics::numbers", numbers),
    ("topics::assignments", assignments),
    ("topics::settings", settings),
    ("topics::several_at_once", several_at_once),
    ("topics::grown", grown),
    ("topics::deleted", deleted),
];

fn new(name: &str) -> NewTopic<'_> {
    NewTopic { name, partitions: 1, replicas: 1, ..NewTopic::default() }
}

fn created_by_every_version(pair: &mut Pair<'_>) {
    for version in versions(ApiKey::CreateTopics) {
        let name = pair.name(&format!("v{version}"));
        for (validate_only, partitions) in [(true, 2), (false, 2), (false, 2), (true, 2)] {
            let topic = NewTopic { partitions, ..new(&name) };
            pair.ask(ApiKey::CreateTopics, version, |_| create_topics(validate_only, from_ref(&topic)));
        }
        let name = pair.name(&format!("defaults-v{version}"));
        let topic = NewTopic { partitions: -1, replicas: -1, ..new(&name) };
        pair.ask(ApiKey::CreateTopics, version, |_| create_topics(false, from_ref(&topic)));
    }
}

fn names(pair: &mut Pair<'_>) {
    let long = "x".repeat(249 - pair.prefix.len());
    let names = ["no spaces", "a/b", "\u{e9}", "dot.dot", "dot_dot", "dash-dash", &long, &format!("{long}x")];
    for short in names {
        let name = pair.name(short);
        pair.ask(ApiKey::CreateTopics, 7, |_| create_topics(false, &[new(&name)]));
    }
    for name in ["", ".", "..", "__consumer_offsets", "__cluster_metadata"] {
        pair.ask(ApiKey::CreateTopics, 7, |_| create_topics(false, &[new(name)]));
    }
}

fn numbers(pair: &mut Pair<'_>) {
    let name = pair.name("orders");
    for (partitions, replicas) in [(0, 1), (-1, 1), (-2, 1), (1, 0), (1, -1), (1, -2), (1, 2), (1, 4), (-1, -1)] {
        let topic = NewTopic { partitions, replicas, ..new(&name) };
        pair.ask(ApiKey::CreateTopics, 7, |_| create_topics(true, from_ref(&topic)));
    }
}

fn assignments(pair: &mut Pair<'_>) {
    let name = pair.name("orders");
    let cases: [&[(i32, &[i32])]; 10] = [
        &[(0, &[1])],
        &[(0, &[1]), (1, &[1])],
        &[(1, &[1])],
        &[(0, &[1]), (2, &[1])],
        &[(0, &[1]), (0, &[1])],
        &[(0, &[])],
        &[(0, &[1, 1])],
        &[(0, &[9])],
        &[(0, &[1]), (1, &[1, 9])],
        &[(-1, &[1])],
    ];
    for assignments in cases {
        let topic = NewTopic { name: &name, partitions: -1, replicas: -1, assignments, configs: &[] };
        pair.ask(ApiKey::CreateTopics, 7, |_| create_topics(true, from_ref(&topic)));
    }
    // Who says where partitions go does not say how many there are.
    for (partitions, replicas) in [(1, 1), (1, -1), (-1, 1)] {
        let topic = NewTopic { partitions, replicas, assignments: cases[0], ..new(&name) };
        pair.ask(ApiKey::CreateTopics, 7, |_| create_topics(true, from_ref(&topic)));
    }
}

fn settings(pair: &mut Pair<'_>) {
    let name = pair.name("orders");
    let cases: [&[(&str, Option<&str>)]; 14] = [
        &[("retention.ms", Some("1000"))],
        &[("retention.ms", Some("x"))],
        &[("retention.ms", None)],
        &[("retention.days", Some("1"))],
        &[("", Some("1"))],
        &[("cleanup.policy", Some("compact,delete"))],
        &[("cleanup.policy", Some("shrink"))],
        &[("cleanup.policy", Some(""))],
        &[("min.insync.replicas", Some("0"))],
        &[("min.insync.replicas", Some("5"))],
        &[("segment.bytes", Some("100"))],
        &[("compression.type", Some("zstd"))],
        &[("retention.ms", Some("1")), ("retention.ms", Some("2"))],
        &[("message.timestamp.type", Some("LogAppendTime")), ("preallocate", Some("yes"))],
    ];
    for configs in cases {
        let topic = NewTopic { configs, ..new(&name) };
        pair.ask(ApiKey::CreateTopics, 7, |_| create_topics(true, from_ref(&topic)));
    }
    let configs = [("retention.ms", Some("1000")), ("cleanup.policy", Some("compact"))];
    let topic = NewTopic { configs: &configs, ..new(&name) };
    pair.ask(ApiKey::CreateTopics, 7, |_| create_topics(false, from_ref(&topic)));
    pair.ask(ApiKey::CreateTopics, 7, |_| create_topics(false, from_ref(&topic)));
}

fn several_at_once(pair: &mut Pair<'_>) {
    let [a, b, c] = ["a", "b", "c"].map(|short| pair.name(short));
    let bad = pair.name("no spaces");
    pair.ask(ApiKey::CreateTopics, 7, |_| create_topics(false, &[new(&a), new(&bad), new(&b)]));
    pair.ask(ApiKey::CreateTopics, 7, |_| create_topics(false, &[new(&c), new(&a), new(&c)]));
    pair.ask(ApiKey::CreateTopics, 7, |_| create_topics(false, &[]));
    pair.ask(ApiKey::DeleteTopics, 5, |_| delete_topics(5, &[&a, &bad, &b, &a]));
}

fn grown(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 2);
    let nobody = pair.name("nobody");
    let name = orders.name.as_str();
    for version in versions(ApiKey::CreatePartitions) {
        for count in [2, 1, 0, -1, 3] {
            pair.ask(ApiKey::CreatePartitions, version, |_| create_partitions(true, &[(name, count, None)]));
        }
        pair.ask(ApiKey::CreatePartitions, version, |_| create_partitions(true, &[(&nobody, 3, None)]));
    }
    let cases: [&[&[i32]]; 7] = [&[&[1]], &[&[1], &[1]], &[], &[&[]], &[&[9]], &[&[1, 9]], &[&[1, 1]]];
    for assignments in cases {
        pair.ask(ApiKey::CreatePartitions, 3, |_| create_partitions(true, &[(name, 3, Some(assignments))]));
    }
    let twice = [(name, 3, None), (name, 4, None)];
    pair.ask(ApiKey::CreatePartitions, 3, |_| create_partitions(false, &twice));
    let two = [(name, 4, None), (nobody.as_str(), 4, None)];
    pair.ask(ApiKey::CreatePartitions, 3, |_| create_partitions(false, &two));
    pair.await_led(1, &orders, &[0, 1, 2, 3]);
    pair.ask(ApiKey::Metadata, 12, |_| metadata(12, &[name]));
}

fn deleted(pair: &mut Pair<'_>) {
    let absent = pair.absent("nobody");
    for version in versions(ApiKey::DeleteTopics) {
        let orders = pair.create(&format!("v{version}"), 1);
        pair.ask(ApiKey::DeleteTopics, version, |_| delete_topics(version, &[&orders.name]));
        let gone = |answer: &crate::tree::Tree| answer.number("topics.0.error_code") == Some(3);
        pair.until("the end of it", 1, (ApiKey::Metadata, 9), |_| metadata(9, &[&orders.name]), gone);
        pair.ask(ApiKey::DeleteTopics, version, |_| delete_topics(version, &[&orders.name, &absent.name]));
        pair.ask(ApiKey::Metadata, 12, |_| metadata(12, &[&orders.name]));
    }
    let orders = pair.create("by-id", 1);
    pair.ask(ApiKey::DeleteTopics, 6, |side| delete_topics_by_id(&[absent.on(side).id, orders.on(side).id]));
    pair.ask(ApiKey::DeleteTopics, 6, |side| delete_topics_by_id(&[orders.on(side).id]));
    pair.ask(ApiKey::DeleteTopics, 6, |_| delete_topics_by_id(&[uuid::Uuid::nil()]));
    let orders = pair.create("twice", 1);
    pair.ask(ApiKey::DeleteTopics, 6, |_| delete_topics(6, &[&orders.name, &orders.name]));
    let again = pair.absent("nobody").on(Side::Ours).id;
    pair.ask(ApiKey::DeleteTopics, 6, |_| delete_topics_by_id(&[again, again]));
    pair.ask(ApiKey::DeleteTopics, 6, |_| delete_topics(6, &[]));
}
