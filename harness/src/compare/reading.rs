//! A run directory as a sample, with what its machine says against it. A scenario that expects nothing of latencies is not
//! asked for that when it runs; here latencies are all that counts.

use super::error::CompareError;
use shakedown_loadgen::honesty::Conduct;
use shakedown_reports::Resources;
use shakedown_reports::compare::{RunSample, SampleError};
use std::path::Path;
use std::time::Duration;

/// Reads a run directory, without what happened in the first `warm_up` of the load.
///
/// # Errors
/// When it is none, or is damaged.
pub fn read(run: &Path, warm_up: Duration) -> Result<RunSample, CompareError> {
    let mut sample = RunSample::read(run, warm_up)?;
    let unreadable = |source| SampleError::Unreadable { directory: run.to_owned(), file: "resources.jsonl", source };
    let readings = Resources::read(run).map_err(unreadable)?;
    let cores = sample.info.as_ref().map_or(0, |info| info.environment.cores);
    // How late the generator was is among the objections already.
    let conduct = Conduct { bound_ns: None, lateness_p99_ns: None, readings: &readings, cores };
    for reason in conduct.validity().reasons() {
        if !sample.objections.contains(reason) {
            sample.objections.push(reason.clone());
        }
    }
    Ok(sample)
}
