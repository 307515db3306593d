//! The storefront when its processes are killed at the worst moments.

use crate::Test;
use crate::process::wait_for;
use crate::shop::{Setting, Shop};

pub(crate) const TESTS: &[Test] = &[
    ("storefront::an_order_service_killed_anywhere_loses_no_order", order_killed),
    ("storefront::a_payment_service_killed_anywhere_captures_once", payment_killed),
    ("storefront::an_inventory_killed_anywhere_ships_once", inventory_killed),
    ("storefront::a_notification_service_killed_anywhere_tells_once", notification_killed),
    ("storefront::without_idempotency_a_crash_captures_twice", without_idempotency),
    ("storefront::without_an_inbox_a_crash_reserves_twice", without_an_inbox),
    ("storefront::two_writes_and_a_crash_are_an_order_without_its_event", two_writes),
    ("storefront::an_event_first_and_a_crash_are_an_event_without_its_order", event_first),
];

const SETTLED: [&str; 6] =
    ["before_work", "after_effect", "after_record", "before_publish", "after_publish", "after_reserve"];

fn order_killed() {
    killed("order", &["before_work", "after_record", "before_publish", "after_publish"]);
}

fn payment_killed() {
    killed("payment", &SETTLED[..5]);
}

fn inventory_killed() {
    killed("inventory", &SETTLED);
}

fn notification_killed() {
    killed("notification", &SETTLED[..5]);
}

/// Kills a service at each of these places while orders come, starts it again, and requires that everything happened once.
fn killed(service: &'static str, places: &[&str]) {
    let mut shop = Shop::new();
    shop.open(&[]);
    let mut orders = 0_i64;
    for place in places {
        shop.kill(service);
        let failpoint: &'static str = format!("{place}:1").leak();
        shop.start(service, &[(service, "FAILPOINT", failpoint)]);
        for number in 0..5 {
            shop.order(&format!("user-{number}"), "tea", 1, 1000 + orders);
            orders += 1;
        }
        shop.at_failpoint(service);
        shop.kill(service);
        shop.start(service, &[]);
        shop.ready(service);
    }
    let stats = shop.settled(orders);
    assert_eq!(stats["completed"]["orders"], orders, "{stats}");
    let emails = 3 * usize::try_from(orders).unwrap();
    wait_for("the e-mails", || (shop.world.effects("emails").len() >= emails).then_some(()));
    for kind in ["captures", "shipments"] {
        let by_order = shop.world.by_order(kind);
        assert_eq!(by_order.len(), usize::try_from(orders).unwrap(), "{kind}");
        assert!(by_order.values().all(|times| *times == 1), "{kind}: {by_order:?}");
    }
    assert_eq!(shop.world.effects("emails").len(), emails);
    assert_eq!(shop.shipped(), orders);
    wait_for("the notifications", || (shop.ledger("notification", "/sent").len() == emails).then_some(()));
    shop.close();
}

/// Runs orders into a failpoint of a service, kills it there, starts it again with the same settings but this one, and waits.
fn crash_at(shop: &mut Shop, service: &'static str, settings: &[Setting], orders: i64) {
    shop.at_failpoint(service);
    shop.kill(service);
    let others: Vec<Setting> = settings.iter().filter(|(_, name, _)| *name != "FAILPOINT").copied().collect();
    shop.start(service, &others);
    shop.ready(service);
    if orders > 0 {
        shop.settled(orders);
    }
}

fn without_idempotency() {
    let mut shop = Shop::new();
    let settings = [("payment", "IDEMPOTENCY", "off"), ("payment", "FAILPOINT", "after_effect:1")];
    shop.open(&settings);
    let order_id = shop.order("ada", "tea", 1, 500);
    crash_at(&mut shop, "payment", &settings, 1);
    assert_eq!(shop.world.by_order("captures")[&order_id], 2, "the customer pays twice");
    shop.close();
}

fn without_an_inbox() {
    let mut shop = Shop::new();
    let settings = [("inventory", "INBOX", "off"), ("inventory", "FAILPOINT", "after_record:1")];
    shop.open(&settings);
    shop.order("ada", "tea", 1, 500);
    crash_at(&mut shop, "inventory", &settings, 1);
    wait_for("the repetition", || (shop.shipped() == 2).then_some(()));
    assert_eq!(shop.world.effects("shipments").len(), 1, "the warehouse knew the key");
    shop.close();
}

fn two_writes() {
    let mut shop = Shop::new();
    let settings = [("order", "WRITE", "dual"), ("order", "FAILPOINT", "between_writes:1")];
    shop.open(&settings);
    // The service never answers this one.
    let lost = shop.post_and_leave("ada", "tea", 1, 500);
    crash_at(&mut shop, "order", &settings, 0);
    let next = shop.order("ada", "tea", 1, 501);
    shop.settled(1);
    assert_eq!(shop.status(&next), "COMPLETED");
    let stats = shop.get("order", "/stats").json();
    assert_eq!((&stats["orders"], &stats["pending"]["orders"]), (&2.into(), &1.into()), "one waits for ever");
    assert_eq!(shop.cluster.read("order_created").len(), 1);
    drop(lost);
    shop.close();
}

fn event_first() {
    let mut shop = Shop::new();
    let settings = [("order", "WRITE", "event-first"), ("order", "FAILPOINT", "between_writes:1")];
    shop.open(&settings);
    let lost = shop.post_and_leave("ada", "tea", 1, 500);
    crash_at(&mut shop, "order", &settings, 0);
    wait_for("the shipment", || (shop.world.effects("shipments").len() == 1).then_some(()));
    let order_id = shop.world.by_order("captures").into_keys().next().unwrap();
    assert_eq!(
        shop.get("order", &format!("/orders/{order_id}")).status,
        404,
        "paid and shipped, and nobody ordered it"
    );
    wait_for("the contradiction", || (shop.service("order").metric("orders_contradicted_total") >= 2).then_some(()));
    drop(lost);
    shop.close();
}
