//! The load generator itself, as `loadgen` offers it and with all that it records, in a process of its own.

use crate::figures::Figures;
use clap::Parser;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use shakedown_loadgen::cli::{self, LoadArguments};

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    load: LoadArguments,
}

/// What the process says of its load.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) acknowledged: u64,
    pub(crate) started_ns: u64,
    pub(crate) last_sent_ns: u64,
    pub(crate) finished_ns: u64,
    /// Quantiles of acknowledged less intended, in nanoseconds: p50, p99, p99.9, p99.99, the largest.
    pub(crate) ack_ns: [u64; 5],
    pub(crate) lateness_p99_ns: u64,
    pub(crate) directory: std::path::PathBuf,
}

/// Offers what these arguments say, and prints what came of it.
pub(crate) fn run(arguments: &[String]) {
    let command = Command::parse_from([&["loadgen".to_owned()], arguments].concat());
    let report = cli::run(&command.load).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(report.unacknowledged(), 0, "{report}");
    let said = Said {
        acknowledged: report.load.progress.acknowledged,
        started_ns: report.load.started_ns,
        last_sent_ns: report.load.last_sent_ns,
        finished_ns: report.load.finished_ns,
        ack_ns: quantiles(&report.load.ack),
        lateness_p99_ns: report.load.progress.lateness_p99_ns,
        directory: report.directory,
    };
    println!("{}", serde_json::to_string(&said).expect("serializable"));
}

pub(crate) fn quantiles(histogram: &Histogram<u64>) -> [u64; 5] {
    [0.5, 0.99, 0.999, 0.9999, 1.0].map(|quantile| histogram.value_at_quantile(quantile))
}

impl Said {
    /// As everybody's figures are; at full speed the rate is counted to the last answer.
    pub(crate) fn figures(&self, full_speed: bool) -> Figures {
        let rate = if full_speed {
            self.acknowledged as f64 * 1e9 / (self.finished_ns - self.started_ns) as f64
        } else {
            // The first is due at the start, so that the last is due so many intervals later, less one.
            (self.acknowledged - 1) as f64 * 1e9 / (self.last_sent_ns - self.started_ns) as f64
        };
        let [p50, p99, p999, p9999, max] = self.ack_ns.map(|ns| Some(ns as f64 / 1e6));
        Figures { rate, p50, p99, p999, p9999, max, cpu_us: None }
    }
}
