//! Clean books of a shop, as the services and stand-ins of storefront and fanout keep them.

use shakedown_reports::books::Fact;
use shakedown_reports::expectation::Bounds;
use shakedown_reports::memory::MemoryRecord;
use shakedown_reports::rules::{BookRule, Part, RuleKind, RuleOptions, topic_book};
use std::collections::BTreeMap;

/// How much there is of everything at first.
const INITIAL: i64 = 10;

/// A shop that does everything right.
pub(crate) struct Shop {
    pub(crate) record: MemoryRecord,
    initial: i64,
    now_us: i64,
    events: u64,
    stock: BTreeMap<String, [i64; 3]>,
}

/// An order as the shop has it.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) total: i64,
    version: i64,
}

impl Default for Shop {
    fn default() -> Self {
        Self::new(INITIAL)
    }
}

impl Shop {
    /// A shop with so much of everything.
    pub(crate) fn new(initial: i64) -> Self {
        Self { record: MemoryRecord::new(), initial, now_us: 0, events: 0, stock: BTreeMap::new() }
    }

    /// Appends a fact to a book, a millisecond after the last one.
    pub(crate) fn say(&mut self, book: &str, fact: Fact) {
        self.now_us += 1_000;
        let facts = self.record.books.entry(book.to_owned()).or_default();
        let position = facts.len() as u64 + 1;
        facts.push(Fact { position, at_us: self.now_us, ..fact });
    }

    fn about(order: &Order, kind: &str) -> Fact {
        Fact { entity: order.id.clone(), kind: kind.to_owned(), key: order.user.clone(), ..Fact::default() }
    }

    /// An event in a service's outbox and its topic, of which every user has a partition. Returns its id.
    fn publish(&mut self, service: &str, topic: &str, kind: &str, order: &Order) -> String {
        self.events += 1;
        let event = format!("e{:02}", self.events);
        let written = Fact { kind: topic.to_owned(), event: event.clone(), key: order.user.clone(), ..Fact::default() };
        self.say(&format!("{service}-outbox"), written);
        let (part, amount) = (order.user.clone(), Some(order.total));
        self.say(&topic_book(topic), Fact { part, amount, event: event.clone(), ..Self::about(order, kind) });
        event
    }

    fn handle(&mut self, service: &str, topic: &str, event: &str) {
        let fact = Fact { kind: topic.to_owned(), event: event.to_owned(), ..Fact::default() };
        self.say(&format!("{service}-inbox"), fact);
    }

    fn step(&mut self, order: &mut Order, kind: &str, event: &str, status: &str) {
        order.version += 1;
        let fact = Fact {
            amount: Some(order.total),
            version: Some(order.version),
            status: status.to_owned(),
            event: event.to_owned(),
            ..Self::about(order, kind)
        };
        self.say("order-steps", fact);
    }

    fn pay(&mut self, order: &Order, kind: &str) {
        self.say("payment-provider", Fact { amount: Some(order.total), ..Self::about(order, kind) });
    }

    /// Two of each product move for an order.
    fn shift(&mut self, order: &Order, kind: &str, products: &[&str]) {
        for product in products {
            let levels = self.stock.entry((*product).to_owned()).or_insert([self.initial, 0, 0]);
            let [on_hand, reserved, shipped] = *levels;
            *levels = match kind {
                "reserve" => [on_hand - 2, reserved + 2, shipped],
                "ship" => [on_hand, reserved - 2, shipped + 2],
                _ => [on_hand + 2, reserved - 2, shipped],
            };
            let stock = Some(*levels);
            let part = (*product).to_owned();
            let moved = Fact { part, quantity: Some(2), stock, ..Self::about(order, kind) };
            self.say("inventory-movements", moved);
        }
    }

    fn ship(&mut self, order: &Order, products: &[&str]) {
        for product in products {
            let part = (*product).to_owned();
            self.say("warehouse", Fact { part, quantity: Some(2), ..Self::about(order, "shipped") });
        }
        self.shift(order, "ship", products);
    }

    fn mail(&mut self, order: &Order, topic: &str, event: &str) {
        self.handle("notification", topic, event);
        self.say("mailbox", Fact { event: event.to_owned(), ..Self::about(order, "emailed") });
    }

    fn order(id: &str, user: &str, total: i64) -> Order {
        Order { id: id.to_owned(), user: user.to_owned(), total, version: 0 }
    }
}

/// How an order of the storefront ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Shipped,
    Declined,
    OutOfStock,
}

impl Shop {
    /// An order goes through the storefront, step by step.
    pub(crate) fn storefront(&mut self, id: &str, user: &str, total: i64, end: End) {
        let mut order = Self::order(id, user, total);
        let created = self.publish("order", "order_created", "order_created", &order);
        self.step(&mut order, "order_created", &created, "PENDING");
        self.mail(&order, "order_created", &created);
        self.handle("payment", "order_created", &created);
        if end == End::Declined {
            self.pay(&order, "declined");
            let failed = self.publish("payment", "payment_failed", "payment_failed", &order);
            self.handle("order", "payment_failed", &failed);
            self.step(&mut order, "payment_failed", &failed, "DECLINED");
            return self.mail(&order, "payment_failed", &failed);
        }
        self.pay(&order, "captured");
        let paid = self.publish("payment", "payment_successful", "payment_successful", &order);
        self.handle("order", "payment_successful", &paid);
        self.step(&mut order, "payment_successful", &paid, "PAID");
        self.mail(&order, "payment_successful", &paid);
        self.handle("inventory", "payment_successful", &paid);
        if end == End::Shipped {
            self.shift(&order, "reserve", &["tea", "mug"]);
            self.ship(&order, &["tea", "mug"]);
            let shipped = self.publish("inventory", "inventory_updated", "shipped", &order);
            self.handle("order", "inventory_updated", &shipped);
            self.step(&mut order, "inventory_updated", &shipped, "COMPLETED");
            return self.mail(&order, "inventory_updated", &shipped);
        }
        let out = self.publish("inventory", "inventory_updated", "out_of_stock", &order);
        self.handle("order", "inventory_updated", &out);
        self.step(&mut order, "inventory_updated", &out, "OUT_OF_STOCK");
        self.mail(&order, "inventory_updated", &out);
        self.handle("payment", "inventory_updated", &out);
        self.pay(&order, "refunded");
        let refunded = self.publish("payment", "payment_failed", "payment_failed", &order);
        self.handle("order", "payment_failed", &refunded);
        self.step(&mut order, "payment_failed", &refunded, "CANCELLED");
        self.mail(&order, "payment_failed", &refunded);
    }

    /// An order goes through the fanout: what everybody says of it, and where it is then.
    pub(crate) fn fanout(&mut self, id: &str, user: &str, total: i64, way: &[(&str, &str)]) {
        let mut order = Self::order(id, user, total);
        for (word, status) in way {
            let service = match *word {
                "PENDING" => "order",
                "PAID" | "DECLINED" | "REFUNDED" => "payment",
                _ => "inventory",
            };
            match *word {
                "PAID" => self.pay(&order, "captured"),
                "DECLINED" => self.pay(&order, "declined"),
                "REFUNDED" => self.pay(&order, "refunded"),
                "RESERVED" => self.shift(&order, "reserve", &["tea"]),
                "RELEASED" => self.shift(&order, "release", &["tea"]),
                "SHIPPED" => self.ship(&order, &["tea"]),
                _ => {}
            }
            let event = self.publish(service, "order-created", word, &order);
            self.step(&mut order, word, &event, status);
            for (consumer, heeds) in FANOUT_HEEDS {
                if heeds.contains(word) {
                    self.handle(consumer, "order-created", &event);
                }
            }
            self.mail(&order, "order-created", &event);
        }
    }
}

/// What the fanout's services do something about.
const FANOUT_HEEDS: [(&str, &[&str]); 3] = [
    ("order", &["PAID", "DECLINED", "REFUNDED", "RESERVED", "OUT_OF_STOCK", "SHIPPED", "RELEASED"]),
    ("payment", &["PENDING", "OUT_OF_STOCK"]),
    ("inventory", &["PENDING", "PAID", "DECLINED"]),
];

/// Orders of one user, which end in every way there is, and those figures that services state about them.
pub(crate) fn storefront() -> MemoryRecord {
    let mut shop = Shop::default();
    shop.storefront("o1", "ada", 1_001, End::Shipped);
    shop.storefront("o2", "ada", 1_002, End::Declined);
    shop.storefront("o3", "ada", 1_003, End::OutOfStock);
    shop.storefront("o4", "ada", 1_004, End::Shipped);
    shop.record.add_figure("order.orders", 4);
    shop.record.add_figure("order.total", 4_010);
    shop.record
}

/// The same for the fanout.
pub(crate) fn fanout() -> MemoryRecord {
    let mut shop = Shop::default();
    let (pending, paid) = (("PENDING", "PENDING"), ("PAID", "PAID"));
    shop.fanout("o1", "ada", 1_001, &[pending, paid, ("RESERVED", "CONFIRMED"), ("SHIPPED", "COMPLETED")]);
    shop.fanout(
        "o2",
        "ada",
        1_002,
        &[pending, ("RESERVED", "RESERVED"), ("DECLINED", "REFUSED"), ("RELEASED", "DECLINED")],
    );
    shop.fanout("o3", "ada", 1_003, &[pending, paid, ("OUT_OF_STOCK", "OUT_OF_STOCK"), ("REFUNDED", "CANCELLED")]);
    shop.fanout("o4", "ada", 1_004, &[pending, ("DECLINED", "REFUSED"), ("OUT_OF_STOCK", "DECLINED")]);
    shop.record.add_figure("order.orders", 4);
    shop.record.add_figure("order.total", 4_010);
    shop.record
}

/// All ten rules over the books that there are.
pub(crate) fn rules(record: &MemoryRecord) -> Vec<BookRule> {
    RuleKind::ALL.into_iter().map(|kind| rule(record, kind)).collect()
}

/// One of them.
pub(crate) fn rule(record: &MemoryRecord, kind: RuleKind) -> BookRule {
    let ending = |end: &str| record.books.keys().filter(|name| name.ends_with(end)).cloned().collect();
    let books = kind.parts().iter().map(|part| {
        let books = match part {
            Part::Orders => vec!["order-steps".to_owned()],
            Part::Captures => vec!["payment-provider".to_owned()],
            Part::Movements => vec!["inventory-movements".to_owned()],
            Part::Shipments => vec!["warehouse".to_owned()],
            Part::Notifications => vec!["mailbox".to_owned()],
            Part::Changes | Part::Outboxes => ending("-outbox"),
            Part::Inboxes => ending("-inbox"),
            Part::Topics => record.books.keys().filter(|name| name.starts_with("topic-")).cloned().collect(),
        };
        (*part, books)
    });
    let books = books.collect();
    let name = kind.name().to_owned();
    let options = if record.books.contains_key("topic-order-created") { of_fanout() } else { of_storefront() };
    BookRule { name, rule: kind, books, violations: Bounds::exactly(0), options }
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

fn steps(table: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    table.iter().map(|(from, to)| ((*from).to_owned(), words(to))).collect()
}

fn common(log: &str) -> RuleOptions {
    RuleOptions {
        initial: BTreeMap::from([("tea".to_owned(), INITIAL)]),
        log: words(&[log]),
        count: Some("order.orders".to_owned()),
        sum: Some("order.total".to_owned()),
        deadline: Some(10_000_000_000),
        ..RuleOptions::default()
    }
}

fn of_storefront() -> RuleOptions {
    let payment = words(&["order_created", "inventory_updated/out_of_stock"]);
    RuleOptions {
        heeds: BTreeMap::from([("payment-inbox".to_owned(), payment)]),
        steps: steps(&[
            ("PENDING", &["PAID", "DECLINED"]),
            ("PAID", &["COMPLETED", "OUT_OF_STOCK"]),
            ("OUT_OF_STOCK", &["CANCELLED"]),
        ]),
        ..common("order_created")
    }
}

fn of_fanout() -> RuleOptions {
    let heeds = FANOUT_HEEDS.map(|(service, list)| {
        (format!("{service}-inbox"), list.iter().map(|word| format!("order-created/{word}")).collect())
    });
    RuleOptions {
        heeds: heeds.into_iter().collect(),
        steps: steps(&[
            ("PENDING", &["PAID", "RESERVED", "REFUSED", "OUT_OF_STOCK"]),
            ("PAID", &["CONFIRMED", "OUT_OF_STOCK"]),
            ("RESERVED", &["CONFIRMED", "REFUSED"]),
            ("CONFIRMED", &["COMPLETED"]),
            ("REFUSED", &["REFUSED", "DECLINED"]),
            ("OUT_OF_STOCK", &["OUT_OF_STOCK", "DECLINED", "CANCELLED"]),
        ]),
        ..common("order-created/PENDING")
    }
}
