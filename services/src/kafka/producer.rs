//! The producer: idempotent, acknowledged by every in-sync replica, partitioned by key as Java clients do.

use super::client_log::ClientLog;
use super::ordered::Publication;
use super::settings::KafkaSettings;
use crate::error::RunError;
use crate::metrics::Metrics;
use crate::trace::{TRACEPARENT, TraceContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::{DeliveryFuture, OwnedDeliveryResult};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use std::time::Duration;
use tracing::error;

const DEFAULTS: [(&str, &str); 4] = [
    ("acks", "all"),
    ("enable.idempotence", "true"),
    // Java's partitioner: a key's events lie in one partition whichever client wrote them.
    ("partitioner", "murmur2_random"),
    ("compression.codec", "none"),
];

/// An event to be produced.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: &'a str,
    pub(crate) key: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) trace: TraceContext,
}

/// Produces events and replaces the client under it when that reports a fatal error.
pub(crate) struct EventProducer {
    config: rdkafka::ClientConfig,
    client: FutureProducer<ClientLog>,
    log: ClientLog,
}

impl EventProducer {
    /// `defaults` are the service's own; they win over those of this module and yield to the environment.
    pub(crate) fn create(
        settings: &KafkaSettings,
        defaults: &[(&str, &str)],
        metrics: &Metrics,
    ) -> Result<Self, RunError> {
        let mut config = settings.client(&[&DEFAULTS, defaults].concat());
        if config.get("enable.idempotence") == Some("false") {
            // Means nothing without idempotence, and is refused by the client.
            config.remove("enable.gapless.guarantee");
        }
        let log = ClientLog::new(metrics.clone());
        let client = config
            .create_with_context(log.clone())
            .map_err(|source| RunError::KafkaClient { client: "producer", source })?;
        Ok(Self { config, client, log })
    }

    /// Hands the event to the client. The future resolves when it is acknowledged, or will not be.
    ///
    /// # Errors
    /// `MessageProduction(QueueFull)` when the client holds too many unacknowledged events: wait and try again.
    pub(crate) fn send(&self, event: &Outgoing<'_>) -> KafkaResult<DeliveryFuture> {
        let trace = event.trace.header();
        let headers = OwnedHeaders::new_with_capacity(1).insert(Header { key: TRACEPARENT, value: Some(&trace) });
        let record = FutureRecord::to(event.topic).key(event.key).payload(event.payload).headers(headers);
        self.client.send_result(record).map_err(|(failure, _)| failure)
    }

    /// As `send`, for an event that has its headers already, and perhaps no key or no payload.
    pub(crate) fn send_as_it_is(&self, event: &Publication<'_>) -> KafkaResult<DeliveryFuture> {
        let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(event.topic).headers(event.headers.clone());
        (record.key, record.payload) = (event.key, event.payload);
        self.client.send_result(record).map_err(|(failure, _)| failure)
    }

    /// After a fatal error (a broker lost what this producer's sequence numbers rest on) the client refuses all
    /// further work; a new one starts afresh. Its unacknowledged events resolve as failed.
    pub(crate) fn renew_if_fatal(&mut self) -> KafkaResult<()> {
        if let Some((code, reason)) = self.client.client().fatal_error() {
            error!(%code, reason, "the producer failed for good, it is replaced");
            self.client = self.config.create_with_context(self.log.clone())?;
        }
        Ok(())
    }

    /// The number of the topic's partitions; `None` while it does not exist.
    pub(crate) fn partitions(&self, topic: &str, timeout: Duration) -> KafkaResult<Option<usize>> {
        let metadata = self.client.client().fetch_metadata(Some(topic), timeout)?;
        let partitions = metadata.topics().iter().map(|topic| topic.partitions().len()).sum();
        Ok((partitions > 0).then_some(partitions))
    }

    /// The longest record that the client sends; brokers may take less.
    pub(crate) fn message_bytes_max(&self) -> usize {
        const DEFAULT: usize = 1_000_000;
        self.config.get("message.max.bytes").and_then(|bytes| bytes.parse().ok()).unwrap_or(DEFAULT)
    }

    /// Waits until everything is acknowledged or has failed.
    pub(crate) fn flush(&self, timeout: Duration) -> KafkaResult<()> {
        self.client.flush(timeout)
    }
}

/// Whether the client only asks to wait.
pub(crate) fn is_queue_full(failure: &KafkaError) -> bool {
    matches!(failure, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull))
}

/// Whether the client or a broker refuses an event, or the batch that it came in, for its length.
pub(crate) fn is_too_large(failure: &KafkaError) -> bool {
    use RDKafkaErrorCode::{MessageBatchTooLarge, MessageSizeTooLarge};
    matches!(failure, KafkaError::MessageProduction(MessageSizeTooLarge | MessageBatchTooLarge))
}

/// Waits for an event to be acknowledged.
pub(crate) async fn acknowledged(delivery: DeliveryFuture) -> KafkaResult<()> {
    let result: OwnedDeliveryResult = match delivery.await {
        Ok(result) => result,
        // The client was replaced before it knew.
        Err(_) => return Err(KafkaError::Canceled),
    };
    match result {
        Ok(_) => Ok(()),
        Err((failure, _)) => Err(failure),
    }
}
