//! Services that do not start, and runs that are told to end.

use crate::processes;
use crate::trial;
use libtest_mimic::Trial;
use shakedown::run::journal::Observer;
use shakedown::run::judgement::Ending;
use shakedown::{RunError, Runner, StopFlag};
use shakedown_reports::verdict::{Finding, Outcome};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const SCENARIO: &str = r#"
name = "a service of somebody"
seed = 1

[cluster]
brokers = 1

[topics.orders]
partitions = 2

[services.mine]
command = ["sh", "-c", "true"]
ready = { log = "up and running" }

[flows.end-to-end]
from = "load"
to = "topic orders"

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "200/s", for = "30s" }

[expect]
lost = 0
"#;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("launch::a_service_that_dies_at_start_shows_its_last_lines", || {
            let text = failure("echo reading the settings; echo no such database >&2; exit 3");
            assert!(text.contains("mine exited with code 3 before it was ready"), "{text}");
            assert!(text.contains("reading the settings") && text.contains("no such database"), "{text}");
        }),
        trial("launch::a_service_that_is_never_ready_shows_what_is_missing", || {
            let impatient = format!("{SCENARIO}\n[limits]\nstart = \"500ms\"\n");
            let text = failure_of(&impatient, "echo still thinking; sleep 600");
            assert!(text.contains("mine is not ready after 500ms: no line with \"up and running\" yet"), "{text}");
            assert!(text.contains("still thinking"), "{text}");
        }),
        trial("launch::a_program_that_does_not_exist_is_named", || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let runner = Runner::new(write(folder.path())).command("mine", ["./no/such/program"]).output(folder.path());
            let text = runner.run().expect_err("it cannot start").to_string();
            assert!(text.contains("cannot start mine: `./no/such/program`"), "{text}");
        }),
        trial("launch::a_command_for_a_service_that_does_not_exist_is_refused", || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let error = Runner::new(write(folder.path())).command("mien", ["x"]).run().expect_err("no such service");
            assert!(matches!(error, RunError::UnknownService { .. }), "{error}");
            assert!(error.to_string().contains("did you mean `mine`?"), "{error}");
        }),
        trial("launch::a_service_that_dies_under_load_makes_the_run_inconclusive", || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let file = write(folder.path());
            let text = std::fs::read_to_string(&file).expect("the file").replace("\"30s\"", "\"1s\"");
            std::fs::write(&file, text).expect("the file");
            let script = "echo up and running; sleep 0.3; echo out of memory; exit 7";
            let runner = Runner::new(&file).command("mine", ["sh", "-c", script]).output(folder.path());
            let report = runner.run().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(report.exit().code(), 3, "{}", report.text(false));
            let reasons = report.verdict().reasons.join("\n");
            assert!(reasons.contains("mine exited with code 7") && reasons.contains("out of memory"), "{reasons}");
        }),
        trial("launch::an_interrupted_run_is_inconclusive_and_leaves_a_readable_record_and_no_process", || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let flag = StopFlag::new();
            let script = "echo up and running; sleep 600";
            let runner = Runner::new(write(folder.path()))
                .command("mine", ["sh", "-c", script])
                .output(folder.path())
                .observer(Arc::new(StopUnderLoad(flag.clone())))
                .interrupt(flag);
            let report = runner.run().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(report.exit().code(), 3);
            assert_eq!(report.verdict().reasons, ["the run was interrupted"]);
            let findings = &report.verdict().findings;
            assert!(findings.iter().any(|finding| finding.check == "lost" && finding.compared > 0), "{findings:?}");
            let undecided = |finding: &Finding| finding.outcome == Outcome::Inconclusive && finding.evidence.is_empty();
            assert!(findings.iter().all(undecided), "half a run says nothing about the system: {findings:?}");
            let text = report.text(false);
            assert!(text.contains("  load       ") && text.contains(" messages offered at 200/s"), "{text}");
            let record = shakedown_reports::RunRecord::open(report.directory()).expect("a readable record");
            let mut operations = 0;
            shakedown_reports::record::Record::operations(&record, &mut |_| operations += 1).expect("readable");
            assert!(operations > 0, "nothing of the load was recorded");
            processes::assert_none_of(folder.path());
        }),
    ]
}

/// Raises the flag as soon as something was acknowledged.
struct StopUnderLoad(StopFlag);

impl Observer for StopUnderLoad {
    fn phase(&self, text: &str) {
        if text.starts_with("load: ") && text.ends_with(" acknowledged") && !text.ends_with(" 0 acknowledged") {
            self.0.stop();
        }
    }
}

pub(crate) fn write(folder: &Path) -> PathBuf {
    let file = folder.join("mine.toml");
    std::fs::write(&file, SCENARIO).expect("a scenario file");
    file
}

fn failure(script: &str) -> String {
    failure_of(SCENARIO, script)
}

fn failure_of(scenario: &str, script: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = write(folder.path());
    std::fs::write(&file, scenario).expect("a scenario file");
    let runner = Runner::new(file).command("mine", ["sh", "-c", script]).output(folder.path());
    let error = runner.run().expect_err("the service does not start");
    assert!(matches!(error.cause(), RunError::DiedAtStart { .. } | RunError::NotReady { .. }), "{error}");
    processes::assert_none_of(folder.path());
    let RunError::InDirectory { directory, .. } = &error else { panic!("no run directory: {error}") };
    let ending = Ending::read(directory).expect("an ending");
    let broke_off = format!("the run broke off: {}", error.cause());
    assert_eq!(ending.reasons.last(), Some(&broke_off), "`check` tells the same");
    error.to_string()
}
