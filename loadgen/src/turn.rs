//! Whose turn it is to take a client's answers: its delivery thread's, or, while it is far behind its schedule, the pacer's.
//!
//! Answers are stamped when they are taken, so a thread of their own waits for them while the pacer sleeps. At full speed that
//! thread is in the pacer's way: each message takes the client's lock once to go in and once more to come out, and is freed by
//! another processor than the one that made it. A pacer that has no time to sleep takes the answers between two messages.
//!
//! Only one of the two takes answers at a time: the pacer asks, and begins when the other has stopped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The turn of one client; at first the delivery thread's.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// The pacer wants it; written by the pacer alone.
    asked: AtomicBool,
    /// The pacer has it; raised by the delivery thread alone.
    lent: AtomicBool,
    /// Held while either changes, so that nobody sleeps through it.
    changing: Mutex<()>,
    given_back: Condvar,
}

impl Turn {
    /// The pacer wants it; whether it has it by now.
    pub(crate) fn ask(&self) -> bool {
        if !self.asked.load(Ordering::Relaxed) {
            self.asked.store(true, Ordering::Release);
        }
        self.is_lent()
    }

    /// Whether the pacer has it.
    pub(crate) fn is_lent(&self) -> bool {
        self.lent.load(Ordering::Acquire)
    }

    /// The pacer does not want it any more.
    pub(crate) fn give_back(&self) {
        if self.asked.load(Ordering::Relaxed) {
            let _changing = self.lock();
            self.asked.store(false, Ordering::Release);
            self.lent.store(false, Ordering::Release);
            self.given_back.notify_all();
        }
    }

    /// The delivery thread stands back where the pacer wants it, until that gives it back or the time is up; whether it is
    /// the pacer's turn still, or was.
    pub(crate) fn lend(&self, at_most: Duration) -> bool {
        if !self.asked.load(Ordering::Acquire) {
            return false;
        }
        let lent = |_: &mut ()| {
            // Each time it is woken: the pacer may have given it back, and asked once more.
            let asked = self.asked.load(Ordering::Acquire);
            self.lent.store(asked, Ordering::Release);
            asked
        };
        drop(self.given_back.wait_timeout_while(self.lock(), at_most, lent));
        true
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;
    use std::thread;

    #[test]
    fn the_pacer_has_it_only_when_the_other_stands_back() {
        let turn = Turn::default();
        assert!(!turn.lend(Duration::ZERO), "nobody wants it");
        assert!(!turn.ask(), "nobody has stood back");
        assert!(turn.lend(Duration::ZERO));
        assert!(turn.ask() && turn.is_lent());
        turn.give_back();
        assert!(!turn.is_lent());
        assert!(!turn.lend(Duration::ZERO), "it is the delivery thread's again");
    }

    #[test]
    fn it_is_never_the_turn_of_both_and_never_of_neither_for_long() {
        const ROUNDS: u64 = 20_000;
        let (turn, takers, taken) = (Turn::default(), AtomicU64::new(0), [AtomicU64::new(0), AtomicU64::new(0)]);
        let take = |who: usize| {
            assert_eq!(takers.fetch_add(1, Ordering::SeqCst), 0, "two take answers");
            taken[who].fetch_add(1, Ordering::Relaxed);
            takers.fetch_sub(1, Ordering::SeqCst);
        };
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    if !turn.lend(Duration::from_millis(100)) {
                        take(0);
                    }
                }
            });
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    while !turn.ask() {
                        thread::yield_now();
                    }
                    take(1);
                    if round % 7 == 0 {
                        turn.give_back();
                    }
                }
                turn.give_back();
                done.store(true, Ordering::Release);
            });
        });
        assert_eq!(taken[1].load(Ordering::Relaxed), ROUNDS);
        assert!(taken[0].load(Ordering::Relaxed) > 0);
    }
}
