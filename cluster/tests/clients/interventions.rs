//! What a client of the cluster does to it on purpose, and brokers that go one after another or all at once: what other
//! clients see of it.

use super::faults::{leader_of, patient};
use super::{PATIENCE, client, consume, create, create_replicated, produce, wait_for};
use rdkafka::Offset;
use rdkafka::admin::{NewTopic, TopicReplication};
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use shakedown_cluster::{Cluster, InterventionError, LinkFault, LinkSet, NodeFault, ResponseError, Role, Share};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

/// Who has a partition: its leader and those who follow it.
fn replicas(cluster: &Cluster, topic: &str) -> BTreeSet<i32> {
    cluster.followers(topic, 0).into_iter().chain(cluster.leader(topic, 0)).collect()
}

fn whole(cluster: &Cluster) {
    wait_for("a cluster that is whole", || cluster.unsettled().is_none());
}

fn all(count: u64) -> Vec<u64> {
    (0..count).collect()
}

#[test]
fn a_leader_moves_to_the_broker_that_is_named_and_producers_follow() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 3);
    let producer: ThreadedProducer<DefaultProducerContext> = patient(&cluster).create().expect("a producer");
    let send = |number: u64| {
        let payload = number.to_string();
        let record = BaseRecord::<str, str>::to("orders").partition(0).payload(&payload);
        producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
        producer.flush(PATIENCE).expect("it is acknowledged");
    };
    send(0);
    for number in 1..4 {
        let before = leader_of(&cluster, "orders");
        let to = *cluster.followers("orders", 0).last().expect("two followers");
        let moved = cluster.move_leader("orders", 0, to).expect("it is in sync");
        assert!(
            moved.changed && moved.what == format!("broker {to} leads orders/0, as broker {before} did"),
            "{moved:?}"
        );
        assert_eq!(leader_of(&cluster, "orders"), to);
        send(number);
    }
    let again = cluster.move_leader("orders", 0, leader_of(&cluster, "orders")).expect("it leads");
    assert!(!again.changed, "{again:?}");
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 4), all(4));
}

#[test]
fn a_partition_moves_to_other_brokers_with_its_data() {
    let cluster = Cluster::builder().brokers(4).start().expect("a cluster");
    create(&cluster, &NewTopic::new("orders", 1, TopicReplication::Variable(&[&[1, 2]])));
    produce(&patient(&cluster), "orders", 0, 0..100);
    cluster.reassign("orders", 0, &[4, 3]).expect("both are alive");
    wait_for("the new replicas alone", || replicas(&cluster, "orders") == BTreeSet::from([3, 4]));
    produce(&patient(&cluster), "orders", 0, 100..120);
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 120), all(120));
}

#[test]
fn an_unclean_leader_has_lost_what_it_never_had() {
    let cluster = Cluster::builder().brokers(2).controllers(1).start().expect("a cluster");
    let new = NewTopic::new("orders", 1, TopicReplication::Variable(&[&[1, 2]])).set("min.insync.replicas", "1");
    create(&cluster, &new);
    produce(&patient(&cluster), "orders", 0, 0..10);
    cluster.kill(2).expect("it runs");
    produce(&patient(&cluster), "orders", 0, 10..15);
    cluster.kill(1).expect("it runs");
    cluster.restart(2).expect("its port is free");
    // It waits by itself until the leader has been given up.
    let elected = cluster.elect_unclean("orders", 0).expect("it may lead what it has");
    assert_eq!(elected.what, "broker 2 leads orders/0, whatever it lacks");
    produce(&patient(&cluster), "orders", 0, 90..92);
    // Whoever led before gives up what it had alone.
    cluster.restart(1).expect("its port is free");
    wait_for("two replicas", || replicas(&cluster, "orders") == BTreeSet::from([1, 2]));
    whole(&cluster);
    let mut survived = all(10);
    survived.extend([90, 91]);
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 12), survived, "five acknowledged messages are gone");
}

#[test]
fn what_cannot_be_led_or_moved_is_refused_with_what_can() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create(&cluster, &NewTopic::new("orders", 1, TopicReplication::Variable(&[&[1, 2]])));
    let refused = cluster.move_leader("orders", 0, 3).expect_err("it has no replica");
    assert_eq!(refused.to_string(), "broker 3 has no replica of orders/0: those are on 1, 2");
    let unknown = cluster.reassign("payments", 0, &[1]).expect_err("there is no such topic");
    assert!(
        matches!(unknown, InterventionError::Refused { error: ResponseError::UnknownTopicOrPartition, .. }),
        "{unknown}"
    );
    let nobody = cluster.reassign("orders", 0, &[1, 9]).expect_err("there is no broker 9");
    assert!(
        nobody.to_string().starts_with("AlterPartitionReassignments is refused: INVALID_REPLICA_ASSIGNMENT"),
        "{nobody}"
    );
}

/// The leader of `orders` as one broker tells its clients.
fn leader_by(cluster: &Cluster, node: i32) -> i32 {
    let node = cluster.nodes().iter().find(|known| known.id == node).expect("a broker");
    let mut config = client(cluster);
    let address = format!("{}:{}", node.host, node.port);
    let producer: BaseProducer = config.set("bootstrap.servers", address).create().expect("a client");
    let metadata = producer.client().fetch_metadata(Some("orders"), PATIENCE).expect("an answer");
    metadata.topics()[0].partitions()[0].leader()
}

#[test]
fn a_broker_that_does_not_hear_the_controller_goes_on_telling_stale_metadata() {
    let cluster = Cluster::builder().brokers(3).controllers(1).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 3);
    let before = leader_of(&cluster, "orders");
    let [to, stale] = cluster.followers("orders", 0)[..] else { panic!("two followers") };
    wait_for("metadata on all brokers", || [to, stale].iter().all(|id| leader_by(&cluster, *id) == before));
    let cut = cluster.inject(LinkFault::Cut(LinkSet::OneWay { from: 4, to: stale })).expect("there are such nodes");
    cluster.move_leader("orders", 0, to).expect("it is in sync");
    assert_eq!(
        (leader_by(&cluster, stale), leader_by(&cluster, before)),
        (before, to),
        "one of them does not know yet"
    );
    assert!(cut.undo() > 0);
    wait_for("the truth", || leader_by(&cluster, stale) == to);
    produce(&patient(&cluster), "orders", 0, 0..10);
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 10), all(10));
}

#[test]
fn a_rolling_restart_costs_no_message() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 3);
    let events = cluster.events();
    let is_over = AtomicBool::new(false);
    let count = std::thread::scope(|scope| {
        let producing = scope.spawn(|| {
            let producer: ThreadedProducer<DefaultProducerContext> = patient(&cluster).create().expect("a producer");
            let mut count = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                let payload = count.to_string();
                let record = BaseRecord::<str, str>::to("orders").partition(0).payload(&payload);
                producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
                producer.flush(PATIENCE).expect("it is acknowledged");
                count += 1;
            }
            count
        });
        let rolled = cluster.rolling_restart(&Role::All, PATIENCE);
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(rolled.expect("each comes back"), [1, 2, 3]);
        producing.join().expect("no panic")
    });
    let fenced: BTreeSet<i32> = events
        .try_iter()
        .filter_map(|event| match event.event {
            shakedown_cluster::Event::Fenced(id) => Some(id.0),
            _ => None,
        })
        .collect();
    assert_eq!(fenced, BTreeSet::from([1, 2, 3]), "each was missed by the others");
    let length = usize::try_from(count).expect("a few");
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, length), all(count));
}

#[test]
fn all_brokers_die_at_once_and_come_back_with_what_they_had() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 3);
    for (fault, begin) in [(NodeFault::Kill, 0), (NodeFault::Restart, 10)] {
        produce(&patient(&cluster), "orders", 0, begin..begin + 10);
        assert_eq!(cluster.strike(fault, &Role::All).expect("they run").nodes, [1, 2, 3]);
        if fault == NodeFault::Kill {
            assert_eq!((cluster.controller(), cluster.leader("orders", 0)), (None, None));
            (1..=3).for_each(|id| cluster.undo(fault, id).expect("its port is free"));
        }
        whole(&cluster);
    }
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 20), all(20));
    // Nobody had synced any of it, and nobody is left who could give it back.
    assert_eq!(cluster.strike(NodeFault::PowerLoss, &Role::All).expect("they run").nodes, [1, 2, 3]);
    (1..=3).for_each(|id| cluster.undo(NodeFault::PowerLoss, id).expect("its port is free"));
    whole(&cluster);
    produce(&patient(&cluster), "orders", 0, 70..71);
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 1), [70], "power took what was acknowledged");
}

#[test]
fn a_minority_that_dies_is_not_missed_and_a_majority_is() {
    let cluster = Cluster::builder().brokers(5).seed(3).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 5);
    let drawn = |share| Role::Drawn { share, draw: 0 };
    let struck = cluster.strike(NodeFault::Kill, &drawn(Share::Minority)).expect("they run").nodes;
    assert_eq!(struck, Share::Minority.of(&[1, 2, 3, 4, 5], 3, 0), "decided by the seed");
    produce(&patient(&cluster), "orders", 0, 0..10);
    let more = cluster.strike(NodeFault::Kill, &drawn(Share::Majority)).expect("one of them runs").nodes;
    assert_eq!((struck.len(), more.len()), (2, 1), "the others are down already");
    wait_for("nobody in charge", || cluster.controller().is_none());
    struck.iter().chain(&more).for_each(|id| cluster.undo(NodeFault::Kill, *id).expect("its port is free"));
    whole(&cluster);
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 10), all(10));
}
