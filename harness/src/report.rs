//! What a run hands back to whoever started it.

use crate::exit::Exit;
use shakedown_reports::event::EventKind;
use shakedown_reports::verdict::{Outcome, Verdict};
use shakedown_reports::{Event, RunInfo, Summary, snapshot, text};
use std::path::{Path, PathBuf};

/// The page of the run, in its directory.
pub(crate) const PAGE_FILE: &str = "report.html";

/// A judged run.
#[derive(Debug, Clone)]
pub struct Report {
    info: RunInfo,
    summary: Summary,
    events: Vec<Event>,
    verdict: Verdict,
    directory: PathBuf,
}

impl Report {
    pub(crate) fn new(
        info: RunInfo,
        summary: Summary,
        events: Vec<Event>,
        verdict: Verdict,
        directory: PathBuf,
    ) -> Self {
        Self { info, summary, events, verdict, directory }
    }

    /// What the checks found.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// What the run was: its seed, its plan, its streams.
    #[must_use]
    pub fn info(&self) -> &RunInfo {
        &self.info
    }

    /// The figures of the run that are not verdicts.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The run directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether everything that was expected holds.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.verdict.outcome == Outcome::Pass
    }

    /// The exit code that stands for the verdict.
    #[must_use]
    pub fn exit(&self) -> Exit {
        Exit::from(self.verdict.outcome)
    }

    /// Does nothing if the run passed.
    ///
    /// # Panics
    /// With the whole report, if it did not.
    pub fn assert_passed(&self) {
        assert!(self.passed(), "the scenario did not pass\n\n{}", self.text(false));
    }

    /// The report for people; `colour` for terminals.
    #[must_use]
    pub fn text(&self, colour: bool) -> String {
        // Runs of older versions have no page.
        let page = self.directory.join(PAGE_FILE);
        let artifact = if page.is_file() { page } else { self.directory.clone() }.display().to_string();
        text::render(&text::Report {
            info: &self.info,
            summary: &self.summary,
            events: &self.events,
            verdict: &self.verdict,
            artifact: Some(&artifact),
            colour,
        })
    }

    /// How many warnings it has.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.events.iter().filter(|event| event.kind == EventKind::Warning).count()
    }

    /// The report without what varies from run to run, to be committed and compared.
    #[must_use]
    pub fn snapshot(&self) -> String {
        snapshot::normalise(&self.info, &self.summary, &self.verdict)
    }
}
