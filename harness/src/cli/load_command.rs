//! `shakedown load`: the load generator alone, against any Kafka.

use super::output;
use crate::exit::Exit;
use shakedown_loadgen::beside::LevelOutcome;
use shakedown_loadgen::cli::{self, LoadArguments};

pub(super) fn run(arguments: &LoadArguments) -> Exit {
    match cli::run(arguments) {
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
