//! Disks that fail, and what clients see of it.

use super::faults::{leader_of, patient};
use super::{PATIENCE, admin, block_on, client, consume, create, create_replicated, produce};
use super::{is_about_dead_brokers, wait_for};
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext, Message, Offset, TopicPartitionList};
use shakedown_cluster::{Cluster, Damage, DiskFault, Event, FaultError, NodeFault, Role};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How a message was answered that is not sent a second time.
#[derive(Clone, Default)]
struct Answer(Arc<Mutex<Option<Result<(), RDKafkaErrorCode>>>>);

impl ClientContext for Answer {}

impl ProducerContext for Answer {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let code = |error: &KafkaError| error.rdkafka_error_code().expect("the library's own");
        *self.0.lock().expect("nobody panics") = Some(result.as_ref().map(|_| ()).map_err(|(error, _)| code(error)));
    }
}

fn produce_once(mut config: ClientConfig, size: usize) -> Result<(), RDKafkaErrorCode> {
    let answer = Answer::default();
    config.set("retries", "0").set("message.timeout.ms", "10000");
    let producer: ThreadedProducer<Answer> = config.create_with_context(answer.clone()).expect("a producer");
    let payload = "x".repeat(size);
    let record = BaseRecord::<str, str>::to("orders").partition(0).payload(&payload);
    producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
    producer.flush(PATIENCE).expect("it is answered");
    let answered = answer.0.lock().expect("nobody panics").take();
    answered.expect("it is answered")
}

fn whole(cluster: &Cluster) {
    wait_for("a cluster that is whole", || {
        cluster.unsettled().is_none() && cluster.followers("orders", 0).len() + 1 == cluster.nodes().len()
    });
}

#[test]
fn a_disk_that_is_full_stops_its_node_until_there_is_room() {
    let cluster = Cluster::builder().brokers(1).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 1);
    let events = cluster.events();
    cluster.fail_disk(1, DiskFault::Full { after_bytes: 5000 }).expect("there is such a node");
    assert_eq!(produce_once(client(&cluster), 3000), Ok(()));
    let refused = produce_once(client(&cluster), 3000).expect_err("there is no room for it");
    assert_eq!(refused, RDKafkaErrorCode::KafkaStorageError);
    wait_for("the stop", || matches!(cluster.kill(1), Err(FaultError::Down { .. })));
    let told = events.try_iter().find_map(|event| match event.event {
        Event::StorageFailed { reason } => Some(reason),
        _ => None,
    });
    assert!(told.is_some_and(|reason| reason.contains("no space left on device")));
    // Started on a disk that is still full, it goes as far as it can.
    cluster.restart(1).expect("its port is free");
    assert_eq!(produce_once(client(&cluster), 3000), Err(RDKafkaErrorCode::KafkaStorageError));
    wait_for("the stop", || matches!(cluster.kill(1), Err(FaultError::Down { .. })));
    cluster.mend_disk(1).expect("it starts");
    assert_eq!(produce_once(client(&cluster), 3000), Ok(()));
}

#[test]
fn others_lead_what_a_node_with_a_broken_disk_led() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 3);
    produce(&patient(&cluster), "orders", 0, 0..50);
    let leader = leader_of(&cluster, "orders");
    let fault = NodeFault::Disk(DiskFault::WriteErrors);
    let role = Role::Leader { topic: String::from("orders"), partition: 0 };
    assert_eq!(cluster.strike(fault, &role).expect("somebody leads").nodes, [leader]);
    produce(&patient(&cluster), "orders", 0, 50..100);
    assert_ne!(leader_of(&cluster, "orders"), leader);
    cluster.undo(fault, leader).expect("it starts");
    whole(&cluster);
    let expected: Vec<u64> = (0..100).collect();
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 100), expected);
}

#[test]
fn a_disk_that_cannot_be_read_stops_its_node_and_keeps_it_from_starting() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 3);
    produce(&patient(&cluster), "orders", 0, 0..50);
    let leader = leader_of(&cluster, "orders");
    cluster.fail_disk(leader, DiskFault::ReadErrors).expect("there is such a node");
    let expected: Vec<u64> = (0..50).collect();
    assert_eq!(read_all(&cluster, 50).0, expected, "another serves them");
    wait_for("the stop", || matches!(cluster.kill(leader), Err(FaultError::Down { .. })));
    let refused = cluster.restart(leader).expect_err("its metadata cannot be read");
    assert!(refused.to_string().contains("cannot start on its disk"), "{refused}");
    cluster.mend_disk(leader).expect("there is such a node");
    cluster.restart(leader).expect("it can be read again");
    whole(&cluster);
}

#[test]
fn a_slow_sync_keeps_its_node_and_no_other() {
    let slow = Duration::from_millis(300);
    let cluster = Cluster::builder().brokers(3).controllers(1).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 3);
    let create = |name: &str| {
        let begun = Instant::now();
        let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
        let created = block_on(admin(&cluster).create_topics([&topic], &AdminOptions::new())).expect("an answer");
        created.into_iter().for_each(|result| drop(result.expect("a new topic")));
        begun.elapsed()
    };
    cluster.fail_disk(4, DiskFault::SlowSync { by: slow }).expect("there is such a node");
    let producer: BaseProducer = client(&cluster).create().expect("a producer");
    let produce_one = || {
        let begun = Instant::now();
        let record = BaseRecord::<str, str>::to("orders").partition(0).payload("x");
        producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
        while producer.in_flight_count() > 0 {
            assert!(begun.elapsed() < PATIENCE, "it is not acknowledged");
            producer.poll(Duration::from_millis(1));
        }
        begun.elapsed()
    };
    produce_one();
    std::thread::scope(|scope| {
        let creating = scope.spawn(|| create("slow"));
        let mut fastest = Duration::MAX;
        while !creating.is_finished() {
            fastest = fastest.min(produce_one());
        }
        assert!(fastest < slow / 3, "brokers wait for their controller's disk: {fastest:?}");
        assert!(creating.join().expect("no panic") >= slow, "nobody hears of a topic before it is synced");
    });
    cluster.mend_disk(4).expect("there is such a node");
    create("fast");
}

#[test]
fn a_node_may_be_killed_in_the_middle_of_a_sync() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 3);
    let controller = cluster.controller().expect("a controller");
    cluster.fail_disk(controller, DiskFault::SlowSync { by: Duration::from_secs(3600) }).expect("there is one");
    // Whoever is asked passes it on to the controller, which begins to sync it and does not come back.
    std::thread::scope(|scope| {
        let topic = NewTopic::new("payments", 1, TopicReplication::Fixed(3));
        let admin = admin(&cluster);
        let creating = scope.spawn(move || block_on(admin.create_topics([&topic], &AdminOptions::new())).is_ok());
        wait_for("another controller", || cluster.controller().is_some_and(|other| other != controller));
        cluster.kill(controller).expect("it is up, though it stands still");
        cluster.mend_disk(controller).expect("there is such a node");
        cluster.restart(controller).expect("its port is free");
        // Whether the next controller was asked is the client's affair.
        creating.join().expect("an answer, or none");
    });
    whole(&cluster);
    create_replicated(&cluster, "refunds", 1, 3);
}

/// Reads the partition from the beginning, until `count` messages or an error came. That a broker goes is no error.
fn read_all(cluster: &Cluster, count: usize) -> (Vec<u64>, Option<RDKafkaErrorCode>) {
    let mut config = client(cluster);
    let consumer: BaseConsumer =
        config.set("group.id", "reader").set("check.crcs", "true").create().expect("a consumer");
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset("orders", 0, Offset::Beginning).expect("a valid offset");
    consumer.assign(&assignment).expect("an assignment");
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    while seen.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} messages came, and no error", seen.len());
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) => {
                let number = message.payload_view::<str>().expect("a payload").expect("text");
                seen.push(number.parse().expect("a number"));
            }
            Some(Err(error)) if is_about_dead_brokers(&error) => {}
            Some(Err(error)) => return (seen, error.rdkafka_error_code()),
        }
    }
    (seen, None)
}

#[test]
fn a_flipped_bit_is_seen_by_consumers_and_cut_out_by_the_next_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for files in [false, true] {
        let mut builder = Cluster::builder().brokers(3);
        if files {
            builder = builder.data_dir(folder.path());
        }
        let cluster = builder.start().expect("a cluster");
        create_replicated(&cluster, "orders", 1, 3);
        produce(&patient(&cluster), "orders", 0, 0..20);
        produce(&patient(&cluster), "orders", 0, 20..40);
        whole(&cluster);
        let leader = leader_of(&cluster, "orders");
        cluster.damage_disk(leader, "orders", 0, Damage::FlippedBit { offset: 25 }).expect("it has that offset");
        let (seen, error) = read_all(&cluster, 40);
        assert!((20..=25).contains(&seen.len()), "{} messages came", seen.len());
        assert_eq!(error, Some(RDKafkaErrorCode::BadMessage), "the consumer checks");
        // A start checks every batch, cuts the log in front of the damage, and gets the rest from the others.
        cluster.restart(leader).expect("its port is free");
        whole(&cluster);
        produce(&patient(&cluster), "orders", 0, 40..50);
        assert_eq!(read_all(&cluster, 50), ((0..50).collect(), None));
    }
}

#[test]
fn a_strike_damages_what_a_role_has_and_nothing_where_there_is_nothing() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 3);
    produce(&patient(&cluster), "orders", 0, 0..20);
    whole(&cluster);
    let leads = Role::Leader { topic: String::from("orders"), partition: 0 };
    let follows = Role::Follower { topic: String::from("orders"), partition: 0 };
    let nowhere = NodeFault::Damage(Damage::LostBatches { from: 1000, below: 1001 });
    let nothing = cluster.strike(nowhere, &follows).expect_err("it has no such offset");
    assert!(matches!(nothing, FaultError::NothingThere { .. }), "{nothing}");
    whole(&cluster);
    let which = cluster.strike(nowhere, &Role::Controller).expect_err("which partition?");
    assert!(which.to_string().starts_with("controller names no partition"), "{which}");

    let torn = cluster.strike(NodeFault::Damage(Damage::TornTail { bytes: 9 }), &follows).expect("it has a tail");
    assert!(matches!(cluster.kill(torn.nodes[0]), Err(FaultError::Down { .. })), "it is down already");
    cluster.undo(NodeFault::Damage(Damage::TornTail { bytes: 9 }), torn.nodes[0]).expect("its port is free");
    whole(&cluster);
    cluster.strike(NodeFault::Damage(Damage::FlippedBit { offset: 5 }), &leads).expect("it has that offset");
    assert_eq!(read_all(&cluster, 20).1, Some(RDKafkaErrorCode::BadMessage), "the consumer checks");
}

/// Three brokers and, apart from them, three controllers, so that any broker can be the only one. It may raise its high
/// watermark then, which would stand still below `min.insync.replicas`.
fn lonely(files: Option<&Path>) -> Cluster {
    let mut builder = Cluster::builder().brokers(3).controllers(3);
    if let Some(folder) = files {
        builder = builder.data_dir(folder);
    }
    let cluster = builder.start().expect("a cluster");
    create(&cluster, &NewTopic::new("orders", 1, TopicReplication::Fixed(3)).set("min.insync.replicas", "1"));
    cluster
}

/// Damages a follower's disk while it is down, and lets it get what it can from the others.
fn damage_a_follower(cluster: &Cluster, damage: Damage) -> i32 {
    whole(cluster);
    let follower = cluster.followers("orders", 0)[0];
    let up = cluster.damage_disk(follower, "orders", 0, damage).expect_err("it has its files open");
    assert!(matches!(up, FaultError::Up { .. }), "{up}");
    cluster.kill(follower).expect("it runs");
    cluster.damage_disk(follower, "orders", 0, damage).expect("there is something to damage");
    cluster.restart(follower).expect("its port is free");
    whole(cluster);
    wait_for("it to be in sync", || in_sync(cluster, follower));
    follower
}

/// What a broker serves when all the others are gone.
fn serves_alone(cluster: &Cluster, broker: i32, count: usize) -> Vec<u64> {
    let others: Vec<i32> = (1..=3).filter(|id| *id != broker).collect();
    for other in &others {
        cluster.kill(*other).expect("it runs");
        wait_for("a leader that runs", || cluster.leader("orders", 0).is_some_and(|leader| leader != *other));
    }
    let (seen, error) = read_all(cluster, count);
    assert_eq!(error, None);
    for other in others {
        cluster.restart(other).expect("its port is free");
    }
    whole(cluster);
    seen
}

#[test]
fn what_is_gone_from_the_end_of_a_disk_a_replica_gets_from_the_others() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for files in [None, Some(folder.path())] {
        let cluster = lonely(files);
        let mut count = 0;
        for damage in [Damage::TornTail { bytes: 7 }, Damage::LostLog] {
            produce(&patient(&cluster), "orders", 0, count..count + 20);
            count += 20;
            let damaged = damage_a_follower(&cluster, damage);
            let expected: Vec<u64> = (0..count).collect();
            assert_eq!(serves_alone(&cluster, damaged, expected.len()), expected, "behind {damage:?}");
        }
        let nothing = cluster.damage_disk(1, "no-such-topic", 0, Damage::FlippedBit { offset: 0 });
        let message = "node 1 keeps nothing of no-such-topic/0 that could be damaged so";
        assert_eq!(nothing.expect_err("there is no such thing").to_string(), message);
    }
}

/// Kafka does not notice, either: a log whose offsets have gaps may have been compacted.
#[test]
fn batches_that_are_gone_from_the_middle_of_a_disk_stay_gone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for files in [None, Some(folder.path())] {
        let cluster = lonely(files);
        for first in [0, 20, 40] {
            produce(&patient(&cluster), "orders", 0, first..first + 20);
        }
        let damaged = damage_a_follower(&cluster, Damage::LostBatches { from: 20, below: 40 });
        assert_eq!(serves_alone(&cluster, damaged, 40), (0..20).chain(40..60).collect::<Vec<_>>());
    }
}

/// Whether the metadata says that a replica is in sync.
fn in_sync(cluster: &Cluster, id: i32) -> bool {
    let consumer: BaseConsumer = client(cluster).create().expect("a client");
    let Ok(metadata) = consumer.fetch_metadata(Some("orders"), PATIENCE) else { return false };
    metadata.topics()[0].partitions().iter().all(|partition| partition.isr().contains(&id))
}
