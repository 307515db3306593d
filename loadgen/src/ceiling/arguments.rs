//! What may be typed behind `loadgen ceiling`, and what `shakedown ceiling` has of it.

use super::{Lengths, ServiceLevel, Settings};
use crate::ceiling::subject::CeilingError;
use crate::cli::{OUTPUT, parse_property};
use crate::driver::Driver;
use crate::rate::Rate;
use clap::Args;
use std::path::PathBuf;

/// Without `--seed`, for topics.
pub const SEED_DEFAULT: u64 = 42;

/// How a search is done, whatever it is about.
#[derive(Debug, Args)]
pub struct SearchArguments {
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
    /// Fixes what the load and the first rates of replicates are drawn from; without it the scenario's seed, or 42 for a topic
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=9_223_372_036_854_775_807))]
    pub seed: Option<u64>,
    /// Keep every operation of every trial, which is some 20 bytes for each message
    #[arg(long)]
    pub keep_records: bool,
    /// Where searches go: each has a folder of its own there, and each trial a run directory within it
    #[arg(long, value_name = "FOLDER", default_value = OUTPUT)]
    pub out: PathBuf,
}

impl SearchArguments {
    /// What is asked for.
    ///
    /// # Errors
    /// When the first rate is less than one message a second.
    pub fn settings(&self) -> Result<Settings, CeilingError> {
        let from = self.from.messages_within(1_000_000_000).filter(|rate| *rate > 0);
        let unsuitable = || CeilingError::Unsuitable(format!("--from {} is no rate to begin with", self.from));
        Ok(Settings {
            service_level: self.slo,
            from: from.ok_or_else(unsuitable)?,
            replicates: self.replicates,
            lengths: if self.quick { Lengths::quick() } else { Lengths::full() },
            quick: self.quick,
            seed: self.seed.unwrap_or(SEED_DEFAULT),
        })
    }
}

/// `loadgen ceiling`.
#[derive(Debug, Args)]
pub struct TopicCeilingArguments {
    /// Servers of the cluster, as in "localhost:9092".
    #[arg(long, value_name = "HOST:PORT,...", required_unless_present = "resume")]
    pub bootstrap: Option<String>,
    /// The topic, which must exist, and is filled.
    #[arg(long, value_name = "NAME", required_unless_present = "resume")]
    pub topic: Option<String>,
    /// Property of librdkafka, as in "linger.ms=0"; may be repeated.
    #[arg(long = "client", value_name = "NAME=VALUE", value_parser = parse_property)]
    pub client: Vec<(String, String)>,
    /// The Kafka client. Without a word "direct", or librdkafka where a --client property needs it.
    #[arg(long, value_enum)]
    pub driver: Option<Driver>,
    /// How the search is done.
    #[command(flatten)]
    pub search: SearchArguments,
    /// Go on with the search in this folder, with everything as it began
    #[arg(long, value_name = "FOLDER")]
    #[arg(conflicts_with_all = ["slo", "from", "replicates", "quick", "seed", "bootstrap", "topic", "client", "driver", "keep_records", "out"])]
    pub resume: Option<PathBuf>,
    /// Print what is known as JSON instead of a table
    #[arg(long)]
    pub json: bool,
}
