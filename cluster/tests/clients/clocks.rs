//! What is done to wall clocks, and what clients see of it.

use super::{PATIENCE, block_on, client, create_topic, read};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use rdkafka::{Message, Offset, TopicPartitionList};
use shakedown_cluster::{ClockEffect, ClockFault, Cluster, Event, FaultError, TimeShift};
use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_secs(3600);
const HOUR_MS: i64 = 3_600_000;

/// A topic that brokers stamp by their own clocks, on one broker.
fn stamped() -> Cluster {
    let cluster = Cluster::builder().brokers(1).start().expect("a cluster");
    create_topic(&cluster, "orders", 1, &[("message.timestamp.type", "LogAppendTime")]);
    cluster
}

fn produce_one(cluster: &Cluster) -> Result<i64, RDKafkaErrorCode> {
    let producer: FutureProducer = client(cluster).create().expect("a producer");
    let record = FutureRecord::<str, str>::to("orders").partition(0).payload("0");
    match block_on(producer.send(record, Timeout::After(PATIENCE))) {
        Ok(delivery) => Ok(delivery.offset),
        Err((KafkaError::MessageProduction(code), _)) => Err(code),
        Err((error, _)) => panic!("{error}"),
    }
}

/// The time that the broker stamps a new message with, in milliseconds since the Unix epoch.
fn stamp(cluster: &Cluster) -> i64 {
    let offset = produce_one(cluster).expect("an acknowledgement");
    let consumer: BaseConsumer = client(cluster).set("group.id", "reader").create().expect("a consumer");
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset("orders", 0, Offset::Offset(offset)).expect("a valid offset");
    consumer.assign(&assignment).expect("an assignment");
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "no message comes");
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            return message.expect("a message").timestamp().to_millis().expect("a timestamp");
        }
    }
}

fn clock(effect: ClockEffect) -> ClockFault {
    ClockFault { node: 1, effect }
}

#[test]
fn messages_are_stamped_by_a_clock_that_is_off_and_jumps() {
    let cluster = stamped();
    let right = stamp(&cluster);
    let skew = cluster.inject(clock(ClockEffect::Skew(TimeShift::Behind(HOUR * 24)))).expect("there is such a node");
    let skewed = stamp(&cluster) - right;
    assert!((-24 * HOUR_MS..-23 * HOUR_MS).contains(&skewed), "{skewed}");
    let jump = cluster.inject(clock(ClockEffect::Jump(TimeShift::Ahead(HOUR * 3)))).expect("there is such a node");
    let jumped = stamp(&cluster) - right;
    assert!((-21 * HOUR_MS..-20 * HOUR_MS).contains(&jumped), "{jumped}");
    assert!(skew.undo() > 0);
    assert!((3 * HOUR_MS..4 * HOUR_MS).contains(&(stamp(&cluster) - right)));
    jump.keep();
    cluster.set_clocks_right();
    assert!((0..HOUR_MS).contains(&(stamp(&cluster) - right)));
}

#[test]
fn a_fast_clock_runs_away() {
    let cluster = stamped();
    let right = stamp(&cluster);
    let start = Instant::now();
    let fault = cluster.inject(clock(ClockEffect::Rate(10_000.0))).expect("there is such a node");
    let first = stamp(&cluster);
    let second = stamp(&cluster);
    let most = i64::try_from(start.elapsed().as_millis()).expect("a short test") * 10_000 + right + HOUR_MS;
    assert!(right < first && first < second && second <= most, "{right} {first} {second} {most}");
    assert!(fault.hits() > 0);
    let error = cluster.inject(clock(ClockEffect::Rate(-1.0))).expect_err("time does not run backwards");
    assert_eq!(error.to_string(), "a clock cannot run at -1 times the speed of time: 0 and more can be");
    let error = cluster.inject(ClockFault { node: 9, ..clock(ClockEffect::Rate(1.0)) }).expect_err("no such node");
    assert!(matches!(error, FaultError::UnknownNode { id: 9, .. }), "{error}");
}

/// `message.timestamp.after.max.ms` is an hour by default.
#[test]
fn a_broker_whose_clock_is_behind_takes_its_clients_for_dreamers() {
    let cluster = Cluster::builder().brokers(1).start().expect("a cluster");
    create_topic(&cluster, "orders", 1, &[]);
    assert_eq!(produce_one(&cluster), Ok(0));
    let fault = cluster.inject(clock(ClockEffect::Skew(TimeShift::Behind(HOUR * 2)))).expect("there is such a node");
    assert_eq!(produce_one(&cluster), Err(RDKafkaErrorCode::InvalidTimestamp));
    drop(fault);
    assert_eq!(produce_one(&cluster), Ok(1));
}

#[test]
fn days_pass_and_nobody_is_taken_for_dead() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_topic(&cluster, "orders", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let consumer: BaseConsumer = client(&cluster).set("group.id", "order-tracker").create().expect("a consumer");
    consumer.subscribe(&["orders"]).expect("a subscription");
    let right = stamp(&cluster);
    let offset = produce_one(&cluster).expect("an acknowledgement");
    while consumer.assignment().expect("a consumer").count() == 0 {
        assert!(consumer.poll(Duration::from_millis(10)).is_none_or(|message| message.is_ok()));
    }
    let (controller, events) = (cluster.controller(), cluster.events());
    // A day more, and retention would take the first messages.
    cluster.advance_clock(HOUR * 24 * 6);
    assert!((144 * HOUR_MS..145 * HOUR_MS).contains(&(stamp(&cluster) - right)));
    // The member is still there, and gets what is new.
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset("orders", 0, Offset::Offset(offset)).expect("a valid offset");
    consumer.seek_partitions(assignment, PATIENCE).expect("its own partition");
    assert_eq!(read(&consumer, 2).len(), 2);
    assert_eq!(cluster.controller(), controller);
    assert_eq!(cluster.unsettled(), None);
    let told: Vec<Event> = events.try_iter().map(|event| event.event).collect();
    let is_loss = |event: &&Event| matches!(event, Event::Fenced(_) | Event::Rebalanced { .. });
    assert_eq!(told.iter().find(is_loss), None);
}
