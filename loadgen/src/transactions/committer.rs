//! The thread of a transactional client: it begins transactions, ends them, and records what became of their messages.
//!
//! What a message came to is what its transaction came to. Committed: acknowledged, at the instant at which the coordinator said
//! so. Aborted, on purpose or because a message in it could not be written: it certainly is in no log that `read_committed`
//! shows, so it has failed. And where a commit was asked for and nobody knows what became of it (the client was fenced, time was
//! up), that is not known of its messages either. Owns no decision about when a transaction ends ([`super::door`]).

use super::door::{Door, Due};
use super::held::HeldAnswers;
use super::plan::TransactionPlan;
use crate::client::LoadProducer;
use crate::clock::RunClock;
use crate::pacer::PacerState;
use crate::ready::Ready;
use crate::recorder::{End, Recorder};
use crate::slots::Slots;
use crate::stop::{Patience, StopFlag};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{Producer, PurgeConfig};
use shakedown_reports::record::Outcome;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// How long one call of the client may take; then it is looked whether there is still time, and the call is taken up again.
const ATTEMPT: Duration = Duration::from_millis(500);
/// As [`ATTEMPT`], of an abort: it waits for messages to be given back, and nobody takes them meanwhile.
const ABORT_ATTEMPT: Duration = Duration::from_millis(20);
/// Before an error that may pass is met again.
const RETRY_PAUSE: Duration = Duration::from_millis(10);
/// How long the thread waits for a transaction's end before it takes what the client has to say.
const WAIT: Duration = Duration::from_millis(10);
/// How long answers are waited for at once: the binding's flush comes back when its time is up, and not before. (A little more than a
/// whole millisecond, as for `POLL` of `delivery.rs`.)
const ANSWERS: Duration = Duration::from_micros(1_200);
/// How often an idle stream of operations is handed to the operating system.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How long the client may take to give back what it was told to drop.
const PURGE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the thread has.
pub(crate) struct CommitterParts {
    pub(crate) producer: Arc<LoadProducer>,
    pub(crate) plan: TransactionPlan,
    /// Of the load's plan.
    pub(crate) seed: u64,
    /// The producer's own.
    pub(crate) number: u16,
    pub(crate) door: Arc<Door>,
    pub(crate) held: Arc<HeldAnswers>,
    pub(crate) ready: Arc<Ready>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) state: Arc<PacerState>,
    pub(crate) clock: RunClock,
    pub(crate) flush_timeout: Duration,
    pub(crate) stop: StopFlag,
}

/// The thread.
pub(crate) struct Committer {
    parts: CommitterParts,
    /// What is left of it for the transaction that is being ended, once the schedule has.
    patience: Option<Patience>,
    /// Answers of the transaction that has ended; kept for its room.
    answers: Vec<(usize, End)>,
}

/// Of messages that the client dropped because their transaction is aborted.
const PURGED: [i16; 2] = [RDKafkaErrorCode::PurgeQueue as i16, RDKafkaErrorCode::PurgeInflight as i16];

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Committed,
    /// As the plan has it.
    AbortedOnPurpose,
    /// Because of this error.
    Aborted(i16),
    /// The producer can have no more, because of this error, and was not asked to commit it: nobody else ever will.
    Abandoned(i16),
    /// As before, but a commit had been asked for.
    Unknown(i16),
}

/// Why the client does not do what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// The transaction has to be aborted first.
    Abort(i16),
    /// It never will, or there is no time left to wait for it.
    Final(i16),
}

impl Committer {
    pub(crate) const fn new(parts: CommitterParts) -> Self {
        Self { parts, patience: None, answers: Vec::new() }
    }

    pub(crate) fn run(mut self) {
        match self.try_hard(|producer| producer.init_transactions(ATTEMPT)).and_then(|()| self.begin()) {
            Ok(()) => self.parts.ready.set(),
            Err(Refusal::Abort(error) | Refusal::Final(error)) => {
                self.parts.door.lose(error);
                let reason = self.parts.recorder.last_error();
                self.parts.ready.refuse(reason.unwrap_or_else(|| "no error was reported".to_owned()));
            }
        }
        self.commit_until_over();
        for slot in 0..self.parts.slots.capacity() {
            if let Some(message) = self.parts.slots.finish(slot) {
                self.parts.recorder.record(&message, End::unacknowledged(Outcome::Unknown, 0));
            }
        }
    }

    fn commit_until_over(&mut self) {
        let (clock, mut flushed) = (self.parts.clock, Instant::now());
        for transaction in 0.. {
            let members = loop {
                match self.parts.door.wait(|| clock.now_ns(), WAIT) {
                    Due::End(members) => break members,
                    Due::Over => return,
                    // A load that never began has no target that would say so.
                    Due::No if self.parts.state.done.load(Ordering::Acquire) => self.parts.door.over(),
                    Due::No => {}
                }
                self.take_answers();
                if self.parts.held.error().is_some() {
                    self.parts.door.break_off();
                }
                if flushed.elapsed() >= FLUSH_EVERY {
                    self.parts.recorder.flush();
                    flushed = Instant::now();
                }
            };
            let fate = self.conclude(transaction, members);
            let completed_ns = clock.now_ns();
            // Before all of it is recorded: the next messages wait.
            match fate {
                Fate::Abandoned(error) | Fate::Unknown(error) => {
                    self.parts.door.lose(error);
                    self.purge(members);
                    self.parts.held.take(&mut self.answers);
                }
                Fate::Committed | Fate::AbortedOnPurpose | Fate::Aborted(_) => {
                    self.parts.held.take(&mut self.answers);
                    if let Err(Refusal::Abort(error) | Refusal::Final(error)) = self.begin() {
                        self.parts.door.lose(error);
                    }
                }
            }
            self.record(fate, completed_ns);
        }
    }

    /// Begins the next transaction, and lets messages in.
    fn begin(&mut self) -> Result<(), Refusal> {
        self.try_hard(|producer| producer.begin_transaction())?;
        self.parts.door.open();
        Ok(())
    }

    /// Brings the open transaction of so many messages to its end.
    fn conclude(&mut self, transaction: u64, members: u64) -> Fate {
        self.patience = None;
        let began_ns = self.parts.clock.now_ns();
        let (refused, had_been_asked) = match self.answered(members) {
            Err(Refusal::Final(error)) => return Fate::Abandoned(error),
            Err(Refusal::Abort(error)) => (error, false),
            Ok(()) if self.parts.plan.aborts(self.parts.seed, self.parts.number, transaction) => {
                return match self.abort() {
                    Ok(()) => Fate::AbortedOnPurpose,
                    Err(Refusal::Abort(error) | Refusal::Final(error)) => Fate::Abandoned(error),
                };
            }
            Ok(()) => match self.try_hard(|producer| producer.commit_transaction(ATTEMPT)) {
                Ok(()) => {
                    let took_ns = self.parts.clock.now_ns().saturating_sub(began_ns);
                    self.parts.recorder.measure_transactions().commit.record(took_ns);
                    return Fate::Committed;
                }
                Err(Refusal::Final(error)) => return Fate::Unknown(error),
                Err(Refusal::Abort(error)) => (error, true),
            },
        };
        match self.abort() {
            Ok(()) => Fate::Aborted(refused),
            Err(Refusal::Abort(error) | Refusal::Final(error)) if had_been_asked => Fate::Unknown(error),
            Err(Refusal::Abort(error) | Refusal::Final(error)) => Fate::Abandoned(error),
        }
    }

    /// Aborts the open transaction. The client drops what it has not sent, and waits for what it has: purged by us, a request that is on
    /// its way might be written into the next transaction.
    fn abort(&mut self) -> Result<(), Refusal> {
        self.try_hard(|producer| producer.abort_transaction(ABORT_ATTEMPT))
    }

    /// Takes the answers that are there: the binding takes those of one batch, and does not say whether there are more.
    fn take_answers(&self) {
        let mut before = None;
        while before != Some(self.parts.held.len()) {
            before = Some(self.parts.held.len());
            self.parts.producer.poll(Duration::ZERO);
        }
    }

    /// Waits until every message of the transaction has been answered, which a commit would do as well, but without looking whether
    /// there is still time; whether all of them were written. What the client lets linger it goes on to let linger: the binding
    /// cannot flush as a commit of librdkafka's own does.
    fn answered(&mut self, members: u64) -> Result<(), Refusal> {
        loop {
            self.take_answers();
            if let Some(error) = self.parts.held.error() {
                return Err(Refusal::Abort(error));
            }
            if self.parts.held.len() as u64 >= members {
                return Ok(());
            }
            if self.is_out_of_time() {
                return Err(Refusal::Final(RDKafkaErrorCode::OperationTimedOut as i16));
            }
            // Its only error is that time is up.
            drop(self.parts.producer.flush(ANSWERS));
        }
    }

    /// The producer can have no more transactions: has the client give back what it still has of the last one's so many messages, so that
    /// these end for the reason for which the transaction did, and tells the coordinator if that takes no time.
    fn purge(&self, members: u64) {
        self.parts.producer.purge(PurgeConfig::default().queue().inflight());
        let deadline = Instant::now() + PURGE_TIMEOUT;
        self.take_answers();
        while (self.parts.held.len() as u64) < members && Instant::now() < deadline {
            drop(self.parts.producer.flush(ANSWERS));
        }
        drop(self.parts.producer.abort_transaction(ATTEMPT));
    }

    /// Records what became of the messages of the transaction that has ended, all at this instant.
    fn record(&mut self, fate: Fate, completed_ns: u64) {
        let parts = &self.parts;
        let tally = parts.recorder.measure_transactions();
        let messages = self.answers.len() as u64;
        for (slot, answer) in self.answers.drain(..) {
            if let Some(message) = parts.slots.finish(slot) {
                parts.recorder.record_at(&message, fate.of(answer), completed_ns);
            }
        }
        match fate {
            Fate::Committed => &tally.committed,
            Fate::AbortedOnPurpose => {
                tally.messages_aborted.fetch_add(messages, Ordering::Relaxed);
                &tally.aborted
            }
            Fate::Aborted(_) | Fate::Abandoned(_) => &tally.aborted,
            Fate::Unknown(_) => &tally.undecided,
        }
        .fetch_add(1, Ordering::Relaxed);
    }

    /// Asks the client for something until it does it, refuses it for good, or there is no time left.
    fn try_hard(&mut self, ask: impl Fn(&LoadProducer) -> Result<(), KafkaError>) -> Result<(), Refusal> {
        loop {
            let error = match ask(&self.parts.producer) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let code = crate::outcome::code(&error);
            if code != RDKafkaErrorCode::OperationTimedOut as i16 {
                self.parts.recorder.complain(error.to_string());
            }
            // Whatever it waits for may be an answer that nobody has taken.
            self.take_answers();
            match &error {
                KafkaError::Transaction(error) if error.txn_requires_abort() => return Err(Refusal::Abort(code)),
                KafkaError::Transaction(error) if error.is_retriable() => {}
                // Messages that are still on their way.
                KafkaError::Flush(_) => {}
                _ => return Err(Refusal::Final(code)),
            }
            if self.is_out_of_time() {
                return Err(Refusal::Final(code));
            }
            if code != RDKafkaErrorCode::OperationTimedOut as i16 {
                thread::sleep(RETRY_PAUSE);
            }
        }
    }

    /// Whether what the plan gives answers behind its schedule's end has gone by. As long as that lasts a cluster that is gone may come
    /// back; the pacer cannot tell when it is over, because it waits before the door.
    fn is_out_of_time(&mut self) -> bool {
        let is_done = self.parts.state.done.load(Ordering::Acquire);
        match self.parts.door.schedule_ends_ns() {
            // It never began, and never will.
            None => is_done,
            Some(ends_ns) if is_done || self.parts.clock.now_ns() >= ends_ns => {
                let flush_timeout = self.parts.flush_timeout;
                self.patience.get_or_insert_with(|| Patience::new(flush_timeout)).is_over(&self.parts.stop)
            }
            Some(_) => false,
        }
    }
}

impl Fate {
    /// What becomes of a message of such a transaction that brokers answered in this way.
    fn of(self, answer: End) -> End {
        let outcome = match self {
            Self::Committed => return answer,
            Self::AbortedOnPurpose | Self::Aborted(_) | Self::Abandoned(_) => Outcome::Fail,
            Self::Unknown(_) => Outcome::Unknown,
        };
        let error = match self {
            // Its own error says more than that of its transaction, unless it was only in the way.
            _ if answer.error != 0 && !PURGED.contains(&answer.error) => answer.error,
            Self::AbortedOnPurpose | Self::Committed => 0,
            Self::Aborted(error) | Self::Abandoned(error) | Self::Unknown(error) => error,
        };
        End::unacknowledged(outcome, error)
    }
}
