//! What rules do to real clients: the bugs that they are there to find.

use crate::raw::Raw;
use crate::{PATIENCE, client, consume, create_topic};
use rdkafka::ClientConfig;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use shakedown_cluster::{ApiKey, Cluster, Condition, Effect, NodeFault, Produced, ResponseError, Role, Rule, Selector};
use std::time::{Duration, Instant};

fn cluster() -> Cluster {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_topic(&cluster, "orders", 1, &[]);
    cluster
}

fn orders(api: ApiKey) -> Selector {
    Selector { apis: vec![api], topic: Some("orders".to_owned()), ..Selector::default() }
}

/// A producer that sends one message in a request, and has five requests under way.
fn one_by_one(cluster: &Cluster, idempotent: bool) -> ClientConfig {
    let mut config = client(cluster);
    config.set("enable.idempotence", if idempotent { "true" } else { "false" });
    config.set("batch.num.messages", "1").set("linger.ms", "0").set("max.in.flight", "5");
    config.set("retries", "10").set("retry.backoff.ms", "20");
    config
}

/// Produces ten numbered messages; what the partition has afterwards.
fn ten(cluster: &Cluster, config: &ClientConfig, expected: usize) -> Vec<u64> {
    crate::produce(config, "orders", 0, 0..10);
    consume(cluster, "orders", 0, Offset::Beginning, expected)
}

#[test]
fn a_lost_reply_duplicates_a_message_unless_its_producer_is_idempotent() {
    for (idempotent, expected) in [(false, 11), (true, 10)] {
        let cluster = cluster();
        let rule = cluster.rule(Rule::new(orders(ApiKey::Produce), Effect::HangUp { applied: true }).nth(3));
        let numbers = ten(&cluster, &one_by_one(&cluster, idempotent), expected);
        assert_eq!(rule.end(), 1);
        assert_eq!(numbers.len(), expected);
        let third = numbers.iter().filter(|number| **number == 2).count();
        assert_eq!(third, if idempotent { 1 } else { 2 }, "{numbers:?}");
    }
}

#[test]
fn a_request_that_is_delivered_twice_duplicates_a_message_unless_its_producer_is_idempotent() {
    for (idempotent, expected) in [(false, 11), (true, 10)] {
        let cluster = cluster();
        let rule = cluster.rule(Rule::new(orders(ApiKey::Produce), Effect::Duplicate).nth(3));
        let numbers = ten(&cluster, &one_by_one(&cluster, idempotent), expected);
        assert_eq!(rule.end(), 1);
        let third = numbers.iter().filter(|number| **number == 2).count();
        assert_eq!((numbers.len(), third), (expected, expected - 9), "{numbers:?}");
    }
}

#[test]
fn a_retry_overtakes_unless_its_producer_is_idempotent() {
    for idempotent in [false, true] {
        let cluster = cluster();
        let error = Effect::Error { error: ResponseError::NotEnoughReplicas, applied: false };
        let rule = cluster.rule(Rule::new(orders(ApiKey::Produce), error).nth(3));
        let numbers = ten(&cluster, &one_by_one(&cluster, idempotent), 10);
        assert_eq!(rule.end(), 1);
        assert_eq!(numbers.is_sorted(), idempotent, "{numbers:?}");
        let mut all = numbers;
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<u64>>());
    }
}

#[test]
fn a_topic_that_is_unknown_for_a_moment_costs_a_client_of_today_nothing() {
    let cluster = cluster();
    let error = Effect::Error { error: ResponseError::UnknownTopicOrPartition, applied: false };
    let rule = cluster.rule(Rule::new(orders(ApiKey::Metadata), error).times(1));
    assert_eq!(ten(&cluster, &client(&cluster), 10), (0..10).collect::<Vec<u64>>());
    assert_eq!(rule.hits(), 1);
}

#[test]
fn a_request_that_is_held_is_answered_when_it_is_released() {
    let cluster = cluster();
    let hold = Effect::Hold { applied: false, lasts: None };
    let rule = cluster.rule(Rule::new(orders(ApiKey::Produce), hold).times(1));
    let producer: ThreadedProducer<DefaultProducerContext> = client(&cluster).create().expect("a producer");
    producer.send(BaseRecord::<str, str>::to("orders").payload("1")).map_err(|(error, _)| error).expect("room");
    assert!(rule.wait(1, PATIENCE).is_some());
    assert_eq!(
        producer.flush(Duration::from_millis(100)),
        Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)),
        "nobody answers"
    );
    rule.release();
    producer.flush(PATIENCE).expect("it is answered");
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 1), [1]);
}

#[test]
fn the_end_of_a_rule_heals() {
    let cluster = cluster();
    let rule = cluster.rule(Rule::new(orders(ApiKey::Produce), Effect::Hold { applied: false, lasts: None }));
    let producer: ThreadedProducer<DefaultProducerContext> = client(&cluster).create().expect("a producer");
    producer.send(BaseRecord::<str, str>::to("orders").payload("1")).map_err(|(error, _)| error).expect("room");
    assert!(rule.wait(1, PATIENCE).is_some());
    drop(rule);
    producer.flush(PATIENCE).expect("it is answered");
}

#[test]
fn a_throttled_consumer_waits_between_its_fetches() {
    let cluster = cluster();
    crate::produce(&client(&cluster), "orders", 0, 0..3);
    let throttle = Effect::Throttle { lasts: Duration::from_millis(300) };
    let rule = cluster.rule(Rule::new(orders(ApiKey::Fetch), throttle));
    let mut config = client(&cluster);
    // One message in an answer.
    config.set("group.id", "reader").set("fetch.message.max.bytes", "1").set("queued.min.messages", "1");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut assignment = rdkafka::TopicPartitionList::new();
    assignment.add_partition_offset("orders", 0, Offset::Beginning).expect("a valid offset");
    consumer.assign(&assignment).expect("an assignment");
    let begin = Instant::now();
    assert_eq!(crate::read(&consumer, 3).len(), 3);
    let (hits, lasted) = (rule.end(), begin.elapsed());
    assert!(hits >= 1, "{hits} fetches");
    // Whoever has been throttled asks again only then; the last answer need not have been waited for.
    let waited = Duration::from_millis(300) * u32::try_from(hits.saturating_sub(1)).expect("a few");
    assert!(lasted >= waited, "{hits} fetches in {lasted:?}");
}

#[test]
fn a_fault_strikes_before_the_request_that_it_waits_for_is_served() {
    let cluster = cluster();
    let leader = cluster.leader("orders", 0).expect("a leader");
    let role = Role::Leader { topic: "orders".to_owned(), partition: 0 };
    let condition = Condition::Requested { selector: orders(ApiKey::Produce), nth: 5 };
    let watch = cluster.when(condition, Some((NodeFault::Kill, role))).expect("the cluster lives");
    let rule = cluster.rule(Rule::new(orders(ApiKey::Produce), Effect::Duplicate).times(0));
    let numbers = ten(&cluster, &one_by_one(&cluster, true), 10);
    assert_eq!(numbers, (0..10).collect::<Vec<u64>>(), "the next leader has them all, once");
    let strike = watch.outcome().expect("it happened").expect("somebody was hit");
    assert_eq!(strike.nodes, [leader]);
    assert_ne!(cluster.leader("orders", 0), Some(leader));
    assert_eq!(rule.end(), 0, "a rule for no request hits none");
}

#[test]
fn a_rule_may_begin_in_the_step_in_which_something_happens() {
    let cluster = cluster();
    let error = Effect::Error { error: ResponseError::NotEnoughReplicas, applied: false };
    let produced = Produced { topic: "orders".to_owned(), count: 4 };
    let rule = Rule::new(orders(ApiKey::Produce), error).times(1);
    let rule = cluster.rule_when(rule, produced).expect("the cluster lives");
    let numbers = ten(&cluster, &one_by_one(&cluster, false), 10);
    assert_eq!(rule.end(), 1);
    assert_eq!(numbers[..4], [0, 1, 2, 3], "four were there before it began");
    assert_ne!(numbers[4], 4, "the very next request is refused: {numbers:?}");
}

/// What a client asks first, and [`Raw`] always.
fn versions() -> Selector {
    Selector { apis: vec![ApiKey::ApiVersions], client: Some("order".to_owned()), ..Selector::default() }
}

#[test]
fn a_paused_broker_says_nothing_whatever_rules_say() {
    let cluster = Cluster::builder().brokers(1).start().expect("a cluster");
    let raw = Raw::connect(&cluster, 1, "order");
    let held = cluster.rule(Rule::new(versions(), Effect::Hold { applied: true, lasts: None }));
    raw.ask(1);
    assert!(held.wait(1, PATIENCE).is_some());
    cluster.pause(1).expect("it runs");
    assert_eq!(held.end(), 1);
    assert!(raw.is_silent(), "nobody is there who could send what a rule has let go");
    cluster.resume(1).expect("it was paused");
    assert_eq!(raw.answered(), 1);

    let refusal = Effect::Error { error: ResponseError::ClusterAuthorizationFailed, applied: false };
    for (number, effect) in [(2, refusal), (3, Effect::HangUp { applied: false })] {
        cluster.pause(1).expect("it runs");
        let rule = cluster.rule(Rule::new(versions(), effect.clone()));
        raw.ask(number);
        assert!(raw.is_silent(), "{effect:?}");
        assert_eq!(rule.hits(), 0, "{effect:?}: it is not read yet");
        cluster.resume(1).expect("it was paused");
        if number == 2 {
            assert_eq!(raw.answered(), 2);
        } else {
            assert_eq!(raw.rest(), (vec![], false));
        }
        assert_eq!(rule.end(), 1, "{effect:?}");
    }
}

#[test]
fn a_throttled_request_counts_once_for_whoever_waits_for_it() {
    let cluster = Cluster::builder().brokers(1).start().expect("a cluster");
    let raw = Raw::connect(&cluster, 1, "order");
    let throttle = Effect::Throttle { lasts: Duration::from_millis(200) };
    let rule = cluster.rule(Rule::new(versions(), throttle).times(1));
    let third = Condition::Requested { selector: versions(), nth: 3 };
    let watch = cluster.when(third, None).expect("the cluster lives");
    let begin = Instant::now();
    for number in 1..=2 {
        raw.ask(number);
        assert_eq!(raw.answered(), number);
    }
    assert!(begin.elapsed() >= Duration::from_millis(200), "the second was throttled: {:?}", begin.elapsed());
    assert_eq!(rule.end(), 1);
    assert!(watch.outcome().is_none(), "there were two");
    raw.ask(3);
    assert_eq!(raw.answered(), 3);
    assert!(watch.outcome().is_some());
}

#[test]
fn work_for_each_request_takes_its_time_from_everybody() {
    let cluster = Cluster::builder().brokers(1).start().expect("a cluster");
    let clients = ["order", "payment"].map(|client| Raw::connect(&cluster, 1, client));
    let lasts = Duration::from_millis(20);
    let selector = Selector { apis: vec![ApiKey::ApiVersions], ..Selector::default() };
    let rule = cluster.rule(Rule::new(selector, Effect::Work { lasts }));
    let begin = Instant::now();
    (1..=5).for_each(|number| clients.iter().for_each(|client| client.ask(number)));
    (1..=5).for_each(|number| clients.iter().for_each(|client| assert_eq!(client.answered(), number)));
    // Requests that a rule holds pass their time together; work is done for one after another, whoever asks.
    assert!(begin.elapsed() >= 10 * lasts, "{:?}", begin.elapsed());
    assert_eq!(rule.end(), 10);
}
