//! The tracker service.

use crate::Test;
use crate::cluster::{Cluster, by_key};
use crate::process::{Folder, Service, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Range;

pub(crate) const TESTS: &[Test] = &[
    ("tracker::the_audit_trail_holds_every_order_in_order", the_audit_trail_holds_every_order),
    ("tracker::a_killed_instance_neither_loses_nor_repeats_an_entry", a_killed_instance),
    ("tracker::an_order_can_be_asked_for", an_order_can_be_asked_for),
    ("tracker::a_commit_before_the_work_is_there_when_the_work_is_not", a_commit_before_the_work),
];

fn produce(cluster: &Cluster, numbers: Range<u64>) {
    let orders: Vec<(String, String)> = numbers
        .map(|number| {
            let user = format!("user-{}", number % 100);
            let order =
                json!({"order_id": format!("order-{number}"), "user": user, "item": "tea", "quantity": 1 + number % 5});
            (user, order.to_string())
        })
        .collect();
    cluster.produce("orders", orders.iter().map(|(key, order)| (key.as_str(), order.clone())));
}

fn quantity(orders: u64) -> u64 {
    (0..orders).map(|number| 1 + number % 5).sum()
}

fn wait_for_orders(service: &Service, orders: u64) -> Value {
    wait_for("the orders to be tracked", || {
        let stats = service.get("/stats").json();
        (stats["orders"].as_u64() >= Some(orders)).then_some(stats)
    })
}

/// The whole trail, page by page.
fn trail(service: &Service, limit: usize) -> Vec<Value> {
    let mut entries: Vec<Value> = Vec::new();
    loop {
        let after = entries.last().map_or(0, |entry| entry["position"].as_i64().unwrap());
        let page = service.get(&format!("/tracked?after={after}&limit={limit}"));
        assert_eq!((page.status, page.content_type.as_str()), (200, "application/x-ndjson"));
        let lines: Vec<Value> = page.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.len() <= limit);
        if lines.is_empty() {
            return entries;
        }
        entries.extend(lines);
    }
}

/// Requires that the trail is the topic: every message once, each partition in its order, each user in the producer's.
fn assert_trail_is_topic(cluster: &Cluster, entries: &[Value]) {
    let stored = cluster.read("orders");
    assert_eq!(entries.len(), stored.len());
    let mut next_offset: BTreeMap<i64, i64> = BTreeMap::new();
    let mut of_user: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for entry in entries {
        let next = next_offset.entry(entry["partition"].as_i64().unwrap()).or_default();
        assert_eq!(entry["offset"], *next, "{entry}");
        *next += 1;
        of_user.entry(entry["user"].as_str().unwrap()).or_default().push(entry["order_id"].as_str().unwrap());
    }
    for (user, messages) in by_key(&stored) {
        let produced: Vec<String> =
            messages.iter().map(|message| message.json()["order_id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(of_user[user], produced);
    }
    let positions: Vec<i64> = entries.iter().map(|entry| entry["position"].as_i64().unwrap()).collect();
    assert!(positions.is_sorted_by(|left, right| left < right));
}

fn the_audit_trail_holds_every_order() {
    let cluster = Cluster::start(&[("orders", 10)]);
    let folder = Folder::new();
    produce(&cluster, 0..20_000);
    let service = Service::start_ready("tracker", &cluster, &[("DATABASE_URL", &folder.database_url("tracker.db"))]);
    let stats = wait_for_orders(&service, 20_000);
    assert_eq!(stats, json!({"orders": 20_000, "quantity": quantity(20_000)}));
    assert_trail_is_topic(&cluster, &trail(&service, 3000));
    assert_eq!(service.metric("orders_tracked_total"), 20_000);
    service.stop();
    assert_eq!(cluster.committed("order-tracker", "orders"), cluster.ends("orders"));
}

fn a_killed_instance() {
    let cluster = Cluster::start(&[("orders", 10)]);
    let folder = Folder::new();
    let url = folder.database_url("tracker.db");
    let variables = [("DATABASE_URL", url.as_str()), ("BATCH_EVENTS_MAX", "20")];
    let first = Service::start_ready("tracker", &cluster, &variables);
    produce(&cluster, 0..5000);
    wait_for_orders(&first, 300);
    first.kill();
    let second = Service::start_ready("tracker", &cluster, &variables);
    produce(&cluster, 5000..6000);
    let stats = wait_for_orders(&second, 6000);
    assert_eq!(stats, json!({"orders": 6000, "quantity": quantity(6000)}));
    assert_trail_is_topic(&cluster, &trail(&second, 100_000));
    second.stop();
}

fn an_order_can_be_asked_for() {
    let cluster = Cluster::start(&[("orders", 1)]);
    let folder = Folder::new();
    produce(&cluster, 0..3);
    produce(&cluster, 1..2);
    let service = Service::start_ready("tracker", &cluster, &[("DATABASE_URL", &folder.database_url("tracker.db"))]);
    wait_for_orders(&service, 4);
    let mut order = service.get("/orders/order-1").json();
    let events = order["events"].take();
    assert_eq!(order, json!({"order_id": "order-1", "user": "user-1", "item": "tea", "quantity": 2, "events": null}));
    let offsets: Vec<&Value> = events.as_array().unwrap().iter().map(|event| &event["offset"]).collect();
    assert_eq!(offsets, [1, 3], "it was published twice, and the trail says so");

    let unknown = service.get("/orders/order-9");
    assert_eq!((unknown.status, unknown.json()), (404, json!({"error": "no order order-9 was tracked"})));
    for path in ["/tracked?limit=100001", "/tracked?limit=0", "/tracked?after=x"] {
        let answer = service.get(path);
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.json()["error"].is_string());
    }
    assert_eq!(service.get("/tracked").body.lines().count(), 4);
    service.stop();
}

fn a_commit_before_the_work() {
    let cluster = Cluster::start(&[("orders", 1)]);
    let folder = Folder::new();
    produce(&cluster, 0..10);
    let url = folder.database_url("tracker.db");
    let variables = [("DATABASE_URL", url.as_str()), ("BATCH_EVENTS_MAX", "1"), ("FAILPOINT", "before_work:5")];
    let wait = |service: &Service| {
        wait_for("the failpoint", || {
            service.log_lines().iter().any(|line| line["message"] == "waiting at a failpoint").then_some(())
        });
        assert_eq!(service.get("/stats").json()["orders"], 4, "the fifth is in hand");
    };
    let hasty = Service::start("tracker", &cluster, &[&variables[..], &[("COMMIT", "before")]].concat());
    wait(&hasty);
    assert_eq!(cluster.committed("order-tracker", "orders"), [(0, 5)].into());
    hasty.kill();
    let second = Service::start("tracker", &cluster, &[("DATABASE_URL", &url), ("COMMIT", "before")]);
    wait_for_orders(&second, 9);
    assert_eq!(second.get("/orders/order-4").status, 404);
    second.stop();
    assert_eq!(cluster.committed("order-tracker", "orders"), cluster.ends("orders"));

    let sound = [("DATABASE_URL", &*folder.database_url("sound.db")), ("GROUP_ID", "sound")];
    let sound = Service::start("tracker", &cluster, &[&variables[1..], &sound].concat());
    wait(&sound);
    assert!(cluster.committed("sound", "orders").get(&0).is_none_or(|committed| *committed < 5));
    sound.stop();
}
