//! What is said when a scenario is wrong: the file, the line, the value, what is allowed, the nearest valid name.
//!
//! Problems are collected rather than returned at the first, so that one run of the tool shows all mistakes of a stage.

use super::document::Place;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, NamedSource, SourceSpan};
use std::fmt::Write as _;
use std::sync::Arc;

/// The files that a scenario is made of.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    files: Vec<(String, Arc<String>)>,
}

impl Sources {
    /// Adds a file under the name that messages show; its index is what a [`Place`] carries.
    pub fn add(&mut self, name: impl Into<String>, text: String) -> usize {
        self.files.push((name.into(), Arc::new(text)));
        self.files.len() - 1
    }

    /// The text of a file.
    ///
    /// # Panics
    /// When the index did not come from [`Sources::add`].
    #[must_use]
    pub fn text(&self, file: usize) -> &str {
        &self.files[file].1
    }

    fn named(&self, file: usize) -> NamedSource<Arc<String>> {
        let (name, text) = &self.files[file];
        NamedSource::new(name, Arc::clone(text))
    }
}

/// One mistake in a scenario, with its place.
#[derive(Debug, Clone, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub struct Problem {
    message: String,
    #[source_code]
    source_code: NamedSource<Arc<String>>,
    #[label("{label}")]
    span: SourceSpan,
    label: String,
    #[help]
    help: Option<String>,
}

impl Problem {
    /// A mistake at this place. The label is what stands beside the pointer.
    #[must_use]
    pub fn new(sources: &Sources, place: Place, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source_code: sources.named(place.file),
            span: SourceSpan::from(place.start..place.end.max(place.start)),
            label: label.into(),
            help: None,
        }
    }

    /// With what would be right.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Collects problems while a stage goes on.
#[derive(Debug)]
pub struct Problems<'a> {
    /// Where the places point.
    pub sources: &'a Sources,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    /// Nothing wrong so far.
    #[must_use]
    pub fn new(sources: &'a Sources) -> Self {
        Self { sources, found: Vec::new() }
    }

    /// Notes a problem.
    pub fn add(&mut self, place: Place, message: impl Into<String>, label: impl Into<String>, help: impl Into<String>) {
        self.found.push(Problem::new(self.sources, place, message, label).with_help(help));
    }

    /// Notes a problem that was made elsewhere.
    pub fn push(&mut self, problem: Problem) {
        self.found.push(problem);
    }

    /// The line of a place, counted from 1.
    #[must_use]
    pub fn line(&self, place: Place) -> usize {
        self.sources.text(place.file).bytes().take(place.start).filter(|byte| *byte == b'\n').count() + 1
    }

    /// Ends the stage.
    ///
    /// # Errors
    /// With everything that was noted, if anything was.
    pub fn finish(self) -> Result<(), ScenarioError> {
        if self.found.is_empty() { Ok(()) } else { Err(ScenarioError::Invalid(self.found)) }
    }
}

/// Why a scenario cannot be run. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// A file could not be read at all.
    #[error("cannot read the scenario {file}: {source}")]
    Unreadable {
        /// As it was given.
        file: String,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The mistakes of the stage that was reached; never empty.
    #[error("{}", summary(.0))]
    Invalid(Vec<Problem>),
}

fn summary(problems: &[Problem]) -> String {
    match problems {
        [only] => only.message.clone(),
        _ => {
            format!(
                "{} problems: {}",
                problems.len(),
                problems.iter().map(|p| &*p.message).collect::<Vec<_>>().join("; ")
            )
        }
    }
}

impl ScenarioError {
    /// The whole message for people, with the lines of the file; `colour` for terminals.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let problems = match self {
            Self::Unreadable { .. } => return format!("error: {self}\n"),
            Self::Invalid(problems) => problems,
        };
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(100).with_links(false);
        let mut text = String::new();
        for problem in problems {
            // Rendering into a string fails only if the source cannot be read, which a string always can.
            if handler.render_report(&mut text, problem).is_err() {
                let _ = writeln!(text, "error: {problem}");
            }
        }
        text
    }
}
