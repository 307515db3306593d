//! Runs that are there already.

use super::error::CompareError;
use super::folder::runs_beneath;
use super::reading;
use shakedown_reports::compare::RunSample;
use std::path::PathBuf;
use std::time::Duration;

/// Reads every run in these folders.
///
/// # Errors
/// When a folder has none, or one cannot be read.
pub fn read(folders: &[PathBuf], warm_up: Duration) -> Result<Vec<RunSample>, CompareError> {
    let mut runs = Vec::new();
    for folder in folders {
        let found = runs_beneath(folder)?;
        if found.is_empty() {
            return Err(CompareError::NoRuns { folder: folder.clone() });
        }
        for run in found {
            runs.push(reading::read(&run, warm_up)?);
        }
    }
    Ok(runs)
}
