//! The library's front door: a scenario file in, a report out.

use crate::backend::{Apache, Backend, Embedded};
use crate::language::document::Spanned;
use crate::language::names;
use crate::language::raw::BackendChoice;
use crate::language::setting::Whole;
use crate::plan::Plan;
use crate::report::Report;
use crate::run::conductor;
use crate::run::error::RunError;
use crate::run::journal::Observer;
use crate::run::options::RunOptions;
use crate::scenario::files::{self, ScenarioFiles};
use crate::scenario::settings::{self, Override};
use crate::scenario::validate::{Capabilities, scenario};
use shakedown_loadgen::{Live, StopFlag};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Runs the scenario of this file, with everything as the file says.
///
/// ```no_run
/// # fn main() -> Result<(), shakedown::RunError> {
/// shakedown::run("scenarios/checkout.toml")?.assert_passed();
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the scenario is wrong, or the harness or what it needs broke. A system that does not do what is expected of it
/// is no error: that is what the report says.
pub fn run(path: impl AsRef<Path>) -> Result<Report, RunError> {
    Runner::new(path).run()
}

/// A scenario with what the caller decides about its run.
#[derive(Clone)]
pub struct Runner {
    path: PathBuf,
    options: RunOptions,
}

impl Runner {
    /// Runs this file, unless told otherwise below.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), options: RunOptions::default() }
    }

    /// On this back end instead of the one that the file names.
    #[must_use]
    pub fn backend(mut self, backend: impl Backend + 'static) -> Self {
        self.options.backend = Some(Arc::new(backend));
        self
    }

    /// With this seed instead of the file's.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = Some(seed);
        self
    }

    /// With this program and these arguments as the service, instead of what the file says.
    #[must_use]
    pub fn command(mut self, service: impl Into<String>, command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let words = command.into_iter().map(Into::into).collect();
        self.options.commands.insert(service.into(), words);
        self
    }

    /// With these settings laid over the scenario's text.
    #[must_use]
    pub fn settings(mut self, settings: impl IntoIterator<Item = Override>) -> Self {
        self.options.settings.extend(settings);
        self
    }

    /// With run directories under this folder. Default: `target/shakedown` in the working directory.
    #[must_use]
    pub fn output(mut self, folder: impl Into<PathBuf>) -> Self {
        self.options.output = folder.into();
        self
    }

    /// With this `shakedown` executable for built-in services. Default: `SHAKEDOWN_BIN`, then the first on `PATH`.
    #[must_use]
    pub fn executable(mut self, path: impl Into<PathBuf>) -> Self {
        self.options.executable = Some(path.into());
        self
    }

    /// With brokers and services on the ports that their system is known by.
    #[must_use]
    pub fn fixed_ports(mut self, fixed: bool) -> Self {
        self.options.fixed_ports = fixed;
        self
    }

    /// With cluster, services and stand-ins up after the verdict, which the observer is told of, until the flag of
    /// [`Self::interrupt`] is raised; the stores of the services then stay in the run directory. The record ends with the
    /// verdict.
    #[must_use]
    pub fn keep(mut self, keep: bool) -> Self {
        self.options.keep = keep;
        self
    }

    /// Ends the run in good order as soon as this flag is raised.
    #[must_use]
    pub fn interrupt(mut self, flag: StopFlag) -> Self {
        self.options.interrupt = flag;
        self
    }

    /// With somebody who watches.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.options.observer = observer;
        self
    }

    /// With a place where the run notes how it goes; [`shakedown_loadgen::MetricsServer`] serves it.
    #[must_use]
    pub fn live(mut self, live: Live) -> Self {
        self.options.live = live;
        self
    }

    /// Reads, validates and plans without running anything.
    ///
    /// # Errors
    /// When the scenario is wrong.
    pub fn plan(&self) -> Result<Plan, RunError> {
        Ok(self.prepare()?.0)
    }

    /// Runs it.
    ///
    /// # Errors
    /// When the scenario is wrong, or the harness or what it needs broke.
    pub fn run(&self) -> Result<Report, RunError> {
        let (plan, backend) = self.prepare()?;
        let options = self.options.clone();
        // On a thread of its own, so that it may be called from within anybody's asynchronous runtime.
        let thread = std::thread::Builder::new()
            .name("shakedown-run".to_owned())
            .spawn(move || conductor::run(plan, &*backend, options))
            .map_err(RunError::io("start the thread of the run"))?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// The plan, and what is to play the cluster in it.
    pub(crate) fn prepare(&self) -> Result<(Plan, Arc<dyn Backend>), RunError> {
        let text = settings::apply(files::read_text(&self.path)?, &self.options.settings)?;
        let mut files = files::read_as(&self.path, text)?;
        replace_commands(&mut files, &self.options)?;
        if let Some(seed) = self.options.seed {
            let place = files.merged.seed.as_ref().map_or_else(Default::default, |spanned| spanned.place);
            files.merged.seed = Some(Spanned { value: Whole(seed), place });
        }
        let named = files.merged.cluster.backend.as_ref().map(|named| named.value);
        let backend = self.options.backend.clone().unwrap_or_else(|| match named {
            Some(BackendChoice::Apache) => Arc::new(Apache),
            Some(BackendChoice::Embedded) | None => Arc::new(Embedded),
        });
        let capabilities = Capabilities::of(&*backend, shakedown_services::NAMES);
        Ok((Plan::new(scenario(&files, capabilities)?)?, backend))
    }
}

fn replace_commands(files: &mut ScenarioFiles, options: &RunOptions) -> Result<(), RunError> {
    for (service, command) in &options.commands {
        let services = &mut files.merged.services.0;
        let Some((name, raw)) = services.iter_mut().find(|(name, _)| name.value == *service) else {
            let known = services.iter().map(|(name, _)| name.value.as_str());
            return Err(RunError::UnknownService { service: service.clone(), advice: names::advice(service, known) });
        };
        let place = name.place;
        let words = command.iter().map(|word| Spanned { value: word.clone(), place }).collect();
        raw.value.command = Some(Spanned { value: words, place });
    }
    Ok(())
}
