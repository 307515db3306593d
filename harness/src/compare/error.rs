//! Why there is no comparison. None of it says anything about what was compared.

use shakedown_reports::compare::SampleError;
use shakedown_reports::compare::junit::JunitError;
use std::io;
use std::path::PathBuf;

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A file or a folder could not be used.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was being done: `write`, `read`, ...
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The folder holds the runs of something else.
    #[error(
        "{} holds another comparison: its {what} is not the one that is asked for now\n  give another folder by --out, or ask for the same",
        folder.display()
    )]
    AnotherPlan {
        /// The folder.
        folder: PathBuf,
        /// What is different.
        what: &'static str,
    },
    /// A run came to no verdict.
    #[error("the run of {label} in pair {pair} came to no verdict ({status}):\n{said}")]
    Run {
        /// Which side.
        label: String,
        /// Which pair, counted from 1.
        pair: usize,
        /// How its process ended.
        status: String,
        /// What it said on standard error.
        said: String,
    },
    /// There is no run where runs should be.
    #[error(
        "there is no run in {}\n  a run is a folder with a run.json in it, such as target/shakedown/SCENARIO/20261121T120314",
        folder.display()
    )]
    NoRuns {
        /// The folder.
        folder: PathBuf,
    },
    /// A run cannot be read.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// A noise floor that was asked for is not there.
    #[error("there is no noise floor in {}\n  measure it: shakedown compare SCENARIO --calibrate --noise-floor {}", file.display(), file.display())]
    NoNoiseFloor {
        /// The file.
        file: PathBuf,
    },
    /// JUnit's XML could not be made.
    #[error(transparent)]
    Junit(#[from] JunitError),
    /// Somebody ended it.
    #[error("interrupted; the runs so far are kept, and the same command with --out {} goes on", folder.display())]
    Interrupted {
        /// Where the runs are.
        folder: PathBuf,
    },
}

impl CompareError {
    /// For `map_err` where the system answers.
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
