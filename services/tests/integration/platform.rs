//! The platform: three domains, each on its own.

use crate::Test;
use crate::cluster::Cluster;
use crate::process::{Folder, Service, wait_for};
use serde_json::json;

pub(crate) const TESTS: &[Test] =
    &[("platform::a_domain_that_is_down_touches_no_other", a_domain_that_is_down_touches_no_other)];

const DOMAINS: [(&str, &str); 3] =
    [("orders-service", "orders"), ("payments-service", "payments"), ("shipping-service", "shipping")];

fn a_domain_that_is_down_touches_no_other() {
    let cluster = Cluster::start(&DOMAINS.map(|(_, topic)| (topic, 3)));
    let folder = Folder::new();
    let urls = DOMAINS.map(|(service, _)| folder.database_url(&format!("{service}.db")));
    let start = |domain: usize| Service::start_ready(DOMAINS[domain].0, &cluster, &[("DATABASE_URL", &urls[domain])]);
    let produce = |topic: &str, from: u32| {
        let orders = (from..from + 100).map(|number| {
            let order = json!({"order_id": format!("o-{number}"), "user": "ada", "item": "tea", "quantity": 1});
            ("ada", order.to_string())
        });
        cluster.produce(topic, orders);
    };
    let tracked = |service: &Service, orders: u64| {
        wait_for("the orders to be tracked", || {
            (service.get("/stats").json()["orders"].as_u64() >= Some(orders)).then_some(())
        });
    };
    let [orders, payments, shipping] = [start(0), start(1), start(2)];
    payments.kill();
    DOMAINS.iter().for_each(|(_, topic)| produce(topic, 0));
    tracked(&orders, 100);
    tracked(&shipping, 100);
    let payments = start(1);
    tracked(&payments, 100);
    for (service, group) in [(orders, "orders-service"), (payments, "payments-service"), (shipping, "shipping-service")]
    {
        service.stop();
        let topic = DOMAINS.iter().find(|(name, _)| *name == group).unwrap().1;
        assert_eq!(cluster.committed(group, topic), cluster.ends(topic));
    }
}
