//! W3C trace context (<https://www.w3.org/TR/trace-context/>, level 1), carried in the Kafka header `traceparent`.
//!
//! The first hop of an order creates the context, every later hop forwards it under a parent id of its own, and every
//! log line about an order shows its trace id. The `sampled` flag, set by the first hop for a few orders a second,
//! asks every hop to log that order at `info`, so that a busy system can be followed without a line per message.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// The header's name, in Kafka and in HTTP.
pub(crate) const TRACEPARENT: &str = "traceparent";

const SAMPLED: u8 = 1;

/// One order's place in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceContext {
    trace_id: u128,
    parent_id: u64,
    pub(crate) sampled: bool,
}

/// A trace id as logs show it: 32 lowercase hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceId(u128);

impl TraceContext {
    /// Reads a header. `None` for anything the specification calls invalid: the hop then starts a trace of its own.
    pub(crate) fn parse(header: &[u8]) -> Option<Self> {
        let header = std::str::from_utf8(header).ok()?;
        let mut fields = header.split('-');
        let version = hexadecimal(fields.next()?, 2)?;
        let trace_id = hexadecimal(fields.next()?, 32)?;
        let parent_id = hexadecimal(fields.next()?, 16)?;
        let flags = hexadecimal(fields.next()?, 2)?;
        // Version 0 has exactly four fields; a later version may append more, and 255 is forbidden for ever.
        let unknown_tail = version == 0 && fields.next().is_some();
        if version == 0xff || unknown_tail || trace_id == 0 || parent_id == 0 {
            return None;
        }
        let parent_id = u64::try_from(parent_id).ok()?;
        Some(Self { trace_id, parent_id, sampled: flags & u128::from(SAMPLED) != 0 })
    }

    /// The header that says this.
    pub(crate) fn header(&self) -> String {
        let flags = if self.sampled { SAMPLED } else { 0 };
        format!("00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.parent_id)
    }

    pub(crate) fn trace_id(&self) -> TraceId {
        TraceId(self.trace_id)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

/// Reads exactly `digits` lowercase hexadecimal digits; the specification forbids capitals.
fn hexadecimal(field: &str, digits: usize) -> Option<u128> {
    let valid = field.len() == digits && field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    valid.then(|| u128::from_str_radix(field, 16).ok())?
}

/// Gives out trace and parent ids; one for each worker.
#[derive(Debug)]
pub(crate) struct TraceIds {
    random: ChaCha8Rng,
}

impl TraceIds {
    /// Ids that differ in every process.
    pub(crate) fn new() -> Self {
        Self::seeded(ambient_seed())
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// The context of an order that this hop is the first to see.
    pub(crate) fn first(&mut self, sampled: bool) -> TraceContext {
        let trace_id = (u128::from(self.identifier()) << 64) | u128::from(self.identifier());
        TraceContext { trace_id, parent_id: self.identifier(), sampled }
    }

    /// The context to forward: the same trace, this hop as the parent.
    pub(crate) fn next_hop(&mut self, received: Option<TraceContext>) -> TraceContext {
        match received {
            Some(context) => TraceContext { parent_id: self.identifier(), ..context },
            None => self.first(false),
        }
    }

    /// Never zero, which the specification reserves for "invalid".
    fn identifier(&mut self) -> u64 {
        self.random.next_u64().max(1)
    }
}

/// A seed from the standard library's per-process randomness.
pub(crate) fn ambient_seed() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_specifications_example_survives_a_round_trip() {
        let context = TraceContext::parse(EXAMPLE.as_bytes()).unwrap();
        assert!(context.sampled);
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.header(), EXAMPLE);
    }

    #[test]
    fn invalid_headers_are_refused() {
        for header in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(header.as_bytes()), None, "{header}");
        }
    }

    #[test]
    fn a_later_version_may_say_more() {
        let header = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more";
        assert!(!TraceContext::parse(header.as_bytes()).unwrap().sampled);
    }

    #[test]
    fn a_hop_keeps_the_trace_and_the_flag_and_names_itself_as_parent() {
        let received = TraceContext::parse(EXAMPLE.as_bytes()).unwrap();
        let forwarded = TraceIds::seeded(1).next_hop(Some(received));
        assert_eq!(forwarded.trace_id(), received.trace_id());
        assert!(forwarded.sampled);
        assert_ne!(forwarded.parent_id, received.parent_id);
    }

    #[test]
    fn a_hop_without_a_trace_starts_one() {
        let mut ids = TraceIds::new();
        let first = ids.next_hop(None);
        assert_eq!(TraceContext::parse(first.header().as_bytes()), Some(first));
        assert_ne!(first.trace_id(), ids.next_hop(None).trace_id());
    }
}
