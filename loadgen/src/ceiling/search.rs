//! Trial after trial, until there is an outcome or somebody interrupts.

use super::curve;
use super::state::{Generator, State};
use super::subject::{CeilingError, Subject};
use super::table::{self, Title};
use super::{Step, Study, TrialResult};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A search with the folder that it is kept in.
#[derive(Debug)]
pub struct Search {
    folder: PathBuf,
    state: State,
    study: Study,
}

impl Search {
    /// Begins in a folder that there is, or goes on where the state stands.
    #[must_use]
    pub fn new(folder: &Path, state: State) -> Self {
        Self { folder: folder.to_owned(), study: state.study(), state }
    }

    /// What is known so far.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Carries out what is left; `tell` hears of everything once it is kept. What was done until an error is kept.
    ///
    /// # Errors
    /// When a trial could not be carried out, or the search not be kept.
    pub fn run(&mut self, subject: &dyn Subject, tell: &mut dyn FnMut(&str)) -> Result<(), CeilingError> {
        let (began, before) = (Instant::now(), self.state.elapsed_ms);
        self.state.write(&self.folder)?;
        loop {
            let line = match self.study.step() {
                Step::Generator(length) => {
                    let rate = subject.generator(length)?;
                    self.state.generator = Some(Generator { rate });
                    self.study = self.state.study();
                    generator_line(rate)
                }
                Step::Trial(trial) => {
                    let carried = subject.carry_out(&trial)?;
                    let directory = relative(&self.folder, &carried.directory);
                    let level = self.state.settings.service_level;
                    let result = TrialResult::new(trial, carried.measured, level, directory);
                    let line = table::line(&result);
                    self.study.take(result);
                    line
                }
                Step::Done => return curve::write(&self.folder, &subject.name(), &self.state).map_err(Into::into),
            };
            let elapsed_ms = before + u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.state.note(&self.study, elapsed_ms);
            self.state.write(&self.folder)?;
            tell(&line);
        }
    }

    /// The table for people.
    #[must_use]
    pub fn text(&self, subject: &str) -> String {
        let elapsed = Duration::from_millis(self.state.elapsed_ms);
        table::render(&Title { subject: subject.to_owned(), elapsed }, &self.study)
    }
}

fn generator_line(rate: Option<u64>) -> String {
    match rate {
        Some(rate) => {
            let rate = shakedown_reports::numbers::grouped(rate);
            format!("the generator itself does {rate}/s against a broker that only acknowledges")
        }
        None => "what the generator itself can do is not known: there is no sink for such messages".to_owned(),
    }
}

/// As seen from the search's own folder, so that the folder may be moved.
fn relative(folder: &Path, directory: &Path) -> String {
    directory.strip_prefix(folder).unwrap_or(directory).display().to_string()
}
