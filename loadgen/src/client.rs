//! The producer of a load: librdkafka with an integer for each message, and what it answers.
//!
//! No future, no box and no clone for a message: its opaque is the index of its slot. (The binding itself copies the
//! topic's name and librdkafka allocates the headers; neither can be avoided from here.)

use crate::outcome;
use crate::plan::LoadPlan;
use crate::recorder::{End, Recorder};
use crate::slots::Slots;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};
use shakedown_reports::record::Outcome;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// librdkafka's property that bounds what it holds.
const QUEUE_PROPERTY: &str = "queue.buffering.max.messages";
/// What it holds unless the plan says otherwise: 2.6 s at 100,000/s, for 14 MB of slots.
const QUEUE_DEFAULT: u32 = 1 << 18;

pub(crate) type LoadProducer = BaseProducer<DeliveryContext>;

/// Receives what librdkafka has to say, on the delivery thread.
#[derive(Debug)]
pub(crate) struct DeliveryContext {
    slots: Arc<Slots>,
    recorder: Arc<Recorder>,
    /// The client may send: it needs no producer id, or has one.
    ready: AtomicBool,
}

impl DeliveryContext {
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}

impl ClientContext for DeliveryContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "GETPID" && message.contains("Acquired PID{") {
            self.ready.store(true, Ordering::Release);
        } else if level as i32 <= RDKafkaLogLevel::Warning as i32 {
            self.recorder.complain(message.to_owned());
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.recorder.complain(format!("{error}: {reason}"));
    }
}

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, slot: usize) {
        // Nothing is in flight there only if a message is answered twice; the first answer stands.
        let Some(message) = self.slots.finish(slot) else { return };
        let end = match result {
            Ok(written) => {
                End { outcome: Outcome::Ok, error: 0, partition: written.partition(), offset: written.offset() }
            }
            Err((error, _)) => {
                self.recorder.complain(error.to_string());
                End::unacknowledged(outcome::of_delivery(error), outcome::code(error))
            }
        };
        self.recorder.record(&message, end);
    }
}

/// How many messages may be in flight: librdkafka's own bound, and never more than there are.
pub(crate) fn slots_of(plan: &LoadPlan, total: u64) -> u32 {
    let queue = plan.client.get(QUEUE_PROPERTY).and_then(|value| value.parse().ok()).unwrap_or(QUEUE_DEFAULT);
    u32::try_from(total).unwrap_or(u32::MAX).min(queue).max(1)
}

/// Connects the plan's client.
pub(crate) fn connect(
    plan: &LoadPlan,
    bootstrap: &str,
    slots: Arc<Slots>,
    recorder: Arc<Recorder>,
) -> KafkaResult<LoadProducer> {
    let mut properties = ClientConfig::new();
    properties
        .set("client.id", "shakedown-load")
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        // A misspelt topic must be an error, not a new topic.
        .set("allow.auto.create.topics", "false")
        .set(QUEUE_PROPERTY, QUEUE_DEFAULT.to_string());
    if ["acks", "request.required.acks"].iter().any(|name| plan.client.contains_key(*name)) {
        // librdkafka refuses idempotence with any other acks; a plan that says one thing means the other.
        properties.set("enable.idempotence", "false");
    }
    for (name, value) in &plan.client {
        properties.set(name, value);
    }
    properties.set("bootstrap.servers", bootstrap);
    let ready = properties.get("enable.idempotence") != Some("true");
    if !ready {
        // An idempotent client sends nothing before it has a producer id, and if no broker is connected at its first
        // attempt it tries again after half a second. Only its log tells when it has one; these lines are otherwise
        // written when something is wrong, so they cost nothing while the load runs.
        let debug = properties.get("debug").map_or_else(|| "eos".to_owned(), |debug| format!("{debug},eos"));
        properties.set("debug", debug).set_log_level(RDKafkaLogLevel::Debug);
    }
    let ready = AtomicBool::new(ready);
    properties.create_with_context(DeliveryContext { slots, recorder, ready })
}
