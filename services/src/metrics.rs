//! What `/metrics` shows: one registry a service, the counters that all services share, and a way to add own ones.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::sync::{Arc, Mutex, PoisonError};

/// The counters of one service; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Arc<Mutex<Registry>>,
    /// Events read from a topic, malformed ones included.
    pub(crate) consumed: Family<TopicLabel, Counter>,
    /// Events that were skipped because they could not be understood.
    pub(crate) malformed: Family<MalformedLabels, Counter>,
    /// Events that Kafka acknowledged.
    pub(crate) produced: Family<TopicLabel, Counter>,
    /// Events that Kafka did not acknowledge.
    pub(crate) produce_failed: Family<TopicLabel, Counter>,
    /// Batches that were rewound to be tried again.
    pub(crate) batches_retried: Counter,
    /// Commits of offsets that failed.
    pub(crate) commits_failed: Counter,
    /// Errors that the Kafka client reported.
    pub(crate) kafka_errors: Counter,
}

/// The topic of an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct TopicLabel {
    pub(crate) topic: String,
}

/// Where a malformed event came from, and what was wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct MalformedLabels {
    pub(crate) topic: String,
    pub(crate) reason: String,
}

impl TopicLabel {
    pub(crate) fn new(topic: &str) -> Self {
        Self { topic: topic.to_owned() }
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Self {
            registry: Arc::default(),
            consumed: Family::default(),
            malformed: Family::default(),
            produced: Family::default(),
            produce_failed: Family::default(),
            batches_retried: Counter::default(),
            commits_failed: Counter::default(),
            kafka_errors: Counter::default(),
        };
        {
            let mut registry = metrics.registry.lock().unwrap_or_else(PoisonError::into_inner);
            registry.register("events_consumed", "Events read from a topic", metrics.consumed.clone());
            registry.register("events_malformed", "Events skipped as malformed", metrics.malformed.clone());
            registry.register("events_produced", "Events acknowledged by Kafka", metrics.produced.clone());
            registry.register("events_produce_failed", "Events Kafka did not take", metrics.produce_failed.clone());
            registry.register("batches_retried", "Batches rewound to be tried again", metrics.batches_retried.clone());
            registry.register("offset_commits_failed", "Failed offset commits", metrics.commits_failed.clone());
            registry.register("kafka_errors", "Errors of the Kafka client", metrics.kafka_errors.clone());
        }
        metrics
    }

    /// Adds a counter of one service. The text format appends `_total` to its name.
    pub(crate) fn counter(&self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.registry.lock().unwrap_or_else(PoisonError::into_inner).register(name, help, counter.clone());
        counter
    }

    /// Everything, in the OpenMetrics text format.
    pub(crate) fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_appear_in_the_text_format() {
        let metrics = Metrics::new();
        metrics.consumed.get_or_create(&TopicLabel::new("orders")).inc_by(3);
        metrics.counter("orders_tracked", "Orders in the audit trail").inc();
        let text = metrics.encode().unwrap();
        assert!(text.contains("events_consumed_total{topic=\"orders\"} 3\n"), "{text}");
        assert!(text.contains("orders_tracked_total 1\n"), "{text}");
    }
}
