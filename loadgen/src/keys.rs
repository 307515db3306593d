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
    /// Who is next.
    #[serde(default, skip_serializing_if = "KeyDraw::is_uniform")]
    pub draw: KeyDraw,
}

/// How keys are drawn from a key space.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyDraw {
    /// Everybody alike.
    #[default]
    Uniform,
    /// By Zipf's law with this exponent: user n has a share of 1 / (n + 1)^exponent.
    Zipf(f64),
    /// A few have most of it.
    Hot(HotSet),
    /// One after another, and from the beginning again.
    Sequential,
}

impl KeyDraw {
    fn is_uniform(&self) -> bool {
        *self == Self::Uniform
    }
}

/// Keys that are drawn more often than the others. Both they and the others are alike among themselves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HotSet {
    /// How many: the first of the users.
    pub keys: u32,
    /// Their share of all messages, between 0 and 1.
    pub share: f64,
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
    /// A hot set that leaves nobody, or nothing, for the others.
    #[error(
        "a hot set of {} keys with a share of {} among {users} users: allowed are 1 to {} keys and a share above 0 and below 1",
        received.keys, received.share, users - 1
    )]
    Hot {
        /// The hot set received.
        received: HotSet,
        /// How many users there are.
        users: u32,
    },
}

impl KeySpace {
    /// So many users, all alike.
    #[must_use]
    pub const fn uniform(users: u32) -> Self {
        Self { users, draw: KeyDraw::Uniform }
    }

    /// Whether keys can be drawn from it.
    ///
    /// # Errors
    /// When the number of users, the exponent or the hot set is out of range.
    pub fn validate(&self) -> Result<(), KeySpaceError> {
        if !(1..=USERS_MAX).contains(&self.users) {
            return Err(KeySpaceError::Users { received: self.users });
        }
        let users = self.users;
        match self.draw {
            KeyDraw::Zipf(received) if !(0.0..=ZIPF_MAX).contains(&received) => Err(KeySpaceError::Zipf { received }),
            KeyDraw::Hot(received)
                if !((1..users).contains(&received.keys) && received.share > 0.0 && received.share < 1.0) =>
            {
                Err(KeySpaceError::Hot { received, users })
            }
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
    /// Words below the bound are for the first `keys` of the users.
    Hot {
        keys: u32,
        bound: u64,
        users: u32,
    },
    Sequential {
        users: u32,
    },
}

/// All 64-bit words.
const WORDS: f64 = 18_446_744_073_709_551_616.0;

impl KeySampler {
    pub(crate) fn new(space: &KeySpace) -> Result<Self, KeySpaceError> {
        space.validate()?;
        let users = space.users;
        Ok(match space.draw {
            KeyDraw::Uniform => Self::Uniform { users },
            KeyDraw::Zipf(exponent) => Self::Zipf { bounds: zipf_bounds(users, exponent) },
            KeyDraw::Hot(HotSet { keys, share }) => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of 2^64")]
                let bound = (share * WORDS) as u64;
                // Between them no share is so small, or so large, that one side has no word at all.
                Self::Hot { keys, bound: bound.clamp(1, u64::MAX), users }
            }
            KeyDraw::Sequential => Self::Sequential { users },
        })
    }

    /// The key of the message of this sequence, by this random word.
    pub(crate) fn key(&self, sequence: u64, random: u64) -> u32 {
        let key = match self {
            Self::Uniform { users } => chance::below(random, u64::from(*users)),
            // The last bound saturates at the largest word, which would else belong to nobody.
            Self::Zipf { bounds } => bounds.partition_point(|bound| *bound <= random).min(bounds.len() - 1) as u64,
            Self::Hot { keys, bound, .. } if random < *bound => within(random, u128::from(*bound), *keys),
            Self::Hot { keys, bound, users } => {
                let others = (1 << u64::BITS) - u128::from(*bound);
                u64::from(*keys) + within(random - *bound, others, users - keys)
            }
            Self::Sequential { users } => sequence % u64::from(*users),
        };
        u32::try_from(key).expect("below a 32-bit bound")
    }
}

/// The place among `parts` of a number that is below `whole`.
fn within(number: u64, whole: u128, parts: u32) -> u64 {
    u64::try_from(u128::from(number) * u128::from(parts) / whole).expect("below a 32-bit bound")
}

fn zipf_bounds(users: u32, exponent: f64) -> Vec<u64> {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=users)
        .map(|rank| {
            sum += exp(-exponent * ln(rank));
            sum
        })
        .collect();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of 2^64, saturating")]
    sums.iter().map(|part| (part / sum * WORDS) as u64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::Rng;

    const fn space(users: u32, draw: KeyDraw) -> KeySpace {
        KeySpace { users, draw }
    }

    fn shares(space: KeySpace) -> Vec<f64> {
        let sampler = KeySampler::new(&space).expect("valid");
        let mut generator = chance::generator(3, chance::WORKLOAD);
        let mut counts = vec![0.0; space.users as usize];
        for sequence in 0..200_000 {
            counts[sampler.key(sequence, generator.next_u64()) as usize] += 1.0 / 200_000.0;
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
        let shares = shares(space(100, KeyDraw::Zipf(1.0)));
        let harmonic: f64 = (1..=100).map(|rank| 1.0 / f64::from(rank)).sum();
        for (rank, share) in [(1, shares[0]), (2, shares[1]), (10, shares[9]), (100, shares[99])] {
            let expected = 1.0 / f64::from(rank) / harmonic;
            assert!((share - expected).abs() < 0.004, "rank {rank}: {share}, not {expected}");
        }
    }

    #[test]
    fn a_hot_set_has_its_share_and_nobody_is_left_out() {
        let shares = shares(space(100, KeyDraw::Hot(HotSet { keys: 4, share: 0.8 })));
        for (key, share) in shares.iter().enumerate() {
            let expected = if key < 4 { 0.2 } else { 0.2 / 96.0 };
            assert!((share - expected).abs() < 0.004 && *share > 0.0, "key {key}: {share}, not {expected}");
        }
    }

    #[test]
    fn sequential_keys_take_turns_whatever_chance_says() {
        let sampler = KeySampler::new(&space(3, KeyDraw::Sequential)).expect("valid");
        let keys: Vec<u32> = (0..7).map(|sequence| sampler.key(sequence, u64::MAX / (sequence + 1))).collect();
        assert_eq!(keys, [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn every_word_has_a_key() {
        for draw in [
            KeyDraw::Uniform,
            KeyDraw::Zipf(0.9),
            KeyDraw::Zipf(20.0),
            KeyDraw::Hot(HotSet { keys: 1, share: f64::MIN_POSITIVE }),
            KeyDraw::Hot(HotSet { keys: 6, share: 1.0 - f64::EPSILON }),
        ] {
            let sampler = KeySampler::new(&space(7, draw)).expect("valid");
            assert_eq!(sampler.key(0, 0), 0, "{draw:?}");
            assert!(sampler.key(0, u64::MAX) < 7, "{draw:?}");
        }
        for draw in [KeyDraw::Zipf(0.0), KeyDraw::Hot(HotSet { keys: 2, share: 0.5 })] {
            let sampler = KeySampler::new(&space(7, draw)).expect("valid");
            assert_eq!(sampler.key(0, u64::MAX), 6, "{draw:?}");
        }
    }

    #[test]
    fn refuses_what_nobody_can_draw_from() {
        let error = KeySpace::uniform(0).validate().expect_err("nobody");
        assert_eq!(error.to_string(), "0 users: allowed are 1 to 16777216");
        assert!(KeySpace::uniform(USERS_MAX + 1).validate().is_err());
        for zipf in [-0.1, 20.1, f64::NAN, f64::INFINITY] {
            assert!(space(5, KeyDraw::Zipf(zipf)).validate().is_err(), "{zipf}");
        }
        for (keys, share) in [(0, 0.5), (5, 0.5), (6, 0.5), (1, 0.0), (1, 1.0), (1, -0.5), (1, f64::NAN)] {
            let error = space(5, KeyDraw::Hot(HotSet { keys, share })).validate().expect_err("refused").to_string();
            assert!(
                error.ends_with("among 5 users: allowed are 1 to 4 keys and a share above 0 and below 1"),
                "{error}"
            );
        }
    }
}
