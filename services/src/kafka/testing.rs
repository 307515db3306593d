//! Events for unit tests.

use super::batch::Event;
use std::sync::Arc;

/// An event with this key and payload.
pub(crate) fn event(topic: &str, partition: i32, offset: i64, key: &str, payload: &str) -> Event {
    Event {
        topic: Arc::from(topic),
        partition,
        offset,
        key: Some(key.as_bytes().to_vec()),
        payload: Some(payload.as_bytes().to_vec()),
        headers: None,
        trace: None,
    }
}
