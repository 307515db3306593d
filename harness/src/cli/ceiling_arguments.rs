//! What may be typed behind `shakedown ceiling`.

use super::arguments::{BackendArgument, servers};
use crate::run::options::OUTPUT;
use clap::Args;
use shakedown_loadgen::Rate;
use shakedown_loadgen::ceiling::ServiceLevel;
use std::path::PathBuf;

const NOTES: &str = "Exit codes:
  0  a ceiling was found
  1  not even the lowest rate holds the service level
  2  a bad scenario, or wrong usage
  3  nobody can say: UNSTABLE, limited by the generator, or interrupted
  4  the harness itself, or what it needs, broke

Interrupts:
  A search that was interrupted, or killed, goes on with `--resume` and its folder. Only the trial under way is lost.";

/// `shakedown ceiling`.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub struct CeilingArguments {
    /// The scenario whose load is varied; its own rate and its expectations are left out
    #[arg(value_name = "SCENARIO", required_unless_present_any = ["topic", "resume"])]
    pub scenario: Option<PathBuf>,
    /// What has to hold, from the instant at which a message is due to its acknowledgement
    #[arg(long, value_name = "p99=DURATION", default_value = "p99=20ms")]
    pub slo: ServiceLevel,
    /// The first rate, from which the search doubles
    #[arg(long, value_name = "RATE", default_value = "1000/s")]
    pub from: Rate,
    /// How often the search is done, each time from another rate
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub replicates: u32,
    /// Shorter trials, for a first idea; the table says so
    #[arg(long)]
    pub quick: bool,
    /// Fixes what the load and the first rates of replicates are drawn from, instead of the scenario's seed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=9_223_372_036_854_775_807))]
    pub seed: Option<u64>,
    /// What plays the cluster, instead of what the scenario says
    #[arg(long, value_enum, conflicts_with = "topic")]
    pub backend: Option<BackendArgument>,
    /// The servers of the external cluster, with commas between them
    #[arg(long, value_name = "HOST:PORT,...", required_if_eq("backend", "external"), value_parser = servers)]
    pub bootstrap: Option<String>,
    /// A topic of any Kafka, which must exist, instead of a scenario
    #[arg(long, value_name = "NAME", requires = "bootstrap", conflicts_with = "scenario")]
    pub topic: Option<String>,
    /// Property of librdkafka for `--topic`, as in "linger.ms=0"; may be repeated
    #[arg(long = "client", value_name = "NAME=VALUE", value_parser = super::arguments::property, requires = "topic")]
    pub client: Vec<(String, String)>,
    /// Go on with the search in this folder, with everything as it began
    #[arg(long, value_name = "FOLDER")]
    #[arg(conflicts_with_all = ["scenario", "slo", "from", "replicates", "quick", "seed", "backend", "bootstrap", "topic", "client", "keep_records", "out"])]
    pub resume: Option<PathBuf>,
    /// Keep every operation of every trial, which is some 80 bytes for each message
    #[arg(long)]
    pub keep_records: bool,
    /// Print what is known as JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Where searches go: each has a folder of its own there, and each trial a run directory within it
    #[arg(long, value_name = "FOLDER", default_value = OUTPUT)]
    pub out: PathBuf,
}
