//! An event on its way to its topic.

use crate::clock::unix_us;
use crate::kafka::Publication;
use crate::trace::{TRACEPARENT, TraceContext};
use rdkafka::message::{Header, OwnedHeaders};
use serde::Serialize;
use std::sync::Arc;

/// The header that says which event it is; the payload says so, too.
const EVENT_ID: &str = "event-id";

/// An event that is to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewEvent {
    pub(crate) event_id: String,
    pub(crate) topic: Arc<str>,
    pub(crate) key: String,
    /// JSON.
    pub(crate) payload: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl NewEvent {
    /// An event of this service.
    pub(crate) fn new(
        topic: &Arc<str>,
        key: &str,
        event_id: &str,
        payload: &impl Serialize,
        trace: TraceContext,
    ) -> Self {
        let headers = vec![(EVENT_ID.to_owned(), event_id.to_owned()), (TRACEPARENT.to_owned(), trace.header())];
        let encoded = serde_json::to_string(payload);
        debug_assert!(encoded.is_ok(), "plain fields always encode");
        let payload = encoded.unwrap_or_default();
        Self { event_id: event_id.to_owned(), topic: Arc::clone(topic), key: key.to_owned(), payload, headers }
    }

    /// In the form in which Kafka takes it.
    pub(crate) fn publication(&self) -> Publication<'_> {
        let headers =
            self.headers.iter().fold(OwnedHeaders::new_with_capacity(self.headers.len()), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value) })
            });
        Publication {
            topic: &self.topic,
            key: Some(self.key.as_bytes()),
            payload: Some(self.payload.as_bytes()),
            headers,
        }
    }

    pub(super) fn headers_as_text(&self) -> String {
        serde_json::to_string(&self.headers).unwrap_or_default()
    }

    pub(super) fn headers_from_text(text: &str) -> Vec<(String, String)> {
        serde_json::from_str(text).unwrap_or_default()
    }
}

/// An id that nothing else has. Ids ascend with the time to the millisecond (UUID version 7), so that an index over them
/// grows at its end.
pub(crate) fn new_id() -> String {
    let random: [u8; 10] = rand::random();
    uuid::Builder::from_unix_timestamp_millis(unix_us() / 1000, &random).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TraceIds;

    #[test]
    fn an_event_keeps_its_headers_in_the_store() {
        let trace = TraceIds::seeded(1).first(true);
        let event = NewEvent::new(&Arc::from("t"), "user-1", "e-1", &serde_json::json!({"a": 1}), trace);
        assert_eq!(NewEvent::headers_from_text(&event.headers_as_text()), event.headers);
        assert_eq!(event.headers[0], (EVENT_ID.to_owned(), "e-1".to_owned()));
        assert_eq!(event.headers[1], (TRACEPARENT.to_owned(), trace.header()));
        assert_eq!(event.payload, r#"{"a":1}"#);
    }

    #[test]
    fn ids_are_all_different_and_ascend_with_time() {
        let (first, second) = (new_id(), new_id());
        assert_ne!(first, second);
        assert!(uuid::Uuid::try_parse(&first).is_ok());
        assert!(first[..8] <= second[..8]);
    }
}
