//! Rules for requests as faults of a run: laid before the load or when their time comes, begun, and struck when they hit.

use super::super::error::RunError;
use super::super::pending::waits_for;
use super::{Hit, Nemesis, OpenFault, broken};
use crate::scenario::deed::Deed;
use crate::scenario::model::FaultRule;
use shakedown_cluster::RuleGuard;
use std::time::{Duration, Instant};

impl Nemesis<'_> {
    /// Lays what must be there before the load: a rule or a failing stand-in that is in force from the beginning, where the
    /// first message would otherwise slip through, or a rule that begins in the very step in which something happens. Whether the
    /// fault is one.
    pub(super) fn lay_early(&mut self, place: usize, fault: &FaultRule) -> Result<bool, RunError> {
        let trigger = &fault.trigger;
        let rule = match &fault.deed {
            Deed::Requests(rule) => rule,
            // A service that offers the load may need it to get ready.
            Deed::Fail(failure)
                if trigger.when.is_none()
                    && trigger.at == Some(Duration::ZERO)
                    && self.session.plan.scenario.load.target.is_offered_by_us() =>
            {
                self.fail(place, fault.clone(), *failure)?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        let (guard, begin_at) = match waits_for(fault) {
            Some(condition) if trigger.after.is_zero() => {
                let laid = self.inside(fault)?.rule_when(rule.clone(), condition);
                (laid.map_err(|source| broken(fault, source))?, trigger.at)
            }
            None if trigger.when.is_none() && trigger.at == Some(Duration::ZERO) => {
                (self.inside(fault)?.rule(rule.clone()), None)
            }
            _ => return Ok(false),
        };
        let (fault, began, hit) = (fault.clone(), self.began, Hit::Requests(guard));
        self.open.push(OpenFault { place, fault, began, begin_at, hit });
        Ok(true)
    }

    /// Puts a rule into force. It has struck when it hits its first request, and fires as often as it hits one.
    pub(super) fn lay_rule(&mut self, place: usize, fault: FaultRule) -> Result<(), RunError> {
        let Deed::Requests(rule) = &fault.deed else { return Ok(()) };
        let guard = self.inside(&fault)?.rule(rule.clone());
        self.open.push(OpenFault { place, fault, began: Instant::now(), begin_at: None, hit: Hit::Requests(guard) });
        Ok(())
    }

    /// Lets rules begin that have waited long enough for something else.
    pub(super) fn begin_late_rules(&mut self) {
        let elapsed = self.began.elapsed();
        for open in &mut self.open {
            if let (Hit::Requests(guard), Some(_)) = (&open.hit, open.begin_at.take_if(|at| elapsed >= *at)) {
                guard.begin();
            }
        }
    }

    /// Notes which rules have hit their first request.
    pub(super) fn count_first_hits(&mut self) {
        let open = std::mem::take(&mut self.open);
        for fault in &open {
            if let Hit::Requests(guard) = &fault.hit {
                self.count_first_hit(fault.place, &fault.fault, guard);
            }
        }
        self.open = open;
    }

    pub(super) fn count_first_hit(&mut self, place: usize, fault: &FaultRule, guard: &RuleGuard) {
        if let (Some(at), None) = (guard.first_hit(), self.struck[place]) {
            self.session.journal.fault_at(at, &fault.to_string(), fault.deed.to_string());
            self.struck[place] = Some(at);
        }
    }
}
