//! The command line, from arguments to the printed summary.

use crate::Test;
use crate::bench::{Bench, TOPIC};
use clap::Parser;
use shakedown_loadgen::cli::{self, LoadArguments};
use shakedown_reports::RunRecord;
use shakedown_reports::record::{Record, StreamKind};
use std::path::Path;

pub(crate) const TESTS: &[Test] = &[
    (
        "command::a_bare_load_leaves_a_run_directory_and_prints_a_summary",
        a_bare_load_leaves_a_run_directory_and_prints_a_summary,
    ),
    ("command::a_load_that_fails_says_so_in_its_run_directory", a_load_that_fails_says_so_in_its_run_directory),
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
