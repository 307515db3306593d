//! Raw payloads: so many bytes, as compressible as somebody asked, with the message's identity in front.
//!
//! Random bytes compress to nothing, constant ones to next to nothing, and what people send lies between. So a payload is
//! cut into cells; each begins with random bytes and ends with a part of one text that all payloads repeat. How many are random
//! is what the ratio asked leaves, less what a compressor spends on each cell and on the identity. What it really comes to is
//! measured ([`crate::compression`]), never believed.
//!
//! Every byte follows from the seed and the sequence. The first [`identity_header::LENGTH`] are those of
//! [`crate::identity_header`], and are written when the message is sent.

use crate::byte_sizes::{ByteSizes, ByteSizesError, SizeSampler};
use crate::identity_header;
use crate::order_id;
use serde::{Deserialize, Serialize};

/// The highest ratio that can be asked for; beyond it the identities weigh more than all the rest.
pub const RATIO_MAX: f64 = 50.0;
/// How long a cell is.
const CELL: usize = 128;
/// What LZ4 spends on the repeated part of a cell: a token, an offset, and the rest of a length.
const CELL_COST: usize = 4;
/// What remains of an identity behind the one before it: the bytes that count, its instant, and its checksum.
const IDENTITY_COST: usize = 24;
/// What payloads repeat, once more with each cell.
const REPEATED: &[u8; CELL] =
    b"{\"status\":\"CONFIRMED\",\"warehouse\":\"north-3\",\"carrier\":\"parcel\",\"currency\":\"EUR\",\
\"priority\":\"standard\",\"gift\":false,\"notes\":\"  \"}";

/// Payloads of so many bytes, instead of the orders that are the default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayloadPlan {
    /// How long they are.
    pub bytes: ByteSizes,
    /// How many times shorter a compressor makes many of them: 1 for random bytes, which is the default.
    #[serde(default = "incompressible")]
    pub compression_ratio: f64,
}

/// Payloads that cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PayloadError {
    /// Sizes that they cannot have.
    #[error(transparent)]
    Bytes(#[from] ByteSizesError),
    /// No ratio of a compressor.
    #[error("a compression ratio of {received}: allowed are 1 to {RATIO_MAX}")]
    Ratio {
        /// The ratio received.
        received: f64,
    },
    /// Services are asked in their own words.
    #[error("payloads of raw bytes cannot be asked of a service: they are for topics")]
    Service,
}

const fn incompressible() -> f64 {
    1.0
}

impl PayloadPlan {
    /// Random bytes.
    #[must_use]
    pub const fn new(bytes: ByteSizes) -> Self {
        Self { bytes, compression_ratio: incompressible() }
    }

    /// Whether such payloads can be made.
    ///
    /// # Errors
    /// When the sizes or the ratio are out of range.
    pub fn validate(&self) -> Result<(), PayloadError> {
        self.bytes.validate()?;
        let received = self.compression_ratio;
        if (1.0..=RATIO_MAX).contains(&received) { Ok(()) } else { Err(PayloadError::Ratio { received }) }
    }
}

/// Writes raw payloads.
#[derive(Debug, Clone)]
pub(crate) struct RawPayloads {
    seed: u64,
    sizes: SizeSampler,
    ratio: f64,
}

impl RawPayloads {
    pub(crate) fn new(seed: u64, plan: &PayloadPlan) -> Self {
        Self { seed, sizes: SizeSampler::new(&plan.bytes), ratio: plan.compression_ratio }
    }

    /// Puts the payload of this sequence into `buffer`, whatever was there before. Where the identity belongs there are zeros.
    pub(crate) fn write(&self, sequence: u64, buffer: &mut Vec<u8>) {
        let mut words = Words::new(self.seed, sequence);
        let size = self.sizes.size(words.next());
        buffer.clear();
        buffer.resize(identity_header::LENGTH, 0);
        let body = size - identity_header::LENGTH;
        let random = self.random_bytes(size, body);
        let mut at = 0;
        while at < body {
            let end = (at + CELL).min(body);
            let drawn = random * end / body - random * at / body;
            words.fill(drawn, buffer);
            buffer.extend_from_slice(&REPEATED[drawn..end - at]);
            at = end;
        }
    }

    /// How many bytes of the body are random.
    fn random_bytes(&self, size: usize, body: usize) -> usize {
        if self.ratio <= 1.0 {
            return body;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "less than the size")]
        let compressed = (size as f64 / self.ratio).round() as usize;
        compressed.saturating_sub(IDENTITY_COST + CELL_COST * body.div_ceil(CELL)).min(body)
    }
}

/// A stream of random words for each message: SplitMix64 (see [`order_id`]), since most of what is sent is drawn here, and a
/// block of ChaCha for each message would be most of the cost of sending it.
struct Words(u64);

impl Words {
    fn new(seed: u64, sequence: u64) -> Self {
        const PURPOSE: u64 = u64::from_le_bytes(*b"payloads");
        Self(order_id::mix(order_id::mix(seed ^ PURPOSE).wrapping_add(sequence)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(order_id::GAMMA);
        order_id::scramble(self.0)
    }

    fn fill(&mut self, count: usize, buffer: &mut Vec<u8>) {
        let from = buffer.len();
        buffer.resize(from + count, 0);
        let (words, rest) = buffer[from..].as_chunks_mut::<8>();
        words.iter_mut().for_each(|word| *word = self.next().to_le_bytes());
        if !rest.is_empty() {
            rest.copy_from_slice(&self.next().to_le_bytes()[..rest.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(bytes: &str, ratio: f64, sequence: u64) -> Vec<u8> {
        let plan = PayloadPlan { bytes: bytes.parse().expect("sizes"), compression_ratio: ratio };
        let mut buffer = b"left over".to_vec();
        RawPayloads::new(42, &plan).write(sequence, &mut buffer);
        buffer
    }

    #[test]
    fn payloads_are_as_long_as_asked_and_differ() {
        for size in [43, 44, 50, 51, 170, 171, 172, 200, 1_000, 65_536] {
            for ratio in [1.0, 1.5, 4.0, 50.0] {
                assert_eq!(payload(&size.to_string(), ratio, 7).len(), size, "{size} bytes at {ratio}");
            }
        }
        assert_eq!(payload("200", 2.0, 7), payload("200", 2.0, 7));
        assert_ne!(payload("200", 2.0, 7), payload("200", 2.0, 8));
    }

    #[test]
    fn the_bytes_are_the_same_for_ever() {
        let mut digest = crate::Digest::new();
        (0..100).for_each(|sequence| digest.bytes(&payload("100..2000", 3.0, sequence)));
        assert_eq!(digest.to_string(), GOLDEN, "the payloads of old plans must stay what they were");
    }

    /// A hundred payloads of seed 42.
    const GOLDEN: &str = "de8c936bd68d1588";

    #[test]
    fn refuses_what_cannot_be_made() {
        for ratio in [0.0, 0.99, 50.1, -1.0, f64::NAN, f64::INFINITY] {
            let plan = PayloadPlan { compression_ratio: ratio, ..PayloadPlan::new(ByteSizes::Fixed(200)) };
            let error = plan.validate().expect_err("refused").to_string();
            assert!(error.ends_with(": allowed are 1 to 50"), "{error}");
        }
        assert!(PayloadPlan::new(ByteSizes::Fixed(10)).validate().is_err());
    }
}
