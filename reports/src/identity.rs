//! Dense names for messages and keys, so that checks can use arrays where others need hash maps of strings.
//!
//! A name is either *planned* (given out by the load generator's plan, and decodable from the message) or *interned*
//! (a business identity such as an order id, numbered when a tap first sees it). Both are dense from zero; the top bit
//! tells them apart. The text behind an interned name is in the run directory's dictionaries.

use serde::{Deserialize, Serialize};

/// What one message is called everywhere in a run: at its source, at every sink, in every finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity(u64);

/// The business key (the Kafka message key) whose order matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(u32);

const INTERNED_IDENTITY: u64 = 1 << 63;
const INTERNED_KEY: u32 = 1 << 31;

/// Where a name comes from; with its index, the whole of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// Given out by the load generator's plan.
    Planned,
    /// Numbered by a tap at first sight.
    Interned,
}

impl Identity {
    /// The message with this dense sequence number in the plan (below 2^63).
    #[must_use]
    pub const fn planned(sequence: u64) -> Self {
        Self(sequence & !INTERNED_IDENTITY)
    }

    /// The `n`-th business identity that any tap saw.
    #[must_use]
    pub const fn interned(n: u64) -> Self {
        Self(n | INTERNED_IDENTITY)
    }

    /// Which of the two dense spaces the identity lives in.
    #[must_use]
    pub const fn namespace(self) -> Namespace {
        if self.0 & INTERNED_IDENTITY == 0 { Namespace::Planned } else { Namespace::Interned }
    }

    /// Its index in that space, dense from zero.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.0 & !INTERNED_IDENTITY
    }

    /// The form on disk.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Reads the form on disk; every bit pattern is a valid identity.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl Key {
    /// The key of a message that has none, or whose sink does not know it: never compared, never ordered.
    pub const ABSENT: Self = Self(u32::MAX);

    /// The plan's key of this number (below 2^31).
    #[must_use]
    pub const fn planned(number: u32) -> Self {
        Self(number & !INTERNED_KEY)
    }

    /// The `n`-th business key that any tap saw.
    #[must_use]
    pub const fn interned(n: u32) -> Self {
        Self(n | INTERNED_KEY)
    }

    /// Which of the two dense spaces the key lives in.
    #[must_use]
    pub const fn namespace(self) -> Namespace {
        if self.0 & INTERNED_KEY == 0 { Namespace::Planned } else { Namespace::Interned }
    }

    /// Its index in that space, dense from zero.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0 & !INTERNED_KEY
    }

    /// The form on disk.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        self.0
    }

    /// Reads the form on disk; every bit pattern is a valid key.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_spaces_of_names_never_meet() {
        assert_ne!(Identity::planned(7), Identity::interned(7));
        assert_eq!(Identity::interned(7).index(), 7);
        assert_eq!(Identity::interned(7).namespace(), Namespace::Interned);
        assert_ne!(Key::planned(7), Key::interned(7));
        assert_eq!(Key::planned(7).namespace(), Namespace::Planned);
        assert_eq!(Key::from_bits(Key::interned(7).to_bits()), Key::interned(7));
    }
}
