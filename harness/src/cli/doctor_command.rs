//! `shakedown doctor`: prints what is there and what is missing, and fetches what it can.

use super::arguments::DoctorArguments;
use super::output;
use crate::doctor::{Finding, fetch, findings};
use crate::exit::Exit;

pub(super) fn run(arguments: &DoctorArguments) -> Exit {
    let mut exit = Exit::Pass;
    if arguments.fetch
        && let Err(error) = fetch::jars()
    {
        eprintln!("error: cannot fetch Kafka's jars: {error}");
        exit = Exit::Broken;
    }
    let findings = findings();
    let mut text = "  embedded     ok        the default back end needs nothing\n".to_owned();
    text.extend(findings.iter().map(Finding::to_string));
    exit = exit.worst(output::print(&text));
    if findings.iter().any(Finding::is_trouble) { exit.worst(Exit::Broken) } else { exit }
}
