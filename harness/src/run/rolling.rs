//! A rolling restart on any back end: what comes next is decided by [`RollingRestart`], from what a client of the cluster
//! sees of it.

use crate::backend::{RunningCluster, StrikeError};
use crate::scenario::model::{FaultAction, Scenario};
use shakedown_cluster::interventions::view;
use shakedown_cluster::{Role, RollingRestart, Turn};
use std::time::{Duration, Instant};

/// Between two looks at the cluster, each of which is a connection and a request.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A rolling restart under way.
pub(super) struct Rolling {
    order: RollingRestart,
    looked: Option<Instant>,
    brokers: usize,
    restarted: usize,
    is_done: bool,
}

impl Rolling {
    /// Of the brokers that are drawn from the scenario's seed, or of all.
    pub(super) fn of(role: &Role, scenario: &Scenario) -> Self {
        let all: Vec<i32> = (1..=i32::try_from(scenario.brokers).unwrap_or(i32::MAX)).collect();
        let brokers = match role {
            Role::Drawn { share, draw } => share.of(&all, scenario.seed, *draw),
            _ => all,
        };
        Self { brokers: brokers.len(), order: RollingRestart::of(brokers), looked: None, restarted: 0, is_done: false }
    }

    /// Goes one step further, if it is time for that: when, and what was done.
    pub(super) fn step(
        &mut self,
        cluster: &dyn RunningCluster,
        bootstrap: &str,
    ) -> Result<Option<(Instant, String)>, StrikeError> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return Ok(None);
        }
        self.looked = Some(Instant::now());
        if self.order.down().is_none() && cluster.unsettled().is_some() {
            return Ok(None);
        }
        match self.order.next(view(bootstrap).ok().as_ref()) {
            Turn::Kill(id) => {
                let strike = cluster.strike(FaultAction::Kill, &Role::Broker(id))?;
                Ok(Some((strike.at, format!("kill broker {id}"))))
            }
            Turn::Start(id) => {
                cluster.undo(FaultAction::Kill, id)?;
                self.restarted += 1;
                Ok(Some((Instant::now(), format!("start broker {id} again"))))
            }
            Turn::Wait => Ok(None),
            Turn::Done => {
                self.is_done = true;
                Ok(None)
            }
        }
    }

    /// Whether the last one has caught up.
    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    /// The broker that is down because of it.
    pub(super) fn down(&self) -> Option<i32> {
        self.order.down()
    }

    /// How far it came.
    pub(super) fn summary(&self) -> String {
        format!("{} of {} brokers were restarted", self.restarted, self.brokers)
    }
}
