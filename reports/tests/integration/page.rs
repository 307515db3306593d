//! Run directories as pages, documents and results of tests: escaped, bounded, and of whatever a run left behind.

use crate::sample::{self, STARTED_NS};
use shakedown_reports::overview::{RunState, gather};
use shakedown_reports::record::{Outcome as Ended, StreamInfo, StreamKind};
use shakedown_reports::verdict::{Finding, Outcome, Story, StoryEvent, Verdict};
use shakedown_reports::{Ending, Event, EventKind, Overview, RunDirectory, RunInfo, RunRecord, Summary, Validity};
use shakedown_reports::{html, json, junit};

const SECOND: u64 = 1_000_000_000;
const HOSTILE: &str = "</style><script>alert('x')</script>&\"";

/// Everything that a run can name, with a hostile name.
fn hostile() -> (tempfile::TempDir, Overview) {
    let root = tempfile::tempdir().expect("a temporary directory");
    let info = RunInfo {
        scenario: HOSTILE.to_owned(),
        scenario_text: HOSTILE.to_owned(),
        streams: vec![
            StreamInfo { name: "load".to_owned(), kind: StreamKind::Load },
            StreamInfo { name: HOSTILE.to_owned(), kind: StreamKind::Topic },
        ],
        flows: Vec::new(),
        ..sample::info()
    };
    let run = RunDirectory::create(root.path(), &info).expect("the run starts");
    let mut operations = run.operation_writer().expect("operations are wanted");
    (0..500).for_each(|n| operations.push(&sample::operation(n)));
    operations.finish().expect("written");
    run.delivery_writer(1).expect("a sink").finish().expect("written");
    let mut histogram = hdrhistogram::Histogram::<u64>::new(3).expect("three digits");
    (1..500).for_each(|n| histogram.record(n * 10_000).expect("it resizes"));
    for tag in ["ack", "service", "deliver:<b>orders</b>"] {
        run.interval_log().record(tag, STARTED_NS, STARTED_NS + SECOND, &histogram).expect("written");
    }
    let phase = || EventKind::Phase { name: "load".to_owned() };
    let fault = |healed| EventKind::Fault { fault: HOSTILE.to_owned(), healed };
    for (at_ms, kind) in
        [(0, phase()), (100, fault(false)), (300, fault(true)), (400, EventKind::Warning), (500, phase())]
    {
        let event = Event { at_ns: STARTED_NS + at_ms * 1_000_000, kind, text: HOSTILE.to_owned() };
        run.event(&event).expect("written");
    }
    let story = Story {
        title: HOSTILE.to_owned(),
        events: vec![StoryEvent { at_ns: Some(STARTED_NS + 5), text: HOSTILE.to_owned() }],
    };
    let finding = |outcome, evidence| Finding {
        check: "lost".to_owned(),
        subject: HOSTILE.to_owned(),
        outcome,
        compared: 500,
        found: 1,
        detail: HOSTILE.to_owned(),
        evidence,
    };
    let findings = vec![finding(Outcome::Fail, vec![story]), finding(Outcome::Pass, Vec::new())];
    let verdict = Verdict::new(findings, vec![HOSTILE.to_owned()]);
    let mut summary =
        Summary { elapsed_ms: 900, validity: Validity::of(vec![HOSTILE.to_owned()]), ..Summary::default() };
    summary.line("load", HOSTILE);
    run.write_verdict(&verdict).expect("written");
    run.write_summary(&summary).expect("written");
    run.write_ending(&Ending { drained: true, lateness_p99_ns: Some(90_000), ..Ending::default() }).expect("written");
    let record = RunRecord::open(run.path()).expect("readable");
    let overview = gather(run.path(), &record, verdict).expect("readable");
    (root, overview)
}

#[test]
fn nothing_that_a_run_names_is_taken_for_the_page() {
    let (_root, overview) = hostile();
    assert_eq!(overview.state, RunState::Finished);
    let page = html::render(&overview).expect("a page");
    assert_eq!(page.matches("</style>").count(), 1, "our own");
    assert!(!page.contains("<script") && !page.contains("<b>orders"), "{page}");
    assert!(page.matches("&lt;script&gt;").count() > 8, "{page}");
    assert!(page.contains("INVALID MEASUREMENT") && page.contains("a fault had struck"), "{page}");

    let results = junit::render(&overview).expect("results");
    assert!(!results.contains("<script"), "{results}");
    assert_eq!(results.matches("<testcase ").count(), 3);
    assert!(results.contains("tests=\"3\" skipped=\"0\" failures=\"1\" errors=\"1\""), "{results}");
}

#[test]
fn results_of_tests_are_as_servers_read_them() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let run = RunDirectory::create(root.path(), &sample::info()).expect("the run starts");
    let finding = |check: &str, outcome, detail: &str| Finding {
        check: check.to_owned(),
        subject: "load -> topic orders".to_owned(),
        outcome,
        compared: 600,
        found: 2,
        detail: detail.to_owned(),
        evidence: Vec::new(),
    };
    let story = Story {
        title: "message 731 (key user-17)".to_owned(),
        events: vec![StoryEvent { at_ns: Some(STARTED_NS + 4_018_000_000), text: "acknowledged".to_owned() }],
    };
    let findings = vec![
        finding("duplicated", Outcome::Pass, ""),
        Finding { evidence: vec![story], ..finding("lost", Outcome::Fail, "2 of 600") },
        finding("latency", Outcome::Inconclusive, "too few"),
    ];
    let verdict = Verdict::new(findings, vec!["the fault never fired: kill".to_owned()]);
    run.write_verdict(&verdict).expect("written");
    run.write_ending(&Ending { drained: true, ..Ending::default() }).expect("written");
    let record = RunRecord::open(run.path()).expect("readable");
    let overview = gather(run.path(), &record, verdict).expect("readable");
    insta::assert_snapshot!(junit::render(&overview).expect("results"));
}

#[test]
fn the_page_of_a_long_run_is_as_large_as_that_of_a_short_one() {
    let page = |operations: u32, every_ns: u64| {
        let root = tempfile::tempdir().expect("a temporary directory");
        let run = RunDirectory::create(root.path(), &sample::info()).expect("the run starts");
        let mut writer = run.operation_writer().expect("operations are wanted");
        for n in 0..operations {
            let intended_ns = STARTED_NS + u64::from(n) * every_ns;
            let mut operation = sample::operation(n);
            operation.partition = i32::try_from(n % 200).expect("a small number");
            operation.intended_ns = intended_ns;
            operation.sent_ns = intended_ns + 1_000;
            // Latencies that differ from cell to cell, so that none can be drawn as one.
            operation.completed_ns = intended_ns + 100_000 * (1 + u64::from(n.wrapping_mul(2_654_435_761) >> 20));
            operation.outcome = Ended::Ok;
            writer.push(&operation);
        }
        writer.finish().expect("written");
        let mut histogram = hdrhistogram::Histogram::<u64>::new(3).expect("three digits");
        histogram.record(8_100_000).expect("it resizes");
        let seconds = u64::from(operations) * every_ns / SECOND;
        for second in 0..seconds.min(2_000) {
            let start_ns = STARTED_NS + second * seconds.div_ceil(2_000) * SECOND;
            run.interval_log().record("deliver:orders", start_ns, start_ns + SECOND, &histogram).expect("written");
        }
        let record = RunRecord::open(run.path()).expect("readable");
        let overview = gather(run.path(), &record, Verdict::new(Vec::new(), Vec::new())).expect("readable");
        assert!(overview.slots.len() <= 300 && overview.hops[0].points.len() <= 301);
        assert_eq!(overview.counted(), (u64::from(operations), u64::from(operations)), "merged, not dropped");
        html::render(&overview).expect("a page").len()
    };
    let (short, long) = (page(20_000, 1_000_000), page(20_000, 20 * SECOND));
    assert!(long < 2_000_000 && short < 2_000_000, "{short} and {long} bytes");
}

#[test]
fn a_run_that_was_killed_at_once_is_shown_as_that() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let run = RunDirectory::create(root.path(), &sample::info()).expect("the run starts");
    let path = run.path().to_owned();
    let record = RunRecord::open(&path).expect("readable");
    let verdict = Verdict::new(Vec::new(), Ending::of_killed_run().reasons);
    let overview = gather(&path, &record, verdict.clone()).expect("readable");
    assert_eq!(overview.state, RunState::Running, "somebody holds its directory");
    let page = html::render(&overview).expect("a page");
    assert!(page.contains("RUNNING") && page.contains("still under way"), "{page}");
    // Whatever ends a process, the system closes its files.
    drop(run);
    let overview = gather(&path, &record, verdict).expect("readable");
    assert_eq!(overview.state, RunState::Killed);
    let page = html::render(&overview).expect("a page");
    assert!(page.contains("KILLED") && page.contains("This run was killed"), "{page}");
    assert!(page.contains("operations.bin was never written"), "what is missing is told: {page}");
    assert!(!page.contains("<svg"), "there is nothing to draw");
    let document: serde_json::Value = serde_json::from_str(&json::render(&overview).expect("JSON")).expect("JSON");
    assert_eq!((&document["state"], &document["summary"]), (&"killed".into(), &serde_json::Value::Null));
}
