//! What is refused, and in which words. Nothing of a refused order is stored or published.

use super::object::Object;
use crate::http::ApiError;
use crate::ids;
use crate::shop::catalogue::Catalogue;
use crate::shop::facts::{Item, total};
use axum::http::HeaderMap;
use serde::Deserialize;
use utoipa::ToSchema;

/// Enough for any shop, and little enough to answer in no time.
const ITEMS_MAX: usize = 100;
const QUANTITY_MAX: u32 = 1_000_000;
const TEXT_CHARACTERS_MAX: usize = ids::CHARACTERS_MAX;
/// In minor units. A store adds up millions of such orders before its sums no longer fit.
const TOTAL_MAX: i64 = 1_000_000_000_000;

/// An order as a client asks for it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOrder {
    /// 1 to 200 characters.
    user_id: String,
    /// 1 to 100.
    #[schema(value_type = Vec<NewItem>)]
    items: Vec<Object<NewItem>>,
}

/// A line of it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewItem {
    /// One of the catalogue.
    product_id: String,
    product_name: String,
    /// 1 to 1000000.
    quantity: u32,
    /// Of one piece, in minor units.
    price: i64,
}

/// An order that can be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SoundOrder {
    /// Where the client gives it one.
    pub(crate) order_id: Option<String>,
    pub(crate) user_id: String,
    pub(crate) items: Vec<Item>,
    /// In minor units.
    pub(crate) total: i64,
}

impl NewOrder {
    /// The order, if it can be accepted.
    pub(crate) fn check(self, catalogue: &Catalogue) -> Result<SoundOrder, ApiError> {
        user("user_id", &self.user_id)?;
        if self.items.is_empty() || self.items.len() > ITEMS_MAX {
            return Err(refused("items", self.items.len(), &format!("1 to {ITEMS_MAX} of them")));
        }
        let mut items = Vec::with_capacity(self.items.len());
        for (index, Object(item)) in self.items.into_iter().enumerate() {
            let field = |name: &str| format!("items[{index}].{name}");
            text(&field("product_id"), &item.product_id)?;
            text(&field("product_name"), &item.product_name)?;
            if !catalogue.has(&item.product_id) {
                let known = format!("one of the catalogue: {}", catalogue.some_ids());
                return Err(refused(&field("product_id"), format!("\"{}\"", item.product_id), &known));
            }
            if !(1..=QUANTITY_MAX).contains(&item.quantity) {
                return Err(refused(&field("quantity"), item.quantity, &format!("1 to {QUANTITY_MAX}")));
            }
            if item.price < 0 {
                return Err(refused(&field("price"), item.price, "0 or more, in minor units"));
            }
            let NewItem { product_id, product_name, quantity, price } = item;
            items.push(Item { product_id, product_name, quantity, price });
        }
        let Some(total) = total(&items).filter(|total| *total <= TOTAL_MAX) else {
            return Err(refused("items", "more than can be paid", &format!("a sum up to {TOTAL_MAX}, in minor units")));
        };
        Ok(SoundOrder { order_id: None, user_id: self.user_id, items, total })
    }
}

/// An order as a client of the fanout asks for it: one piece of one product.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewFanoutOrder {
    /// The client's: the same again is the same order. 1 to 200 characters.
    order_id: String,
    /// 1 to 200 characters.
    user_id: String,
    /// `PENDING`.
    status: String,
    /// One of the catalogue; by default its first.
    product_id: Option<String>,
    /// What it costs, in minor units; 1000 by default.
    amount: Option<i64>,
}

impl NewFanoutOrder {
    /// The order, if it can be accepted.
    pub(crate) fn check(self, catalogue: &Catalogue) -> Result<SoundOrder, ApiError> {
        const AMOUNT_DEFAULT: i64 = 1000;
        id("orderId", &self.order_id)?;
        user("userId", &self.user_id)?;
        if self.status != "PENDING" {
            return Err(refused("status", format!("\"{}\"", self.status), "PENDING"));
        }
        let product_id = self.product_id.unwrap_or_else(|| catalogue.first().to_owned());
        text("productId", &product_id)?;
        if !catalogue.has(&product_id) {
            let known = format!("one of the catalogue: {}", catalogue.some_ids());
            return Err(refused("productId", format!("\"{product_id}\""), &known));
        }
        let total = self.amount.unwrap_or(AMOUNT_DEFAULT);
        if !(0..=TOTAL_MAX).contains(&total) {
            return Err(refused("amount", total, &format!("0 to {TOTAL_MAX}, in minor units")));
        }
        let item = Item { product_name: product_id.clone(), product_id, quantity: 1, price: total };
        Ok(SoundOrder { order_id: Some(self.order_id), user_id: self.user_id, items: vec![item], total })
    }
}

/// The `Idempotency-Key` of a request, if it has one.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let found = match value.to_str() {
        Ok(key) if (1..=TEXT_CHARACTERS_MAX).contains(&key.len()) => return Ok(Some(key.to_owned())),
        Ok(key) => format!("{} characters long", key.len()),
        Err(_) => "not visible ASCII".to_owned(),
    };
    let allowed = format!("1 to {TEXT_CHARACTERS_MAX} visible ASCII characters");
    Err(ApiError::BadRequest(format!("Idempotency-Key is {found}, which is not allowed\n  allowed: {allowed}")))
}

/// The order's id that a client gives it by its key: any UUID in its usual form, hyphenated and in lower case, so that two keys
/// never mean one id.
pub(crate) fn order_id_of(key: &str) -> Option<String> {
    let id = uuid::Uuid::try_parse(key).ok()?.hyphenated().to_string();
    (id == key).then_some(id)
}

/// An id that a client gives: it comes to stand in headers and in paths.
fn id(field: &str, value: &str) -> Result<(), ApiError> {
    if (1..=TEXT_CHARACTERS_MAX).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let allowed = format!("1 to {TEXT_CHARACTERS_MAX} visible ASCII characters, no spaces");
    let characters = value.chars().count();
    let found =
        if characters > TEXT_CHARACTERS_MAX { format!("{characters} characters long") } else { format!("{value:?}") };
    Err(refused(field, found, &allowed))
}

/// Whose order it is: an id that its client gives, in any script.
fn user(field: &str, value: &str) -> Result<(), ApiError> {
    ids::refusal(field, value).map_or(Ok(()), |message| Err(ApiError::Invalid(message)))
}

fn text(field: &str, value: &str) -> Result<(), ApiError> {
    let characters = value.chars().count();
    // PostgreSQL has no way to store the character zero.
    if characters == 0 || characters > TEXT_CHARACTERS_MAX || value.contains('\0') {
        let allowed = format!("text of 1 to {TEXT_CHARACTERS_MAX} characters, none of them zero");
        return Err(refused(field, format!("text of {characters} characters"), &allowed));
    }
    Ok(())
}

fn refused(field: &str, value: impl std::fmt::Display, allowed: &str) -> ApiError {
    ApiError::Invalid(format!("{field} is {value}, which is not allowed\n  allowed: {allowed}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use serde_json::{Value, json};

    fn check(order: Value) -> Result<SoundOrder, String> {
        let catalogue = Catalogue::read(&Environment::from_iter([("CATALOGUE", "tea=1,mug=1")])).unwrap();
        let order: NewOrder = serde_json::from_value(order).unwrap();
        order.check(&catalogue).map_err(|error| match error {
            ApiError::Invalid(message) => message,
            other => panic!("{other:?}"),
        })
    }

    fn of_items(items: &Value) -> Value {
        json!({"user_id": "ada", "items": items})
    }

    fn line(product_id: &str, quantity: u32, price: i64) -> Value {
        json!({"product_id": product_id, "product_name": "n", "quantity": quantity, "price": price})
    }

    #[test]
    fn a_sound_order_has_its_sum() {
        let order = check(of_items(&json!([line("tea", 2, 250), line("mug", 1, 0)]))).unwrap();
        assert_eq!((order.total, order.items.len()), (500, 2));
    }

    #[test]
    fn what_is_refused_is_named_with_what_is_allowed() {
        for (order, complaint) in [
            (json!({"user_id": "", "items": []}), "user_id is \"\", which is not allowed"),
            (of_items(&json!([])), "items is 0, which is not allowed\n  allowed: 1 to 100 of them"),
            (
                of_items(&json!([line("tea", 0, 1)])),
                "items[0].quantity is 0, which is not allowed\n  allowed: 1 to 1000000",
            ),
            (
                of_items(&json!([line("tea", 1, 1), line("coffee", 1, 1)])),
                "items[1].product_id is \"coffee\", which is not",
            ),
            (
                of_items(&json!([line("tea", 1, -1)])),
                "items[0].price is -1, which is not allowed\n  allowed: 0 or more",
            ),
            (of_items(&json!([line("tea", 2, i64::MAX)])), "items is more than can be paid, which is not allowed"),
            (of_items(&json!([line("tea", 1, i64::MAX), line("mug", 1, 1)])), "items is more than can be paid"),
            (of_items(&json!([line("tea", 1, TOTAL_MAX), line("mug", 1, 1)])), "items is more than can be paid"),
            (json!({"user_id": "a\0b", "items": []}), "user_id is a text with the control character U+0000 in it"),
            (json!({"user_id": "u".repeat(201), "items": []}), "user_id is 201 characters long, which is not allowed"),
        ] {
            let said = check(order).unwrap_err();
            assert!(said.starts_with(complaint), "{said}");
        }
        let many: Vec<Value> = (0..101).map(|_| line("tea", 1, 1)).collect();
        assert!(check(of_items(&json!(many))).unwrap_err().starts_with("items is 101"));
    }

    #[test]
    fn an_order_of_the_fanout_is_one_piece_of_one_product() {
        let catalogue = Catalogue::read(&Environment::from_iter([("CATALOGUE", "tea=1,mug=1")])).unwrap();
        let check = |order: Value| serde_json::from_value::<NewFanoutOrder>(order).unwrap().check(&catalogue);
        let order = check(json!({"orderId": "o-1", "userId": "ada", "status": "PENDING"})).unwrap();
        assert_eq!(
            (order.order_id.as_deref(), order.total, order.items[0].product_id.as_str()),
            (Some("o-1"), 1000, "mug")
        );
        for wrong in [
            json!({"orderId": "", "userId": "ada", "status": "PENDING"}),
            json!({"orderId": "o\n1", "userId": "ada", "status": "PENDING"}),
            json!({"orderId": "gr\u{f6}\u{df}e-1", "userId": "ada", "status": "PENDING"}),
            json!({"orderId": "o".repeat(TEXT_CHARACTERS_MAX + 1), "userId": "ada", "status": "PENDING"}),
            json!({"orderId": "o", "userId": "ada", "status": "PAID"}),
            json!({"orderId": "o", "userId": "ada", "status": "PENDING", "productId": "coffee"}),
            json!({"orderId": "o", "userId": "ada", "status": "PENDING", "amount": -1}),
            json!({"orderId": "o", "userId": "ada", "status": "PENDING", "amount": TOTAL_MAX + 1}),
        ] {
            assert!(matches!(check(wrong), Err(ApiError::Invalid(_))));
        }
    }

    #[test]
    fn a_key_is_visible_text() {
        let mut headers = HeaderMap::new();
        assert_eq!(idempotency_key(&headers).unwrap(), None);
        headers.insert("idempotency-key", "k-1".parse().unwrap());
        assert_eq!(idempotency_key(&headers).unwrap().as_deref(), Some("k-1"));
        headers.insert("idempotency-key", "k".repeat(201).parse().unwrap());
        assert!(idempotency_key(&headers).is_err());
    }

    #[test]
    fn a_key_is_an_id_in_one_form_only() {
        let id = "8827d5e2-b24f-4de4-8a1a-931b41232c0d";
        assert_eq!(order_id_of(id).as_deref(), Some(id));
        for key in [
            "k-1",
            "",
            "8827D5E2-b24f-4de4-8a1a-931b41232c0d",
            "8827d5e2b24f4de48a1a931b41232c0d",
            "{8827d5e2-b24f-4de4-8a1a-931b41232c0d}",
            "urn:uuid:8827d5e2-b24f-4de4-8a1a-931b41232c0d",
        ] {
            assert_eq!(order_id_of(key), None, "{key}");
        }
    }
}
