//! A fault that has not struck yet, and what it waits for.

use super::error::RunError;
use crate::backend::{Awaited, RunningCluster, StrikeError};
use crate::scenario::deed::Deed;
use crate::scenario::model::{Condition, FaultRule, FaultTarget};
use shakedown_cluster::{Condition as WatchFor, Produced, Strike};
use std::time::Instant;

/// A fault on its way.
pub(super) struct Pending {
    /// Its place among the scenario's faults.
    pub(super) index: usize,
    pub(super) fault: FaultRule,
    /// The back end's part of it, where messages or requests are waited for.
    watch: Option<Box<dyn Awaited>>,
    /// When that had happened, where the fault itself comes from here.
    pub(super) happened: Option<Instant>,
}

/// Whether a fault's time has come.
pub(super) enum Moment {
    NotYet,
    /// It is to strike now.
    Now,
    /// The back end has struck already.
    Struck(Result<Strike, StrikeError>),
}

/// What the back end can tell of, if the fault waits for that.
pub(super) fn waits_for(fault: &FaultRule) -> Option<WatchFor> {
    match fault.trigger.when.clone()? {
        Condition::Produced { topic, nth } => Some(Produced { topic, count: nth }.into()),
        Condition::Requested { selector, nth } => Some(WatchFor::Requested { selector, nth }),
        // Of services the nemesis knows by itself.
        Condition::Struck { .. } | Condition::Failpoint { .. } => None,
        Condition::Consumed { topic, group, nth } => Some(WatchFor::Consumed { topic, group, count: nth }),
        Condition::InSync { topic, partition, at_most } => Some(WatchFor::InSync { topic, partition, at_most }),
        Condition::Rebalancing { group } => Some(WatchFor::Rebalancing { group }),
        Condition::Message(message) => Some(WatchFor::Message(message)),
    }
}

impl Pending {
    /// Begins to wait.
    pub(super) fn new(index: usize, fault: FaultRule, cluster: &dyn RunningCluster) -> Result<Self, RunError> {
        let mut pending = Self { index, watch: None, happened: None, fault };
        if let Some(condition) = waits_for(&pending.fault) {
            let watched = cluster.when(condition, pending.leaves_it_to_the_back_end());
            let fault = pending.fault.to_string();
            pending.watch = Some(watched.map_err(|source| RunError::Fault { fault, source })?);
        }
        Ok(pending)
    }

    /// How many messages of this topic it waits for, until the back end has told of them.
    pub(super) fn awaits_messages_in(&self, topic: &str) -> Option<u64> {
        match self.fault.trigger.when.as_ref()? {
            Condition::Produced { topic: awaited, nth } if awaited == topic && self.watch.is_some() => Some(*nth),
            _ => None,
        }
    }

    /// What the back end is to do in the step in which it happens.
    fn leaves_it_to_the_back_end(&self) -> Option<(shakedown_cluster::NodeFault, shakedown_cluster::Role)> {
        match &self.fault.deed {
            Deed::Hit { action, target: FaultTarget::Broker(role) } if self.fault.trigger.after.is_zero() => {
                Some((*action, role.clone()))
            }
            _ => None,
        }
    }

    /// Looks whether its time has come, for a load that began at this instant and faults that have struck at those.
    pub(super) fn moment(&mut self, began: Instant, struck: &[Option<Instant>]) -> Moment {
        let trigger = self.fault.trigger.clone();
        let late = trigger.at.is_some_and(|at| began.elapsed() >= at);
        let since = match trigger.when {
            None => return if late { Moment::Now } else { Moment::NotYet },
            Some(Condition::Struck { fault, .. }) => struck.get(fault).copied().flatten(),
            Some(_) => match self.look(late) {
                Some(moment) => return moment,
                None => self.happened,
            },
        };
        let due = since.is_some_and(|since| since.elapsed() >= trigger.after);
        if due || late { Moment::Now } else { Moment::NotYet }
    }

    /// Looks once more and then no longer, where the fault itself comes from here: what a back end that has to look has not
    /// seen yet has happened all the same.
    pub(super) fn last_look(&mut self) {
        if self.leaves_it_to_the_back_end().is_none()
            && let Some(strike) = self.watch.take().and_then(Awaited::cancel)
        {
            self.happened = Some(strike.map_or_else(|_| Instant::now(), |strike| strike.at));
        }
    }

    /// Waits no longer; what the back end has done by then, if it was to strike and found something to hit.
    pub(super) fn call_off(&mut self) -> Option<Result<Strike, StrikeError>> {
        let outcome = self.watch.take().and_then(Awaited::cancel);
        let outcome = outcome.filter(|_| self.leaves_it_to_the_back_end().is_some());
        outcome.filter(|strike| !strike.as_ref().is_err_and(StrikeError::is_passing))
    }

    /// Asks the back end; nothing where the fault itself comes from here.
    fn look(&mut self, late: bool) -> Option<Moment> {
        let watch = self.watch.as_ref()?;
        let strikes_there = self.leaves_it_to_the_back_end().is_some();
        let outcome = match watch.outcome() {
            None if late => self.watch.take().and_then(Awaited::cancel),
            outcome => outcome,
        };
        match outcome {
            // From here on it is tried again and again, until there is something to hit.
            Some(Err(error)) if strikes_there && error.is_passing() => {
                self.happened = Some(Instant::now());
                self.watch = None;
                None
            }
            Some(strike) if strikes_there => Some(Moment::Struck(strike)),
            Some(strike) => {
                self.happened = Some(strike.map_or_else(|_| Instant::now(), |strike| strike.at));
                self.watch = None;
                None
            }
            None => None,
        }
    }
}
