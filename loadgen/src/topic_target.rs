//! Topics as the target of a load: every message is handed to librdkafka's producer with an integer as its opaque.

use crate::client::LoadProducer;
use crate::identity_header::{self, IdentityHeader};
use crate::outcome;
use crate::recorder::{End, Recorder};
use crate::slots::{Claims, InFlight, Slots};
use crate::target::{Handed, Target};
use crate::workload::{PlannedMessage, Workload, write_key};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use shakedown_reports::record::Outcome;
use std::sync::Arc;
use std::time::Duration;

/// Topics that take turns, with buffers that every message reuses.
pub(crate) struct TopicTarget {
    producer: Arc<LoadProducer>,
    recorder: Arc<Recorder>,
    claims: Claims,
    /// Each in turn gets the next message.
    topics: Vec<String>,
    run: u32,
    /// This producer's number within the run.
    number: u16,
    key: Vec<u8>,
    payload: Vec<u8>,
    /// The payload begins with room for the identity.
    raw: bool,
}

impl TopicTarget {
    pub(crate) fn new(
        producer: Arc<LoadProducer>,
        recorder: Arc<Recorder>,
        slots: Arc<Slots>,
        topics: Vec<String>,
        run: u32,
        number: u16,
    ) -> Self {
        let (key, payload) = (Vec::with_capacity(32), Vec::with_capacity(256));
        let claims = Claims::new(slots);
        Self { producer, recorder, claims, topics, run, number, key, payload, raw: false }
    }
}

impl Target for TopicTarget {
    const HAS_ANSWERS: bool = true;

    fn take_answers(&mut self) {
        // The binding takes the answers of one batch, and does not say whether there are more. Nothing is sent meanwhile: this
        // ends with what is in flight.
        let mut before = None;
        while before != Some(self.claims.finished()) {
            before = Some(self.claims.finished());
            self.producer.poll(Duration::ZERO);
        }
    }

    fn prepare(&mut self, workload: &Workload, message: &PlannedMessage) {
        write_key(message.key, &mut self.key);
        workload.write_payload(message, &mut self.payload);
        self.raw = workload.is_raw();
    }

    fn hand_over(&mut self, message: &InFlight, own_ns: u64) -> Handed {
        let handed = match self.send(message) {
            Ok(()) => Handed::Taken,
            Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => return Handed::Full,
            Err(error) => self.refused(&error),
        };
        self.recorder.lateness.record(own_ns);
        handed
    }
}

impl TopicTarget {
    /// Hands over what was prepared to the client, or says why that does not take it; as a full queue where no slot is free.
    pub(crate) fn send(&mut self, message: &InFlight) -> Result<(), KafkaError> {
        let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
        let slot = self.claims.occupy(message).ok_or(full)?;
        let header = IdentityHeader::of(message, self.run, self.number).encode();
        if self.raw {
            self.payload[..identity_header::LENGTH].copy_from_slice(&header);
        }
        let mut record = BaseRecord::with_opaque_to(topic_of(&self.topics, message.sequence), slot)
            .key(&self.key[..])
            .payload(&self.payload[..]);
        if !self.raw {
            let header = Header { key: identity_header::NAME, value: Some(&header[..]) };
            record = record.headers(OwnedHeaders::new_with_capacity(1).insert(header));
        }
        self.producer.send(record).map_err(|(error, _)| {
            self.claims.vacate(slot);
            error
        })
    }

    /// Refused by the client itself: it certainly reached nobody.
    pub(crate) fn refused(&self, error: &KafkaError) -> Handed {
        self.recorder.complain(error.to_string());
        Handed::Refused(End::unacknowledged(Outcome::Fail, outcome::code(error)))
    }
}

/// The topic whose turn it is.
fn topic_of(topics: &[String], sequence: u64) -> &str {
    &topics[usize::try_from(sequence % topics.len() as u64).expect("a place among topics")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_take_turns() {
        let topics = ["orders", "payments", "shipping"].map(str::to_owned);
        let taken: Vec<&str> = (0..4).map(|sequence| topic_of(&topics, sequence)).collect();
        assert_eq!(taken, ["orders", "payments", "shipping", "orders"]);
        assert_eq!(topic_of(&topics[..1], u64::MAX), "orders");
    }
}
