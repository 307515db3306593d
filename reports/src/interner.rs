//! Business names become dense numbers, once, wherever a tap or a ledger first meets them.

use crate::dictionary;
use crate::identity::{Identity, Key};
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Numbers names in the order of first sight and appends their text to the run's dictionaries.
///
/// Texts are not kept in memory, only 128-bit fingerprints of them under keys drawn for this process: ten million names
/// collide with a probability below 10^-24.
pub struct Interner {
    key_prefix: String,
    identities: Mutex<Names>,
    keys: Mutex<Names>,
}

impl Interner {
    /// An interner whose dictionaries go nowhere, for tests and for tools without a run directory.
    #[must_use]
    pub fn in_memory(key_prefix: &str) -> Self {
        Self::new(key_prefix, Box::new(io::sink()), Box::new(io::sink()))
    }

    pub(crate) fn new(key_prefix: &str, identities: Box<dyn Write + Send>, keys: Box<dyn Write + Send>) -> Self {
        Self {
            key_prefix: key_prefix.to_owned(),
            identities: Mutex::new(Names::new(identities)),
            keys: Mutex::new(Names::new(keys)),
        }
    }

    /// The name of a message with this business identity. A message of the plan is not interned: whoever can decode its
    /// sequence number uses [`Identity::planned`].
    #[must_use]
    pub fn identity(&self, text: &str) -> Identity {
        Identity::interned(lock(&self.identities).number(text))
    }

    /// The name of this business key: planned if it reads as one of the plan's (`user-17`), interned otherwise.
    ///
    /// # Panics
    /// When a run has more than 2^31 different keys.
    #[must_use]
    pub fn key(&self, text: &str) -> Key {
        if let Some(number) = planned_number(&self.key_prefix, text) {
            return Key::planned(number);
        }
        let number = lock(&self.keys).number(text);
        Key::interned(u32::try_from(number).expect("a run has fewer than 2^31 keys"))
    }

    /// Hands the dictionaries to the operating system.
    ///
    /// # Errors
    /// When a dictionary could not be written, now or earlier.
    pub fn flush(&self) -> io::Result<()> {
        lock(&self.identities).flush()?;
        lock(&self.keys).flush()
    }
}

impl fmt::Debug for Interner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Interner")
            .field("identities", &lock(&self.identities).numbers.len())
            .field("keys", &lock(&self.keys).numbers.len())
            .finish()
    }
}

/// The number behind the prefix, if writing it again gives the same text: `user-017` is nobody's planned key.
fn planned_number(prefix: &str, text: &str) -> Option<u32> {
    let digits = text.strip_prefix(prefix)?;
    let canonical = digits == "0" || !digits.starts_with('0');
    if !canonical || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|number| *number < 1 << 31)
}

/// A poisoned dictionary is still a dictionary: each name is added in one step.
fn lock(names: &Mutex<Names>) -> MutexGuard<'_, Names> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Names {
    numbers: HashMap<u128, u64>,
    hashers: [RandomState; 2],
    unwritten: Vec<u8>,
    dictionary: Box<dyn Write + Send>,
    error: Option<io::ErrorKind>,
}

/// Unwritten text beyond this is written without waiting for a flush.
const UNWRITTEN_MAX: usize = 1 << 16;

impl Names {
    fn new(dictionary: Box<dyn Write + Send>) -> Self {
        Self {
            numbers: HashMap::new(),
            hashers: [RandomState::new(), RandomState::new()],
            unwritten: Vec::new(),
            dictionary,
            error: None,
        }
    }

    fn number(&mut self, text: &str) -> u64 {
        let [high, low] = [0, 1].map(|half: usize| u128::from(self.hashers[half].hash_one(text)));
        let next = self.numbers.len() as u64;
        let number = *self.numbers.entry(high << 64 | low).or_insert(next);
        if number == next {
            dictionary::append_line(&mut self.unwritten, text);
            if self.unwritten.len() > UNWRITTEN_MAX {
                // An error is kept and comes back from the next flush.
                drop(self.flush());
            }
        }
        number
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.error.is_none() {
            self.error = self.dictionary.write_all(&self.unwritten).err().map(|error| error.kind());
        }
        self.unwritten.clear();
        self.error.map_or(Ok(()), |kind| Err(io::Error::new(kind, "a dictionary of names could not be written")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_one_number_and_numbers_are_dense() {
        let interner = Interner::in_memory("user-");
        assert_eq!(interner.identity("a"), Identity::interned(0));
        assert_eq!(interner.identity("b"), Identity::interned(1));
        assert_eq!(interner.identity("a"), Identity::interned(0));
    }

    #[test]
    fn only_canonical_numbers_behind_the_prefix_are_planned_keys() {
        let interner = Interner::in_memory("user-");
        assert_eq!(interner.key("user-17"), Key::planned(17));
        assert_eq!(interner.key("user-0"), Key::planned(0));
        let foreign = ["user-017", "user-", "user-+1", "user-2147483648", "customer-17"];
        for (number, text) in (0..).zip(foreign) {
            assert_eq!(interner.key(text), Key::interned(number), "{text}");
        }
    }

    #[test]
    fn a_dictionary_that_cannot_be_written_says_so_at_every_flush() {
        let full: &mut [u8] = &mut [];
        let full: &'static mut [u8] = Box::leak(full.to_vec().into_boxed_slice());
        let interner = Interner::new("user-", Box::new(full), Box::new(io::sink()));
        assert_eq!(interner.identity("a"), Identity::interned(0));
        assert!(interner.flush().is_err());
        assert!(interner.flush().is_err());
    }
}
