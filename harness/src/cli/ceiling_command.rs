//! `shakedown ceiling`.

use super::arguments::BackendArgument;
use super::ceiling_arguments::CeilingArguments;
use super::{output, run_command};
use crate::backend::{Apache, Embedded, External};
use crate::ceiling::broke;
use crate::ceiling::scenario_subject::ScenarioSubject;
use crate::exit::Exit;
use crate::run::error::RunError;
use crate::run::options::RunOptions;
use crate::runner::Runner;
use clap::ValueEnum as _;
use shakedown_loadgen::ceiling::command::{self, Searched};
use shakedown_loadgen::ceiling::state::{State, SubjectAt};
use shakedown_loadgen::ceiling::subject::{CeilingError, Subject};
use shakedown_loadgen::{StopFlag, signals};
use shakedown_reports::RunDirectory;
use std::io::Write as _;
use std::path::{Path, PathBuf};

pub(super) fn run(arguments: &CeilingArguments) -> Exit {
    let interrupt = StopFlag::new();
    let told = || {
        // Whoever has closed standard error does not want to know.
        let _ = writeln!(std::io::stderr(), "\ninterrupted: the trial under way is given up; once more ends at once");
    };
    if let Err(error) = signals::raise_on_signal(interrupt.clone(), told) {
        eprintln!("error: cannot handle signals: {error}");
        return Exit::Broken;
    }
    match search(arguments, &interrupt) {
        Ok(exit) => exit,
        Err(CeilingError::Run(error)) => match error.downcast::<RunError>() {
            Ok(error) => run_command::complain(&error),
            Err(error) => {
                eprintln!("error: {error}");
                Exit::Broken
            }
        },
        Err(error @ CeilingError::Unsuitable(_)) => {
            eprintln!("error: {error}");
            Exit::Usage
        }
        Err(error) => {
            eprintln!("error: {error}");
            Exit::Broken
        }
    }
}

fn search(arguments: &CeilingArguments, interrupt: &StopFlag) -> Result<Exit, CeilingError> {
    let (folder, state, subject) = match &arguments.resume {
        Some(folder) => {
            let state = State::read(folder)?;
            state.belongs_here(folder)?;
            let subject = subject(&state, folder, interrupt)?;
            (folder.clone(), state, subject)
        }
        None => begin(arguments, interrupt)?,
    };
    let searched = command::search(&folder, state, &*subject, arguments.json, "shakedown ceiling", interrupt)?;
    let printed = output::print(&searched.text);
    Ok(exit_of(&searched).worst(printed))
}

/// What the outcome means to whoever called.
const fn exit_of(searched: &Searched) -> Exit {
    match searched.exit_code() {
        0 => Exit::Pass,
        1 => Exit::Fail,
        _ => Exit::Inconclusive,
    }
}

/// A new search, in a folder of its own.
fn begin(
    arguments: &CeilingArguments,
    interrupt: &StopFlag,
) -> Result<(PathBuf, State, Box<dyn Subject>), CeilingError> {
    let (at, name) = if let (Some(topic), Some(bootstrap)) = (&arguments.topic, &arguments.bootstrap) {
        let at = command::topic_at(bootstrap, topic, &arguments.client, arguments.driver)?;
        (SubjectAt::Topic(at), topic.clone())
    } else {
        if arguments.bootstrap.is_some() && arguments.backend != Some(BackendArgument::External) {
            let text =
                "`--bootstrap` says where an external cluster is: write `--backend external` with it, or `--topic`";
            return Err(CeilingError::Unsuitable(text.to_owned()));
        }
        let path = arguments.scenario.clone().unwrap_or_default();
        let backend = arguments.backend.and_then(|backend| backend.to_possible_value());
        let backend = backend.map(|value| value.get_name().to_owned());
        let runner = runner(&path, backend.as_deref(), arguments.bootstrap.as_deref(), arguments.search.seed)?;
        let plan = runner.plan().map_err(broke)?;
        let bootstrap = arguments.bootstrap.clone();
        (SubjectAt::Scenario { path, digest: plan.digest, backend, bootstrap }, plan.scenario.name)
    };
    let mut state = State::new(at, arguments.search.settings()?, arguments.search.keep_records);
    state.scenario_seed = arguments.search.seed;
    // Whatever can be wrong is found before anything is written.
    subject(&state, Path::new(""), interrupt)?;
    let folder = RunDirectory::reserve(&arguments.search.out, &format!("ceiling of {name}"))?;
    let subject = subject(&state, &folder, interrupt)?;
    Ok((folder, state, subject))
}

/// What a search is about, with its trials beneath a folder.
fn subject(state: &State, folder: &Path, interrupt: &StopFlag) -> Result<Box<dyn Subject>, CeilingError> {
    let (level, output) = (state.settings.service_level, folder.join("trials"));
    match &state.subject {
        SubjectAt::Topic(at) => Ok(Box::new(command::topic_subject(at, state, folder, interrupt))),
        SubjectAt::Scenario { path, digest, backend, bootstrap } => {
            let runner = runner(path, backend.as_deref(), bootstrap.as_deref(), state.scenario_seed)?;
            let options = RunOptions {
                output,
                interrupt: interrupt.clone(),
                executable: std::env::current_exe().ok(),
                ..RunOptions::default()
            };
            let subject = ScenarioSubject::new(&runner, options, level, state.keep_records)?;
            if subject.digest() == digest {
                return Ok(Box::new(subject));
            }
            let text = format!("{} is not what it was when the search began: begin a new one", path.display());
            Err(CeilingError::Unsuitable(text))
        }
    }
}

fn runner(
    path: &Path,
    backend: Option<&str>,
    bootstrap: Option<&str>,
    seed: Option<u64>,
) -> Result<Runner, CeilingError> {
    let runner = Runner::new(path);
    let runner = match (backend, bootstrap) {
        (Some("embedded"), _) => runner.backend(Embedded),
        (Some("apache"), _) => runner.backend(Apache),
        (Some("external"), Some(bootstrap)) => runner.backend(External::new(bootstrap)),
        (Some(other), _) => return Err(CeilingError::Unsuitable(format!("there is no back end `{other}`"))),
        (None, _) => runner,
    };
    Ok(seed.map_or(runner.clone(), |seed| runner.seed(seed)))
}
