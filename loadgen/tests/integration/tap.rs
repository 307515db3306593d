//! What a tap promises: every message of the topic is recorded once, under the name that its source gave it.

use crate::Test;
use crate::bench::{Bench, PARTITIONS, RUN, TOPIC, plan};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use shakedown_loadgen::identity_header::{self, IdentityHeader};
use shakedown_loadgen::tap::TapPlan;
use shakedown_loadgen::{
    CommitTap, IdentityRule, JsonRule, StopFlag, Tap, TapError, TopicError, ValueRule, tap_commits,
};
use shakedown_reports::record::{Delivery, Operation};
use std::collections::HashMap;
use std::time::Duration;

pub(crate) const TESTS: &[Test] = &[
    ("tap::headers_bring_every_message_back_under_its_name", headers_bring_every_message_back_under_its_name),
    ("tap::json_brings_every_message_back_under_the_same_name", json_brings_every_message_back_under_the_same_name),
    (
        "tap::strange_messages_are_counted_and_never_taken_for_ours",
        strange_messages_are_counted_and_never_taken_for_ours,
    ),
    ("tap::a_topic_that_is_not_there_cannot_be_tapped", a_topic_that_is_not_there_cannot_be_tapped),
    (
        "tap::commits_are_read_from_a_coordinator_that_is_just_moving_in",
        commits_are_read_from_a_coordinator_that_is_just_moving_in,
    ),
];

fn by_identity(deliveries: &[Delivery]) -> HashMap<u64, Delivery> {
    deliveries.iter().map(|delivery| (delivery.identity.to_bits(), *delivery)).collect()
}

fn compare(operations: &[Operation], deliveries: &[Delivery], also: impl Fn(&Operation, &Delivery)) {
    let found = by_identity(deliveries);
    assert_eq!(deliveries.len(), operations.len());
    for operation in operations {
        let delivery = found.get(&operation.identity.to_bits()).expect("what was acknowledged is delivered");
        assert_eq!((delivery.partition, delivery.offset), (operation.partition, operation.offset));
        assert_eq!(delivery.key, operation.key);
        assert!(delivery.received_ns >= operation.sent_ns);
        assert!(delivery.timestamp_ms > 0);
        also(operation, delivery);
    }
}

fn headers_bring_every_message_back_under_its_name() {
    let bench = Bench::new();
    let plan = plan("2000/s", Duration::from_millis(400));
    let stop = StopFlag::new();
    let tap = bench.tap(IdentityRule::Header, 800, &stop);
    assert_eq!(tap.partitions(), PARTITIONS);
    bench.run(&plan);
    let summary = bench.drain(tap, &stop);
    assert_eq!((summary.count, summary.unreadable, summary.foreign), (800, 0, 0));
    assert_eq!((summary.rewinds, summary.early), (0, 0));
    assert_eq!(summary.latency.len(), 800, "nothing is sampled");
    compare(&bench.operations(), &bench.deliveries(), |operation, delivery| {
        assert_eq!((delivery.value, delivery.intended_ns), (operation.value, operation.intended_ns));
    });
    assert!(bench.interval_tags().contains(&format!("deliver:{TOPIC}")));
}

fn json_brings_every_message_back_under_the_same_name() {
    let bench = Bench::new();
    let stop = StopFlag::new();
    let rule = IdentityRule::Json(JsonRule {
        identity: "/order_id".to_owned(),
        value: ValueRule::Pointer("/quantity".to_owned()),
        intended_us: None,
    });
    let plan = plan("1000/s", Duration::from_millis(200));
    bench.run(&plan);
    // Started late on purpose: a tap reads a topic from its beginning.
    let tap = bench.tap(rule, 200, &stop);
    let summary = bench.drain(tap, &stop);
    assert_eq!((summary.count, summary.unreadable), (200, 0));
    assert_eq!(summary.latency.len(), 0, "nobody knows when these were intended");
    let workload = plan.workload().expect("valid");
    compare(&bench.operations(), &bench.deliveries(), |operation, delivery| {
        let message = workload.message_at(operation.identity.index());
        assert_eq!((delivery.value, delivery.intended_ns), (i64::from(message.quantity), 0));
    });
}

fn strange_messages_are_counted_and_never_taken_for_ours() {
    let bench = Bench::new();
    let stop = StopFlag::new();
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &bench.bootstrap).create().expect("a producer");
    let header = |run, sequence| {
        IdentityHeader { run, producer: 0, sequence, key: 3, key_sequence: 0, intended_ns: 1, value: 5 }.encode()
    };
    let send = |partition, value: Option<&[u8]>| {
        let headers = value.map(|value| {
            OwnedHeaders::new_with_capacity(1).insert(Header { key: identity_header::NAME, value: Some(value) })
        });
        let mut record = BaseRecord::to(TOPIC).partition(partition).key("user-3").payload("{}");
        record.headers = headers;
        producer.send(record).map_err(|(error, _)| error).expect("queued");
    };
    send(2, None);
    send(2, Some(&header(RUN, 0)[..40]));
    send(2, Some(&header(RUN + 1, 1)));
    send(2, Some(&header(RUN, 2)));
    producer.flush(Duration::from_secs(10)).expect("written");

    let tap = bench.tap(IdentityRule::Header, 10, &stop);
    let summary = bench.drain(tap, &stop);
    assert_eq!((summary.count, summary.unreadable, summary.foreign), (1, 2, 1));
    let samples: Vec<_> = summary.unreadable_samples.iter().map(ToString::to_string).collect();
    assert_eq!(
        samples,
        [
            "partition 2 offset 0: it has no header shakedown, and its payload does not begin with one",
            "partition 2 offset 1: header shakedown has 40 bytes, 43 are allowed"
        ]
    );
    let deliveries = bench.deliveries();
    assert_eq!((deliveries[0].identity.index(), deliveries[0].offset), (2, 3));
}

fn a_topic_that_is_not_there_cannot_be_tapped() {
    let bench = Bench::new();
    let deliveries = bench.directory.delivery_writer(1).expect("one tap a stream");
    let plan = TapPlan::new(1, "misspelt", IdentityRule::Header, 42, 10);
    let (interner, intervals) = (bench.directory.interner(), bench.directory.interval_log());
    let error = Tap::start(plan, &bench.bootstrap, bench.clock, deliveries, interner, intervals, StopFlag::new())
        .expect_err("there is no such topic");
    assert!(matches!(&error, TapError::Topic(TopicError::Missing { topic, .. }) if topic == "misspelt"), "{error}");
}

/// Kafka makes the topic for the first question about a group, and answers it before anybody leads that.
fn commits_are_read_from_a_coordinator_that_is_just_moving_in() {
    let bench = Bench::new();
    bench.cluster.create_topic(tap_commits::TOPIC, 2, 1).expect("a topic");
    let moving_in = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
    let loading = RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
    bench.cluster.request_errors(RDKafkaApiKey::OffsetFetch, &[moving_in, loading]);
    let (writer, stop) = (bench.directory.commit_writer().expect("one a run"), StopFlag::new());
    let tap = CommitTap::start(&[], &bench.bootstrap, bench.clock, writer, stop.clone());
    let tap = tap.unwrap_or_else(|error| panic!("{error}"));
    assert!(tap.drained(&[0, 0]), "both partitions are read, and nothing is in them");
    stop.stop();
    assert_eq!(tap.join().expect("it ends").count, 0);
}
