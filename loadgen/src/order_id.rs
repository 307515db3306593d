//! Order ids that carry their own number.
//!
//! A service under test must see an ordinary UUID, yet a tap must know, without a table of ten million strings, which
//! planned message it is. So an order id is a bijection of the sequence under the run's seed: 64 of the 122 free bits
//! of a version 4 UUID are the scrambled sequence, the other 58 prove that the plan gave it out.

use uuid::{Uuid, Variant, Version};

/// Bits that prove that a UUID is the plan's.
const PROOF_BITS: u32 = 58;
const PROOF_MASK: u128 = (1 << PROOF_BITS) - 1;

// The finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
const FIRST_MULTIPLIER: u64 = 0xbf58_476d_1ce4_e5b9;
const SECOND_MULTIPLIER: u64 = 0x94d0_49bb_1331_11eb;
pub(crate) const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The order id of this sequence, as hyphenated lower-case text. Allocates nothing.
#[must_use]
pub fn encode(seed: u64, sequence: u64) -> [u8; 36] {
    text(bits(seed, sequence))
}

/// As `Uuid::hyphenated` has it, which takes a step for each digit, and with that a twentieth of all the time that a message takes.
fn text(uuid: u128) -> [u8; 36] {
    let [first, second, third, fourth] = [96, 64, 32, 0].map(|shift| digits(uuid >> shift));
    let mut text = [b'-'; 36];
    text[..8].copy_from_slice(&first);
    text[9..13].copy_from_slice(&second[..4]);
    text[14..18].copy_from_slice(&second[4..]);
    text[19..23].copy_from_slice(&third[..4]);
    text[24..28].copy_from_slice(&third[4..]);
    text[28..].copy_from_slice(&fourth);
    text
}

/// The low 32 bits in hexadecimal, all eight digits at once.
fn digits(number: u128) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // A digit in each byte.
    let mut digits = (number & 0xffff_ffff) as u64;
    digits = (digits | digits << 16) & 0x0000_ffff_0000_ffff;
    digits = (digits | digits << 8) & 0x00ff_00ff_00ff_00ff;
    digits = (digits | digits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = ((digits + 6 * ONES) >> 4) & ONES;
    (digits + u64::from(b'0') * ONES + letters * u64::from(b'a' - 10 - b'0')).to_be_bytes()
}

/// The sequence of an order id of this seed's plan; `None` for every other text.
#[must_use]
pub fn decode(seed: u64, text: &str) -> Option<u64> {
    // Braced, simple and URN forms are not what `encode` writes, so they are somebody else's.
    if text.len() != 36 {
        return None;
    }
    let uuid = Uuid::try_parse(text).ok()?;
    if uuid.get_version() != Some(Version::Random) || uuid.get_variant() != Variant::RFC4122 {
        return None;
    }
    let value = uuid.as_u128();
    // Undo `spread`: 48 bits, [4 of version], 12 bits, [2 of variant], 62 bits.
    let payload = (value >> 80 << 74) | (((value >> 64) & 0xfff) << 62) | (value & ((1 << 62) - 1));
    #[expect(clippy::cast_possible_truncation, reason = "122 bits less 58 leave 64")]
    let scrambled = (payload >> PROOF_BITS) as u64;
    let sequence = unscramble(scrambled ^ mix(seed)).wrapping_sub(seed);
    (bits(seed, sequence) == value).then_some(sequence)
}

fn bits(seed: u64, sequence: u64) -> u128 {
    let scrambled = scramble(sequence.wrapping_add(seed)) ^ mix(seed);
    let proof = mix(mix(seed ^ GAMMA).wrapping_add(sequence));
    let payload = (u128::from(scrambled) << PROOF_BITS) | (u128::from(proof) & PROOF_MASK);
    spread(payload)
}

/// Lays 122 bits around version 4 and the RFC 9562 variant.
const fn spread(payload: u128) -> u128 {
    (payload >> 74 << 80) | (4 << 76) | (((payload >> 62) & 0xfff) << 64) | (0b10 << 62) | (payload & ((1 << 62) - 1))
}

pub(crate) const fn scramble(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(FIRST_MULTIPLIER);
    let value = (value ^ (value >> 27)).wrapping_mul(SECOND_MULTIPLIER);
    value ^ (value >> 31)
}

const fn unscramble(value: u64) -> u64 {
    let value = (value ^ (value >> 31) ^ (value >> 62)).wrapping_mul(inverse(SECOND_MULTIPLIER));
    let value = (value ^ (value >> 27) ^ (value >> 54)).wrapping_mul(inverse(FIRST_MULTIPLIER));
    value ^ (value >> 30) ^ (value >> 60)
}

/// The inverse of an odd number modulo 2^64, by Newton's iteration: each step doubles the number of right bits.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut step = 0;
    while step < 5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

/// A well-spread function of one word.
pub(crate) const fn mix(value: u64) -> u64 {
    scramble(value.wrapping_add(GAMMA))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_a_proper_version_4_uuid_and_the_same_for_ever() {
        let text = encode(42, 731);
        let text = std::str::from_utf8(&text).expect("ASCII");
        let uuid = Uuid::parse_str(text).expect("a UUID");
        assert_eq!(uuid.get_version(), Some(Version::Random));
        assert_eq!(uuid.get_variant(), Variant::RFC4122);
        assert_eq!(text, GOLDEN, "order ids of old plans must stay readable");
    }

    /// Order 731 of seed 42.
    const GOLDEN: &str = "8827d5e2-b24f-4de4-8a1a-931b41232c0d";

    #[test]
    fn what_the_plan_never_gave_out_is_nobody() {
        let text = encode(42, 731);
        let text = std::str::from_utf8(&text).expect("ASCII");
        assert_eq!(decode(43, text), None, "another seed's");
        assert_eq!(decode(42, &text.replace('-', "")), None, "another form");
        assert_eq!(decode(42, ""), None);
        assert_eq!(decode(42, "00000000-0000-0000-0000-000000000000"), None);
        assert_eq!(decode(42, "6b1f7f52-3f0e-4f6f-9a0f-8a7c5a1c5a11"), None, "somebody else's version 4");
        for place in 0..36 {
            let mut damaged = text.as_bytes().to_vec();
            damaged[place] = if damaged[place] == b'0' { b'1' } else { b'0' };
            let damaged = String::from_utf8(damaged).expect("ASCII");
            if damaged != text {
                assert_eq!(decode(42, &damaged), None, "character {place} of {text} was {damaged}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_text_is_that_of_everybody_else(uuid: u128) {
            let text = text(uuid);
            let expected = Uuid::from_u128(uuid).hyphenated().to_string();
            prop_assert_eq!(std::str::from_utf8(&text).expect("ASCII"), expected);
        }

        #[test]
        fn every_sequence_of_every_seed_comes_back(seed: u64, sequence: u64) {
            let text = encode(seed, sequence);
            prop_assert_eq!(decode(seed, std::str::from_utf8(&text).expect("ASCII")), Some(sequence));
        }
    }
}
