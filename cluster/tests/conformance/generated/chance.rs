//! All chance of a sequence, drawn from one seed: the same on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub(super) struct Chance(ChaCha8Rng);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// An index into something of this length, which is not empty.
    pub(super) fn index(&mut self, length: usize) -> usize {
        let wide = u128::from(self.0.next_u64()) * length as u128;
        usize::try_from(wide >> 64).expect("it is below a length")
    }

    /// One of several.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }

    /// Whether something happens that happens so many times out of a hundred.
    pub(super) fn percent(&mut self, percent: usize) -> bool {
        self.index(100) < percent
    }

    /// One of the likely values, or now and then of the others.
    pub(super) fn mostly<T: Copy>(&mut self, likely: &[T], others: &[T]) -> T {
        if self.percent(80) { self.pick(likely) } else { self.pick(others) }
    }
}
