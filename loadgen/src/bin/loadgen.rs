//! `loadgen`: the load half of `shakedown` alone, for machines that only drive load.

use clap::{ArgMatches, Args, Command, FromArgMatches};
use shakedown_loadgen::beside::LevelOutcome;
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

/// What is wanted.
enum Wanted {
    Load(Box<LoadArguments>),
    Merge(MergeArguments),
}

/// The command line. Not derived: clap takes optional arguments that have arguments of their own flattened into them for
/// absent, whatever was said.
fn command() -> Command {
    let merge = MergeArguments::augment_args(Command::new("merge"))
        .about("Make one run directory of those of a load's shards")
        .long_about(None);
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
}

fn wanted(matches: &ArgMatches) -> Result<Wanted, clap::Error> {
    match matches.subcommand() {
        Some((_, matches)) => MergeArguments::from_arg_matches(matches).map(Wanted::Merge),
        None => LoadArguments::from_arg_matches(matches).map(|load| Wanted::Load(Box::new(load))),
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let load = match wanted(&command().get_matches()).unwrap_or_else(|error| error.exit()) {
        Wanted::Load(load) => load,
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

fn tell_interrupted() {
    // Nobody may be listening, and the next Ctrl-C has to be heard all the same.
    drop(writeln!(std::io::stderr(), "\ninterrupted: nothing more is offered; once more ends at once"));
}
