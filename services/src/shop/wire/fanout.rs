//! The fanout's one topic, `order-created`, on which every change of an order's status lies. An order is one piece of one
//! product.

use crate::config::Environment;
use crate::ids;
use crate::kafka::Event;
use crate::malformed::Malformed;
use crate::outbox::NewEvent;
use crate::shop::facts::{Fact, FailureReason, Item, News, OrderFacts};
use crate::trace::TraceContext;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The name of the topic.
#[derive(Debug, Clone)]
pub(crate) struct Fanout {
    order_created: Arc<str>,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    /// Without one it is `orderId/status`: an order has each status once.
    #[serde(default)]
    event_id: String,
    order_id: String,
    user_id: String,
    status: Status,
    product_id: String,
    /// What it costs, in minor units.
    amount: i64,
    /// The provider's or the warehouse's id, or the provider's words.
    #[serde(default)]
    detail: String,
    created_at_us: u64,
    at_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Status {
    Pending,
    Paid,
    Declined,
    TimedOut,
    Refunded,
    Reserved,
    OutOfStock,
    Shipped,
    Released,
}

impl Fanout {
    /// Reads `ORDER_CREATED_TOPIC`.
    pub(super) fn read(environment: &Environment) -> Self {
        Self { order_created: Arc::from(environment.text("ORDER_CREATED_TOPIC", "order-created")) }
    }

    pub(super) fn topic(&self) -> String {
        self.order_created.to_string()
    }

    pub(super) fn tell(&self, news: &News, trace: TraceContext) -> NewEvent {
        let (status, detail) = status_and_detail(&news.fact);
        let payload = Payload {
            event_id: news.event_id.clone(),
            order_id: news.order.order_id.clone(),
            user_id: news.order.user_id.clone(),
            status,
            product_id: news.order.items.first().map(|item| item.product_id.clone()).unwrap_or_default(),
            amount: news.order.total,
            detail: detail.to_owned(),
            created_at_us: news.order.created_at_us,
            at_us: news.at_us,
        };
        NewEvent::new(&self.order_created, &payload.user_id, &payload.event_id, &payload, trace)
    }
}

pub(super) fn hear(event: &Event) -> Result<News, Malformed> {
    let payload: Payload = serde_json::from_slice(event.payload.as_deref().ok_or(Malformed::NoPayload)?)?;
    ids::require(&[("orderId", &payload.order_id), ("userId", &payload.user_id), ("productId", &payload.product_id)])?;
    if !payload.event_id.is_empty() {
        ids::require(&[("eventId", &payload.event_id)])?;
    }
    if payload.amount < 0 {
        return Err(Malformed::value("amount", &payload.amount, "0 or more"));
    }
    let Payload { event_id, order_id, user_id, status, product_id, amount, detail, created_at_us, at_us } = payload;
    let fact = match status {
        Status::Pending => Fact::Created,
        Status::Paid => Fact::Paid { capture_id: detail },
        Status::Declined => Fact::NotPaid { reason: FailureReason::Declined, message: detail },
        Status::TimedOut => Fact::NotPaid { reason: FailureReason::TimedOut, message: detail },
        Status::Refunded => Fact::Refunded,
        Status::Reserved => Fact::Reserved,
        Status::OutOfStock => Fact::OutOfStock,
        Status::Shipped => Fact::Shipped { shipment_id: detail },
        Status::Released => Fact::Released,
    };
    let event_id = if event_id.is_empty() { format!("{order_id}/{}", status_of(&fact)) } else { event_id };
    let item = Item { product_name: product_id.clone(), product_id, quantity: 1, price: amount };
    let order = OrderFacts { order_id, user_id, items: vec![item], total: amount, created_at_us };
    Ok(News { event_id, order, fact, at_us })
}

/// The word for a fact.
pub(super) fn status_of(fact: &Fact) -> &'static str {
    match status_and_detail(fact).0 {
        Status::Pending => "PENDING",
        Status::Paid => "PAID",
        Status::Declined => "DECLINED",
        Status::TimedOut => "TIMED_OUT",
        Status::Refunded => "REFUNDED",
        Status::Reserved => "RESERVED",
        Status::OutOfStock => "OUT_OF_STOCK",
        Status::Shipped => "SHIPPED",
        Status::Released => "RELEASED",
    }
}

fn status_and_detail(fact: &Fact) -> (Status, &str) {
    match fact {
        Fact::Created => (Status::Pending, ""),
        Fact::Paid { capture_id } => (Status::Paid, capture_id),
        Fact::NotPaid { reason: FailureReason::Declined, message } => (Status::Declined, message),
        Fact::NotPaid { reason: FailureReason::TimedOut, message } => (Status::TimedOut, message),
        Fact::Refunded => (Status::Refunded, ""),
        Fact::Reserved => (Status::Reserved, ""),
        Fact::OutOfStock => (Status::OutOfStock, ""),
        Fact::Shipped { shipment_id } => (Status::Shipped, shipment_id),
        Fact::Released => (Status::Released, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::testing::event;
    use crate::trace::TraceIds;
    use serde_json::json;

    fn of(status: &str, amount: i64) -> Event {
        let payload = json!({"orderId": "o", "userId": "u", "status": status, "productId": "tea", "amount": amount,
            "createdAtUs": 1, "atUs": 2});
        event("order-created", 0, 0, "u", &payload.to_string())
    }

    #[test]
    fn every_status_is_a_fact_and_back() {
        let wire = Fanout::read(&Environment::default());
        for status in
            ["PENDING", "PAID", "DECLINED", "TIMED_OUT", "REFUNDED", "RESERVED", "OUT_OF_STOCK", "SHIPPED", "RELEASED"]
        {
            let heard = hear(&of(status, 700)).unwrap();
            assert_eq!((status_of(&heard.fact), heard.order.total), (status, 700));
            assert_eq!(heard.event_id, format!("o/{status}"), "it came without an id");
            let told = wire.tell(&heard, TraceIds::new().next_hop(None));
            assert_eq!((&*told.topic, told.key.as_str()), ("order-created", "u"));
            assert_eq!(hear(&event("order-created", 0, 0, "u", &told.payload)).unwrap(), heard);
        }
    }

    #[test]
    fn events_that_make_no_sense_are_malformed() {
        let complaint = |event: &Event| hear(event).unwrap_err().to_string();
        assert_eq!(complaint(&of("PENDING", -1)), "its amount is -1, allowed: 0 or more");
        assert!(complaint(&of("LOST", 1)).starts_with("its payload has another shape"));
    }
}
