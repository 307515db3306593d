//! What lets messages into the open transaction, and stands closed while one is brought to its end.
//!
//! The pacer hands a message over while it holds the door, so a message is either in a transaction that somebody will end, or
//! before the door: none slips in behind a commit that has begun. Knows nothing of Kafka.

use crate::recorder::End;
use crate::target::Handed;
use shakedown_reports::record::Outcome;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// The door of one producer.
#[derive(Debug)]
pub(crate) struct Door {
    state: Mutex<State>,
    /// Somebody who waits for the transaction's end, or for the next one, has to look again.
    changed: Condvar,
    /// How long a transaction is open, from its first message on.
    every_ns: u64,
    /// With so many it is closed.
    messages_max: u64,
    /// When the last message is due, on the run's clock, once that is known.
    schedule_ends_ns: OnceLock<u64>,
}

#[derive(Debug, Default)]
struct State {
    door: Position,
    /// Messages in the transaction.
    members: u64,
    /// When the first of them was handed over, on the run's clock.
    first_ns: u64,
    /// It can only be aborted.
    broken: bool,
    /// Nobody will come any more.
    over: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Position {
    #[default]
    Closed,
    Open,
    /// The producer can have no transactions any more, for this error.
    Lost(i16),
}

/// What became of a message in the transaction.
pub(crate) enum Entry {
    /// The client took it, or did not for reasons of its own.
    In(Handed),
    /// Nothing gets into this transaction any more: it has to wait for the next one.
    Broken,
}

/// What became of waiting for a transaction's end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It is still open.
    No,
    /// The door is closed: it has so many messages.
    End(u64),
    /// It has none, and nobody will come any more.
    Over,
}

impl Door {
    /// A closed one.
    pub(crate) fn new(every_ns: u64, messages_max: u64) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            every_ns,
            messages_max,
            schedule_ends_ns: OnceLock::new(),
        }
    }

    /// The load begins, and its last message is due then.
    pub(crate) fn begin(&self, schedule_ends_ns: u64) {
        self.schedule_ends_ns.get_or_init(|| schedule_ends_ns);
    }

    /// When the last message is due; `None` before the load has begun.
    pub(crate) fn schedule_ends_ns(&self) -> Option<u64> {
        self.schedule_ends_ns.get().copied()
    }

    /// A transaction has begun.
    pub(crate) fn open(&self) {
        let mut state = self.lock();
        if !matches!(state.door, Position::Lost(_)) {
            *state = State { door: Position::Open, over: state.over, ..State::default() };
        }
        self.changed.notify_all();
    }

    /// There will be no transaction any more.
    pub(crate) fn lose(&self, error: i16) {
        let mut state = self.lock();
        *state = State { door: Position::Lost(error), over: state.over, ..State::default() };
        self.changed.notify_all();
    }

    /// The open transaction can only be aborted: it need not wait for its time.
    pub(crate) fn break_off(&self) {
        let mut state = self.lock();
        // Who found out that it is broken before has closed the door.
        state.broken |= matches!(state.door, Position::Open) && state.members > 0;
    }

    /// Nobody will come any more.
    pub(crate) fn over(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// Hands a message over at this instant, if the door is open.
    pub(crate) fn enter(&self, now_ns: u64, hand_over: impl FnOnce() -> Entry) -> Handed {
        let mut state = self.lock();
        match state.door {
            Position::Closed => return Handed::Full,
            // It certainly reached nobody.
            Position::Lost(error) => return Handed::Refused(End::unacknowledged(Outcome::Fail, error)),
            Position::Open => {}
        }
        let handed = match hand_over() {
            Entry::In(handed) => handed,
            Entry::Broken => {
                state.door = Position::Closed;
                state.broken = true;
                self.changed.notify_all();
                return Handed::Full;
            }
        };
        if matches!(handed, Handed::Taken) {
            state.members += 1;
            let is_full = state.members >= self.messages_max;
            if state.members == 1 {
                state.first_ns = now_ns;
            }
            if is_full {
                state.door = Position::Closed;
            }
            if state.members == 1 || is_full {
                self.changed.notify_all();
            }
        }
        handed
    }

    /// Waits before the door while it is closed, but no longer than that; whether it was.
    pub(crate) fn wait_until_open(&self, at_most: Duration) -> bool {
        let state = self.lock();
        let was_closed = state.door == Position::Closed;
        drop(self.changed.wait_timeout_while(state, at_most, |state| state.door == Position::Closed));
        was_closed
    }

    /// Waits for the end of the open transaction, but no longer than that, and closes the door when it has come.
    pub(crate) fn wait(&self, now_ns: impl Fn() -> u64, at_most: Duration) -> Due {
        let state = self.lock();
        let left_ns = self.left_ns(&state, now_ns());
        let mut state = match left_ns {
            0 => state,
            _ => {
                let waited = self.changed.wait_timeout(state, at_most.min(Duration::from_nanos(left_ns)));
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        match (self.left_ns(&state, now_ns()), state.members) {
            (0, 0) if !state.broken => Due::Over,
            (0, members) => {
                state.door = Position::Closed;
                Due::End(members)
            }
            _ => Due::No,
        }
    }

    /// In how many nanoseconds there is something to do, as far as is known: 0 is now.
    fn left_ns(&self, state: &State, now_ns: u64) -> u64 {
        match state.members {
            _ if state.over || state.broken => 0,
            0 => u64::MAX,
            members if members >= self.messages_max => 0,
            _ => state.first_ns.saturating_add(self.every_ns).saturating_sub(now_ns),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Instant;

    const NONE: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(60);

    fn enter(door: &Door, now_ns: u64) -> Handed {
        door.enter(now_ns, || Entry::In(Handed::Taken))
    }

    #[test]
    fn messages_get_in_only_while_a_transaction_is_open() {
        let door = Door::new(100, 1_000);
        assert!(matches!(enter(&door, 0), Handed::Full), "none has begun");
        door.open();
        assert_eq!(door.wait(|| 1_000, NONE), Due::No, "nobody is in it: there is nothing to commit");
        assert!(matches!(door.enter(1_000, || Entry::In(Handed::Full)), Handed::Full));
        assert_eq!(door.wait(|| 5_000, NONE), Due::No, "who was not taken is not in it");
        assert!(matches!(enter(&door, 5_000), Handed::Taken));
        assert!(matches!(enter(&door, 5_050), Handed::Taken));
        assert_eq!(door.wait(|| 5_099, NONE), Due::No);
        assert_eq!(door.wait(|| 5_100, NONE), Due::End(2), "its time counts from the first message");
        assert!(matches!(enter(&door, 5_101), Handed::Full), "while it is committed nobody gets in");
        door.open();
        assert!(matches!(enter(&door, 6_000), Handed::Taken));
        assert_eq!(door.wait(|| 6_099, NONE), Due::No, "the next one has a time of its own");
    }

    #[test]
    fn a_transaction_that_is_full_is_closed_by_its_last_message() {
        let door = Door::new(u64::MAX, 2);
        door.open();
        assert!(matches!(enter(&door, 0), Handed::Taken));
        assert!(matches!(enter(&door, 1), Handed::Taken));
        assert!(matches!(enter(&door, 2), Handed::Full));
        assert_eq!(door.wait(|| 2, NONE), Due::End(2));
    }

    #[test]
    fn one_that_can_only_be_aborted_waits_for_nothing() {
        let door = Door::new(u64::MAX, 1_000);
        door.open();
        assert!(matches!(enter(&door, 0), Handed::Taken));
        assert!(matches!(door.enter(1, || Entry::Broken), Handed::Full), "its message waits for the next one");
        assert!(matches!(enter(&door, 2), Handed::Full));
        assert_eq!(door.wait(|| 2, NONE), Due::End(1));
        door.open();
        assert!(matches!(enter(&door, 2), Handed::Taken));
        assert!(matches!(door.enter(2, || Entry::Broken), Handed::Full));
        door.break_off();
        assert_eq!(door.wait(|| 2, NONE), Due::End(1), "found out twice");
        door.open();
        door.break_off();
        assert_eq!(door.wait(|| 2, NONE), Due::No, "it is empty: nothing is wrong with it");
        assert!(matches!(enter(&door, 3), Handed::Taken));
        door.break_off();
        assert_eq!(door.wait(|| 3, NONE), Due::End(1));
    }

    #[test]
    fn at_the_end_what_is_in_it_is_committed_at_once() {
        let door = Door::new(u64::MAX, 1_000);
        door.open();
        assert!(matches!(enter(&door, 0), Handed::Taken));
        door.over();
        assert_eq!(door.wait(|| 1, LONG), Due::End(1));
        door.open();
        assert_eq!(door.wait(|| 1, LONG), Due::Over);
    }

    #[test]
    fn a_producer_that_was_fenced_takes_nothing_ever_again() {
        let door = Door::new(100, 1_000);
        door.open();
        door.lose(90);
        door.open();
        let Handed::Refused(end) = enter(&door, 0) else { panic!("taken") };
        assert_eq!((end.outcome, end.error), (Outcome::Fail, 90));
    }

    #[test]
    fn who_waits_is_told_of_the_first_message_of_the_last_and_of_the_end() {
        let door = Door::new(u64::MAX, 2);
        let told = |what: &dyn Fn()| {
            let began = Instant::now();
            let due = thread::scope(|scope| {
                let waiting = scope.spawn(|| {
                    loop {
                        match door.wait(|| 0, LONG) {
                            Due::No => {}
                            due => return due,
                        }
                    }
                });
                what();
                waiting.join().expect("it ends")
            });
            // Half of what somebody waits who is not told.
            assert!(began.elapsed() < LONG / 2, "it took {:?}", began.elapsed());
            due
        };
        door.open();
        let full = told(&|| {
            enter(&door, 0);
            enter(&door, 0);
        });
        assert_eq!(full, Due::End(2));
        door.open();
        assert_eq!(told(&|| door.over()), Due::Over);
        let door = Door::new(100, 1_000);
        thread::scope(|scope| {
            let before = scope.spawn(|| door.wait_until_open(LONG));
            door.open();
            before.join().expect("it ends");
        });
        assert!(!door.wait_until_open(LONG), "nobody waits before an open door");
    }
}
