//! The fanout: money and stock side by side.

use crate::Test;
use crate::process::wait_for;
use crate::shop::Shop;
use crate::stand_in::{DECLINED_AMOUNT, Mood};
use crate::storefront::versions_rise_by_one;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const TESTS: &[Test] = &[
    ("fanout::an_order_is_taken_as_its_client_named_it", an_order_is_taken),
    ("fanout::what_cannot_be_an_id_is_told_so_on_sqlite", no_ids_on_sqlite),
    ("fanout::what_cannot_be_an_id_is_told_so_on_postgres", no_ids_on_postgres),
    ("fanout::an_order_that_was_given_up_is_not_captured_on_sqlite", a_late_capture_on_sqlite),
    ("fanout::an_order_that_was_given_up_is_not_captured_on_postgres", a_late_capture_on_postgres),
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

/// Of 3,000 characters that no index compresses.
fn endless_id() -> String {
    let mut state = 7_u64;
    let letter = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap())
    };
    (0..3000).map(letter).collect()
}

fn no_ids_on_sqlite() {
    no_ids(Shop::of("fanout"));
}

fn no_ids_on_postgres() {
    if let Some(shop) = Shop::on_postgres("fanout") {
        no_ids(shop);
    }
}

/// What cannot be an id is told so wherever it comes from, and holds nobody up.
fn no_ids(mut shop: Shop) {
    shop.open(&[]);
    let long = endless_id();
    for (text, found) in [
        ("%00", "a text with the control character U+0000 in it"),
        ("o%1F1", "a text with the control character U+001F in it"),
        (long.as_str(), "3000 characters long"),
    ] {
        for (service, path) in [
            ("order", format!("/api/orders/{text}")),
            ("order", format!("/api/orders/{text}/events")),
            ("payment", format!("/payments/{text}")),
            ("notification", format!("/notifications?user_id={text}")),
        ] {
            let answer = shop.get(service, &path);
            assert_eq!(answer.status, 400, "{path:.60}: {}", answer.body);
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(error.contains(&format!("_id is {found}, which is not allowed\n  allowed: 1 to 200")), "{error}");
        }
    }
    assert_eq!(shop.get("order", "/api/orders/%FF").status, 400);
    let ask = |order: Value| shop.service("order").post("/api/orders", &[], &order.to_string());
    for (field, order) in [
        ("orderId", json!({"orderId": long, "userId": "ada", "status": "PENDING"})),
        ("userId", json!({"orderId": "o-1", "userId": long, "status": "PENDING"})),
    ] {
        let answer = ask(order);
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert!(answer.body.contains(&format!("{field} is 3000 characters long")), "{}", answer.body);
    }
    let event = |order_id: &str, user_id: &str, product_id: &str, event_id: &str| {
        json!({"eventId": event_id, "orderId": order_id, "userId": user_id, "status": "PENDING", "productId": product_id,
            "amount": 700, "createdAtUs": 1, "atUs": 2})
        .to_string()
    };
    let events = [
        event(&long, "ada", "tea", "e-1"),
        event("o-1", &long, "tea", "e-2"),
        event("o-1", "ada", &long, "e-3"),
        event("o-1", "ada", "tea", &long),
    ];
    shop.cluster.produce("order-created", events.map(|event| ("ada", event)));
    let reasons: BTreeSet<String> = wait_for("dead letters of four services", || {
        let letters = shop.cluster.read("order-created.dlq");
        (letters.len() == 16).then(|| letters.iter().map(|letter| letter.headers["dlq-reason"].clone()).collect())
    });
    let fields: Vec<&str> = reasons.iter().map(|reason| reason.split(' ').nth(1).unwrap()).collect();
    assert_eq!(fields, ["eventId", "orderId", "productId", "userId"], "{reasons:?}");

    // An id that means something in a path is one all the same.
    let answer = ask(json!({"orderId": "a/b?c%d", "userId": "ada", "status": "PENDING"}));
    assert_eq!((answer.status, answer.location.as_str()), (201, "/api/orders/a%2Fb%3Fc%25d"));
    shop.settled(1);
    assert_eq!(shop.get("order", &answer.location).json()["orderId"], "a/b?c%d");
    shop.close();
}

fn a_late_capture_on_sqlite() {
    a_late_capture(Shop::of("fanout"));
}

fn a_late_capture_on_postgres() {
    if let Some(shop) = Shop::on_postgres("fanout") {
        a_late_capture(shop);
    }
}

/// A payment is a dead letter when its order turns out to be out of stock, and is played again behind that.
fn a_late_capture(mut shop: Shop) {
    shop.world
        .set(|kind, body| if kind == "captures" && body["amount"] == 700 { Mood::Fails(422) } else { Mood::Well });
    let catalogue = "tea=1000,mug=0";
    shop.open(&[("inventory", "CATALOGUE", catalogue), ("order", "CATALOGUE", catalogue)]);
    shop.fanout_order("o-1", "ada", "mug", 700);
    let letter = wait_for("the dead letter", || shop.cluster.read("order-created.dlq").into_iter().next());
    wait_for("the refund of nothing", || (shop.world.asked("refunds") > 0).then_some(()));
    let before = shop.world.asked("captures");
    shop.world.set(|_, _| Mood::Well);
    // Twice: a repetition tells no more than the first.
    for _ in 0..2 {
        shop.cluster.produce("order-created", [(letter.key.as_str(), letter.payload.clone())]);
    }
    assert_eq!(shop.settled(1)["declined"]["orders"], 1);
    shop.fanout_order("o-2", "ada", "tea", 701);
    assert_eq!(shop.settled(2)["completed"]["orders"], 1);
    assert_eq!(shop.world.by_order("captures"), BTreeMap::from([("o-2".to_owned(), 1)]));
    assert_eq!(shop.world.asked("captures"), before + 1, "nobody asked for the other");
    let outcomes = shop.get("payment", "/payments/o-1").json();
    let outcomes: Vec<&str> =
        outcomes.as_array().unwrap().iter().map(|payment| payment["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["declined"]);
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
