//! What requests say: an order each, in the words of the system that is asked, fixed by the seed and the message.
//!
//! The sum of an order is the amount of its message, which is distinct within the run; who orders is its key. Texts are
//! written into a buffer that the caller reuses.

use crate::order_id;
use crate::workload::{KEY_PREFIX, PlannedMessage};
use serde::{Deserialize, Serialize};
use std::io::Write as _;

/// What the built-in order services sell unless they are told otherwise by `CATALOGUE`.
const PRODUCTS: [&str; 8] = ["tea", "mug", "kettle", "teapot", "spoon", "honey", "biscuits", "tray"];
/// The most pieces of one line.
const QUANTITY_MAX: u64 = 3;

/// The words of a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyForm {
    /// `{"user_id","items":[{"product_id","product_name","quantity","price"}]}`, of one line or two.
    Storefront,
    /// `{"orderId","userId","status":"PENDING","productId","amount"}`.
    Fanout,
}

impl BodyForm {
    /// The words of whoever has this path: those of the fanout at `/api/orders`, else the storefront's.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        if path == "/api/orders" { Self::Fanout } else { Self::Storefront }
    }

    /// Its word, as serde has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Storefront => "storefront",
            Self::Fanout => "fanout",
        }
    }

    /// What the built-in services sell.
    #[must_use]
    pub fn products() -> Vec<String> {
        PRODUCTS.map(str::to_owned).to_vec()
    }
}

/// Writes the bodies of a plan.
#[derive(Debug, Clone)]
pub(crate) struct Bodies {
    seed: u64,
    form: BodyForm,
    /// As JSON texts, quotes and all; at least one.
    products: Vec<String>,
}

impl Bodies {
    pub(crate) fn new(seed: u64, form: BodyForm, products: &[String]) -> Self {
        let products = products.iter().map(|product| serde_json::Value::from(product.as_str()).to_string()).collect();
        Self { seed, form, products }
    }

    /// Puts the message's JSON into `buffer`, whatever was there before.
    pub(crate) fn write(&self, message: &PlannedMessage, buffer: &mut Vec<u8>) {
        buffer.clear();
        let draw = order_id::mix(order_id::mix(self.seed).wrapping_add(message.sequence));
        // Writing into a vector cannot fail.
        let _ = match self.form {
            BodyForm::Storefront => self.write_storefront(message, draw, buffer),
            BodyForm::Fanout => self.write_fanout(message, draw, buffer),
        };
    }

    fn write_storefront(&self, message: &PlannedMessage, draw: u64, buffer: &mut Vec<u8>) -> std::io::Result<()> {
        write!(buffer, "{{\"user_id\":\"{KEY_PREFIX}{}\",\"items\":[", message.key)?;
        let first = self.first(draw);
        let others = self.products.len() as u64 - 1;
        let mut rest = message.value;
        if others > 0 && (draw >> 32) & 1 == 1 {
            // About half of the sum in one to three pieces of another product, and the rest in one of the first.
            let quantity = 1 + (draw >> 40) % QUANTITY_MAX;
            let price = message.value / (2 * i64::try_from(quantity).expect("a few"));
            rest -= price * i64::try_from(quantity).expect("a few");
            line(buffer, self.product(first + 1 + (draw >> 48) % others), quantity, price)?;
            buffer.push(b',');
        }
        line(buffer, self.product(first), 1, rest)?;
        buffer.extend_from_slice(b"]}");
        Ok(())
    }

    fn write_fanout(&self, message: &PlannedMessage, draw: u64, buffer: &mut Vec<u8>) -> std::io::Result<()> {
        buffer.extend_from_slice(b"{\"orderId\":\"");
        buffer.extend_from_slice(&order_id::encode(self.seed, message.sequence));
        let (key, product, amount) = (message.key, self.product(self.first(draw)), message.value);
        write!(
            buffer,
            "\",\"userId\":\"{KEY_PREFIX}{key}\",\"status\":\"PENDING\",\"productId\":{product},\"amount\":{amount}}}"
        )
    }

    /// The number of a product.
    fn first(&self, draw: u64) -> u64 {
        (draw & u64::from(u32::MAX)) % self.products.len() as u64
    }

    /// The product of a number; behind the last one comes the first.
    fn product(&self, number: u64) -> &str {
        let index = number % self.products.len() as u64;
        &self.products[usize::try_from(index).expect("below their number")]
    }
}

fn line(buffer: &mut Vec<u8>, product: &str, quantity: u64, price: i64) -> std::io::Result<()> {
    write!(buffer, "{{\"product_id\":{product},\"product_name\":{product},\"quantity\":{quantity},\"price\":{price}}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeySpace;
    use crate::workload::Workload;
    use serde_json::Value;
    use std::collections::{BTreeSet, HashSet};

    fn bodies(form: BodyForm, products: &[&str]) -> Vec<(PlannedMessage, Value)> {
        let products: Vec<String> = products.iter().map(|product| (*product).to_owned()).collect();
        let bodies = Bodies::new(42, form, &products);
        let mut workload = Workload::new(42, &KeySpace::uniform(10)).expect("valid");
        let mut buffer = b"left over".to_vec();
        (0..500)
            .map(|_| {
                let message = workload.next_message();
                bodies.write(&message, &mut buffer);
                (message, serde_json::from_slice(&buffer).expect("JSON"))
            })
            .collect()
    }

    #[test]
    fn an_order_of_the_storefront_costs_the_amount_of_its_message() {
        let (mut lines, mut sold, mut totals) = (BTreeSet::new(), BTreeSet::new(), HashSet::new());
        for (message, body) in bodies(BodyForm::Storefront, &PRODUCTS) {
            let fields: Vec<_> = body.as_object().expect("an object").keys().map(String::as_str).collect();
            assert_eq!(fields, ["items", "user_id"]);
            assert_eq!(body["user_id"], format!("user-{}", message.key));
            let items = body["items"].as_array().expect("an array");
            let mut products = BTreeSet::new();
            let mut total = 0;
            for item in items {
                let (quantity, price) = (item["quantity"].as_i64().expect("a number"), item["price"].as_i64());
                assert!((1..=3).contains(&quantity) && price.is_some_and(|price| price > 0), "{item}");
                total += quantity * price.unwrap_or_default();
                products.insert(item["product_id"].as_str().expect("text").to_owned());
            }
            assert_eq!(total, message.value, "{body}");
            assert_eq!(products.len(), items.len(), "no product stands on two lines");
            assert!(totals.insert(total), "every amount is distinct");
            lines.insert(items.len());
            sold.extend(products);
        }
        assert_eq!((lines, sold.len()), (BTreeSet::from([1, 2]), PRODUCTS.len()));
    }

    #[test]
    fn an_order_of_the_fanout_has_its_planned_id() {
        for (message, body) in bodies(BodyForm::Fanout, &["tea", "a \"mug\""]) {
            assert_eq!(order_id::decode(42, body["orderId"].as_str().expect("text")), Some(message.sequence));
            assert_eq!(
                (&body["userId"], &body["status"]),
                (&format!("user-{}", message.key).into(), &"PENDING".into())
            );
            assert_eq!(body["amount"], message.value);
            assert!(["tea", "a \"mug\""].contains(&body["productId"].as_str().expect("text")), "{body}");
        }
    }

    #[test]
    fn where_one_product_is_sold_an_order_has_one_line() {
        for (message, body) in bodies(BodyForm::Storefront, &["tea"]) {
            let items = serde_json::json!([
                {"product_id": "tea", "product_name": "tea", "quantity": 1, "price": message.value}
            ]);
            assert_eq!(body["items"], items);
        }
    }

    #[test]
    fn bodies_are_the_same_for_ever() {
        let (_, body) = bodies(BodyForm::Storefront, &PRODUCTS).swap_remove(7);
        assert_eq!(body.to_string(), GOLDEN, "the same plan must stay the same plan");
    }

    /// Order 7 of seed 42.
    const GOLDEN: &str = r#"{"items":[{"price":35,"product_id":"honey","product_name":"honey","quantity":3},{"price":107,"product_id":"biscuits","product_name":"biscuits","quantity":1}],"user_id":"user-5"}"#;
}
