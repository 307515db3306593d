//! What the caller of a run decides, beside the scenario.

use super::journal::{Nobody, Observer};
use crate::backend::Backend;
use crate::scenario::settings::Override;
use shakedown_loadgen::{Live, StopFlag};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Where run directories go unless somebody says otherwise, beneath the working directory.
pub use shakedown_loadgen::cli::OUTPUT;

/// Options of a run.
#[derive(Clone)]
pub struct RunOptions {
    /// Instead of the back end that the scenario names.
    pub backend: Option<Arc<dyn Backend>>,
    /// Instead of the scenario's seed.
    pub seed: Option<u64>,
    /// Commands of services, instead of those of the scenario.
    pub commands: BTreeMap<String, Vec<String>>,
    /// Settings that are laid over the scenario's text.
    pub settings: Vec<Override>,
    /// Where run directories go.
    pub output: PathBuf,
    /// Brokers and services listen on the ports that their system is known by.
    pub fixed_ports: bool,
    /// Keeps everything up after the verdict until somebody interrupts, and the stores of the services after that.
    pub keep: bool,
    /// The `shakedown` executable, where the caller knows it.
    pub executable: Option<PathBuf>,
    /// Raised from outside, it ends the run in good order.
    pub interrupt: StopFlag,
    /// Who watches.
    pub observer: Arc<dyn Observer>,
    /// Where the run notes how it goes, for whoever scrapes its metrics.
    pub live: Live,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            backend: None,
            seed: None,
            commands: BTreeMap::new(),
            settings: Vec::new(),
            output: PathBuf::from(OUTPUT),
            fixed_ports: false,
            keep: false,
            executable: None,
            interrupt: StopFlag::new(),
            observer: Arc::new(Nobody),
            live: Live::default(),
        }
    }
}
