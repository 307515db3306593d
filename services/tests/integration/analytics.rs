//! The analytics service.

use crate::Test;
use crate::cluster::Cluster;
use crate::process::{Folder, Service, wait_for};
use serde_json::{Value, json};
use std::ops::Range;

pub(crate) const TESTS: &[Test] = &[
    ("analytics::orders_and_revenue_are_the_fold_of_the_topic", the_fold_of_the_topic),
    ("analytics::a_killed_instance_counts_nothing_twice", a_killed_instance_counts_nothing_twice),
    ("analytics::the_store_decides_where_to_resume", the_store_decides_where_to_resume),
];

fn produce(cluster: &Cluster, numbers: Range<u64>) {
    let orders: Vec<(String, String)> = numbers
        .map(|number| {
            let order = json!({
                "order_id": format!("order-{number}"),
                "user_id": "user-1",
                "user_email": "ada@example.com",
                "total_cost": number,
                "created_at_us": 1,
            });
            (format!("user-{}", number % 17), order.to_string())
        })
        .collect();
    cluster.produce("order-processed", orders.iter().map(|(key, order)| (key.as_str(), order.clone())));
}

/// What analytics says of the orders `0..orders`, each worth its number.
fn fold(orders: u64) -> Value {
    json!({ "orders": orders, "revenue": (0..orders).sum::<u64>() })
}

fn wait_for_orders(service: &Service, orders: u64) -> Value {
    wait_for("the orders to be counted", || {
        let answer = service.get("/analytics").json();
        (answer["orders"].as_u64() >= Some(orders)).then_some(answer)
    })
}

fn the_fold_of_the_topic() {
    let cluster = Cluster::start(&[("order-processed", 6)]);
    let folder = Folder::new();
    produce(&cluster, 0..500);
    cluster.produce("order-processed", [("user-1", "{}".to_owned())]);
    produce(&cluster, 500..1000);
    let service =
        Service::start_ready("analytics", &cluster, &[("DATABASE_URL", &folder.database_url("analytics.db"))]);
    assert_eq!(wait_for_orders(&service, 1000), fold(1000));
    assert_eq!(service.metric("events_malformed_total{topic=\"order-processed\",reason=\"wrong-shape\"}"), 1);
    service.stop();
    assert_eq!(cluster.committed("analytics", "order-processed"), cluster.ends("order-processed"));
}

fn a_killed_instance_counts_nothing_twice() {
    let cluster = Cluster::start(&[("order-processed", 6)]);
    let folder = Folder::new();
    let url = folder.database_url("analytics.db");
    let variables = [("DATABASE_URL", url.as_str()), ("BATCH_EVENTS_MAX", "7")];
    let first = Service::start_ready("analytics", &cluster, &variables);
    produce(&cluster, 0..3000);
    // Batches are in the store at most 100 ms before they are committed to the group: killed now, some are not.
    wait_for_orders(&first, 500);
    first.kill();
    let second = Service::start_ready("analytics", &cluster, &variables);
    produce(&cluster, 3000..4000);
    assert_eq!(wait_for_orders(&second, 4000), fold(4000));
    second.stop();
}

fn the_store_decides_where_to_resume() {
    let cluster = Cluster::start(&[("order-processed", 6)]);
    let folder = Folder::new();
    let url = folder.database_url("analytics.db");
    produce(&cluster, 0..1000);
    let first = Service::start_ready("analytics", &cluster, &[("DATABASE_URL", &url)]);
    assert_eq!(wait_for_orders(&first, 1000), fold(1000));
    first.stop();
    produce(&cluster, 1000..1200);

    // A group that has committed nothing, on the old store: nothing is counted again.
    let variables = [("DATABASE_URL", url.as_str()), ("GROUP_ID", "analytics-renamed")];
    let renamed = Service::start_ready("analytics", &cluster, &variables);
    assert_eq!(wait_for_orders(&renamed, 1200), fold(1200));
    assert_eq!(renamed.metric("events_consumed_total{topic=\"order-processed\"}"), 200, "only what is new is read");
    renamed.stop();

    // The old group, which has committed a thousand, on an empty store: everything is counted.
    let fresh = Service::start_ready("analytics", &cluster, &[("DATABASE_URL", &folder.database_url("fresh.db"))]);
    assert_eq!(wait_for_orders(&fresh, 1200), fold(1200));
    fresh.stop();
}
