//! Who the messages are for: the key space, and how keys are drawn from it.

use crate::chance;
use crate::portable_math::{exp, ln};
use serde::{Deserialize, Serialize};

/// The most users of one plan: each costs 4 bytes for its sequence, and 8 more under Zipf.
pub const USERS_MAX: u32 = 1 << 24;
/// The steepest Zipf exponent; beyond it the first user has everything.
const ZIPF_MAX: f64 = 20.0;

/// The keys of a load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySpace {
    /// How many there are: `user-0` to `user-<users - 1>`.
    pub users: u32,
    /// The exponent of Zipf's law, under which user n has a share of 1 / (n + 1)^zipf; all alike without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zipf: Option<f64>,
}

/// A key space that nobody can draw from.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KeySpaceError {
    /// No users, or too many.
    #[error("{received} users: allowed are 1 to {USERS_MAX}")]
    Users {
        /// The number received.
        received: u32,
    },
    /// Not an exponent.
    #[error("a Zipf exponent of {received}: allowed are 0 to {ZIPF_MAX}")]
    Zipf {
        /// The exponent received.
        received: f64,
    },
}

impl KeySpace {
    /// So many users, all alike.
    #[must_use]
    pub const fn uniform(users: u32) -> Self {
        Self { users, zipf: None }
    }

    /// Whether keys can be drawn from it.
    ///
    /// # Errors
    /// When the number of users or the exponent is out of range.
    pub fn validate(&self) -> Result<(), KeySpaceError> {
        if !(1..=USERS_MAX).contains(&self.users) {
            return Err(KeySpaceError::Users { received: self.users });
        }
        match self.zipf {
            Some(received) if !(0.0..=ZIPF_MAX).contains(&received) => Err(KeySpaceError::Zipf { received }),
            _ => Ok(()),
        }
    }
}

/// Turns random words into keys.
#[derive(Debug, Clone)]
pub(crate) enum KeySampler {
    Uniform {
        users: u32,
    },
    /// The upper bound of each user's share of all 64-bit words, excluded.
    Zipf {
        bounds: Vec<u64>,
    },
}

impl KeySampler {
    pub(crate) fn new(space: &KeySpace) -> Result<Self, KeySpaceError> {
        space.validate()?;
        let Some(exponent) = space.zipf else {
            return Ok(Self::Uniform { users: space.users });
        };
        let mut sum = 0.0;
        let sums: Vec<f64> = (1..=space.users)
            .map(|rank| {
                sum += exp(-exponent * ln(rank));
                sum
            })
            .collect();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of 2^64, saturating")]
        let bounds = sums.iter().map(|part| (part / sum * 18_446_744_073_709_551_616.0) as u64).collect();
        Ok(Self::Zipf { bounds })
    }

    pub(crate) fn key(&self, random: u64) -> u32 {
        match self {
            Self::Uniform { users } => {
                u32::try_from(chance::below(random, u64::from(*users))).expect("below a 32-bit bound")
            }
            Self::Zipf { bounds } => {
                // The last bound saturates at the largest word, which would else belong to nobody.
                let rank = bounds.partition_point(|bound| *bound <= random).min(bounds.len() - 1);
                u32::try_from(rank).expect("below a 32-bit bound")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::Rng;

    fn shares(space: KeySpace) -> Vec<f64> {
        let sampler = KeySampler::new(&space).expect("valid");
        let mut generator = chance::generator(3, chance::WORKLOAD);
        let mut counts = vec![0.0; space.users as usize];
        for _ in 0..200_000 {
            counts[sampler.key(generator.next_u64()) as usize] += 1.0 / 200_000.0;
        }
        counts
    }

    #[test]
    fn uniform_keys_are_all_alike() {
        for share in shares(KeySpace::uniform(10)) {
            assert!((share - 0.1).abs() < 0.005, "{share}");
        }
        assert_eq!(shares(KeySpace::uniform(1)).len(), 1);
    }

    #[test]
    fn zipf_shares_follow_the_law() {
        let shares = shares(KeySpace { users: 100, zipf: Some(1.0) });
        let harmonic: f64 = (1..=100).map(|rank| 1.0 / f64::from(rank)).sum();
        for (rank, share) in [(1, shares[0]), (2, shares[1]), (10, shares[9]), (100, shares[99])] {
            let expected = 1.0 / f64::from(rank) / harmonic;
            assert!((share - expected).abs() < 0.004, "rank {rank}: {share}, not {expected}");
        }
    }

    #[test]
    fn every_word_has_a_key() {
        for space in
            [KeySpace::uniform(7), KeySpace { users: 7, zipf: Some(0.9) }, KeySpace { users: 7, zipf: Some(20.0) }]
        {
            let sampler = KeySampler::new(&space).expect("valid");
            assert_eq!(sampler.key(0), 0);
            assert!(sampler.key(u64::MAX) < 7);
        }
        let level = KeySampler::new(&KeySpace { users: 7, zipf: Some(0.0) }).expect("valid");
        assert_eq!(level.key(u64::MAX), 6);
    }

    #[test]
    fn refuses_what_nobody_can_draw_from() {
        let error = KeySpace::uniform(0).validate().expect_err("nobody");
        assert_eq!(error.to_string(), "0 users: allowed are 1 to 16777216");
        assert!(KeySpace::uniform(USERS_MAX + 1).validate().is_err());
        for zipf in [-0.1, 20.1, f64::NAN, f64::INFINITY] {
            assert!(KeySpace { users: 5, zipf: Some(zipf) }.validate().is_err(), "{zipf}");
        }
    }
}
