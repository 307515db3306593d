//! Consumer groups with librdkafka: sharing, handing over, committed offsets.

use super::{PATIENCE, client, create_topic, produce, read};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use shakedown_cluster::Cluster;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

fn member(cluster: &Cluster, strategy: &str) -> BaseConsumer {
    let mut config = client(cluster);
    config
        .set("group.id", "order-tracker")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("partition.assignment.strategy", strategy)
        .set("heartbeat.interval.ms", "100");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    consumer.subscribe(&["orders"]).expect("a subscription");
    consumer
}

fn partitions(consumer: &BaseConsumer) -> BTreeSet<i32> {
    let assigned: TopicPartitionList = consumer.assignment().expect("an assignment");
    assigned.elements().iter().map(rdkafka::topic_partition_list::TopicPartitionListElem::partition).collect()
}

/// Polls both members, which may see no message, until they share all partitions.
fn settle(members: &[&BaseConsumer], expected: &[usize]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        for member in members {
            assert!(member.poll(Duration::from_millis(20)).is_none(), "there is nothing to read");
        }
        let shares: Vec<usize> = members.iter().map(|member| partitions(member).len()).collect();
        if shares == expected {
            return;
        }
        assert!(Instant::now() < deadline, "shares {shares:?} never became {expected:?}");
    }
}

#[test]
fn members_share_eagerly_and_cooperatively() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_topic(&cluster, "orders", 6, &[]);
    for strategy in ["range", "cooperative-sticky"] {
        let first = member(&cluster, strategy);
        settle(&[&first], &[6]);
        let second = member(&cluster, strategy);
        settle(&[&first, &second], &[3, 3]);
        assert!(partitions(&first).is_disjoint(&partitions(&second)));
        drop(second);
        settle(&[&first], &[6]);
    }
}

#[test]
fn the_next_member_goes_on_where_the_last_one_committed() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_topic(&cluster, "orders", 1, &[]);
    produce(&client(&cluster), "orders", 0, 0..10);
    let first = member(&cluster, "range");
    assert_eq!(read(&first, 10).len(), 10);
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("orders", 0, rdkafka::Offset::Offset(7)).expect("an offset");
    first.commit(&offsets, CommitMode::Sync).expect("a commit");
    drop(first);
    let second = member(&cluster, "range");
    let numbers: Vec<u64> = read(&second, 3).into_iter().map(|(_, number)| number).collect();
    assert_eq!(numbers, [7, 8, 9]);
}
