//! The warehouse: sends the goods of an order. `POST /shipments` with `{"order_id", "user_id", "quantities"}`.

use super::trade::{Effect, Received, Trade, fields, named};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use shakedown_reports::books::Fact;
use std::collections::BTreeMap;

/// The warehouse.
pub(super) struct Warehouse;

/// What is to be sent.
#[derive(Debug, Deserialize)]
pub(super) struct Shipment {
    order_id: String,
    user_id: String,
    /// Pieces, by product.
    quantities: BTreeMap<String, i64>,
}

impl Trade for Warehouse {
    type Request = Shipment;

    const PATHS: &'static [&'static str] = &["/shipments"];

    fn read(_path: &'static str, body: Json) -> Result<Shipment, String> {
        let shipment: Shipment = fields(body)?;
        named("order_id", &shipment.order_id)?;
        if shipment.quantities.is_empty() {
            return Err("`quantities` is empty: there is nothing to send".to_owned());
        }
        match shipment.quantities.iter().find(|(_, pieces)| **pieces < 1) {
            Some((product, pieces)) => Err(format!("`quantities` has {pieces} of {product}; 1 and more are allowed")),
            None => Ok(shipment),
        }
    }

    fn identity(shipment: &Shipment) -> &str {
        &shipment.order_id
    }

    fn perform(&mut self, shipment: Shipment, received: Received) -> Effect {
        let Shipment { order_id, user_id, quantities } = shipment;
        let shipped = |(part, pieces): (String, i64)| Fact {
            entity: order_id.clone(),
            kind: "shipped".to_owned(),
            part,
            quantity: Some(pieces),
            key: user_id.clone(),
            ..Fact::default()
        };
        let facts = quantities.into_iter().map(shipped).collect();
        let answer = json!({ "status": "shipped", "shipment_id": format!("shipment-{}", received.number) });
        Effect::done(answer.to_string(), facts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::desk::testing::{ask, counted};
    use super::*;

    #[test]
    fn an_order_is_sent_once_and_each_product_is_told_of() {
        let warehouse = counted(Warehouse);
        let two = json!({ "order_id": "a", "user_id": "user-1", "quantities": { "tea": 2, "mug": 1 } });
        let (status, shipped) = ask(&warehouse, "/shipments", Some("a"), &two);
        assert_eq!((status, &shipped["status"]), (201, &json!("shipped")));
        assert_eq!(ask(&warehouse, "/shipments", Some("a"), &two), (200, shipped));
        let told: Vec<_> =
            warehouse.facts().into_iter().map(|fact| (fact.position, fact.part, fact.quantity)).collect();
        assert_eq!(told, [(1, "mug".to_owned(), Some(1)), (2, "tea".to_owned(), Some(2))]);
    }

    #[test]
    fn nothing_cannot_be_sent() {
        let warehouse = counted(Warehouse);
        for quantities in [json!({}), json!({ "tea": 0 }), json!({ "tea": -1 }), json!({ "tea": "two" }), json!(null)] {
            let wrong = json!({ "order_id": "a", "user_id": "user-1", "quantities": quantities });
            assert_eq!(ask(&warehouse, "/shipments", Some("a"), &wrong).0, 400, "{wrong}");
        }
        assert!(warehouse.facts().is_empty());
    }
}
