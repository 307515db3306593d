//! From the texts of a message or a ledger to dense names.

use crate::order_id;
use shakedown_reports::Interner;
use shakedown_reports::identity::{Identity, Key};
use std::sync::Arc;

/// Knows which order ids are the plan's; everything else is interned.
#[derive(Debug, Clone)]
pub struct Names {
    interner: Arc<Interner>,
    seed: u64,
    planned: u64,
}

impl Names {
    /// `seed` is the plan's; sequences from `planned` on were never given out. A run without a planned load passes 0.
    #[must_use]
    pub const fn new(interner: Arc<Interner>, seed: u64, planned: u64) -> Self {
        Self { interner, seed, planned }
    }

    /// The name of a message: planned if the text is an order id of the plan, interned otherwise.
    #[must_use]
    pub fn identity(&self, text: &str) -> Identity {
        match order_id::decode(self.seed, text) {
            Some(sequence) if sequence < self.planned => Identity::planned(sequence),
            _ => self.interner.identity(text),
        }
    }

    /// The name of a key: planned if the text is one of the plan's keys, interned otherwise.
    #[must_use]
    pub fn key(&self, text: &str) -> Key {
        self.interner.key(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_order_ids_that_were_given_out_are_planned() {
        let names = Names::new(Arc::new(Interner::in_memory("user-")), 42, 10);
        let id = |seed, sequence| String::from_utf8(order_id::encode(seed, sequence).to_vec()).expect("ASCII");
        assert_eq!(names.identity(&id(42, 9)), Identity::planned(9));
        assert_eq!(names.identity(&id(42, 10)), Identity::interned(0), "beyond the plan");
        assert_eq!(names.identity(&id(41, 9)), Identity::interned(1), "another seed's");
        assert_eq!(names.identity("order 9"), Identity::interned(2));
        assert_eq!(names.identity(&id(42, 10)), Identity::interned(0), "the same again");
        assert_eq!(names.key("user-17"), Key::planned(17));
        assert_eq!(names.key("customer-17"), Key::interned(0));
    }
}
