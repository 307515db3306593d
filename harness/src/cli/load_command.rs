//! `shakedown load`: the load generator alone, against any Kafka.

use super::output;
use crate::exit::Exit;
use shakedown_loadgen::beside::LevelOutcome;
use shakedown_loadgen::cli::{self, LoadArguments};
use shakedown_loadgen::{StopFlag, signals};
use std::io::Write as _;

pub(super) fn run(arguments: &LoadArguments) -> Exit {
    let stop = StopFlag::new();
    let told = || {
        // Whoever has closed standard error does not want to know.
        let _ = writeln!(std::io::stderr(), "\ninterrupted: nothing more is offered; once more ends at once");
    };
    if let Err(error) = signals::raise_on_signal(stop.clone(), told) {
        eprintln!("error: cannot handle signals: {error}");
        return Exit::Broken;
    }
    match cli::run_until(arguments, &stop) {
        Ok(report) => {
            let printed = output::print(&format!("{report}\n"));
            match report.level() {
                _ if report.unacknowledged() > 0 => Exit::Fail,
                Some(LevelOutcome::Broken) => Exit::Fail,
                Some(LevelOutcome::Invalid) => Exit::Inconclusive,
                Some(LevelOutcome::Held) | None => printed,
            }
        }
        Err(error) => {
            eprintln!("error: {error}");
            Exit::Broken
        }
    }
}
