//! librdkafka's own log lines and errors, as lines of this service.

use crate::metrics::Metrics;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use tracing::{debug, error, info, warn};

/// The context of clients that need nothing but a voice.
#[derive(Debug, Clone)]
pub(crate) struct ClientLog {
    metrics: Metrics,
}

impl ClientLog {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { metrics }
    }
}

impl ClientContext for ClientLog {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                error!(facility, "kafka client: {text}");
            }
            // Properties from the environment go to every client, as they may concern any.
            RDKafkaLogLevel::Warning if text.contains("will be ignored by this") => {
                debug!(facility, "kafka client: {text}");
            }
            RDKafkaLogLevel::Warning => warn!(facility, "kafka client: {text}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => info!(facility, "kafka client: {text}"),
            RDKafkaLogLevel::Debug => debug!(facility, "kafka client: {text}"),
        }
    }

    fn error(&self, failure: KafkaError, reason: &str) {
        // The client recovers from these by itself; what it cannot recover from comes back from the call that failed.
        self.metrics.kafka_errors.inc();
        warn!(error = %failure, reason, "kafka client reported an error");
    }
}
