//! The storefront's topics, one for each kind of event, and the payloads on them, as everybody who reads or writes them
//! agreed.

use super::Role;
use crate::config::Environment;
use crate::ids;
use crate::kafka::Event;
use crate::malformed::Malformed;
use crate::outbox::NewEvent;
use crate::shop::facts::{Fact, FailureReason, News, NotificationSent, OrderFacts, total};
use crate::trace::TraceContext;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The names of the topics.
#[derive(Debug, Clone)]
pub(crate) struct Storefront {
    order_created: Arc<str>,
    payment_successful: Arc<str>,
    payment_failed: Arc<str>,
    inventory_updated: Arc<str>,
    notification_sent: Arc<str>,
}

/// What every event has, and what those of one topic have besides.
#[derive(Debug, Serialize, Deserialize)]
struct Payload<M> {
    event_id: String,
    #[serde(flatten)]
    order: OrderFacts,
    #[serde(flatten)]
    more: M,
    at_us: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Created {}

#[derive(Debug, Serialize, Deserialize)]
struct Successful {
    capture_id: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Failed {
    reason: Reason,
    message: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reason {
    Declined,
    TimedOut,
    Refunded,
}

#[derive(Debug, Serialize, Deserialize)]
struct Updated {
    status: Status,
    /// Empty if nothing was shipped.
    shipment_id: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Shipped,
    OutOfStock,
    /// Between the two; the storefront's inventory does not tell of these, others may.
    Reserved,
    Released,
}

impl Storefront {
    /// Reads `ORDER_CREATED_TOPIC` and its like.
    pub(super) fn read(environment: &Environment) -> Self {
        let topic = |variable: &str, default: &str| Arc::from(environment.text(variable, default));
        Self {
            order_created: topic("ORDER_CREATED_TOPIC", "order_created"),
            payment_successful: topic("PAYMENT_SUCCESSFUL_TOPIC", "payment_successful"),
            payment_failed: topic("PAYMENT_FAILED_TOPIC", "payment_failed"),
            inventory_updated: topic("INVENTORY_UPDATED_TOPIC", "inventory_updated"),
            notification_sent: topic("NOTIFICATION_SENT_TOPIC", "notification_sent"),
        }
    }

    pub(super) fn consumes(&self, role: Role) -> Vec<String> {
        let [created, successful, failed, updated] =
            [&self.order_created, &self.payment_successful, &self.payment_failed, &self.inventory_updated];
        match role {
            Role::Order => names(&[successful, failed, updated]),
            Role::Payment => names(&[created, updated]),
            Role::Inventory => names(&[successful]),
            Role::Notification => names(&[created, successful, failed, updated]),
        }
    }

    pub(super) fn produces(&self, role: Role) -> Vec<String> {
        match role {
            Role::Order => names(&[&self.order_created]),
            Role::Payment => names(&[&self.payment_successful, &self.payment_failed]),
            Role::Inventory => names(&[&self.inventory_updated]),
            Role::Notification => names(&[&self.notification_sent]),
        }
    }

    pub(super) fn topic_of(&self, fact: &Fact) -> &Arc<str> {
        match fact {
            Fact::Created => &self.order_created,
            Fact::Paid { .. } => &self.payment_successful,
            Fact::NotPaid { .. } | Fact::Refunded => &self.payment_failed,
            Fact::Reserved | Fact::OutOfStock | Fact::Shipped { .. } | Fact::Released => &self.inventory_updated,
        }
    }

    pub(super) fn hear(&self, topic: &str, event: &Event) -> Result<News, Malformed> {
        if *topic == *self.order_created {
            return Ok(read::<Created>(event)?.news(|_| Fact::Created));
        }
        if *topic == *self.payment_successful {
            return Ok(read::<Successful>(event)?.news(|more| Fact::Paid { capture_id: more.capture_id }));
        }
        if *topic == *self.payment_failed {
            return Ok(read::<Failed>(event)?.news(|Failed { reason, message }| match reason {
                Reason::Declined => Fact::NotPaid { reason: FailureReason::Declined, message },
                Reason::TimedOut => Fact::NotPaid { reason: FailureReason::TimedOut, message },
                Reason::Refunded => Fact::Refunded,
            }));
        }
        Ok(read::<Updated>(event)?.news(|Updated { status, shipment_id }| match status {
            Status::Shipped => Fact::Shipped { shipment_id },
            Status::OutOfStock => Fact::OutOfStock,
            Status::Reserved => Fact::Reserved,
            Status::Released => Fact::Released,
        }))
    }

    pub(super) fn tell(&self, news: &News, trace: TraceContext) -> NewEvent {
        let topic = self.topic_of(&news.fact);
        let updated = |status, shipment_id: &str| {
            event(topic, news, Updated { status, shipment_id: shipment_id.to_owned() }, trace)
        };
        let failed = |reason, message: &str| event(topic, news, Failed { reason, message: message.to_owned() }, trace);
        match &news.fact {
            Fact::Created => event(topic, news, Created {}, trace),
            Fact::Paid { capture_id } => event(topic, news, Successful { capture_id: capture_id.clone() }, trace),
            Fact::NotPaid { reason: FailureReason::Declined, message } => failed(Reason::Declined, message),
            Fact::NotPaid { reason: FailureReason::TimedOut, message } => failed(Reason::TimedOut, message),
            Fact::Refunded => failed(Reason::Refunded, "out of stock"),
            Fact::Shipped { shipment_id } => updated(Status::Shipped, shipment_id),
            Fact::OutOfStock => updated(Status::OutOfStock, ""),
            Fact::Reserved => updated(Status::Reserved, ""),
            Fact::Released => updated(Status::Released, ""),
        }
    }

    pub(super) fn confirm(&self, sent: &NotificationSent, trace: TraceContext) -> NewEvent {
        NewEvent::new(&self.notification_sent, &sent.user_id, &sent.event_id, sent, trace)
    }
}

impl<M> Payload<M> {
    fn news(self, fact: impl Fn(M) -> Fact) -> News {
        News { event_id: self.event_id, order: self.order, fact: fact(self.more), at_us: self.at_us }
    }
}

fn event(topic: &Arc<str>, news: &News, more: impl Serialize, trace: TraceContext) -> NewEvent {
    let News { event_id, order, at_us, .. } = news.clone();
    let payload = Payload { event_id, order, more, at_us };
    NewEvent::new(topic, &news.order.user_id, &news.event_id, &payload, trace)
}

fn read<M: DeserializeOwned>(event: &Event) -> Result<Payload<M>, Malformed> {
    let payload: Payload<M> = serde_json::from_slice(event.payload.as_deref().ok_or(Malformed::NoPayload)?)?;
    let order = &payload.order;
    ids::require(&[("event_id", &payload.event_id), ("order_id", &order.order_id), ("user_id", &order.user_id)])?;
    for item in &order.items {
        ids::require(&[("product_id", &item.product_id)])?;
    }
    match total(&order.items) {
        Some(total) if total == order.total && total >= 0 => Ok(payload),
        Some(_) => Err(Malformed::value("total", &order.total, "the sum of its items")),
        None => Err(Malformed::value("items", &"more than can be paid", "a sum that fits 64 bits in minor units")),
    }
}

/// Topics, as consumers and producers take them.
fn names(topics: &[&Arc<str>]) -> Vec<String> {
    topics.iter().map(|topic| topic.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::testing::event;
    use crate::trace::TraceIds;
    use serde_json::json;

    fn wire() -> Storefront {
        Storefront::read(&Environment::default())
    }

    fn created(total: i64, price: i64) -> Event {
        let items = json!([{"product_id": "tea", "product_name": "Tea", "quantity": 2, "price": price}]);
        let payload = json!({
            "event_id": "e", "order_id": "o", "user_id": "u", "items": items, "total": total, "created_at_us": 1, "at_us": 2,
        });
        event("order_created", 0, 0, "u", &payload.to_string())
    }

    #[test]
    fn what_is_told_is_heard() {
        let order = wire().hear("order_created", &created(500, 250)).unwrap().order;
        for fact in [
            Fact::Created,
            Fact::Paid { capture_id: "c".to_owned() },
            Fact::NotPaid { reason: FailureReason::Declined, message: "no".to_owned() },
            Fact::NotPaid { reason: FailureReason::TimedOut, message: "?".to_owned() },
            Fact::Refunded,
            Fact::OutOfStock,
            Fact::Shipped { shipment_id: "s".to_owned() },
        ] {
            let news = News::new(order.clone(), fact);
            let told = wire().tell(&news, TraceIds::new().next_hop(None));
            assert_eq!(told.key, "u");
            let heard = event(&told.topic, 0, 0, &told.key, &told.payload);
            assert_eq!(wire().hear(&told.topic, &heard).unwrap(), news);
        }
    }

    #[test]
    fn events_that_make_no_sense_are_malformed() {
        let complaint = |event: &Event| wire().hear("order_created", event).unwrap_err().to_string();
        assert_eq!(complaint(&created(501, 250)), "its total is 501, allowed: the sum of its items");
        assert_eq!(complaint(&created(-500, -250)), "its total is -500, allowed: the sum of its items");
        assert!(complaint(&created(0, i64::MAX)).starts_with("its items is more than can be paid"));
        assert!(complaint(&event("t", 0, 0, "u", "{")).starts_with("its payload is not JSON"));
        assert!(complaint(&event("t", 0, 0, "u", "{}")).starts_with("its payload has another shape"));
    }
}
