//! What the command line prints of a load: what was offered, what came of it, and how long that took.

use crate::beside::{Conclusion, LevelOutcome, line};
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
    /// What each tap saw.
    pub taps: Vec<TapSummary>,
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
    /// offered; but for those whose transactions the plan has aborted. Anything above zero is a failure of the command.
    #[must_use]
    pub fn unacknowledged(&self) -> u64 {
        let progress = &self.load.progress;
        progress.planned.saturating_sub(progress.acknowledged).saturating_sub(progress.aborted_on_purpose)
    }

    /// What became of the service level, where one must hold.
    #[must_use]
    pub fn level(&self) -> Option<LevelOutcome> {
        self.slo_ns.map(|slo_ns| self.conclusion.level(self.load.ack.value_at_quantile(0.99), slo_ns))
    }
}

/// Parts of the text.
impl CommandReport {
    /// How many messages, transactions and deliveries.
    fn counts(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (load, progress) = (&self.load, &self.load.progress);
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
        if self.plan.transactions.is_some() {
            let purpose = match progress.aborted_on_purpose {
                0 => String::new(),
                messages => format!(", with {} messages on purpose", grouped(messages)),
            };
            let (committed, aborted) = (grouped(progress.committed), grouped(progress.aborted));
            let undecided = match progress.undecided {
                0 => String::new(),
                number => format!(", {} of which nobody knows", grouped(number)),
            };
            writeln!(formatter, "  transactions  {committed:>14}   committed, {aborted} aborted{purpose}{undecided}")?;
        }
        if progress.queue_full > 0 {
            let blocked = duration(progress.blocked_ns);
            let what = if self.plan.transactions.is_some() { "held back" } else { "queue full" };
            writeln!(formatter, "  {what:<14}{:>14}   waited {blocked}", grouped(progress.queue_full))?;
        }
        for tap in &self.taps {
            let (count, unreadable, foreign) = (grouped(tap.count), grouped(tap.unreadable), grouped(tap.foreign));
            let topic = if self.taps.len() > 1 { format!(", {}", tap.topic) } else { String::new() };
            writeln!(
                formatter,
                "  consumed      {count:>14}   {unreadable} unreadable, {foreign} of other runs{topic}"
            )?;
        }
        Ok(())
    }

    /// How long everything took.
    fn latencies(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let load = &self.load;
        writeln!(formatter, "  {:<26}{:>11}{:>11}{:>11}{:>11}", "from intended to", "p50", "p99", "p99.9", "max")?;
        row(formatter, "acknowledged", &load.ack)?;
        for tap in self.taps.iter().filter(|tap| !tap.latency.is_empty()) {
            match self.taps.len() {
                1 => row(formatter, "consumed", &tap.latency)?,
                _ => row(formatter, &format!("consumed, {}", tap.topic), &tap.latency)?,
            }
        }
        row(formatter, "sent", &load.delay)?;
        row(formatter, "sent (own lateness)", &load.lateness)?;
        row(formatter, "sent to acknowledged", &load.service)?;
        if let Some(commit) = &load.commit {
            row(formatter, "transaction end to commit", commit)?;
        }
        Ok(())
    }
}

impl fmt::Display for CommandReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plan, load) = (&self.plan, &self.load);
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
        self.counts(formatter)?;
        for reason in &self.ending.reasons {
            line(formatter, "incomplete", reason)?;
        }
        write!(formatter, "{}", self.conclusion)?;
        if let (Some(slo_ns), Some(level)) = (self.slo_ns, self.level()) {
            writeln!(formatter, "  slo           p99 <= {}: {level}", duration(slo_ns))?;
        }
        writeln!(formatter)?;
        self.latencies(formatter)?;
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
