//! The command line from outside: exit codes, signals, `check`, `schema`, `cluster`.

use crate::{launch, processes, trial};
use libtest_mimic::Trial;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("tool::a_wrong_scenario_is_exit_code_2_before_anything_runs", || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let file = launch::write(folder.path());
            std::fs::write(&file, launch::SCENARIO.replace("partitions", "partition")).expect("a file");
            let output = shakedown(&["run", &file.display().to_string(), "no/such/file.toml"]);
            assert_eq!(output.status.code(), Some(2));
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(text.contains("unknown key `partition` in `topics.orders`"), "{text}");
            assert!(text.contains("cannot read the scenario no/such/file.toml"), "{text}");
        }),
        trial("tool::schema_is_the_committed_one", || {
            let output = shakedown(&["schema"]);
            let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/schema.json");
            assert!(output.stdout == std::fs::read(committed).expect("the schema"), "scenarios/schema.json is old");
        }),
        trial("tool::a_reader_that_leaves_changes_no_exit_code", || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/correctness/tracker.toml");
            let runs = folder.path().join("runs").display().to_string();
            let mut child = start(&["run", &file.display().to_string(), "--out", &runs]);
            drop(child.stdout.take());
            assert_eq!(wait(&mut child), Some(0));
            assert!(run_of(folder.path()).join("verdict.json").is_file());
        }),
        trial("tool::a_setting_that_no_broker_has_is_wrong_usage", settings_that_no_broker_has),
        trial("tool::check_wants_a_run_directory", || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let output = shakedown(&["check", &folder.path().display().to_string()]);
            assert_eq!(output.status.code(), Some(2));
            assert!(String::from_utf8_lossy(&output.stderr).contains("is not a run directory"));
        }),
        trial("tool::ctrl_c_ends_everything_in_good_order", || {
            let (folder, status) = signalled(Signal::INT);
            assert_eq!(status, Some(3), "inconclusive");
            processes::assert_none_of(folder.path());
            let output = shakedown(&["check", &run_of(folder.path()).display().to_string()]);
            assert_eq!(output.status.code(), Some(3));
            assert!(String::from_utf8_lossy(&output.stdout).contains("the run was interrupted"));
        }),
        trial("tool::a_killed_harness_leaves_a_readable_record_and_no_process", || {
            let (folder, status) = signalled(Signal::KILL);
            assert_eq!(status, None, "killed by the signal");
            processes::assert_none_of(folder.path());
            let output = shakedown(&["check", &run_of(folder.path()).display().to_string()]);
            assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
            assert!(String::from_utf8_lossy(&output.stdout).contains("the run was killed before its end"));
        }),
        trial("tool::a_cluster_serves_until_its_parents_pipe_closes", || {
            let mut child = start(&["cluster", "--brokers", "2"]);
            let bootstrap = announced(&mut child);
            let client: BaseConsumer =
                ClientConfig::new().set("bootstrap.servers", &bootstrap).create().expect("a client");
            let metadata = client.fetch_metadata(None, Duration::from_secs(10)).expect("an answer");
            assert_eq!(metadata.brokers().len(), 2);
            drop(client);
            drop(child.stdin.take());
            assert_eq!(wait(&mut child), Some(0));
        }),
        trial("tool::a_cluster_ends_on_sigterm", || {
            let mut child = start(&["cluster", "--brokers", "1"]);
            announced(&mut child);
            signal(&child, Signal::TERM);
            assert_eq!(wait(&mut child), Some(0));
        }),
        trial("tool::a_data_folder_outlives_its_cluster_and_is_no_other_clusters", two_lives_on_one_folder),
    ]
}

fn settings_that_no_broker_has() {
    for (setting, complaint) in [
        ("num.partition=1", "a broker has no setting `num.partition`\n  did you mean `num.partitions`? allowed: "),
        ("num.partitions=many", "`num.partitions` cannot be \"many\"\n  allowed: a whole number from 1"),
    ] {
        let output = shakedown(&["cluster", "--brokers", "1", "--config", setting]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(complaint), "{text}");
    }
}

fn two_lives_on_one_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path().display().to_string();
    let arguments = ["cluster", "--brokers", "1", "--data-dir", &folder];
    let mut first = start(&arguments);
    let mut config = ClientConfig::new();
    config.set("allow.auto.create.topics", "true").set("bootstrap.servers", announced(&mut first));
    let client: BaseConsumer = config.create().expect("a client");
    let deadline = Instant::now() + Duration::from_secs(20);
    let patience = Duration::from_secs(10);
    while client.fetch_metadata(Some("orders"), patience).expect("an answer").topics()[0].partitions().is_empty() {
        assert!(Instant::now() < deadline, "the topic is not created");
    }
    signal(&first, Signal::KILL);
    assert_eq!(wait(&mut first), None, "killed by the signal");
    let mut second = start(&arguments);
    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", announced(&mut second)).create().expect("a client");
    let metadata = client.fetch_metadata(None, patience).expect("an answer");
    assert_eq!(metadata.topics().iter().map(|topic| topic.name()).collect::<Vec<_>>(), ["orders"]);
    let third = shakedown(&arguments);
    assert_eq!(third.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&third.stderr).contains("another cluster uses the data folder"));
    signal(&second, Signal::TERM);
    assert_eq!(wait(&mut second), Some(0));
}

pub(crate) fn shakedown(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_shakedown")).args(arguments).output().expect("the tool starts")
}

pub(crate) fn start(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_shakedown"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tool starts")
}

pub(crate) fn announced(child: &mut Child) -> String {
    let stdout = child.stdout.take().expect("a pipe");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let json: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
    json["bootstrap_servers"].as_str().expect("addresses").to_owned()
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(id, signal).expect("the process is there");
}

pub(crate) fn wait(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return status.code();
        }
        if Instant::now() >= deadline {
            child.kill().expect("a child can be killed");
            panic!("the tool does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What a stream begins with before anything was written to it.
const STREAM_HEAD_BYTES: u64 = 16;

/// Runs a long scenario, sends the signal when the load is under way and its record has begun, and waits for the end.
fn signalled(which: Signal) -> (tempfile::TempDir, Option<i32>) {
    signalled_when(which, |run| {
        std::fs::metadata(run.join("operations.bin")).is_ok_and(|file| file.len() > STREAM_HEAD_BYTES)
    })
}

/// As [`signalled`], when the run directory has what this asks for.
pub(crate) fn signalled_when(which: Signal, is_time: impl Fn(&Path) -> bool) -> (tempfile::TempDir, Option<i32>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = launch::write(folder.path());
    let patient = launch::SCENARIO.replace("\"true\"", "\"echo up and running; sleep 600\"");
    std::fs::write(&file, patient).expect("a file");
    let runs = folder.path().join("runs");
    let mut child = start(&["run", &file.display().to_string(), "--out", &runs.display().to_string()]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !find_run(folder.path()).is_some_and(|run| is_time(&run)) {
        assert!(Instant::now() < deadline, "the load does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!processes::of(folder.path()).is_empty(), "the service is not running, so its end would prove nothing");
    signal(&child, which);
    let status = wait(&mut child);
    (folder, status)
}

pub(crate) fn run_of(folder: &Path) -> PathBuf {
    find_run(folder).expect("a run directory")
}

pub(crate) fn find_run(folder: &Path) -> Option<PathBuf> {
    let scenario = std::fs::read_dir(folder.join("runs")).ok()?.flatten().next()?.path();
    Some(std::fs::read_dir(scenario).ok()?.flatten().next()?.path())
}
