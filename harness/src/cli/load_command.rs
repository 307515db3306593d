//! `shakedown load`: the load generator alone, against any Kafka.

use crate::exit::Exit;
use shakedown_loadgen::cli::{self, LoadArguments};

pub(super) fn run(arguments: &LoadArguments) -> Exit {
    match cli::run(arguments) {
        Ok(report) => {
            println!("{report}");
            Exit::Pass
        }
        Err(error) => {
            eprintln!("error: {error}");
            Exit::Broken
        }
    }
}
