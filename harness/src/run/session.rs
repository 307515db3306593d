//! What every part of a run needs: the plan, the clock, the places to write to, and whether to go on at all.

use super::error::RunError;
use super::journal::Journal;
use super::options::RunOptions;
use crate::plan::Plan;
use shakedown_loadgen::RunClock;
use shakedown_reports::RunDirectory;
use std::future::Future;
use std::path::PathBuf;
use tokio::runtime::Runtime;

/// One run, from its first event to its verdict.
pub struct Session {
    /// What will be done.
    pub plan: Plan,
    /// What the caller decided.
    pub options: RunOptions,
    /// The run's clock.
    pub clock: RunClock,
    /// The run directory.
    pub directory: RunDirectory,
    /// The timeline.
    pub journal: Journal,
    /// Runs what is asynchronous: stand-ins, pollers, questions over HTTP. The phases themselves are plain code on a
    /// thread of their own, which may block.
    pub runtime: Runtime,
    /// For every question over HTTP.
    pub http: reqwest::Client,
}

impl Session {
    /// Goes on unless somebody asked for the end.
    ///
    /// # Errors
    /// [`RunError::Interrupted`].
    pub fn go_on(&self) -> Result<(), RunError> {
        if self.options.interrupt.is_stopped() { Err(RunError::Interrupted) } else { Ok(()) }
    }

    /// Waits for something asynchronous on the calling thread.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Where the services keep their stores.
    #[must_use]
    pub fn stores(&self) -> PathBuf {
        self.directory.path().join("stores")
    }
}
