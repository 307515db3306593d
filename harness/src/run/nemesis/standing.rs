//! Faults that have begun and take their time: clients of the cluster that are at it, brokers that restart one after another.

use super::{Hit, Nemesis, OpenFault, broken};
use crate::run::error::RunError;
use crate::run::intervening::News;
use crate::scenario::model::FaultRule;
use shakedown_cluster::InterventionError;
use std::time::Instant;

impl<'a> Nemesis<'a> {
    /// Keeps a fault that has begun and may take its time.
    pub(super) fn stand(&mut self, place: usize, fault: FaultRule, hit: Hit<'a>) {
        self.open.push(OpenFault { place, fault, began: Instant::now(), begin_at: None, hit });
    }

    /// Notes what interventions have come to.
    pub(super) fn hear_of_interventions(&mut self) -> Result<(), RunError> {
        let open = std::mem::take(&mut self.open);
        let heard = open.iter().try_for_each(|open| self.hear_of(open));
        self.open = open;
        heard
    }

    pub(super) fn hear_of(&mut self, open: &OpenFault<'a>) -> Result<(), RunError> {
        let Hit::Intervening(intervening) = &open.hit else { return Ok(()) };
        let name = open.fault.to_string();
        while let Some(news) = intervening.hear() {
            match news {
                News::Struck(struck) => {
                    self.session.journal.fault_at(struck.at, &name, format!("{}: {}", open.fault.deed, struck.what));
                    self.note(open.place, struck.at, u64::from(struck.changed));
                }
                News::Failed(error) if error.is_passing() || matches!(error, InterventionError::CalledOff) => {
                    self.session.journal.warning(format!("{name}: {error}"));
                }
                News::Failed(source) => return Err(RunError::Intervention { fault: name, source }),
            }
        }
        Ok(())
    }

    /// Does the next step of each rolling restart.
    pub(super) fn roll_on(&mut self) -> Result<(), RunError> {
        let bootstrap = self.cluster.bootstrap_servers();
        let mut open = std::mem::take(&mut self.open);
        let rolled = open.iter_mut().try_for_each(|open| {
            let Hit::Rolling(rolling) = &mut open.hit else { return Ok(()) };
            let stepped = rolling.step(self.cluster, &bootstrap);
            let Some((at, what)) = stepped.map_err(|source| broken(&open.fault, source))? else { return Ok(()) };
            self.session.journal.fault_at(at, &open.fault.to_string(), what);
            let is_first = self.struck[open.place].is_none();
            self.note(open.place, at, u64::from(is_first));
            Ok(())
        });
        self.open = open;
        rolled
    }

    /// Notes that a fault has struck, so many times more.
    fn note(&mut self, place: usize, at: Instant, times: u64) {
        let name = self.session.plan.scenario.faults[place].to_string();
        *self.fired.entry(name).or_insert(0) += times;
        self.struck[place].get_or_insert(at);
    }
}
