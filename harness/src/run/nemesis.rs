//! The nemesis: does to services what the scenario says, when it says so, and undoes it.

use super::error::RunError;
use super::fleet::{Fleet, Instance};
use super::readiness;
use super::session::Session;
use crate::scenario::model::{FaultAction, FaultRule};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How finely faults are timed.
const TICK: Duration = Duration::from_millis(1);

/// How a fault is called in events and reports: `kill service(tracker) at 2s`.
#[must_use]
pub fn name(fault: &FaultRule) -> String {
    let target = match fault.instance {
        Some(number) => format!("instance({}, {number})", fault.service),
        None => format!("service({})", fault.service),
    };
    format!("{} {target} at {:?}", fault.action.word(), fault.at)
}

/// Faults on their way. The conductor calls [`Nemesis::advance`] while the load lasts, and [`Nemesis::heal_all`] after.
pub struct Nemesis<'a> {
    session: &'a Session,
    fleet: &'a Fleet,
    bootstrap: &'a str,
    began: Instant,
    /// Faults that have not fired, soonest first.
    pending: Vec<FaultRule>,
    /// Faults that have fired and must be healed, with their time for it.
    open: Vec<(FaultRule, Option<Instant>)>,
    fired: BTreeMap<String, u64>,
}

impl<'a> Nemesis<'a> {
    /// The load begins now.
    #[must_use]
    pub fn new(session: &'a Session, fleet: &'a Fleet, bootstrap: &'a str) -> Self {
        let mut pending = session.plan.scenario.faults.clone();
        pending.sort_by_key(|fault| std::cmp::Reverse(fault.at));
        let fired = pending.iter().map(|fault| (name(fault), 0)).collect();
        Self { session, fleet, bootstrap, began: Instant::now(), pending, open: Vec::new(), fired }
    }

    /// Does what is due, and returns how long nothing will be.
    ///
    /// # Errors
    /// When a service cannot be started again.
    pub fn advance(&mut self) -> Result<Duration, RunError> {
        while self.pending.last().is_some_and(|fault| self.began.elapsed() >= fault.at) {
            let Some(fault) = self.pending.pop() else { break };
            self.fire(fault)?;
        }
        while let Some(index) = self.open.iter().position(|(_, at)| at.is_some_and(|at| Instant::now() >= at)) {
            let (fault, _) = self.open.remove(index);
            self.heal(&fault)?;
        }
        Ok(TICK)
    }

    /// Heals what is still open: a run ends by healing everything.
    ///
    /// # Errors
    /// When a service cannot be started again.
    pub fn heal_all(&mut self) -> Result<(), RunError> {
        for (fault, _) in std::mem::take(&mut self.open) {
            self.heal(&fault)?;
        }
        Ok(())
    }

    /// How often each fault fired.
    #[must_use]
    pub fn fired(&self) -> &BTreeMap<String, u64> {
        &self.fired
    }

    fn fire(&mut self, fault: FaultRule) -> Result<(), RunError> {
        let name = name(&fault);
        for instance in targets(self.fleet, &fault) {
            match fault.action {
                FaultAction::Kill => instance.kill(),
                FaultAction::Pause => instance.signal(Signal::STOP),
                FaultAction::Restart => {
                    if let Some(complaint) = instance.stop(self.session.plan.scenario.limits.stop) {
                        self.session.journal.warning(complaint);
                    }
                }
            }
            self.session.journal.fault(&name, format!("{}: {}", fault.action.word(), instance.label));
        }
        *self.fired.entry(name).or_insert(0) += 1;
        if fault.action == FaultAction::Restart {
            return self.heal(&fault);
        }
        let heal_at = fault.heal_after.map(|after| Instant::now() + after);
        self.open.push((fault, heal_at));
        Ok(())
    }

    fn heal(&self, fault: &FaultRule) -> Result<(), RunError> {
        let deadline = Instant::now() + self.session.plan.scenario.limits.start;
        for instance in targets(self.fleet, fault) {
            match fault.action {
                FaultAction::Pause => instance.signal(Signal::CONT),
                FaultAction::Kill | FaultAction::Restart => {
                    instance.start(&self.fleet.reaper)?;
                    readiness::wait(self.session, self.bootstrap, instance, deadline)?;
                }
            }
            self.session.journal.fault(&name(fault), format!("healed: {}", instance.label));
        }
        Ok(())
    }
}

fn targets<'a>(fleet: &'a Fleet, fault: &'a FaultRule) -> impl Iterator<Item = &'a Instance> {
    fleet.of(&fault.service).filter(|instance| fault.instance.is_none_or(|number| number == instance.number))
}
