//! The handler of batches that is made of a [`Step`].

use super::Step;
use super::dead_letter::{self, DeadLetter};
use super::effects::{AfterFailure, Outcomes, Planned, ask_for};
use super::retry::{self, Detour};
use crate::clock::unix_us;
use crate::failpoint::{Failpoint, Place};
use crate::inbox::Inbox;
use crate::kafka::{BatchError, BatchHandler, Event, OrderedProducer, finished_offsets};
use crate::malformed::Malformed;
use crate::metrics::Metrics;
use crate::modes::{Modes, RetryOrder};
use crate::outbox::Outbox;
use crate::outside::CallError;
use crate::store::Store;
use crate::trace::{TraceContext, TraceIds};
use prometheus_client::metrics::counter::Counter;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// A task that is done, and what became of it.
pub(crate) struct Done<'a, S: Step + ?Sized> {
    pub(crate) task: &'a S::Task,
    pub(crate) outcome: &'a S::Outcome,
    pub(crate) event_id: &'a str,
    /// To be forwarded.
    pub(crate) trace: TraceContext,
}

/// Which of a service's topics a handler reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Topics,
    RetryTopic,
}

impl Source {
    /// The topic that an event was produced to.
    fn first_topic<'e>(self, event: &'e Event, topics: &[String]) -> Result<&'e str, Malformed> {
        match self {
            Self::Topics => Ok(&*event.topic),
            Self::RetryTopic => retry::first_topic(event, topics),
        }
    }
}

/// What the two handlers of a service share.
pub(super) struct Shared<S> {
    pub(super) step: Arc<S>,
    pub(super) service: &'static str,
    pub(super) store: Store,
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    /// The topics that the service reads; at least one.
    pub(super) topics: Vec<String>,
    pub(super) retry_topic: Arc<str>,
    /// How long an event that alone fails is tried before it becomes a dead letter.
    pub(super) patience: Duration,
    pub(super) concurrency: usize,
    pub(super) modes: Modes,
    pub(super) metrics: Metrics,
    pub(super) failpoint: Failpoint,
    pub(super) counters: Counters,
}

/// What becomes of events.
#[derive(Debug, Clone)]
pub(super) struct Counters {
    pub(super) recorded: Counter,
    pub(super) repeated: Counter,
    pub(super) detoured: Counter,
    pub(super) dead: Counter,
}

/// A handler of batches.
pub(super) struct Steps<S> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) source: Source,
    pub(super) dead_letters: OrderedProducer,
    pub(super) traces: TraceIds,
    /// When the events of the last batch were first tried that are still to be done.
    pub(super) first_tries: HashMap<String, u64>,
}

/// An event that was read.
struct Item<S: Step> {
    index: usize,
    event_id: String,
    topic: String,
    key: String,
    task: Arc<S::Task>,
    trace: TraceContext,
}

/// What becomes of the events of a batch, by their places.
#[derive(Default)]
struct Fates {
    /// Nothing is left to be done about them.
    finished: BTreeSet<usize>,
    /// To be recorded.
    done: BTreeSet<usize>,
    /// With the reason; the first try, if there was one, is among `first_tries`.
    detours: Vec<(usize, String)>,
    /// When events were tried for the first time that were tried and are not done, by their ids.
    first_tries: HashMap<String, u64>,
    dead: Vec<(usize, String)>,
    /// Events that came from the retry topic and were handled before, by their ids: nobody waits for them any more.
    returned: Vec<String>,
    /// Why the others have to wait.
    failure: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl<S: Step> BatchHandler for Steps<S> {
    async fn handle(&mut self, batch: &[Event]) -> Result<(), BatchError> {
        let mut fates = Fates::default();
        let mut items = self.read(batch, &mut fates);
        self.leave_out_known(&mut items, &mut fates).await.map_err(BatchError::whole)?;
        self.leave_out_held(&items, &mut fates).await.map_err(BatchError::whole)?;
        let outcomes = self.ask(batch, &items, &mut fates).await?;
        self.shared.failpoint.visit(Place::AfterEffect).await;
        self.bury(batch, &mut fates).await;
        self.record(batch, &items, &outcomes, &mut fates).await?;
        self.shared.failpoint.visit(Place::AfterRecord).await;
        self.first_tries = fates.first_tries;
        match fates.failure {
            None => Ok(()),
            Some(source) => {
                let finished: Vec<bool> = (0..batch.len()).map(|index| fates.finished.contains(&index)).collect();
                Err(BatchError::part(finished_offsets(batch, &finished), source))
            }
        }
    }
}

impl<S: Step> Steps<S> {
    /// Reads every event. One that cannot be read becomes a dead letter; where there are none, its partition waits.
    fn read(&mut self, batch: &[Event], fates: &mut Fates) -> Vec<Item<S>> {
        let mut items = Vec::with_capacity(batch.len());
        let mut stuck = BTreeSet::new();
        for (index, event) in batch.iter().enumerate() {
            if stuck.contains(&(&event.topic, event.partition)) {
                continue;
            }
            let read = self.source.first_topic(event, &self.shared.topics).and_then(|topic| {
                let key = storable_key(event)?;
                Ok((topic, key, self.shared.step.read(topic, event)?))
            });
            match read {
                Ok((_, _, None)) => {
                    fates.finished.insert(index);
                }
                Ok((topic, key, Some((event_id, task)))) => items.push(Item {
                    index,
                    event_id,
                    topic: topic.to_owned(),
                    key: key.to_owned(),
                    task: Arc::new(task),
                    trace: self.traces.next_hop(event.trace),
                }),
                Err(malformed) => {
                    malformed.count(event, &self.shared.metrics);
                    if self.shared.modes.dead_letter {
                        fates.dead.push((index, malformed.to_string()));
                    } else {
                        stuck.insert((&event.topic, event.partition));
                        fates.failure = Some(Box::new(malformed));
                    }
                }
            }
        }
        items
    }

    /// Events in the inbox, and repetitions within the batch, are done.
    async fn leave_out_known(&self, items: &mut Vec<Item<S>>, fates: &mut Fates) -> Result<(), sqlx::Error> {
        if !self.shared.modes.inbox || items.is_empty() {
            return Ok(());
        }
        let event_ids: Vec<&str> = items.iter().map(|item| item.event_id.as_str()).collect();
        let mut known = self.shared.inbox.known(&event_ids).await?;
        if self.source == Source::RetryTopic {
            // An instance that was thought dead may have sent one there behind the back of the one that handled it.
            fates.returned.extend(known.iter().cloned());
        }
        let before = items.len();
        items.retain(|item| {
            let is_new = known.insert(item.event_id.clone());
            if !is_new {
                fates.finished.insert(item.index);
            }
            is_new
        });
        let repeated = (before - items.len()) as u64;
        if repeated > 0 {
            self.shared.counters.repeated.inc_by(repeated);
            info!(repeated, "events were handled before");
        }
        Ok(())
    }

    /// Events whose key has an earlier one on the retry topic follow it there.
    async fn leave_out_held(&self, items: &[Item<S>], fates: &mut Fates) -> Result<(), sqlx::Error> {
        if self.source == Source::RetryTopic || self.shared.modes.retry == RetryOrder::Plain || items.is_empty() {
            return Ok(());
        }
        let held = retry::held_keys(&self.shared.store).await?;
        if !held.is_empty() {
            let follow = |item: &Item<S>| (item.index, "an earlier event of its key waits".to_owned());
            fates.detours.extend(items.iter().filter(|item| held.contains(&item.key)).map(follow));
        }
        Ok(())
    }

    /// Asks for the effects outside and decides what becomes of the events.
    async fn ask(&self, batch: &[Event], items: &[Item<S>], fates: &mut Fates) -> Result<Outcomes<S>, BatchError> {
        let detoured: HashSet<usize> = fates.detours.iter().map(|(index, _)| *index).collect();
        let asked: Vec<&Item<S>> = items.iter().filter(|item| !detoured.contains(&item.index)).collect();
        let tasks: Vec<Arc<S::Task>> = asked.iter().map(|item| Arc::clone(&item.task)).collect();
        let plans = self.shared.step.plan(&tasks).await.map_err(BatchError::whole)?;
        let planned = asked.iter().zip(plans).map(|(item, plan)| {
            // Without a key there is only the partition to keep in order.
            let partition = if item.key.is_empty() { batch[item.index].partition } else { -1 };
            let (index, key, trace) = (item.index, (partition, item.key.clone()), item.trace);
            Planned { index, key, task: Arc::clone(&item.task), plan, trace }
        });
        let after_failure = match self.shared.modes.retry {
            RetryOrder::Keyed => AfterFailure::Wait,
            RetryOrder::Plain => AfterFailure::GoOn,
        };
        let asked_at_us = unix_us();
        let outcomes = ask_for(&self.shared.step, planned.collect(), self.shared.concurrency, after_failure)
            .await
            .map_err(BatchError::whole)?;
        fates.first_tries = self.first_tries(&asked, &outcomes, asked_at_us).await.map_err(BatchError::whole)?;
        self.judge(&asked, &outcomes, fates);
        self.judge_length(batch, fates);
        Ok(outcomes)
    }

    /// When the events that failed were first tried: now, unless somebody knows better.
    async fn first_tries(
        &self,
        asked: &[&Item<S>],
        outcomes: &Outcomes<S>,
        now_us: u64,
    ) -> Result<HashMap<String, u64>, sqlx::Error> {
        let failed = |item: &&&Item<S>| matches!(outcomes.get(&item.index), Some(Err(_)));
        let failed: Vec<&str> = asked.iter().filter(failed).map(|item| item.event_id.as_str()).collect();
        let held = match self.source {
            Source::RetryTopic if !failed.is_empty() => retry::first_tries(&self.shared.store, &failed).await?,
            _ => HashMap::new(),
        };
        let known = |id: &str| [&held, &self.first_tries].iter().filter_map(|tries| tries.get(id)).min().copied();
        Ok(failed.into_iter().map(|id| (id.to_owned(), known(id).unwrap_or(now_us))).collect())
    }

    fn judge(&self, asked: &[&Item<S>], outcomes: &Outcomes<S>, fates: &mut Fates) {
        let is_over = |item: &Item<S>, fates: &Fates| {
            let first_try = fates.first_tries.get(&item.event_id);
            first_try.is_some_and(|first_us| retry::is_over(*first_us, self.shared.patience))
        };
        // Keys with an event that failed alone: those behind it go its way.
        let mut failed_keys: HashSet<&str> = HashSet::new();
        for item in asked {
            match outcomes.get(&item.index) {
                Some(Ok(_)) => {
                    fates.done.insert(item.index);
                }
                Some(Err(refused @ CallError::Refused { .. })) if self.shared.modes.dead_letter => {
                    fates.dead.push((item.index, refused.to_string()));
                }
                Some(Err(failed @ CallError::Failed { .. })) if self.source == Source::Topics => {
                    failed_keys.insert(&item.key);
                    fates.detours.push((item.index, failed.to_string()));
                }
                Some(Err(failed @ CallError::Failed { .. }))
                    if self.shared.modes.dead_letter && is_over(item, fates) =>
                {
                    fates.dead.push((item.index, failed.to_string()));
                }
                Some(Err(failure)) => fates.failure = Some(failure.to_string().into()),
                None if failed_keys.contains(item.key.as_str()) => {
                    fates.detours.push((item.index, "an earlier event of its key waits".to_owned()));
                }
                None => {
                    fates.failure.get_or_insert_with(|| "an earlier event has to wait".into());
                }
            }
        }
    }

    /// Events that are too long for the retry topic, where they have more headers, cannot wait there.
    fn judge_length(&self, batch: &[Event], fates: &mut Fates) {
        let room = self.dead_letters.message_bytes_max();
        let fits = |(index, _): &(usize, String)| retry::bytes(&batch[*index]) <= room;
        let (detours, too_long): (Vec<_>, Vec<_>) = std::mem::take(&mut fates.detours).into_iter().partition(fits);
        fates.detours = detours;
        for (index, reason) in too_long {
            let reason = format!("{reason}, and it is too long for {}", self.shared.retry_topic);
            if self.shared.modes.dead_letter {
                fates.dead.push((index, reason));
            } else {
                fates.failure = Some(reason.into());
            }
        }
    }

    /// Publishes the dead letters. Those that Kafka did not take are no dead letters yet.
    async fn bury(&mut self, batch: &[Event], fates: &mut Fates) {
        if fates.dead.is_empty() {
            return;
        }
        let (source, shared) = (self.source, Arc::clone(&self.shared));
        let letters: Vec<DeadLetter<'_>> = fates
            .dead
            .iter()
            .map(|(index, reason)| {
                let event = &batch[*index];
                // Whoever put it on the retry topic did not say for which topic it is.
                let topic = source.first_topic(event, &shared.topics).unwrap_or(&shared.topics[0]);
                DeadLetter { event, topic, reason: reason.clone() }
            })
            .collect();
        let buried = dead_letter::publish(&letters, self.shared.service, &mut self.dead_letters).await;
        match buried {
            Ok(()) => {
                self.shared.counters.dead.inc_by(letters.len() as u64);
                self.shared.failpoint.visit(Place::AfterDeadLetter).await;
            }
            Err(failure) => {
                warn!(error = %failure, "failed to publish dead letters, their batch is read again");
                fates.failure = Some(Box::new(failure));
                fates.dead.clear();
            }
        }
    }

    /// One transaction for everything that is known by now.
    async fn record(
        &self,
        batch: &[Event],
        items: &[Item<S>],
        outcomes: &Outcomes<S>,
        fates: &mut Fates,
    ) -> Result<(), BatchError> {
        let shared = &*self.shared;
        let dead: HashSet<usize> = fates.dead.iter().map(|(index, _)| *index).collect();
        let settled: Vec<&Item<S>> =
            items.iter().filter(|item| fates.done.contains(&item.index) || dead.contains(&item.index)).collect();
        let detours: Vec<Detour<'_>> = fates
            .detours
            .iter()
            .filter_map(|(index, reason)| {
                let item = items.iter().find(|item| item.index == *index)?;
                let (event_id, topic, key) = (item.event_id.as_str(), item.topic.as_str(), item.key.as_str());
                let first_try_us = fates.first_tries.get(event_id).copied();
                Some(Detour { event_id, topic, key, event: &batch[*index], reason: reason.clone(), first_try_us })
            })
            .collect();
        let tried = self.newly_tried(fates);
        if !settled.is_empty() || !detours.is_empty() || !fates.returned.is_empty() || !tried.is_empty() {
            let mut transaction = shared.store.begin().await.map_err(BatchError::whole)?;
            // Not the dead letters: one that somebody plays again is to be handled.
            let handled = settled.iter().filter(|item| fates.done.contains(&item.index));
            let entries: Vec<(&str, &str)> =
                handled.map(|item| (item.event_id.as_str(), item.topic.as_str())).collect();
            let entered = Inbox::enter(&mut transaction, &entries).await.map_err(BatchError::whole)?;
            let done: Vec<Done<'_, S>> = settled
                .iter()
                // Another instance may have been faster. Without an inbox nobody knows.
                .filter(|item| !shared.modes.inbox || entered.contains(&item.event_id))
                .filter_map(|item| Some(done_item(item, outcomes.get(&item.index)?.as_ref().ok()?)))
                .collect();
            let mut events = Vec::with_capacity(done.len());
            shared.step.record(&mut transaction, &done, &mut events).await.map_err(BatchError::whole)?;
            let held = retry::hold(&mut transaction, &detours, &shared.retry_topic).await.map_err(BatchError::whole)?;
            shared.counters.detoured.inc_by(held.len() as u64);
            events.extend(held);
            if self.source == Source::RetryTopic {
                let settled = settled.iter().map(|item| item.event_id.as_str());
                let released: Vec<&str> = settled.chain(fates.returned.iter().map(String::as_str)).collect();
                retry::release(&mut transaction, &released).await.map_err(BatchError::whole)?;
                retry::note_first_tries(&mut transaction, &tried).await.map_err(BatchError::whole)?;
            }
            shared.outbox.commit(transaction, &events).await.map_err(BatchError::whole)?;
            shared.counters.recorded.inc_by(done.len() as u64);
        }
        fates.finished.extend(&fates.done);
        fates.finished.extend(dead);
        fates.finished.extend(fates.detours.iter().map(|(index, _)| *index));
        Ok(())
    }

    /// Events of the retry topic whose first try the store has still to be told of.
    fn newly_tried<'f>(&self, fates: &'f Fates) -> Vec<(&'f str, u64)> {
        let is_new = |(event_id, _): &(&String, &u64)| !self.first_tries.contains_key(*event_id);
        match self.source {
            Source::Topics => Vec::new(),
            Source::RetryTopic => {
                fates.first_tries.iter().filter(is_new).map(|(event_id, first)| (event_id.as_str(), *first)).collect()
            }
        }
    }
}

/// The event's key, where the store can take it and everything in the payload: PostgreSQL has no way to keep the character
/// zero, which JSON has only escaped.
fn storable_key(event: &Event) -> Result<&str, Malformed> {
    const ZERO: &[u8] = br"\u0000";
    let key = std::str::from_utf8(event.key.as_deref().unwrap_or_default()).map_err(|_| Malformed::KeyNotText)?;
    let payload = event.payload.as_deref().unwrap_or_default();
    // Behind a backslash that is itself escaped the same letters are text.
    let is_escaped = |at: usize| payload[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
    let has_zero = payload.windows(ZERO.len()).enumerate().any(|(at, bytes)| bytes == ZERO && !is_escaped(at));
    if key.contains('\0') || has_zero {
        return Err(Malformed::Zero);
    }
    Ok(key)
}

fn done_item<'a, S: Step>(item: &'a Item<S>, outcome: &'a S::Outcome) -> Done<'a, S> {
    Done { task: &item.task, outcome, event_id: &item.event_id, trace: item.trace }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::testing::event;

    #[test]
    fn what_no_store_can_take_is_malformed() {
        assert_eq!(storable_key(&event("t", 0, 0, "ada", r#"{"user_id":"ada"}"#)).unwrap(), "ada");
        let zero = event("t", 0, 0, "ada", r#"{"user_id":"a\u0000da"}"#);
        assert!(matches!(storable_key(&zero), Err(Malformed::Zero)));
        let behind_a_backslash = event("t", 0, 0, "ada", r#"{"user_id":"a\\\u0000da"}"#);
        assert!(matches!(storable_key(&behind_a_backslash), Err(Malformed::Zero)));
        let letters = event("t", 0, 0, "ada", r#"{"user_id":"a\\u0000da"}"#);
        assert_eq!(storable_key(&letters).unwrap(), "ada");
        assert!(matches!(storable_key(&event("t", 0, 0, "a\0da", "{}")), Err(Malformed::Zero)));
        let mut binary = event("t", 0, 0, "", "{}");
        binary.key = Some(vec![0xff]);
        assert!(matches!(storable_key(&binary), Err(Malformed::KeyNotText)));
    }
}
