//! The command line, from arguments to the printed summary.

use crate::Test;
use crate::bench::{Bench, TOPIC};
use clap::Parser;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rustix::process::{Pid, Signal, kill_process};
use shakedown_loadgen::beside::LevelOutcome;
use shakedown_loadgen::cli::{self, LoadArguments};
use shakedown_loadgen::{StopFlag, tap};
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
    ("command::several_topics_are_tapped_and_what_is_missing_is_said", several_topics_are_tapped),
    ("command::a_load_in_transactions_tells_what_they_came_to", a_load_in_transactions_tells_what_they_came_to),
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
    assert_eq!(report.taps.first().expect("a tap was asked for").count, 300);

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
        (&["ceiling", "--help"], 0, "Usage: loadgen ceiling"),
        (&["ceiling", "--topic", TOPIC], 2, "--bootstrap"),
        (&["ceiling", "--bootstrap", "localhost:1"], 2, "--topic"),
        (&["ceiling", "--bootstrap", "localhost:1", "--topic", "a b"], 2, "topic \"a b\": allowed are"),
        (&["ceiling", "--resume", out_text], 2, "there is no search to go on with"),
        (&["ceiling", "--resume", out_text, "--topic", TOPIC], 2, "cannot be used with"),
        (&["ceiling", "--bootstrap", "localhost:1", "--topic", TOPIC, "--slo", "20ms"], 2, "p99="),
        (&["--topic", TOPIC], 2, "--bootstrap"),
        (&["--bootstrap", &bench.bootstrap, "--topic", "absent", "--out", out_text], 4, "error: topic \"absent\""),
        (&[], 2, "--bootstrap"),
        (&["merge", out_text, out_text, "--out", out_text], 4, "error: "),
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

/// Hands messages on from one topic to another as they are, from these offsets but for the first so many, until it is told to stop.
fn forward(bootstrap: &str, from: &[i64], left_out: usize, stop: &StopFlag) {
    let mut properties = ClientConfig::new();
    properties.set("bootstrap.servers", bootstrap).set("group.id", "forward");
    let consumer: BaseConsumer = properties.create().expect("a consumer");
    let producer: BaseProducer = properties.create().expect("a producer");
    let mut assignment = TopicPartitionList::new();
    for (partition, offset) in (0..).zip(from) {
        assignment.add_partition_offset(TOPIC, partition, Offset::Offset(*offset)).expect("an offset");
    }
    consumer.assign(&assignment).expect("an assignment");
    let mut seen = 0;
    while !stop.is_stopped() {
        let Some(message) = consumer.poll(Duration::from_millis(20)) else {
            producer.poll(Duration::ZERO);
            continue;
        };
        let message = message.expect("a message").detach();
        seen += 1;
        if seen > left_out {
            let (key, payload) = (message.key().expect("a key"), message.payload().expect("bytes"));
            let record = BaseRecord::to("payments").key(key).payload(payload);
            producer.send(record.headers(message.headers().expect("headers").clone())).expect("room");
        }
    }
    producer.flush(Duration::from_secs(10)).expect("all is written");
}

fn several_topics_are_tapped() {
    let bench = Bench::new();
    bench.cluster.create_topic("payments", 2, 1).expect("a topic");
    let run = |left_out: usize, patience: &str, taps: [&str; 2]| {
        let out = tempfile::tempdir().expect("a temporary directory");
        let out_text = out.path().to_str().expect("UTF-8");
        let stop = StopFlag::new();
        let bootstrap = &bench.bootstrap;
        let from = tap::high_watermarks(bootstrap, TOPIC).expect("the topic is there");
        std::thread::scope(|scope| {
            scope.spawn(|| forward(bootstrap, &from, left_out, &stop));
            let given =
                ["loadgen", "--bootstrap", &bench.bootstrap, "--topic", TOPIC, "--rate", "1000/s", "--for", "300ms"];
            let more = ["--flush-timeout", patience, "--out", out_text, taps[0], taps[1]];
            let report = cli::run(&Command::parse_from(given.iter().chain(&more)).load);
            stop.stop();
            let report = report.expect("the load runs");
            let record = RunRecord::open(&report.directory).expect("a readable run");
            let labels: Vec<String> = record.streams().iter().map(|stream| stream.label()).collect();
            assert_eq!(record.flows().len(), labels.len() - 1, "the load flows into each");
            (report, labels)
        })
    };
    let (report, labels) = run(0, "20s", ["--tap", "--tap=payments"]);
    assert_eq!(labels, ["load", "topic orders", "topic payments"]);
    let counts = |report: &cli::CommandReport| report.taps.iter().map(|tap| tap.count).collect::<Vec<_>>();
    assert_eq!((counts(&report), report.ending.drained), (vec![300, 300], true), "{:?}", report.ending);
    let text = report.to_string();
    assert!(text.contains("consumed                 300   0 unreadable, 0 of other runs, payments"), "{text}");
    assert!(text.contains("\n  consumed, payments "), "{text}");
    assert!(
        text.lines().filter(|line| !line.contains("recorded in")).all(|line| line.chars().count() <= 100),
        "{text}"
    );

    // JSON names the order, too, where no header does, and what lay there before is nobody's; and something is missing.
    let (report, labels) = run(10, "3s", ["--seed=43", "--tap=payments:/order_id"]);
    assert_eq!(labels, ["load", "topic payments"]);
    assert_eq!((counts(&report), report.ending.drained), (vec![290], false), "{:?}", report.ending);
    let missing = "topic payments had 290 messages of the load, of which 300 were acknowledged";
    assert_eq!(report.ending.reasons, [missing]);
    assert!(report.to_string().contains(&format!("  incomplete    {missing}\n")), "{report}");
}

fn a_load_in_transactions_tells_what_they_came_to() {
    let bench = Bench::new();
    let out = tempfile::tempdir().expect("a temporary directory");
    let out_text = out.path().to_str().expect("UTF-8");
    let given = ["loadgen", "--bootstrap", &bench.bootstrap, "--topic", TOPIC, "--rate", "1000/s", "--for", "400ms"];
    let more =
        ["--transactions", "20ms", "--transaction-abort", "0.5", "--transactional-id", "till", "--out", out_text];
    let report = cli::run(&Command::parse_from(given.iter().chain(&more)).load).expect("the load runs");
    let progress = report.load.progress;
    assert!(progress.committed > 0 && progress.aborted > 0 && progress.aborted_on_purpose > 0, "{progress:?}");
    assert_eq!(progress.acknowledged + progress.aborted_on_purpose, 400, "{progress:?}");
    assert_eq!(report.unacknowledged(), 0, "what the plan aborts has not failed");
    let text = report.to_string();
    assert!(text.lines().next().expect("a line").ends_with("driver librdkafka"), "{text}");
    let (committed, aborted) = (progress.committed, progress.aborted);
    let told = format!("committed, {aborted} aborted, with {} messages on purpose", progress.aborted_on_purpose);
    assert!(text.contains(&format!("  transactions  {committed:>14}   {told}")), "{text}");
    assert!(text.contains("\n  transaction end to commit "), "{text}");
    assert!(
        text.lines().filter(|line| !line.contains("recorded in")).all(|line| line.chars().count() <= 100),
        "{text}"
    );
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
    let tap = report.taps.first().expect("a tap was asked for");
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
