//! `shakedown check RUN`: the same checks over a record that is already there. Changes nothing in it.

use super::arguments::CheckArguments;
use super::output;
use super::report_command::so_far;
use super::run_command::complain;
use crate::exit::Exit;
use crate::report::Report;
use crate::run::error::RunError;
use crate::run::judgement::{Ending, judge};
use shakedown_reports::RunRecord;
use shakedown_reports::overview::gather;
use std::io::IsTerminal as _;
use std::path::Path;

pub(super) fn run(arguments: &CheckArguments) -> Exit {
    if !arguments.run.join("run.json").is_file() {
        eprintln!("error: {} is not a run directory: it has no run.json", arguments.run.display());
        return Exit::Usage;
    }
    match check(&arguments.run) {
        Ok(report) => {
            let printed = output::print(&report.text(std::io::stdout().is_terminal()));
            report.exit().worst(printed)
        }
        Err(error) => complain(&error),
    }
}

fn check(directory: &Path) -> Result<Report, RunError> {
    let record = RunRecord::open(directory)?;
    let verdict = judge(&record, &Ending::read(directory)?)?;
    let summary = match record.summary()? {
        Some(summary) => summary,
        None => so_far(&gather(directory, &record, verdict.clone())?),
    };
    Ok(Report::new(record.info().clone(), summary, record.events()?, verdict, directory.to_owned()))
}
