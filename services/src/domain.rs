//! The events on the topics, as every team that reads or writes them agreed. Money is integer minor units (cents).

use crate::ids;
use crate::kafka::Event;
use crate::malformed::Malformed;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// On `order-details`: an order as it was accepted, not yet priced as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderDetails<'a> {
    #[serde(borrow)]
    pub(crate) order_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) user_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) user_email: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) items: Vec<OrderItem<'a>>,
    /// When the order was made, in microseconds since the Unix epoch.
    pub(crate) created_at_us: u64,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderItem<'a> {
    #[serde(borrow)]
    pub(crate) product: Cow<'a, str>,
    pub(crate) quantity: u32,
    /// In minor units.
    pub(crate) unit_price: i64,
}

/// On `order-processed`: an order with its price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderProcessed<'a> {
    #[serde(borrow)]
    pub(crate) order_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) user_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) user_email: Cow<'a, str>,
    /// In minor units.
    pub(crate) total_cost: i64,
    /// When the order was made, in microseconds since the Unix epoch.
    pub(crate) created_at_us: u64,
}

/// On `orders`: one item ordered by one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderPlaced<'a> {
    #[serde(borrow)]
    pub(crate) order_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) user: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) item: Cow<'a, str>,
    pub(crate) quantity: u32,
}

impl<'a> OrderDetails<'a> {
    pub(crate) fn read(event: &'a Event) -> Result<Self, Malformed> {
        let order: Self = serde_json::from_slice(payload(event)?)?;
        ids::require(&[("order_id", &order.order_id), ("user_id", &order.user_id)])?;
        if order.items.is_empty() {
            return Err(Malformed::value("items", &"[]", "at least one item"));
        }
        Ok(order)
    }

    /// What the order costs: the sum of its lines.
    pub(crate) fn total_cost(&self) -> Result<i64, Malformed> {
        let mut total = 0_i64;
        for item in &self.items {
            if item.quantity == 0 {
                return Err(Malformed::value("quantity", &item.quantity, "at least 1"));
            }
            if item.unit_price < 0 {
                return Err(Malformed::value("unit_price", &item.unit_price, "0 or more"));
            }
            let line = item.unit_price.checked_mul(i64::from(item.quantity));
            total = line.and_then(|line| total.checked_add(line)).ok_or_else(|| {
                Malformed::value("total", &"beyond 64 bits", "a total that fits 64 bits in minor units")
            })?;
        }
        Ok(total)
    }
}

impl<'a> OrderProcessed<'a> {
    pub(crate) fn read(event: &'a Event) -> Result<Self, Malformed> {
        let order: Self = serde_json::from_slice(payload(event)?)?;
        ids::require(&[("order_id", &order.order_id)])?;
        if order.total_cost < 0 {
            return Err(Malformed::value("total_cost", &order.total_cost, "0 or more"));
        }
        Ok(order)
    }
}

impl<'a> OrderPlaced<'a> {
    pub(crate) fn read(event: &'a Event) -> Result<Self, Malformed> {
        let order: Self = serde_json::from_slice(payload(event)?)?;
        ids::require(&[("order_id", &order.order_id), ("user", &order.user), ("item", &order.item)])?;
        if order.quantity == 0 {
            return Err(Malformed::value("quantity", &order.quantity, "at least 1"));
        }
        Ok(order)
    }
}

fn payload(event: &Event) -> Result<&[u8], Malformed> {
    event.payload.as_deref().ok_or(Malformed::NoPayload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::testing::event;

    fn details(items: &str) -> Event {
        let payload = format!(
            r#"{{"order_id":"o-1","user_id":"user-1","user_email":"ada@example.com","items":{items},"created_at_us":7}}"#
        );
        event("order-details", 0, 0, "user-1", &payload)
    }

    #[test]
    fn an_order_costs_the_sum_of_its_lines() {
        let event = details(
            r#"[{"product":"tea","quantity":3,"unit_price":250},{"product":"mug","quantity":1,"unit_price":999}]"#,
        );
        let order = OrderDetails::read(&event).unwrap();
        assert_eq!(order.total_cost().unwrap(), 1749);
        assert!(matches!(order.order_id, Cow::Borrowed("o-1")), "a plain text is not copied");
    }

    #[test]
    fn orders_that_make_no_sense_are_malformed() {
        for (items, complaint) in [
            ("[]", "its items is [], allowed: at least one item"),
            (r#"[{"product":"tea","quantity":0,"unit_price":1}]"#, "its quantity is 0, allowed: at least 1"),
            (r#"[{"product":"tea","quantity":1,"unit_price":-1}]"#, "its unit_price is -1, allowed: 0 or more"),
            (
                r#"[{"product":"tea","quantity":2,"unit_price":9223372036854775807}]"#,
                "its total is beyond 64 bits, allowed: a total that fits 64 bits in minor units",
            ),
        ] {
            let event = details(items);
            let malformed = OrderDetails::read(&event).and_then(|order| order.total_cost()).unwrap_err();
            assert_eq!(malformed.to_string(), complaint);
        }
    }

    #[test]
    fn a_wrong_payload_is_told_from_a_wrong_shape() {
        let torn = event("orders", 0, 0, "user-1", r#"{"order_id":"#);
        assert!(matches!(OrderPlaced::read(&torn), Err(Malformed::NotJson(_))));
        let other = event("orders", 0, 0, "user-1", r#"{"order_id":5}"#);
        assert!(matches!(OrderPlaced::read(&other), Err(Malformed::WrongShape(_))));
        let mut tombstone = event("orders", 0, 0, "user-1", "");
        tombstone.payload = None;
        assert!(matches!(OrderPlaced::read(&tombstone), Err(Malformed::NoPayload)));
    }
}
