//! The work that an event asks for, and everything that keeps it from being done twice, halfway or out of order.
//!
//! A service says what it is in a [`Step`]: how an event is read, what is asked for outside, what is recorded. [`Steps`]
//! makes a handler of batches of it:
//!
//! 1. events that cannot be read become dead letters; those in the inbox are done;
//! 2. an event whose key has an earlier one on the retry topic follows it there;
//! 3. the effects outside are asked for, many keys at once, each key's in order;
//! 4. one transaction enters the events in the inbox, records what became of them, and writes new events to the outbox;
//! 5. the offsets are committed.
//!
//! A crash anywhere leads back to 1. What had happened outside by then is asked for again with the same key; what was
//! recorded is in the inbox. Map: `steps` (the above), `effects` (3), `retry` (what goes to the retry topic, and comes back),
//! `dead_letter`, `start` (a service of this kind).

mod dead_letter;
mod effects;
mod retry;
mod start;
mod steps;

pub(crate) use start::{Parts, start};
pub(crate) use steps::Done;

use crate::kafka::Event;
use crate::malformed::Malformed;
use crate::outbox::NewEvent;
use crate::outside::CallError;
use crate::store::StoreTransaction;
use crate::trace::TraceContext;
use std::future::Future;
use std::sync::Arc;

/// What one service does with events.
pub(crate) trait Step: Send + Sync + 'static {
    /// What an event asks for.
    type Task: Send + Sync + 'static;
    /// What the store says about a task before its effects are asked for.
    type Plan: Send + Sync + 'static;
    /// What became of a task outside.
    type Outcome: Send + Sync + 'static;

    /// Reads an event of this topic, with the id under which it is remembered. `None`: it asks nothing of this service.
    fn read(&self, topic: &str, event: &Event) -> Result<Option<(String, Self::Task)>, Malformed>;

    /// What the store has to say first, for each task in their order. Must be the same when it is asked again.
    fn plan(&self, tasks: &[Arc<Self::Task>]) -> impl Future<Output = Result<Vec<Self::Plan>, sqlx::Error>> + Send;

    /// Asks for the effects outside. May be asked again for the same task, with the same keys.
    fn act(
        &self,
        task: &Self::Task,
        plan: &Self::Plan,
        trace: TraceContext,
    ) -> impl Future<Output = Result<Self::Outcome, CallError>> + Send;

    /// Records what became of tasks, none of which was recorded before, and says what is to be published about it.
    fn record(
        &self,
        transaction: &mut StoreTransaction,
        done: &[Done<'_, Self>],
        events: &mut Vec<NewEvent>,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}
