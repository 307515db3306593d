//! `loadgen`: the load half of `shakedown` alone, for machines that only drive load.

use clap::{ArgMatches, Args, Command, FromArgMatches};
use shakedown_loadgen::beside::LevelOutcome;
use shakedown_loadgen::ceiling::arguments::TopicCeilingArguments;
use shakedown_loadgen::ceiling::command as ceiling;
use shakedown_loadgen::ceiling::subject::CeilingError;
use shakedown_loadgen::cli::{self, LoadArguments};
use shakedown_loadgen::shards::merge::{self, MergeArguments};
use shakedown_loadgen::{StopFlag, signals};
use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

/// See the workspace's table of dependencies.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Something was not acknowledged, the service level did not hold, or shards do not make one load.
const FAIL: u8 = 1;
/// Wrong usage; what clap finds has the same.
const USAGE: u8 = 2;
/// The service level did not hold, and the generator was unfit to measure: what `shakedown` says of whatever proves nothing.
const INVALID: u8 = 3;
/// The cluster does not answer, or something else broke.
const BROKEN: u8 = 4;

const NOTES: &str = "Exit codes:
  0  every message was acknowledged, and the service level held, if there is one
  1  something was not acknowledged, or the service level did not hold
  2  wrong usage
  3  the service level did not hold, and the generator itself was unfit to measure
  4  the cluster does not answer, or something else broke";

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
        .after_help(NOTES)
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

fn main() -> ExitCode {
    let wanted = wanted(&command().get_matches()).unwrap_or_else(|error| error.exit());
    let ended = match &wanted {
        Wanted::Load(arguments) => load(arguments),
        Wanted::Merge(arguments) => merged(arguments),
        Wanted::Ceiling(arguments) => search(arguments),
    };
    ExitCode::from(ended.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        if error.downcast_ref().is_some_and(|error| matches!(error, CeilingError::Unsuitable(_))) {
            USAGE
        } else {
            BROKEN
        }
    }))
}

/// Prints it, unless nobody listens any more.
fn print(text: &str) {
    drop(std::io::stdout().write_all(text.as_bytes()));
}

fn load(arguments: &LoadArguments) -> Result<u8, Box<dyn Error>> {
    let stop = StopFlag::new();
    signals::raise_on_signal(stop.clone(), || tell("nothing more is offered"))?;
    let report = cli::run_until(arguments, &stop)?;
    print(&format!("{report}\n"));
    Ok(match report.level() {
        _ if report.unacknowledged() > 0 => FAIL,
        Some(LevelOutcome::Broken) => FAIL,
        Some(LevelOutcome::Invalid) => INVALID,
        Some(LevelOutcome::Held) | None => 0,
    })
}

fn merged(arguments: &MergeArguments) -> Result<u8, Box<dyn Error>> {
    let report = merge::merge(arguments)?;
    print(&format!("{report}\n"));
    Ok(if report.is_sound() { 0 } else { FAIL })
}

/// Searches for a ceiling. Its exit codes are those of `shakedown ceiling`.
fn search(arguments: &TopicCeilingArguments) -> Result<u8, Box<dyn Error>> {
    let stop = StopFlag::new();
    signals::raise_on_signal(stop.clone(), || tell("the trial under way is given up"))?;
    let searched = ceiling::run(arguments, &stop)?;
    print(&searched.text);
    Ok(searched.exit_code())
}

/// What an interrupt does.
fn tell(what: &str) {
    // Nobody may be listening, and the next Ctrl-C has to be heard all the same.
    drop(writeln!(std::io::stderr(), "\ninterrupted: {what}; once more ends at once"));
}
