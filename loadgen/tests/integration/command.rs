//! The command line, from arguments to the printed summary.

use crate::bench::{Bench, TOPIC};
use clap::Parser;
use shakedown_loadgen::cli::{self, LoadArguments};
use shakedown_reports::RunRecord;
use shakedown_reports::record::{Record, StreamKind};

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    load: LoadArguments,
}

#[test]
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
    assert_eq!(report.load.progress.acknowledged, 300);
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

    let record = RunRecord::open(&report.directory).expect("a readable run");
    let kinds: Vec<_> = record.streams().iter().map(|stream| stream.kind).collect();
    assert_eq!(kinds, [StreamKind::Load, StreamKind::Topic]);
    let mut delivered = 0;
    record.deliveries(1, &mut |_| delivered += 1).expect("readable deliveries");
    assert_eq!(delivered, 300);
}
