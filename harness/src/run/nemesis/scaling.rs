//! Services that get more instances or fewer while the load lasts.

use super::{Hit, Nemesis, OpenFault};
use crate::run::error::RunError;
use crate::run::fleet::{Fleet, Instance, Strike};
use crate::scenario::model::FaultRule;
use std::time::{Duration, Instant};

/// Between two looks at whether an instance that is to go has a process by now.
const BEGINNING_POLL: Duration = Duration::from_millis(5);

impl<'a> Nemesis<'a> {
    /// Gives a service so many instances. Not while one that is to go is just about to be started.
    pub(super) fn scale(&mut self, place: usize, fault: FaultRule, service: String, to: u32) -> bool {
        let fleet: &'a Fleet = self.fleet;
        let began = Instant::now();
        let wanted = fleet.of(&service).filter(|instance| instance.is_wanted());
        let from = u32::try_from(wanted.count()).unwrap_or(u32::MAX);
        if !self.have(&fault.to_string(), &service, to) {
            return false;
        }
        // Where there were as many before, nothing has happened.
        *self.fired.entry(fault.to_string()).or_insert(0) += u64::from(to != from);
        self.struck[place] = Some(began);
        // Without an end it stays so, and is no trouble that anybody has to be spared.
        if fault.heal.is_some() {
            self.open.push(OpenFault { place, fault, began, begin_at: None, hit: Hit::Scaled { service, from } });
        }
        true
    }

    /// Gives a service as many instances as it had.
    ///
    /// # Errors
    /// When an instance does not come back meanwhile.
    pub(super) fn scale_back(&mut self, name: &str, service: &str, from: u32) -> Result<(), RunError> {
        // Nobody is just about to be started for longer than that takes.
        while !self.have(name, service, from) {
            std::thread::sleep(BEGINNING_POLL);
            self.recoveries.follow(self.session, false)?;
        }
        Ok(())
    }

    /// Starts instances, or has those with the highest numbers leave, until there are so many; whether that was possible.
    fn have(&mut self, name: &str, service: &str, number: u32) -> bool {
        let fleet: &'a Fleet = self.fleet;
        let of_service = || fleet.instances().iter().filter(|instance| instance.service == service);
        let leaving: Vec<&'a Instance> =
            of_service().filter(|instance| instance.number > number && instance.is_wanted()).collect();
        if leaving.iter().any(|instance| self.recoveries.is_beginning(instance)) {
            return false;
        }
        let limits = self.session.plan.scenario.limits;
        for instance in of_service().filter(|instance| instance.number <= number && !instance.is_wanted()) {
            instance.want(true);
            self.session.journal.fault(name, format!("scale: {} starts", instance.label));
            // It is told when it is ready.
            self.recoveries.begin(name, instance, limits.start);
        }
        for instance in &leaving {
            instance.want(false);
            self.session.journal.fault(name, format!("scale: {} leaves", instance.label));
            if let Some(earlier) = self.recoveries.give_up(instance) {
                self.session.journal.healed(&earlier, format!("healed: {}, until it was scaled in", instance.label));
            }
        }
        let ends: Vec<(&'a Instance, Strike, Option<String>)> = std::thread::scope(|scope| {
            let stop = |instance: &'a Instance| {
                scope.spawn(move || {
                    let (strike, complaint) = instance.stop(limits.stop);
                    (instance, strike, complaint)
                })
            };
            let stopping: Vec<_> = leaving.iter().copied().map(stop).collect();
            stopping.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        for (instance, strike, complaint) in ends {
            if let Some(complaint) = complaint {
                self.session.journal.warning(complaint);
            }
            let how = match strike {
                // It stays on the record, and is a reason when the run ends.
                Strike::Died(status) => format!("{} had ended before: it {status}", instance.label),
                Strike::Hit | Strike::Down => format!("{} has left", instance.label),
            };
            self.session.journal.healed(name, format!("healed: {how}"));
        }
        true
    }
}
