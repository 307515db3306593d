//! Idempotency keys, and what was answered to the first request that came with each. A key belongs to a path: `ORDER_ID` means
//! a capture at one and a shipment at another.
//!
//! Two bodies are the same where their JSON is: the order of fields and the space between them say nothing.

use super::trade::Answer;
use serde_json::Value as Json;
use shakedown_loadgen::Digest;
use std::collections::HashMap;

/// The keys that came, for as long as the run lasts.
#[derive(Debug, Default)]
pub(super) struct Keys(HashMap<&'static str, HashMap<String, Remembered>>);

/// What a key stands for.
#[derive(Debug, Clone)]
pub(super) struct Remembered {
    /// The body that it came with.
    pub(super) body: Fingerprint,
    /// Whether the answer was a 402.
    pub(super) is_declined: bool,
    pub(super) answer: Answer,
}

/// What a body says, in 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint(u64);

impl Keys {
    /// What this key stands for at this path.
    pub(super) fn recall(&self, path: &'static str, key: &str) -> Option<&Remembered> {
        self.0.get(path)?.get(key)
    }

    /// From now on the key stands for this.
    pub(super) fn remember(&mut self, path: &'static str, key: &str, remembered: Remembered) {
        self.0.entry(path).or_default().insert(key.to_owned(), remembered);
    }
}

impl Fingerprint {
    pub(super) fn of(body: &Json) -> Self {
        let mut digest = Digest::new();
        add(&mut digest, body);
        Self(digest.value())
    }
}

/// Kinds are told apart, too: `1`, `"1"` and `[1]` are three things.
fn add(digest: &mut Digest, json: &Json) {
    match json {
        Json::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| name.as_str());
            digest.text("object");
            digest.number(fields.len() as u64);
            for (name, value) in fields {
                digest.text(name);
                add(digest, value);
            }
        }
        Json::Array(values) => {
            digest.text("array");
            digest.number(values.len() as u64);
            values.iter().for_each(|value| add(digest, value));
        }
        Json::String(text) => {
            digest.text("string");
            digest.text(text);
        }
        // Numbers, truth values and null are what they are written as.
        other => digest.text(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies_are_told_apart_by_what_they_say() {
        let of = |text: &str| Fingerprint::of(&serde_json::from_str(text).expect("JSON"));
        assert_eq!(of(r#"{"a":1,"b":{"c":[1,2],"d":null}}"#), of(r#" { "b": {"d":null, "c":[1, 2]}, "a": 1 } "#));
        let others =
            [r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":"1"}"#, r#"{"a":[1]}"#, r#"{"a":[[1]]}"#, r#"{"b":1}"#, "[]", "{}"];
        for (index, one) in others.iter().enumerate() {
            assert!(others[..index].iter().all(|other| of(other) != of(one)), "{one}");
        }
    }

    #[test]
    fn a_key_stands_for_something_at_one_path() {
        let mut keys = Keys::default();
        let body = Fingerprint::of(&json!({}));
        keys.remember("/captures", "k", Remembered { body, is_declined: false, answer: "{}".into() });
        assert!(keys.recall("/captures", "k").is_some_and(|known| known.body == body));
        assert!(keys.recall("/refunds", "k").is_none() && keys.recall("/captures", "K").is_none());
    }
}
