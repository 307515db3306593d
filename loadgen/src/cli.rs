//! The command line of `loadgen`, reused as `shakedown load`.
//!
//! Owns the arguments, the run directory of a bare load, and the summary that is printed. Judges nothing: what is
//! recorded here can be checked later.

use crate::clock::RunClock;
use crate::duration_text::{self, DurationTextError};
use crate::identity_rule::IdentityRule;
use crate::keys::KeySpace;
use crate::load::{Load, LoadError, LoadSummary, Progress};
use crate::plan::LoadPlan;
use crate::rate::Rate;
use crate::schedule::{Arrivals, Shape};
use crate::stop::StopFlag;
use crate::tap::{self, Tap, TapError, TapPlan, TapSummary};
use crate::workload::KEY_PREFIX;
use clap::{Args, ValueEnum};
use hdrhistogram::Histogram;
use shakedown_reports::numbers::{duration, grouped};
use shakedown_reports::record::{Flow, StreamId, StreamInfo, StreamKind};
use shakedown_reports::{DirectoryError, Ending, RunDirectory, RunInfo};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

const LOAD_STREAM: StreamId = 0;
const TAP_STREAM: StreamId = 1;
/// How often a running load says where it stands.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What to offer, to whom.
#[derive(Debug, Clone, Args)]
pub struct LoadArguments {
    /// Servers of the cluster, as in "localhost:9092".
    #[arg(long, value_name = "HOST:PORT,...")]
    pub bootstrap: String,
    /// Topic to offer to; it must exist.
    #[arg(long)]
    pub topic: String,
    /// Messages per s, m, h or a duration, as in "500/s".
    #[arg(long, default_value = "1000/s")]
    pub rate: Rate,
    /// For how long, as in "10s".
    #[arg(long = "for", value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub duration: Duration,
    /// How arrivals are spread.
    #[arg(long, value_enum, default_value_t = ArrivalShape::Constant)]
    pub arrivals: ArrivalShape,
    /// Fixes arrivals, keys, payloads and amounts.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Number of keys, from user-0.
    #[arg(long, default_value_t = 1_000)]
    pub users: u32,
    /// Exponent of Zipf's law for keys; all alike without it.
    #[arg(long)]
    pub zipf: Option<f64>,
    /// Cap on what is sent, whatever the rate; what it holds back is late.
    #[arg(long)]
    pub max_rate: Option<Rate>,
    /// How long unanswered messages are waited for at the end.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub flush_timeout: Duration,
    /// Property of librdkafka, as in "linger.ms=0"; may be repeated.
    #[arg(long = "client", value_name = "NAME=VALUE", value_parser = parse_property)]
    pub client: Vec<(String, String)>,
    /// Read the topic back, and measure when each message can be consumed.
    #[arg(long)]
    pub tap: bool,
    /// Directory under which the run is recorded.
    #[arg(long, value_name = "DIRECTORY", default_value = "target/shakedown")]
    pub out: PathBuf,
}

/// [`Shape`] on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ArrivalShape {
    /// Evenly.
    Constant,
    /// Independently of one another.
    Poisson,
}

fn parse_duration(text: &str) -> Result<Duration, DurationTextError> {
    duration_text::parse(text)
}

/// A property that is none.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is no property: write NAME=VALUE, as in \"linger.ms=0\"")]
struct PropertyError {
    text: String,
}

fn parse_property(text: &str) -> Result<(String, String), PropertyError> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(PropertyError { text: text.to_owned() }),
    }
}

/// Why the command did not come to a summary.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The load failed.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The tap failed.
    #[error(transparent)]
    Tap(#[from] TapError),
    /// The record failed.
    #[error(transparent)]
    Record(#[from] DirectoryError),
}

/// What the command prints.
#[derive(Debug)]
pub struct CommandReport {
    /// What was planned.
    pub plan: LoadPlan,
    /// Its digest.
    pub digest: String,
    /// What the load came to.
    pub load: LoadSummary,
    /// What the tap saw, if there was one.
    pub tap: Option<TapSummary>,
    /// How it ended, as the run directory has it.
    pub ending: Ending,
    /// Where it is recorded.
    pub directory: PathBuf,
}

impl CommandReport {
    /// How many of the planned messages were not acknowledged: refused, unanswered, or never offered. Anything above zero
    /// is a failure of the command.
    #[must_use]
    pub fn unacknowledged(&self) -> u64 {
        self.plan.total().unwrap_or(u64::MAX).saturating_sub(self.load.progress.acknowledged)
    }
}

impl LoadArguments {
    /// The plan that these arguments describe.
    #[must_use]
    pub fn plan(&self, run: u32) -> LoadPlan {
        let shape = match self.arrivals {
            ArrivalShape::Constant => Shape::Constant,
            ArrivalShape::Poisson => Shape::Poisson,
        };
        let arrivals = Arrivals { shape, rate: self.rate, duration: self.duration };
        let keys = KeySpace { users: self.users, zipf: self.zipf };
        LoadPlan {
            client: self.client.iter().cloned().collect::<BTreeMap<_, _>>(),
            max_rate: self.max_rate,
            flush_timeout: self.flush_timeout,
            ..LoadPlan::new(self.seed, run, &self.topic, arrivals, keys)
        }
    }
}

/// Offers the load to its end, with a line a second on standard error. However it ends, the run directory says so; one
/// that does not was killed.
///
/// # Errors
/// When the plan, the cluster or the record is not fit.
pub fn run(arguments: &LoadArguments) -> Result<CommandReport, CommandError> {
    let clock = RunClock::start();
    // Runs on one topic are told apart by the second in which they began.
    let run = u32::try_from(clock.now_ns() / 1_000_000_000).unwrap_or(u32::MAX);
    let plan = arguments.plan(run);
    let digest = plan.digest().map_err(LoadError::from)?;
    let directory = RunDirectory::create(&arguments.out, &describe(arguments, &digest))?;
    match offer(arguments, &plan, clock, &directory) {
        Ok((load, tap, drained)) => {
            let ending = ending(&load, drained);
            directory.write_ending(&ending)?;
            Ok(CommandReport { plan, digest, load, tap, ending, directory: directory.path().to_owned() })
        }
        Err(error) => {
            let ending = Ending { reasons: vec![format!("the load failed: {error}")], ..Ending::default() };
            // The first error is the one to tell.
            drop(directory.write_ending(&ending));
            Err(error)
        }
    }
}

/// Offers and reads back; also whether everything that the topic holds was read.
fn offer(
    arguments: &LoadArguments,
    plan: &LoadPlan,
    clock: RunClock,
    directory: &RunDirectory,
) -> Result<(LoadSummary, Option<TapSummary>, bool), CommandError> {
    let stop_tap = StopFlag::new();
    let tap = arguments.tap.then(|| start_tap(arguments, plan, clock, directory, &stop_tap)).transpose()?;
    let load = Load::start(
        plan,
        &arguments.bootstrap,
        clock,
        directory.operation_writer()?,
        directory.interval_log(),
        StopFlag::new(),
    )?;
    watch(&load);
    let load = load.join()?;
    match tap {
        Some(tap) => {
            let drained = drain(&tap, &arguments.bootstrap, &arguments.topic, plan.flush_timeout);
            stop_tap.stop();
            let tap = tap.join()?;
            Ok((load, Some(tap), drained?))
        }
        None => Ok((load, None, true)),
    }
}

fn ending(load: &LoadSummary, drained: bool) -> Ending {
    let progress = &load.progress;
    let mut reasons = Vec::new();
    if progress.offered < progress.planned {
        let (offered, planned) = (grouped(progress.offered), grouped(progress.planned));
        reasons.push(format!("only {offered} of {planned} messages were offered"));
    }
    if !drained {
        reasons.push("the tap had not read all that the topic holds when its time was up".to_owned());
    }
    Ending { drained, interrupted: false, reasons, lateness_p99_ns: Some(progress.lateness_p99_ns) }
}

fn describe(arguments: &LoadArguments, digest: &str) -> RunInfo {
    let mut info = RunInfo::new(&format!("load {}", arguments.topic), arguments.seed);
    digest.clone_into(&mut info.plan_digest);
    "external".clone_into(&mut info.backend);
    info.versions.insert("shakedown".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    info.versions.insert("librdkafka".to_owned(), rdkafka::util::get_rdkafka_version().1);
    KEY_PREFIX.clone_into(&mut info.key_prefix);
    info.streams.push(StreamInfo { name: "load".to_owned(), kind: StreamKind::Load });
    if arguments.tap {
        info.streams.push(StreamInfo { name: arguments.topic.clone(), kind: StreamKind::Topic });
        info.flows.push(Flow { from: LOAD_STREAM, to: TAP_STREAM });
    }
    info
}

fn start_tap(
    arguments: &LoadArguments,
    plan: &LoadPlan,
    clock: RunClock,
    directory: &RunDirectory,
    stop: &StopFlag,
) -> Result<Tap, CommandError> {
    let total = plan.total().map_err(LoadError::from)?;
    let mut tap = TapPlan::new(TAP_STREAM, &arguments.topic, IdentityRule::Header, plan.seed, total);
    tap.run = Some(plan.run);
    let deliveries = directory.delivery_writer(TAP_STREAM)?;
    let intervals = directory.interval_log();
    Ok(Tap::start(tap, &arguments.bootstrap, clock, deliveries, directory.interner(), intervals, stop.clone())?)
}

fn watch(load: &Load) {
    let mut last = Instant::now();
    while !load.is_finished() {
        thread::sleep(LOOK_EVERY);
        if last.elapsed() >= PROGRESS_EVERY {
            last = Instant::now();
            eprintln!("{}", progress_line(&load.progress()));
        }
    }
}

fn progress_line(progress: &Progress) -> String {
    format!(
        "offered {} of {}, acknowledged {}, failed {}, unknown {}, in flight {}, p99 {}, late p99 {}",
        grouped(progress.offered),
        grouped(progress.planned),
        grouped(progress.acknowledged),
        grouped(progress.failed),
        grouped(progress.unknown),
        grouped(progress.in_flight),
        duration(progress.ack_p99_ns),
        duration(progress.lateness_p99_ns),
    )
}

/// Waits until the tap has seen what the topic holds, or the time is up; whether it has.
fn drain(tap: &Tap, bootstrap: &str, topic: &str, timeout: Duration) -> Result<bool, TapError> {
    let deadline = Instant::now() + timeout;
    let high_watermarks = tap::high_watermarks(bootstrap, topic)?;
    while !tap.drained(&high_watermarks) && !tap.is_finished() && Instant::now() < deadline {
        thread::sleep(LOOK_EVERY);
    }
    Ok(tap.drained(&high_watermarks))
}

impl fmt::Display for CommandReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plan, load, progress) = (&self.plan, &self.load, &self.load.progress);
        let shape = match plan.arrivals.shape {
            Shape::Constant => "constant",
            Shape::Poisson => "Poisson",
            Shape::Ramp { .. } => "ramp",
        };
        writeln!(
            formatter,
            "load  {} at {} ({shape})  seed {}  plan {}",
            plan.topic,
            plan.arrivals.rate,
            plan.seed,
            &self.digest[..6]
        )?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        load: LoadArguments,
    }

    fn parse(arguments: &[&str]) -> Result<LoadArguments, clap::Error> {
        let given = ["loadgen", "--bootstrap", "localhost:9092", "--topic", "orders"];
        Command::try_parse_from(given.iter().chain(arguments)).map(|command| command.load)
    }

    #[test]
    fn arguments_become_a_plan() {
        let arguments = parse(&[
            "--rate",
            "500/s",
            "--for",
            "2s",
            "--arrivals",
            "poisson",
            "--users",
            "7",
            "--zipf",
            "0.9",
            "--client",
            "linger.ms=0",
            "--client",
            "acks=1",
            "--max-rate",
            "600/s",
            "--flush-timeout",
            "5s",
        ])
        .expect("allowed");
        let plan = arguments.plan(9);
        assert_eq!((plan.seed, plan.run, plan.total()), (42, 9, Ok(1_000)));
        assert_eq!(plan.arrivals.shape, Shape::Poisson);
        assert_eq!(plan.keys, KeySpace { users: 7, zipf: Some(0.9) });
        assert_eq!(plan.client.get("linger.ms").map(String::as_str), Some("0"));
        assert_eq!(plan.client.get("acks").map(String::as_str), Some("1"));
        assert_eq!(plan.max_rate, Some("600/s".parse().expect("a rate")));
        assert_eq!(plan.flush_timeout, Duration::from_secs(5));
    }

    #[test]
    fn wrong_arguments_say_what_is_allowed() {
        for (arguments, expected) in [
            (["--rate", "fast"], "as in \"500/s\""),
            (["--for", "10"], "as in \"250ms\""),
            (["--client", "linger"], "as in \"linger.ms=0\""),
            (["--arrivals", "burst"], "constant, poisson"),
        ] {
            let error = parse(&arguments).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
