//! What trials are carried out on.

use super::curve::CurveError;
use super::generator::GeneratorError;
use super::measuring::{self, OwnAccount};
use super::{Measured, ServiceLevel, Trial};
use crate::load::LoadError;
use shakedown_reports::record::RecordError;
use shakedown_reports::{DirectoryError, RunRecord};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The streams of a run that are no use once its figures are known, and that are most of what it weighs.
const BULK: [&str; 3] = ["operations.bin", "readings.bin", "commits.bin"];

/// Something whose ceiling is searched.
pub trait Subject {
    /// What it is called: `storefront on embedded`.
    fn name(&self) -> String;

    /// Carries out a trial, in a run directory of its own.
    ///
    /// # Errors
    /// When it could not be carried out. A system that broke under the load is no error but a part of what was measured.
    fn carry_out(&self, trial: &Trial) -> Result<Carried, CeilingError>;

    /// What the generator can do with such messages, measured for so long; nothing where there is no sink to offer them to.
    ///
    /// # Errors
    /// When the measurement broke.
    fn generator(&self, length: Duration) -> Result<Option<u64>, CeilingError>;
}

/// A trial that was carried out.
#[derive(Debug)]
pub struct Carried {
    /// What was measured.
    pub measured: Measured,
    /// Where it is recorded.
    pub directory: PathBuf,
}

/// Why a search broke off.
#[derive(Debug, thiserror::Error)]
pub enum CeilingError {
    /// Whoever asked for it wants its end.
    #[error("the search was interrupted")]
    Interrupted,
    /// Nobody can search the ceiling of this.
    #[error("{0}")]
    Unsuitable(String),
    /// A trial's run broke; in the words of who carries out runs.
    #[error(transparent)]
    Run(Box<dyn std::error::Error + Send + Sync>),
    /// A trial's load broke.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// What the generator can do could not be measured.
    #[error("cannot measure what the generator can do: {0}")]
    Generator(#[from] GeneratorError),
    /// A rate that is none.
    #[error(transparent)]
    Rate(#[from] crate::rate::RateError),
    /// A run directory could not be written.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A run directory could not be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The search's own files.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The picture could not be drawn.
    #[error(transparent)]
    Curve(#[from] CurveError),
}

impl CeilingError {
    /// A file of the search, and what was being done with it.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

/// Reads what a run recorded, and removes what is not needed any more unless it is to be kept.
///
/// # Errors
/// When it cannot be read.
pub fn figures(
    directory: &Path,
    trial: &Trial,
    level: ServiceLevel,
    own: &OwnAccount,
    keep_records: bool,
) -> Result<Measured, CeilingError> {
    let record = RunRecord::open(directory)?;
    let measured = measuring::measure(&record, trial, level, own)?;
    if !keep_records {
        discard_bulk(directory);
    }
    Ok(measured)
}

/// Best effort: what stays behind takes space, and nothing else.
pub fn discard_bulk(directory: &Path) {
    for file in BULK {
        let _ = std::fs::remove_file(directory.join(file));
    }
}
