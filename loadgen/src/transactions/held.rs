//! What brokers said of the messages of a transaction, kept until that has ended: before, it is no acknowledgement.

use crate::recorder::End;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Answers by slot, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct HeldAnswers(Mutex<Vec<(usize, End)>>);

impl HeldAnswers {
    pub(crate) fn hold(&self, slot: usize, end: End) {
        self.lock().push((slot, end));
    }

    /// Hands all of them over, in return for a vector whose room is used from now on.
    pub(crate) fn take(&self, room: &mut Vec<(usize, End)>) {
        room.clear();
        mem::swap(&mut *self.lock(), room);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// The first error among them.
    pub(crate) fn error(&self) -> Option<i16> {
        self.lock().iter().map(|(_, end)| end.error).find(|error| *error != 0)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(usize, End)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
