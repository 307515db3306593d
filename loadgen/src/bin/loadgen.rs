//! `loadgen`: the load half of `shakedown` alone, for machines that only drive load.

use clap::Parser;
use shakedown_loadgen::cli::{self, LoadArguments};
use std::process::ExitCode;

/// Offers a load to a topic of any Kafka cluster, open loop, and records when each message was wanted, sent and
/// acknowledged.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version)]
struct Command {
    #[command(flatten)]
    load: LoadArguments,
}

fn main() -> anyhow::Result<ExitCode> {
    let report = cli::run(&Command::parse().load)?;
    println!("{report}");
    Ok(if report.unacknowledged() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
