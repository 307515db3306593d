//! The storefront when nothing is wrong with it, and with what people send it.

use crate::Test;
use crate::cluster::by_key;
use crate::process::wait_for;
use crate::redis::Redis;
use crate::shop::{SERVICES, Shop, body};
use crate::stand_in::DECLINED_AMOUNT;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(crate) const TESTS: &[Test] = &[
    ("storefront::an_order_is_paid_shipped_and_told_of", an_order_is_paid_shipped_and_told_of),
    ("storefront::many_orders_on_sqlite", many_orders_on_sqlite),
    ("storefront::many_orders_on_postgres", many_orders_on_postgres),
    ("storefront::what_is_refused_leaves_nothing_behind", what_is_refused_leaves_nothing_behind),
    ("storefront::an_idempotency_key_is_one_order", an_idempotency_key_is_one_order),
    ("storefront::a_key_that_is_a_uuid_is_the_orders_id", a_key_that_is_a_uuid_is_the_orders_id),
    ("storefront::a_dead_cache_costs_no_answer", a_dead_cache_costs_no_answer),
    ("storefront::two_shops_on_one_cache_know_nothing_of_each_other", two_shops_share_a_cache),
    ("storefront::two_instances_share_the_work_and_the_store", two_instances_share_the_work),
    ("storefront::every_path_is_in_the_openapi_document", every_path_is_documented),
];

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn an_order_is_paid_shipped_and_told_of() {
    let mut shop = Shop::new();
    shop.open(&[]);
    let request = body("ada", "tea", 2, 250).to_string();
    let answer = shop.service("order").post("/orders", &[("traceparent", TRACE)], &request);
    assert_eq!(answer.status, 201, "{}", answer.body);
    let order = answer.json();
    assert_eq!((&order["status"], &order["version"], &order["total"]), (&json!("PENDING"), &json!(1), &json!(500)));
    let order_id = order["order_id"].as_str().unwrap();
    shop.settled(1);
    wait_for("the last e-mail", || (shop.world.effects("emails").len() == 3).then_some(()));
    assert_eq!(shop.status(order_id), "COMPLETED");

    let trail = shop.get("order", &format!("/orders/{order_id}/events")).json();
    let steps: Vec<(i64, &str, &str)> = trail["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            let text = |name: &str| step[name].as_str().unwrap();
            (step["version"].as_i64().unwrap(), text("status"), text("event"))
        })
        .collect();
    assert_eq!(steps[0], (1, "PENDING", "order_created"));
    let ways = [
        [(2, "PAID", "payment_successful"), (3, "COMPLETED", "inventory_updated")],
        // The warehouse was heard first.
        [(2, "PAID", "inventory_updated"), (3, "COMPLETED", "inventory_updated")],
    ];
    assert!(ways.iter().any(|way| steps[1..] == *way), "{steps:?}");

    assert_eq!(shop.world.effects("captures")[0].body["amount"], 500);
    assert_eq!(shop.world.effects("shipments")[0].body["quantities"], json!({"tea": 2}));
    let told = wait_for("the last notification", || {
        let told = shop.get("notification", "/notifications?user_id=ada").json();
        (told["notifications"].as_array().unwrap().len() == 3).then_some(told)
    });
    wait_for("its event", || (shop.cluster.read("notification_sent").len() == 3).then_some(()));
    let about: BTreeSet<&str> =
        told["notifications"].as_array().unwrap().iter().map(|told| told["about"].as_str().unwrap()).collect();
    assert_eq!(about, BTreeSet::from(["inventory_updated", "order_created", "payment_successful"]));
    let products = shop.get("inventory", "/inventory").json();
    let tea = products["products"].as_array().unwrap().iter().find(|product| product["product_id"] == "tea").unwrap();
    assert_eq!((&tea["shipped"], &tea["reserved"], &tea["on_hand"]), (&json!(2), &json!(0), &json!(999_998)));
    for topic in ["order_created", "payment_successful", "inventory_updated", "notification_sent"] {
        for message in shop.cluster.read(topic) {
            assert_eq!(&message.traceparent.as_ref().unwrap()[..36], &TRACE[..36], "{topic} is of the same trace");
            assert_eq!(message.key, "ada");
            assert_eq!(message.headers["event-id"], message.json()["event_id"]);
        }
    }
    shop.close();
}

fn many_orders_on_sqlite() {
    many_orders(Shop::new());
}

fn many_orders_on_postgres() {
    if let Some(shop) = Shop::on_postgres("storefront") {
        many_orders(shop);
    }
}

/// Orders of many kinds: sound ones, some that nobody pays, some of which there is not enough.
fn many_orders(mut shop: Shop) {
    shop.open(&[("inventory", "CATALOGUE", "tea=1000,mug=7"), ("order", "CATALOGUE", "tea=1000,mug=7")]);
    let mut total = 0;
    for number in 0..120 {
        let user = format!("user-{}", number % 10);
        let price = match number % 12 {
            0 => DECLINED_AMOUNT,
            _ => 10_000 + number,
        };
        shop.order(&user, if number % 4 == 1 { "mug" } else { "tea" }, 1, price);
        total += price;
    }
    let stats = shop.settled(120);
    let sum = |status: &str| (stats[status]["orders"].as_i64().unwrap(), stats[status]["total"].as_i64().unwrap());
    assert_eq!(sum("declined"), (10, 10 * DECLINED_AMOUNT));
    assert_eq!(sum("completed").0, 90 - 10 + 7);
    assert_eq!(sum("cancelled").0, 30 - 7);
    assert_eq!(stats["total"], total);

    let (captured, refunded) = (shop.world.by_order("captures"), shop.world.by_order("refunds"));
    assert_eq!((captured.len(), refunded.len()), (110, 23));
    assert!(captured.values().chain(refunded.values()).all(|times| *times == 1));
    assert!(refunded.keys().all(|order_id| captured.contains_key(order_id)));
    let money = |kind: &str| -> i64 {
        shop.world.effects(kind).iter().map(|effect| effect.body["amount"].as_i64().unwrap()).sum()
    };
    assert_eq!(money("captures") - money("refunds"), sum("completed").1);
    assert_eq!(shop.shipped(), 87);
    assert_eq!(shop.world.by_order("shipments").len(), 87);
    // Every step of every order is told: 3 of a completed one, 2 of a declined one, 4 of a cancelled one.
    let emails = 3 * 87 + 2 * 10 + 4 * 23;
    wait_for("the e-mails", || (shop.world.effects("emails").len() >= emails).then_some(()));
    assert_eq!(shop.world.effects("emails").len(), emails);
    wait_for("the notifications", || (shop.cluster.read("notification_sent").len() >= emails).then_some(()));
    shop.outboxes_are_their_topics();
    versions_rise_by_one(&shop);
    shop.close();
}

pub(crate) fn versions_rise_by_one(shop: &Shop) {
    let mut versions: std::collections::BTreeMap<String, i64> = std::collections::BTreeMap::new();
    for step in shop.ledger("order", "/events") {
        let version = versions.entry(step["order_id"].as_str().unwrap().to_owned()).or_default();
        *version += 1;
        assert_eq!(step["version"], *version, "{step}");
    }
}

fn what_is_refused_leaves_nothing_behind() {
    let mut shop = Shop::new();
    shop.open(&[]);
    let order = shop.service("order");
    let line = |line: Value| json!({"user_id": "ada", "items": [line]}).to_string();
    let sound = json!({"product_id": "tea", "product_name": "Tea", "quantity": 1, "price": 1});
    let with = |name: &str, value: Value| {
        let mut changed = sound.clone();
        changed[name] = value;
        line(changed)
    };
    let json_of = "application/json";
    for (status, content_type, body, complaint) in [
        (400, json_of, "{\"user_id\":".to_owned(), "EOF while parsing"),
        (400, json_of, String::new(), "EOF while parsing"),
        (415, "text/plain", line(sound.clone()), "application/json"),
        (422, json_of, "[]".to_owned(), "expected"),
        (422, json_of, json!(["ada", [sound]]).to_string(), "invalid type: sequence, expected an object"),
        (422, json_of, line(json!(["tea", "Tea", 2, 450])), "items[0]: invalid type: sequence, expected an object"),
        (422, json_of, json!({"items": [sound]}).to_string(), "missing field `user_id`"),
        (422, json_of, json!({"user_id": "ada", "items": []}).to_string(), "items is 0"),
        (422, json_of, json!({"user_id": 5, "items": [sound]}).to_string(), "user_id: invalid type: integer `5`"),
        (422, json_of, with("quantity", json!("two")), "items[0].quantity: invalid type: string"),
        (422, json_of, with("quantity", json!(-1)), "items[0].quantity: invalid value: integer `-1`"),
        (422, json_of, with("quantity", json!(0)), "items[0].quantity is 0"),
        (422, json_of, with("quantity", json!(1.5)), "items[0].quantity: invalid type: floating point"),
        (422, json_of, with("price", json!(-5)), "items[0].price is -5"),
        (422, json_of, with("price", json!(1_000_000_000_001_i64)), "items is more than can be paid"),
        (422, json_of, with("price", json!(1e30)), "items[0].price: invalid type: floating point"),
        (422, json_of, with("price", json!(9.99)), "items[0].price: invalid type: floating point"),
        (422, json_of, with("product_id", json!("unicorn")), "items[0].product_id is \"unicorn\""),
        (422, json_of, with("coupon", json!("FREE")), "items[0].coupon: unknown field `coupon`"),
        (413, json_of, with("product_name", json!("x".repeat(300_000))), "length limit exceeded"),
    ] {
        let answer = order.post("/orders", &[("content-type", content_type)], &body);
        assert_eq!(answer.status, status, "{body:.80}: {}", answer.body);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(complaint), "{error}");
    }
    let overflow = json!({"user_id": "ada", "items": [with_price(i64::MAX), with_price(1)]}).to_string();
    assert_eq!(order.post("/orders", &[], &overflow).status, 422);
    for (method, path, status) in [
        (reqwest::Method::DELETE, "/orders", 405),
        (reqwest::Method::PUT, "/orders/1", 405),
        (reqwest::Method::GET, "/orders/unknown", 404),
        (reqwest::Method::GET, "/orders/unknown/events", 404),
        (reqwest::Method::GET, "/nowhere", 404),
        (reqwest::Method::GET, "/events?limit=0", 400),
    ] {
        let answer = order.send(&method, path, &[], "");
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.json()["error"].is_string(), "{path}");
    }
    for query in ["", "?user_id=ada&limit=0", "?user_id=ada&page=2", "?user_id=", "?user_id=a%00da"] {
        assert_eq!(shop.get("notification", &format!("/notifications{query}")).status, 400, "{query}");
    }
    assert_eq!(order.get("/stats").json()["orders"], 0);
    assert!(shop.ledger("order", "/outbox").is_empty());
    assert!(shop.cluster.read("order_created").is_empty());
    shop.close();
}

fn with_price(price: i64) -> Value {
    json!({"product_id": "tea", "product_name": "Tea", "quantity": 1, "price": price})
}

fn an_idempotency_key_is_one_order() {
    let mut shop = Shop::new();
    shop.open(&[]);
    let ask = |key: &str, price: i64| {
        let body = body("ada", "tea", 1, price).to_string();
        let answer = shop.service("order").post("/orders", &[("idempotency-key", key)], &body);
        (answer.status, answer.json()["order_id"].clone())
    };
    let (status, first) = ask("k-1", 100);
    assert_eq!(status, 201);
    assert_eq!(ask("k-1", 100), (200, first.clone()));
    assert_eq!(ask("k-1", 101).0, 422, "another order");
    let (status, second) = ask("k-2", 100);
    assert_eq!(status, 201);
    assert_ne!(second, first);
    assert_eq!(shop.settled(2)["orders"], 2);
    assert_eq!(ask("k-1", 100), (200, first), "also when it is settled");
    assert_eq!(shop.world.effects("captures").len(), 2);
    shop.close();
}

fn a_key_that_is_a_uuid_is_the_orders_id() {
    const KEY: &str = "8827d5e2-b24f-4de4-8a1a-931b41232c0d";
    let mut shop = Shop::new();
    shop.open(&[]);
    let ask = |key: &str, price: i64| {
        let body = body("ada", "tea", 1, price).to_string();
        shop.service("order").post("/orders", &[("idempotency-key", key)], &body)
    };
    let first = ask(KEY, 100);
    assert_eq!((first.status, &first.json()["order_id"]), (201, &json!(KEY)));
    let again = ask(KEY, 100);
    assert_eq!((again.status, &again.json()["order_id"]), (200, &json!(KEY)));
    let upper = ask(&KEY.to_uppercase(), 101);
    assert_eq!(upper.status, 201, "another key");
    assert_ne!(upper.json()["order_id"].as_str().unwrap().to_lowercase(), KEY, "one id is never meant by two keys");
    // Nobody can make another's id his own, nor fail those who ask at the same time.
    let other = shop.order("bob", "mug", 1, 102);
    let stolen = ask(&other, 103);
    assert_eq!(stolen.status, 422, "{}", stolen.body);
    assert!(stolen.body.contains("is the id of another order"), "{}", stolen.body);
    assert_eq!(shop.settled(3)["orders"], 3);
    for message in shop.cluster.read("order_created") {
        assert_ne!(message.json()["total"], 103);
    }
    shop.close();
}

fn a_dead_cache_costs_no_answer() {
    let Some(redis) = Redis::start() else { return };
    let mut shop = Shop::new();
    let url: &'static str = redis.url().leak();
    shop.open(&SERVICES.map(|service| (service, "REDIS_URL", url)));
    let order_id = shop.order("ada", "tea", 1, 777);
    shop.settled(1);
    let path = format!("/orders/{order_id}");
    let before = shop.get("order", &path).json();
    assert_eq!(shop.get("order", &path).json(), before);
    assert!(shop.service("order").metric("cache_hits_total") > 0, "an order that cannot change is cached");
    shop.get("inventory", "/inventory");
    drop(redis);
    for _ in 0..20 {
        assert_eq!(shop.get("order", &path).json(), before);
        assert_eq!(shop.get("inventory", "/inventory").status, 200);
        assert_eq!(shop.get("notification", "/notifications?user_id=ada").status, 200);
    }
    assert!(shop.service("order").metric("cache_failures_total") > 0);
    let next = shop.order("ada", "tea", 1, 778);
    shop.settled(2);
    assert_eq!(shop.status(&next), "COMPLETED");
    shop.close();
}

fn two_shops_share_a_cache() {
    const KEY: &str = "8827d5e2-b24f-4de4-8a1a-931b41232c0d";
    let Some(redis) = Redis::start() else { return };
    let url: &'static str = redis.url().leak();
    let path = format!("/orders/{KEY}");
    for (namespace, price) in [("monday", 100), ("tuesday", 200)] {
        let mut shop = Shop::new();
        shop.open(&[("order", "REDIS_URL", url), ("order", "CACHE_NAMESPACE", namespace)]);
        let body = body("ada", "tea", 1, price).to_string();
        assert_eq!(shop.service("order").post("/orders", &[("idempotency-key", KEY)], &body).status, 201);
        shop.settled(1);
        for _ in 0..2 {
            assert_eq!(shop.get("order", &path).json()["total"], price, "of {namespace}");
        }
        assert_eq!(shop.service("order").metric("cache_hits_total"), 1);
        shop.close();
    }
}

fn two_instances_share_the_work() {
    let mut shop = Shop::new();
    shop.open(&[]);
    let second = shop.another("payment");
    for number in 0..60 {
        shop.order(&format!("user-{number}"), "tea", 1, 1000 + number);
    }
    shop.settled(60);
    let captured = shop.world.by_order("captures");
    assert_eq!(captured.len(), 60);
    assert!(captured.values().all(|times| *times == 1), "{captured:?}");
    // One of them publishes for both.
    shop.kill("payment");
    for number in 0..20 {
        shop.order(&format!("user-{number}"), "tea", 1, 2000 + number);
    }
    shop.settled(80);
    assert!(shop.world.by_order("captures").values().all(|times| *times == 1));
    let mut published = shop.cluster.read("payment_successful");
    let mut seen = BTreeSet::new();
    published.retain(|message| seen.insert(message.headers["event-id"].clone()));
    assert_eq!(published.len(), 80);
    for (user, messages) in by_key(&published) {
        let created: Vec<u64> = messages.iter().map(|m| m.json()["created_at_us"].as_u64().unwrap()).collect();
        assert!(created.is_sorted(), "{user}: {created:?}");
    }
    second.stop();
    shop.close();
}

fn every_path_is_documented() {
    let mut shop = Shop::new();
    shop.open(&[]);
    for (service, paths) in [
        ("order", &["/orders", "/orders/{order_id}", "/orders/{order_id}/events", "/events", "/stats"][..]),
        ("payment", &["/payments", "/payments/{order_id}", "/stats"]),
        ("inventory", &["/inventory", "/movements"]),
        ("notification", &["/notifications", "/sent"]),
    ] {
        let document = shop.get(service, "/openapi.json").json();
        let common = ["/health", "/ready", "/metrics", "/outbox", "/inbox", "/backlog"];
        let expected: BTreeSet<&str> = paths.iter().copied().chain(common).collect();
        let described: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(described, expected, "{service}");
    }
    let document = shop.get("order", "/openapi.json").json();
    let answers = document["paths"]["/orders"]["post"]["responses"].as_object().unwrap();
    let statuses: Vec<&str> = answers.keys().map(String::as_str).collect();
    assert_eq!(statuses, ["200", "201", "400", "413", "415", "422", "503"]);
    shop.close();
}
