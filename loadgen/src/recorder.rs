//! Where the ends of messages go: the operations' stream, the counters and the histograms of one load.

use crate::clock::RunClock;
use crate::meter::{Meter, PartitionMeters};
use crate::slots::InFlight;
use shakedown_reports::identity::{Identity, Key};
use shakedown_reports::record::{Operation, Outcome};
use shakedown_reports::{BackgroundWriter, DirectoryError, OperationWriter};
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// How a message ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) outcome: Outcome,
    pub(crate) error: i16,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl End {
    /// Without an acknowledgement.
    pub(crate) const fn unacknowledged(outcome: Outcome, error: i16) -> Self {
        Self { outcome, error, partition: -1, offset: -1 }
    }

    /// Acknowledged by somebody who has no partitions.
    pub(crate) const fn taken() -> Self {
        Self { outcome: Outcome::Ok, error: 0, partition: -1, offset: -1 }
    }
}

/// Shared by the pacer, which records what the client refuses, and whoever takes the answers, which are the rest.
#[derive(Debug)]
pub(crate) struct Recorder {
    clock: RunClock,
    operations: Mutex<Option<BackgroundWriter<Operation>>>,
    last_error: Mutex<Option<String>>,
    pub(crate) acknowledged: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) unknown: AtomicU64,
    /// How often something was asked once more.
    pub(crate) asked_again: AtomicU64,
    /// When the last message ended.
    pub(crate) last_completed_ns: AtomicU64,
    /// Completed less intended, of what was acknowledged.
    pub(crate) ack: Arc<Meter>,
    /// Completed less sent, of what was acknowledged.
    pub(crate) service: Arc<Meter>,
    /// Sent less intended, of everything that ended: what a full queue held back is in it.
    pub(crate) delay: Arc<Meter>,
    /// The generator's own part of that, of everything that was offered; the target records it.
    pub(crate) lateness: Arc<Meter>,
    /// [`Self::ack`] at each partition, where somebody asked for that.
    ack_at: OnceLock<PartitionMeters>,
    /// What transactions came to, where there are any.
    pub(crate) transactions: OnceLock<TransactionTally>,
}

/// What the transactions of a load came to.
#[derive(Debug)]
pub(crate) struct TransactionTally {
    pub(crate) committed: AtomicU64,
    pub(crate) aborted: AtomicU64,
    /// Of which nobody knows whether they were committed.
    pub(crate) undecided: AtomicU64,
    /// Messages of those that were aborted on purpose.
    pub(crate) messages_aborted: AtomicU64,
    /// From the end of a transaction's time until it was committed: what a producer that waits for it cannot use.
    pub(crate) commit: Arc<Meter>,
}

impl Recorder {
    pub(crate) fn new(clock: RunClock, operations: OperationWriter) -> Result<Self, DirectoryError> {
        Ok(Self {
            clock,
            operations: Mutex::new(Some(BackgroundWriter::start(operations)?)),
            last_error: Mutex::new(None),
            acknowledged: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            asked_again: AtomicU64::new(0),
            last_completed_ns: AtomicU64::new(0),
            ack: Meter::new("ack"),
            service: Meter::new("service"),
            delay: Meter::new("delay"),
            lateness: Meter::new("lateness"),
            ack_at: OnceLock::new(),
            transactions: OnceLock::new(),
        })
    }

    /// Measures each of so many partitions by itself, too. To be said before the first message.
    pub(crate) fn measure_partitions(&self, partitions: usize) {
        self.ack_at.get_or_init(|| PartitionMeters::new("ack", partitions));
    }

    /// Counts transactions, and measures commits. To be said before the first of them.
    pub(crate) fn measure_transactions(&self) -> &TransactionTally {
        self.transactions.get_or_init(|| TransactionTally {
            committed: AtomicU64::new(0),
            aborted: AtomicU64::new(0),
            undecided: AtomicU64::new(0),
            messages_aborted: AtomicU64::new(0),
            commit: Meter::new("commit"),
        })
    }

    /// Everything that is measured: `ack`, `service`, `delay`, `lateness`, and then `commit` and what partitions have of their own.
    pub(crate) fn meters(&self) -> Vec<Arc<Meter>> {
        let whole = [&self.ack, &self.service, &self.delay, &self.lateness].map(Arc::clone);
        let commit = self.transactions.get().map(|tally| Arc::clone(&tally.commit));
        whole.into_iter().chain(commit).chain(self.ack_at.get().into_iter().flat_map(PartitionMeters::all)).collect()
    }

    /// Records how a message ended, now.
    pub(crate) fn record(&self, message: &InFlight, end: End) {
        self.record_at(message, end, self.clock.now_ns());
    }

    /// Records how a message ended at this instant.
    pub(crate) fn record_at(&self, message: &InFlight, end: End, completed_ns: u64) {
        self.record_batch(slice::from_ref(message), end, completed_ns);
    }

    /// Records how the messages of one batch ended, all at this instant, the first as `first` says and each at the next offset: once
    /// for all of them whatever can be.
    pub(crate) fn record_batch(&self, messages: &[InFlight], first: End, completed_ns: u64) {
        let since = |instant: fn(&InFlight) -> u64| {
            messages.iter().map(move |message| completed_ns.saturating_sub(instant(message)))
        };
        self.delay.record_all(messages.iter().map(|message| message.sent_ns.saturating_sub(message.intended_ns)));
        let counter = match first.outcome {
            Outcome::Ok => {
                self.ack.record_all(since(|message| message.intended_ns));
                if let Some(partitions) = self.ack_at.get() {
                    partitions.record_all(first.partition, since(|message| message.intended_ns));
                }
                self.service.record_all(since(|message| message.sent_ns));
                &self.acknowledged
            }
            Outcome::Fail => &self.failed,
            Outcome::Unknown => &self.unknown,
        };
        if let Some(operations) = lock(&self.operations).as_mut() {
            for (place, message) in (0..).zip(messages) {
                let offset = if first.offset < 0 { first.offset } else { first.offset.saturating_add(place) };
                operations.push(&operation(message, End { offset, ..first }, completed_ns));
            }
        }
        self.last_completed_ns.fetch_max(completed_ns, Ordering::Relaxed);
        // After the push: whoever sees the count may count on the operations.
        counter.fetch_add(messages.len() as u64, Ordering::Release);
    }

    /// How many messages have ended.
    pub(crate) fn ended(&self) -> u64 {
        [&self.acknowledged, &self.failed, &self.unknown].iter().map(|counter| counter.load(Ordering::Acquire)).sum()
    }

    /// Keeps what the client complains about, for people.
    pub(crate) fn complain(&self, text: String) {
        *lock(&self.last_error) = Some(text);
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        lock(&self.last_error).clone()
    }

    /// Hands what waits to the operating system, for times when nothing ends.
    pub(crate) fn flush(&self) {
        if let Some(operations) = lock(&self.operations).as_mut() {
            operations.flush();
        }
    }

    /// Closes the stream of operations.
    pub(crate) fn finish(&self) -> Result<(), DirectoryError> {
        match lock(&self.operations).take() {
            Some(operations) => operations.finish().map(drop),
            None => Ok(()),
        }
    }
}

fn operation(message: &InFlight, end: End, completed_ns: u64) -> Operation {
    Operation {
        identity: Identity::planned(message.sequence),
        key: Key::planned(message.key),
        key_sequence: message.key_sequence,
        outcome: end.outcome,
        error: end.error,
        partition: end.partition,
        offset: end.offset,
        value: message.value,
        intended_ns: message.intended_ns,
        sent_ns: message.sent_ns,
        completed_ns,
    }
}

/// A panic elsewhere leaves counters and streams as they are: each is changed in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
