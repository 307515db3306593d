//! One dead letter as it lies in its topic: whole where there is room for it, else with as much of its event as there is.
//!
//! A shortened letter says in `dlq-shortened` what of it is cut off or left out (`payload`, `key`, `headers`), and for what
//! is cut off how long it was and its SHA-256, so that its original can be told from others.

use super::DeadLetter;
use crate::clock::unix_us;
use crate::kafka::Publication;
use rdkafka::message::{Header, Headers, OwnedHeaders};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// More than the record around key, payload and headers takes.
const RECORD_BYTES: usize = 128;

/// More than a header takes besides its name and its value.
const HEADER_BYTES: usize = 10;

/// More than the headers take that tell how a letter is shortened.
const TELLING_BYTES: usize = 512;

/// A reason may quote the event, which may be of any length.
const REASON_CHARACTERS_MAX: usize = 500;

/// A letter, ready to be published.
pub(super) struct Letter<'a> {
    key: Option<&'a [u8]>,
    payload: Option<&'a [u8]>,
    headers: OwnedHeaders,
    is_shortened: bool,
}

impl<'a> Letter<'a> {
    /// The letter in at most so many bytes, if it can be.
    pub(super) fn within(room: usize, letter: &DeadLetter<'a>, service: &str) -> Self {
        let event = letter.event;
        let (key, payload) = (event.key.as_deref(), event.payload.as_deref());
        let own = own_headers(letter, service);
        let original = event.headers.clone().unwrap_or_else(|| OwnedHeaders::new_with_capacity(own.len()));
        let whole = Self { key, payload, headers: with(original, &own), is_shortened: false };
        if whole.bytes() <= room {
            return whole;
        }
        // For the payload is most of it; but a key, or headers, may be all of it.
        let left = room.saturating_sub(RECORD_BYTES + TELLING_BYTES + bytes_of(&with(OwnedHeaders::new(), &own)));
        let mut told = Vec::new();
        let mut telling = Vec::new();
        let original = event.headers.as_ref().filter(|headers| {
            let fits = bytes_of(headers) <= left / 4;
            if !fits {
                told.push("headers");
                telling.push(("dlq-headers-left-out", headers.count().to_string()));
            }
            fits
        });
        let key = key.map(|key| {
            let kept = &key[..key.len().min(left / 4)];
            if kept.len() < key.len() {
                told.push("key");
                telling.extend([("dlq-key-bytes", key.len().to_string()), ("dlq-key-sha256", digest(key))]);
            }
            kept
        });
        let left = left.saturating_sub(original.map_or(0, bytes_of) + key.map_or(0, <[u8]>::len));
        let payload = payload.map(|payload| {
            let kept = &payload[..payload.len().min(left)];
            if kept.len() < payload.len() {
                told.push("payload");
                let length = payload.len().to_string();
                telling.extend([("dlq-payload-bytes", length), ("dlq-payload-sha256", digest(payload))]);
            }
            kept
        });
        telling.push(("dlq-shortened", told.join(", ")));
        let headers = with(with(original.cloned().unwrap_or_else(OwnedHeaders::new), &own), &telling);
        Self { key, payload, headers, is_shortened: true }
    }

    pub(super) fn is_shortened(&self) -> bool {
        self.is_shortened
    }

    /// At most so long is its record.
    pub(super) fn bytes(&self) -> usize {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        RECORD_BYTES + length(self.key) + length(self.payload) + bytes_of(&self.headers)
    }

    pub(super) fn publication<'p>(&'p self, topic: &'p str) -> Publication<'p> {
        Publication { topic, key: self.key, payload: self.payload, headers: self.headers.clone() }
    }
}

/// A reason as it is told.
pub(super) fn reason(reason: &str) -> String {
    let mut shown: String = reason.chars().take(REASON_CHARACTERS_MAX).collect();
    if shown.len() < reason.len() {
        let _ = write!(shown, "... ({} bytes)", reason.len());
    }
    shown
}

/// What a letter has that its event had not.
fn own_headers(letter: &DeadLetter<'_>, service: &str) -> Vec<(&'static str, String)> {
    let event = letter.event;
    vec![
        ("dlq-reason", reason(&letter.reason)),
        ("dlq-service", service.to_owned()),
        ("dlq-topic", event.topic.to_string()),
        ("dlq-partition", event.partition.to_string()),
        ("dlq-offset", event.offset.to_string()),
        ("dlq-at-us", unix_us().to_string()),
    ]
}

fn with(headers: OwnedHeaders, more: &[(&'static str, String)]) -> OwnedHeaders {
    more.iter().fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(value.as_str()) }))
}

fn bytes_of(headers: &OwnedHeaders) -> usize {
    headers.iter().map(|header| HEADER_BYTES + header.key.len() + header.value.map_or(0, <[u8]>::len)).sum()
}

/// The SHA-256 in hexadecimal digits.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::testing::event;

    fn named<'l>(letter: &'l Letter<'_>) -> Vec<(&'l str, &'l str)> {
        let text = |value| std::str::from_utf8(value).unwrap();
        letter.headers.iter().map(|header| (header.key, text(header.value.unwrap()))).collect()
    }

    #[test]
    fn a_letter_keeps_its_headers_and_says_why_it_is_one() {
        let mut event = event("orders", 3, 41, "user-1", "nonsense");
        event.headers = Some(OwnedHeaders::new().insert(Header { key: "traceparent", value: Some("x") }));
        let letter = DeadLetter { event: &event, topic: "orders", reason: "its payload is not JSON".to_owned() };
        let letter = Letter::within(1_000_000, &letter, "payment");
        assert_eq!(
            named(&letter)[..6],
            [
                ("traceparent", "x"),
                ("dlq-reason", "its payload is not JSON"),
                ("dlq-service", "payment"),
                ("dlq-topic", "orders"),
                ("dlq-partition", "3"),
                ("dlq-offset", "41"),
            ]
        );
        assert!(!letter.is_shortened());
    }

    #[test]
    fn whatever_is_too_long_is_cut_and_told() {
        let long = "\u{20ac}".repeat(5000);
        let mut event = event("orders", 3, 41, &long, &long);
        event.headers = Some(OwnedHeaders::new().insert(Header { key: "note", value: Some(long.as_str()) }));
        let letter = DeadLetter { event: &event, topic: "orders", reason: long };
        for room in [1024, 8192, 20_000] {
            let fitted = Letter::within(room, &letter, "payment");
            let headers = named(&fitted);
            let header = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
            assert_eq!(header("dlq-shortened"), Some("headers, key, payload"));
            assert_eq!((header("note"), header("dlq-headers-left-out")), (None, Some("1")));
            assert_eq!((header("dlq-key-bytes"), header("dlq-payload-bytes")), (Some("15000"), Some("15000")));
            assert_eq!(header("dlq-payload-sha256").map(str::len), Some(64));
            assert!(header("dlq-reason").unwrap().ends_with("... (15000 bytes)"));
            // The reason alone takes 1,5 KiB.
            assert!(fitted.bytes() <= room.max(3 * 1024), "{} in {room}", fitted.bytes());
        }
        let fitted = Letter::within(60_000, &letter, "payment");
        assert!(!fitted.is_shortened(), "now there is room");
        assert_eq!(digest(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
