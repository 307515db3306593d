//! The order service.

use crate::Test;
use crate::cluster::{Cluster, Stored};
use crate::process::{Service, wait_for};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const TESTS: &[Test] = &[
    ("order::every_order_is_published_once_with_its_intended_instant", every_order_is_published_once),
    ("order::the_same_seed_makes_the_same_orders", the_same_seed_makes_the_same_orders),
    ("order::an_order_that_is_not_acknowledged_is_no_revenue", an_order_that_is_not_acknowledged_is_no_revenue),
];

fn run_to_the_end(cluster: &Cluster, variables: &[(&str, &str)]) -> (Value, Service) {
    let service = Service::start("order", cluster, variables);
    let stats = wait_for("the last order", || {
        let stats = service.get("/stats").json();
        (stats["done"] == true).then_some(stats)
    });
    (stats, service)
}

fn total(order: &Value) -> i64 {
    let lines = order["items"].as_array().unwrap();
    lines.iter().map(|item| item["quantity"].as_i64().unwrap() * item["unit_price"].as_i64().unwrap()).sum()
}

fn every_order_is_published_once() {
    let cluster = Cluster::start(&[("order-details", 6)]);
    let variables = [("ORDERS_PER_SECOND", "2000"), ("ORDERS_TOTAL", "500"), ("ORDERS_USERS", "20")];
    let (stats, service) = run_to_the_end(&cluster, &variables);
    let stored = cluster.read("order-details");
    let orders: Vec<Value> = stored.iter().map(Stored::json).collect();
    assert_eq!(orders.len(), 500);
    let revenue: i64 = orders.iter().map(total).sum();
    let expected =
        serde_json::json!({"accepted": 500, "acknowledged": 500, "failed": 0, "revenue": revenue, "done": true});
    assert_eq!(stats, expected);

    let totals: BTreeSet<i64> = orders.iter().map(total).collect();
    assert_eq!(totals.len(), 500, "every order costs something else");
    let traces: BTreeSet<&str> = stored.iter().map(|message| &message.traceparent.as_ref().unwrap()[3..35]).collect();
    assert_eq!(traces.len(), 500, "every order has a trace of its own");
    for (message, order) in stored.iter().zip(&orders) {
        assert_eq!(order["user_id"], message.key.as_str());
    }
    // One user's orders lie in one partition.
    let homes: BTreeSet<(&str, i32)> = stored.iter().map(|message| (message.key.as_str(), message.partition)).collect();
    assert_eq!(homes.len(), 20);

    // The schedule, not the sending: 500 µs apart to the microsecond.
    let instants: BTreeSet<u64> = orders.iter().map(|order| order["created_at_us"].as_u64().unwrap()).collect();
    let first = *instants.first().unwrap();
    assert!(instants.iter().copied().eq((0..500).map(|number| first + number * 500)), "{instants:?}");
    assert_eq!(service.metric("events_produced_total{topic=\"order-details\"}"), 500);
    service.stop();
}

fn the_same_seed_makes_the_same_orders() {
    let cluster = Cluster::start(&[("one", 3), ("two", 3)]);
    let orders = |topic: &str| -> BTreeMap<String, (Value, Option<String>)> {
        let variables = [
            ("ORDER_DETAILS_TOPIC", topic),
            ("ORDERS_PER_SECOND", "5000"),
            ("ORDERS_TOTAL", "100"),
            ("ORDERS_SEED", "7"),
            ("ORDERS_ARRIVALS", "poisson"),
        ];
        let (_, service) = run_to_the_end(&cluster, &variables);
        service.stop();
        let stored = cluster.read(topic);
        let with_ids = stored.into_iter().map(|message| {
            let mut order = message.json();
            order.as_object_mut().unwrap().remove("created_at_us");
            (order["order_id"].as_str().unwrap().to_owned(), (order, message.traceparent))
        });
        with_ids.collect()
    };
    let first = orders("one");
    assert_eq!(first.len(), 100);
    assert_eq!(first, orders("two"));
}

fn an_order_that_is_not_acknowledged_is_no_revenue() {
    let cluster = Cluster::start(&[("order-details", 1)]);
    let service = Service::start(
        "order",
        &cluster,
        &[("KAFKA_MESSAGE_TIMEOUT_MS", "500"), ("ORDERS_TOTAL", "20"), ("ORDERS_PER_SECOND", "20")],
    );
    wait_for("some orders", || (service.get("/stats").json()["acknowledged"].as_u64() > Some(3)).then_some(()));
    cluster.mock.broker_down(-1).unwrap();
    let stats = wait_for("the last order", || {
        let stats = service.get("/stats").json();
        (stats["done"] == true).then_some(stats)
    });
    cluster.mock.broker_up(-1).unwrap();
    let (acknowledged, failed) = (stats["acknowledged"].as_u64().unwrap(), stats["failed"].as_u64().unwrap());
    assert!(failed > 0, "{stats}");
    assert_eq!(acknowledged + failed, 20);
    let stored = cluster.read("order-details");
    let revenue: i64 = stored.iter().map(|message| total(&message.json())).sum();
    assert_eq!(stored.len() as u64, acknowledged, "the mock cluster was down, so nothing unacknowledged is stored");
    assert_eq!(stats["revenue"], revenue);
    service.stop();
}
