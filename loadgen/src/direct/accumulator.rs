//! Where messages become batches: the pacer puts them in, the loop takes complete batches out.
//!
//! A batch is complete when it is full, or when it has lingered and nothing of its partition waits to be sent: behind one that
//! waits it may as well grow. One lock for all of it, taken once a message by the pacer and once a round by the loop.

use super::batch::{Batch, HEADER_SIZE, Record};
use super::settings::Settings;
use crate::slots::InFlight;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Batches that are kept, with their room, to be filled again.
const SPARE_MAX: usize = 16;

/// A batch grows for a tenth of its messages' time at most.
const GROWTH_OF_TIMEOUT: u32 = 10;

/// Shared by the pacer and the loop.
#[derive(Debug)]
pub(crate) struct Accumulator {
    inner: Mutex<Inner>,
    /// A batch is complete, or one was begun while the loop expected none.
    pub(crate) wake: Notify,
    batch_size: usize,
    batch_messages: usize,
    message_bytes: usize,
    queue_bytes: usize,
    queue_messages: usize,
    linger_ns: u64,
    /// A batch that waits behind another grows no longer than that: it has one deadline, which is its first message's.
    growth_ns: u64,
}

#[derive(Debug, Default)]
struct Inner {
    open: Vec<Open>,
    complete: Vec<Complete>,
    spare: Vec<Batch>,
    /// Of everything that was pushed and not given back.
    bytes: usize,
    messages: usize,
    /// The loop knows when a batch will have lingered, and looks again then.
    is_watched: bool,
}

#[derive(Debug, Default)]
struct Open {
    batch: Batch,
    begun_ns: u64,
}

/// A batch that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Complete {
    pub(crate) place: usize,
    pub(crate) batch: Batch,
    /// When its first message was pushed.
    pub(crate) begun_ns: u64,
}

/// Whether a message was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    Taken,
    /// There is no room for it now.
    Full,
    /// There never will be.
    TooLarge,
}

impl Accumulator {
    pub(crate) fn new(settings: &Settings, places: usize, queue_messages: u32) -> Self {
        let open = (0..places).map(|_| Open::default()).collect();
        Self {
            inner: Mutex::new(Inner { open, ..Inner::default() }),
            wake: Notify::new(),
            // As librdkafka has it: brokers have one limit for both.
            batch_size: settings.batch_size.min(settings.message_bytes),
            batch_messages: settings.batch_messages,
            message_bytes: settings.message_bytes,
            queue_bytes: settings.queue_bytes,
            queue_messages: queue_messages as usize,
            linger_ns: u64::try_from(settings.linger.as_nanos()).unwrap_or(u64::MAX),
            growth_ns: settings.delivery_timeout.map_or(u64::MAX, |timeout| {
                u64::try_from((timeout / GROWTH_OF_TIMEOUT).as_nanos()).unwrap_or(u64::MAX)
            }),
        }
    }

    /// Puts a message into its partition's batch.
    pub(crate) fn push(&self, place: usize, record: Record<'_>, message: InFlight) -> Pushed {
        let size = record.size_max();
        if HEADER_SIZE + size > self.message_bytes {
            return Pushed::TooLarge;
        }
        let mut inner = self.lock();
        let has_room = inner.bytes + size <= self.queue_bytes && inner.messages < self.queue_messages;
        if inner.messages > 0 && !has_room {
            return Pushed::Full;
        }
        let mut is_news = false;
        let is_full = |batch: &Batch| batch.size() + size > self.batch_size || batch.len() >= self.batch_messages;
        if !inner.open[place].batch.is_empty() && is_full(&inner.open[place].batch) {
            inner.complete(place);
            is_news = true;
        }
        let open = &mut inner.open[place];
        let before = open.batch.size();
        let begins = before == 0;
        if begins {
            open.begun_ns = message.sent_ns;
        }
        open.batch.push(record, message);
        let grown = open.batch.size() - before;
        inner.bytes += grown;
        inner.messages += 1;
        // Nothing more fits: it waits for nobody.
        if inner.open[place].batch.len() >= self.batch_messages || inner.open[place].batch.size() >= self.batch_size {
            inner.complete(place);
            is_news = true;
        }
        is_news |= begins && !inner.is_watched;
        inner.is_watched |= begins;
        drop(inner);
        if is_news {
            self.wake.notify_one();
        }
        Pushed::Taken
    }

    /// What is complete, and when the next batch will have lingered. `grows` says whether a partition's batch should stay
    /// although it has; with `everything` none does.
    pub(crate) fn take(
        &self,
        now_ns: u64,
        everything: bool,
        grows: impl Fn(usize) -> bool,
    ) -> (Vec<Complete>, Option<u64>) {
        let mut inner = self.lock();
        let mut next_ns = None;
        for place in 0..inner.open.len() {
            if inner.open[place].batch.is_empty() {
                continue;
            }
            let ends_ns = inner.open[place].begun_ns.saturating_add(self.linger_ns);
            let is_old = now_ns.saturating_sub(inner.open[place].begun_ns) > self.growth_ns;
            if everything || (ends_ns <= now_ns && (is_old || !grows(place))) {
                inner.complete(place);
            } else if ends_ns > now_ns {
                next_ns = Some(next_ns.map_or(ends_ns, |next: u64| next.min(ends_ns)));
            }
        }
        // What grows is looked at when what it waits behind was sent; what is begun while nothing lingers has to wake the loop.
        inner.is_watched = next_ns.is_some();
        (std::mem::take(&mut inner.complete), next_ns)
    }

    /// Takes a batch back that has ended.
    pub(crate) fn give_back(&self, mut batch: Batch) {
        let (size, messages) = (batch.taken(), batch.len());
        batch.clear();
        let mut inner = self.lock();
        inner.leave(size, messages);
        if inner.spare.len() < SPARE_MAX {
            inner.spare.push(batch);
        }
    }

    /// Whether everything that was pushed was given back.
    pub(crate) fn is_empty(&self) -> bool {
        let inner = self.lock();
        inner.messages == 0 && inner.bytes == 0
    }

    /// As [`Self::give_back`], where somebody still holds the batch.
    pub(crate) fn forget(&self, batch: &Batch) {
        self.lock().leave(batch.taken(), batch.len());
    }

    /// A panic elsewhere leaves batches as they are: a record is pushed in one step.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn complete(&mut self, place: usize) {
        let empty = self.spare.pop().unwrap_or_default();
        let open = &mut self.open[place];
        let batch = std::mem::replace(&mut open.batch, empty);
        let begun_ns = open.begun_ns;
        self.complete.push(Complete { place, batch, begun_ns });
    }

    fn leave(&mut self, bytes: usize, messages: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.messages = self.messages.saturating_sub(messages);
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::message;
    use super::*;

    fn accumulator(properties: &[(&str, &str)], queue_messages: u32) -> Accumulator {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Accumulator::new(&Settings::new(&properties.collect()).expect("allowed"), 2, queue_messages)
    }

    fn record(value: &[u8]) -> Record<'_> {
        Record { timestamp_ms: 1, key: b"user-1", value, header: None }
    }

    fn messages(complete: &[Complete]) -> Vec<(usize, Vec<u64>)> {
        let of = |batch: &Batch| batch.messages().iter().map(|message| message.sequence).collect();
        complete.iter().map(|complete| (complete.place, of(&complete.batch))).collect()
    }

    #[test]
    fn batches_are_complete_when_they_have_lingered_or_are_full() {
        let accumulator = accumulator(&[("linger.ms", "5"), ("batch.num.messages", "2")], 10);
        for (sequence, place, now_ns) in [(0, 1, 1_000_000), (1, 0, 2_000_000), (2, 0, 2_500_000), (3, 0, 3_000_000)] {
            assert_eq!(accumulator.push(place, record(b"a"), message(sequence, now_ns)), Pushed::Taken);
        }
        let (complete, next_ns) = accumulator.take(3_000_000, false, |_| false);
        assert_eq!(messages(&complete), [(0, vec![1, 2])], "it was full");
        assert_eq!(next_ns, Some(6_000_000));
        let (complete, next_ns) = accumulator.take(6_000_000, false, |_| false);
        assert_eq!((messages(&complete), next_ns), (vec![(1, vec![0])], Some(8_000_000)));
        let (complete, next_ns) = accumulator.take(9_000_000, false, |place| place == 0);
        assert_eq!((messages(&complete), next_ns), (vec![], None), "it may as well grow");
        let (complete, next_ns) = accumulator.take(9_000_000, true, |_| true);
        assert_eq!((messages(&complete), next_ns), (vec![(0, vec![3])], None));
    }

    #[test]
    fn what_does_not_fit_waits_until_something_was_given_back() {
        let properties = [("queue.buffering.max.kbytes", "2"), ("message.max.bytes", "1500")];
        for (queue_messages, length) in [(10, 1_200), (1, 10)] {
            let accumulator = accumulator(&properties, queue_messages);
            let value = vec![7; length];
            let push = |sequence| accumulator.push(0, record(&value), message(sequence, 0));
            assert_eq!(accumulator.push(0, record(&[7; 1_500]), message(0, 0)), Pushed::TooLarge);
            assert_eq!(push(1), Pushed::Taken);
            assert_eq!(push(2), Pushed::Full, "{queue_messages} messages of {length} bytes");
            let (mut complete, _) = accumulator.take(0, true, |_| false);
            let Complete { batch, .. } = complete.pop().expect("one");
            assert_eq!(push(2), Pushed::Full, "it is on its way");
            let size = batch.size();
            assert!(!accumulator.is_empty());
            accumulator.give_back(batch.of_size(size));
            assert!(accumulator.is_empty());
            assert_eq!(push(2), Pushed::Taken);
        }
    }
}
