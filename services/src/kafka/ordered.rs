//! Publishing a batch so that its events lie in their topics in the order of the batch, whatever fails in between.

use super::producer::{EventProducer, acknowledged, is_queue_full};
use super::settings::KafkaSettings;
use crate::error::RunError;
use crate::metrics::{Metrics, TopicLabel};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::future_producer::DeliveryFuture;
use std::time::Duration;

/// What a producer needs that must never let an event overtake another.
pub(crate) const ORDERED: [(&str, &str); 4] = [
    // The batch is complete when it is sent: waiting for company only adds latency.
    ("linger.ms", "1"),
    // Never give up on an event that the broker may still take: to send it again later would put it behind the next one of
    // its key. A stop ends the waiting.
    ("message.timeout.ms", "0"),
    // When the broker refuses an event for good, stop before the next one is sent: the client would go on behind the gap,
    // and the event, tried again, would come after the next one. The producer is then replaced. What is already on its way
    // cannot be stopped, hence one request at a time; a batch fills it.
    ("enable.gapless.guarantee", "true"),
    ("max.in.flight.requests.per.connection", "1"),
];

/// An event as it is to lie in its topic.
#[derive(Debug, Clone)]
pub(crate) struct Publication<'a> {
    pub(crate) topic: &'a str,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) payload: Option<&'a [u8]>,
    pub(crate) headers: OwnedHeaders,
}

/// A producer of batches.
pub(crate) struct OrderedProducer {
    producer: EventProducer,
    metrics: Metrics,
}

impl OrderedProducer {
    pub(crate) fn create(settings: &KafkaSettings, metrics: &Metrics) -> Result<Self, RunError> {
        Ok(Self { producer: EventProducer::create(settings, &ORDERED, metrics)?, metrics: metrics.clone() })
    }

    /// Publishes the events and waits until Kafka has acknowledged all of them. After an error some may lie in their topics,
    /// none behind a gap; the whole batch can be published again.
    ///
    /// # Cancel safety
    /// What was handed to the client is still sent.
    pub(crate) async fn publish(&mut self, events: &[Publication<'_>]) -> Result<(), KafkaError> {
        self.producer.renew_if_fatal()?;
        let mut in_flight: Vec<(&str, DeliveryFuture)> = Vec::with_capacity(events.len());
        for event in events {
            let delivery = match self.producer.send_as_it_is(event) {
                Err(failure) if is_queue_full(&failure) => {
                    self.settle(std::mem::take(&mut in_flight)).await?;
                    self.producer.send_as_it_is(event)
                }
                other => other,
            };
            match delivery {
                Ok(delivery) => in_flight.push((event.topic, delivery)),
                Err(failure) => {
                    // Those before it are on their way: whoever publishes them again must not meet them there. Where one of
                    // them failed for good, that is why the client takes no more.
                    return self.settle(in_flight).await.and(Err(failure));
                }
            }
        }
        self.settle(in_flight).await
    }

    /// The longest record that the client sends; brokers may take less.
    pub(crate) fn message_bytes_max(&self) -> usize {
        self.producer.message_bytes_max()
    }

    /// The number of the topic's partitions; `None` while it does not exist.
    pub(crate) fn partitions(&self, topic: &str, timeout: Duration) -> Result<Option<usize>, KafkaError> {
        self.producer.partitions(topic, timeout)
    }

    /// Waits for every answer; the first failure is returned.
    async fn settle(&self, in_flight: Vec<(&str, DeliveryFuture)>) -> Result<(), KafkaError> {
        let mut first_failure = None;
        for (topic, delivery) in in_flight {
            let outcome = acknowledged(delivery).await;
            let of_outcome = if outcome.is_ok() { &self.metrics.produced } else { &self.metrics.produce_failed };
            of_outcome.get_or_create(&TopicLabel::new(topic)).inc();
            if let Err(failure) = outcome {
                first_failure.get_or_insert(failure);
            }
        }
        first_failure.map_or(Ok(()), Err)
    }
}
