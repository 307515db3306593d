//! All chance of the shell: generators by identity, seeded by the cluster's seed.
//!
//! Whoever draws has a generator of its own, named by who it is (a link, a client at a node) and never shared: what one
//! draws does not depend on what others do meanwhile. What nodes draw inside is theirs.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::time::Duration;

/// The FNV-1a hash's start and factor for 64 bits (draft-eastlake-fnv).
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_FACTOR: u64 = 0x0100_0000_01b3;

/// One drawer's generator.
#[derive(Debug, Clone)]
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    /// The generator of whoever these words name, in their order. The same seed and words draw the same.
    pub(crate) fn of(seed: u64, words: &[&[u8]]) -> Self {
        let mut hash = FNV_START;
        for word in words {
            // The length keeps "ab", "c" apart from "a", "bc".
            for byte in (word.len() as u64).to_le_bytes().iter().chain(*word) {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(FNV_FACTOR);
            }
        }
        Self(ChaCha8Rng::seed_from_u64(seed ^ hash))
    }

    /// Any time from none to `max`, all alike, to the nanosecond.
    pub(crate) fn up_to(&mut self, max: Duration) -> Duration {
        let ends = max.as_nanos().saturating_add(1);
        let drawn = u128::from(self.0.next_u64()).saturating_mul(ends) >> 64;
        Duration::from_nanos(u64::try_from(drawn).unwrap_or(u64::MAX))
    }

    /// These in an order in which each is as likely to be first as any other (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let below = (u128::from(self.0.next_u64()) * (last as u128 + 1)) >> 64;
            items.swap(last, usize::try_from(below).unwrap_or(last));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(draws: &mut Draws) -> Vec<Duration> {
        (0..100).map(|_| draws.up_to(Duration::from_millis(10))).collect()
    }

    #[test]
    fn the_same_name_and_seed_draw_the_same() {
        let drawn = first(&mut Draws::of(7, &[b"link", b"1"]));
        assert_eq!(drawn, first(&mut Draws::of(7, &[b"link", b"1"])));
        assert_ne!(drawn, first(&mut Draws::of(8, &[b"link", b"1"])));
        assert_ne!(drawn, first(&mut Draws::of(7, &[b"link", b"2"])));
        assert_ne!(drawn, first(&mut Draws::of(7, &[b"lin", b"k1"])));
    }

    #[test]
    fn draws_fill_their_range_and_stay_in_it() {
        let drawn = first(&mut Draws::of(0, &[]));
        assert!(drawn.iter().all(|time| *time <= Duration::from_millis(10)));
        assert!(drawn.iter().any(|time| *time < Duration::from_millis(1)));
        assert!(drawn.iter().any(|time| *time > Duration::from_millis(9)));
        assert_eq!(Draws::of(0, &[]).up_to(Duration::ZERO), Duration::ZERO);
    }
}
