//! The nemesis: does to services and brokers what the scenario says, when it says so, and undoes it.
//!
//! What a fault waits for is in [`super::pending`]. Brokers are hit by the back end, in the very step in which messages
//! have been produced where that is what the fault waits for; services are hit from here, and come back in
//! [`super::recovery`]: nothing here waits for anybody to get well. Rules for requests are laid in `rules`, what takes its time
//! goes on in `standing`, services get more instances or fewer in `scaling`, the servers behind them are hit in `servers`,
//! stand-ins fail in `failing`, and what is left at the end of the load ends in `ending`.

mod ending;
mod failing;
mod holding;
mod rules;
mod scaling;
mod servers;
mod standing;
#[cfg(test)]
mod tests;

use super::error::RunError;
use super::fleet::{Fleet, Instance, Strike as Met};
use super::intervening::Intervening;
use super::operator;
use super::pending::{Moment, Pending};
use super::recovery::Recoveries;
use super::rolling::Rolling;
use super::session::Session;
use super::stand_ins::{InForce, StandIns};
use crate::backend::{Inside, RunningCluster, StrikeError};
use crate::run::servers::server::Server;
use crate::scenario::deed::Deed;
use crate::scenario::model::{FaultAction, FaultRule, FaultTarget};
use rustix::process::Signal;
use servers::Returning;
use shakedown_cluster::{Disturbance, Fault, RuleGuard, Strike};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Faults on their way. The conductor calls [`Nemesis::advance`] while the load lasts, and [`Nemesis::heal_all`] after.
pub struct Nemesis<'a> {
    session: &'a Session,
    fleet: &'a Fleet,
    cluster: &'a dyn RunningCluster,
    stand_ins: &'a StandIns,
    /// Services on their way back.
    recoveries: Recoveries<'a>,
    /// Servers on their way back.
    returning: Vec<Returning>,
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
    /// Somebody outside, for as long as it is open.
    Failing(InForce<'a>),
    /// The server behind a service.
    Server(FaultAction, Arc<Server>),
    /// A service that had so many instances before.
    Scaled {
        service: String,
        from: u32,
    },
}

/// The turn of services: the last.
const SERVICES_TURN: u8 = 3;

impl Hit<'_> {
    /// Whose turn it is where several are to heal at once: services cannot come back without the brokers, nor these without
    /// each other; a client that is called off leaves its group, for which it needs brokers, before services are waited for.
    fn turn(&self) -> u8 {
        match self {
            Self::Requests(_) | Self::Disturbed(_) | Self::Failing(_) => 0,
            Self::Nodes(..) | Self::Rolling(_) | Self::Server(..) => 1,
            Self::Intervening(_) => 2,
            Self::Instances(..) | Self::Scaled { .. } => SERVICES_TURN,
        }
    }
}

impl<'a> Nemesis<'a> {
    /// Lays every fault out, before the load begins: the first message may already be what one of them waits for.
    ///
    /// # Errors
    /// When the cluster has ended.
    pub(super) fn new(
        session: &'a Session,
        fleet: &'a Fleet,
        cluster: &'a dyn RunningCluster,
        stand_ins: &'a StandIns,
        recoveries: Recoveries<'a>,
    ) -> Result<Self, RunError> {
        let faults = &session.plan.scenario.faults;
        let fired = faults.iter().map(|fault| (fault.to_string(), 0)).collect();
        let struck = vec![None; faults.len()];
        let (began, pending, open) = (Instant::now(), Vec::new(), Vec::new());
        let returning = Vec::new();
        let mut nemesis =
            Self { session, fleet, cluster, stand_ins, recoveries, returning, began, pending, open, struck, fired };
        for (index, fault) in faults.iter().enumerate() {
            if !nemesis.lay_early(index, fault)? {
                nemesis.pending.push(Pending::new(index, fault.clone(), cluster)?);
            }
        }
        nemesis.pending.sort_by_key(|pending| pending.fault.trigger.at.unwrap_or(Duration::MAX));
        Ok(nemesis)
    }

    /// The load begins now.
    pub fn begin(&mut self) {
        self.began = Instant::now();
        // Stand-ins that fail already do so for as long as was asked from the first message on.
        for open in self.open.iter_mut().filter(|open| matches!(open.hit, Hit::Failing(_))) {
            open.began = self.began;
            self.struck[open.place] = Some(self.began);
        }
    }

    /// Does what is due: heals before it strikes, so that a service runs again when its next fault comes.
    ///
    /// # Errors
    /// When something does not come back, or the run is interrupted.
    pub fn advance(&mut self) -> Result<(), RunError> {
        self.count_first_hits();
        self.begin_late_rules();
        self.hear_of_interventions()?;
        self.roll_on()?;
        while let Some(open) = self.take_open(Self::is_over) {
            self.heal(open)?;
        }
        self.follow_servers()?;
        self.recoveries.follow(self.session, self.is_sound())?;
        self.notice_failpoints();
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
                Moment::Struck(strike) => {
                    let pending = self.pending.remove(index);
                    let strike = strike.map_err(|source| broken(&pending.fault, source))?;
                    self.has_struck(pending.index, pending.fault, strike);
                }
            }
        }
        Ok(())
    }

    /// Whether nothing stands in the way of services that are to become ready.
    fn is_sound(&self) -> bool {
        self.returning.is_empty() && self.open.iter().all(|open| matches!(open.hit, Hit::Scaled { .. }))
    }

    /// The next of the open faults that are to heal.
    fn take_open(&mut self, heals: impl Fn(&Self, &OpenFault<'a>) -> bool) -> Option<OpenFault<'a>> {
        let healing = self.open.iter().enumerate().filter(|(_, open)| heals(self, open));
        let (index, _) = healing.min_by_key(|(_, open)| open.hit.turn())?;
        Some(self.open.remove(index))
    }

    /// Whether its time to be healed has come.
    fn is_over(&self, open: &OpenFault<'_>) -> bool {
        match &open.hit {
            // What is over by itself excuses nothing any more.
            Hit::Intervening(intervening) if intervening.is_over() => return true,
            Hit::Rolling(rolling) if rolling.is_done() => return true,
            // A service does not start while the server behind it does.
            Hit::Instances(..) if !self.returning.is_empty() => return false,
            _ => {}
        }
        let Some(heal) = open.fault.heal else {
            // A restart is a stop and a start at once: it heals itself.
            let (Hit::Instances(action, _) | Hit::Nodes(action, _)) = &open.hit else {
                return matches!(open.hit, Hit::Server(FaultAction::Restart, _));
            };
            return *action == FaultAction::Restart;
        };
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
                self.lay_rule(place, fault)?;
                return Ok(true);
            }
            Deed::Disturb(disturbance) => {
                let disturbance = disturbance.clone();
                return self.disturb(place, fault, &disturbance);
            }
            Deed::AdvanceClock(by) => {
                self.inside(&fault)?.advance_clock(*by);
                self.done_for_good(place, &fault, fault.deed.to_string());
                return Ok(true);
            }
            Deed::Intervene(intervention) => {
                let intervening = Intervening::start(intervention.clone(), &self.cluster.bootstrap_servers())
                    .map_err(RunError::io("start the thread of an intervention"))?;
                self.stand(place, fault, Hit::Intervening(intervening));
                return Ok(true);
            }
            Deed::RollingRestart(role) => {
                let rolling = Rolling::of(role, &self.session.plan.scenario);
                self.stand(place, fault, Hit::Rolling(rolling));
                return Ok(true);
            }
            Deed::Fail(failure) => {
                let failure = *failure;
                self.fail(place, fault, failure)?;
                return Ok(true);
            }
            Deed::Scale { service, to } => {
                let (service, to) = (service.clone(), *to);
                return Ok(self.scale(place, fault, service, to));
            }
            Deed::Operate(operation) => {
                let done = operator::perform(self.session, &self.cluster.bootstrap_servers(), operation)?;
                self.done_for_good(place, &fault, done);
                return Ok(true);
            }
            // Where a service is stopped, it is killed as far as its coming back is concerned.
            Deed::Stop(target) => (FaultAction::Kill, target.clone()),
        };
        match target {
            FaultTarget::Service { name, instance } => {
                Ok(self.fire_on_service(place, fault, action, (&name, instance)))
            }
            FaultTarget::Server(role) => Ok(self.fire_on_server(place, fault, action, &role)),
            FaultTarget::Broker(role) => match self.cluster.strike(action, &role) {
                Ok(strike) => {
                    self.has_struck(place, fault, strike);
                    Ok(true)
                }
                Err(error) if error.is_passing() => Ok(false),
                Err(source) => Err(broken(&fault, source)),
            },
        }
    }

    /// Strikes a service; not while an instance is just about to be started.
    fn fire_on_service(
        &mut self,
        place: usize,
        fault: FaultRule,
        action: FaultAction,
        (service, number): (&str, Option<u32>),
    ) -> bool {
        let name = fault.to_string();
        let word = if matches!(fault.deed, Deed::Stop(_)) { "stop" } else { action.word() };
        let began = Instant::now();
        let mut hit = Vec::new();
        let fleet: &'a Fleet = self.fleet;
        let named = fleet.instances().iter().filter(|instance| instance.service == service && instance.is_wanted());
        let named: Vec<_> = named.filter(|instance| number.is_none_or(|number| number == instance.number)).collect();
        if named.iter().any(|instance| self.recoveries.is_beginning(instance)) {
            return false;
        }
        for instance in named {
            let text = match self.strike(&fault.deed, instance) {
                Met::Hit => {
                    hit.push(instance);
                    self.hit_again(action, instance);
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
        true
    }

    /// Whoever is stopped on its way back recovers from that, and no more from what it was hit by before.
    fn hit_again(&mut self, action: FaultAction, instance: &Instance) {
        if action != FaultAction::Pause
            && let Some(earlier) = self.recoveries.give_up(instance)
        {
            self.session.journal.healed(&earlier, format!("healed: {}, until it was hit again", instance.label));
        }
    }

    /// Notes what stays, and is no trouble that anybody has to be spared.
    fn done_for_good(&mut self, place: usize, fault: &FaultRule, text: String) {
        let name = fault.to_string();
        self.session.journal.fault(&name, text);
        self.session.journal.healed(&name, format!("healed: {}; it stays so", fault.deed));
        *self.fired.entry(name).or_insert(0) += 1;
        self.struck[place] = Some(Instant::now());
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
        let guard = match self.inside(&fault)?.disturb(disturbance) {
            Ok(guard) => guard,
            Err(StrikeError::Nobody { .. }) => return Ok(false),
            Err(source) => return Err(broken(&fault, source)),
        };
        let began = Instant::now();
        self.session.journal.fault(&fault.to_string(), fault.deed.to_string());
        self.struck[place] = Some(began);
        self.open.push(OpenFault { place, fault, began, begin_at: None, hit: Hit::Disturbed(guard) });
        Ok(true)
    }

    /// What gets in between, for a fault that needs it.
    fn inside(&self, fault: &FaultRule) -> Result<&'a dyn Inside, RunError> {
        self.cluster.inside().ok_or_else(|| RunError::OutOfReach { fault: fault.to_string() })
    }

    fn strike(&self, deed: &Deed, instance: &Instance) -> Met {
        match deed {
            Deed::Hit { action: FaultAction::Kill, .. } => instance.kill(),
            Deed::Hit { action: FaultAction::Pause, .. } => instance.signal(Signal::STOP),
            Deed::Hit { action: FaultAction::Restart, .. } | Deed::Stop(_) => {
                let (strike, complaint) = instance.stop(self.session.plan.scenario.limits.stop);
                if let Some(complaint) = complaint {
                    self.session.journal.warning(complaint);
                }
                strike
            }
            // Validation leaves these to brokers: a process of ours has no disk and no links of its own.
            _ => Met::Down,
        }
    }

    fn heal(&mut self, mut open: OpenFault<'a>) -> Result<(), RunError> {
        let name = open.fault.to_string();
        if let Hit::Intervening(intervening) = &mut open.hit {
            intervening.end();
            self.hear_of(&open)?;
            self.session.journal.healed(&name, format!("over: {}", open.fault.deed));
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
                self.healed_after(&open.fault, hits, bounded);
            }
            Hit::Failing(failing) => self.heal_failing(&open.fault, failing)?,
            Hit::Disturbed(guard) => self.healed_after(&open.fault, guard.undo(), false),
            Hit::Nodes(action, nodes) => {
                // Before what comes of it, which the cluster tells by itself.
                self.session.journal.healed(&name, format!("healed: {}", brokers(&nodes)));
                for node in nodes {
                    self.cluster.undo(action, node).map_err(|source| broken(&open.fault, source))?;
                }
            }
            Hit::Server(action, server) => self.heal_server(&name, action, server)?,
            Hit::Scaled { service, from } => self.scale_back(&name, &service, from)?,
            Hit::Instances(action, instances) => {
                for instance in instances {
                    if !instance.is_wanted() {
                        self.session.journal.healed(&name, format!("healed: {} was scaled in", instance.label));
                    } else if action == FaultAction::Pause {
                        instance.signal(Signal::CONT);
                        self.session.journal.healed(&name, format!("healed: {}", instance.label));
                    } else {
                        // It is told when it is ready.
                        self.recoveries.begin(&name, instance, self.session.plan.scenario.limits.start);
                    }
                }
            }
        }
        Ok(())
    }

    /// Counts a fault that stood for a while. How often it hits without a bound differs from run to run: it fired, or not.
    fn healed_after(&mut self, fault: &FaultRule, hits: u64, bounded: bool) {
        let name = fault.to_string();
        self.session.journal.healed(&name, format!("healed: {}; {hits} hit", fault.deed));
        *self.fired.entry(name).or_insert(0) += if bounded { hits } else { hits.min(1) };
    }
}

fn broken(fault: &FaultRule, source: StrikeError) -> RunError {
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
