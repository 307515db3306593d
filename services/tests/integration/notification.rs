//! The notification service.

use crate::Test;
use crate::cluster::Cluster;
use crate::mailbox::Mailbox;
use crate::process::{Service, wait_for};
use axum::http::StatusCode;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) const TESTS: &[Test] = &[
    ("notification::every_order_is_one_email_in_the_order_of_its_user", every_order_is_one_email),
    ("notification::a_mailbox_that_is_away_delays_emails_and_loses_none", a_mailbox_that_is_away),
    ("notification::a_user_whose_mail_fails_holds_up_nobody_else", a_user_whose_mail_fails),
    ("notification::a_refused_email_is_skipped", a_refused_email_is_skipped),
    ("notification::a_stop_does_not_wait_for_the_mailbox", a_stop_does_not_wait),
    ("notification::without_idempotency_no_email_has_a_key", without_idempotency),
];

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

fn produce(cluster: &Cluster, orders: u64) {
    let orders: Vec<(String, String)> = (0..orders)
        .map(|number| {
            let user = format!("user-{}", number % 10);
            let order = json!({
                "order_id": format!("order-{number}"),
                "user_id": user,
                "user_email": format!("{user}@example.com"),
                "total_cost": 100 + number,
                "created_at_us": number,
            });
            (user, order.to_string())
        })
        .collect();
    cluster.produce_traced(
        "order-processed",
        orders.iter().map(|(key, order)| (key.as_str(), order.clone(), Some(TRACE))),
    );
}

fn start(cluster: &Cluster, mailbox: &Mailbox) -> Service {
    Service::start_ready("notification", cluster, &[("MAILBOX_URL", &mailbox.url())])
}

fn every_order_is_one_email() {
    let cluster = Cluster::start(&[("order-processed", 4)]);
    let mailbox = Mailbox::start(|_, _| StatusCode::ACCEPTED);
    produce(&cluster, 300);
    let service = start(&cluster, &mailbox);
    wait_for("the e-mails", || (mailbox.taken().len() >= 300).then_some(()));
    service.stop();
    let taken = mailbox.taken();
    assert_eq!(taken.len(), 300);

    let stored: BTreeMap<String, _> = cluster
        .read("order-processed")
        .into_iter()
        .map(|message| (message.json()["order_id"].as_str().unwrap().to_owned(), message))
        .collect();
    let mut last_of_user: BTreeMap<String, u64> = BTreeMap::new();
    for received in &taken {
        let message = &stored[&received.idempotency_key];
        let order = message.json();
        let expected = json!({
            "to": order["user_email"],
            "subject": format!("Your order {} is confirmed", received.idempotency_key),
            "order_id": order["order_id"],
            "total_cost": order["total_cost"],
            "topic": "order-processed",
            "partition": message.partition,
            "offset": message.offset,
        });
        assert_eq!(received.email, expected);
        assert_eq!(&received.traceparent[..36], &TRACE[..36]);
        let number = order["created_at_us"].as_u64().unwrap();
        if let Some(last) = last_of_user.insert(message.key.clone(), number) {
            assert!(last < number, "{} had order {last} before {number}", message.key);
        }
    }
    assert_eq!(cluster.committed("notification", "order-processed"), cluster.ends("order-processed"));
}

fn a_mailbox_that_is_away() {
    let cluster = Cluster::start(&[("order-processed", 4)]);
    // All of them may fall on one user, whose pauses then add up to 6.3 s at most: one round of retries covers that.
    let mailbox = Mailbox::start(|request, _| match request {
        0..6 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    });
    produce(&cluster, 100);
    let service = start(&cluster, &mailbox);
    wait_for("the e-mails", || (mailbox.taken().len() >= 100).then_some(()));
    assert_eq!(service.metric("email_retries_total"), 6);
    service.stop();
    let mut orders: Vec<String> = mailbox.taken().into_iter().map(|received| received.idempotency_key).collect();
    assert_eq!(orders.len(), 100, "each was taken once");
    orders.sort_unstable();
    orders.dedup();
    assert_eq!(orders.len(), 100);
    assert_eq!(cluster.committed("notification", "order-processed"), cluster.ends("order-processed"));
}

fn a_user_whose_mail_fails() {
    let cluster = Cluster::start(&[("order-processed", 4)]);
    let failures = AtomicUsize::new(0);
    let mailbox = Mailbox::start(move |_, email| match email["order_id"].as_str() {
        // More often than one round of retries takes.
        Some("order-7") if failures.fetch_add(1, Ordering::Relaxed) < 15 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    });
    produce(&cluster, 50);
    let url = mailbox.url();
    let variables = [("MAILBOX_URL", url.as_str()), ("MAILBOX_RETRY_SECONDS", "1")];
    let service = Service::start_ready("notification", &cluster, &variables);
    let orders: Vec<String> = wait_for("the e-mails", || {
        let orders: Vec<String> = mailbox.taken().into_iter().map(|received| received.idempotency_key).collect();
        let different: BTreeSet<&String> = orders.iter().collect();
        (different.len() == 50).then_some(orders)
    });
    assert!(service.metric("batches_retried_total") > 0);
    assert_eq!(service.metric("email_retries_total"), 15, "those that ended a round are counted, too");
    let place = |order: &str| orders.iter().position(|other| other == order).unwrap();
    assert!(place("order-7") < place("order-17"), "the user's next e-mail waits: {orders:?}");
    // Of its own partition or not: whoever was in the same batch was served.
    assert!(place("order-7") > 4, "others do not: {orders:?}");
    service.stop();
    assert_eq!(cluster.committed("notification", "order-processed"), cluster.ends("order-processed"));
}

fn a_refused_email_is_skipped() {
    let cluster = Cluster::start(&[("order-processed", 4)]);
    let mailbox = Mailbox::start(|_, email| match email["order_id"].as_str() {
        Some("order-7") => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::OK,
    });
    produce(&cluster, 20);
    let service = start(&cluster, &mailbox);
    wait_for("the e-mails", || (mailbox.taken().len() == 19 && mailbox.received().len() == 20).then_some(()));
    assert_eq!(service.metric("emails_refused_total"), 1);
    assert!(mailbox.taken().iter().any(|received| received.idempotency_key == "order-17"), "the user's next e-mail");
    let lines = service.log_lines();
    let skipped: Vec<_> = lines.iter().filter(|line| line["message"] == "skipped an e-mail").collect();
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0]["order_id"], "order-7");
    assert_eq!(skipped[0]["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    service.stop();
    assert_eq!(cluster.committed("notification", "order-processed"), cluster.ends("order-processed"));
}

fn a_stop_does_not_wait() {
    let cluster = Cluster::start(&[("order-processed", 1)]);
    let mailbox = Mailbox::start(|request, _| match request {
        0 => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    });
    produce(&cluster, 2);
    let service = start(&cluster, &mailbox);
    wait_for("a second attempt", || (mailbox.received().len() > 2).then_some(()));
    service.stop();
    // What was not sent is not committed: the next instance sends it.
    let committed = cluster.committed("notification", "order-processed").get(&0).copied().unwrap_or(0);
    assert!(committed < 2, "committed {committed}");
}

fn without_idempotency() {
    let cluster = Cluster::start(&[("order-processed", 1)]);
    let mailbox = Mailbox::start(|_, _| StatusCode::OK);
    produce(&cluster, 3);
    let variables = [("MAILBOX_URL", &*mailbox.url()), ("MAILBOX_IDEMPOTENCY", "off")];
    let service = Service::start_ready("notification", &cluster, &variables);
    let keys = wait_for("the e-mails", || {
        let keys: Vec<String> = mailbox.taken().into_iter().map(|received| received.idempotency_key).collect();
        (keys.len() == 3).then_some(keys)
    });
    assert_eq!(keys, ["", "", ""]);
    service.stop();
}
