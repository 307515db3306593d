//! From a command line to an exit code.

use super::arguments::{Arguments, Command, ServiceArguments};
use super::{
    ceiling_command, check_command, cluster_command, compare_command, dlq_command, doctor_command, load_command,
    merge_command, ready_command, report_command, run_command,
};
use crate::exit::Exit;
use crate::language::schema::scenario_schema_text;
use clap::Parser;
use std::io::Write as _;
use std::process::ExitCode;

/// The whole tool.
#[must_use]
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run(arguments) => run_command::run(&arguments).into(),
        Command::Check(arguments) => check_command::run(&arguments).into(),
        Command::Report(arguments) => report_command::run(&arguments).into(),
        Command::Compare(arguments) => compare_command::run(&arguments).into(),
        Command::Schema => {
            // A reader that has seen enough, such as `head`, closes the pipe; that is no failure.
            let _ = std::io::stdout().write_all(scenario_schema_text().as_bytes());
            Exit::Pass.into()
        }
        Command::Cluster(arguments) => cluster_command::run(&arguments).into(),
        Command::Service(ServiceArguments { name: Some(name), .. }) => shakedown_services::run(&name),
        Command::Service(_) => ready_command::run().into(),
        Command::Load(arguments) => load_command::run(&arguments).into(),
        Command::Merge(arguments) => merge_command::run(&arguments).into(),
        Command::Ceiling(arguments) => ceiling_command::run(&arguments).into(),
        Command::Dlq(arguments) => dlq_command::run(&arguments).into(),
        Command::Doctor(arguments) => doctor_command::run(&arguments).into(),
    }
}
