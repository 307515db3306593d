//! A search from its arguments to its table: `loadgen ceiling`, and the part of `shakedown ceiling` that is the same.

use super::Outcome;
use super::arguments::TopicCeilingArguments;
use super::search::Search;
use super::state::{State, SubjectAt};
use super::subject::{CeilingError, Subject};
use super::topic_subject::{TopicAt, TopicSubject};
use crate::driver::Driver;
use crate::stop::StopFlag;
use shakedown_reports::RunDirectory;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

/// What a search has come to.
#[derive(Debug)]
pub struct Searched {
    /// The table, or JSON.
    pub text: String,
    /// What was found; nothing where the search is not over.
    pub outcome: Option<Outcome>,
    /// Somebody interrupted it.
    pub interrupted: bool,
}

impl Searched {
    /// The exit code: 0 for a ceiling, 1 where not even the lowest rate holds, 3 where nobody can say.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match &self.outcome {
            _ if self.interrupted => 3,
            Some(Outcome::Found { .. }) => 0,
            Some(Outcome::Nothing { .. }) => 1,
            Some(Outcome::Unstable { .. } | Outcome::GeneratorLimited { .. }) | None => 3,
        }
    }
}

/// Searches, or goes on to, the ceiling of a topic.
///
/// # Errors
/// When the arguments or the folder are not fit, or a trial could not be carried out.
pub fn run(arguments: &TopicCeilingArguments, interrupt: &StopFlag) -> Result<Searched, CeilingError> {
    let (folder, state) = match (&arguments.resume, &arguments.bootstrap, &arguments.topic) {
        (Some(folder), ..) => {
            let state = State::read(folder)?;
            state.belongs_here(folder)?;
            (folder.clone(), state)
        }
        (None, Some(bootstrap), Some(topic)) => {
            let at = topic_at(bootstrap, topic, &arguments.client, arguments.driver)?;
            let settings = arguments.search.settings()?;
            let mut state = State::new(SubjectAt::Topic(at), settings, arguments.search.keep_records);
            state.scenario_seed = arguments.search.seed;
            (RunDirectory::reserve(&arguments.search.out, &format!("ceiling of {topic}"))?, state)
        }
        (None, ..) => return Err(CeilingError::Unsuitable("write --bootstrap and --topic, or --resume".to_owned())),
    };
    let SubjectAt::Topic(at) = &state.subject else {
        let text =
            format!("the search in {} is about a scenario: go on with shakedown ceiling --resume", folder.display());
        return Err(CeilingError::Unsuitable(text));
    };
    let subject = topic_subject(at, &state, &folder, interrupt);
    search(&folder, state, &subject, arguments.json, "loadgen ceiling", interrupt)
}

/// A topic as it was asked for, with the fastest client that can do that unless one is named.
///
/// # Errors
/// When no load could be offered to it in this way.
pub fn topic_at(
    bootstrap: &str,
    topic: &str,
    client: &[(String, String)],
    driver: Option<Driver>,
) -> Result<TopicAt, CeilingError> {
    let client = client.iter().cloned().collect();
    let driver = driver.unwrap_or_else(|| Driver::fastest_with(&client));
    let at = TopicAt { bootstrap: bootstrap.to_owned(), topic: topic.to_owned(), client, driver };
    let plan = at.plan(0, 0, 1, Duration::from_secs(1))?;
    plan.validate().map_err(|error| CeilingError::Unsuitable(error.to_string()))?;
    Ok(at)
}

/// The topic that a search is about, with its trials beneath a folder.
#[must_use]
pub fn topic_subject(at: &TopicAt, state: &State, folder: &Path, interrupt: &StopFlag) -> TopicSubject {
    TopicSubject {
        at: at.clone(),
        seed: state.settings.seed,
        level: state.settings.service_level,
        output: folder.join("trials"),
        interrupt: interrupt.clone(),
        keep_records: state.keep_records,
    }
}

/// Carries out what is left of a search, and tells of it on standard error; `again` is the command that goes on with it.
///
/// # Errors
/// When a trial could not be carried out, or the search not be kept.
pub fn search(
    folder: &Path,
    state: State,
    subject: &dyn Subject,
    json: bool,
    again: &str,
    interrupt: &StopFlag,
) -> Result<Searched, CeilingError> {
    let mut search = Search::new(folder, state);
    let mut tell = |line: &str| {
        // Whoever has closed standard error does not want to know.
        let _ = writeln!(std::io::stderr(), "{line}");
    };
    tell(&format!("the search is kept in {}", folder.display()));
    let ended = search.run(subject, &mut tell);
    let interrupted = interrupt.is_stopped();
    if !interrupted {
        ended?;
    }
    let text = if json { search.state().to_json() } else { search.text(&subject.name()) };
    if interrupted {
        tell(&format!("to go on: {again} --resume {}", folder.display()));
    }
    Ok(Searched { text, outcome: search.state().outcome.clone(), interrupted })
}
