//! The transaction service: prices each order of `order-details` and publishes it to `order-processed`.
//!
//! Orders keep their key, and with it their place among the orders of the same user. The offsets of a batch are
//! committed when Kafka has acknowledged everything that came of it; a crash in between prices some orders again.

use crate::config::{ConfigError, Environment};
use crate::domain::{OrderDetails, OrderProcessed};
use crate::error::RunError;
use crate::kafka::{
    BatchError, BatchHandler, ConsumerSettings, Event, EventProducer, ORDERED, Outgoing, acknowledged,
    finished_offsets, is_queue_full, spawn_consumer,
};
use crate::malformed::Malformed;
use crate::metrics::{Metrics, TopicLabel};
use crate::service::{Context, Running};
use crate::trace::TraceIds;
use prometheus_client::metrics::counter::Counter;
use rdkafka::error::KafkaError;
use rdkafka::producer::future_producer::DeliveryFuture;
use thiserror::Error;
use tracing::{debug, info};
use utoipa_axum::router::OpenApiRouter;

#[derive(Debug, Clone)]
struct Settings {
    consumer: ConsumerSettings,
    processed_topic: String,
}

impl Settings {
    fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let topics = vec![environment.text("ORDER_DETAILS_TOPIC", "order-details")];
        let consumer = ConsumerSettings::read(environment, topics, "transaction", 2000)?;
        Ok(Self { consumer, processed_topic: environment.text("ORDER_PROCESSED_TOPIC", "order-processed") })
    }
}

/// Starts the service.
pub(crate) fn start(environment: &Environment, context: &Context) -> Result<Running, RunError> {
    let settings = Settings::read(environment)?;
    let handler = Pricing {
        producer: EventProducer::create(&context.kafka, &ORDERED, &context.metrics)?,
        produced: context.metrics.produced.get_or_create(&TopicLabel::new(&settings.processed_topic)).clone(),
        failed: context.metrics.produce_failed.get_or_create(&TopicLabel::new(&settings.processed_topic)).clone(),
        topic: settings.processed_topic,
        traces: TraceIds::new(),
        metrics: context.metrics.clone(),
        payload: Vec::with_capacity(256),
    };
    let worker = spawn_consumer(&settings.consumer, handler, None, context)?;
    Ok(Running::with(OpenApiRouter::new(), worker))
}

struct Pricing {
    producer: EventProducer,
    topic: String,
    traces: TraceIds,
    metrics: Metrics,
    produced: Counter,
    failed: Counter,
    /// Reused for every event.
    payload: Vec<u8>,
}

/// An order that could not be published.
#[derive(Debug, Error)]
#[error("failed to publish to {topic}: {source}")]
struct PublishError {
    topic: String,
    source: KafkaError,
}

impl BatchHandler for Pricing {
    async fn handle(&mut self, batch: &[Event]) -> Result<(), BatchError> {
        self.producer.renew_if_fatal().map_err(|source| BatchError::whole(self.publish_error(source)))?;
        let mut finished = vec![false; batch.len()];
        let mut failure = None;
        // Sent and not yet acknowledged, by the event's place in the batch.
        let mut in_flight: Vec<(usize, DeliveryFuture)> = Vec::with_capacity(batch.len());
        for (index, event) in batch.iter().enumerate() {
            match price(event) {
                Ok(order) => match self.publish(event, &order, &mut in_flight, &mut finished).await {
                    Ok(delivery) => in_flight.push((index, delivery)),
                    Err(error) => {
                        failure = Some(error);
                        break;
                    }
                },
                Err(malformed) => {
                    malformed.report(event, &self.metrics);
                    finished[index] = true;
                }
            }
        }
        let settled = self.settle(in_flight, &mut finished).await;
        match failure.or(settled.err()) {
            None => Ok(()),
            Some(source) => {
                Err(BatchError::part(finished_offsets(batch, &finished), Box::new(self.publish_error(source))))
            }
        }
    }
}

impl Pricing {
    /// Hands a priced order to the producer, first waiting for those before it if the producer's queue is full.
    async fn publish(
        &mut self,
        event: &Event,
        order: &OrderProcessed<'_>,
        in_flight: &mut Vec<(usize, DeliveryFuture)>,
        finished: &mut [bool],
    ) -> Result<DeliveryFuture, KafkaError> {
        let trace = self.traces.next_hop(event.trace);
        let (trace_id, order_id, total_cost) = (trace.trace_id(), &*order.order_id, order.total_cost);
        if trace.sampled {
            info!(%trace_id, order_id, total_cost, "order priced");
        } else {
            debug!(%trace_id, order_id, total_cost, "order priced");
        }
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        let encoded = serde_json::to_writer(&mut payload, order);
        debug_assert!(encoded.is_ok(), "plain fields always encode");
        let key = event.key.as_deref().unwrap_or_default();
        let outgoing = Outgoing { topic: &self.topic, key, payload: &payload, trace };
        let sent = match self.producer.send(&outgoing) {
            Err(failure) if is_queue_full(&failure) => match self.settle(std::mem::take(in_flight), finished).await {
                Ok(()) => self.producer.send(&outgoing),
                Err(failure) => Err(failure),
            },
            other => other,
        };
        self.payload = payload;
        sent
    }

    /// Waits for every answer and marks what was acknowledged; the first failure is returned.
    async fn settle(&self, in_flight: Vec<(usize, DeliveryFuture)>, finished: &mut [bool]) -> Result<(), KafkaError> {
        let mut first_failure = None;
        for (index, delivery) in in_flight {
            match acknowledged(delivery).await {
                Ok(()) => {
                    self.produced.inc();
                    finished[index] = true;
                }
                Err(failure) => {
                    self.failed.inc();
                    first_failure.get_or_insert(failure);
                }
            }
        }
        first_failure.map_or(Ok(()), Err)
    }

    fn publish_error(&self, source: KafkaError) -> PublishError {
        PublishError { topic: self.topic.clone(), source }
    }
}

/// The order with what it costs.
fn price(event: &Event) -> Result<OrderProcessed<'_>, Malformed> {
    let order = OrderDetails::read(event)?;
    let total_cost = order.total_cost()?;
    Ok(OrderProcessed {
        order_id: order.order_id,
        user_id: order.user_id,
        user_email: order.user_email,
        total_cost,
        created_at_us: order.created_at_us,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::testing::event;

    #[test]
    fn a_price_keeps_who_ordered_and_when() {
        let event = event(
            "order-details",
            0,
            0,
            "user-7",
            r#"{"order_id":"o-1","user_id":"user-7","user_email":"ada@example.com","created_at_us":99,
                "items":[{"product":"tea","quantity":2,"unit_price":350}]}"#,
        );
        let expected = r#"{"order_id":"o-1","user_id":"user-7","user_email":"ada@example.com","total_cost":700,"created_at_us":99}"#;
        assert_eq!(serde_json::to_string(&price(&event).unwrap()).unwrap(), expected);
    }
}
