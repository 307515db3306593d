//! All chance of a plan: generators that the seed fixes, the same on every machine.
//!
//! ChaCha is specified to the bit and can be positioned anywhere, so the n-th message of a plan is computed without
//! the ones before it. Each use has a name of its own, so that a change to one leaves the numbers of the others alone.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Arrival times.
pub(crate) const ARRIVALS: [u8; 8] = *b"arrivals";
/// Keys, items, quantities and amounts.
pub(crate) const WORKLOAD: [u8; 8] = *b"workload";
/// Which transactions are aborted.
pub(crate) const ABORTS: [u8; 8] = *b"aborting";

/// The generator of one use under one seed.
pub(crate) fn generator(seed: u64, purpose: [u8; 8]) -> ChaCha8Rng {
    // Written out instead of `seed_from_u64`, whose expansion is the crate's own affair.
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&purpose);
    ChaCha8Rng::from_seed(key)
}

/// A number below `bound` from 64 random bits; the bias is below `bound` / 2^64.
pub(crate) fn below(random: u64, bound: u64) -> u64 {
    let product = u128::from(random) * u128::from(bound);
    u64::try_from(product >> 64).expect("half of a product of two words")
}
