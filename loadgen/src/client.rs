//! The producer of a load: librdkafka with an integer for each message, and what it answers.
//!
//! No future, no box and no clone for a message: its opaque is the index of its slot. (The binding itself copies the
//! topic's name and librdkafka allocates the headers; neither can be avoided from here.)

use crate::outcome;
use crate::plan::LoadPlan;
use crate::ready::Ready;
use crate::recorder::{End, Recorder};
use crate::slots::Slots;
use crate::transactions::HeldAnswers;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};
use shakedown_reports::record::Outcome;
use std::sync::Arc;

/// librdkafka's property that bounds what it holds.
const QUEUE_PROPERTY: &str = "queue.buffering.max.messages";
/// What it holds unless the plan says otherwise: 2.6 s at 100,000/s, for 10 to 14 MB besides what is sent.
const QUEUE_DEFAULT: u32 = 1 << 18;

pub(crate) type LoadProducer = BaseProducer<DeliveryContext>;

/// Receives what librdkafka has to say, on the thread whose turn it is to take answers.
#[derive(Debug)]
pub(crate) struct DeliveryContext {
    slots: Arc<Slots>,
    recorder: Arc<Recorder>,
    /// It needs no producer id, or has one; and has begun a transaction where it has those.
    ready: Arc<Ready>,
    /// Who keeps answers until the transaction's end.
    held: Option<Arc<HeldAnswers>>,
}

impl DeliveryContext {
    /// Tells when the client may send, provided that somebody takes its answers meanwhile.
    pub(crate) fn ready(&self) -> Arc<Ready> {
        Arc::clone(&self.ready)
    }
}

impl ClientContext for DeliveryContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // A transactional client has to begin a transaction first.
        if self.held.is_none() && facility == "GETPID" && message.contains("Acquired PID{") {
            self.ready.set();
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
        let end = match result {
            Ok(written) => {
                End { outcome: Outcome::Ok, error: 0, partition: written.partition(), offset: written.offset() }
            }
            Err((error, _)) => {
                self.recorder.complain(error.to_string());
                End::unacknowledged(outcome::of_delivery(error), outcome::code(error))
            }
        };
        if let Some(held) = &self.held {
            held.hold(slot, end);
            return;
        }
        // Nothing is in flight there only if a message is answered twice; the first answer stands.
        if let Some(message) = self.slots.finish(slot) {
            self.recorder.record(&message, end);
        }
    }
}

/// How many messages a client may hold, whichever it is: librdkafka's bound, and never more than there are. One without a bound
/// (librdkafka's meaning of 0) is bounded by the default: slots are allocated before the first message.
pub(crate) fn queue_messages(plan: &LoadPlan, total: u64) -> u32 {
    let asked = plan.client.get(QUEUE_PROPERTY).and_then(|value| value.parse().ok());
    let queue = asked.filter(|queue| *queue > 0).unwrap_or(QUEUE_DEFAULT);
    u32::try_from(total).unwrap_or(u32::MAX).min(queue).max(1)
}

/// Connects the plan's client.
pub(crate) fn connect(
    plan: &LoadPlan,
    bootstrap: &str,
    slots: Arc<Slots>,
    recorder: Arc<Recorder>,
) -> KafkaResult<LoadProducer> {
    let mut properties = properties(plan);
    properties.set("bootstrap.servers", bootstrap);
    let ready = !properties.get("enable.idempotence").is_some_and(is_true);
    if !ready {
        // An idempotent client sends nothing before it has a producer id, and if no broker is connected at its first
        // attempt it tries again after half a second. Only its log tells when it has one; these lines are otherwise
        // written when something is wrong, so they cost nothing while the load runs.
        let debug = properties.get("debug").map_or_else(|| "eos".to_owned(), |debug| format!("{debug},eos"));
        properties.set("debug", debug).set_log_level(RDKafkaLogLevel::Debug);
    }
    properties.create_with_context(DeliveryContext { slots, recorder, ready: Arc::new(Ready::new(ready)), held: None })
}

/// As [`connect`], for a producer with transactions of this id. Whoever begins the first one says that it is ready.
pub(crate) fn connect_transactional(
    plan: &LoadPlan,
    bootstrap: &str,
    slots: Arc<Slots>,
    recorder: Arc<Recorder>,
    id: &str,
    held: Arc<HeldAnswers>,
) -> KafkaResult<LoadProducer> {
    let mut properties = properties(plan);
    properties.set("bootstrap.servers", bootstrap).set("transactional.id", id);
    let ready = Arc::new(Ready::new(false));
    properties.create_with_context(DeliveryContext { slots, recorder, ready, held: Some(held) })
}

/// A client that looks topics up for a plan that is offered by another: it says what is wrong with the properties, and takes no
/// part in what happens to `client.id` or to producer ids.
pub(crate) fn look_up(plan: &LoadPlan, bootstrap: &str, recorder: Arc<Recorder>) -> KafkaResult<LoadProducer> {
    properties(plan).create_native_config()?;
    let mut properties = ClientConfig::new();
    // A misspelt topic must be an error, not a new topic.
    properties
        .set("bootstrap.servers", bootstrap)
        .set("client.id", "shakedown-look-up")
        .set("allow.auto.create.topics", "false");
    let (slots, ready) = (Arc::new(Slots::new(0)), Arc::new(Ready::new(true)));
    properties.create_with_context(DeliveryContext { slots, recorder, ready, held: None })
}

/// The plan's properties over the defaults.
fn properties(plan: &LoadPlan) -> ClientConfig {
    let mut properties = ClientConfig::new();
    properties
        .set("client.id", "shakedown-load")
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        // A misspelt topic must be an error, not a new topic.
        .set("allow.auto.create.topics", "false")
        .set(QUEUE_PROPERTY, QUEUE_DEFAULT.to_string());
    let fewer_acks = |name: &&str| plan.client.get(*name).is_some_and(|acks| !is_all(acks));
    if ["acks", "request.required.acks"].iter().any(fewer_acks) {
        // librdkafka refuses idempotence with fewer acks than all; a plan that says one thing means the other.
        properties.set("enable.idempotence", "false");
    }
    for (name, value) in &plan.client {
        properties.set(name, value);
    }
    properties
}

/// What librdkafka takes for yes.
pub(crate) fn is_true(value: &str) -> bool {
    value == "1" || ["true", "t"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// librdkafka's two names for the acknowledgement of every replica in sync.
pub(crate) fn is_all(acks: &str) -> bool {
    acks == "-1" || acks.eq_ignore_ascii_case("all")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeySpace;
    use crate::schedule::{Arrivals, Shape};
    use std::time::Duration;

    fn plan(client: &[(&str, &str)]) -> LoadPlan {
        let rate = "500/s".parse().expect("a rate");
        let arrivals = Arrivals { shape: Shape::Constant, rate, duration: Duration::from_secs(1) };
        let mut plan = LoadPlan::new(1, 1, "orders", arrivals, KeySpace::uniform(10));
        plan.client = client.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        plan
    }

    #[test]
    fn only_fewer_acks_than_all_switch_idempotence_off() {
        for (client, idempotence) in [
            (&[][..], "true"),
            (&[("acks", "all")], "true"),
            (&[("acks", "-1")], "true"),
            (&[("request.required.acks", "all")], "true"),
            (&[("acks", "1")], "false"),
            (&[("acks", "0")], "false"),
            (&[("request.required.acks", "1")], "false"),
            (&[("enable.idempotence", "false")], "false"),
            // A contradiction is librdkafka's to refuse.
            (&[("acks", "1"), ("enable.idempotence", "true")], "true"),
        ] {
            let properties = properties(&plan(client));
            assert_eq!(properties.get("enable.idempotence"), Some(idempotence), "{client:?}");
        }
    }

    #[test]
    fn every_yes_of_librdkafka_makes_a_client_idempotent() {
        for (value, is) in [("true", true), ("True", true), ("T", true), ("1", true), ("false", false), ("0", false)] {
            assert_eq!(is_true(value), is, "{value}");
        }
    }

    #[test]
    fn a_client_without_a_bound_has_the_default_number_of_slots() {
        for (queue, total, slots) in [
            (None, 1_000_000, QUEUE_DEFAULT),
            (Some("0"), 1_000_000, QUEUE_DEFAULT),
            (Some("20"), 1_000_000, 20),
            (Some("20"), 5, 5),
            (Some("0"), 5, 5),
        ] {
            let client: Vec<_> = queue.map(|queue| (QUEUE_PROPERTY, queue)).into_iter().collect();
            assert_eq!(queue_messages(&plan(&client), total), slots, "{queue:?} for {total} messages");
        }
    }
}
