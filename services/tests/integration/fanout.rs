//! The fanout: money and stock side by side.

use crate::Test;
use crate::process::wait_for;
use crate::shop::Shop;
use crate::stand_in::DECLINED_AMOUNT;
use crate::storefront::versions_rise_by_one;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) const TESTS: &[Test] = &[
    ("fanout::an_order_is_taken_as_its_client_named_it", an_order_is_taken),
    ("fanout::many_orders_on_sqlite", many_orders_on_sqlite),
    ("fanout::many_orders_on_postgres", many_orders_on_postgres),
    ("fanout::an_inventory_killed_anywhere_reserves_and_ships_once", inventory_killed),
];

fn an_order_is_taken() {
    let mut shop = Shop::of("fanout");
    shop.open(&[]);
    let ask = |body: Value| shop.service("order").post("/api/orders", &[], &body.to_string());
    let order = json!({"orderId": "o-1", "userId": "ada", "status": "PENDING"});
    let answer = ask(order.clone());
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!((&answer.json()["orderId"], &answer.json()["status"]), (&json!("o-1"), &json!("PENDING")));
    assert_eq!(ask(order).status, 200, "the same again");
    assert_eq!(ask(json!({"orderId": "o-1", "userId": "bob", "status": "PENDING"})).status, 422);
    assert_eq!(ask(json!({"orderId": "o-2", "userId": "ada", "status": "SHIPPED"})).status, 422);
    shop.settled(1);
    assert_eq!(shop.status("o-1"), "COMPLETED");
    let trail = shop.get("order", "/api/orders/o-1/events").json();
    let steps: Vec<&str> =
        trail["events"].as_array().unwrap().iter().map(|step| step["event"].as_str().unwrap()).collect();
    let ways = [["PENDING", "PAID", "RESERVED", "SHIPPED"], ["PENDING", "RESERVED", "PAID", "SHIPPED"]];
    assert!(ways.iter().any(|way| steps == way), "{steps:?}");
    let told = wait_for("the notifications", || {
        let told = shop.get("notification", "/notifications?user_id=ada").json();
        (told["notifications"].as_array().unwrap().len() == 4).then_some(told)
    });
    assert_eq!(told["notifications"][3]["about"], "PENDING", "the first of them");
    shop.close();
}

fn many_orders_on_sqlite() {
    many_orders(Shop::of("fanout"));
}

fn many_orders_on_postgres() {
    if let Some(shop) = Shop::on_postgres("fanout") {
        many_orders(shop);
    }
}

/// Orders of many kinds: sound ones, some that nobody pays, some of which there is not enough, and some that are both.
fn many_orders(mut shop: Shop) {
    shop.open(&[("inventory", "CATALOGUE", "tea=1000,mug=5"), ("order", "CATALOGUE", "tea=1000,mug=5")]);
    for number in 0..120 {
        let amount = if number % 6 == 0 { DECLINED_AMOUNT } else { 10_000 + number };
        let product = if number % 4 == 0 { "mug" } else { "tea" };
        shop.fanout_order(&format!("o-{number}"), &format!("user-{}", number % 10), product, amount);
    }
    let stats = shop.settled(120);
    let orders = |status: &str| stats[status]["orders"].as_u64().unwrap();
    // 20 are not paid, 10 of them mugs. How many of the five mugs go to those that pay is a matter of speed.
    assert_eq!(orders("declined"), 20, "{stats}");
    assert_eq!(orders("completed") + orders("cancelled"), 100);
    assert!((80..=85).contains(&orders("completed")), "{stats}");

    let count = |kind: &str| shop.world.by_order(kind);
    assert_eq!((count("captures").len(), count("refunds").len() as u64), (100, orders("cancelled")));
    assert_eq!(count("shipments").len() as u64, orders("completed"));
    for kind in ["captures", "refunds", "shipments"] {
        assert!(count(kind).values().all(|times| *times == 1), "{kind}");
    }
    assert_eq!(u64::try_from(shop.shipped()).unwrap(), orders("completed"));
    let mut moved: BTreeMap<(String, String), usize> = BTreeMap::new();
    for movement in shop.ledger("inventory", "/movements") {
        let text = |name: &str| movement[name].as_str().unwrap().to_owned();
        *moved.entry((text("order_id"), text("kind"))).or_default() += 1;
        assert!(movement["on_hand"].as_i64() >= Some(0), "{movement}");
    }
    assert!(moved.values().all(|times| *times == 1), "{moved:?}");
    let kinds = |kind: &str| moved.keys().filter(|(_, of)| of == kind).count() as u64;
    assert_eq!(kinds("reserve"), kinds("ship") + kinds("release"), "nothing stays put aside");
    wait_for("every event to be told of", || {
        (shop.ledger("notification", "/sent").len() == shop.ledger("order", "/events").len()).then_some(())
    });
    versions_rise_by_one(&shop);
    shop.close();
}

fn inventory_killed() {
    let mut shop = Shop::of("fanout");
    shop.open(&[]);
    let mut orders = 0;
    for place in ["before_work", "after_reserve", "after_effect", "after_record", "before_publish", "after_publish"] {
        shop.kill("inventory");
        let failpoint: &'static str = format!("{place}:2").leak();
        let settings = [("inventory", "FAILPOINT", failpoint), ("inventory", "BATCH_EVENTS_MAX", "3")];
        shop.start("inventory", &settings);
        for _ in 0..5 {
            shop.fanout_order(&format!("o-{orders}"), &format!("user-{}", orders % 5), "tea", 1000 + orders);
            orders += 1;
        }
        shop.at_failpoint("inventory");
        shop.kill("inventory");
        shop.start("inventory", &[]);
        shop.ready("inventory");
    }
    let stats = shop.settled(orders);
    assert_eq!(stats["completed"]["orders"], orders, "{stats}");
    assert!(shop.world.by_order("shipments").values().all(|times| *times == 1));
    assert_eq!(shop.shipped(), orders);
    shop.close();
}
