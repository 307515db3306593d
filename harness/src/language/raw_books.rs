//! The keys of books, and of the rules of conservation that compare them.

use super::bounds::RawCount;
use super::document::Spanned;
use super::quantity::Span;
use super::reference::{HttpPath, Pointer, TermReference};
use super::setting::{Named, Whole, choices, settings};
use shakedown_reports::rules::RuleKind;

settings! {
    /// A list of what a service did for each order, asked for with `?after=POSITION&limit=N` and answered as lines of JSON. Books
    /// called `steps`, `payments`, `movements`, `sent`, `outbox` and `inbox` are read as the services that come with Shakedown
    /// write them; of others only the fields that are named here.
    pub struct RawBook {
        /// Answers with the entries behind a position, in order.
        "get" => get: Spanned<HttpPath>,
        /// Points at the position, which rises. Default `/position`.
        "position" => position: Option<Spanned<Pointer>>,
        /// Points at the instant of the entry, in microseconds since the Unix epoch. Default `/at_us`.
        "at_us" => at_us: Option<Spanned<Pointer>>,
        /// Points at the order's id.
        "entity" => entity: Option<Spanned<Pointer>>,
        /// Points at what happened; in outboxes and inboxes at the topic.
        "kind" => kind: Option<Spanned<Pointer>>,
        /// Points at the product.
        "part" => part: Option<Spanned<Pointer>>,
        /// Points at the amount, in minor units.
        "amount" => amount: Option<Spanned<Pointer>>,
        /// Points at the number of pieces.
        "quantity" => quantity: Option<Spanned<Pointer>>,
        /// Points at the order's version after it.
        "version" => version: Option<Spanned<Pointer>>,
        /// Points at the order's status after it.
        "status" => status: Option<Spanned<Pointer>>,
        /// Points at the id of the event that it is, or is about.
        "event" => event: Option<Spanned<Pointer>>,
        /// Points at the key of the event, or the user.
        "key" => key: Option<Spanned<Pointer>>,
        /// Point at the product's stock after it: on hand, reserved, shipped.
        "stock" => stock: Option<Spanned<Vec<Spanned<Pointer>>>>,
    }
}

settings! {
    /// How to read the events of a topic for rules of conservation: all of it is read once more at the end, as far as it is
    /// committed. Its book is called `topic-` and the topic's name. A message that is no such event is read as far as it is one.
    pub struct RawTopicBook {
        /// Points at the order's id. Default `/order_id`.
        "entity" => entity: Option<Spanned<Pointer>>,
        /// Points at the event's kind. Default: the topic is its kind.
        "kind" => kind: Option<Spanned<Pointer>>,
        /// Points at the amount, in minor units. Default `/total`.
        "amount" => amount: Option<Spanned<Pointer>>,
        /// Points at the event's id. Default `/event_id`.
        "event" => event: Option<Spanned<Pointer>>,
        /// Points at the instant of the event, in microseconds since the Unix epoch. Default `/at_us`.
        "at_us" => at_us: Option<Spanned<Pointer>>,
    }
}

choices! {
    /// What must hold of books; `docs/rules.md` says what each compares.
    pub enum RuleChoice {
        /// Accepted orders = captured + declined + cancelled.
        Settled = "settled",
        /// At most one capture an order.
        CapturedOnce = "captured-once",
        /// Initial stock = on hand + reserved + shipped.
        Stock = "stock",
        /// What nobody pays for is given back.
        Released = "released",
        /// What is shipped is captured and reserved.
        ShippedRightly = "shipped-rightly",
        /// Every change is told.
        Notified = "notified",
        /// The log adds up.
        Folded = "folded",
        /// Outbox, topic and inboxes have the same events.
        Digests = "digests",
        /// Orders go by legal steps.
        LegalSteps = "legal-steps",
        /// Events of a key are handled in order.
        InOrder = "in-order",
    }
}

impl RuleChoice {
    /// What it means.
    #[must_use]
    pub const fn kind(self) -> RuleKind {
        match self {
            Self::Settled => RuleKind::Settled,
            Self::CapturedOnce => RuleKind::CapturedOnce,
            Self::Stock => RuleKind::Stock,
            Self::Released => RuleKind::Released,
            Self::ShippedRightly => RuleKind::ShippedRightly,
            Self::Notified => RuleKind::Notified,
            Self::Folded => RuleKind::Folded,
            Self::Digests => RuleKind::Digests,
            Self::LegalSteps => RuleKind::LegalSteps,
            Self::InOrder => RuleKind::InOrder,
        }
    }
}

settings! {
    /// A rule of conservation: terms that must be equal, or one of the rules over books.
    pub struct RawConserved {
        /// What must be equal; streams agree message by message first, totals second.
        "equal" => equal: Option<Spanned<Vec<Spanned<TermReference>>>>,
        /// What must hold of books.
        "rule" => rule: Option<Spanned<RuleChoice>>,
        /// How often the rule may, or must, be broken. Default 0.
        "violations" => violations: Option<Spanned<RawCount>>,
        /// The book of every step of every order. Default: that called `steps`.
        "orders" => orders: Option<Spanned<String>>,
        /// The book of captures, declines and refunds. Default `payment-provider`.
        "captures" => captures: Option<Spanned<String>>,
        /// The book of what moved in the stock. Default: that called `movements`.
        "movements" => movements: Option<Spanned<String>>,
        /// The book of what left the warehouse. Default `warehouse`.
        "shipments" => shipments: Option<Spanned<String>>,
        /// The book of what users were told. Default `mailbox`.
        "notifications" => notifications: Option<Spanned<String>>,
        /// Books of events about changes, besides those of steps (`notified`). Default: all called `outbox`, but for services
        /// with a book called `sent`.
        "changes" => changes: Option<Spanned<Vec<Spanned<String>>>>,
        /// Books of events to be published (`digests`). Default: all called `outbox`.
        "outboxes" => outboxes: Option<Spanned<Vec<Spanned<String>>>>,
        /// Books of events that were handled (`digests`, `in-order`). Default: all called `inbox`.
        "inboxes" => inboxes: Option<Spanned<Vec<Spanned<String>>>>,
        /// Topics with a book (`digests`, `in-order`). Default: all of them.
        "topics" => topics: Option<Spanned<Vec<Spanned<String>>>>,
        /// Statuses of orders that were paid for, for good (`settled`). Default `["COMPLETED"]`.
        "captured" => captured: Option<Spanned<Vec<Spanned<String>>>>,
        /// Statuses of orders that nobody paid for (`settled`, `released`). Default `["DECLINED"]`.
        "declined" => declined: Option<Spanned<Vec<Spanned<String>>>>,
        /// Statuses of orders that were refunded (`settled`, `released`). Default `["CANCELLED"]`.
        "cancelled" => cancelled: Option<Spanned<Vec<Spanned<String>>>>,
        /// The first stock by product (`stock`). Default: what the first movement of a product implies.
        "initial" => initial: Option<Spanned<Named<Whole<0, 9_223_372_036_854_775_807>>>>,
        /// How many notifications there may be too many (`notified`). Default 0.
        "duplicates" => duplicates: Option<Spanned<Whole<0, 9_223_372_036_854_775_807>>>,
        /// The events to add up (`folded`): `TOPIC`, or `TOPIC/KIND`.
        "log" => log: Option<Spanned<Vec<Spanned<String>>>>,
        /// The figure that counts them (`folded`).
        "count" => count: Option<Spanned<TermReference>>,
        /// The figure that adds up their amounts (`folded`).
        "sum" => sum: Option<Spanned<TermReference>>,
        /// By inbox, the events that it has (`digests`): `TOPIC`, or `TOPIC/KIND`. Default: all of every topic from which it has any.
        "heeds" => heeds: Option<Spanned<Named<Vec<Spanned<String>>>>>,
        /// By status, which may follow it (`legal-steps`), the first status first. One that nothing follows is an end.
        "steps" => steps: Option<Spanned<Named<Vec<Spanned<String>>>>>,
        /// For how long an order may be on its way (`legal-steps`). Default: as long as it likes.
        "deadline" => deadline: Option<Spanned<Span>>,
    }
}
