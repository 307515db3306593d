//! What takes long, or a processor of its own: `SHAKEDOWN_SOAK=1` runs it, and an optimised build should.
//!
//! - the rate that is offered is the rate that was asked for, from 1,000/s to 0.8 of the most that is possible;
//! - a broker that stands still for 500 ms is in the percentiles with its true weight;
//! - memory after 100 million messages is that after 10 million. `SHAKEDOWN_SOAK_MESSAGES` says another number.

#[path = "../../benches/peers/open_loop.rs"]
mod open_loop;

use crate::Test;
use crate::bench::DRIVER;
use crate::ground::{Ground, TOPIC};
use shakedown_loadgen::{Arrivals, KeySpace, Load, LoadPlan, LoadSummary, RunClock, Shape, StopFlag};
use shakedown_reports::record::{Record, StreamInfo, StreamKind};
use shakedown_reports::{RunDirectory, RunInfo, RunRecord};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// What every driver promises; nothing but where somebody has asked for it.
pub(crate) fn of_every_driver() -> Vec<Test> {
    asked_for(&[
        ("soak::the_rate_is_the_one_that_was_asked_for", the_rate_is_the_one_that_was_asked_for),
        ("soak::a_broker_that_stands_still_has_its_true_weight", a_broker_that_stands_still_has_its_true_weight),
    ])
}

/// What `loadgen` promises as it is; nothing but where somebody has asked for it.
pub(crate) fn of_the_program() -> Vec<Test> {
    asked_for(&[("soak::memory_does_not_grow_with_messages", memory_does_not_grow_with_messages)])
}

fn asked_for(tests: &[Test]) -> Vec<Test> {
    if std::env::var_os("SHAKEDOWN_SOAK").is_some() { tests.to_vec() } else { Vec::new() }
}

/// For how long as much as possible is offered.
const MOST_FOR: Duration = Duration::from_secs(20);
/// How far a rate may be from the one that was asked for.
const RATE_ERROR_MAX: f64 = 0.001;
/// How far a percentile may be from what arithmetic says.
const STALL_ERROR_MAX: f64 = 0.05;
/// What memory may grow by from the tenth part of the messages to all of them: a tenth of a byte a message, of 100 million.
const GROWTH_MAX_KIB: u64 = 10_000;

/// One load on a broker of its own.
struct Soak {
    ground: Ground,
    clock: RunClock,
    directory: RunDirectory,
    /// Dropped last: it holds the directory.
    _root: TempDir,
}

impl Soak {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let mut info = RunInfo::new("soak", 42);
        info.streams.push(StreamInfo { name: "load".to_owned(), kind: StreamKind::Load });
        let directory = RunDirectory::create(root.path(), &info).expect("a run directory");
        Self { ground: Ground::new(4), clock: RunClock::start(), directory, _root: root }
    }

    fn start(&self, plan: &LoadPlan) -> Load {
        self.start_until(plan, StopFlag::new())
    }

    fn start_until(&self, plan: &LoadPlan, stop: StopFlag) -> Load {
        let operations = self.directory.operation_writer().expect("one load a run");
        let intervals = self.directory.interval_log();
        Load::start(plan, &self.ground.bootstrap, self.clock, operations, intervals, stop).expect("the load starts")
    }

    /// The most that is possible here, for long enough that no queue, nor a disk that has not caught up, makes it look like more.
    fn most() -> f64 {
        let (soak, stop) = (Self::new(), StopFlag::new());
        let load = soak.start_until(&plan(20_000_000, 20_000_000 * 2 * MOST_FOR.as_secs()), stop.clone());
        thread::sleep(MOST_FOR);
        stop.stop();
        load.join().expect("the load is recorded").acknowledged_per_second()
    }

    fn run(plan: &LoadPlan) -> LoadSummary {
        let summary = Self::new().start(plan).join().expect("the load is recorded");
        assert_eq!(summary.progress.acknowledged, summary.progress.planned, "{:?}", summary.last_error);
        summary
    }
}

fn plan(rate: u64, messages: u64) -> LoadPlan {
    let rate_text = format!("{rate}/s").parse().expect("a rate");
    let duration = Duration::from_nanos(messages * 1_000_000_000 / rate);
    let arrivals = Arrivals { shape: Shape::Constant, rate: rate_text, duration };
    LoadPlan { driver: DRIVER.get(), ..LoadPlan::new(42, 7, TOPIC, arrivals, KeySpace::uniform(1_000)) }
}

fn the_rate_is_the_one_that_was_asked_for() {
    let most = Soak::most();
    eprintln!("at full speed {most:.0}/s");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some million messages a second")]
    let fast = (most * 0.8) as u64 / 1_000 * 1_000;
    for rate in [1_000, 10_000, 100_000, fast] {
        let summary = Soak::run(&plan(rate, rate * 30));
        // The first is due at the start, so that the last is due so many intervals later, less one.
        let intervals = (summary.progress.offered - 1) as f64;
        let reached = intervals * 1e9 / (summary.last_sent_ns - summary.started_ns) as f64;
        let error = reached / rate as f64 - 1.0;
        eprintln!(
            "{rate}/s for 30 s: {reached:.2}/s, error {:+.4} %, late p99 {} us",
            error * 100.0,
            summary.progress.lateness_p99_ns / 1_000
        );
        assert!(error.abs() <= RATE_ERROR_MAX, "{reached}/s instead of {rate}/s");
    }
}

fn a_broker_that_stands_still_has_its_true_weight() {
    let soak = Soak::new();
    let load = soak.start(&plan(10_000, 100_000));
    while load.progress().offered < 40_000 {
        thread::sleep(Duration::from_millis(20));
    }
    let from_ns = soak.clock.now_ns();
    soak.ground.cluster.pause(1).expect("it runs");
    thread::sleep(Duration::from_millis(500));
    soak.ground.cluster.resume(1).expect("it runs");
    let stall = (from_ns, soak.clock.now_ns());
    let summary = load.join().expect("the load is recorded");
    assert_eq!(summary.progress.acknowledged, 100_000);
    let mut operations = Vec::new();
    let record = RunRecord::open(soak.directory.path()).expect("a readable run");
    record.operations(&mut |operation| operations.push(*operation)).expect("readable operations");
    let expected = open_loop::expected(&operations, stall);
    for ((quantile, expected), exact) in open_loop::QUANTILES.iter().zip(expected).zip(open_loop::seen(&operations)) {
        let reported = summary.ack.value_at_quantile(*quantile);
        eprintln!("p{}: {reported} ns reported, {exact} ns recorded, {expected} ns by arithmetic", quantile * 100.0);
        for seen in [reported, exact] {
            let error = (seen as f64 / expected as f64 - 1.0).abs();
            assert!(error <= STALL_ERROR_MAX, "p{}: {seen} ns, not {expected} ns", quantile * 100.0);
        }
    }
    assert!(expected[1] > 350_000_000, "the stall is what is seen at p99");
}

/// The load generator as a process of its own: the broker's memory is none of its business.
fn memory_does_not_grow_with_messages() {
    let messages = std::env::var("SHAKEDOWN_SOAK_MESSAGES").map_or(100_000_000, |text| text.parse().expect("a number"));
    let ground = Ground::new(4);
    let out = tempfile::tempdir().expect("a temporary directory");
    let mut loadgen = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["--bootstrap", &ground.bootstrap, "--topic", TOPIC, "--rate", "20000000/s"])
        // What a queue may hold is constant, too, but how full it is when somebody looks is not: the default is 60 MB of these.
        .args(["--client", "queue.buffering.max.messages=20000"])
        .args(["--for", &format!("{}us", messages / 20), "--out"])
        .arg(out.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // A line a second says how far it is.
    let (mut early_kib, mut late_kib) = (None, 0);
    for line in BufReader::new(loadgen.stderr.take().expect("a pipe")).lines().map_while(Result::ok) {
        let Some(acknowledged) = line.split("acknowledged ").nth(1) else { continue };
        let digits: String =
            acknowledged.split(", ").take(1).flat_map(str::chars).filter(char::is_ascii_digit).collect();
        if digits.parse::<u64>().expect("a number of messages") >= messages / 10 {
            late_kib = resident_kib(loadgen.id()).unwrap_or(late_kib);
            early_kib.get_or_insert(late_kib);
        }
    }
    assert!(loadgen.wait().expect("it ends").success(), "everything is acknowledged");
    let early_kib = early_kib.expect("it says how far it is");
    eprintln!("{early_kib} KiB after {} messages, {late_kib} KiB at the end of {messages}", messages / 10);
    assert!(late_kib <= early_kib + GROWTH_MAX_KIB, "{early_kib} KiB became {late_kib} KiB");
}

/// Memory of a process; none of one that has just ended.
fn resident_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
