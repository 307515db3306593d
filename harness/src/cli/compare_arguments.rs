//! What `shakedown compare` takes.

use super::arguments::{BackendArgument, servers};
use crate::compare::render::Format;
use crate::scenario::settings::Override;
use clap::{Args, ValueEnum};
use shakedown_loadgen::duration_text;
use shakedown_reports::compare::Margins;
use shakedown_reports::compare::metric::ACKNOWLEDGEMENT;
use std::path::PathBuf;
use std::time::Duration;

/// Where the noise floor is kept unless somebody says otherwise.
pub const NOISE_FLOOR: &str = "target/shakedown/noise-floor.json";

const NOTES: &str = "Two versions of something, A (before) and B (judged):
  shakedown compare main.toml branch.toml                   two scenarios
  shakedown compare shop.toml --a 'services.order.command=[\"./main/order\"]' \\
                              --b 'services.order.command=[\"./branch/order\"]'
                                                            one scenario, with settings for each side
  shakedown compare shop.toml --b-program ./branch/shakedown
                                                            one scenario, with another shakedown for B
  shakedown compare runs/main --against runs/branch         runs that are there already, 5 a side at least
  shakedown compare shop.toml --calibrate                   A against A: what the machine does by itself

Exit codes:
  0  faster, or the same
  1  slower
  2  wrong usage, or an error
  3  too noisy to say, or invalid";

/// `shakedown compare`.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub struct CompareArguments {
    /// One scenario or two; or, with --against, folders with runs of A
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Folders with runs of B, to be compared with those of A
    #[arg(long, value_name = "FOLDER", num_args = 1.., conflicts_with_all = [
        "a", "b", "a_program", "b_program", "pairs", "no_extension", "backend", "out", "calibrate",
    ])]
    pub against: Vec<PathBuf>,
    /// A setting laid over A's scenario, as `shakedown run --set` takes it; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = Override::parse)]
    pub a: Vec<Override>,
    /// A setting laid over B's scenario; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = Override::parse)]
    pub b: Vec<Override>,
    /// The shakedown that runs A, instead of this one
    #[arg(long, value_name = "FILE")]
    pub a_program: Option<PathBuf>,
    /// The shakedown that runs B, instead of this one
    #[arg(long, value_name = "FILE")]
    pub b_program: Option<PathBuf>,
    /// What A is called, instead of its scenario's file
    #[arg(long, value_name = "NAME")]
    pub label_a: Option<String>,
    /// What B is called, instead of its scenario's file
    #[arg(long, value_name = "NAME")]
    pub label_b: Option<String>,
    /// How many pairs have to count; with less than 11 of them hardly anything is certain enough
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(2..=500))]
    pub pairs: u16,
    /// Do not run as many pairs again where the first ones are too noisy
    #[arg(long)]
    pub no_extension: bool,
    /// What is drawn is drawn from this: the order within pairs, and the seeds of the runs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=4_611_686_018_427_387_904))]
    pub seed: u64,
    /// What of each run's beginning is not looked at
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub warm_up: Duration,
    /// The latencies that are compared: `ack`, or `deliver:TOPIC` for those up to a topic; may be repeated
    #[arg(long = "latency", value_name = "TAG", default_value = ACKNOWLEDGEMENT)]
    pub latencies: Vec<String>,
    /// A change that does not matter, instead of p50=5%, p99=10% and cpu=5%; may be repeated
    #[arg(long = "margin", value_name = "METRIC=PERCENT", value_parser = Margin::parse)]
    pub margins: Vec<Margin>,
    /// Run A against A, and keep what the machine does by itself as its noise floor
    #[arg(long)]
    pub calibrate: bool,
    /// Where the noise floor is kept: margins are never smaller
    #[arg(long, value_name = "FILE")]
    pub noise_floor: Option<PathBuf>,
    /// What plays the cluster on both sides, instead of what the scenarios say
    #[arg(long, value_enum)]
    pub backend: Option<BackendArgument>,
    /// The servers of the external cluster, with commas between them
    #[arg(long, value_name = "HOST:PORT,...", required_if_eq("backend", "external"), requires = "backend", value_parser = servers)]
    pub bootstrap: Option<String>,
    /// Where the runs and the reports go; if it holds the beginning of this comparison, it goes on there
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    pub format: FormatArgument,
    /// Write the result to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArgument {
    /// A table for a terminal
    Text,
    /// A table for a pull request
    Markdown,
    /// Everything, for programs
    Json,
    /// A test case for each metric, for CI servers
    Junit,
    /// A page with both percentile curves
    Html,
}

impl From<FormatArgument> for Format {
    fn from(argument: FormatArgument) -> Self {
        match argument {
            FormatArgument::Text => Self::Text,
            FormatArgument::Markdown => Self::Markdown,
            FormatArgument::Json => Self::Json,
            FormatArgument::Junit => Self::Junit,
            FormatArgument::Html => Self::Html,
        }
    }
}

/// `--margin p99=15%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margin {
    metric: MarginOf,
    share: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MarginOf {
    P50,
    P99,
    Cpu,
}

/// A text that is no margin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no margin: write p50=, p99= or cpu= and a percentage above 0 and up to 100, as in p99=15%")]
pub struct MarginError {
    text: String,
}

impl Margin {
    fn parse(text: &str) -> Result<Self, MarginError> {
        let error = || MarginError { text: text.to_owned() };
        let (metric, percent) = text.split_once('=').ok_or_else(error)?;
        let metric = match metric.trim() {
            "p50" => MarginOf::P50,
            "p99" => MarginOf::P99,
            "cpu" | "cpu/message" => MarginOf::Cpu,
            _ => return Err(error()),
        };
        let percent: f64 = percent.trim().trim_end_matches('%').trim().parse().map_err(|_| error())?;
        if percent > 0.0 && percent <= 100.0 { Ok(Self { metric, share: percent / 100.0 }) } else { Err(error()) }
    }
}

impl CompareArguments {
    /// The margins that were asked for, and the usual ones for the rest.
    #[must_use]
    pub fn margins(&self) -> Margins {
        let mut margins = Margins::default();
        for Margin { metric, share } in &self.margins {
            match metric {
                MarginOf::P50 => margins.p50 = *share,
                MarginOf::P99 => margins.p99 = *share,
                MarginOf::Cpu => margins.cpu = *share,
            }
        }
        margins
    }
}

fn duration(text: &str) -> Result<Duration, duration_text::DurationTextError> {
    duration_text::parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_are_percentages_of_known_metrics() {
        assert_eq!(Margin::parse("p99=15%"), Ok(Margin { metric: MarginOf::P99, share: 0.15 }));
        assert_eq!(Margin::parse("cpu = 2.5"), Ok(Margin { metric: MarginOf::Cpu, share: 0.025 }));
        for text in ["p95=3%", "p50", "p50=", "p50=x", "p50=0", "p50=-1", "p50=101", "p50=NaN"] {
            let error = Margin::parse(text).expect_err(text).to_string();
            assert!(error.starts_with(&format!("{text:?} is no margin: write p50=, p99= or cpu=")), "{error}");
        }
    }
}
