//! The order of messages that were under way at the same time: there is none.
//!
//! A producer hands its messages over one after another, and their order is that of the hand-over. Requests over HTTP go side
//! by side, on connections of their own: only one that was *answered before* another was *sent* comes before it, and two that
//! overlap may be taken in either order. A request of unknown outcome has no answer, and may be taken at any time after it
//! was sent: it comes before nothing. (What is called an interval order.)
//!
//! Two numbers for a message say all of that: its *rank*, how many messages of its key had been answered before it was, and
//! its *since*, how many had been answered when it was sent. One message comes before another exactly where its rank is below
//! the other's since.

use crate::paged::Paged;
use shakedown_reports::identity::Key;
use shakedown_reports::record::{Operation, Outcome, Record, RecordError};
use std::collections::BTreeMap;

/// The rank of a message that comes before nothing.
const NEVER: u32 = u32::MAX;

/// When the messages of each key were answered.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    by_key: BTreeMap<u32, Vec<u64>>,
}

/// The answers of a load whose messages went side by side.
///
/// # Errors
/// When the record cannot be read to its end.
pub(crate) fn answers(record: &dyn Record) -> Result<Answers, RecordError> {
    let mut answers = Answers::default();
    record.operations(&mut |operation| {
        if operation.key != Key::ABSENT {
            answers.by_key.entry(operation.key.to_bits()).or_default().push(operation.completed_ns);
        }
    })?;
    answers.by_key.values_mut().for_each(|times| times.sort_unstable());
    Ok(answers)
}

/// Whether an acknowledgement names no partition: a service gave it, and not a topic's leader.
pub(crate) fn is_placeless(operation: &Operation) -> bool {
    operation.outcome == Outcome::Ok && operation.partition < 0
}

impl Answers {
    /// The message's rank and since.
    pub(crate) fn place(&self, operation: &Operation) -> (u32, u32) {
        let times = self.by_key.get(&operation.key.to_bits()).map_or(&[][..], Vec::as_slice);
        let before = |at_ns: u64| u32::try_from(times.partition_point(|time| *time < at_ns)).unwrap_or(NEVER);
        let rank = if operation.outcome == Outcome::Unknown { NEVER } else { before(operation.completed_ns) };
        (rank, before(operation.sent_ns))
    }
}

/// The since of each message; the rank itself where all were handed over one after another.
#[derive(Debug, Default)]
pub(crate) struct Sinces(Option<Paged<u32>>);

impl Sinces {
    pub(crate) fn side_by_side() -> Self {
        Self(Some(Paged::new(0)))
    }

    pub(crate) fn set(&mut self, message: u64, since: u32) {
        if let Some(sinces) = &mut self.0 {
            *sinces.slot(message) = since;
        }
    }

    pub(crate) fn get(&self, message: u64, rank: u32) -> u32 {
        self.0.as_ref().map_or(rank, |sinces| sinces.get(message))
    }

    pub(crate) fn are_side_by_side(&self) -> bool {
        self.0.is_some()
    }
}
