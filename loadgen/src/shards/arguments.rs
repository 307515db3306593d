//! The arguments of a shard.

use super::client::ShardPlan;
use crate::cli::parse_duration;
use crate::part::Shard;
use clap::Args;
use std::time::Duration;

/// Which shard of which run, if it is one.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Shards")]
pub struct ShardArguments {
    /// Offer this part of the plan alone, as in "2/3"; the others are other processes, which begin at the same instant.
    #[arg(long, value_name = "I/N", requires = "run_name")]
    pub shard: Option<Shard>,
    /// Name of the run, the same for all its shards; used once.
    #[arg(long, value_name = "NAME", requires = "shard")]
    pub run_name: Option<String>,
    /// Topic in which shards meet; made where it is not there.
    #[arg(long, value_name = "TOPIC", default_value = "shakedown-shards")]
    pub shard_topic: String,
    /// How long a shard waits for the others.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    pub shard_timeout: Duration,
}

impl ShardArguments {
    /// The shard that these arguments describe.
    #[must_use]
    pub fn plan(&self) -> Option<ShardPlan> {
        let (shard, run) = (self.shard?, self.run_name.clone()?);
        Some(ShardPlan { shard, run, topic: self.shard_topic.clone(), patience: self.shard_timeout })
    }
}
