//! What happened: a digest of every event, always, and lines for a person, on request.
//!
//! The digest is FNV-1a over numbers, never over formatted text: it has to cost nothing when nobody reads along.

use std::fmt::Display;
use std::hash::{Hash, Hasher};

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Detail {
    /// Nothing.
    Nothing,
    /// Faults, what nodes report, and what clients learn.
    Story,
    /// The messages between nodes, too.
    Everything,
}

/// The trace of one lifetime.
pub(crate) struct Trace {
    digest: Digest,
    detail: Detail,
}

/// FNV-1a, a word at a time, so that `Hash` can feed it.
struct Digest(u64);

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(FNV_PRIME).rotate_left(23);
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(i64::try_from(value).unwrap_or_default().cast_unsigned());
    }
}

impl Trace {
    pub(crate) fn new(detail: Detail) -> Self {
        Self { digest: Digest(FNV_OFFSET), detail }
    }

    /// The digest of everything so far.
    pub(crate) fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// Takes a number into the digest.
    pub(crate) fn mix(&mut self, value: u64) {
        self.digest.write_u64(value);
    }

    /// Takes an index into the digest.
    pub(crate) fn mix_index(&mut self, index: usize) {
        self.digest.write_u64(u64::try_from(index).unwrap_or(u64::MAX));
    }

    /// Takes the variant of an enum into the digest.
    pub(crate) fn mix_variant<T>(&mut self, value: &T) {
        std::mem::discriminant(value).hash(&mut self.digest);
    }

    /// Prints a line of the story, if anybody reads along.
    pub(crate) fn story<T: Display>(&self, now_ns: u64, who: &str, what: impl FnOnce() -> T) {
        if self.detail >= Detail::Story {
            line(now_ns, who, &what());
        }
    }

    /// Prints a line that only a close reader wants.
    pub(crate) fn closely<T: Display>(&self, now_ns: u64, who: &str, what: impl FnOnce() -> T) {
        if self.detail >= Detail::Everything {
            line(now_ns, who, &what());
        }
    }
}

fn line(now_ns: u64, who: &str, what: &impl Display) {
    let text = what.to_string();
    let cut = text.char_indices().nth(400).map_or(text.len(), |(at, _)| at);
    println!("[{:>3}.{:06}] {who:<10} {}", now_ns / 1_000_000_000, now_ns / 1_000 % 1_000_000, &text[..cut]);
}
