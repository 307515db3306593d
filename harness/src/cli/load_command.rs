//! `shakedown load`: the load generator alone, against any Kafka.

use super::output;
use crate::exit::Exit;
use shakedown_loadgen::cli::{self, LoadArguments};

pub(super) fn run(arguments: &LoadArguments) -> Exit {
    match cli::run(arguments) {
        Ok(report) => {
            let printed = output::print(&format!("{report}\n"));
            if report.unacknowledged() == 0 { printed } else { Exit::Fail }
        }
        Err(error) => {
            eprintln!("error: {error}");
            Exit::Broken
        }
    }
}
