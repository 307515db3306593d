//! The transaction service.

use crate::Test;
use crate::cluster::{Cluster, Stored, by_key};
use crate::process::{Service, wait_for};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) const TESTS: &[Test] = &[
    ("transaction::orders_are_priced_in_the_order_of_their_user", orders_are_priced),
    ("transaction::a_malformed_order_is_counted_and_skipped", a_malformed_order_is_skipped),
    ("transaction::a_killed_instance_loses_nothing", a_killed_instance_loses_nothing),
    ("transaction::a_rebalance_loses_and_repeats_nothing", a_rebalance_loses_and_repeats_nothing),
    ("transaction::a_batch_that_the_broker_refuses_is_tried_again", a_refused_batch_is_tried_again),
    ("transaction::a_producer_that_failed_for_good_is_replaced", a_failed_producer_is_replaced),
    ("transaction::a_stop_leaves_unpublished_orders_to_the_next_instance", a_stop_leaves_unpublished_orders),
];

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn topics() -> Cluster {
    Cluster::start(&[("order-details", 6), ("order-processed", 6)])
}

/// The order of this number: it costs `3 * number` and belongs to one of 25 users.
fn details(number: u64) -> (String, String) {
    let user = format!("user-{}", number % 25);
    let order = json!({
        "order_id": format!("order-{number}"),
        "user_id": user,
        "user_email": format!("{user}@example.com"),
        "items": [{"product": "tea", "quantity": 2, "unit_price": number}, {"product": "mug", "quantity": 1, "unit_price": number}],
        "created_at_us": number,
    });
    (user, order.to_string())
}

fn produce(cluster: &Cluster, numbers: std::ops::Range<u64>) {
    let orders: Vec<(String, String)> = numbers.map(details).collect();
    cluster.produce("order-details", orders.iter().map(|(key, order)| (key.as_str(), order.clone())));
}

fn number(message: &Stored) -> u64 {
    message.json()["created_at_us"].as_u64().unwrap()
}

/// Waits until each of the first `orders` was processed; returns the whole topic.
fn processed(cluster: &Cluster, orders: u64) -> Vec<Stored> {
    wait_for("every order to be processed", || {
        let stored = cluster.read("order-processed");
        let mut numbers: Vec<u64> = stored.iter().map(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        (numbers == (0..orders).collect::<Vec<_>>()).then_some(stored)
    })
}

/// Requires that the first copies of each user's orders lie in the order in which they were made.
fn assert_in_order(stored: &[Stored]) {
    for (user, messages) in by_key(stored) {
        let mut first_copies: Vec<u64> = Vec::new();
        for message in messages {
            if !first_copies.contains(&number(message)) {
                first_copies.push(number(message));
            }
        }
        assert!(first_copies.is_sorted(), "{user}: {first_copies:?}");
    }
}

fn orders_are_priced() {
    let cluster = topics();
    produce(&cluster, 0..1000);
    let service = Service::start_ready("transaction", &cluster, &[]);
    let stored = processed(&cluster, 1000);
    assert_eq!(stored.len(), 1000, "no order twice");
    assert_in_order(&stored);
    for message in &stored {
        let (number, user) = (number(message), message.key.as_str());
        let expected = json!({
            "order_id": format!("order-{number}"),
            "user_id": user,
            "user_email": format!("{user}@example.com"),
            "total_cost": 3 * number,
            "created_at_us": number,
        });
        assert_eq!(message.json(), expected);
    }
    service.stop();
    assert_eq!(cluster.committed("transaction", "order-details"), cluster.ends("order-details"));
}

fn a_malformed_order_is_skipped() {
    let cluster = topics();
    let (user, good) = details(0);
    cluster.produce_traced(
        "order-details",
        [
            (user.as_str(), "not json".to_owned(), Some(TRACE)),
            (user.as_str(), good.replace("\"quantity\":2", "\"quantity\":0"), None),
            (user.as_str(), good.clone(), Some(TRACE)),
        ],
    );
    let service = Service::start_ready("transaction", &cluster, &[]);
    let stored = processed(&cluster, 1);
    let traceparent = stored[0].traceparent.as_ref().unwrap();
    assert_eq!(&traceparent[..36], &TRACE[..36], "the same trace");
    assert_ne!(&traceparent[36..52], &TRACE[36..52], "another parent");
    assert_eq!(&traceparent[52..], "-01");

    assert_eq!(service.metric("events_malformed_total{topic=\"order-details\",reason=\"not-json\"}"), 1);
    assert_eq!(service.metric("events_malformed_total{topic=\"order-details\",reason=\"value\"}"), 1);
    let lines = service.log_lines();
    let skipped: Vec<_> = lines.iter().filter(|line| line["message"] == "skipped a malformed event").collect();
    assert_eq!(skipped.len(), 2);
    assert_eq!(skipped[0]["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!((&skipped[0]["level"], &skipped[0]["offset"]), (&json!("ERROR"), &json!(0)));
    assert_eq!(skipped[1]["reason"], "its quantity is 0, allowed: at least 1");
    service.stop();
    assert_eq!(cluster.committed("transaction", "order-details"), cluster.ends("order-details"));
}

fn a_killed_instance_loses_nothing() {
    let cluster = topics();
    let first = Service::start_ready("transaction", &cluster, &[("BATCH_EVENTS_MAX", "50")]);
    produce(&cluster, 0..2000);
    wait_for("the work to begin", || {
        (first.metric("events_produced_total{topic=\"order-processed\"}") > 0).then_some(())
    });
    first.kill();
    produce(&cluster, 2000..4000);
    let second = Service::start_ready("transaction", &cluster, &[]);
    assert_in_order(&processed(&cluster, 4000));
    second.stop();
    assert_eq!(cluster.committed("transaction", "order-details"), cluster.ends("order-details"));
}

fn wait_until_committed(cluster: &Cluster) {
    wait_for("everything to be committed", || {
        (cluster.committed("transaction", "order-details") == cluster.ends("order-details")).then_some(())
    });
}

fn a_rebalance_loses_and_repeats_nothing() {
    let cluster = topics();
    let first = Service::start_ready("transaction", &cluster, &[]);
    produce(&cluster, 0..1500);
    // While a group gathers, the mock cluster refuses commits that Kafka accepts: so let none be needed.
    wait_until_committed(&cluster);
    let second = Service::start_ready("transaction", &cluster, &[]);
    produce(&cluster, 1500..3000);
    wait_until_committed(&cluster);
    for service in [&first, &second] {
        assert!(service.metric("events_consumed_total{topic=\"order-details\"}") > 0, "both have a share");
    }
    let first_log = first.stop();
    produce(&cluster, 3000..4500);
    let stored = processed(&cluster, 4500);
    assert_in_order(&stored);
    let mut copies: BTreeMap<u64, usize> = BTreeMap::new();
    for message in &stored {
        *copies.entry(number(message)).or_default() += 1;
    }
    copies.retain(|_, copies| *copies > 1);
    assert!(copies.is_empty(), "processed more than once: {copies:?}, the first instance said {first_log:#?}");
    second.stop();
}

fn a_refused_batch_is_tried_again() {
    let cluster = topics();
    produce(&cluster, 0..100);
    // The service is the only one to produce from here on, so the refusals are its own.
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 3];
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &refusals);
    let service = Service::start_ready("transaction", &cluster, &[]);
    let stored = processed(&cluster, 100);
    assert!(service.metric("events_produce_failed_total{topic=\"order-processed\"}") > 0);
    assert!(service.metric("batches_retried_total") > 0);
    assert_in_order(&stored);
    wait_for("the service to be ready again", || (service.get("/ready").status == 200).then_some(()));
    service.stop();
    assert_eq!(cluster.committed("transaction", "order-details"), cluster.ends("order-details"));
}

fn a_failed_producer_is_replaced() {
    let cluster = topics();
    produce(&cluster, 0..10);
    // A producer that is refused its id can never be used again.
    let refusal = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED];
    cluster.mock.request_errors(RDKafkaApiKey::InitProducerId, &refusal);
    let service = Service::start_ready("transaction", &cluster, &[]);
    assert_eq!(processed(&cluster, 10).len(), 10);
    let replaced = |line: &Value| line["message"] == "the producer failed for good, it is replaced";
    assert_eq!(service.log_lines().iter().filter(|line| replaced(line)).count(), 1);
    service.stop();
}

fn a_stop_leaves_unpublished_orders() {
    let cluster = topics();
    produce(&cluster, 0..10);
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 10_000];
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &refusals);
    let first = Service::start_ready("transaction", &cluster, &[]);
    wait_for("the orders to be read", || {
        (first.metric("events_consumed_total{topic=\"order-details\"}") > 0).then_some(())
    });
    first.stop();
    assert_eq!(cluster.committed("transaction", "order-details"), BTreeMap::new());
    cluster.mock.clear_request_errors(RDKafkaApiKey::Produce);
    let second = Service::start_ready("transaction", &cluster, &[]);
    assert_in_order(&processed(&cluster, 10));
    second.stop();
}
