//! A digest that is the same for ever: names plans, so that two runs are known to have offered the same.

use std::fmt;

/// FNV-1a with 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv): no secret is protected, only equality is told, and it
/// is the same in every release of every library. It displays as 16 hexadecimal digits.
///
/// ```
/// let mut digest = shakedown_loadgen::Digest::new();
/// digest.bytes(b"foobar");
/// assert_eq!(digest.to_string(), "85944171f73967e8");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(u64);

impl Digest {
    /// The digest of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Goes on with these bytes alone: two calls are the same as one with both. See [`Digest::text`].
    pub fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Goes on with a number, as eight bytes, little endian.
    pub fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// The digest so far, for whoever decides something by it.
    #[must_use]
    pub const fn value(&self) -> u64 {
        self.0
    }

    /// Goes on with a text behind its length, so that no two lists of texts run into the same bytes.
    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of draft-eastlake-fnv.
    #[test]
    fn it_is_fnv_1a() {
        for (text, expected) in [("", "cbf29ce484222325"), ("a", "af63dc4c8601ec8c"), ("foobar", "85944171f73967e8")] {
            let mut digest = Digest::new();
            digest.bytes(text.as_bytes());
            assert_eq!(digest.to_string(), expected, "{text:?}");
        }
    }

    #[test]
    fn texts_do_not_run_into_one_another() {
        let of = |texts: [&str; 2]| {
            let mut digest = Digest::new();
            texts.iter().for_each(|text| digest.text(text));
            digest
        };
        assert_ne!(of(["ab", "c"]), of(["a", "bc"]));
        assert_eq!(of(["ab", "c"]), of(["ab", "c"]));
    }
}
