//! What shards promise: one start, disjoint parts, and one run out of what each has recorded. Against an embedded broker,
//! because the topic in which they meet has to be made.

use crate::Test;
use crate::ground::{Ground, TOPIC};
use clap::Parser;
use hdrhistogram::Histogram;
use shakedown_loadgen::cli::{self, CommandError, CommandReport, LoadArguments};
use shakedown_loadgen::shards::client::ShardError;
use shakedown_loadgen::shards::meeting::MeetingError;
use shakedown_loadgen::shards::merge::{self, MergeArguments, MergeError};
use shakedown_loadgen::{LoadError, LoadPlan};
use shakedown_reports::record::{Operation, Record};
use shakedown_reports::{RunRecord, intervals};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

pub(crate) const TESTS: &[Test] = &[
    ("shards::three_shards_begin_together_and_merge_into_one_run", three_shards_begin_together_and_merge_into_one_run),
    ("shards::a_shard_that_never_comes_is_named_and_makes_room", a_shard_that_never_comes_is_named_and_makes_room),
    ("shards::what_is_no_shard_of_the_run_is_not_merged", what_is_no_shard_of_the_run_is_not_merged),
];

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    load: LoadArguments,
}

/// Offers a part of a load of 1,500 messages, with a tap.
fn offer(bootstrap: &str, out: &Path, shard: &str, run: &str, more: &[&str]) -> Result<CommandReport, CommandError> {
    let out = out.to_str().expect("UTF-8");
    let given = ["loadgen", "--bootstrap", bootstrap, "--topic", TOPIC, "--rate", "3000/s", "--for", "500ms", "--tap"];
    let of_shard = ["--shard", shard, "--run-name", run, "--users", "90", "--out", out];
    cli::run(&Command::parse_from(given.iter().chain(&of_shard).chain(more)).load)
}

/// All shards of a run at once.
fn offer_all(ground: &Ground, out: &Path, run: &str) -> Vec<CommandReport> {
    thread::scope(|scope| {
        let shards = ["1/3", "2/3", "3/3"].map(|shard| {
            scope.spawn(move || offer(&ground.bootstrap, out, shard, run, &["--producers", "2"]).expect("it runs"))
        });
        shards.into_iter().map(|shard| shard.join().expect("no panic")).collect()
    })
}

fn read(directory: &Path) -> Vec<Operation> {
    let mut operations = Vec::new();
    let record = RunRecord::open(directory).expect("a readable run");
    record.operations(&mut |operation| operations.push(*operation)).expect("readable operations");
    operations
}

fn refusal(error: CommandError) -> MeetingError {
    match error {
        CommandError::Load(LoadError::Shard(ShardError::Meeting(refusal))) => refusal,
        other => panic!("{other}"),
    }
}

fn three_shards_begin_together_and_merge_into_one_run() {
    let ground = Ground::new(4);
    let out = tempfile::tempdir().expect("a temporary directory");
    let reports = offer_all(&ground, out.path(), "nightly");
    let started: Vec<u64> = reports.iter().map(|report| report.load.started_ns).collect();
    assert_eq!(started, [started[0]; 3], "all count from one instant");
    for report in &reports {
        assert_eq!(report.unacknowledged(), 0, "{report}");
        assert_eq!(report.ending.reasons, [""; 0], "{report}");
    }
    let planned: u64 = reports.iter().map(|report| report.load.progress.planned).sum();
    assert_eq!(planned, 1_500, "each knows its part");

    let directories: Vec<PathBuf> = reports.iter().map(|report| report.directory.clone()).collect();
    let merged = merge::merge(&MergeArguments { directories: directories.clone(), out: out.path().to_owned() });
    let merged = merged.expect("they are shards of one run");
    assert_eq!((merged.outcomes, merged.deliveries), ([1_500, 0, 0], 1_500), "{merged}");
    holds_the_whole_plan(&reports[0].plan, started[0], &merged.directory);
    for tag in ["ack", "service", "delay", "lateness", "deliver:load"] {
        let mut union = Histogram::<u64>::new(3).expect("three digits are allowed");
        for directory in &directories {
            let log = intervals::read(directory).expect("a good log");
            union.add(intervals::total(&log, tag)).expect("it resizes");
        }
        let log = intervals::read(&merged.directory).expect("a good log");
        let total = intervals::total(&log, tag);
        assert_eq!((total.len(), &total), (1_500, &union), "{tag}: nothing is lost");
    }

    let two = merge::merge(&MergeArguments { directories: directories[..2].to_vec(), out: out.path().to_owned() });
    assert_eq!(two.expect("shards of one run").against[0], "of 3 shards number 3 is not among them");

    let again = offer(&ground.bootstrap, out.path(), "2/3", "nightly", &["--producers", "2"]).expect_err("it was run");
    assert_eq!(refusal(again), MeetingError::Begun { run: "nightly".to_owned() });
}

/// Every message once, at the instant that the plan has for it, and each key's in its order.
fn holds_the_whole_plan(plan: &LoadPlan, started_ns: u64, directory: &Path) {
    let mut operations = read(directory);
    assert!(operations.is_sorted_by_key(|operation| operation.completed_ns / 1_000_000_000), "in order of time");
    let (schedule, workload) = (plan.schedule().expect("valid"), plan.workload().expect("valid"));
    operations.sort_by_key(|operation| operation.identity.index());
    for (sequence, operation) in (0..).zip(&operations) {
        assert_eq!(operation.identity.index(), sequence, "every message once");
        assert_eq!(operation.intended_ns, started_ns + schedule.offset_ns(sequence));
        assert_eq!(operation.key.index(), workload.message_at(sequence).key);
    }
    operations.sort_by_key(|operation| (operation.partition, operation.offset));
    let mut next = BTreeMap::new();
    for operation in &operations {
        let next = next.entry(operation.key.index()).or_insert(0);
        assert_eq!(operation.key_sequence, *next, "a key's messages are in the log as they are in the plan");
        *next += 1;
    }
}

fn a_shard_that_never_comes_is_named_and_makes_room() {
    let ground = Ground::new(2);
    let out = tempfile::tempdir().expect("a temporary directory");
    let (first, third) = thread::scope(|scope| {
        let wait = |shard: &'static str| {
            let (ground, out) = (&ground, out.path());
            scope.spawn(move || offer(&ground.bootstrap, out, shard, "lonely", &["--shard-timeout", "2s"]))
        };
        let (first, third) = (wait("1/3"), wait("3/3"));
        (first.join().expect("no panic"), third.join().expect("no panic"))
    });
    for error in [first, third] {
        let error = refusal(error.expect_err("one is missing"));
        assert!(
            matches!(&error, MeetingError::Missing { missing, waited, .. } if missing.contains(&2) && *waited == Duration::from_secs(2)),
            "{error}"
        );
    }
    // They said that they were gone, so that the name is free.
    assert_eq!(offer_all(&ground, out.path(), "lonely").len(), 3);
}

fn what_is_no_shard_of_the_run_is_not_merged() {
    let ground = Ground::new(2);
    let out = tempfile::tempdir().expect("a temporary directory");
    let reports = offer_all(&ground, out.path(), "one");
    let directory = |place: usize| reports[place].directory.clone();
    let merged = |directories: Vec<PathBuf>| {
        merge::merge(&MergeArguments { directories, out: out.path().join("merged") }).expect_err("refused")
    };
    let twice = merged(vec![directory(0), directory(1), directory(2), directory(0)]);
    assert!(matches!(twice, MergeError::Twice { .. }), "{twice}");
    let other = offer(&ground.bootstrap, out.path(), "1/1", "other", &["--seed", "43"]).expect("it runs");
    let different = merged(vec![directory(0), other.directory]);
    assert!(matches!(different, MergeError::Different { what: "their plans", .. }), "{different}");
}
