//! What the command line prints of a load: what was offered, what came of it, and how long that took.

use crate::beside::{Conclusion, LevelOutcome};
use crate::load::LoadSummary;
use crate::plan::LoadPlan;
use crate::tap::TapSummary;
use hdrhistogram::Histogram;
use shakedown_reports::Ending;
use shakedown_reports::numbers::{duration, grouped};
use std::fmt;
use std::path::PathBuf;

/// What the command prints.
#[derive(Debug)]
pub struct CommandReport {
    /// What was planned.
    pub plan: LoadPlan,
    /// Its digest.
    pub digest: String,
    /// How many times shorter LZ4 makes its payloads, where they are raw.
    pub compression: Option<f64>,
    /// What the load came to.
    pub load: LoadSummary,
    /// What the tap saw, if there was one.
    pub tap: Option<TapSummary>,
    /// How it ended, as the run directory has it.
    pub ending: Ending,
    /// What it cost, and whether it can be believed.
    pub conclusion: Conclusion,
    /// The p99 that must hold, in nanoseconds, if any must.
    pub slo_ns: Option<u64>,
    /// Where it is recorded.
    pub directory: PathBuf,
}

impl CommandReport {
    /// How many of the planned messages, or of a shard's part of them, were not acknowledged: refused, unanswered, or never
    /// offered. Anything above zero is a failure of the command.
    #[must_use]
    pub fn unacknowledged(&self) -> u64 {
        self.load.progress.planned.saturating_sub(self.load.progress.acknowledged)
    }

    /// What became of the service level, where one must hold.
    #[must_use]
    pub fn level(&self) -> Option<LevelOutcome> {
        self.slo_ns.map(|slo_ns| self.conclusion.level(self.load.ack.value_at_quantile(0.99), slo_ns))
    }
}

impl fmt::Display for CommandReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plan, load, progress) = (&self.plan, &self.load, &self.load.progress);
        let shape = plan.arrivals.shape.word();
        writeln!(
            formatter,
            "load  {} at {} ({shape})  seed {}  plan {}  driver {}",
            plan.topic,
            plan.arrivals.rate,
            plan.seed,
            &self.digest[..6],
            plan.driver.word()
        )?;
        if let (Some(payload), Some(measured)) = (&plan.payload, self.compression) {
            let (bytes, asked) = (&payload.bytes, payload.compression_ratio);
            writeln!(
                formatter,
                "  payload  {bytes} bytes, asked to compress {asked} times, LZ4 makes it {measured:.2}"
            )?;
        }
        writeln!(
            formatter,
            "  offered       {:>14}   {:.1}/s, {:.1} % of the plan's rate{}",
            grouped(progress.offered),
            load.offered_per_second(),
            load.achieved_ratio() * 100.0,
            if load.stopped_early { ", stopped early" } else { "" },
        )?;
        writeln!(
            formatter,
            "  acknowledged  {:>14}   {:.1}/s",
            grouped(progress.acknowledged),
            load.acknowledged_per_second()
        )?;
        writeln!(formatter, "  failed        {:>14}", grouped(progress.failed))?;
        writeln!(formatter, "  unknown       {:>14}", grouped(progress.unknown))?;
        if progress.queue_full > 0 {
            let blocked = duration(progress.blocked_ns);
            writeln!(formatter, "  queue full    {:>14}   waited {blocked}", grouped(progress.queue_full))?;
        }
        if let Some(tap) = &self.tap {
            writeln!(
                formatter,
                "  consumed      {:>14}   {} unreadable, {} of other runs",
                grouped(tap.count),
                grouped(tap.unreadable),
                grouped(tap.foreign)
            )?;
        }
        write!(formatter, "{}", self.conclusion)?;
        if let (Some(slo_ns), Some(level)) = (self.slo_ns, self.level()) {
            writeln!(formatter, "  slo           p99 <= {}: {level}", duration(slo_ns))?;
        }
        writeln!(formatter)?;
        writeln!(formatter, "  {:<26}{:>11}{:>11}{:>11}{:>11}", "from intended to", "p50", "p99", "p99.9", "max")?;
        row(formatter, "acknowledged", &load.ack)?;
        if let Some(tap) = &self.tap {
            row(formatter, "consumed", &tap.latency)?;
        }
        row(formatter, "sent", &load.delay)?;
        row(formatter, "sent (own lateness)", &load.lateness)?;
        row(formatter, "sent to acknowledged", &load.service)?;
        if let Some(error) = &load.last_error {
            writeln!(formatter, "\n  last error: {error}")?;
        }
        write!(formatter, "\n  recorded in {}", self.directory.display())
    }
}

fn row(formatter: &mut fmt::Formatter<'_>, name: &str, histogram: &Histogram<u64>) -> fmt::Result {
    let at = |quantile| duration(histogram.value_at_quantile(quantile));
    writeln!(formatter, "  {name:<26}{:>11}{:>11}{:>11}{:>11}", at(0.5), at(0.99), at(0.999), duration(histogram.max()))
}
