//! How a tap finds out which message it sees.

use crate::identity_header::{self, IdentityHeader, IdentityHeaderError};
use crate::names::Names;
use rdkafka::message::{Headers, Message};
use serde_json::Value;
use shakedown_reports::identity::{Identity, Key};

/// Where a message's identity, amount and intended instant are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityRule {
    /// In the header of [`crate::identity_header`], or, where there is no such header, in the first bytes of the payload.
    Header,
    /// In its JSON payload.
    Json(JsonRule),
}

/// Places in a JSON payload, as JSON pointers (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonRule {
    /// A text or a whole number: the business identity.
    pub identity: String,
    /// The amount.
    pub value: ValueRule,
    /// When the message was wanted sent, in microseconds since the Unix epoch.
    pub intended_us: Option<String>,
}

/// The amount that a JSON payload carries, in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueRule {
    /// It carries none: 0.
    None,
    /// A whole number.
    Pointer(String),
    /// A sum over the elements of an array, each a product of whole numbers.
    SumOfProducts {
        /// The array.
        array: String,
        /// The numbers, as pointers from an element.
        factors: Vec<String>,
    },
}

/// What a rule reads out of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) identity: Identity,
    pub(crate) key: Key,
    pub(crate) value: i64,
    pub(crate) intended_ns: u64,
    /// The run that the header names.
    pub(crate) run: Option<u32>,
}

/// Why a rule cannot read a message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadability {
    #[error("it has no header {}, and its payload does not begin with one", identity_header::NAME)]
    NoHeader,
    #[error("{0}")]
    Header(#[from] IdentityHeaderError),
    #[error("it has no payload")]
    NoPayload,
    #[error("its payload is not JSON: {0}")]
    NotJson(String),
    #[error("{pointer} of its payload is {found}, not {expected}")]
    Field { pointer: String, found: String, expected: &'static str },
    #[error("its amount does not fit 64 bits")]
    Overflow,
    #[error("its key is not UTF-8")]
    Key,
}

impl IdentityRule {
    pub(crate) fn read(&self, message: &impl Message, names: &Names) -> Result<Reading, Unreadability> {
        let key = match message.key() {
            Some(key) => names.key(std::str::from_utf8(key).map_err(|_| Unreadability::Key)?),
            None => Key::ABSENT,
        };
        match self {
            Self::Header => {
                let header = read_header(message)?;
                Ok(Reading {
                    identity: Identity::planned(header.sequence),
                    key,
                    value: header.value,
                    intended_ns: header.intended_ns,
                    run: Some(header.run),
                })
            }
            Self::Json(rule) => rule.read(message.payload().ok_or(Unreadability::NoPayload)?, key, names),
        }
    }
}

fn read_header(message: &impl Message) -> Result<IdentityHeader, Unreadability> {
    let mut headers = message.headers().into_iter().flat_map(Headers::iter);
    if let Some(header) = headers.find(|header| header.key == identity_header::NAME) {
        return Ok(IdentityHeader::decode(header.value.unwrap_or_default())?);
    }
    let prefix = message.payload().and_then(|payload| payload.get(..identity_header::LENGTH));
    prefix.and_then(|prefix| IdentityHeader::decode(prefix).ok()).ok_or(Unreadability::NoHeader)
}

impl JsonRule {
    fn read(&self, payload: &[u8], key: Key, names: &Names) -> Result<Reading, Unreadability> {
        let document: Value =
            serde_json::from_slice(payload).map_err(|error| Unreadability::NotJson(error.to_string()))?;
        let identity = match document.pointer(&self.identity) {
            Some(Value::String(text)) => names.identity(text),
            Some(Value::Number(number)) if !number.is_f64() => names.identity(&number.to_string()),
            found => return Err(field(&self.identity, found, "a text or a whole number")),
        };
        let intended_ns = match &self.intended_us {
            None => 0,
            Some(pointer) => {
                let found = document.pointer(pointer);
                found
                    .and_then(Value::as_u64)
                    .and_then(|microseconds| microseconds.checked_mul(1_000))
                    .ok_or_else(|| field(pointer, found, "microseconds since 1970"))?
            }
        };
        Ok(Reading { identity, key, value: self.value.read(&document)?, intended_ns, run: None })
    }
}

impl ValueRule {
    fn read(&self, document: &Value) -> Result<i64, Unreadability> {
        match self {
            Self::None => Ok(0),
            Self::Pointer(pointer) => whole_number(document, pointer),
            Self::SumOfProducts { array, factors } => {
                let found = document.pointer(array);
                let elements = found.and_then(Value::as_array).ok_or_else(|| field(array, found, "an array"))?;
                elements.iter().try_fold(0_i64, |sum, element| {
                    let product = factors.iter().try_fold(1_i64, |product, factor| {
                        product.checked_mul(whole_number(element, factor)?).ok_or(Unreadability::Overflow)
                    })?;
                    sum.checked_add(product).ok_or(Unreadability::Overflow)
                })
            }
        }
    }
}

fn whole_number(document: &Value, pointer: &str) -> Result<i64, Unreadability> {
    let found = document.pointer(pointer);
    found.and_then(Value::as_i64).ok_or_else(|| field(pointer, found, "a whole number"))
}

fn field(pointer: &str, found: Option<&Value>, expected: &'static str) -> Unreadability {
    let found = found.map_or_else(|| "missing".to_owned(), Value::to_string);
    Unreadability::Field { pointer: pointer.to_owned(), found, expected }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order_id;
    use rdkafka::Timestamp;
    use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
    use shakedown_reports::Interner;
    use std::sync::Arc;

    fn names() -> Names {
        Names::new(Arc::new(Interner::in_memory("user-")), 42, 1_000)
    }

    fn message(key: Option<&[u8]>, payload: Option<&str>, headers: Option<OwnedHeaders>) -> OwnedMessage {
        let payload = payload.map(|payload| payload.as_bytes().to_vec());
        OwnedMessage::new(payload, key.map(<[u8]>::to_vec), "orders".to_owned(), Timestamp::NotAvailable, 0, 0, headers)
    }

    fn order_details() -> IdentityRule {
        IdentityRule::Json(JsonRule {
            identity: "/order_id".to_owned(),
            value: ValueRule::SumOfProducts {
                array: "/items".to_owned(),
                factors: vec!["/quantity".to_owned(), "/unit_price".to_owned()],
            },
            intended_us: Some("/created_at_us".to_owned()),
        })
    }

    #[test]
    fn a_header_says_everything() {
        let header = IdentityHeader {
            run: 5,
            producer: 0,
            sequence: 731,
            key: 17,
            key_sequence: 4,
            intended_ns: 99,
            value: 1_250,
        };
        let encoded = header.encode();
        let headers = OwnedHeaders::new()
            .insert(Header { key: "traceparent", value: Some("00-1") })
            .insert(Header { key: identity_header::NAME, value: Some(&encoded[..]) });
        let reading = IdentityRule::Header.read(&message(Some(b"user-17"), None, Some(headers)), &names());
        let mut payload = encoded.to_vec();
        payload.extend_from_slice(b"and more");
        let raw = |payload: Vec<u8>| {
            let (key, time) = (Some(b"user-17".to_vec()), Timestamp::NotAvailable);
            let message = OwnedMessage::new(Some(payload), key, "orders".to_owned(), time, 0, 0, None);
            IdentityRule::Header.read(&message, &names())
        };
        let expected = Reading {
            identity: Identity::planned(731),
            key: Key::planned(17),
            value: 1_250,
            intended_ns: 99,
            run: Some(5),
        };
        assert_eq!(reading, Ok(expected));
        assert_eq!(raw(payload.clone()), Ok(expected), "a raw payload begins with the same bytes");
        payload[20] ^= 1;
        assert_eq!(raw(payload), Err(Unreadability::NoHeader), "what only looks like it is nobody's");
    }

    #[test]
    fn json_gives_identity_amount_and_instant() {
        let id = String::from_utf8(order_id::encode(42, 7).to_vec()).expect("ASCII");
        let payload = format!(
            r#"{{"order_id":"{id}","items":[{{"quantity":2,"unit_price":150}},{{"quantity":3,"unit_price":7}}],"created_at_us":5}}"#
        );
        let reading = order_details().read(&message(Some(b"user-3"), Some(&payload), None), &names());
        let expected =
            Reading { identity: Identity::planned(7), key: Key::planned(3), value: 321, intended_ns: 5_000, run: None };
        assert_eq!(reading, Ok(expected));

        let rule = IdentityRule::Json(JsonRule {
            identity: "/id".to_owned(),
            value: ValueRule::Pointer("/total_cost".to_owned()),
            intended_us: None,
        });
        let reading = rule.read(&message(None, Some(r#"{"id":12,"total_cost":-4}"#), None), &names());
        let expected =
            Reading { identity: Identity::interned(0), key: Key::ABSENT, value: -4, intended_ns: 0, run: None };
        assert_eq!(reading, Ok(expected));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let reason = |rule: &IdentityRule, key: Option<&[u8]>, payload, headers| {
            rule.read(&message(key, payload, headers), &names()).expect_err("unreadable").to_string()
        };
        let json = order_details();
        for (payload, expected) in [
            ("{", "its payload is not JSON"),
            ("{}", "/order_id of its payload is missing, not a text or a whole number"),
            (r#"{"order_id":1.5}"#, "/order_id of its payload is 1.5, not"),
            (r#"{"order_id":"a","created_at_us":-1}"#, "/created_at_us of its payload is -1, not microseconds"),
            (r#"{"order_id":"a","created_at_us":1}"#, "/items of its payload is missing, not an array"),
            (
                r#"{"order_id":"a","created_at_us":1,"items":[{"quantity":1,"unit_price":1.5}]}"#,
                "/unit_price of its payload is 1.5, not a whole number",
            ),
            (
                r#"{"order_id":"a","created_at_us":1,"items":[{"quantity":9223372036854775807,"unit_price":2}]}"#,
                "its amount does not fit 64 bits",
            ),
        ] {
            let reason = reason(&json, None, Some(payload), None);
            assert!(reason.starts_with(expected), "{payload}: {reason}");
        }
        assert_eq!(reason(&json, None, None, None), "it has no payload");
        assert_eq!(reason(&json, Some(b"\xff"), Some("{}"), None), "its key is not UTF-8");
        assert_eq!(
            reason(&IdentityRule::Header, None, None, None),
            "it has no header shakedown, and its payload does not begin with one"
        );
        let short = OwnedHeaders::new().insert(Header { key: identity_header::NAME, value: Some(&[1_u8, 2][..]) });
        assert_eq!(
            reason(&IdentityRule::Header, None, None, Some(short)),
            "header shakedown has 2 bytes, 43 are allowed"
        );
    }
}
