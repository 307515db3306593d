//! Stand-ins that fail as faults of a run: from when they strike until they heal.

use super::super::error::RunError;
use super::super::stand_ins::InForce;
use super::{Hit, Nemesis, broken};
use crate::backend::StrikeError;
use crate::scenario::model::FaultRule;
use crate::scenario::stand_in::{Failure, FailureMode};
use std::time::Instant;

impl<'a> Nemesis<'a> {
    /// Lets a stand-in fail from here on. One that is down is there for nobody, and has struck; any other failure fires when it
    /// hits a request.
    pub(super) fn fail(&mut self, place: usize, fault: FaultRule, failure: Failure) -> Result<(), RunError> {
        let Some(failing) = self.stand_ins.fail(&failure, place) else {
            return Err(RunError::OutOfReach { fault: fault.to_string() });
        };
        let name = fault.to_string();
        self.session.journal.fault(&name, fault.deed.to_string());
        self.struck[place] = Some(Instant::now());
        if failure.mode == FailureMode::Down {
            *self.fired.entry(name).or_insert(0) += 1;
        }
        self.stand(place, fault, Hit::Failing(failing));
        Ok(())
    }

    /// All is well again, as far as this fault goes.
    pub(super) fn heal_failing(&mut self, fault: &FaultRule, failing: InForce<'a>) -> Result<(), RunError> {
        let name = fault.to_string();
        match failing.end().map_err(|source| broken(fault, StrikeError::Failed(Box::new(source))))? {
            Some(hits) => self.healed_after(fault, hits, false),
            None => self.session.journal.healed(&name, format!("healed: {}; it may listen again", fault.deed)),
        }
        Ok(())
    }
}
