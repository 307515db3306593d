//! The command line of `loadgen`, reused as `shakedown load`.
//!
//! Owns the arguments, the run directory of a bare load, and the summary that is printed. Judges nothing: what is
//! recorded here can be checked later.

use crate::beside::{Beside, Conclusion};
use crate::clock::{RunClock, nanoseconds};
pub use crate::command_report::CommandReport;
use crate::compression;
use crate::driver::Driver;
use crate::duration_text::{self, DurationTextError};
use crate::identity_rule::IdentityRule;
use crate::keys::{KeyDraw, KeySpace};
use crate::live::Live;
use crate::load::{Load, LoadError, LoadSummary, Progress, Start};
use crate::metrics_server::{MetricsAddress, MetricsError};
use crate::part::Shard;
use crate::plan::LoadPlan;
use crate::plan_arguments::{PlanArguments, PlanArgumentsError};
use crate::rate::Rate;
use crate::sampler::SamplerError;
use crate::schedule::Process;
use crate::shards::arguments::ShardArguments;
use crate::shards::client::{MeetingPlace, ShardPlan};
use crate::stop::{Patience, StopFlag};
use crate::tap::{self, Tap, TapError, TapPlan, TapSummary};
use crate::workload::KEY_PREFIX;
use clap::{Args, ValueEnum};
use shakedown_reports::expectation::LatencyBudget;
use shakedown_reports::numbers::{duration, grouped};
use shakedown_reports::record::{Flow, StreamId, StreamInfo, StreamKind};
use shakedown_reports::{DirectoryError, Ending, RunDirectory, RunInfo};
use std::collections::BTreeMap;
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
    /// How arrivals follow the rate.
    #[arg(long, value_enum, default_value_t = ArrivalShape::Constant)]
    pub arrivals: ArrivalShape,
    /// How arrivals, keys and payloads differ from the usual.
    #[command(flatten)]
    pub more: PlanArguments,
    /// Fixes arrivals, keys, payloads and amounts.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Number of keys, from user-0.
    #[arg(long, default_value_t = 1_000)]
    pub users: u32,
    /// Exponent of Zipf's law for keys; all alike without it.
    #[arg(long)]
    pub zipf: Option<f64>,
    /// The Kafka client that offers it. Without a word "direct", which is faster, or librdkafka where a --client property needs it.
    #[arg(long, value_enum)]
    pub driver: Option<Driver>,
    /// Kafka clients that offer the load, each the messages of keys of its own.
    #[arg(long, default_value_t = 1)]
    pub producers: u32,
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
    /// Measure each partition by itself, too.
    #[arg(long)]
    pub per_partition: bool,
    /// The p99 from the intended instant to the acknowledgement that must hold, as in "20ms"; where the generator itself was
    /// unfit to measure, nothing is said of the system.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub slo: Option<Duration>,
    /// Serve metrics for Prometheus here while the load runs, at /metrics; a port alone is for this machine only.
    #[arg(long, value_name = "HOST:PORT")]
    pub metrics_addr: Option<MetricsAddress>,
    /// Which part of the plan this process offers.
    #[command(flatten)]
    pub shard: ShardArguments,
    /// Directory under which the run is recorded.
    #[arg(long, value_name = "DIRECTORY", default_value = "target/shakedown")]
    pub out: PathBuf,
}

/// [`Process`] on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ArrivalShape {
    /// Evenly.
    Constant,
    /// Independently of one another.
    Poisson,
}

pub(crate) fn parse_duration(text: &str) -> Result<Duration, DurationTextError> {
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
    /// The arguments make no plan.
    #[error(transparent)]
    Plan(#[from] PlanArgumentsError),
    /// The load failed.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The tap failed.
    #[error(transparent)]
    Tap(#[from] TapError),
    /// The record failed.
    #[error(transparent)]
    Record(#[from] DirectoryError),
    /// Metrics cannot be served.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// What the load costs could not be written down.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
}

impl LoadArguments {
    /// The plan that these arguments describe.
    ///
    /// # Errors
    /// When they describe none: a recording that cannot be read, steps that last no time.
    pub fn plan(&self, run: u32) -> Result<LoadPlan, PlanArgumentsError> {
        let process = match self.arrivals {
            ArrivalShape::Constant => Process::Even,
            ArrivalShape::Poisson => Process::Poisson,
        };
        let arrivals = self.more.arrivals(self.rate, self.duration, process)?;
        let draw = self.more.keys.or_else(|| self.zipf.map(KeyDraw::Zipf)).unwrap_or_default();
        let keys = KeySpace { users: self.users, draw };
        let client: BTreeMap<String, String> = self.client.iter().cloned().collect();
        Ok(LoadPlan {
            payload: self.more.payload(),
            driver: self.driver.unwrap_or_else(|| Driver::fastest_with(&client)),
            client,
            max_rate: self.max_rate,
            producers: self.producers,
            flush_timeout: self.flush_timeout,
            measures_partitions: self.per_partition,
            ..LoadPlan::new(self.seed, run, &self.topic, arrivals, keys)
        })
    }
}

/// Offers the load to its end, with a line a second on standard error. However it ends, the run directory says so; one
/// that does not was killed.
///
/// # Errors
/// When the plan, the cluster or the record is not fit.
pub fn run(arguments: &LoadArguments) -> Result<CommandReport, CommandError> {
    run_until(arguments, &StopFlag::new())
}

/// As [`run`], and ends in good order when somebody raises the flag: what was offered by then is waited for and
/// recorded.
///
/// # Errors
/// As [`run`], and when the flag is raised before the first message.
pub fn run_until(arguments: &LoadArguments, stop: &StopFlag) -> Result<CommandReport, CommandError> {
    let (clock, began) = (RunClock::start(), Instant::now());
    // Runs on one topic are told apart by the second in which they began, or by the name that shards agree on.
    let began_s = u32::try_from(clock.now_ns() / 1_000_000_000).unwrap_or(u32::MAX);
    let plan = arguments.plan(arguments.shard.plan().map_or(began_s, |shard| shard.run_number()))?;
    let digest = plan.digest().map_err(LoadError::from)?;
    let measured = plan.payload.is_some().then(|| compression::measure(&plan));
    let compression = measured.transpose().map_err(LoadError::from)?;
    let info = describe(arguments, &digest);
    let beside = Beside::new(&info.scenario, arguments.metrics_addr)?;
    let directory = RunDirectory::create(&arguments.out, &info)?;
    match offer(arguments, &plan, clock, &directory, beside, stop) {
        Ok(Offered { load, tap, drained, conclusion }) => {
            let ending = ending(&load, drained, stop.is_stopped());
            directory.write_ending(&ending)?;
            directory.write_summary(&conclusion.summary(&load, began.elapsed()))?;
            let (slo_ns, directory) = (arguments.slo.map(nanoseconds), directory.path().to_owned());
            Ok(CommandReport { plan, digest, compression, load, tap, ending, conclusion, slo_ns, directory })
        }
        Err(error) => {
            let (reasons, interrupted) = (vec![format!("the load failed: {error}")], stop.is_stopped());
            let ending = Ending { reasons, interrupted, ..Ending::default() };
            // The first error is the one to tell.
            drop(directory.write_ending(&ending));
            Err(error)
        }
    }
}

/// What was offered, and what came of it.
struct Offered {
    load: LoadSummary,
    tap: Option<TapSummary>,
    /// Whether everything that the topic holds was read.
    drained: bool,
    conclusion: Conclusion,
}

/// Offers and reads back.
fn offer(
    arguments: &LoadArguments,
    plan: &LoadPlan,
    clock: RunClock,
    directory: &RunDirectory,
    mut beside: Beside,
    stop: &StopFlag,
) -> Result<Offered, CommandError> {
    let stop_tap = StopFlag::new();
    let tap = arguments.tap.then(|| start_tap(arguments, plan, clock, directory, &stop_tap)).transpose()?;
    if let Some(tap) = &tap {
        beside.live.watch(tap.gauges());
    }
    let shard = arguments.shard.plan();
    let mut meeting = shard.map(|shard| open_meeting(arguments, shard, clock)).transpose()?;
    // Behind the clients of the meeting, which are no part of the load either.
    beside.before_load();
    let (operations, intervals, flag) = (directory.operation_writer()?, directory.interval_log(), stop.clone());
    let load = match &mut meeting {
        None => Load::start(plan, &arguments.bootstrap, clock, operations, intervals, flag)?,
        Some(meeting) => {
            let digest = plan.digest().map_err(LoadError::from)?;
            let shard = meeting.shard();
            let meet = || Ok(Start { at_ns: meeting.meet(&digest, stop)?, run: plan.run });
            Load::start_shard(plan, shard, &arguments.bootstrap, clock, operations, intervals, flag, meet)?
        }
    };
    beside.load_began(&load, clock, directory)?;
    watch(&load, &beside.live);
    let load = load.join()?;
    let conclusion = beside.load_ended(&load, arguments.slo.map(nanoseconds), directory)?;
    // What other shards still send belongs to what a tap reads; they are told in any case.
    let patience = if tap.is_some() && !stop.is_stopped() { plan.flush_timeout } else { Duration::ZERO };
    let all_sent = meeting.as_mut().map_or(Ok(true), |meeting| meeting.part(patience, stop));
    let Some(tap) = tap else { return Ok(Offered { load, tap: None, drained: true, conclusion }) };
    let drained = drain(&tap, arguments, plan.flush_timeout, stop);
    stop_tap.stop();
    let tap = tap.join()?;
    Ok(Offered { load, tap: Some(tap), drained: drained? && all_sent.map_err(LoadError::from)?, conclusion })
}

fn open_meeting(arguments: &LoadArguments, shard: ShardPlan, clock: RunClock) -> Result<MeetingPlace, LoadError> {
    eprintln!("shard {} of run {:?} waits for the others in topic {:?}", shard.shard, shard.run, shard.topic);
    let client = arguments.client.iter().cloned().collect();
    MeetingPlace::open(shard, &arguments.bootstrap, &client, clock).map_err(LoadError::from)
}

fn ending(load: &LoadSummary, drained: bool, interrupted: bool) -> Ending {
    let progress = &load.progress;
    let mut reasons = Vec::new();
    if progress.offered < progress.planned {
        let (offered, planned) = (grouped(progress.offered), grouped(progress.planned));
        reasons.push(format!("only {offered} of {planned} messages were offered"));
    }
    if !drained {
        reasons.push("the tap had not read all that the topic holds when its time was up".to_owned());
    }
    Ending { drained, interrupted, reasons, lateness_p99_ns: Some(progress.lateness_p99_ns) }
}

fn describe(arguments: &LoadArguments, digest: &str) -> RunInfo {
    let name = match arguments.shard.plan() {
        None => format!("load {}", arguments.topic),
        Some(ShardPlan { shard, run, .. }) => format!("load {} shard {shard} of {run}", arguments.topic),
    };
    let mut info = RunInfo::new(&name, arguments.seed);
    digest.clone_into(&mut info.plan_digest);
    "external".clone_into(&mut info.backend);
    info.versions.insert("shakedown".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    info.versions.insert("librdkafka".to_owned(), rdkafka::util::get_rdkafka_version().1);
    KEY_PREFIX.clone_into(&mut info.key_prefix);
    info.streams.push(StreamInfo { name: "load".to_owned(), kind: StreamKind::Load });
    if let Some(slo) = arguments.slo {
        let at_most = BTreeMap::from([("p99".to_owned(), nanoseconds(slo))]);
        let budget = LatencyBudget { at_most, ..LatencyBudget::default() };
        info.expectations.latency.insert("acknowledged".to_owned(), budget);
    }
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
    tap.shard = arguments.shard.shard.unwrap_or(Shard::WHOLE);
    tap.measures_partitions = arguments.per_partition;
    let deliveries = directory.delivery_writer(TAP_STREAM)?;
    let intervals = directory.interval_log();
    Ok(Tap::start(tap, &arguments.bootstrap, clock, deliveries, directory.interner(), intervals, stop.clone())?)
}

fn watch(load: &Load, live: &Live) {
    let mut last = Instant::now();
    while !load.is_finished() {
        thread::sleep(LOOK_EVERY);
        live.note_progress(load.progress());
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

/// Waits until the tap has seen what the topic holds, or the time is up, of which there is less once somebody has stopped the
/// load; whether it has.
fn drain(tap: &Tap, arguments: &LoadArguments, timeout: Duration, stop: &StopFlag) -> Result<bool, TapError> {
    let mut patience = Patience::new(timeout);
    let high_watermarks = tap::high_watermarks(&arguments.bootstrap, &arguments.topic)?;
    while !tap.drained(&high_watermarks) && !tap.is_finished() && !patience.is_over(stop) {
        thread::sleep(LOOK_EVERY);
    }
    Ok(tap.drained(&high_watermarks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::HotSet;
    use crate::payload::PayloadPlan;
    use crate::schedule::Shape;
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
            "--producers",
            "3",
            "--max-rate",
            "600/s",
            "--flush-timeout",
            "5s",
        ])
        .expect("allowed");
        let plan = arguments.plan(9).expect("a plan");
        assert_eq!((plan.seed, plan.run, plan.total()), (42, 9, Ok(1_000)));
        assert_eq!(plan.arrivals.shape, Shape::Poisson);
        assert_eq!(plan.keys, KeySpace { users: 7, draw: KeyDraw::Zipf(0.9) });
        assert_eq!(plan.client.get("linger.ms").map(String::as_str), Some("0"));
        assert_eq!(plan.client.get("acks").map(String::as_str), Some("1"));
        assert_eq!(plan.max_rate, Some("600/s".parse().expect("a rate")));
        assert_eq!(plan.producers, 3);
        assert_eq!(plan.flush_timeout, Duration::from_secs(5));
    }

    #[test]
    fn every_shape_can_be_asked_for() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let recording = folder.path().join("arrivals");
        std::fs::write(&recording, "100\n300\n200\n").expect("a file");
        let recording = recording.to_str().expect("UTF-8");
        for (arguments, word, total) in [
            (&[][..], "constant", 10_000),
            (&["--arrivals", "poisson"], "Poisson", 10_000),
            (&["--from", "500/s"], "ramp", 7_500),
            (&["--from", "500/s", "--arrivals", "poisson"], "Poisson ramp", 7_500),
            (&["--steps", "100/s:2s,500/s:1s"], "steps", 700),
            (&["--steps", "100/s:2s, 500/s:1s", "--arrivals", "poisson"], "Poisson steps", 700),
            (&["--rate", "100/s", "--burst", "1000/s:500ms:5s"], "bursts", 1_450),
            (&["--replay", recording, "--speed", "0.5"], "replay", 3),
        ] {
            let plan = parse(arguments).expect("allowed").plan(9).expect("a plan");
            assert_eq!((plan.arrivals.shape.word(), plan.total()), (word, Ok(total)), "{arguments:?}");
        }
        let plan = parse(&["--replay", "no/such/file"]).expect("allowed").plan(9).expect_err("refused");
        assert!(plan.to_string().starts_with("the recording no/such/file cannot be read"), "{plan}");
    }

    #[test]
    fn keys_and_payloads_can_be_asked_for() {
        let plan = |arguments: &[&str]| parse(arguments).expect("allowed").plan(9).expect("a plan");
        assert_eq!(plan(&["--keys", "sequential"]).keys.draw, KeyDraw::Sequential);
        assert_eq!(plan(&["--keys", "zipf:1.1"]).keys.draw, KeyDraw::Zipf(1.1));
        assert_eq!(plan(&["--keys", "hot:10:0.8"]).keys.draw, KeyDraw::Hot(HotSet { keys: 10, share: 0.8 }));
        assert_eq!(plan(&[]).payload, None);
        let payload = PayloadPlan { bytes: "100..2000".parse().expect("sizes"), compression_ratio: 2.5 };
        assert_eq!(plan(&["--bytes", "100..2000", "--compression-ratio", "2.5"]).payload, Some(payload));
    }

    #[test]
    fn arguments_that_contradict_one_another_are_refused() {
        for arguments in [
            &["--steps", "1/s:1s", "--rate", "5/s"][..],
            &["--steps", "1/s:1s", "--for", "5s"],
            &["--steps", "1/s:1s", "--burst", "1000/s:500ms:5s"],
            &["--from", "1/s", "--steps", "1/s:1s"],
            &["--from", "1/s", "--burst", "1000/s:500ms:5s"],
            &["--replay", "file", "--rate", "5/s"],
            &["--replay", "file", "--arrivals", "poisson"],
            &["--speed", "2"],
            &["--keys", "sequential", "--zipf", "0.9"],
            &["--compression-ratio", "2"],
        ] {
            let error = parse(arguments).expect_err("refused").to_string();
            assert!(error.contains("cannot be used with") || error.contains("required"), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn wrong_arguments_say_what_is_allowed() {
        for (arguments, expected) in [
            (["--rate", "fast"], "as in \"500/s\""),
            (["--for", "10"], "as in \"250ms\""),
            (["--client", "linger"], "as in \"linger.ms=0\""),
            (["--arrivals", "burst"], "constant, poisson"),
            (["--steps", "100/s"], "RATE:TIME, as in \"100/s:10s\""),
            (["--burst", "100/s:5s"], "RATE:LENGTH:EVERY, as in \"1000/s:500ms:5s\""),
            (["--keys", "warm"], "uniform, sequential, zipf:EXPONENT or hot:KEYS:SHARE"),
            (["--bytes", "many"], "write bytes as \"200\""),
            (["--bytes", "42"], "allowed are 43, which their identity takes, to"),
        ] {
            let error = parse(&arguments).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
