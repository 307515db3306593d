//! What brokers said of the messages of a transaction, kept until that has ended: before, it is no acknowledgement.

use crate::recorder::End;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Answers by slot, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct HeldAnswers(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    answers: Vec<(usize, End)>,
    /// The first among them.
    error: Option<i16>,
}

impl HeldAnswers {
    pub(crate) fn hold(&self, slot: usize, end: End) {
        let mut held = self.lock();
        held.answers.push((slot, end));
        if end.error != 0 {
            held.error.get_or_insert(end.error);
        }
    }

    /// Hands all of them over, in return for a vector whose room is used from now on.
    pub(crate) fn take(&self, room: &mut Vec<(usize, End)>) {
        room.clear();
        let mut held = self.lock();
        mem::swap(&mut held.answers, room);
        held.error = None;
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().answers.len()
    }

    /// The first error among them.
    pub(crate) fn error(&self) -> Option<i16> {
        self.lock().error
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
