//! What may be typed behind `shakedown ceiling`.

use super::arguments::{BackendArgument, servers};
use clap::Args;
use shakedown_loadgen::Driver;
use shakedown_loadgen::ceiling::arguments::SearchArguments;
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
    /// How the search is done
    #[command(flatten)]
    pub search: SearchArguments,
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
    /// The Kafka client for `--topic`. Without a word "direct", or librdkafka where a `--client` property needs it
    #[arg(long, value_enum, requires = "topic")]
    pub driver: Option<Driver>,
    /// Go on with the search in this folder, with everything as it began
    #[arg(long, value_name = "FOLDER")]
    #[arg(conflicts_with_all = ["scenario", "slo", "from", "replicates", "quick", "seed", "backend", "bootstrap", "topic", "client", "driver", "keep_records", "out"])]
    pub resume: Option<PathBuf>,
    /// Print what is known as JSON instead of a table
    #[arg(long)]
    pub json: bool,
}
