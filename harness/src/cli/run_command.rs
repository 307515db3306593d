//! `shakedown run FILE...`

use super::arguments::{BackendArgument, RunArguments};
use super::output;
use super::progress::Progress;
use super::signals;
use crate::backend::{Apache, Embedded, External};
use crate::exit::Exit;
use crate::run::error::RunError;
use crate::runner::Runner;
use shakedown_loadgen::StopFlag;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

pub(super) fn run(arguments: &RunArguments) -> Exit {
    let interrupt = StopFlag::new();
    if let Err(error) = signals::raise_on_signal(interrupt.clone()) {
        eprintln!("error: cannot handle signals: {error}");
        return Exit::Broken;
    }
    if arguments.bootstrap.is_some() && arguments.backend != Some(BackendArgument::External) {
        eprintln!("error: `--bootstrap` says where an external cluster is: write `--backend external` with it");
        return Exit::Usage;
    }
    let runners: Vec<(&Path, Runner)> =
        arguments.files.iter().map(|file| (file.as_path(), runner(file, arguments, &interrupt))).collect();
    let mut exit = Exit::Pass;
    for (_, runner) in &runners {
        if let Err(error) = runner.plan() {
            exit = exit.worst(complain(&error));
        }
    }
    if exit != Exit::Pass {
        return exit;
    }
    for (index, (file, runner)) in runners.iter().enumerate() {
        if index > 0 {
            exit = exit.worst(output::print("\n"));
        }
        exit = exit.worst(run_one(file, runner));
        if interrupt.is_stopped() {
            break;
        }
    }
    exit
}

fn runner(file: &Path, arguments: &RunArguments, interrupt: &StopFlag) -> Runner {
    let mut runner = Runner::new(file)
        .output(&arguments.out)
        .fixed_ports(arguments.fixed_ports)
        .keep(arguments.keep)
        .interrupt(interrupt.clone());
    if let Some(seed) = arguments.seed {
        runner = runner.seed(seed);
    }
    runner = match (arguments.backend, &arguments.bootstrap) {
        (Some(BackendArgument::Embedded), _) => runner.backend(Embedded),
        (Some(BackendArgument::Apache), _) => runner.backend(Apache),
        (Some(BackendArgument::External), Some(bootstrap)) => runner.backend(External::new(bootstrap)),
        // Without `--bootstrap` there is no `external`.
        (Some(BackendArgument::External) | None, _) => runner,
    };
    // The tool is its own service launcher.
    match std::env::current_exe() {
        Ok(executable) => runner.executable(executable),
        Err(_) => runner,
    }
}

fn run_one(file: &Path, runner: &Runner) -> Exit {
    let progress = Arc::new(Progress::new(&file.display().to_string()));
    let result = runner.clone().observer(Arc::<Progress>::clone(&progress)).run();
    progress.clear();
    match result {
        Ok(report) => report.exit().worst(output::print(&report.text(std::io::stdout().is_terminal()))),
        Err(error) => complain(&error),
    }
}

/// Prints the error; what it means for the exit code.
pub(super) fn complain(error: &RunError) -> Exit {
    match error.cause() {
        RunError::Scenario(problem) => {
            eprint!("{}", problem.render(std::io::stderr().is_terminal()));
            Exit::Usage
        }
        RunError::UnknownService { .. } | RunError::Plan(_) => {
            eprintln!("error: {error}");
            Exit::Usage
        }
        _ => {
            eprintln!("error: {error}");
            Exit::Broken
        }
    }
}
