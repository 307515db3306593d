//! Effects outside: many keys at once, the tasks of one key one after the other.

use super::Step;
use crate::outside::CallError;
use crate::trace::TraceContext;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::{JoinError, JoinSet};

/// A task with its place in the batch.
pub(super) struct Planned<S: Step> {
    pub(super) index: usize,
    /// The tasks of one key are in order; so are those of one partition that have no key.
    pub(super) key: (i32, String),
    pub(super) task: Arc<S::Task>,
    pub(super) plan: S::Plan,
    pub(super) trace: TraceContext,
}

/// What became of the tasks, by their places; one that is not named was not begun.
pub(super) type Outcomes<S> = HashMap<usize, Result<<S as Step>::Outcome, CallError>>;

/// Whether a key goes on behind a task that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterFailure {
    /// No: its later tasks are not begun.
    Wait,
    /// Yes.
    GoOn,
}

/// Asks for the effects of all tasks. Once the dependency is down no further keys are begun.
pub(super) async fn ask_for<S: Step>(
    step: &Arc<S>,
    tasks: Vec<Planned<S>>,
    concurrency: usize,
    after_failure: AfterFailure,
) -> Result<Outcomes<S>, JoinError> {
    let mut queues: Vec<Vec<Planned<S>>> = Vec::new();
    let mut queue_of_key: HashMap<(i32, String), usize> = HashMap::new();
    for task in tasks {
        let queue = *queue_of_key.entry(task.key.clone()).or_insert_with(|| {
            queues.push(Vec::new());
            queues.len() - 1
        });
        queues[queue].push(task);
    }
    let mut outcomes = HashMap::new();
    let mut is_down = false;
    let mut queues = queues.into_iter();
    let mut asking = JoinSet::new();
    loop {
        while asking.len() < concurrency && !is_down {
            let Some(queue) = queues.next() else { break };
            asking.spawn(ask_in_order(Arc::clone(step), queue, after_failure));
        }
        let Some(answered) = asking.join_next().await else { return Ok(outcomes) };
        for (index, outcome) in answered? {
            is_down |= matches!(outcome, Err(CallError::Down { .. }));
            outcomes.insert(index, outcome);
        }
    }
}

async fn ask_in_order<S: Step>(
    step: Arc<S>,
    queue: Vec<Planned<S>>,
    after_failure: AfterFailure,
) -> Vec<(usize, Result<S::Outcome, CallError>)> {
    let mut answers = Vec::with_capacity(queue.len());
    for Planned { index, task, plan, trace, .. } in queue {
        let answer = step.act(&task, &plan, trace).await;
        let stops = match &answer {
            Ok(_) | Err(CallError::Refused { .. }) => false,
            Err(CallError::Down { .. }) => true,
            Err(CallError::Failed { .. }) => after_failure == AfterFailure::Wait,
        };
        answers.push((index, answer));
        if stops {
            break;
        }
    }
    answers
}
