//! The end of the load: everything that is open heals, and what had not struck never will; how often each fault fired.

use super::super::error::RunError;
use super::super::parts::short;
use super::super::pending::Pending;
use super::{Hit, Nemesis, OpenFault, SERVICES_TURN, broken, brokers};
use crate::scenario::deed::Deed;
use crate::scenario::model::{Condition, FaultRule, FaultTarget};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Between two looks at whether the cluster is whole again, and whether services are back.
const SETTLE_POLL: Duration = Duration::from_millis(5);

/// How long a fault waits behind the load for a service to come to its failpoint. Services lag behind the load, and one that
/// came there when nobody waits any more would stand there until the end of the run: no drain would ever finish.
const LAGGARD_PATIENCE: Duration = Duration::from_secs(10);

impl Nemesis<'_> {
    /// Heals what is still open: a run ends by healing everything, and by looking whether all brokers and services are there
    /// again.
    ///
    /// # Errors
    /// As for [`Nemesis::advance`].
    pub fn heal_all(&mut self) -> Result<(), RunError> {
        // What had become due by the last message strikes still.
        self.pending.iter_mut().for_each(Pending::last_look);
        self.advance()?;
        self.wait_for_failpoints()?;
        self.call_off()?;
        while let Some(open) = self.take_open(|_, open| open.hit.turn() < SERVICES_TURN) {
            self.tell_if_early(&open);
            self.heal(open)?;
        }
        while !self.returning.is_empty() {
            self.session.go_on()?;
            std::thread::sleep(SETTLE_POLL);
            self.follow_servers()?;
        }
        while let Some(open) = self.take_open(|_, _| true) {
            self.tell_if_early(&open);
            self.heal(open)?;
        }
        let on_brokers = |fault: &FaultRule| {
            matches!(&fault.deed, Deed::Hit { target: FaultTarget::Broker(_), .. } | Deed::RollingRestart(_))
        };
        if self.session.plan.scenario.faults.iter().any(on_brokers) {
            self.settle()?;
        }
        // Only now nothing stands in the way of services.
        self.recoveries.follow(self.session, false)?;
        while !self.recoveries.is_empty() {
            self.session.go_on()?;
            self.session.journal.waiting("heal: waiting for services to be ready again");
            std::thread::sleep(SETTLE_POLL);
            self.recoveries.follow(self.session, true)?;
        }
        Ok(())
    }

    /// Goes on while a service may still come to the failpoint at which a fault waits for it, [`LAGGARD_PATIENCE`] at most.
    fn wait_for_failpoints(&mut self) -> Result<(), RunError> {
        let is_awaited = |pending: &Pending| matches!(pending.fault.trigger.when, Some(Condition::Failpoint { .. }));
        let deadline = Instant::now() + LAGGARD_PATIENCE;
        while self.pending.iter().any(is_awaited) && Instant::now() < deadline {
            self.session.go_on()?;
            self.session.journal.waiting("heal: waiting for a service to come to its failpoint");
            std::thread::sleep(SETTLE_POLL);
            self.advance()?;
        }
        Ok(())
    }

    /// Notes in the timeline what heals before the time that the scenario gives it: with the load everything ends.
    fn tell_if_early(&self, open: &OpenFault<'_>) {
        let (Some(heal), Some(struck)) = (open.fault.heal, self.struck[open.place]) else { return };
        let name = open.fault.to_string();
        let since = match heal.then {
            None if matches!(open.hit, Hit::Requests(_) | Hit::Intervening(_)) => Some(struck),
            None => Some(open.began),
            Some(other) => self.struck.get(other).copied().flatten(),
        };
        let left = since.map(|since| heal.after.saturating_sub(since.elapsed()));
        if left == Some(Duration::ZERO) {
            return;
        }
        let early = left.map_or_else(|| "before what it waits for".to_owned(), |left| format!("{} early", short(left)));
        self.session.journal.healed(&name, format!("the load ended, so this heals {early}: {name}"));
    }

    /// Waits for nothing more. What the back end has struck by now did strike, and must heal.
    pub(super) fn call_off(&mut self) -> Result<(), RunError> {
        let mut first = Ok(());
        for mut pending in std::mem::take(&mut self.pending) {
            match pending.call_off() {
                Some(Ok(strike)) => self.has_struck(pending.index, pending.fault, strike),
                Some(Err(source)) => first = first.and(Err(broken(&pending.fault, source))),
                None => {}
            }
        }
        first
    }

    /// How often each fault hit something that ran, by its name. What a run that broke off left open counts, too.
    #[must_use]
    pub fn fired(mut self) -> BTreeMap<String, u64> {
        // What could not be done is told of by the error that ended the run, and did not fire.
        let _ = self.call_off();
        for open in std::mem::take(&mut self.open) {
            if matches!(open.hit, Hit::Requests(_) | Hit::Disturbed(_) | Hit::Failing(_) | Hit::Intervening(_)) {
                // Ending a guard cannot fail, and what an intervention failed at did not fire; others were counted when they
                // struck, and end with the cluster.
                let _ = self.heal(open);
            }
        }
        self.fired
    }

    /// Waits until every broker knows all others to be alive.
    fn settle(&self) -> Result<(), RunError> {
        let limit = self.session.plan.scenario.limits.start;
        let deadline = Instant::now() + limit;
        while let Some((node, missing)) = self.cluster.unsettled() {
            self.session.go_on()?;
            let missing = brokers(&missing);
            if Instant::now() >= deadline {
                let source = Box::new(RunError::Unsettled { node, missing, limit });
                return Err(RunError::NotRecovered { who: "the cluster".to_owned(), source });
            }
            self.session.journal.waiting(&format!("heal: node {node} does not see {missing} alive yet"));
            std::thread::sleep(SETTLE_POLL);
        }
        Ok(())
    }
}
