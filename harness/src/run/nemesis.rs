//! The nemesis: does to services what the scenario says, when it says so, and undoes it.

use super::error::RunError;
use super::fleet::{Fleet, Instance, Strike};
use super::readiness;
use super::session::Session;
use crate::scenario::model::{FaultAction, FaultRule};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::time::Instant;

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
    /// Faults that have not fired, soonest last.
    pending: Vec<FaultRule>,
    open: Vec<OpenFault<'a>>,
    fired: BTreeMap<String, u64>,
}

/// A fault that has fired and must be healed.
struct OpenFault<'a> {
    fault: FaultRule,
    /// The processes it hit: what it did not hit is not its business to heal.
    hit: Vec<&'a Instance>,
    /// `None` for the end of the load.
    heal_at: Option<Instant>,
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

    /// Does what is due: heals before it strikes, so that a service is up again when its next fault comes.
    ///
    /// # Errors
    /// When a service does not come back, or the run is interrupted.
    pub fn advance(&mut self) -> Result<(), RunError> {
        while let Some(index) = self.open.iter().position(|open| open.heal_at.is_some_and(|at| Instant::now() >= at)) {
            let open = self.open.remove(index);
            self.heal(&open)?;
        }
        while self.pending.last().is_some_and(|fault| self.began.elapsed() >= fault.at) {
            let Some(fault) = self.pending.pop() else { break };
            self.fire(fault)?;
        }
        Ok(())
    }

    /// Heals what is still open: a run ends by healing everything.
    ///
    /// # Errors
    /// As for [`Nemesis::advance`].
    pub fn heal_all(&mut self) -> Result<(), RunError> {
        for open in std::mem::take(&mut self.open) {
            self.heal(&open)?;
        }
        Ok(())
    }

    /// How often each fault hit a running process.
    #[must_use]
    pub fn fired(&self) -> &BTreeMap<String, u64> {
        &self.fired
    }

    fn fire(&mut self, fault: FaultRule) -> Result<(), RunError> {
        let (name, word) = (name(&fault), fault.action.word());
        let mut hit = Vec::new();
        for instance in targets(self.fleet, &fault) {
            let text = match self.strike(fault.action, instance) {
                Strike::Hit => {
                    hit.push(instance);
                    format!("{word}: {}", instance.label)
                }
                Strike::Down => format!("{word}: {} was down already", instance.label),
                // The end of the run tells of it, with its last lines.
                Strike::Died(status) => format!("{word}: {} {status} before the fault", instance.label),
            };
            self.session.journal.fault(&name, text);
        }
        if hit.is_empty() {
            return Ok(());
        }
        *self.fired.entry(name).or_insert(0) += 1;
        let heal_at = fault.heal_after.map(|after| Instant::now() + after);
        let open = OpenFault { fault, hit, heal_at };
        if open.fault.action == FaultAction::Restart {
            return self.heal(&open);
        }
        self.open.push(open);
        Ok(())
    }

    fn strike(&self, action: FaultAction, instance: &Instance) -> Strike {
        match action {
            FaultAction::Kill => instance.kill(),
            FaultAction::Pause => instance.signal(Signal::STOP),
            FaultAction::Restart => {
                let (strike, complaint) = instance.stop(self.session.plan.scenario.limits.stop);
                if let Some(complaint) = complaint {
                    self.session.journal.warning(complaint);
                }
                strike
            }
        }
    }

    fn heal(&self, open: &OpenFault<'_>) -> Result<(), RunError> {
        let deadline = Instant::now() + self.session.plan.scenario.limits.start;
        for instance in &open.hit {
            match open.fault.action {
                FaultAction::Pause => {
                    instance.signal(Signal::CONT);
                }
                FaultAction::Kill | FaultAction::Restart => self.start_again(instance, deadline)?,
            }
            self.session.journal.fault(&name(&open.fault), format!("healed: {}", instance.label));
        }
        Ok(())
    }

    fn start_again(&self, instance: &Instance, deadline: Instant) -> Result<(), RunError> {
        let members = readiness::members(self.bootstrap, instance)?;
        instance.start(&self.fleet.reaper)?;
        readiness::wait(self.session, self.bootstrap, instance, &members, deadline).map_err(|error| match error {
            RunError::DiedAtStart { .. } | RunError::NotReady { .. } => {
                RunError::NotRecovered { service: instance.label.clone(), source: Box::new(error) }
            }
            other => other,
        })
    }
}

fn targets<'a>(fleet: &'a Fleet, fault: &FaultRule) -> impl Iterator<Item = &'a Instance> {
    let number = fault.instance;
    let named = fleet.instances().iter().filter({
        let service = fault.service.clone();
        move |instance| instance.service == service
    });
    named.filter(move |instance| number.is_none_or(|number| number == instance.number))
}
