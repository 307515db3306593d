//! The nemesis: does to services and brokers what the scenario says, when it says so, and undoes it.
//!
//! What a fault waits for is in [`super::pending`]. Brokers are hit by the back end, in the very step in which messages
//! have been produced where that is what the fault waits for; services are hit from here.

mod standing;

use super::error::RunError;
use super::fleet::{Fleet, Instance, Strike as Met};
use super::intervening::Intervening;
use super::pending::{Moment, Pending, waits_for};
use super::readiness;
use super::rolling::Rolling;
use super::session::Session;
use crate::backend::RunningCluster;
use crate::scenario::deed::Deed;
use crate::scenario::model::{FaultAction, FaultRule, FaultTarget};
use rustix::process::Signal;
use shakedown_cluster::{Disturbance, Fault, FaultError, RuleGuard, Strike};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Between two looks at whether the cluster is whole again.
const SETTLE_POLL: Duration = Duration::from_millis(5);

/// Faults on their way. The conductor calls [`Nemesis::advance`] while the load lasts, and [`Nemesis::heal_all`] after.
pub struct Nemesis<'a> {
    session: &'a Session,
    fleet: &'a Fleet,
    cluster: &'a dyn RunningCluster,
    bootstrap: &'a str,
    began: Instant,
    /// Faults that have not struck, soonest first as far as their times are known.
    pending: Vec<Pending>,
    open: Vec<OpenFault<'a>>,
    /// When each of the scenario's faults struck.
    struck: Vec<Option<Instant>>,
    fired: BTreeMap<String, u64>,
}

/// A fault that has struck, or a rule that is in force, and must be healed.
struct OpenFault<'a> {
    /// Its place among the scenario's faults.
    place: usize,
    fault: FaultRule,
    began: Instant,
    /// From when on a rule is in force whatever else it waits for.
    begin_at: Option<Duration>,
    hit: Hit<'a>,
}

/// What a fault hit: what it did not hit is not its business to heal.
enum Hit<'a> {
    Instances(FaultAction, Vec<&'a Instance>),
    Nodes(FaultAction, Vec<i32>),
    /// Requests, by this rule for as long as it is open.
    Requests(RuleGuard),
    /// Links, connections or a clock, for as long as it is open.
    Disturbed(Fault),
    /// Whatever a client of the cluster does until it is called off.
    Intervening(Intervening),
    /// Brokers, one after another.
    Rolling(Rolling),
}

impl<'a> Nemesis<'a> {
    /// Lays every fault out, before the load begins: the first message may already be what one of them waits for.
    ///
    /// # Errors
    /// When the cluster has ended.
    pub fn new(
        session: &'a Session,
        fleet: &'a Fleet,
        cluster: &'a dyn RunningCluster,
        bootstrap: &'a str,
    ) -> Result<Self, RunError> {
        let faults = &session.plan.scenario.faults;
        let fired = faults.iter().map(|fault| (fault.to_string(), 0)).collect();
        let struck = vec![None; faults.len()];
        let (began, pending, open) = (Instant::now(), Vec::new(), Vec::new());
        let mut nemesis = Self { session, fleet, cluster, bootstrap, began, pending, open, struck, fired };
        for (index, fault) in faults.iter().enumerate() {
            if !nemesis.lay_early(index, fault)? {
                nemesis.pending.push(Pending::new(index, fault.clone(), cluster)?);
            }
        }
        nemesis.pending.sort_by_key(|pending| pending.fault.trigger.at.unwrap_or(Duration::MAX));
        Ok(nemesis)
    }

    /// Lays a rule that must be there before the load: one that is in force from the beginning, or begins in the very step in
    /// which something happens. Whether the fault is one.
    fn lay_early(&mut self, place: usize, fault: &FaultRule) -> Result<bool, RunError> {
        let Deed::Requests(rule) = &fault.deed else { return Ok(false) };
        let trigger = &fault.trigger;
        let (guard, begin_at) = match waits_for(fault) {
            Some(condition) if trigger.after.is_zero() => {
                let laid = self.cluster.rule_when(rule.clone(), condition);
                (laid.map_err(|source| broken(fault, source))?, trigger.at)
            }
            None if trigger.when.is_none() && trigger.at == Some(Duration::ZERO) => {
                (self.cluster.rule(rule.clone()), None)
            }
            _ => return Ok(false),
        };
        let (fault, began, hit) = (fault.clone(), self.began, Hit::Requests(guard));
        self.open.push(OpenFault { place, fault, began, begin_at, hit });
        Ok(true)
    }

    /// The load begins now.
    pub fn begin(&mut self) {
        self.began = Instant::now();
    }

    /// Does what is due: heals before it strikes, so that a service is up again when its next fault comes.
    ///
    /// # Errors
    /// When something does not come back, or the run is interrupted.
    pub fn advance(&mut self) -> Result<(), RunError> {
        self.count_first_hits();
        self.begin_late_rules();
        self.hear_of_interventions()?;
        self.roll_on()?;
        while let Some(index) = self.open.iter().position(|open| self.is_over(open)) {
            let open = self.open.remove(index);
            self.heal(open)?;
        }
        let mut index = 0;
        while index < self.pending.len() {
            match self.pending[index].moment(self.began, &self.struck) {
                Moment::NotYet => index += 1,
                Moment::Now => {
                    if self.fire(index)? {
                        self.pending.remove(index);
                    } else {
                        index += 1;
                    }
                }
                // It is tried from here until there is something to hit.
                Moment::Struck(Err(FaultError::NothingThere { .. })) => index += 1,
                Moment::Struck(strike) => {
                    let pending = self.pending.remove(index);
                    let strike = strike.map_err(|source| broken(&pending.fault, source))?;
                    self.has_struck(pending.index, pending.fault, strike);
                }
            }
        }
        Ok(())
    }

    /// Heals what is still open: a run ends by healing everything, and by looking whether all brokers are there again.
    ///
    /// # Errors
    /// As for [`Nemesis::advance`].
    pub fn heal_all(&mut self) -> Result<(), RunError> {
        // What has not struck by now never will.
        self.pending.clear();
        for open in std::mem::take(&mut self.open) {
            self.heal(open)?;
        }
        let on_brokers = |fault: &FaultRule| {
            matches!(&fault.deed, Deed::Hit { target: FaultTarget::Broker(_), .. } | Deed::RollingRestart(_))
        };
        let brokers = self.session.plan.scenario.faults.iter().any(on_brokers);
        if brokers { self.settle() } else { Ok(()) }
    }

    /// How often each fault hit something that ran.
    #[must_use]
    pub fn fired(&self) -> &BTreeMap<String, u64> {
        &self.fired
    }

    /// Whether its time to be healed has come.
    fn is_over(&self, open: &OpenFault<'_>) -> bool {
        match &open.hit {
            // What is over by itself excuses nothing any more.
            Hit::Intervening(intervening) if intervening.is_over() => return true,
            Hit::Rolling(rolling) if rolling.is_done() => return true,
            _ => {}
        }
        let Some(heal) = open.fault.heal else { return false };
        // A rule that holds requests is over so long after it hit the first of them.
        let from = match heal.then {
            None if matches!(open.hit, Hit::Requests(_) | Hit::Intervening(_)) => self.struck[open.place],
            None => Some(open.began),
            Some(fault) => self.struck.get(fault).copied().flatten(),
        };
        from.is_some_and(|from| from.elapsed() >= heal.after)
    }

    /// Strikes now; whether that is done with. Where nobody plays the role at the moment, somebody soon will.
    fn fire(&mut self, index: usize) -> Result<bool, RunError> {
        let pending = &self.pending[index];
        let fault = pending.fault.clone();
        let place = pending.index;
        let (action, target) = match &fault.deed {
            Deed::Hit { action, target } => (*action, target.clone()),
            Deed::Requests(_) => {
                self.lay_rule(place, fault);
                return Ok(true);
            }
            Deed::Disturb(disturbance) => {
                let disturbance = disturbance.clone();
                return self.disturb(place, fault, &disturbance);
            }
            Deed::AdvanceClock(by) => {
                self.cluster.advance_clock(*by);
                let name = fault.to_string();
                self.session.journal.fault(&name, fault.deed.to_string());
                // It stays, and is no trouble that anybody has to be spared.
                self.session.journal.healed(&name, "healed: it stays so");
                *self.fired.entry(fault.to_string()).or_insert(0) += 1;
                self.struck[place] = Some(Instant::now());
                return Ok(true);
            }
            Deed::Intervene(intervention) => {
                let intervening = Intervening::start(intervention.clone(), self.bootstrap)
                    .map_err(RunError::io("start the thread of an intervention"))?;
                self.stand(place, fault, Hit::Intervening(intervening));
                return Ok(true);
            }
            Deed::RollingRestart(role) => {
                let rolling = Rolling::of(role, &self.session.plan.scenario);
                self.stand(place, fault, Hit::Rolling(rolling));
                return Ok(true);
            }
        };
        match target {
            FaultTarget::Service { name, instance } => {
                self.fire_on_service(place, fault, action, (&name, instance));
                Ok(true)
            }
            FaultTarget::Broker(role) => match self.cluster.strike(action, &role) {
                Ok(strike) => {
                    self.has_struck(place, fault, strike);
                    Ok(true)
                }
                Err(FaultError::Nobody { .. } | FaultError::NothingThere { .. }) => Ok(false),
                Err(source) => Err(broken(&fault, source)),
            },
        }
    }

    fn fire_on_service(
        &mut self,
        place: usize,
        fault: FaultRule,
        action: FaultAction,
        (service, number): (&str, Option<u32>),
    ) {
        let (name, word) = (fault.to_string(), action.word());
        let began = Instant::now();
        let mut hit = Vec::new();
        let fleet: &'a Fleet = self.fleet;
        let named = fleet.instances().iter().filter(|instance| instance.service == service);
        for instance in named.filter(|instance| number.is_none_or(|number| number == instance.number)) {
            let text = match self.strike(action, instance) {
                Met::Hit => {
                    hit.push(instance);
                    format!("{word}: {}", instance.label)
                }
                Met::Down => format!("{word}: {} was down already", instance.label),
                // The end of the run tells of it, with its last lines.
                Met::Died(status) => format!("{word}: {} {status} before the fault", instance.label),
            };
            self.session.journal.fault(&name, text);
        }
        if !hit.is_empty() {
            self.opened(OpenFault { place, fault, began, begin_at: None, hit: Hit::Instances(action, hit) });
        }
    }

    fn has_struck(&mut self, place: usize, fault: FaultRule, strike: Strike) {
        let text = format!("{}: {}", fault.deed, brokers(&strike.nodes));
        self.session.journal.fault_at(strike.at, &fault.to_string(), text);
        let Deed::Hit { action, .. } = fault.deed else { return };
        self.opened(OpenFault {
            place,
            fault,
            began: strike.at,
            begin_at: None,
            hit: Hit::Nodes(action, strike.nodes),
        });
    }

    fn opened(&mut self, open: OpenFault<'a>) {
        *self.fired.entry(open.fault.to_string()).or_insert(0) += 1;
        self.struck[open.place] = Some(open.began);
        self.open.push(open);
    }

    /// Puts a fault of links, connections or clocks in place; not where nobody plays one of its roles at the moment.
    fn disturb(&mut self, place: usize, fault: FaultRule, disturbance: &Disturbance) -> Result<bool, RunError> {
        let guard = match self.cluster.disturb(disturbance) {
            Ok(guard) => guard,
            Err(FaultError::Nobody { .. }) => return Ok(false),
            Err(source) => return Err(broken(&fault, source)),
        };
        let began = Instant::now();
        self.session.journal.fault(&fault.to_string(), fault.deed.to_string());
        self.struck[place] = Some(began);
        self.open.push(OpenFault { place, fault, began, begin_at: None, hit: Hit::Disturbed(guard) });
        Ok(true)
    }

    /// Puts a rule into force. It has struck when it hits its first request, and fires as often as it hits one.
    fn lay_rule(&mut self, place: usize, fault: FaultRule) {
        let Deed::Requests(rule) = &fault.deed else { return };
        let guard = self.cluster.rule(rule.clone());
        self.open.push(OpenFault { place, fault, began: Instant::now(), begin_at: None, hit: Hit::Requests(guard) });
    }

    /// Lets rules begin that have waited long enough for something else.
    fn begin_late_rules(&mut self) {
        let elapsed = self.began.elapsed();
        for open in &mut self.open {
            if let (Hit::Requests(guard), Some(_)) = (&open.hit, open.begin_at.take_if(|at| elapsed >= *at)) {
                guard.begin();
            }
        }
    }

    /// Notes which rules have hit their first request.
    fn count_first_hits(&mut self) {
        let open = std::mem::take(&mut self.open);
        for fault in &open {
            if let Hit::Requests(guard) = &fault.hit {
                self.count_first_hit(fault.place, &fault.fault, guard);
            }
        }
        self.open = open;
    }

    fn count_first_hit(&mut self, place: usize, fault: &FaultRule, guard: &RuleGuard) {
        if let (Some(at), None) = (guard.first_hit(), self.struck[place]) {
            self.session.journal.fault_at(at, &fault.to_string(), fault.deed.to_string());
            self.struck[place] = Some(at);
        }
    }

    fn strike(&self, action: FaultAction, instance: &Instance) -> Met {
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
            // Validation leaves these to brokers: a process of ours has no disk and no links of its own.
            FaultAction::PowerLoss | FaultAction::Isolate | FaultAction::Disk(_) | FaultAction::Damage(_) => Met::Down,
        }
    }

    fn heal(&mut self, mut open: OpenFault<'a>) -> Result<(), RunError> {
        let name = open.fault.to_string();
        if let Hit::Intervening(intervening) = &mut open.hit {
            intervening.end();
            self.hear_of(&open)?;
            self.session.journal.healed(&name, "over");
            return Ok(());
        }
        match open.hit {
            Hit::Intervening(_) => {}
            Hit::Rolling(rolling) => {
                if let Some(id) = rolling.down() {
                    self.cluster.undo(FaultAction::Kill, id).map_err(|source| broken(&open.fault, source))?;
                }
                self.session.journal.healed(&name, rolling.summary());
            }
            Hit::Requests(guard) => {
                self.count_first_hit(open.place, &open.fault, &guard);
                let hits = guard.end();
                let bounded = matches!(&open.fault.deed, Deed::Requests(rule) if rule.times.is_some());
                self.healed_after(&name, hits, bounded);
            }
            Hit::Disturbed(guard) => self.healed_after(&name, guard.undo(), false),
            Hit::Nodes(action, nodes) => {
                // Before what comes of it, which the cluster tells by itself.
                self.session.journal.healed(&name, format!("healed: {}", brokers(&nodes)));
                for node in nodes {
                    self.cluster.undo(action, node).map_err(|source| broken(&open.fault, source))?;
                }
            }
            Hit::Instances(action, instances) => {
                let deadline = Instant::now() + self.session.plan.scenario.limits.start;
                for instance in instances {
                    if action == FaultAction::Pause {
                        instance.signal(Signal::CONT);
                    } else {
                        self.start_again(instance, deadline)?;
                    }
                    self.session.journal.healed(&name, format!("healed: {}", instance.label));
                }
            }
        }
        Ok(())
    }

    /// Counts a fault that stood for a while. How often it hits without a bound differs from run to run: it fired, or not.
    fn healed_after(&mut self, name: &str, hits: u64, bounded: bool) {
        *self.fired.entry(name.to_owned()).or_insert(0) += if bounded { hits } else { hits.min(1) };
        self.session.journal.healed(name, format!("healed: {hits} hit"));
    }

    fn start_again(&self, instance: &Instance, deadline: Instant) -> Result<(), RunError> {
        let members = readiness::members(self.bootstrap, instance)?;
        instance.start(&self.fleet.reaper)?;
        readiness::wait(self.session, self.bootstrap, instance, &members, deadline).map_err(|error| match error {
            RunError::DiedAtStart { .. } | RunError::NotReady { .. } => {
                RunError::NotRecovered { who: format!("service {}", instance.label), source: Box::new(error) }
            }
            other => other,
        })
    }

    /// Waits until every broker knows all others to be alive.
    fn settle(&self) -> Result<(), RunError> {
        let limit = self.session.plan.scenario.limits.start;
        let deadline = Instant::now() + limit;
        while let Some((node, missing)) = self.cluster.unsettled() {
            self.session.go_on()?;
            if Instant::now() >= deadline {
                let source = Box::new(RunError::Unsettled { node, missing: brokers(&missing), limit });
                return Err(RunError::NotRecovered { who: "the cluster".to_owned(), source });
            }
            std::thread::sleep(SETTLE_POLL);
        }
        Ok(())
    }
}

fn broken(fault: &FaultRule, source: FaultError) -> RunError {
    RunError::Fault { fault: fault.to_string(), source }
}

/// `broker 2`, `brokers 1 and 3`.
fn brokers(ids: &[i32]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    match ids.split_last() {
        Some((last, first)) if !first.is_empty() => format!("brokers {} and {last}", first.join(", ")),
        Some((only, _)) => format!("broker {only}"),
        None => "no broker".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::brokers;

    #[test]
    fn brokers_are_named_as_people_do() {
        assert_eq!(brokers(&[2]), "broker 2");
        assert_eq!(brokers(&[1, 3]), "brokers 1 and 3");
        assert_eq!(brokers(&[1, 3, 2]), "brokers 1, 3 and 2");
    }
}
