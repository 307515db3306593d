//! `loadgen`: the load half of `shakedown` alone, for machines that only drive load.

use clap::{ArgMatches, Args, Command, FromArgMatches};
use shakedown_loadgen::beside::LevelOutcome;
use shakedown_loadgen::ceiling::arguments::TopicCeilingArguments;
use shakedown_loadgen::ceiling::command as ceiling;
use shakedown_loadgen::ceiling::subject::CeilingError;
use shakedown_loadgen::cli::{self, LoadArguments};
use shakedown_loadgen::shards::merge::{self, MergeArguments};
use shakedown_loadgen::{StopFlag, signals};
use std::io::Write as _;
use std::process::ExitCode;

/// See the workspace's table of dependencies.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The service level did not hold, and the generator was unfit to measure: what `shakedown` says of whatever proves nothing.
const INVALID: u8 = 3;
/// Wrong usage, and what broke, of a search.
const USAGE: u8 = 2;
const BROKEN: u8 = 4;

const CEILING_NOTES: &str = "Exit codes:
  0  a ceiling was found
  1  not even the lowest rate holds the service level
  2  wrong usage
  3  nobody can say: UNSTABLE, limited by the generator, or interrupted
  4  the cluster does not answer, or something else broke

Interrupts:
  A search that was interrupted, or killed, goes on with --resume and its folder. Only the trial under way is lost.";

/// What is wanted.
enum Wanted {
    Load(Box<LoadArguments>),
    Merge(MergeArguments),
    Ceiling(Box<TopicCeilingArguments>),
}

/// The command line. Not derived: clap takes optional arguments that have arguments of their own flattened into them for
/// absent, whatever was said.
fn command() -> Command {
    let merge = MergeArguments::augment_args(Command::new("merge"))
        .about("Make one run directory of those of a load's shards")
        .long_about(None);
    let ceiling = TopicCeilingArguments::augment_args(Command::new("ceiling"))
        .about("Search for the highest rate at a topic that holds a service level")
        .long_about(None)
        .after_help(CEILING_NOTES);
    LoadArguments::augment_args(Command::new("loadgen"))
        .version(env!("CARGO_PKG_VERSION"))
        .about(
            "Offers a load to a topic of any Kafka cluster, open loop, and records when each message was wanted, sent and \
             acknowledged",
        )
        .long_about(None)
        .args_conflicts_with_subcommands(true)
        .subcommand_negates_reqs(true)
        .subcommand(merge)
        .subcommand(ceiling)
}

fn wanted(matches: &ArgMatches) -> Result<Wanted, clap::Error> {
    match matches.subcommand() {
        Some(("ceiling", matches)) => {
            TopicCeilingArguments::from_arg_matches(matches).map(|ceiling| Wanted::Ceiling(Box::new(ceiling)))
        }
        Some((_, matches)) => MergeArguments::from_arg_matches(matches).map(Wanted::Merge),
        None => LoadArguments::from_arg_matches(matches).map(|load| Wanted::Load(Box::new(load))),
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let load = match wanted(&command().get_matches()).unwrap_or_else(|error| error.exit()) {
        Wanted::Load(load) => load,
        Wanted::Ceiling(arguments) => return search(&arguments),
        Wanted::Merge(arguments) => {
            let report = merge::merge(&arguments)?;
            println!("{report}");
            return Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    };
    let stop = StopFlag::new();
    signals::raise_on_signal(stop.clone(), tell_interrupted)?;
    let report = cli::run_until(&load, &stop)?;
    println!("{report}");
    Ok(match report.level() {
        _ if report.unacknowledged() > 0 => ExitCode::FAILURE,
        Some(LevelOutcome::Broken) => ExitCode::FAILURE,
        Some(LevelOutcome::Invalid) => ExitCode::from(INVALID),
        Some(LevelOutcome::Held) | None => ExitCode::SUCCESS,
    })
}

/// Searches for a ceiling. Its exit codes are those of `shakedown ceiling`.
fn search(arguments: &TopicCeilingArguments) -> anyhow::Result<ExitCode> {
    let stop = StopFlag::new();
    signals::raise_on_signal(stop.clone(), || {
        // As below.
        let told = "\ninterrupted: the trial under way is given up; once more ends at once";
        drop(writeln!(std::io::stderr(), "{told}"));
    })?;
    match ceiling::run(arguments, &stop) {
        Ok(searched) => {
            print!("{}", searched.text);
            Ok(ExitCode::from(searched.exit_code()))
        }
        Err(error) => {
            eprintln!("error: {error}");
            Ok(ExitCode::from(if matches!(error, CeilingError::Unsuitable(_)) { USAGE } else { BROKEN }))
        }
    }
}

fn tell_interrupted() {
    // Nobody may be listening, and the next Ctrl-C has to be heard all the same.
    drop(writeln!(std::io::stderr(), "\ninterrupted: nothing more is offered; once more ends at once"));
}
