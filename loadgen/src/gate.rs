//! Where a load waits between two of its messages, until somebody lets it go on.
//!
//! For faults that are to strike behind the n-th message where whoever strikes has to look first: the load waits until he
//! has. Its schedule stands still meanwhile, so that what comes behind comes at the same distances as ever, and not in one
//! burst. That is no open loop any more: nothing that measures time may be held.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// For how long one place holds a load: what is waited for there may never come, since some of the messages failed.
pub(crate) const HELD_MAX: Duration = Duration::from_secs(10);

/// All messages, and so no place at all.
const NOWHERE: u64 = u64::MAX;

/// The gate of one load, open until it is told otherwise.
#[derive(Debug)]
pub(crate) struct Gate {
    /// How many messages get through.
    messages: AtomicU64,
    /// The place that has held the load for as long as it may.
    given_up: AtomicU64,
}

impl Default for Gate {
    fn default() -> Self {
        Self { messages: AtomicU64::new(NOWHERE), given_up: AtomicU64::new(NOWHERE) }
    }
}

impl Gate {
    /// Lets so many messages through and no more; all of them, if no number is said.
    pub(crate) fn hold_at(&self, messages: Option<u64>) {
        self.messages.store(messages.unwrap_or(NOWHERE), Ordering::Release);
    }

    /// Whether the message of this sequence waits: so many are before it.
    pub(crate) fn holds(&self, sequence: u64) -> bool {
        let messages = self.messages.load(Ordering::Acquire);
        sequence >= messages && messages != self.given_up.load(Ordering::Relaxed)
    }

    /// Holds at this place no longer, however often it is told to.
    pub(crate) fn give_up(&self) {
        self.given_up.store(self.messages.load(Ordering::Acquire), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Gate;

    #[test]
    fn as_many_get_through_as_were_said() {
        let gate = Gate::default();
        assert!(!gate.holds(u64::MAX - 1), "it is open");
        gate.hold_at(Some(3));
        assert_eq!([2, 3, 4].map(|offered| gate.holds(offered)), [false, true, true]);
        gate.hold_at(None);
        assert!(!gate.holds(3));
    }

    #[test]
    fn a_place_that_is_given_up_holds_no_more_and_the_next_one_does() {
        let gate = Gate::default();
        gate.hold_at(Some(3));
        gate.give_up();
        gate.hold_at(Some(3));
        assert!(!gate.holds(3), "told once more, it has waited long enough all the same");
        gate.hold_at(Some(5));
        assert_eq!([4, 5].map(|offered| gate.holds(offered)), [false, true]);
    }
}
