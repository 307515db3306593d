//! The rules of conservation over [`crate::books`]: which there are, which book plays which part in one, and what it may be
//! told besides. What each of them compares stands in `docs/rules.md`; the judging belongs to `checks`.

use crate::expectation::Bounds;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The rules, by what must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleKind {
    /// Accepted orders = captured + declined + cancelled, for each order and in money.
    Settled,
    /// At most one capture an order, and what is not refunded of it is nothing or all.
    CapturedOnce,
    /// Initial stock = on hand + reserved + shipped for each product, at every moment.
    Stock,
    /// What nobody pays for is given back, once, and not shipped.
    Released,
    /// What is shipped is captured and reserved, once.
    ShippedRightly,
    /// Every change of state is told, as often as allowed, and no other.
    Notified,
    /// What somebody adds up is what the log adds up to.
    Folded,
    /// What is in an outbox is in its topic, and in every inbox behind it.
    Digests,
    /// Every order goes by legal steps to one end, in time.
    LegalSteps,
    /// Every consumer handles the events of a key in the order in which they were produced.
    InOrder,
}

impl RuleKind {
    /// All of them, in the order of the design.
    pub const ALL: [Self; 10] = [
        Self::Settled,
        Self::CapturedOnce,
        Self::Stock,
        Self::Released,
        Self::ShippedRightly,
        Self::Notified,
        Self::Folded,
        Self::Digests,
        Self::LegalSteps,
        Self::InOrder,
    ];

    /// As it is written: `captured-once`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::CapturedOnce => "captured-once",
            Self::Stock => "stock",
            Self::Released => "released",
            Self::ShippedRightly => "shipped-rightly",
            Self::Notified => "notified",
            Self::Folded => "folded",
            Self::Digests => "digests",
            Self::LegalSteps => "legal-steps",
            Self::InOrder => "in-order",
        }
    }

    /// The parts that it has to give to books.
    #[must_use]
    pub const fn parts(self) -> &'static [Part] {
        match self {
            Self::Settled | Self::CapturedOnce => &[Part::Orders, Part::Captures],
            Self::Stock => &[Part::Movements, Part::Shipments],
            Self::Released => &[Part::Orders, Part::Captures, Part::Movements, Part::Shipments],
            Self::ShippedRightly => &[Part::Captures, Part::Movements, Part::Shipments],
            Self::Notified => &[Part::Orders, Part::Changes, Part::Notifications],
            Self::Folded => &[Part::Orders, Part::Topics],
            Self::Digests => &[Part::Outboxes, Part::Topics, Part::Inboxes],
            Self::LegalSteps => &[Part::Orders],
            Self::InOrder => &[Part::Topics, Part::Inboxes],
        }
    }
}

/// What a book is in a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Every step of every order.
    Orders,
    /// What was captured, declined and refunded.
    Captures,
    /// What was reserved, shipped and released, with the stock after it.
    Movements,
    /// What left the warehouse.
    Shipments,
    /// What users were told.
    Notifications,
    /// Events about changes, besides those that steps are about.
    Changes,
    /// Events that were written to be published.
    Outboxes,
    /// Events that lie in topics.
    Topics,
    /// Events that were handled.
    Inboxes,
}

impl Part {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Captures => "captures",
            Self::Movements => "movements",
            Self::Shipments => "shipments",
            Self::Notifications => "notifications",
            Self::Changes => "changes",
            Self::Outboxes => "outboxes",
            Self::Topics => "topics",
            Self::Inboxes => "inboxes",
        }
    }

    /// Whether any number of books may play it, also none where the rule can do without.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::Changes | Self::Outboxes | Self::Topics | Self::Inboxes)
    }
}

/// One rule, as a scenario expects it to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookRule {
    /// `orders`, `stock`, ...
    pub name: String,
    /// What must hold.
    pub rule: RuleKind,
    /// The books, by the part that they play.
    pub books: BTreeMap<Part, Vec<String>>,
    /// How often it may, or must, be broken: a failure case proves that it did what it set out to do.
    pub violations: Bounds,
    /// What this rule is told besides.
    pub options: RuleOptions,
}

/// What rules may be told. Each looks at its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleOptions {
    /// Statuses of orders that were paid for, for good (`settled`).
    pub captured: Vec<String>,
    /// Statuses of orders that nobody paid for (`settled`, `released`).
    pub declined: Vec<String>,
    /// Statuses of orders that were refunded (`settled`, `released`).
    pub cancelled: Vec<String>,
    /// The first stock of products (`stock`); of others it is what their first movement says.
    pub initial: BTreeMap<String, i64>,
    /// How many notifications there may be too many (`notified`).
    pub duplicates: u64,
    /// Which events there are to fold (`folded`) as `TOPIC` or `TOPIC/KIND`.
    pub log: Vec<String>,
    /// The figure that counts them (`folded`).
    pub count: Option<String>,
    /// The figure that adds up their amounts (`folded`).
    pub sum: Option<String>,
    /// Which events an inbox has (`digests`), by its book, as `TOPIC` or `TOPIC/KIND`; others must have all of every topic from
    /// which they have any.
    pub heeds: BTreeMap<String, Vec<String>>,
    /// Which statuses may follow which, the first one first (`legal-steps`). One that nothing follows is an end.
    pub steps: Vec<(String, Vec<String>)>,
    /// For how long, in nanoseconds, an order may be on its way (`legal-steps`).
    pub deadline: Option<u64>,
}

impl Default for RuleOptions {
    /// The statuses of the services that come with Shakedown, and nothing else.
    fn default() -> Self {
        let word = |word: &str| vec![word.to_owned()];
        Self {
            captured: word("COMPLETED"),
            declined: word("DECLINED"),
            cancelled: word("CANCELLED"),
            initial: BTreeMap::new(),
            duplicates: 0,
            log: Vec::new(),
            count: None,
            sum: None,
            heeds: BTreeMap::new(),
            steps: Vec::new(),
            deadline: None,
        }
    }
}

/// The book of a topic, by the topic's name.
#[must_use]
pub fn topic_book(topic: &str) -> String {
    format!("{TOPIC}{topic}")
}

/// The topic that a book is of, if it is of one.
#[must_use]
pub fn topic_of_book(book: &str) -> Option<&str> {
    book.strip_prefix(TOPIC)
}

/// What the names of topics' books begin with. No service can be called so.
const TOPIC: &str = "topic-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_as_they_are_named() {
        for rule in RuleKind::ALL {
            assert_eq!(serde_json::to_value(rule).expect("a word"), rule.name());
            for part in rule.parts() {
                assert_eq!(serde_json::to_value(part).expect("a word"), part.name());
            }
        }
    }

    #[test]
    fn topics_have_books() {
        assert_eq!(topic_of_book(&topic_book("order_created")), Some("order_created"));
        assert_eq!(topic_of_book("order-steps"), None);
    }
}
