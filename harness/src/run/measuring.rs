//! What a run costs while its load lasts, and whether the load generator was fit to measure.
//!
//! Reading figures is the load generator's (`sampler`), judging its fitness too (`honesty`); here is who the brokers and the
//! services of a run are, and which bound its latencies are held against.

use super::error::RunError;
use super::fleet::Fleet;
use super::judgement::Ending;
use super::parts::Parts;
use super::session::Session;
use crate::backend::{RunningCluster, Whereabouts};
use shakedown_loadgen::beside::cost;
use shakedown_loadgen::honesty::Conduct;
use shakedown_loadgen::sampler::{BrokersAt, Bystanders, Sampler, SamplerError, Watched};
use shakedown_reports::expectation::Expectations;
use shakedown_reports::resources::{Resources, Usage};
use shakedown_reports::{RunRecord, Validity};
use std::sync::{Arc, Weak};

/// Begins to read what the run costs; nothing where the system does not say.
///
/// # Errors
/// When the readings cannot be written.
pub fn start(session: &Session, parts: &mut Parts, bystanders: Bystanders) -> Result<(), RunError> {
    let live = &session.options.live;
    if let Some(load) = &parts.load {
        live.watch(load.gauges());
    }
    let watched = Watched { brokers: brokers(parts.cluster.as_ref()), services: services(parts), bystanders };
    parts.sampler = match Sampler::start(watched, session.clock, session.directory.path(), live.clone()) {
        Ok(sampler) => Some(sampler),
        Err(SamplerError::Unknown(_)) => None,
        Err(error) => return Err(failed(error)),
    };
    Ok(())
}

/// Reads for the last time, and notes what the load has cost.
///
/// # Errors
/// When the readings could not be written.
pub fn finish(session: &Session, parts: &mut Parts) -> Result<(), RunError> {
    let Some(sampler) = parts.sampler.take() else { return Ok(()) };
    sampler.finish().map_err(failed)?;
    let readings = Resources::read(session.directory.path()).map_err(RunError::io("read what the run cost"))?;
    parts.summary.usage = Usage::over(&readings);
    if let Some(usage) = &parts.summary.usage {
        parts.summary.line("cpu", cost(usage));
    }
    Ok(())
}

/// Whether what a record says of latency can be believed. A run that measures none is not asked.
///
/// # Errors
/// When the readings cannot be read.
pub fn validity(record: &RunRecord, ending: &Ending) -> Result<Validity, RunError> {
    let Some(bound_ns) = tightest_bound_ns(&record.info().expectations) else { return Ok(Validity::Valid) };
    let readings = record.resources().map_err(RunError::io("read what the run cost"))?;
    let conduct = Conduct {
        bound_ns: Some(bound_ns),
        lateness_p99_ns: ending.lateness_p99_ns,
        readings: &readings,
        cores: record.info().environment.cores,
    };
    Ok(conduct.validity())
}

/// The tightest bound on any latency, in nanoseconds.
fn tightest_bound_ns(expectations: &Expectations) -> Option<u64> {
    expectations.latency.values().flat_map(|budget| budget.at_most.values()).min().copied()
}

fn failed(error: SamplerError) -> RunError {
    RunError::io("write down what the run costs")(std::io::Error::other(error))
}

fn brokers(cluster: Option<&Arc<dyn RunningCluster>>) -> BrokersAt {
    let Some(cluster) = cluster else { return BrokersAt::Elsewhere };
    match cluster.whereabouts() {
        Whereabouts::ThisProcess => BrokersAt::ThisProcess,
        Whereabouts::Elsewhere => BrokersAt::Elsewhere,
        // Nodes come back with other numbers. Whoever reads keeps nothing alive.
        Whereabouts::Processes(_) => {
            let cluster: Weak<dyn RunningCluster> = Arc::downgrade(cluster);
            BrokersAt::Processes(Box::new(move || match cluster.upgrade().map(|cluster| cluster.whereabouts()) {
                Some(Whereabouts::Processes(processes)) => processes,
                _ => Vec::new(),
            }))
        }
    }
}

fn services(parts: &Parts) -> Box<dyn Fn() -> Vec<u32> + Send> {
    let fleet: Weak<Fleet> = parts.fleet.as_ref().map(Arc::downgrade).unwrap_or_default();
    Box::new(move || fleet.upgrade().map(|fleet| fleet.process_ids()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::validity;
    use crate::run::judgement::Ending;
    use shakedown_reports::expectation::LatencyBudget;
    use shakedown_reports::resources::Reading;
    use shakedown_reports::{ResourceWriter, RunDirectory, RunInfo, RunRecord};
    use std::collections::BTreeMap;

    /// The reasons of a run whose generator was busy, with bounds on latency or without any.
    fn reasons(bounds_ms: &[u64], lateness_us: u64) -> Vec<String> {
        let root = tempfile::tempdir().expect("a folder");
        let mut info = RunInfo::new("busy", 1);
        for bound_ms in bounds_ms {
            let at_most = BTreeMap::from([("p99".to_owned(), bound_ms * 1_000_000)]);
            let budget = LatencyBudget { at_most, ..LatencyBudget::default() };
            info.expectations.latency.insert(format!("within {bound_ms} ms"), budget);
        }
        let directory = RunDirectory::create(root.path(), &info).expect("a run directory");
        let mut writer = ResourceWriter::create(directory.path()).expect("a new file");
        for second in 0..3 {
            let at_ns = second * 1_000_000_000;
            let reading = Reading { at_ns, busiest_generator_thread: 0.97, ..Reading::default() };
            writer.write(&reading).expect("written");
        }
        let record = RunRecord::open(directory.path()).expect("a readable run");
        let ending = Ending { lateness_p99_ns: Some(lateness_us * 1_000), ..Ending::default() };
        validity(&record, &ending).expect("readable").reasons().to_vec()
    }

    #[test]
    fn who_measures_latency_is_held_against_the_tightest_bound() {
        let told = reasons(&[500, 5, 50], 700);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0], "the load generator itself was 700 us late at p99, and 500 us is allowed");
        assert!(told[1].contains("up to 97 % of its processor"), "{told:?}");
        assert_eq!(
            reasons(&[500], 700).len(),
            1,
            "a tenth of 500 ms is more than the millisecond that is allowed anyway"
        );
    }

    #[test]
    fn who_measures_no_latency_is_not_asked() {
        assert_eq!(reasons(&[], 900_000), [""; 0]);
    }
}
