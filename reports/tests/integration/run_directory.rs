//! What is written is what is read, by name and by number.

use crate::sample::{self, STARTED_NS};
use shakedown_reports::books::{BookWriter, Fact, file_name};
use shakedown_reports::course::Trouble;
use shakedown_reports::identity::{Identity, Key};
use shakedown_reports::record::{Delivery, Figure, Record, RecordError};
use shakedown_reports::verdict::{Outcome, Verdict};
use shakedown_reports::watch::{Commit, CommitKind, Reading, Watch};
use shakedown_reports::{Ending, Event, EventKind, RunDirectory, RunInfo, RunRecord, Summary};
use std::fs;
use std::io::Write;

#[test]
fn a_finished_run_is_read_as_it_was_written() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let info = sample::info();
    let run = RunDirectory::create(root.path(), &info).expect("the run starts");
    let interner = run.interner();
    let mut operations = run.operation_writer().expect("operations are wanted");
    let mut topic = run.delivery_writer(1).expect("the topic is a sink");
    let mut ledger = run.delivery_writer(2).expect("the ledger is a sink");
    // More than two blocks, as each ends after a second, and no whole number of them.
    (0..2_500).for_each(|n| operations.push(&sample::operation(n)));
    (0..2_500).for_each(|n| topic.push(&sample::delivery(n)));
    let named =
        Delivery { identity: interner.identity("6f1c-order"), key: interner.key("berta"), ..sample::delivery(1) };
    ledger.push(&named);
    assert_eq!(operations.finish().expect("operations are written"), 2_500);
    assert_eq!(topic.finish().expect("deliveries are written"), 2_500);
    assert_eq!(ledger.finish().expect("deliveries are written"), 1);
    let event = Event { at_ns: STARTED_NS, kind: EventKind::Load, text: "the load begins".to_owned() };
    run.event(&event).expect("events are written");
    let figure = Figure { name: "tracker.orders".to_owned(), value: 2_500 };
    run.write_figures(std::slice::from_ref(&figure)).expect("figures are written");
    let verdict = Verdict::new(Vec::new(), vec!["nothing was asked".to_owned()]);
    run.write_verdict(&verdict).expect("the verdict is written");
    let summary = Summary { elapsed_ms: 7, ..Summary::default() };
    run.write_summary(&summary).expect("the summary is written");
    let ending = Ending { drained: true, lateness_p99_ns: Some(9), ..Ending::default() };
    run.write_ending(&ending).expect("the ending is written");

    let record = RunRecord::open(run.path()).expect("the run is readable");
    assert_eq!(record.info(), &info);
    assert_eq!(record.streams(), info.streams);
    assert_eq!(record.flows(), info.flows);
    assert_eq!(record.figures(), [figure]);
    assert_eq!(record.defects(), [""; 0]);
    assert_eq!(
        sample::operations(&record).expect("operations are readable"),
        (0..2_500).map(sample::operation).collect::<Vec<_>>()
    );
    let mut deliveries = Vec::new();
    record.deliveries(1, &mut |delivery| deliveries.push(*delivery)).expect("deliveries are readable");
    assert_eq!(deliveries, (0..2_500).map(sample::delivery).collect::<Vec<_>>());
    let mut entries = Vec::new();
    record.deliveries(2, &mut |delivery| entries.push(*delivery)).expect("deliveries are readable");
    assert_eq!(entries, [named]);
    assert_eq!(record.identity_label(named.identity), "6f1c-order");
    assert_eq!(record.key_label(named.key), "berta");
    assert_eq!(record.identity_label(Identity::planned(731)), "731");
    assert_eq!(record.key_label(Key::planned(17)), "user-17");
    assert_eq!(record.key_label(Key::ABSENT), "(none)");
    assert_eq!(record.events().expect("events are readable"), [event]);
    assert_eq!(record.verdict().expect("the verdict is readable"), Some(verdict));
    assert_eq!(record.summary().expect("the summary is readable"), Some(summary));
    assert_eq!(record.ending().expect("the ending is readable"), Some(ending));
}

#[test]
fn what_was_watched_is_read_as_it_was_written() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let watch =
        Watch { topic: "orders".to_owned(), group: Some("tracker".to_owned()), source: Some(1), sinks: vec![2] };
    let info = RunInfo { watches: vec![watch], streams: Vec::new(), flows: Vec::new(), ..sample::info() };
    let run = RunDirectory::create(root.path(), &info).expect("the run starts");
    let never = RunRecord::open(run.path()).expect("the run is readable");
    let defects = [
        "commits of groups: commits.bin was never written",
        "readings of groups and logs: readings.bin was never written",
    ];
    assert_eq!(never.defects(), defects);

    let commit = |offset| Commit {
        watch: 0,
        kind: CommitKind::Member,
        partition: 3,
        offset,
        leader_epoch: 1,
        generation: 2,
        log_offset: offset + 1,
        committed_ms: 5,
        seen_ns: STARTED_NS,
    };
    let reading = |end| Reading {
        watch: 0,
        partition: 3,
        start: 0,
        stable: end,
        end,
        committed: -1,
        asked_ns: STARTED_NS,
        answered_ns: STARTED_NS + 1,
    };
    let (mut commits, mut readings) = (run.commit_writer().expect("a run"), run.reading_writer().expect("a run"));
    // More than two blocks, as they are all of one instant, and no whole number of them.
    (0..9_000).for_each(|n| commits.push(&commit(n)));
    (0..9_000).for_each(|n| readings.push(&reading(n)));
    commits.finish().expect("commits are written");
    readings.finish().expect("readings are written");
    let fault = |at_ns, healed| {
        let kind = EventKind::Fault { fault: "kill".to_owned(), healed };
        run.event(&Event { at_ns, kind, text: String::new() }).expect("events are written");
    };
    fault(STARTED_NS + 5, false);
    fault(STARTED_NS + 9, true);

    let record = RunRecord::open(run.path()).expect("the run is readable");
    assert_eq!(record.defects(), [""; 0]);
    assert_eq!(record.watches(), info.watches);
    let (mut read_commits, mut read_readings) = (Vec::new(), Vec::new());
    record.commits(&mut |commit| read_commits.push(*commit)).expect("commits are readable");
    record.readings(&mut |reading| read_readings.push(*reading)).expect("readings are readable");
    assert_eq!(read_commits, (0..9_000).map(commit).collect::<Vec<_>>());
    assert_eq!(read_readings, (0..9_000).map(reading).collect::<Vec<_>>());
    assert_eq!(record.course().troubles, [Trouble { since_ns: STARTED_NS + 5, until_ns: STARTED_NS + 9 }]);
}

#[test]
fn names_are_on_disk_before_the_entries_that_use_them() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let run = RunDirectory::create(root.path(), &sample::info()).expect("the run starts");
    let mut ledger = run.delivery_writer(2).expect("the ledger is a sink");
    let identity = run.interner().identity("6f1c-order");
    ledger.push(&Delivery { identity, ..sample::delivery(1) });
    ledger.flush();
    // Neither the writer nor the interner is finished or dropped: this is what kill -9 leaves.
    let record = RunRecord::open(run.path()).expect("the run is readable");
    let mut labels = Vec::new();
    record.deliveries(2, &mut |delivery| labels.push(record.identity_label(delivery.identity))).expect("readable");
    assert_eq!(labels, ["6f1c-order"]);
    ledger.finish().expect("the ledger is written");
}

#[test]
fn a_second_of_entries_reaches_the_disk_by_itself() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let run = RunDirectory::create(root.path(), &sample::info()).expect("the run starts");
    let mut operations = run.operation_writer().expect("operations are wanted");
    let read = || sample::operations(&RunRecord::open(run.path()).expect("readable")).expect("readable").len();
    // One operation a millisecond: the thousandth and first is a second younger than the first.
    (0..1_000).for_each(|n| operations.push(&sample::operation(n)));
    assert_eq!(read(), 0);
    operations.push(&sample::operation(1_000));
    assert_eq!(read(), 1_001);
    drop(operations);
}

#[test]
fn a_killed_run_says_what_it_lacks() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let run = RunDirectory::create(root.path(), &sample::info()).expect("the run starts");
    let mut operations = run.operation_writer().expect("operations are wanted");
    operations.push(&sample::operation(0));
    drop(operations);
    let mut events = fs::OpenOptions::new().append(true).open(run.path().join("events.jsonl")).expect("events exist");
    run.event(&Event { at_ns: 1, kind: EventKind::Load, text: "begun".to_owned() }).expect("events are written");
    events.write_all(b"{\"at_ns\":2,\"ki").expect("half an event is written");

    let record = RunRecord::open(run.path()).expect("the run is readable");
    let expected = [
        "load: operations.bin was not finished: 1 entries are readable, 0 torn bytes were cut off",
        "topic orders: deliveries-1.bin was never written",
        "ledger tracker: deliveries-2.bin was never written",
    ];
    assert_eq!(record.defects(), expected);
    assert_eq!(sample::operations(&record).expect("what is there is readable").len(), 1);
    assert_eq!(record.events().expect("whole lines are readable").len(), 1);
    assert_eq!(record.verdict().expect("no verdict is no error"), None);
    assert_eq!(record.ending().expect("no ending is no error"), None);
}

#[test]
fn a_verdict_is_as_bad_as_its_worst_part() {
    assert_eq!(Verdict::new(Vec::new(), Vec::new()).outcome, Outcome::Inconclusive);
}

#[test]
fn a_run_of_another_format_is_refused_by_name() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let mut info = sample::info();
    info.format = 2;
    let run = RunDirectory::create(root.path(), &info).expect("the run starts");
    let error = RunRecord::open(run.path()).expect_err("version 2 is unknown");
    assert_eq!(
        error.to_string(),
        "run.json is not a readable part of a run: its format is version 2, this program reads 1"
    );
    let missing = RunRecord::open(root.path()).expect_err("there is no run");
    assert!(matches!(missing, RecordError::Io { file, .. } if file == "run.json"));
}

#[test]
fn a_book_is_read_a_missing_one_is_none_and_a_damaged_one_is_an_error() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let run = RunDirectory::create(root.path(), &sample::info()).expect("the run starts");
    let captured = Fact { position: 1, entity: "o-1".to_owned(), kind: "captured".to_owned(), ..Fact::default() };
    let mut book = BookWriter::create(run.path(), "payment-provider").expect("a new book");
    book.write(&captured).expect("written");
    drop(book);
    fs::write(run.path().join(file_name("warehouse")), "{\"position\":\"one\"}\n").expect("written");
    let record = RunRecord::open(run.path()).expect("the run is readable");
    let mut facts = Vec::new();
    assert!(record.book("payment-provider", &mut |fact| facts.push(fact.clone())).expect("readable"));
    assert_eq!(facts, [captured]);
    assert!(!record.book("mailbox", &mut |_| ()).expect("there is none"));
    let error = record.book("warehouse", &mut |_| ()).expect_err("no position");
    assert!(matches!(error, RecordError::Malformed { file, .. } if file == "books-warehouse.jsonl"));
}
