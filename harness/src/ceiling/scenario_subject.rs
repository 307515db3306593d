//! The ceiling of a scenario's system: each trial is a run of the scenario with another rate, and nothing else of it judged.
//!
//! Topics, services and faults are the scenario's. What it expects is left out, and with that the taps, which nobody would
//! need: a trial has its own criteria, and looks at acknowledgements and at the lag of every group.

use super::broke;
use super::standing::Standing;
use crate::backend::Backend;
use crate::plan::{Plan, load_plan};
use crate::run::conductor;
use crate::run::options::RunOptions;
use crate::runner::Runner;
use crate::scenario::books::BookPlan;
use crate::scenario::model::{ArrivalShape, Expect, LagRule, Scenario, Target};
use shakedown_loadgen::RunClock;
use shakedown_loadgen::ceiling::generator;
use shakedown_loadgen::ceiling::measuring::OwnAccount;
use shakedown_loadgen::ceiling::subject::{self, Carried, CeilingError, Subject};
use shakedown_loadgen::ceiling::{Measured, ServiceLevel, Trial};
use shakedown_loadgen::honesty::Conduct;
use shakedown_reports::{Ending, RunDirectory, RunInfo, RunRecord};
use std::sync::Arc;
use std::time::Duration;

/// A scenario whose rate is varied.
pub struct ScenarioSubject {
    scenario: Scenario,
    digest: String,
    backend: Arc<dyn Backend>,
    options: RunOptions,
    level: ServiceLevel,
    keep_records: bool,
}

impl ScenarioSubject {
    /// Reads and plans the scenario.
    ///
    /// # Errors
    /// When the scenario is wrong, or its load is not the generator's, or has no steady rate.
    pub fn new(
        runner: &Runner,
        options: RunOptions,
        level: ServiceLevel,
        keep_records: bool,
    ) -> Result<Self, CeilingError> {
        let (plan, backend) = runner.prepare().map_err(broke)?;
        let Plan { scenario, digest, .. } = plan;
        if let Target::Service(name) = &scenario.load.target {
            let text = format!(
                "the load of `{}` comes from service {name}, and only a load of the generator's own can be varied and \
                 measured: write `target = \"topic:NAME\"` or `target = \"POST service:NAME/PATH\"`",
                scenario.name
            );
            return Err(CeilingError::Unsuitable(text));
        }
        if !matches!(scenario.load.shape, ArrivalShape::Constant | ArrivalShape::Poisson) {
            let (name, shape) = (&scenario.name, scenario.load.shape.word());
            let text = format!("the load of `{name}` is a {shape}: a trial has one rate, constant or Poisson");
            return Err(CeilingError::Unsuitable(text));
        }
        // A cold JVM is slow; our own brokers are at full speed at once, and a new cluster has nothing left of the last trial.
        let backend: Arc<dyn Backend> =
            if backend.name() == "apache" { Arc::new(Standing::new(backend)) } else { backend };
        Ok(Self { scenario, digest, backend, options, level, keep_records })
    }

    /// What tells this scenario from any other.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The scenario at another rate, with nothing expected of it.
    fn at(&self, rate: u64, duration: Duration) -> Scenario {
        let mut scenario = self.scenario.clone();
        scenario.load.messages = rate;
        scenario.load.per = Duration::from_secs(1);
        scenario.load.duration = duration;
        // What a cap holds back is the generator's own lateness: the search would find the cap.
        scenario.load.max_rate = None;
        scenario.flows.clear();
        scenario.conserved.clear();
        scenario.books = BookPlan::default();
        // Any lag is allowed: that it is watched is the point.
        let lag = LagRule { at_most: Some(u64::MAX), drained_in: None };
        let has_groups = scenario.services.iter().any(|service| !service.consumes.is_empty());
        scenario.expect = Expect { lag: has_groups.then_some(lag), ..Expect::default() };
        scenario
    }

    /// Why the machine or the generator was unfit to measure in a run, by the rules of every run that measures latency. How
    /// late the generator was is weighed by the trial itself.
    fn unfit(&self, record: &RunRecord) -> Result<Vec<String>, CeilingError> {
        let mut readings = record.resources().map_err(CeilingError::io("read what the trial cost"))?;
        if self.backend.name() == "external" {
            // Its brokers may be on this machine, and nobody can tell their work from that of strangers.
            readings.iter_mut().for_each(|reading| reading.pressure_cpu_ns = 0);
        }
        if !self.scenario.load.target.topics().is_empty() {
            // An idempotent producer of librdkafka spins where its cluster is at its limit. A generator that has no time is late,
            // and has a ceiling of its own.
            readings.iter_mut().for_each(|reading| reading.busiest_generator_thread = 0.0);
        }
        let cores = record.info().environment.cores;
        let conduct = Conduct { bound_ns: None, lateness_p99_ns: None, readings: &readings, cores };
        Ok(conduct.validity().reasons().to_vec())
    }
}

impl Subject for ScenarioSubject {
    fn name(&self) -> String {
        format!("{} on {}", self.scenario.name, self.backend.name())
    }

    fn carry_out(&self, trial: &Trial) -> Result<Carried, CeilingError> {
        let plan = Plan::new(self.at(trial.rate, trial.warm_up + trial.length)).map_err(broke)?;
        let planned = plan.total;
        let report = conductor::run(plan, &*self.backend, self.options.clone()).map_err(broke)?;
        if self.options.interrupt.is_stopped() {
            return Err(CeilingError::Interrupted);
        }
        let directory = report.directory().to_owned();
        let record = RunRecord::open(&directory)?;
        let ending = record.ending()?.unwrap_or_else(Ending::of_killed_run);
        let unfit = self.unfit(&record)?;
        let own = OwnAccount { lateness_p99_ns: ending.lateness_p99_ns.unwrap_or_default(), planned };
        let measured = subject::figures(&directory, trial, self.level, &own, self.keep_records)?;
        let measured = Measured { broken: ending.reasons, unfit, ..measured };
        Ok(Carried { measured, directory })
    }

    fn generator(&self, length: Duration) -> Result<Option<u64>, CeilingError> {
        let topics = self.scenario.load.target.topics();
        let Some(first) = topics.first() else { return Ok(None) };
        let topic = self.scenario.topics.iter().find(|topic| topic.name == *first);
        let partitions = topic.map_or(1, |topic| topic.partitions);
        let plan = load_plan(self.scenario.seed, &self.scenario.load).map_err(broke)?;
        let info = RunInfo::new(&format!("generator of {}", self.scenario.name), self.scenario.seed);
        let directory = RunDirectory::create(&self.options.output, &info)?;
        let stop = &self.options.interrupt;
        let size = (self.scenario.brokers, partitions);
        let rate = generator::measure(&plan, size, length, RunClock::start(), &directory, stop);
        subject::discard_bulk(directory.path());
        if stop.is_stopped() { Err(CeilingError::Interrupted) } else { Ok(Some(rate?)) }
    }
}
