//! Offsets on their way to the group's coordinator.
//!
//! They are committed by a thread of their own, which waits for each answer. Asynchronous commits would need no thread,
//! but their answers never arrive: librdkafka reports them only to an `offset_commit_cb`, which rdkafka 0.39 does not
//! set, so `ConsumerContext::commit_callback` is not called and a refused commit looks like an accepted one. And to
//! wait on the polling thread would stop the service for as long as the coordinator is away.

use super::batch::Offsets;
use super::group::GroupContext;
use crate::error::RunError;
use prometheus_client::metrics::counter::Counter;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// The longest time that finished work stays uncommitted, and so about the most that a crash has done again.
const COMMIT_INTERVAL: Duration = Duration::from_millis(100);

/// How long to wait before a refused commit is tried again, when somebody waits for it.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// What is to be committed, and what is being committed.
pub(crate) struct Commits {
    state: Mutex<State>,
    /// Signalled whenever the state changes.
    changed: Condvar,
    failed: Counter,
}

struct State {
    assigned: BTreeSet<(Arc<str>, i32)>,
    /// Finished and not yet asked for.
    pending: Offsets,
    /// Asked for, and not yet taken by the committing thread.
    requested: Option<Offsets>,
    /// From the request to its answer.
    unanswered: bool,
    committed_at: Instant,
    /// Since when the coordinator has been refusing commits.
    refused: Option<Refused>,
    /// Nobody waits for answers any more.
    closed: bool,
}

/// A run of refusals.
struct Refused {
    last_at: Instant,
    times: u32,
}

impl Commits {
    pub(crate) fn new(failed: Counter) -> Self {
        let state = State {
            assigned: BTreeSet::new(),
            pending: Offsets::default(),
            requested: None,
            unanswered: false,
            committed_at: Instant::now(),
            refused: None,
            closed: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), failed }
    }

    /// Starts the committing thread. It ends with [`Commits::close`].
    pub(crate) fn spawn(self: &Arc<Self>, consumer: &Arc<BaseConsumer<GroupContext>>) -> Result<(), RunError> {
        let (commits, consumer) = (Arc::clone(self), Arc::downgrade(consumer));
        thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || commits.run(&consumer))
            .map(drop)
            .map_err(RunError::Runtime)
    }

    /// The work before these offsets is done.
    pub(crate) fn finished(&self, offsets: &Offsets) {
        self.state().pending.merge(offsets);
    }

    /// Commits what is pending, if that is due.
    pub(crate) fn commit_due(&self) {
        let mut state = self.state();
        if state.committed_at.elapsed() >= COMMIT_INTERVAL {
            self.request(&mut state);
        }
    }

    /// Commits everything that is finished and waits until that is answered, trying again what is refused. False if it
    /// was not settled by the deadline.
    pub(crate) fn settle(&self, deadline: Instant) -> bool {
        let mut state = self.state();
        loop {
            if state.pending.is_empty() && !state.unanswered {
                return true;
            }
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() || state.closed {
                return false;
            }
            let wait = if self.request(&mut state) { remaining } else { remaining.min(RETRY_PAUSE) };
            let waited = self.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// These partitions are ours now. Returns the numbers of all that are.
    pub(crate) fn assigned(&self, partitions: Vec<(Arc<str>, i32)>) -> Vec<i32> {
        let mut state = self.state();
        state.assigned.extend(partitions);
        state.assigned.iter().map(|(_, partition)| *partition).collect()
    }

    /// These partitions are no longer ours, and nothing more of them is committed: another member may have come
    /// further. True if none is left.
    pub(crate) fn revoked(&self, partitions: &[(Arc<str>, i32)]) -> bool {
        let mut state = self.state();
        for partition in partitions {
            state.assigned.remove(partition);
            state.pending.forget(partition);
        }
        state.assigned.is_empty()
    }

    /// Ends the committing thread as soon as it has the answer that it may be waiting for.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// Hands what is pending to the committing thread, unless that is still waiting for an answer or was refused a
    /// moment ago. True if there is an answer to wait for.
    fn request(&self, state: &mut State) -> bool {
        let paused = state.refused.as_ref().is_some_and(|refused| refused.last_at.elapsed() < RETRY_PAUSE);
        if state.unanswered || state.pending.is_empty() || paused {
            return state.unanswered;
        }
        state.requested = Some(std::mem::take(&mut state.pending));
        state.unanswered = true;
        state.committed_at = Instant::now();
        self.changed.notify_all();
        true
    }

    fn run(&self, consumer: &Weak<BaseConsumer<GroupContext>>) {
        while let Some(offsets) = self.next_request() {
            let Some(consumer) = consumer.upgrade() else { return };
            let answer = offsets.to_list().and_then(|list| consumer.commit(&list, CommitMode::Sync));
            self.answered(answer, &offsets);
        }
    }

    fn next_request(&self) -> Option<Offsets> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if let Some(offsets) = state.requested.take() {
                return Some(offsets);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn answered(&self, answer: KafkaResult<()>, offsets: &Offsets) {
        let mut state = self.state();
        state.unanswered = false;
        match answer {
            Ok(()) => {
                debug!("committed offsets");
                state.refused = None;
            }
            Err(failure) => {
                self.failed.inc();
                let times = state.refused.as_ref().map_or(0, |refused| refused.times) + 1;
                if times == 1 {
                    warn!(error = %failure, "failed to commit offsets, trying again");
                } else {
                    debug!(error = %failure, times, "failed to commit offsets again");
                }
                state.refused = Some(Refused { last_at: Instant::now(), times });
                // Another process has our instance id: what it commits counts.
                if failure != KafkaError::ConsumerCommit(RDKafkaErrorCode::FencedInstanceId) {
                    let still_ours = offsets.only(&state.assigned);
                    state.pending.merge(&still_ours);
                }
            }
        }
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic() -> Arc<str> {
        Arc::from("t")
    }

    fn commits_of(partitions: &[i32]) -> Commits {
        let commits = Commits::new(Counter::default());
        commits.assigned(partitions.iter().map(|partition| (topic(), *partition)).collect());
        commits
    }

    fn offsets(of: &[(i32, i64)]) -> Offsets {
        let mut offsets = Offsets::default();
        for (partition, next) in of {
            offsets.advance(&topic(), *partition, *next);
        }
        offsets
    }

    fn refusal() -> KafkaResult<()> {
        Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::RebalanceInProgress))
    }

    /// Lets the pause after a refusal be over.
    fn forgive(commits: &Commits) {
        commits.state().refused = None;
    }

    #[test]
    fn a_refused_commit_is_tried_again_with_what_was_finished_since() {
        let commits = commits_of(&[0, 1]);
        commits.finished(&offsets(&[(0, 5), (1, 7)]));
        assert!(commits.request(&mut commits.state()));
        let first = commits.next_request().unwrap();
        commits.finished(&offsets(&[(0, 9)]));
        assert!(commits.request(&mut commits.state()), "one at a time");
        commits.answered(refusal(), &first);
        assert!(!commits.request(&mut commits.state()), "not at once");
        forgive(&commits);
        assert!(commits.request(&mut commits.state()));
        assert_eq!(commits.next_request().unwrap(), offsets(&[(0, 9), (1, 7)]));
        assert_eq!(commits.failed.get(), 1);
    }

    #[test]
    fn nothing_of_a_partition_is_committed_after_it_was_given_up() {
        let commits = commits_of(&[0, 1]);
        commits.finished(&offsets(&[(0, 5), (1, 7)]));
        commits.request(&mut commits.state());
        let first = commits.next_request().unwrap();
        commits.finished(&offsets(&[(0, 6), (1, 8)]));
        assert!(!commits.revoked(&[(topic(), 1)]));
        commits.answered(refusal(), &first);
        forgive(&commits);
        commits.request(&mut commits.state());
        assert_eq!(commits.next_request().unwrap(), offsets(&[(0, 6)]));
        assert!(commits.revoked(&[(topic(), 0)]));
    }

    #[test]
    fn settling_waits_for_the_answer_and_tries_again_until_the_deadline() {
        let commits = Arc::new(commits_of(&[0]));
        assert!(commits.settle(Instant::now()), "nothing to settle");
        commits.finished(&offsets(&[(0, 5)]));
        assert!(!commits.settle(Instant::now()), "no time for an answer");
        let coordinator = Arc::clone(&commits);
        let answering = thread::spawn(move || {
            for answer in [refusal(), refusal(), Ok(())] {
                let request = coordinator.next_request().unwrap();
                coordinator.answered(answer, &request);
            }
        });
        assert!(commits.settle(Instant::now() + Duration::from_secs(30)));
        answering.join().unwrap();
        assert_eq!(commits.failed.get(), 2);
    }
}
