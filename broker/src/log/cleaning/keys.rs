//! The last offset of each key in the part of a log that is not clean yet (Kafka's `OffsetMap`).
//!
//! Keys are kept whole: Kafka keeps their MD5 sums, and would mistake one key for another that has the same.

use crate::types::Offset;
use std::collections::BTreeMap;

/// Bytes of keys at most (`log.cleaner.dedupe.buffer.size`, Kafka's default: 128 MiB); what does not fit is cleaned the
/// next time.
pub const KEY_BYTES_MAX: usize = 32 << 20;
/// What a key takes besides its bytes: its box, its offset, its share of the tree.
const KEY_EXTRA: usize = 48;

/// Offsets by key.
#[derive(Debug, Default)]
pub struct Keys {
    offsets: BTreeMap<Box<[u8]>, Offset>,
    bytes: usize,
}

impl Keys {
    /// A record with this key lies at this offset, behind all that were told before.
    pub fn put(&mut self, key: &[u8], offset: Offset) {
        if let Some(last) = self.offsets.get_mut(key) {
            *last = offset;
        } else {
            self.bytes += key.len() + KEY_EXTRA;
            self.offsets.insert(key.into(), offset);
        }
    }

    /// Whether there is a later record with this key.
    #[must_use]
    pub fn is_superseded(&self, key: &[u8], offset: Offset) -> bool {
        self.offsets.get(key).is_some_and(|last| *last > offset)
    }

    /// Whether no more keys should be put.
    #[must_use]
    pub fn is_full(&self, bytes_max: usize) -> bool {
        self.bytes >= bytes_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_offset_of_a_key_counts() {
        let mut keys = Keys::default();
        for (offset, key) in [(3, b"a"), (5, b"b"), (9, b"a")] {
            keys.put(key, Offset(offset));
        }
        let superseded = |key: &[u8], offset| keys.is_superseded(key, Offset(offset));
        assert_eq!([superseded(b"a", 3), superseded(b"a", 9), superseded(b"b", 4)], [true, false, true]);
        assert!(!superseded(b"c", 0), "nothing is known of other keys");
    }

    #[test]
    fn a_key_counts_once() {
        let mut keys = Keys::default();
        (0..10).for_each(|offset| keys.put(b"the same", Offset(offset)));
        assert!(!keys.is_full(8 + KEY_EXTRA + 1) && keys.is_full(8 + KEY_EXTRA));
    }
}
