//! Consumers that read from a replica in their own rack (KIP-392).

use crate::{PATIENCE, client, create_replicated, produce, read};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::{ClientContext, Message, Offset, Statistics, TopicPartitionList};
use shakedown_cluster::Cluster;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How many fetches each broker was sent.
#[derive(Clone, Default)]
struct Fetches(Arc<Mutex<BTreeMap<i32, i64>>>);

impl ClientContext for Fetches {
    fn stats(&self, statistics: Statistics) {
        let mut fetches = self.0.lock().expect("nobody panics");
        for broker in statistics.brokers.values().filter(|broker| broker.nodeid >= 0) {
            fetches.insert(broker.nodeid, broker.req.get("Fetch").copied().unwrap_or(0));
        }
    }
}

impl ConsumerContext for Fetches {}

fn racks(selector: &str) -> Cluster {
    let cluster = Cluster::builder().brokers(3).racks(["a", "b", "c"]).config("replica.selector.class", selector);
    let cluster = cluster.start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 3);
    produce(&client(&cluster), "orders", 0, 0..1000);
    cluster
}

/// A consumer in a rack, at the beginning of the partition.
fn consumer_in(cluster: &Cluster, rack: &str, fetches: &Fetches) -> BaseConsumer<Fetches> {
    let mut config = client(cluster);
    // Small answers, so that it takes many fetches.
    config.set("group.id", "reader").set("client.rack", rack).set("statistics.interval.ms", "20");
    config.set("fetch.message.max.bytes", "1000").set("fetch.wait.max.ms", "10");
    let consumer: BaseConsumer<Fetches> = config.create_with_context(fetches.clone()).expect("a consumer");
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset("orders", 0, Offset::Beginning).expect("a valid offset");
    consumer.assign(&assignment).expect("an assignment");
    consumer
}

/// Reads all thousand messages from a rack; how many fetches each broker got, once one of them got some.
fn fetches_from(cluster: &Cluster, rack: &str) -> BTreeMap<i32, i64> {
    let fetches = Fetches::default();
    let consumer = consumer_in(cluster, rack, &fetches);
    let deadline = Instant::now() + PATIENCE;
    let (mut read, mut counted) = (0, BTreeMap::new());
    while read < 1000 || counted.values().all(|fetches| *fetches < 10) {
        assert!(Instant::now() < deadline, "{read} of 1000 messages came, by {counted:?}");
        if let Some(message) = consumer.poll(Duration::from_millis(20)) {
            assert_eq!(message.expect("a message").offset(), read);
            read += 1;
        }
        counted.clone_from(&fetches.0.lock().expect("nobody panics"));
    }
    counted
}

#[test]
fn a_consumer_reads_from_the_replica_in_its_rack() {
    let cluster = racks("org.apache.kafka.common.replica.RackAwareReplicaSelector");
    let leader = cluster.leader("orders", 0).expect("a leader");
    for (broker, rack) in [(1, "a"), (2, "b"), (3, "c")] {
        let fetches = fetches_from(&cluster, rack);
        assert!(fetches[&broker] >= 10, "broker {broker} in rack {rack}: {fetches:?}");
        // The leader is asked once, and sends the consumer away.
        let at_others: i64 = fetches.iter().filter(|(id, _)| **id != broker).map(|(_, fetches)| fetches).sum();
        assert!(at_others <= 1, "broker {broker} in rack {rack}, led by {leader}: {fetches:?}");
    }
}

#[test]
fn without_a_selector_or_a_rack_the_leader_is_read() {
    for (selector, rack) in [("", "c"), ("", "a"), ("org.apache.kafka.common.replica.RackAwareReplicaSelector", "z")] {
        let cluster = racks(selector);
        let leader = cluster.leader("orders", 0).expect("a leader");
        let fetches = fetches_from(&cluster, rack);
        assert!(fetches.iter().all(|(id, fetches)| *id == leader || *fetches == 0), "{leader} leads: {fetches:?}");
    }
}

/// A replica that is cut off has only the old part of the log: a consumer that reads it skips nothing and sees nothing twice.
#[test]
fn a_replica_that_lags_is_read_later_not_less() {
    let cluster = racks("org.apache.kafka.common.replica.RackAwareReplicaSelector");
    let follower = cluster.followers("orders", 0)[0];
    let rack = ["a", "b", "c"][usize::try_from(follower - 1).expect("ids begin at 1")];
    let consumer = consumer_in(&cluster, rack, &Fetches::default());
    let mut seen = read(&consumer, 1000);
    cluster.isolate(follower).expect("there is such a node");
    produce(client(&cluster).set("acks", "1"), "orders", 0, 1000..1200);
    cluster.heal();
    seen.extend(read(&consumer, 200));
    let expected: Vec<(i32, u64)> = (0..1200).map(|number| (0, number)).collect();
    assert_eq!(seen, expected);
}
