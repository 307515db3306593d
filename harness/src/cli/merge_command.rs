//! `shakedown merge`: one run directory out of those of a load's shards.

use super::output;
use crate::exit::Exit;
use shakedown_loadgen::shards::merge::{self, MergeArguments, MergeError};

pub(super) fn run(arguments: &MergeArguments) -> Exit {
    match merge::merge(arguments) {
        Ok(report) => {
            let printed = output::print(&format!("{report}\n"));
            if report.is_sound() { printed } else { Exit::Fail }
        }
        Err(error) => {
            eprintln!("error: {error}");
            match error {
                MergeError::Different { .. } | MergeError::Twice { .. } => Exit::Usage,
                MergeError::Read { .. } | MergeError::Log { .. } | MergeError::Write(_) => Exit::Broken,
            }
        }
    }
}
