//! The part of a plan that one producer offers, and one shard.
//!
//! A key belongs to exactly one part, and all messages of a key go with it: they pass through one client, on one
//! connection for a partition, in the order of the plan. Sequences and intended instants stay those of the whole plan, so
//! that parts are disjoint and together the whole, whoever offers them.

use crate::plan::PlanError;

/// The most producers of one load: each is a client with its own connections and two threads of ours.
pub const PRODUCERS_MAX: u32 = 64;
/// The most shards of one run: with [`PRODUCERS_MAX`], as many producers as a message's identity has room for.
pub const SHARDS_MAX: u32 = 1_000;

/// One shard of so many. It is written `2/3`: the second of three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    index: u32,
    of: u32,
}

/// A text that names no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no shard: write I/N, as in \"2/3\" for the second of three; allowed are 1 <= I <= N <= {SHARDS_MAX}"
)]
pub struct ShardTextError {
    text: String,
}

impl Shard {
    /// All there is.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// Its place among the shards, from 0.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// How many there are.
    #[must_use]
    pub const fn of(self) -> u32 {
        self.of
    }

    /// Whether the messages of this key are its own.
    #[must_use]
    pub const fn has(self, key: u32) -> bool {
        key % self.of == self.index
    }
}

impl std::str::FromStr for Shard {
    type Err = ShardTextError;

    fn from_str(text: &str) -> Result<Self, ShardTextError> {
        let parse = || {
            let (place, of) = text.split_once('/')?;
            let (place, of): (u32, u32) = (place.parse().ok()?, of.parse().ok()?);
            ((1..=of).contains(&place) && of <= SHARDS_MAX).then(|| Self { index: place - 1, of })
        };
        parse().ok_or_else(|| ShardTextError { text: text.to_owned() })
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.index + 1, self.of)
    }
}

/// One producer of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    shard: Shard,
    producer: u32,
    producers: u32,
}

impl Part {
    /// Every producer of a shard.
    pub(crate) fn all(shard: Shard, producers: u32) -> impl Iterator<Item = Self> {
        (0..producers).map(move |producer| Self { shard, producer, producers })
    }

    /// Whether the messages of this key are its own.
    pub(crate) const fn has(self, key: u32) -> bool {
        // A shard's own keys are `of` apart: counted in such steps, they are spread over its producers evenly.
        self.shard.has(key) && (key / self.shard.of) % self.producers == self.producer
    }

    /// Its number among all producers of a run, whatever number the other shards have.
    pub(crate) fn number(self) -> u16 {
        u16::try_from(self.shard.index * PRODUCERS_MAX + self.producer).expect("both are bounded")
    }
}

/// Whether so many producers and shards have something to do each.
pub(crate) fn validate(shards: u32, producers: u32, users: u32) -> Result<(), PlanError> {
    if !(1..=PRODUCERS_MAX).contains(&producers) {
        return Err(PlanError::Producers { received: producers });
    }
    if u64::from(shards) * u64::from(producers) > u64::from(users) {
        return Err(PlanError::Parts { shards, producers, users });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_one_producer_of_one_shard() {
        for (shards, producers) in [(1, 1), (1, 4), (3, 1), (3, 4), (2, 2)] {
            let mut numbers = Vec::new();
            for index in 0..shards {
                let shard = Shard { index, of: shards };
                numbers.extend(Part::all(shard, producers).map(|part| (part.number(), part)));
            }
            for key in 0..100 {
                let owners = numbers.iter().filter(|(_, part)| part.has(key)).count();
                assert_eq!(owners, 1, "key {key} of {shards} shards with {producers} producers");
            }
            for (number, part) in &numbers {
                let keys = (0..1_200).filter(|key| part.has(*key)).count();
                assert_eq!(keys, 1_200 / numbers.len(), "producer {number} of {}", numbers.len());
            }
            numbers.dedup_by_key(|(number, _)| *number);
            assert_eq!(numbers.len() as u64, u64::from(shards) * u64::from(producers), "numbers are distinct");
        }
    }

    #[test]
    fn shards_are_written_as_people_count() {
        for text in ["1/1", "2/3", "1000/1000"] {
            assert_eq!(text.parse::<Shard>().expect("a shard").to_string(), text);
        }
        assert_eq!("1/1".parse::<Shard>(), Ok(Shard::WHOLE));
        for text in ["", "1", "0/3", "4/3", "1/0", "1/1001", "a/b", "-1/2"] {
            let error = text.parse::<Shard>().expect_err("refused").to_string();
            assert!(error.contains(&format!("{text:?}")) && error.contains("\"2/3\""), "{error}");
        }
    }

    #[test]
    fn nobody_is_started_who_has_nothing_to_do() {
        assert_eq!(validate(1, 1, 1), Ok(()));
        assert_eq!(validate(2, 5, 10), Ok(()));
        assert_eq!(validate(1, 0, 10), Err(PlanError::Producers { received: 0 }));
        assert_eq!(validate(1, 65, 1_000), Err(PlanError::Producers { received: 65 }));
        assert_eq!(validate(2, 5, 9), Err(PlanError::Parts { shards: 2, producers: 5, users: 9 }));
    }
}
