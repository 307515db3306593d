//! The batches of one partition from the moment in which they are complete to their end, in the order in which they are written.

use super::batch::Batch;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many batches of a producer a partition knows again (`ProducerStateEntry.NUM_BATCHES_TO_RETAIN`).
const BATCHES_KNOWN_AGAIN: u64 = 5;

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It goes out when its turn comes, and not before this instant.
    Waiting { not_before_ns: u64 },
    /// A broker has it.
    InFlight,
}

/// Where a batch stands among its producer's in one partition (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number {
    /// The number of its first record.
    pub(crate) sequence: i32,
    /// How many batches were numbered before it.
    ordinal: u64,
}

/// One batch.
#[derive(Debug)]
pub(crate) struct Queued {
    /// Told apart for ever.
    pub(crate) id: u64,
    /// Shared with whoever writes it to a socket.
    pub(crate) batch: Arc<Batch>,
    pub(crate) stage: Stage,
    /// Then it ends, whatever is known of it.
    pub(crate) deadline_ns: u64,
    /// How often it was sent in vain.
    pub(crate) attempts: u32,
    /// Its place among its producer's, since it was sent for the first time (KIP-98).
    pub(crate) sequence: Option<Number>,
    /// Some attempt may have written it, and nobody has said so.
    pub(crate) maybe_written: bool,
    /// Some attempt was never answered: a broker may still come to it, at any time.
    pub(crate) is_late: bool,
}

impl Queued {
    /// Whether it could still turn out to be in the log.
    pub(crate) fn is_unresolved(&self) -> bool {
        self.maybe_written || self.stage == Stage::InFlight
    }
}

/// The batches of a partition.
#[derive(Debug, Default)]
pub(crate) struct PlaceQueue {
    /// By id, ascending.
    queue: VecDeque<Queued>,
    /// So many from the front on are in flight; the next is not, or is not there.
    flying: usize,
    /// The broker that leads it, as far as is known.
    pub(crate) leader: Option<i32>,
    /// That knowledge has proved wrong, or there never was any.
    pub(crate) is_stale: bool,
    /// Of the next batch that has none.
    next_sequence: i32,
    next_ordinal: u64,
    /// The partition has acknowledged a number of this id and epoch. One that knows nothing of a producer takes any number, so the
    /// first batch goes alone.
    pub(crate) is_begun: bool,
    /// A number of the sequence has ended, and nobody knows whether it will still be written. Then numbers behind it may be, too,
    /// whatever was answered of them.
    pub(crate) has_unsure_gap: bool,
}

impl PlaceQueue {
    /// Of a partition whose leader nobody knows.
    pub(crate) fn new() -> Self {
        Self { is_stale: true, ..Self::default() }
    }

    pub(crate) fn push(&mut self, queued: Queued) {
        self.queue.push_back(queued);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Queued> {
        self.queue.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether one waits: whatever comes now goes out behind it.
    pub(crate) fn has_waiting(&self) -> bool {
        self.flying < self.queue.len()
    }

    pub(crate) fn find(&mut self, id: u64) -> Option<&mut Queued> {
        let at = self.position(id)?;
        self.queue.get_mut(at)
    }

    /// A batch goes out.
    pub(crate) fn fly(&mut self, id: u64) {
        if let Some(queued) = self.find(id) {
            queued.stage = Stage::InFlight;
        }
        self.count_flying();
    }

    /// A batch comes back, to go out once more, but not before this instant.
    pub(crate) fn land(&mut self, id: u64, not_before_ns: u64) {
        if let Some(at) = self.position(id) {
            self.queue[at].stage = Stage::Waiting { not_before_ns };
            self.flying = self.flying.min(at);
        }
    }

    fn position(&self, id: u64) -> Option<usize> {
        let at = self.queue.partition_point(|queued| queued.id < id);
        self.queue.get(at).filter(|queued| queued.id == id).map(|_| at)
    }

    fn count_flying(&mut self) {
        while self.queue.get(self.flying).is_some_and(|queued| queued.stage == Stage::InFlight) {
            self.flying += 1;
        }
    }

    /// Whether a batch before this one may still be written under its number: all of them, as long as they are sent again; once
    /// that is over (`is_broken`) only those that a broker may have, or may come to.
    pub(crate) fn is_behind_another(&self, id: u64, is_broken: bool) -> bool {
        let mut before = self.queue.iter().take_while(|queued| queued.id != id);
        before.any(|queued| queued.sequence.is_some() && (!is_broken || queued.is_unresolved() || queued.is_late))
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<Queued> {
        let at = self.position(id)?;
        let removed = self.queue.remove(at);
        if at < self.flying {
            self.flying -= 1;
        }
        self.count_flying();
        removed
    }

    /// The first, if its time is up: those behind it were begun later.
    pub(crate) fn expired(&self, now_ns: u64) -> Option<u64> {
        self.queue.front().filter(|queued| queued.deadline_ns <= now_ns).map(|queued| queued.id)
    }

    /// The next that may go out: the first that waits, as nobody overtakes; or, while the sequence is broken, the first of those
    /// of which it has to be known whether they were written.
    pub(crate) fn next(&mut self, now_ns: u64, only_unresolved: bool) -> Option<&mut Queued> {
        let mut waiting = self.queue.range_mut(self.flying..).filter(|queued| queued.stage != Stage::InFlight);
        let next = waiting.find(|queued| !only_unresolved || queued.maybe_written)?;
        matches!(next.stage, Stage::Waiting { not_before_ns } if not_before_ns <= now_ns).then_some(next)
    }

    /// Whether another batch may be numbered. Brokers know the last five again, so no more than that may have been sent behind one
    /// that could come again, whether or not those have ended.
    pub(crate) fn may_number(&self) -> bool {
        let oldest = self.queue.front().and_then(|queued| queued.sequence);
        let most = if self.is_begun { BATCHES_KNOWN_AGAIN } else { 1 };
        oldest.is_none_or(|oldest| self.next_ordinal - oldest.ordinal < most)
    }

    /// Gives a batch of so many records its place, for good.
    pub(crate) fn take_sequence(&mut self, records: usize) -> Number {
        let (sequence, ordinal) = (self.next_sequence, self.next_ordinal);
        self.next_ordinal += 1;
        let records = i32::try_from(records).expect("a batch has a bound");
        // They wrap around at 2^31, as brokers expect (`DefaultRecordBatch.incrementSequence`).
        self.next_sequence = sequence.wrapping_add(records) & i32::MAX;
        Number { sequence, ordinal }
    }

    /// Those with numbers to which a broker may still come.
    pub(crate) fn late(&self) -> Vec<u64> {
        let late = self.queue.iter().filter(|queued| queued.is_late && queued.sequence.is_some());
        late.map(|queued| queued.id).collect()
    }

    /// Sequences begin anew, under another id or epoch. Nobody may be unresolved.
    pub(crate) fn restart_sequence(&mut self) {
        self.next_sequence = 0;
        self.is_begun = false;
        self.has_unsure_gap = false;
        for queued in &mut self.queue {
            debug_assert!(!queued.is_unresolved(), "it would be written twice");
            queued.sequence = None;
        }
    }

    /// When something is to be done here of its own accord: the first has no more time, or the first that waits may go out. What may
    /// go already waits for something else than time.
    pub(crate) fn next_deadline_ns(&self, now_ns: u64) -> Option<u64> {
        let deadline_ns = self.queue.front().map(|queued| queued.deadline_ns)?;
        match self.queue.get(self.flying).map(|queued| queued.stage) {
            Some(Stage::Waiting { not_before_ns }) if not_before_ns > now_ns => Some(deadline_ns.min(not_before_ns)),
            _ => Some(deadline_ns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_around_as_brokers_expect() {
        let mut place = PlaceQueue::new();
        place.next_sequence = i32::MAX - 1;
        assert_eq!(place.take_sequence(3).sequence, i32::MAX - 1);
        // 2147483646, 2147483647, 0, and so on.
        assert_eq!(place.take_sequence(1).sequence, 1);
    }
}
