//! What the part `captures` says of each order's money.

use super::reading::{Books, Trouble};
use shakedown_reports::rules::Part;
use std::collections::BTreeMap;

/// How often, and how much together.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Times {
    pub(super) times: u64,
    /// In minor units.
    pub(super) sum: i64,
}

/// The money of one order.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Money {
    pub(super) captured: Times,
    pub(super) refunded: Times,
    pub(super) declined: Times,
    /// Whether something was given back before it was taken.
    pub(super) refunded_first: bool,
}

impl Times {
    fn add(&mut self, amount: i64) {
        self.times += 1;
        self.sum = self.sum.saturating_add(amount);
    }
}

impl Money {
    /// What is captured and not refunded.
    pub(super) fn kept(&self) -> i64 {
        self.captured.sum.saturating_sub(self.refunded.sum)
    }
}

/// Every order that somebody asked money for, by its id.
pub(super) fn read(books: &Books<'_>) -> Result<BTreeMap<String, Money>, Trouble> {
    let mut all: BTreeMap<String, Money> = BTreeMap::new();
    let known = "`captured`, `declined`, `timed_out` and `refunded`";
    books.visit_known(Part::Captures, known, &mut |fact| {
        let money = all.entry(fact.entity.clone()).or_default();
        let amount = fact.amount.unwrap_or_default();
        match fact.kind.as_str() {
            "captured" => money.captured.add(amount),
            "declined" | "timed_out" => money.declined.add(amount),
            "refunded" => {
                money.refunded.add(amount);
                money.refunded_first |= money.captured.times == 0;
            }
            _ => return false,
        }
        true
    })?;
    Ok(all)
}
