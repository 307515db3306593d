//! The four services of the storefront or the fanout with their stores, their topics and the world outside.

use crate::cluster::Cluster;
use crate::postgres;
use crate::process::{Answer, Folder, Service, wait_for};
use crate::stand_in::StandIn;
use serde_json::{Value, json};
use sqlx::Connection as _;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;

/// The services in the order of an order's way.
pub(crate) const SERVICES: [&str; 4] = ["order", "payment", "inventory", "notification"];

/// The topics of a system.
fn topics(system: &str) -> &'static [&'static str] {
    match system {
        "fanout" => &["order-created"],
        _ => &["order_created", "payment_successful", "payment_failed", "inventory_updated", "notification_sent"],
    }
}

/// Few, so that keys share them.
const PARTITIONS: i32 = 3;

/// A running storefront or fanout.
pub(crate) struct Shop {
    system: &'static str,
    pub(crate) cluster: Cluster,
    pub(crate) world: StandIn,
    stores: BTreeMap<&'static str, String>,
    running: BTreeMap<&'static str, Service>,
    _folder: Folder,
}

/// A variable of one service.
pub(crate) type Setting = (&'static str, &'static str, &'static str);

impl Shop {
    /// The topics, the world and empty stores in files; no service runs yet.
    pub(crate) fn new() -> Self {
        Self::of("storefront")
    }

    /// As `new`, of one of the two systems.
    pub(crate) fn of(system: &'static str) -> Self {
        let folder = Folder::new();
        let stores = SERVICES.map(|service| (service, folder.database_url(&format!("{service}.db"))));
        Self::with_stores(system, stores.into(), folder)
    }

    /// The same on PostgreSQL; `None` where there is none.
    pub(crate) fn on_postgres(system: &'static str) -> Option<Self> {
        let mut stores = BTreeMap::new();
        for service in SERVICES {
            stores.insert(service, postgres::database()?);
        }
        Some(Self::with_stores(system, stores, Folder::new()))
    }

    fn with_stores(system: &'static str, stores: BTreeMap<&'static str, String>, folder: Folder) -> Self {
        let cluster = Cluster::start(&[]);
        for topic in topics(system) {
            cluster.create_topic(topic, PARTITIONS);
            cluster.create_topic(&format!("{topic}.dlq"), PARTITIONS);
        }
        for service in SERVICES {
            cluster.create_topic(&format!("{service}.retry"), PARTITIONS);
        }
        Self { system, cluster, world: StandIn::start(), stores, running: BTreeMap::new(), _folder: folder }
    }

    /// Starts a service and does not wait for it.
    pub(crate) fn start(&mut self, service: &'static str, settings: &[Setting]) {
        let url = self.world.url();
        let mut variables = vec![
            ("SYSTEM", self.system),
            ("DATABASE_URL", self.stores[service].as_str()),
            ("PAYMENT_PROVIDER_URL", url.as_str()),
            ("WAREHOUSE_URL", url.as_str()),
            ("MAILBOX_URL", url.as_str()),
        ];
        variables.extend(settings.iter().filter(|(of, ..)| *of == service).map(|(_, name, value)| (*name, *value)));
        self.running.insert(service, Service::start(service, &self.cluster, &variables));
    }

    /// A second instance of a running service, on the same store.
    pub(crate) fn another(&mut self, service: &'static str) -> Service {
        let first = self.running.remove(service).unwrap();
        self.start(service, &[]);
        self.ready(service);
        self.running.insert(service, first).unwrap()
    }

    /// Asks for an order and does not wait for the answer; the connection is open as long as what this returns.
    pub(crate) fn post_and_leave(&self, user: &str, product: &str, quantity: u32, price: i64) -> TcpStream {
        let body = body(user, product, quantity, price).to_string();
        let address = self.service("order").address();
        let mut connection = TcpStream::connect(address).unwrap();
        let length = body.len();
        let head = format!(
            "POST /orders HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        connection.write_all((head + &body).as_bytes()).unwrap();
        connection
    }

    /// Starts all services and waits until they are ready.
    pub(crate) fn open(&mut self, settings: &[Setting]) {
        SERVICES.into_iter().for_each(|service| self.start(service, settings));
        SERVICES.into_iter().for_each(|service| self.ready(service));
    }

    pub(crate) fn ready(&self, service: &str) {
        wait_for("the service to be ready", || (self.get(service, "/ready").status == 200).then_some(()));
    }

    /// Waits until a service stands at its failpoint.
    pub(crate) fn at_failpoint(&self, service: &str) {
        wait_for("the failpoint", || {
            self.service(service)
                .log_lines()
                .iter()
                .any(|line| line["message"] == "waiting at a failpoint")
                .then_some(())
        });
    }

    pub(crate) fn service(&self, service: &str) -> &Service {
        &self.running[service]
    }

    pub(crate) fn kill(&mut self, service: &str) {
        self.running.remove(service).unwrap().kill();
    }

    /// Stops everything, cleanly.
    pub(crate) fn close(&mut self) {
        for service in std::mem::take(&mut self.running).into_values() {
            service.stop();
        }
    }

    pub(crate) fn get(&self, service: &str, path: &str) -> Answer {
        self.running[service].get(path)
    }

    /// Asks for an order of one line. Returns its id.
    pub(crate) fn order(&self, user: &str, product: &str, quantity: u32, price: i64) -> String {
        let answer = self.service("order").post("/orders", &[], &body(user, product, quantity, price).to_string());
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.json()["order_id"].as_str().unwrap().to_owned()
    }

    /// Asks the fanout for an order.
    pub(crate) fn fanout_order(&self, order_id: &str, user: &str, product: &str, amount: i64) {
        let order =
            json!({"orderId": order_id, "userId": user, "status": "PENDING", "productId": product, "amount": amount});
        let answer = self.service("order").post("/api/orders", &[], &order.to_string());
        assert_eq!(answer.status, 201, "{}", answer.body);
    }

    /// Changes a service's store behind its back.
    pub(crate) fn write(&self, service: &str, statement: String) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            sqlx::any::install_default_drivers();
            let mut connection = sqlx::AnyConnection::connect(&self.stores[service]).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        });
    }

    pub(crate) fn status(&self, order_id: &str) -> String {
        let path = if self.system == "fanout" { "/api/orders" } else { "/orders" };
        self.get("order", &format!("{path}/{order_id}")).json()["status"].as_str().unwrap().to_owned()
    }

    /// Waits until this many orders can no longer change.
    pub(crate) fn settled(&self, orders: i64) -> Value {
        wait_for("the orders to be settled", || {
            let stats = self.get("order", "/stats").json();
            (stats["settled"].as_i64() >= Some(orders)).then_some(stats)
        })
    }

    /// A whole ledger.
    pub(crate) fn ledger(&self, service: &str, path: &str) -> Vec<Value> {
        let page = self.get(service, &format!("{path}?limit=100000"));
        assert_eq!(page.status, 200, "{}", page.body);
        page.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Requires of the stock that nothing came from nowhere or went there. Returns what was shipped.
    pub(crate) fn shipped(&self) -> i64 {
        let products = self.get("inventory", "/inventory").json()["products"].take();
        let products = products.as_array().unwrap();
        let level = |product: &Value, name: &str| product[name].as_i64().unwrap();
        for product in products {
            let parts: i64 = ["on_hand", "reserved", "shipped"].map(|name| level(product, name)).iter().sum();
            assert_eq!(parts, level(product, "initial"), "{product}");
        }
        products.iter().map(|product| level(product, "shipped")).sum()
    }

    /// Requires that what was written to each outbox lies on its topics: no event is missing, none is unknown.
    pub(crate) fn outboxes_are_their_topics(&self) {
        for service in SERVICES {
            let mut written: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for entry in self.ledger(service, "/outbox") {
                let text = |name: &str| entry[name].as_str().unwrap().to_owned();
                if !text("topic").ends_with(".retry") {
                    written.entry(text("topic")).or_default().push(text("event_id"));
                }
            }
            for (topic, mut written) in written {
                let mut published: Vec<String> = self
                    .cluster
                    .read(&topic)
                    .iter()
                    .map(|message| message.json()["event_id"].as_str().unwrap().to_owned())
                    .collect();
                published.sort_unstable();
                published.dedup();
                written.sort_unstable();
                assert_eq!(published, written, "{service} and {topic}");
            }
        }
    }
}

/// An order of one line.
pub(crate) fn body(user: &str, product: &str, quantity: u32, price: i64) -> Value {
    json!({
        "user_id": user,
        "items": [{"product_id": product, "product_name": "N", "quantity": quantity, "price": price}],
    })
}
