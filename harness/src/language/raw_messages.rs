//! The keys that say whose messages the load's are, and how long.

use super::document::{Content, Node, Spanned};
use super::problem::Problems;
use super::quantity::{Proportion, Skew, Span};
use super::setting::{Setting, Whole, choices, settings, wrong_type};
use serde_json::{Value as Json, json};
use shakedown_loadgen::ByteSizes;
use shakedown_loadgen::byte_sizes::{BYTES_MAX, BYTES_MIN};
use shakedown_loadgen::keys::USERS_MAX;
use shakedown_loadgen::payload::RATIO_MAX;

choices! {
    /// Which Kafka client offers the load.
    pub enum DriverChoice {
        /// The client that most services have: every property of it, TLS, SASL, all codecs.
        Librdkafka = "librdkafka",
        /// One that does nothing but load, for rates that the other is too slow for; it has fewer properties.
        Direct = "direct",
    }
}

settings! {
    /// Whose messages they are.
    pub struct RawKeys {
        /// How many users there are; a user is a key. Default 1000.
        "users" => users: Option<Spanned<Whole<1, { USERS_MAX as u64 }>>>,
        /// Skew of a Zipf distribution over the users. Default: all alike.
        "zipf" => zipf: Option<Spanned<Skew>>,
        /// A few that have most of it, instead of `zipf`.
        "hot" => hot: Option<Spanned<RawHot>>,
        /// Whether each user in turn has the next message, instead of `zipf` and `hot`. Default: by chance.
        "sequential" => sequential: Option<Spanned<bool>>,
    }
}

settings! {
    /// Keys that are drawn more often than the others.
    pub struct RawHot {
        /// How many: the first of the users.
        "keys" => keys: Spanned<Whole<1, { USERS_MAX as u64 }>>,
        /// Their share of all messages.
        "share" => share: Spanned<Proportion>,
    }
}

settings! {
    /// Raw bytes in place of orders, with the message's identity in front.
    pub struct RawPayload {
        /// How long they are, in bytes.
        "bytes" => bytes: Spanned<PayloadSizes>,
        /// How many times shorter a compressor makes them. Default 1: they are random.
        "compression_ratio" => compression_ratio: Option<Spanned<Ratio>>,
    }
}

settings! {
    /// When transactions end, and which of them are aborted.
    pub struct RawTransactions {
        /// How long one is open, from its first message on. Default 100 ms.
        "every" => every: Option<Spanned<Span>>,
        /// With so many messages it is committed at once. Default: however many there are.
        "messages" => messages: Option<Spanned<Whole<1, { u32::MAX as u64 }>>>,
        /// The share of transactions that are aborted on purpose, drawn from the seed. Default: none.
        "abort" => abort: Option<Spanned<Proportion>>,
        /// What transactional ids begin with; the producer's number follows. Default: one of its own for each run.
        "id" => id: Option<Spanned<String>>,
    }
}

/// How long payloads are: `200`, or a distribution, as in `"100..2000"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadSizes(pub ByteSizes);

impl Setting for PayloadSizes {
    fn schema() -> Json {
        let examples = json!(["100..2000", "lognormal(300, 2000)", "100:9, 10000:1"]);
        json!({ "anyOf": [
            { "type": "integer", "minimum": BYTES_MIN, "maximum": BYTES_MAX },
            { "type": "string", "examples": examples },
        ] })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let text = match &node.content {
            Content::Integer(number) => number.to_string(),
            Content::Text(text) => text.clone(),
            _ => {
                wrong_type(node, path, "a number of bytes, or a distribution such as \"100..2000\"", problems);
                return None;
            }
        };
        match text.parse() {
            Ok(sizes) => Some(Self(sizes)),
            Err(error) => {
                let help =
                    "write 200, \"100..2000\", \"lognormal(MEDIAN, P99)\" or sizes with weights, \"100:9, 10000:1\"";
                problems.add(node.place, format!("`{path}`: {error}"), "not a size of payloads", help);
                None
            }
        }
    }
}

/// How many times shorter a compressor makes something.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio(pub f64);

impl Setting for Ratio {
    fn schema() -> Json {
        json!({ "type": "number", "minimum": 1, "maximum": RATIO_MAX })
    }

    fn read(node: &Node, path: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let number = match node.content {
            Content::Float(number) => number,
            Content::Integer(number) => f64::from(i32::try_from(number).unwrap_or(i32::MAX)),
            _ => {
                wrong_type(node, path, &format!("a number from 1 to {RATIO_MAX}, such as 2.5"), problems);
                return None;
            }
        };
        if (1.0..=RATIO_MAX).contains(&number) {
            return Some(Self(number));
        }
        let help = format!("allowed: 1 to {RATIO_MAX}");
        problems.add(node.place, format!("`{path}` cannot be {number}"), "out of range", help);
        None
    }
}
