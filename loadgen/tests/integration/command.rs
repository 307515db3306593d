//! The command line, from arguments to the printed summary.

use crate::Test;
use crate::bench::{Bench, TOPIC};
use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};
use shakedown_loadgen::beside::LevelOutcome;
use shakedown_loadgen::cli::{self, LoadArguments};
use shakedown_reports::RunRecord;
use shakedown_reports::record::{Record, StreamKind};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    (
        "command::a_bare_load_leaves_a_run_directory_and_prints_a_summary",
        a_bare_load_leaves_a_run_directory_and_prints_a_summary,
    ),
    (
        "command::a_service_level_that_breaks_by_the_generators_own_doing_says_nothing_of_the_system",
        a_service_level_that_breaks_by_the_generators_own_doing_says_nothing_of_the_system,
    ),
    ("command::a_load_that_fails_says_so_in_its_run_directory", a_load_that_fails_says_so_in_its_run_directory),
    (
        "command::a_load_of_raw_bytes_in_steps_can_be_replayed_from_its_run_directory",
        a_load_of_raw_bytes_in_steps_can_be_replayed_from_its_run_directory,
    ),
    ("command::the_program_itself_offers_merges_and_helps", the_program_itself_offers_merges_and_helps),
    ("command::either_signal_ends_the_program_in_good_order", either_signal_ends_the_program_in_good_order),
];

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    load: LoadArguments,
}

fn a_bare_load_leaves_a_run_directory_and_prints_a_summary() {
    let bench = Bench::new();
    let out = tempfile::tempdir().expect("a temporary directory");
    let out_text = out.path().to_str().expect("UTF-8");
    let arguments = Command::parse_from([
        "loadgen",
        "--bootstrap",
        &bench.bootstrap,
        "--topic",
        TOPIC,
        "--rate",
        "1000/s",
        "--for",
        "300ms",
        "--tap",
        "--out",
        out_text,
    ]);
    let report = cli::run(&arguments.load).expect("the load runs");
    assert_eq!((report.load.progress.acknowledged, report.unacknowledged()), (300, 0));
    assert_eq!(report.tap.as_ref().expect("a tap was asked for").count, 300);

    let text = report.to_string();
    assert!(
        text.starts_with(&format!("load  orders at 1000/s (constant)  seed 42  plan {}", &report.digest[..6])),
        "{text}"
    );
    assert!(text.contains("acknowledged             300"), "{text}");
    assert!(text.contains("consumed                 300   0 unreadable, 0 of other runs"), "{text}");
    let body = text.lines().filter(|line| !line.contains("recorded in"));
    assert!(body.clone().all(|line| line.chars().count() <= 100), "{text}");

    assert!(report.ending.drained && !report.ending.interrupted, "{:?}", report.ending);
    assert_eq!(report.ending.reasons, [""; 0], "it came to its proper end");
    assert_eq!(report.ending.lateness_p99_ns, Some(report.load.progress.lateness_p99_ns));

    let record = RunRecord::open(&report.directory).expect("a readable run");
    assert_eq!(record.ending().expect("a readable ending"), Some(report.ending));
    let kinds: Vec<_> = record.streams().iter().map(|stream| stream.kind).collect();
    assert_eq!(kinds, [StreamKind::Load, StreamKind::Topic]);
    let mut delivered = 0;
    record.deliveries(1, &mut |_| delivered += 1).expect("readable deliveries");
    assert_eq!(delivered, 300);

    let readings = record.resources().expect("good readings");
    assert_eq!(readings.last().map(|reading| reading.messages), cfg!(target_os = "linux").then_some(300));
    let summary = record.summary().expect("a readable summary").expect("it came to its end");
    assert_eq!((summary.usage.is_some(), summary.totals["messages acknowledged"]), (cfg!(target_os = "linux"), 300));
    assert!(text.contains("\n  cpu           "), "{text}");
}

/// What its exit says, and what it prints on either stream.
fn loadgen(arguments: &[&str]) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_loadgen")).args(arguments).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text.into_owned())
}

fn the_program_itself_offers_merges_and_helps() {
    let bench = Bench::new();
    let out = tempfile::tempdir().expect("a temporary directory");
    let out_text = out.path().to_str().expect("UTF-8");
    let load = ["--bootstrap", &bench.bootstrap, "--topic", TOPIC, "--for", "200ms", "--out", out_text];
    let (code, text) = loadgen(&load);
    assert!(code == Some(0) && text.contains("acknowledged             200"), "{code:?} {text}");

    for (arguments, code, says) in [
        (&["--help"][..], 0, "--bootstrap <HOST:PORT,...>"),
        (&["merge", "--help"], 0, "Usage: loadgen merge"),
        (&["--topic", TOPIC], 2, "--bootstrap"),
        (&[], 2, "--bootstrap"),
        (&["merge", out_text, out_text, "--out", out_text], 1, "Error"),
        (&["merge", "--rate", "1/s"], 2, "--rate"),
        (&["--bootstrap", "localhost:1", "merge", out_text], 2, "merge"),
    ] {
        let (actual, text) = loadgen(arguments);
        assert!(actual == Some(code) && text.contains(says), "{arguments:?}: {actual:?} {text}");
    }
}

fn either_signal_ends_the_program_in_good_order() {
    let bench = Bench::new();
    for signal in [Signal::INT, Signal::TERM] {
        let out = tempfile::tempdir().expect("a temporary directory");
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_loadgen"))
            .args([
                "--bootstrap",
                &bench.bootstrap,
                "--topic",
                TOPIC,
                "--rate",
                "500/s",
                "--for",
                "10m",
                "--tap",
                "--out",
            ])
            .arg(out.path())
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut told = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let offers = |line: &std::io::Result<String>| line.as_ref().is_ok_and(|line| line.starts_with("offered "));
        assert!(told.any(|line| offers(&line)), "it says how far it is");
        let began = Instant::now();
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(id, signal).expect("it runs");
        let told: Vec<String> = told.map_while(Result::ok).collect();
        let output = child.wait_with_output().expect("it ends");
        let text = String::from_utf8_lossy(&output.stdout);
        // As for any load that did not come to its end.
        assert!(
            output.status.code() == Some(1) && began.elapsed() < Duration::from_secs(60),
            "{:?} {text}",
            output.status
        );
        assert!(told.iter().any(|line| line.starts_with("interrupted: nothing more is offered")), "{told:?}");
        let run = std::fs::read_dir(out.path()).expect("its folder").flatten().next().expect("a scenario's").path();
        let run = std::fs::read_dir(run).expect("a scenario's folder").flatten().next().expect("a run").path();
        let record = RunRecord::open(&run).expect("a readable run");
        let ending = record.ending().expect("a readable ending").expect("it came to an end");
        assert!(ending.interrupted && ending.drained, "{ending:?}");
    }
}

/// The cap is the generator's own: it holds messages back for hundreds of milliseconds.
fn a_service_level_that_breaks_by_the_generators_own_doing_says_nothing_of_the_system() {
    let bench = Bench::new();
    let out = tempfile::tempdir().expect("a temporary directory");
    let out_text = out.path().to_str().expect("UTF-8");
    let report = |slo: &str| {
        let arguments = ["loadgen", "--bootstrap", &bench.bootstrap, "--topic", TOPIC, "--out", out_text, "--slo", slo];
        let load = ["--rate", "10000/s", "--for", "100ms", "--max-rate", "2000/s"];
        cli::run(&Command::parse_from(arguments.into_iter().chain(load)).load).expect("the load runs")
    };
    let broken = report("20ms");
    assert_eq!(broken.level(), Some(LevelOutcome::Invalid));
    let text = broken.to_string();
    assert!(text.contains("INVALID       the load generator itself was "), "{text}");
    assert!(text.contains("slo           p99 <= 20 ms: not held, and the run is invalid"), "{text}");
    let record = RunRecord::open(&broken.directory).expect("a readable run");
    let summary = record.summary().expect("a readable summary").expect("it came to its end");
    assert!(!summary.validity.is_valid());
    assert_eq!(summary.validity, broken.conclusion.validity);
    assert_eq!(record.info().expectations.latency["acknowledged"].at_most["p99"], 20_000_000);
    // What holds in spite of it holds.
    assert_eq!(report("60s").level(), Some(LevelOutcome::Held));
}

fn a_load_that_fails_says_so_in_its_run_directory() {
    let bench = Bench::new();
    let out = tempfile::tempdir().expect("a temporary directory");
    let out_text = out.path().to_str().expect("UTF-8");
    let arguments =
        ["loadgen", "--bootstrap", &bench.bootstrap, "--topic", TOPIC, "--client", "linger.mz=5", "--out", out_text];
    let error = cli::run(&Command::parse_from(arguments).load).expect_err("there is no such property");

    let only = |directory: &Path| {
        let mut entries = std::fs::read_dir(directory).expect("a directory");
        entries.next().expect("something in it").expect("readable").path()
    };
    let record = RunRecord::open(&only(&only(out.path()))).expect("a readable run");
    let ending = record.ending().expect("a readable ending").expect("it was not killed");
    assert_eq!(ending.reasons, [format!("the load failed: {error}")]);
    assert!(!ending.drained);
}

/// The intended instants of a run, from the first of them, in order.
fn intended_ns(directory: &Path) -> Vec<u64> {
    let mut instants = Vec::new();
    let record = RunRecord::open(directory).expect("a readable run");
    record.operations(&mut |operation| instants.push(operation.intended_ns)).expect("readable operations");
    instants.sort_unstable();
    let first = instants[0];
    instants.into_iter().map(|instant| instant - first).collect()
}

fn a_load_of_raw_bytes_in_steps_can_be_replayed_from_its_run_directory() {
    let bench = Bench::new();
    let out = tempfile::tempdir().expect("a temporary directory");
    let out_text = out.path().to_str().expect("UTF-8");
    let run = |more: &[&str]| {
        let given = ["loadgen", "--bootstrap", &bench.bootstrap, "--topic", TOPIC, "--tap", "--out", out_text];
        cli::run(&Command::parse_from(given.iter().chain(more)).load).expect("the load runs")
    };
    let report = run(&[
        "--steps",
        "1000/s:100ms,4000/s:50ms",
        "--arrivals",
        "poisson",
        "--keys",
        "hot:2:0.5",
        "--bytes",
        "100..300",
        "--compression-ratio",
        "2",
    ]);
    // Raw payloads carry their identity in themselves, and the tap reads it there.
    assert_eq!((report.load.progress.acknowledged, report.unacknowledged()), (300, 0));
    let tap = report.tap.as_ref().expect("a tap was asked for");
    assert_eq!((tap.count, tap.unreadable), (300, 0));
    let text = report.to_string();
    assert!(text.starts_with("load  orders at 4000/s (Poisson steps)  seed 42"), "{text}");
    assert!(text.contains("payload  100..300 bytes, asked to compress 2 times, LZ4 makes it "), "{text}");
    assert!(
        text.lines().filter(|line| !line.contains("recorded in")).all(|line| line.chars().count() <= 100),
        "{text}"
    );

    let path = report.directory.to_str().expect("UTF-8");
    let again = run(&["--replay", path, "--speed", "2"]);
    assert_eq!(again.load.progress.acknowledged, 300);
    let (first, second) = (intended_ns(&report.directory), intended_ns(&again.directory));
    assert_eq!(first.iter().map(|instant| instant / 2).collect::<Vec<_>>(), second);
}
