//! What the messages say: an order each, or raw bytes, fixed by the seed and its sequence.
//!
//! Everything about a message except its place within its key is computed from its sequence alone. Texts are written
//! into buffers that the caller reuses; nothing is allocated for a message.

use crate::chance;
use crate::keys::{KeySampler, KeySpace, KeySpaceError};
use crate::order_id;
use crate::payload::{PayloadPlan, RawPayloads};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// What planned keys begin with; the key's number follows.
pub const KEY_PREFIX: &str = "user-";

/// Words of the generator that each message has for itself.
const WORDS_PER_MESSAGE: u128 = 4;
/// The distance of amounts, so that no two messages of a run carry the same: a swap or a copy changes every sum.
const VALUE_STEP: u64 = 16;
/// The smallest amount: one unit of money.
const VALUE_MIN: u64 = 100;
const QUANTITY_MAX: u64 = 5;
const ITEMS: [&str; 16] = [
    "apple",
    "bicycle",
    "candle",
    "desk lamp",
    "earrings",
    "fountain pen",
    "guitar",
    "hammock",
    "ink",
    "jacket",
    "kettle",
    "lantern",
    "mug",
    "notebook",
    "olive oil",
    "puzzle",
];

/// One message of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedMessage {
    /// Dense over the run, from 0.
    pub sequence: u64,
    /// The number of its key.
    pub key: u32,
    /// Dense over the key, from 0.
    pub key_sequence: u32,
    /// The amount it carries, in minor units; distinct within the run.
    pub value: i64,
    /// What was ordered.
    pub item: &'static str,
    /// How many of it.
    pub quantity: u32,
}

/// The messages of a plan, in order.
#[derive(Debug, Clone)]
pub struct Workload {
    seed: u64,
    generator: ChaCha8Rng,
    sampler: KeySampler,
    next: u64,
    key_sequences: Vec<u32>,
    raw: Option<RawPayloads>,
}

impl Workload {
    /// All messages of this seed.
    ///
    /// # Errors
    /// When nobody can draw from the key space.
    pub fn new(seed: u64, keys: &KeySpace) -> Result<Self, KeySpaceError> {
        let sampler = KeySampler::new(keys)?;
        let key_sequences = vec![0; usize::try_from(keys.users).expect("at most 2^24")];
        Ok(Self {
            seed,
            generator: chance::generator(seed, chance::WORKLOAD),
            sampler,
            next: 0,
            key_sequences,
            raw: None,
        })
    }

    /// With raw payloads in place of orders, where there is a plan of them.
    #[must_use]
    pub fn with_payload(mut self, payload: Option<&PayloadPlan>) -> Self {
        self.raw = payload.map(|payload| RawPayloads::new(self.seed, payload));
        self
    }

    /// Whether payloads are raw, and begin with room for the identity of [`crate::identity_header`].
    #[must_use]
    pub const fn is_raw(&self) -> bool {
        self.raw.is_some()
    }

    /// The next message; there is always one, the schedule ends a run.
    pub fn next_message(&mut self) -> PlannedMessage {
        let words = [self.generator.next_u64(), self.generator.next_u64()];
        let mut message = self.compose(self.next, words);
        let key_sequence = &mut self.key_sequences[message.key as usize];
        message.key_sequence = *key_sequence;
        *key_sequence = key_sequence.checked_add(1).expect("schedules end before a key's sequence does");
        self.next += 1;
        message
    }

    /// The message of this sequence, without its place within its key, which only the ones before it decide.
    #[must_use]
    pub fn message_at(&self, sequence: u64) -> PlannedMessage {
        let mut generator = self.generator.clone();
        generator.set_word_pos(u128::from(sequence) * WORDS_PER_MESSAGE);
        self.compose(sequence, [generator.next_u64(), generator.next_u64()])
    }

    /// Puts the message's JSON into `buffer`, whatever was there before; or its raw bytes, without their identity.
    pub fn write_payload(&self, message: &PlannedMessage, buffer: &mut Vec<u8>) {
        if let Some(raw) = &self.raw {
            return raw.write(message.sequence, buffer);
        }
        buffer.clear();
        buffer.extend_from_slice(b"{\"order_id\":\"");
        buffer.extend_from_slice(&order_id::encode(self.seed, message.sequence));
        buffer.extend_from_slice(b"\",\"user\":\"");
        push_key(message.key, buffer);
        buffer.extend_from_slice(b"\",\"item\":\"");
        buffer.extend_from_slice(message.item.as_bytes());
        buffer.extend_from_slice(b"\",\"quantity\":");
        push_decimal(message.quantity, buffer);
        buffer.push(b'}');
    }

    fn compose(&self, sequence: u64, [first, second]: [u64; 2]) -> PlannedMessage {
        let item = ITEMS[usize::from((second & 0xf) as u8)];
        let jitter = (second >> 4) % VALUE_STEP;
        let quantity = 1 + chance::below(second, QUANTITY_MAX);
        PlannedMessage {
            sequence,
            key: self.sampler.key(sequence, first),
            key_sequence: 0,
            value: i64::try_from(VALUE_MIN + sequence * VALUE_STEP + jitter).expect("sequences have 32 bits"),
            item,
            quantity: u32::try_from(quantity).expect("at most five"),
        }
    }
}

/// Puts the text of a key into `buffer`, whatever was there before.
pub fn write_key(key: u32, buffer: &mut Vec<u8>) {
    buffer.clear();
    push_key(key, buffer);
}

fn push_key(key: u32, buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(KEY_PREFIX.as_bytes());
    push_decimal(key, buffer);
}

fn push_decimal(mut number: u32, buffer: &mut Vec<u8>) {
    let mut digits = [0; 10];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + u8::try_from(number % 10).expect("a digit");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    buffer.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn workload(seed: u64) -> Workload {
        Workload::new(seed, &KeySpace::uniform(10)).expect("valid")
    }

    #[test]
    fn payloads_are_orders_that_carry_their_number() {
        let mut workload = workload(42);
        let mut buffer = b"left over".to_vec();
        for sequence in 0..200 {
            let message = workload.next_message();
            workload.write_payload(&message, &mut buffer);
            let order: serde_json::Value = serde_json::from_slice(&buffer).expect("JSON");
            let fields: Vec<_> = order.as_object().expect("an object").keys().map(String::as_str).collect();
            assert_eq!(fields, ["item", "order_id", "quantity", "user"]);
            let id = order["order_id"].as_str().expect("text");
            assert_eq!(order_id::decode(42, id), Some(sequence));
            assert_eq!(order["user"], format!("user-{}", message.key));
            assert_eq!(order["item"], message.item);
            assert_eq!(order["quantity"], message.quantity);
            assert!((1..=5).contains(&message.quantity));
        }
    }

    #[test]
    fn key_sequences_are_dense() {
        let mut workload = workload(42);
        let mut next = [0; 10];
        for sequence in 0..1_000 {
            let message = workload.next_message();
            assert_eq!(message.sequence, sequence);
            assert_eq!(message.key_sequence, next[message.key as usize]);
            next[message.key as usize] += 1;
        }
        assert!(next.iter().all(|count| *count > 50), "{next:?}");
    }

    #[test]
    fn every_amount_is_distinct() {
        let mut workload = workload(42);
        let values: HashSet<_> = (0..10_000).map(|_| workload.next_message().value).collect();
        assert_eq!(values.len(), 10_000);
    }

    #[test]
    fn any_message_can_be_computed_alone() {
        let mut walked = workload(42);
        let fresh = workload(42);
        for sequence in 0..500 {
            let message = walked.next_message();
            assert_eq!(PlannedMessage { key_sequence: message.key_sequence, ..fresh.message_at(sequence) }, message);
        }
        assert_ne!(workload(43).message_at(0), fresh.message_at(0));
    }

    #[test]
    fn buffers_are_reused() {
        let mut workload = workload(42);
        let mut buffer = Vec::with_capacity(256);
        let storage = buffer.as_ptr();
        for _ in 0..1_000 {
            let message = workload.next_message();
            workload.write_payload(&message, &mut buffer);
            assert_eq!(buffer.as_ptr(), storage, "a message was allocated");
        }
    }

    #[test]
    fn decimals_are_written_as_they_should_be() {
        let mut buffer = Vec::new();
        for number in [0, 7, 10, 99, 100, 65_536, 4_000_000_000, u32::MAX] {
            write_key(number, &mut buffer);
            assert_eq!(buffer, format!("user-{number}").into_bytes());
        }
    }
}
