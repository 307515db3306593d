//! `latency.hlog` of a run, read by others: the log processor of HdrHistogram's Java library, which comes with Kafka's jars,
//! and the Python package `hdrhistogram`. They find the same metrics, counts and percentiles as we do.
//!
//! Where Java with Kafka's jars, or a Python with that package (`SHAKEDOWN_HDRHISTOGRAM_PYTHON` names it, `python3`
//! otherwise), is not there, the trial shows as ignored; with `SHAKEDOWN_REQUIRE_PEERS` set, as in CI, it fails instead.

use crate::trial;
use libtest_mimic::Trial;
use serde_json::Value as Json;
use shakedown::Runner;
use shakedown_cluster::apache::Jars;
use shakedown_reports::intervals::{self, Interval};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Two seconds of load, so that there are several intervals of each metric.
const SCENARIO: &str = r#"
name = "others read the log of latencies"
seed = 5

[cluster]
brokers = 1

[topics.orders]
partitions = 2

[flows.end-to-end]
from = "load"
to = "topic orders"

[load]
target = "topic orders"
arrivals = { shape = "poisson", rate = "1000/s", for = "2500ms" }

[expect]
lost = 0
"#;

/// Adds up the intervals of each tag, and tells what came of it as JSON.
const READER: &str = r#"
import json, sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

def empty():
    return HdrHistogram(1, 1 << 50, 3)

totals = {}
reader = HistogramLogReader(sys.argv[1], empty())
while (interval := reader.get_next_interval_histogram()) is not None:
    totals.setdefault(interval.get_tag(), empty()).add(interval)
print(json.dumps({tag: {
    "count": total.get_total_count(),
    "max": total.get_max_value(),
    "percentiles": {p: total.get_value_at_percentile(float(p)) for p in sys.argv[2:]},
} for tag, total in totals.items()}))
"#;

const PERCENTILES: [&str; 6] = ["0", "50", "90", "99", "99.9", "100"];

pub(crate) fn trials() -> Vec<Trial> {
    let required = std::env::var_os("SHAKEDOWN_REQUIRE_PEERS").is_some();
    let skipped = |what: &str, is_there: bool| {
        if !is_there && !required {
            eprintln!("{what} is not installed: its trial is skipped");
        }
        !is_there && !required
    };
    let jar = processor();
    let no_java = skipped("Java with Kafka's jars", jar.is_some());
    let no_python = skipped("Python's package hdrhistogram", has_package());
    vec![
        trial("hlog::the_java_log_processor_reads_it_and_agrees", move || {
            agree_with_java(&jar.expect("Java, and HdrHistogram among Kafka's jars: shakedown doctor --fetch"));
        })
        .with_ignored_flag(no_java),
        trial("hlog::the_python_package_reads_it_and_agrees", agree_with_python).with_ignored_flag(no_python),
    ]
}

/// The jar of the processor, if there is a Java to run it.
fn processor() -> Option<PathBuf> {
    Command::new("java").arg("-version").output().ok().filter(|output| output.status.success())?;
    let jars = Jars::find().ok()?;
    let files = std::fs::read_dir(jars.folder()).ok()?.flatten().map(|entry| entry.path());
    let is_it =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("HdrHistogram-"));
    files.into_iter().find(is_it)
}

fn python() -> OsString {
    std::env::var_os("SHAKEDOWN_HDRHISTOGRAM_PYTHON").unwrap_or_else(|| "python3".into())
}

fn has_package() -> bool {
    let output = Command::new(python()).args(["-c", "import hdrh.log"]).output();
    output.is_ok_and(|output| output.status.success())
}

/// A run's directory, and its log as we read it.
fn recorded() -> (tempfile::TempDir, PathBuf, Vec<Interval>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("hlog.toml");
    std::fs::write(&file, SCENARIO).expect("a scenario file");
    let report = Runner::new(&file).output(folder.path()).run().unwrap_or_else(|error| panic!("{error}"));
    let log = report.directory().join("latency.hlog");
    let intervals = intervals::read(report.directory()).expect("a good log");
    let of_load = intervals.iter().filter(|interval| interval.tag == "ack").count();
    assert!(of_load >= 2, "one interval adds up to itself: {of_load}");
    (folder, log, intervals)
}

fn tags(intervals: &[Interval]) -> BTreeSet<&str> {
    intervals.iter().map(|interval| interval.tag.as_str()).collect()
}

fn told(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}: {complaint}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

fn agree_with_java(jar: &Path) {
    let (_folder, log, intervals) = recorded();
    let processor = |arguments: &[&str]| {
        let mut command = Command::new("java");
        command.arg("-cp").arg(jar).args(["org.HdrHistogram.HistogramLogProcessor", "-i"]).arg(&log).args(arguments);
        told(&mut command)
    };
    let listed = processor(&["-listtags"]);
    let listed: BTreeSet<&str> = listed.lines().skip(1).map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(listed, tags(&intervals));
    for tag in tags(&intervals) {
        let total = intervals::total(&intervals, tag);
        let printed = processor(&["-tag", tag, "-outputValueUnitRatio", "1"]);
        // Value, percentile, how many values are no larger, and a last column that the last row does not have.
        let rows: Vec<Vec<f64>> = printed
            .lines()
            .map(|line| line.split_whitespace().map_while(|word| word.parse().ok()).collect::<Vec<f64>>())
            .filter(|row| row.len() >= 3)
            .collect();
        assert!(rows.len() > 10, "{tag}: {printed}");
        for row in &rows {
            let (value, quantile, no_larger) = (whole(row[0]), row[1], whole(row[2]));
            assert_eq!(total.count_between(0, value), no_larger, "{tag} up to {value}");
            // Their quantiles are rounded to twelve digits, which may name the neighbour of a value.
            let ours = total.value_at_quantile((quantile - 1e-12).max(0.0));
            assert!(ours <= value || quantile == 0.0, "{tag} at {quantile}: {ours} and {value}");
            assert!(
                total.count_between(0, value) as f64 >= quantile * total.len() as f64 - 1e-6,
                "{tag} at {quantile}"
            );
        }
        let last = rows.last().expect("rows");
        assert_eq!((whole(last[0]), whole(last[2])), (total.max(), total.len()), "{tag}: {printed}");
    }
}

fn agree_with_python() {
    let (_folder, log, intervals) = recorded();
    let json: Json =
        serde_json::from_str(&told(Command::new(python()).args(["-c", READER]).arg(&log).args(PERCENTILES)))
            .expect("JSON");
    let theirs = json.as_object().expect("an object");
    assert_eq!(theirs.keys().map(String::as_str).collect::<BTreeSet<_>>(), tags(&intervals));
    for (tag, told) in theirs {
        let total = intervals::total(&intervals, tag);
        assert_eq!((told["count"].as_u64(), told["max"].as_u64()), (Some(total.len()), Some(total.max())), "{tag}");
        for percentile in PERCENTILES {
            let ours = total.value_at_percentile(percentile.parse().expect("a number"));
            let theirs = told["percentiles"][percentile].as_u64().expect("a number");
            assert!(total.equivalent(ours, theirs), "{tag} at {percentile}: {ours} and {theirs}");
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole numbers, printed with a fraction of 0"
)]
fn whole(number: f64) -> u64 {
    number as u64
}
