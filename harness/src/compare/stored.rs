//! Runs that are there already.

use super::error::CompareError;
use super::folder::runs_beneath;
use super::reading;
use shakedown_reports::compare::RunSample;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
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

/// A run that is among these more than once, by whatever path: twice on a side it would make that side surer than it
/// is, and on both sides it would be compared with itself.
#[must_use]
pub fn given_twice<'a>(runs: impl IntoIterator<Item = &'a RunSample>) -> Option<&'a Path> {
    let mut seen = BTreeSet::new();
    runs.into_iter().map(|run| run.directory.as_path()).find(|directory| {
        let place = directory.canonicalize().unwrap_or_else(|_| directory.to_path_buf());
        !seen.insert(place)
    })
}
