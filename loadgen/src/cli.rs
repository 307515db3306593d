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
use crate::stop::StopFlag;
use crate::tap::TapSummary;
use crate::taps::{self, TapArgument, Taps, TapsError};
use crate::transactions::arguments::TransactionArguments;
use crate::workload::KEY_PREFIX;
use clap::{Args, ValueEnum};
use shakedown_reports::expectation::LatencyBudget;
use shakedown_reports::numbers::{duration, grouped};
use shakedown_reports::record::{StreamInfo, StreamKind};
use shakedown_reports::{DirectoryError, Ending, RunDirectory, RunInfo};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// How often a running load says where it stands.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where runs are recorded unless somebody says otherwise, beneath the working directory.
pub const OUTPUT: &str = "target/shakedown";

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
    /// Whether messages go in transactions.
    #[command(flatten)]
    pub transactions: TransactionArguments,
    /// Fixes arrivals, keys, payloads and amounts.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Number of keys, from user-0.
    #[arg(long, default_value_t = 1_000)]
    pub users: u32,
    /// Exponent of Zipf's law for keys; all alike without it.
    #[arg(long)]
    pub zipf: Option<f64>,
    /// The Kafka client that offers it. Without a word "direct", which is faster, or librdkafka where a --client property or a
    /// transaction needs it.
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
    /// Read the topic back, and measure when each message can be consumed; or another one that the load comes through to, whose
    /// messages have its header or bytes, or in their JSON, as in "payments:/order_id", the order's id. May be repeated.
    #[arg(long, value_name = "TOPIC", num_args = 0..=1, default_missing_value = "")]
    pub tap: Vec<TapArgument>,
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
    #[arg(long, value_name = "DIRECTORY", default_value = OUTPUT)]
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
pub(crate) struct PropertyError {
    text: String,
}

pub(crate) fn parse_property(text: &str) -> Result<(String, String), PropertyError> {
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
    /// A tap failed.
    #[error(transparent)]
    Taps(#[from] TapsError),
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
        let transactions = self.transactions.plan();
        let fastest = || if transactions.is_some() { Driver::Librdkafka } else { Driver::fastest_with(&client) };
        Ok(LoadPlan {
            payload: self.more.payload(),
            driver: self.driver.unwrap_or_else(fastest),
            transactions,
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
    taps::validate(&arguments.tap, &plan)?;
    let measured = plan.payload.is_some().then(|| compression::measure(&plan));
    let compression = measured.transpose().map_err(LoadError::from)?;
    let info = describe(arguments, &plan, &digest);
    let beside = Beside::new(&info.scenario, arguments.metrics_addr)?;
    let directory = RunDirectory::create(&arguments.out, &info)?;
    match offer(arguments, &plan, clock, &directory, beside, stop) {
        Ok(Offered { load, taps, unread, conclusion }) => {
            let ending = ending(&load, unread, stop.is_stopped());
            directory.write_ending(&ending)?;
            directory.write_summary(&conclusion.summary(&load, began.elapsed()))?;
            let (slo_ns, directory) = (arguments.slo.map(nanoseconds), directory.path().to_owned());
            Ok(CommandReport { plan, digest, compression, load, taps, ending, conclusion, slo_ns, directory })
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
    taps: Vec<TapSummary>,
    /// What they should have read, and have not, in words.
    unread: Vec<String>,
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
    let shard = arguments.shard.shard.unwrap_or(Shard::WHOLE);
    let taps = Taps::start(&arguments.tap, plan, shard, &arguments.bootstrap, clock, directory)?;
    taps.watch(&beside.live);
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
    let patience = if taps.is_empty() || stop.is_stopped() { Duration::ZERO } else { plan.flush_timeout };
    let all_sent = meeting.as_mut().map_or(Ok(true), |meeting| meeting.part(patience, stop));
    if taps.is_empty() {
        return Ok(Offered { load, taps: Vec::new(), unread: Vec::new(), conclusion });
    }
    let unread = taps.drain(&arguments.bootstrap, load.progress.acknowledged, plan.flush_timeout, stop);
    let taps = taps.join()?;
    let mut unread = unread?;
    if !all_sent.map_err(LoadError::from)? {
        unread.push("other shards still sent what a tap has to read when its time was up".to_owned());
    }
    Ok(Offered { load, taps, unread, conclusion })
}

fn open_meeting(arguments: &LoadArguments, shard: ShardPlan, clock: RunClock) -> Result<MeetingPlace, LoadError> {
    eprintln!("shard {} of run {:?} waits for the others in topic {:?}", shard.shard, shard.run, shard.topic);
    let client = arguments.client.iter().cloned().collect();
    MeetingPlace::open(shard, &arguments.bootstrap, &client, clock).map_err(LoadError::from)
}

fn ending(load: &LoadSummary, unread: Vec<String>, interrupted: bool) -> Ending {
    let progress = &load.progress;
    let mut reasons = Vec::new();
    if progress.offered < progress.planned {
        let (offered, planned) = (grouped(progress.offered), grouped(progress.planned));
        reasons.push(format!("only {offered} of {planned} messages were offered"));
    }
    let drained = unread.is_empty();
    reasons.extend(unread);
    Ending { drained, interrupted, reasons, lateness_p99_ns: Some(progress.lateness_p99_ns) }
}

fn describe(arguments: &LoadArguments, plan: &LoadPlan, digest: &str) -> RunInfo {
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
    taps::describe(&arguments.tap, plan, &mut info);
    info
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
        assert_eq!((plan(&[]).payload, plan(&[]).transactions), (None, None));
        let payload = PayloadPlan { bytes: "100..2000".parse().expect("sizes"), compression_ratio: 2.5 };
        assert_eq!(plan(&["--bytes", "100..2000", "--compression-ratio", "2.5"]).payload, Some(payload));
    }

    #[test]
    fn transactions_and_taps_can_be_asked_for() {
        let arguments = parse(&["--tap", "--transactions", "50ms", "--tap", "payments", "--transaction-messages", "9"]);
        let arguments = arguments.expect("allowed");
        assert_eq!(arguments.tap, ["", "payments"].map(|tap| tap.parse().expect("a tap")));
        let plan = arguments.plan(9).expect("a plan");
        assert_eq!(plan.driver, Driver::Librdkafka, "the other one has no transactions");
        let crate::TransactionPlan { every, messages, abort, id } = plan.transactions.expect("asked for");
        assert_eq!((every, messages, abort, id), (Duration::from_millis(50), Some(9), 0.0, None));
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
            &["--transaction-abort", "0.1"],
            &["--transactional-id", "till"],
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
            (["--tap", "payments:order_id"], "write TOPIC, or TOPIC:/POINTER"),
            (["--transactions", "5"], "as in \"250ms\""),
            (["--bytes", "42"], "allowed are 43, which their identity takes, to"),
        ] {
            let error = parse(&arguments).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
