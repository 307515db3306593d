//! The thread that publishes orders when they are due, and the task that counts what Kafka says about them.

use super::Settings;
use super::arrivals::Arrivals;
use super::fake_order::FakeOrders;
use super::stats::Stats;
use crate::clock::unix_us;
use crate::domain::OrderDetails;
use crate::error::WorkerError;
use crate::kafka::{EventProducer, Outgoing, acknowledged, is_queue_full};
use crate::metrics::TopicLabel;
use crate::service::Context;
use crate::trace::{TraceContext, TraceId, TraceIds};
use prometheus_client::metrics::counter::Counter;
use rdkafka::producer::future_producer::DeliveryFuture;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

/// The readiness condition of the producer.
const PRODUCER: &str = "producer";

/// How long to wait for an answer about the topic, and between two questions.
const TOPIC_TIMEOUT: Duration = Duration::from_secs(1);
const TOPIC_RETRY: Duration = Duration::from_millis(200);

/// How long to wait when the client holds as many unacknowledged orders as it can.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(1);

/// How long orders that were sent may take to be acknowledged after a stop.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Makes and publishes the orders.
pub(crate) struct Publisher {
    settings: Settings,
    producer: EventProducer,
    stats: Arc<Stats>,
    context: Context,
    queue_full: Counter,
}

/// An order on its way to Kafka.
struct InFlight {
    delivery: DeliveryFuture,
    total: i64,
    trace_id: TraceId,
}

impl Publisher {
    pub(crate) fn new(settings: Settings, producer: EventProducer, stats: Arc<Stats>, context: Context) -> Self {
        context.readiness.wait_for(PRODUCER, "not connected yet");
        let queue_full = context.metrics.counter("orders_queue_full", "Times that the producer's queue was full");
        Self { settings, producer, stats, context, queue_full }
    }

    pub(crate) fn run(mut self) -> Result<(), WorkerError> {
        if !self.wait_for_topic() {
            return Ok(());
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        let counting = self.context.runtime.spawn(count(receiver, Arc::clone(&self.stats), self.answers()));
        self.publish(&sender)?;
        drop(sender);
        self.context.runtime.block_on(self.context.stop.wait());
        if let Err(failure) = self.producer.flush(FLUSH_TIMEOUT) {
            warn!(error = %failure, "stopped before every order was acknowledged");
            counting.abort();
        } else if let Err(failure) = self.context.runtime.block_on(counting) {
            error!(error = %failure, "failed to count acknowledgements");
        }
        Ok(())
    }

    fn wait_for_topic(&self) -> bool {
        let Context { stop, readiness, .. } = &self.context;
        while !stop.is_requested() {
            match self.producer.partitions(&self.settings.topic, TOPIC_TIMEOUT) {
                Ok(Some(partitions)) => {
                    info!(topic = self.settings.topic, partitions, "connected");
                    readiness.satisfied(PRODUCER);
                    return true;
                }
                Ok(None) => readiness.wait_for(PRODUCER, format!("topic {} does not exist", self.settings.topic)),
                Err(failure) => readiness.wait_for(PRODUCER, format!("Kafka does not answer: {failure}")),
            }
            stop.sleep(TOPIC_RETRY);
        }
        false
    }

    /// Publishes every order at its instant; one that is late is sent at once, and keeps its intended instant.
    fn publish(&mut self, sender: &mpsc::UnboundedSender<InFlight>) -> Result<(), WorkerError> {
        let Settings { shape, per_second, seed, users, total, traced_per_second, .. } = self.settings;
        let mut arrivals = Arrivals::new(shape, per_second, seed);
        let mut orders = FakeOrders::new(seed, users);
        let mut traces = TraceIds::seeded(seed);
        let mut sampler = Sampler { per_second: traced_per_second, second: 0, sampled: 0 };
        let mut payload = Vec::with_capacity(512);
        let (start, start_us) = (Instant::now(), unix_us());
        let mut made = 0_u64;
        while total == 0 || made < total {
            let due = arrivals.next_due();
            if !self.context.stop.sleep_until(start + due) {
                break;
            }
            let due_us = u64::try_from(due.as_micros()).unwrap_or(u64::MAX);
            let (order, total_cost) = orders.next_order(start_us.saturating_add(due_us));
            let trace = traces.first(sampler.sample(due));
            made += 1;
            self.stats.accept();
            self.send(&order, total_cost, trace, &mut payload, sender)?;
        }
        info!(orders = made, "made the last order");
        Ok(())
    }

    fn send(
        &mut self,
        order: &OrderDetails<'_>,
        total: i64,
        trace: TraceContext,
        payload: &mut Vec<u8>,
        sender: &mpsc::UnboundedSender<InFlight>,
    ) -> Result<(), WorkerError> {
        let trace_id = trace.trace_id();
        let (order_id, user_id) = (&*order.order_id, &*order.user_id);
        payload.clear();
        if let Err(failure) = serde_json::to_writer(&mut *payload, order) {
            self.stats.fail();
            error!(%trace_id, order_id, error = %failure, "failed to encode an order");
            return Ok(());
        }
        let event = Outgoing { topic: &self.settings.topic, key: user_id.as_bytes(), payload, trace };
        let sent = loop {
            match self.producer.send(&event) {
                Err(failure) if is_queue_full(&failure) => {
                    self.queue_full.inc();
                    if !self.context.stop.sleep(QUEUE_FULL_PAUSE) {
                        break Err(failure);
                    }
                }
                other => break other,
            }
        };
        match sent {
            Ok(delivery) => {
                if trace.sampled {
                    info!(%trace_id, order_id, user_id, total, "order made");
                } else {
                    debug!(%trace_id, order_id, user_id, total, "order made");
                }
                // The receiver lives until this sender is dropped.
                let _ = sender.send(InFlight { delivery, total, trace_id });
            }
            Err(failure) => {
                self.stats.fail();
                error!(%trace_id, order_id, error = %failure, "failed to publish an order");
                self.producer
                    .renew_if_fatal()
                    .map_err(|source| WorkerError::Kafka { during: "replace the producer", source })?;
            }
        }
        Ok(())
    }

    fn answers(&self) -> Answers {
        let label = TopicLabel::new(&self.settings.topic);
        Answers {
            produced: self.context.metrics.produced.get_or_create(&label).clone(),
            failed: self.context.metrics.produce_failed.get_or_create(&label).clone(),
        }
    }
}

struct Answers {
    produced: Counter,
    failed: Counter,
}

/// Counts acknowledgements in the order of sending; they come nearly in that order, so one waiting for another costs
/// nothing.
async fn count(mut in_flight: mpsc::UnboundedReceiver<InFlight>, stats: Arc<Stats>, answers: Answers) {
    while let Some(InFlight { delivery, total, trace_id }) = in_flight.recv().await {
        match acknowledged(delivery).await {
            Ok(()) => {
                stats.acknowledge(total);
                answers.produced.inc();
            }
            Err(failure) => {
                stats.fail();
                answers.failed.inc();
                error!(%trace_id, error = %failure, "order was not acknowledged");
            }
        }
    }
}

/// Picks the first few orders of each second for the logs.
struct Sampler {
    per_second: u32,
    second: u64,
    sampled: u32,
}

impl Sampler {
    fn sample(&mut self, due: Duration) -> bool {
        if due.as_secs() != self.second {
            (self.second, self.sampled) = (due.as_secs(), 0);
        }
        let sample = self.sampled < self.per_second;
        self.sampled += u32::from(sample);
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_orders_of_each_second_are_sampled() {
        let mut sampler = Sampler { per_second: 2, second: 0, sampled: 0 };
        let sampled: Vec<bool> = [0, 100, 200, 1000, 1001, 1002, 3500]
            .into_iter()
            .map(|ms| sampler.sample(Duration::from_millis(ms)))
            .collect();
        assert_eq!(sampled, [true, true, false, true, true, false, true]);
    }
}
