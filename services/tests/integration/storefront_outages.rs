//! The storefront when what it depends on fails, and when events cannot be handled.

use crate::Test;
use crate::cluster::Stored;
use crate::process::wait_for;
use crate::shop::Shop;
use crate::stand_in::Mood;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub(crate) const TESTS: &[Test] = &[
    ("storefront::orders_are_taken_while_payments_are_down", payments_are_down),
    ("storefront::answers_that_fail_after_the_effect_repeat_nothing", answers_that_fail),
    ("storefront::a_silent_provider_taken_for_a_no_captures_a_declined_order", a_silent_provider),
    ("storefront::an_event_that_alone_fails_waits_and_only_its_key_with_it", an_event_that_alone_fails),
    ("storefront::an_event_that_was_sent_to_wait_and_is_handled_already_holds_nobody", a_late_detour),
    ("storefront::without_key_order_a_later_event_overtakes", without_key_order),
    ("storefront::an_event_that_never_succeeds_becomes_a_dead_letter", an_event_that_never_succeeds),
    ("storefront::an_undecodable_event_becomes_a_dead_letter", an_undecodable_event),
    ("storefront::an_event_that_waited_behind_another_is_tried_as_long", a_follower_has_the_whole_patience),
    ("storefront::headers_of_retries_are_believed_on_the_retry_topic_alone", headers_of_retries),
    ("storefront::an_event_too_long_to_wait_becomes_a_shortened_dead_letter", an_event_as_long_as_can_be),
    ("storefront::without_dead_letters_one_event_holds_its_partition", without_dead_letters),
];

/// A switch that decides about a mood.
fn switch() -> (Arc<AtomicBool>, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(true));
    (Arc::clone(&switch), switch)
}

/// The numbers of each user's orders, by their prices, in the order of their captures.
fn captured(shop: &Shop) -> BTreeMap<String, Vec<i64>> {
    let mut users: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for effect in shop.world.effects("captures") {
        let user = effect.body["user_id"].as_str().unwrap().to_owned();
        users.entry(user).or_default().push(effect.body["amount"].as_i64().unwrap());
    }
    users
}

fn payments_are_down() {
    let mut shop = Shop::new();
    let (is_down, switch) = switch();
    let mood = move |kind: &str, _: &_| {
        if kind == "captures" && is_down.load(Ordering::SeqCst) { Mood::Fails(503) } else { Mood::Well }
    };
    shop.world.set(mood);
    shop.open(&[]);
    for number in 0..40 {
        shop.order(&format!("user-{}", number % 4), "tea", 1, 1000 + number);
    }
    wait_for("the breaker", || {
        (shop.service("payment").metric("payment_provider_calls_rejected_total") > 0).then_some(())
    });
    wait_for("the service to say so", || is_degraded(&shop, "work").then_some(()));
    assert_eq!(shop.get("payment", "/ready").status, 200, "no other instance could do more");
    assert_eq!(shop.get("order", "/stats").json()["pending"]["orders"], 40, "taken all the same");
    switch.store(false, Ordering::SeqCst);
    assert_eq!(shop.settled(40)["completed"]["orders"], 40);
    for (user, amounts) in captured(&shop) {
        assert!(amounts.is_sorted() && amounts.len() == 10, "{user}: {amounts:?}");
    }
    shop.ready("payment");
    shop.close();
}

fn answers_that_fail() {
    let mut shop = Shop::new();
    // Of three requests one is granted, one is granted and answered with a failure, one is never answered.
    let requests = AtomicUsize::new(0);
    shop.world.set(move |_, _| match requests.fetch_add(1, Ordering::SeqCst) % 3 {
        0 => Mood::Well,
        1 => Mood::FailsAfterwards(500),
        _ => Mood::Silent,
    });
    shop.open(&[
        ("payment", "PAYMENT_PROVIDER_TIMEOUT_MS", "200"),
        ("inventory", "WAREHOUSE_TIMEOUT_MS", "200"),
        ("notification", "MAILBOX_TIMEOUT_MS", "200"),
    ]);
    for number in 0..30 {
        shop.order(&format!("user-{}", number % 7), "tea", 1, 1000 + number);
    }
    assert_eq!(shop.settled(30)["completed"]["orders"], 30);
    for kind in ["captures", "shipments"] {
        assert!(shop.world.by_order(kind).values().all(|times| *times == 1), "{kind}");
        assert!(shop.world.asked(kind) > 30, "some were asked twice");
    }
    shop.close();
}

fn a_silent_provider() {
    let mut shop = Shop::new();
    // It captures and says nothing; others are served, so that the breaker stays closed.
    shop.world.set(|kind, body| {
        if kind == "captures" && body["user_id"] == "unlucky" { Mood::FailsAfterwards(504) } else { Mood::Well }
    });
    shop.open(&[("payment", "PAYMENT_TIMEOUT", "decline")]);
    let order_id = shop.order("unlucky", "tea", 1, 500);
    shop.settled(1);
    assert_eq!(shop.status(&order_id), "DECLINED");
    assert_eq!(shop.world.by_order("captures")[&order_id], 1, "and paid");
    shop.close();
}

/// Whether the payment service says that it can do its work but for some of it.
fn is_degraded(shop: &Shop, condition: &str) -> bool {
    shop.get("payment", "/ready").json()["degraded"][condition].is_string()
}

/// One order of ada's cannot be paid while the switch is on; everybody else's can.
fn one_alone_fails(shop: &Shop) -> Arc<AtomicBool> {
    let (fails, switch) = switch();
    shop.world.set(move |kind, body| {
        let is_it = kind == "captures" && body["amount"] == 1000;
        if is_it && fails.load(Ordering::SeqCst) { Mood::Fails(500) } else { Mood::Well }
    });
    switch
}

fn an_event_that_alone_fails() {
    let mut shop = Shop::new();
    let switch = one_alone_fails(&shop);
    shop.open(&[]);
    let first = shop.order("ada", "tea", 1, 1000);
    wait_for("the detour", || (!shop.cluster.read("payment.retry").is_empty()).then_some(()));
    for number in 1..4 {
        shop.order("ada", "tea", 1, 1000 + number);
        shop.order("bob", "tea", 1, 2000 + number);
    }
    // bob's are settled while ada's wait.
    shop.settled(3);
    wait_for("ada's other orders to follow", || (shop.get("payment", "/backlog").json()["retry"] == 4).then_some(()));
    assert_eq!(captured(&shop), BTreeMap::from([("bob".to_owned(), vec![2001, 2002, 2003])]));
    assert_eq!(shop.status(&first), "PENDING");
    wait_for("the service to say so", || is_degraded(&shop, "retry_work").then_some(()));
    assert_eq!(shop.get("payment", "/ready").status, 200, "for everybody else it works");
    switch.store(false, Ordering::SeqCst);
    assert_eq!(shop.settled(7)["completed"]["orders"], 7);
    wait_for("the service to be well", || (!is_degraded(&shop, "retry_work")).then_some(()));
    assert_eq!(captured(&shop)["ada"], [1000, 1001, 1002, 1003]);
    assert_eq!(shop.get("payment", "/backlog").json()["retry"], 0);
    // The key is free again: the next one takes the straight way.
    let detoured = shop.cluster.read("payment.retry").len();
    shop.order("ada", "tea", 1, 1004);
    shop.settled(8);
    assert_eq!(shop.cluster.read("payment.retry").len(), detoured);
    shop.close();
}

/// As an instance leaves it that was thought dead, and came to its failure after another had handled the event.
fn a_late_detour() {
    let mut shop = Shop::new();
    shop.open(&[]);
    shop.order("ada", "tea", 1, 1000);
    shop.settled(1);
    let handled = shop.cluster.read("order_created").remove(0);
    let event_id = handled.headers["event-id"].clone();
    shop.write("payment", format!("INSERT INTO held_events (event_id, key) VALUES ('{event_id}', 'ada')"));
    assert_eq!(shop.get("payment", "/backlog").json()["retry"], 1);
    let headers = [("retry-topic", "order_created"), ("retry-since-us", "1")];
    shop.cluster.produce_with("payment.retry", "ada", &handled.payload, &headers);
    wait_for("the key to be free", || (shop.get("payment", "/backlog").json()["retry"] == 0).then_some(()));
    shop.order("ada", "tea", 1, 1001);
    shop.settled(2);
    assert_eq!(captured(&shop)["ada"], [1000, 1001]);
    assert_eq!(shop.cluster.read("payment.retry").len(), 1, "the next one takes the straight way");
    shop.close();
}

fn without_key_order() {
    let mut shop = Shop::new();
    let switch = one_alone_fails(&shop);
    shop.open(&[("payment", "RETRY", "plain")]);
    shop.order("ada", "tea", 1, 1000);
    wait_for("the detour", || (!shop.cluster.read("payment.retry").is_empty()).then_some(()));
    shop.order("ada", "tea", 1, 1001);
    shop.settled(1);
    switch.store(false, Ordering::SeqCst);
    shop.settled(2);
    assert_eq!(captured(&shop)["ada"], [1001, 1000], "overtaken");
    shop.close();
}

fn an_event_that_never_succeeds() {
    let mut shop = Shop::new();
    let fails = one_alone_fails(&shop);
    shop.open(&[("payment", "RETRY_SECONDS", "1")]);
    let lost = shop.order("ada", "tea", 1, 1000);
    let letter = dead_letter(&shop, "order_created");
    assert_eq!(letter.json()["order_id"], lost.as_str());
    assert_eq!(letter.headers["dlq-service"], "payment");
    assert!(letter.headers["dlq-reason"].contains("payment_provider did not serve this call"), "{letter:?}");
    // Nobody waits behind it.
    shop.order("ada", "tea", 1, 1001);
    shop.settled(1);
    assert_eq!(shop.get("payment", "/backlog").json()["retry"], 0);
    assert_eq!(shop.status(&lost), "PENDING", "until somebody plays the dead letter again");
    fails.store(false, Ordering::SeqCst);
    shop.cluster.produce("order_created", [(letter.key.as_str(), letter.payload.clone())]);
    shop.settled(2);
    assert_eq!(shop.status(&lost), "COMPLETED");
    shop.close();
}

/// An order of ada's that no order service knows, as somebody else may publish it.
fn strange_order(order_id: &str, price: i64, product_name: &str) -> String {
    let item = json!({"product_id": "tea", "product_name": product_name, "quantity": 1, "price": price});
    let event = json!({
        "event_id": format!("{order_id}/created"), "order_id": order_id, "user_id": "ada", "items": [item], "total": price,
        "created_at_us": 1, "at_us": 2,
    });
    event.to_string()
}

fn a_follower_has_the_whole_patience() {
    let mut shop = Shop::new();
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    shop.world.set(move |kind, body| {
        if kind != "captures" {
            return Mood::Well;
        }
        counted.fetch_add(usize::from(body["amount"] == 1001), Ordering::SeqCst);
        Mood::Fails(500)
    });
    shop.open(&[("payment", "RETRY_SECONDS", "1")]);
    shop.order("ada", "tea", 1, 1000);
    shop.order("ada", "tea", 1, 1001);
    wait_for("both to be given up", || (shop.cluster.read("order_created.dlq").len() == 2).then_some(()));
    // A try is three requests; more than one it had: what it waited behind the other was not its own time.
    assert!(tries.load(Ordering::SeqCst) > 3, "{tries:?}");
    shop.close();
}

fn headers_of_retries() {
    let mut shop = Shop::new();
    shop.open(&[]);
    let named = |topic| [("retry-topic", topic), ("retry-since-us", "1")];
    let sound = strange_order("o-1", 100, "Tea");
    shop.cluster.produce_with("order_created", "ada", &sound, &named("inventory_updated"));
    wait_for("the capture", || (shop.world.by_order("captures").get("o-1") == Some(&1)).then_some(()));
    shop.cluster.produce_with("inventory_updated", "ada", "not json", &named("order_created"));
    let letter = dead_letter(&shop, "inventory_updated");
    assert_eq!(letter.headers["dlq-topic"], "inventory_updated");
    assert!(shop.cluster.read("order_created.dlq").is_empty());
    // On the retry topic they are believed, as far as they make sense.
    shop.cluster.produce_with("payment.retry", "ada", &strange_order("o-2", 101, "Tea"), &named("somewhere"));
    let letter = dead_letter(&shop, "order_created");
    assert!(letter.headers["dlq-reason"].starts_with("its header retry-topic is somewhere"), "{letter:?}");
    assert_eq!(letter.headers["dlq-topic"], "payment.retry");
    shop.close();
}

fn an_event_as_long_as_can_be() {
    let mut shop = Shop::new();
    let fails = one_alone_fails(&shop);
    shop.open(&[]);
    let long = strange_order("o-1", 1000, &"x".repeat(999_500));
    assert!(long.len() > 999_600, "too long for any header: {}", long.len());
    shop.cluster.produce("order_created", [("ada", long.clone())]);
    let letter = dead_letter(&shop, "order_created");
    assert!(letter.headers["dlq-reason"].ends_with("and it is too long for payment.retry"), "{:?}", letter.headers);
    assert_eq!(letter.headers["dlq-payload-bytes"], long.len().to_string());
    assert!(long.starts_with(&letter.payload) && letter.payload.len() > 990_000);
    shop.order("ada", "tea", 1, 1001);
    assert_eq!(shop.settled(1)["completed"]["orders"], 1, "the partition flows on");
    fails.store(false, Ordering::SeqCst);
    shop.close();
}

/// The first dead letter of a topic.
fn dead_letter(shop: &Shop, topic: &str) -> Stored {
    wait_for("the dead letter", || shop.cluster.read(&format!("{topic}.dlq")).into_iter().next())
}

fn an_undecodable_event() {
    let mut shop = Shop::new();
    shop.open(&[]);
    shop.cluster.produce("inventory_updated", [("ada", "not json".to_owned())]);
    for service in ["order", "payment", "notification"] {
        wait_for("a dead letter of each service", || {
            let letters = shop.cluster.read("inventory_updated.dlq");
            letters.into_iter().find(|letter| letter.headers["dlq-service"] == service)
        });
    }
    let letter = dead_letter(&shop, "inventory_updated");
    assert_eq!((letter.payload.as_str(), letter.key.as_str()), ("not json", "ada"));
    assert!(letter.headers["dlq-reason"].starts_with("its payload is not JSON"), "{letter:?}");
    assert_eq!(letter.headers["dlq-topic"], "inventory_updated");
    shop.order("ada", "tea", 1, 500);
    assert_eq!(shop.settled(1)["completed"]["orders"], 1, "the partition flows on");
    assert_eq!(shop.cluster.read("inventory_updated.dlq").len(), 3, "one of each service that reads the topic");
    shop.close();
}

fn without_dead_letters() {
    let mut shop = Shop::new();
    shop.open(&[("payment", "DEAD_LETTER", "off")]);
    shop.cluster.produce("order_created", [("ada", "not json".to_owned())]);
    let stalled = shop.order("ada", "tea", 1, 500);
    // Users enough for the other partitions.
    let others: Vec<String> =
        (0..12).map(|number| shop.order(&format!("user-{number}"), "tea", 1, 600 + number)).collect();
    let partition_of =
        |key: &str| shop.cluster.read("order_created").iter().find(|message| message.key == key).unwrap().partition;
    wait_for("the orders to be published", || (shop.cluster.read("order_created").len() == 14).then_some(()));
    let stuck = partition_of("ada");
    let flowing: Vec<&String> = others
        .iter()
        .enumerate()
        .filter(|(number, _)| partition_of(&format!("user-{number}")) != stuck)
        .map(|(_, order_id)| order_id)
        .collect();
    assert!(!flowing.is_empty());
    shop.settled(i64::try_from(flowing.len()).unwrap());
    assert!(flowing.iter().all(|order_id| shop.status(order_id) == "COMPLETED"));
    assert_eq!(shop.status(&stalled), "PENDING");
    assert!(shop.cluster.read("order_created.dlq").iter().all(|letter| letter.headers["dlq-service"] != "payment"));
    shop.close();
}
