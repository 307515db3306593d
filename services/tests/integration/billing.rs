//! The four services of the billing system together.

use crate::Test;
use crate::cluster::Cluster;
use crate::mailbox::Mailbox;
use crate::process::{Folder, Service, wait_for};
use axum::http::StatusCode;
use std::collections::BTreeSet;

pub(crate) const TESTS: &[Test] =
    &[("billing::money_and_traces_survive_every_hop", money_and_traces_survive_every_hop)];

fn money_and_traces_survive_every_hop() {
    let cluster = Cluster::start(&[("order-details", 6), ("order-processed", 6)]);
    let folder = Folder::new();
    let mailbox = Mailbox::start(|_, _| StatusCode::OK);
    let analytics =
        Service::start_ready("analytics", &cluster, &[("DATABASE_URL", &folder.database_url("analytics.db"))]);
    let notification = Service::start_ready("notification", &cluster, &[("MAILBOX_URL", &mailbox.url())]);
    let transaction = Service::start_ready("transaction", &cluster, &[]);
    let order = Service::start(
        "order",
        &cluster,
        &[("ORDERS_TOTAL", "1000"), ("ORDERS_PER_SECOND", "1000"), ("TRACE_ORDERS_PER_SECOND", "5")],
    );
    let stats = wait_for("the last order", || {
        let stats = order.get("/stats").json();
        (stats["done"] == true).then_some(stats)
    });
    let counted = wait_for("the orders to be counted", || {
        let counted = analytics.get("/analytics").json();
        (counted["orders"].as_u64() >= Some(1000)).then_some(counted)
    });
    assert_eq!(counted["orders"], 1000);
    assert_eq!(counted["revenue"], stats["revenue"]);
    wait_for("the e-mails", || (mailbox.taken().len() >= 1000).then_some(()));
    let told: i64 = mailbox.taken().iter().map(|received| received.email["total_cost"].as_i64().unwrap()).sum();
    assert_eq!(told, stats["revenue"]);

    // Some orders were marked by the first hop, and every hop logged just these.
    let traced = |service: &Service, message: &str| -> BTreeSet<String> {
        let lines = service.log_lines();
        let of_message = lines.iter().filter(|line| line["message"] == message);
        of_message.map(|line| line["trace_id"].as_str().unwrap().to_owned()).collect()
    };
    let made = traced(&order, "order made");
    assert_eq!(made.len(), 5, "5 in the one second that it took");
    assert_eq!(traced(&transaction, "order priced"), made);
    assert_eq!(traced(&notification, "e-mail sent"), made);
    assert_eq!(traced(&analytics, "order counted"), made);
    for service in [order, transaction, notification, analytics] {
        service.stop();
    }
}
