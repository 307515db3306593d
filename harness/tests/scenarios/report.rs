//! `shakedown report`: every format of a finished run, and of one that was killed with torn files behind it.

use crate::{tool, trial};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::Value as Json;
use shakedown_reports::record::Record as _;
use shakedown_reports::{RunRecord, intervals};
use std::fs::{self, OpenOptions};
use std::path::Path;

/// A run of half a second, with a name that has to be escaped everywhere.
const SCENARIO: &str = r#"
name = "<script>alert(1)</script> & \"more\""
seed = 1

[cluster]
brokers = 1

[topics.orders]
partitions = 3

[flows.end-to-end]
from = "load"
to = "topic orders"

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "400/s", for = "500ms" }

[expect]
lost = 0
duplicated = 0
"#;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("report::a_finished_run_has_its_page_and_every_other_format", finished),
        trial("report::a_killed_run_is_rendered_as_far_as_it_came", killed),
        trial("report::wants_a_run_directory_and_a_place_to_write_to", || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let output = tool::shakedown(&["report", &folder.path().display().to_string()]);
            assert_eq!(output.status.code(), Some(2));
            assert!(String::from_utf8_lossy(&output.stderr).contains("is not a run directory"));
        }),
    ]
}

fn finished() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("scenario.toml");
    fs::write(&file, SCENARIO).expect("a file");
    let runs = folder.path().join("runs").display().to_string();
    let output = tool::shakedown(&["run", &file.display().to_string(), "--out", &runs]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{printed}");
    let run = tool::run_of(folder.path());
    let page_file = run.join("report.html");
    assert!(printed.contains(&page_file.display().to_string()), "{printed}");

    let page = fs::read_to_string(&page_file).expect("the page");
    assert_eq!(rendered(&run, "html"), page, "rendering again changes nothing");
    assert_self_contained(&page);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains("<script"), "{page}");
    for section in ["Checks", "Percentiles", "Latency over time", "Throughput", "Partitions", "Timeline", "Validity"] {
        assert!(page.contains(&format!("<h2>{section}</h2>")), "{section} is missing");
    }
    assert_eq!(rendered(&run, "text"), printed, "the same as after the run");

    let json: Json = serde_json::from_str(&rendered(&run, "json")).expect("JSON");
    assert_eq!((json["document"].as_str(), json["version"].as_u64()), (Some("shakedown-report"), Some(1)));
    assert_eq!(json["state"], "finished");
    assert_eq!(json["verdict"]["outcome"], "pass");
    assert_eq!(acknowledged(&json), 200);
    let ack = metric(&json, "ack");
    assert_eq!(ack["count"], 200);
    let rows = json["partitions"]["rows"].as_array().expect("partitions");
    assert_eq!(rows.iter().map(|row| row["count"].as_u64().expect("a number")).sum::<u64>(), 200);

    let junit = rendered(&run, "junit");
    let findings = json["verdict"]["findings"].as_array().expect("findings").len();
    assert_eq!(junit.matches("<testcase ").count(), findings + 1, "{junit}");
    assert!(junit.contains("failures=\"0\" errors=\"0\"") && !junit.contains("<script"), "{junit}");

    let written = folder.path().join("page.html");
    let run = run.display().to_string();
    let output = tool::shakedown(&["report", &run, "--format", "html", "--output", &written.display().to_string()]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    assert_eq!(fs::read_to_string(written).expect("the page"), page);
    let output = tool::shakedown(&["report", &run, "--output", &folder.path().join("no/such").display().to_string()]);
    assert_eq!(output.status.code(), Some(4));
}

fn killed() {
    // Two blocks of operations, so that one is left when the last one is torn, and an interval in the log of latencies.
    let is_under_way = |run: &Path| {
        let mut operations = 0;
        let counted = RunRecord::open(run).and_then(|record| record.operations(&mut |_| operations += 1));
        let intervals = intervals::read(run).unwrap_or_default();
        counted.is_ok() && operations >= 300 && intervals.iter().any(|interval| interval.tag == "ack")
    };
    let (folder, status) = tool::signalled_when(Signal::KILL, is_under_way);
    assert_eq!(status, None, "killed by the signal");
    let run = tool::run_of(folder.path());
    for missing in ["summary.json", "verdict.json", "ending.json", "report.html"] {
        assert!(!run.join(missing).exists(), "{missing} is there: the run was not killed in its middle");
    }
    let whole = assert_rendered(&run);
    let checked = tool::shakedown(&["check", &run.display().to_string()]);
    let told = String::from_utf8_lossy(&checked.stdout);
    assert_eq!(checked.status.code(), Some(3), "{told}");
    assert!(told.contains("This run was killed") && !told.contains(" in 0 ns"), "{told}");
    // What the page cache loses when a machine dies is cut anywhere.
    tear(&run);
    let torn = assert_rendered(&run);
    assert!(torn < whole && torn > 0, "{torn} of {whole} operations are left");
}

/// Renders what is left of a killed run in all formats; how many acknowledged operations it tells of.
fn assert_rendered(run: &Path) -> u64 {
    let text = rendered(run, "text");
    assert!(text.contains("the run was killed before its end") && text.contains("This run was killed"), "{text}");
    let page = rendered(run, "html");
    assert_self_contained(&page);
    assert!(page.contains("KILLED") && page.contains("This run was killed"), "{page}");
    assert!(page.contains("<h2>Latency over time</h2>") && page.contains("<h2>Percentiles</h2>"), "{page}");
    assert!(page.contains("was not finished"), "what the record lacks is told: {page}");
    let json: Json = serde_json::from_str(&rendered(run, "json")).expect("JSON");
    assert_eq!(json["state"], "killed");
    assert_eq!(json["summary"], Json::Null);
    assert_eq!(json["verdict"]["outcome"], "inconclusive");
    assert!(metric(&json, "ack")["count"].as_u64().is_some_and(|count| count > 0), "{json}");
    let junit = rendered(run, "junit");
    assert!(junit.contains("<error") && junit.contains("killed"), "{junit}");
    let acknowledged = acknowledged(&json);
    assert!(acknowledged > 0, "{json}");
    acknowledged
}

/// Cuts the last bytes off every stream, and leaves half a line in every file of lines.
fn tear(run: &Path) {
    for file in ["operations.bin", "latency.hlog", "events.jsonl"] {
        let path = run.join(file);
        let length = fs::metadata(&path).expect("the file").len();
        OpenOptions::new().write(true).open(path).and_then(|open| open.set_len(length - 7)).expect("cut");
    }
}

fn rendered(run: &Path, format: &str) -> String {
    let output = tool::shakedown(&["report", &run.display().to_string(), "--format", format]);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{format}: {complaint}");
    String::from_utf8(output.stdout).expect("text")
}

/// Nothing that a browser would fetch, or run.
fn assert_self_contained(page: &str) {
    for fetched in ["src=", "href=", "url(", "@import", "<script", "<link", "<iframe", "<object", "<img"] {
        assert!(!page.contains(fetched), "the page has {fetched}");
    }
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("default-src 'none'"), "{page}");
}

fn metric<'a>(json: &'a Json, tag: &str) -> &'a Json {
    let metrics = json["latency"].as_array().expect("metrics");
    metrics.iter().find(|metric| metric["tag"] == tag).unwrap_or_else(|| panic!("no {tag}: {json}"))
}

fn acknowledged(json: &Json) -> u64 {
    let slots = json["load"]["slots"].as_array().expect("slots");
    slots.iter().map(|slot| slot["acknowledged"].as_u64().expect("a number")).sum()
}
