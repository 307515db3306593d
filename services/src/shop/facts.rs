//! What there is to tell of an order, whatever the topics and payloads are. Money is integer minor units (cents), times are
//! microseconds since the Unix epoch. Every piece of news carries the order, so that nobody has to ask anybody.

use crate::clock::unix_us;
use crate::outbox::new_id;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Item {
    /// One of the catalogue.
    pub(crate) product_id: String,
    pub(crate) product_name: String,
    /// At least 1.
    pub(crate) quantity: u32,
    /// Of one piece, in minor units.
    pub(crate) price: i64,
}

/// An order as it was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderFacts {
    pub(crate) order_id: String,
    pub(crate) user_id: String,
    pub(crate) items: Vec<Item>,
    /// What it costs, in minor units.
    pub(crate) total: i64,
    /// When it was accepted.
    pub(crate) created_at_us: u64,
}

/// What happened to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    Created,
    Paid {
        capture_id: String,
    },
    NotPaid {
        reason: FailureReason,
        /// In the provider's words.
        message: String,
    },
    /// It was paid, and given back: it cannot be shipped.
    Refunded,
    Reserved,
    OutOfStock,
    Shipped {
        shipment_id: String,
    },
    /// What was reserved is free again.
    Released,
}

/// Why nothing is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureReason {
    /// The provider said no.
    Declined,
    /// The provider said nothing, and nobody asked again (`PAYMENT_TIMEOUT=decline`).
    TimedOut,
}

/// A fact about an order, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) event_id: String,
    pub(crate) order: OrderFacts,
    pub(crate) fact: Fact,
    pub(crate) at_us: u64,
}

impl News {
    /// Something that has just happened.
    pub(crate) fn new(order: OrderFacts, fact: Fact) -> Self {
        Self { event_id: new_id(), order, fact, at_us: unix_us() }
    }
}

/// A user was told of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NotificationSent {
    pub(crate) event_id: String,
    pub(crate) notification_id: String,
    pub(crate) order_id: String,
    pub(crate) user_id: String,
    /// The event that it tells of: its topic or status, and its id.
    pub(crate) about: String,
    pub(crate) about_event_id: String,
    pub(crate) at_us: u64,
}

/// What the items cost together; `None` if that does not fit.
pub(crate) fn total(items: &[Item]) -> Option<i64> {
    items.iter().try_fold(0_i64, |total, item| total.checked_add(item.price.checked_mul(i64::from(item.quantity))?))
}
