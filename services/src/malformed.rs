//! Events that cannot be understood: said aloud, counted, and skipped, so that one of them never stops a partition.

use crate::kafka::Event;
use crate::metrics::{MalformedLabels, Metrics};
use thiserror::Error;
use tracing::error;

/// What is wrong with an event.
#[derive(Debug, Error)]
pub(crate) enum Malformed {
    #[error("it has no payload")]
    NoPayload,
    #[error("its key is not text")]
    KeyNotText,
    #[error("it has the character zero in it, which no store can take")]
    Zero,
    #[error("its payload is not JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    #[error("its payload has another shape: {0}")]
    WrongShape(#[source] serde_json::Error),
    #[error("its {field} is {value}, allowed: {allowed}")]
    Value { field: &'static str, value: String, allowed: &'static str },
}

impl Malformed {
    pub(crate) fn value(field: &'static str, value: &impl ToString, allowed: &'static str) -> Self {
        Self::Value { field, value: value.to_string(), allowed }
    }

    /// The reason as a metric's label: few words, whatever the events are like.
    fn label(&self) -> &'static str {
        match self {
            Self::NoPayload => "no-payload",
            Self::KeyNotText => "key-not-text",
            Self::Zero => "zero",
            Self::NotJson(_) => "not-json",
            Self::WrongShape(_) => "wrong-shape",
            Self::Value { .. } => "value",
        }
    }

    /// Counts the event, whatever becomes of it.
    pub(crate) fn count(&self, event: &Event, metrics: &Metrics) {
        let labels = MalformedLabels { topic: event.topic.to_string(), reason: self.label().to_owned() };
        metrics.malformed.get_or_create(&labels).inc();
    }

    /// Logs and counts the event that is about to be skipped.
    pub(crate) fn report(&self, event: &Event, metrics: &Metrics) {
        self.count(event, metrics);
        error!(
            topic = %event.topic,
            partition = event.partition,
            offset = event.offset,
            trace_id = event.trace.map(|trace| tracing::field::display(trace.trace_id())),
            reason = %self,
            "skipped a malformed event"
        );
    }
}

impl From<serde_json::Error> for Malformed {
    fn from(failure: serde_json::Error) -> Self {
        if failure.is_data() { Self::WrongShape(failure) } else { Self::NotJson(failure) }
    }
}
