//! What services are equipped with: stores on PostgreSQL that give the verdicts of those on SQLite, servers that die and stand
//! still, numbers of instances that change, backlogs that are waited for.
//!
//! Where PostgreSQL or Redis is not installed, what needs it is skipped aloud; with `SHAKEDOWN_REQUIRE_PEERS` it fails.

use crate::{tool, trial};
use libtest_mimic::Trial;
use rustix::process::Signal;
use shakedown::run::servers;
use shakedown::{Report, Runner};
use shakedown_reports::RunRecord;
use shakedown_reports::verdict::Outcome;
use std::collections::BTreeSet;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Its store dies and comes back, and then stands still; its cache dies.
const SERVERS: &str = r#"store = "postgres"
cache = "redis"

[[fault]]
at = "500ms"
do = { kill = "store(tracker)" }
heal = { after = "300ms" }

[[fault]]
at = "1500ms"
do = { pause = "store(tracker)" }
heal = { after = "500ms" }

[[fault]]
at = "2s"
do = { kill = "cache(tracker)" }

[[fault]]
at = "2300ms"
do = { restart = "store(tracker)" }
"#;

pub(crate) fn trials() -> Vec<Trial> {
    [servers(), instances(), bounds()].into_iter().flatten().collect()
}

/// Real servers behind a service.
fn servers() -> Vec<Trial> {
    vec![
        trial("equipment::on_postgresql_the_verdicts_are_those_on_sqlite", || {
            if has_servers() {
                let sqlite = run("tracker.toml", "");
                let postgres = run("tracker.toml", "store = \"postgres\"");
                postgres.assert_passed();
                // Another store is another plan.
                let without_plan = |report: &Report| -> String {
                    let text = report.snapshot();
                    text.lines().filter(|line| !line.starts_with("plan")).collect::<Vec<_>>().join("\n")
                };
                assert_eq!(without_plan(&postgres), without_plan(&sqlite));
                assert_ne!(postgres.info().plan_digest, sqlite.info().plan_digest);
            }
        }),
        trial("equipment::a_store_that_dies_and_stands_still_loses_nothing", || {
            if has_servers() {
                let report = run("tracker.toml", SERVERS);
                report.assert_passed();
                let fired = &report.summary().faults_fired;
                assert!(fired.len() == 4 && fired.values().all(|times| *times == 1), "{fired:?}");
                let told = told(&report);
                for expected in ["kill: PostgreSQL", "pause: PostgreSQL", "restart: PostgreSQL", "kill: Redis"] {
                    assert!(told.contains(expected), "{expected}: {told}");
                }
                assert!(told.contains("healed: Redis") && told.matches("healed: PostgreSQL").count() == 3, "{told}");
            }
        }),
    ]
}

/// How many instances there are, and where they stand still.
fn instances() -> Vec<Trial> {
    vec![
        trial("equipment::instances_that_are_scaled_out_and_in_join_and_leave", || {
            let report = run("tracker-scaled.toml", "");
            report.assert_passed();
            let told = told(&report);
            for number in [2, 3] {
                for expected in ["is ready", "has left"] {
                    assert!(told.contains(&format!("tracker {number} {expected}")), "{number} {expected}: {told}");
                }
            }
            assert!(!told.contains("tracker 1 leaves"), "{told}");
        }),
        trial("equipment::what_is_scaled_for_good_stays_so", || {
            let stays = "[[fault]]\nat = \"500ms\"\ndo = { scale = \"service(tracker)\", to = 2 }\n\n\
                         [[fault]]\nat = \"1500ms\"\ndo = { kill = \"service(tracker)\" }\nheal = { after = \"100ms\" }";
            let report = run("tracker-killed.toml", stays);
            report.assert_passed();
            let told = told(&report);
            assert!(told.contains("tracker 2 is ready") && !told.contains("leaves"), "{told}");
        }),
        trial("equipment::an_instance_at_its_failpoint_is_killed_there_once", || {
            let report = run("tracker-failpoint.toml", "");
            report.assert_passed();
            assert_eq!(report.summary().faults_fired.values().sum::<u64>(), 1);
            let log = report.directory().join("service-tracker-1.log");
            let log = std::fs::read_to_string(log).expect("its log");
            assert_eq!(log.matches("waiting at a failpoint").count(), 1, "its next life does not stop there");
        }),
        trial("equipment::a_transaction_service_that_dies_at_a_failpoint_loses_nothing", || {
            let fault = "[services.transaction]\nfailpoint = { at = \"before_work\", nth = 5 }\n\
                         env = { BATCH_EVENTS_MAX = 10, KAFKA_SESSION_TIMEOUT_MS = 1500, KAFKA_HEARTBEAT_INTERVAL_MS = 300 }\n\n\
                         [cluster]\nconfig = { \"group.min.session.timeout.ms\" = 1000 }\n\n\
                         [[fault]]\nwhen = { failpoint = { service = \"transaction\" } }\n\
                         do = { kill = \"service(transaction)\" }\nheal = { after = \"100ms\" }";
            // What it had done and not committed it does again.
            let only = |line: &&str| {
                !["duplicated", "order =", "conserved", "latency"].iter().any(|key| line.starts_with(key))
            };
            let text = committed("billing.toml").lines().filter(only).collect::<Vec<_>>().join("\n");
            let report = run_text(&text, fault);
            report.assert_passed();
            assert_eq!(report.summary().faults_fired.values().sum::<u64>(), 1);
        }),
    ]
}

/// What must not pass.
fn bounds() -> Vec<Trial> {
    vec![
        trial("equipment::a_backlog_that_never_empties_is_no_drained_run", || {
            let busy = "[services.tracker]\nbacklog = { get = \"/stats\" }\n\n[limits]\ndrain = \"2s\"";
            let report = run("tracker.toml", busy);
            assert_eq!(report.verdict().outcome, Outcome::Inconclusive, "{}", report.text(false));
            let reasons = report.verdict().reasons.join("\n");
            assert!(reasons.contains("tracker has a backlog of 3000 (orders)"), "{reasons}");
        }),
        trial("equipment::a_domain_that_is_down_is_seen_where_it_is_looked_for", || {
            // The same as in `platform.toml`, but somebody expects payments not to wait either.
            let text = committed("platform.toml").replace("latency.shipping", "latency.payments");
            let report = run_text(&text.replace("\"shipping-service\"]", "\"payments-service\"]"), "");
            assert_eq!(report.verdict().outcome, Outcome::Fail, "{}", report.text(false));
            // Latency that is too long fails, or is inconclusive where the machine made the generator itself late.
            let failed = report.verdict().findings.iter().filter(|finding| finding.outcome != Outcome::Pass);
            let failed: Vec<_> = failed.map(|finding| (finding.check.as_str(), finding.subject.as_str())).collect();
            assert_eq!(failed, [("lag", "group payments-service on payments"), ("latency", "payments")]);
        }),
        trial("equipment::a_missing_server_is_named_with_its_package", || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let programs = folder.path().join("bin");
            std::fs::create_dir(&programs).expect("a folder");
            std::os::unix::fs::symlink("/bin/sh", programs.join("sh")).expect("a link");
            let file = write(folder.path(), &committed("tracker.toml"), "cache = \"redis\"");
            let output = Command::new(env!("CARGO_BIN_EXE_shakedown"))
                .args(["run", &file.display().to_string(), "--out", &folder.path().join("runs").display().to_string()])
                .env("PATH", &programs)
                .output()
                .expect("the tool starts");
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(4), "{text}");
            assert!(text.contains("Redis is not installed") && text.contains("apt-get install redis-server"), "{text}");
        }),
        trial("equipment::a_killed_harness_leaves_neither_servers_nor_their_folder", killed),
    ]
}

fn killed() {
    if !has_servers() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Whoever runs PostgreSQL in the place of root passes through here.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).expect("it is ours");
    let text = committed("tracker.toml").replace("for = \"3s\"", "for = \"600s\"");
    let file = write(folder.path(), &text, "store = \"postgres\"\ncache = \"redis\"");
    let mut child = Command::new(env!("CARGO_BIN_EXE_shakedown"))
        .args(["run", &file.display().to_string(), "--out", &folder.path().join("runs").display().to_string()])
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tool starts");
    let deadline = Instant::now() + PATIENCE;
    while homes(folder.path()).len() < 2 {
        assert!(Instant::now() < deadline, "the servers do not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    tool::signal(&child, Signal::KILL);
    assert_eq!(tool::wait(&mut child), None, "killed by the signal");
    let left = || {
        let folders = std::fs::read_dir(folder.path()).expect("a folder").flatten();
        let folders = folders.filter(|entry| entry.file_name().to_string_lossy().starts_with("shakedown-servers-"));
        (homes(folder.path()).len(), folders.count())
    };
    while left() != (0, 0) {
        assert!(Instant::now() < deadline, "{:?}", homes(folder.path()));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The folders beneath this one in which processes live, as both servers do in those of their data.
fn homes(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir("/proc").expect("this test reads /proc").flatten();
    let homes = entries.filter_map(|entry| std::fs::read_link(entry.path().join("cwd")).ok());
    homes.filter(|home| home.starts_with(folder)).collect()
}

/// Whether there is all that a scenario may ask for; if not, that is said aloud.
pub(crate) fn has_servers() -> bool {
    let missing = servers::missing();
    if let Some(missing) = &missing {
        assert!(std::env::var_os("SHAKEDOWN_REQUIRE_PEERS").is_none(), "{missing}");
        eprintln!("skipped: {missing}");
    }
    missing.is_none()
}

pub(crate) fn committed(scenario: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/correctness").join(scenario);
    std::fs::read_to_string(file).expect("the scenario")
}

/// Writes a scenario with some lines more: those before its first table at its beginning, the rest at its end.
fn write(folder: &Path, scenario: &str, more: &str) -> PathBuf {
    let systems = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/systems");
    std::fs::create_dir_all(folder.join("systems")).expect("a folder");
    for system in std::fs::read_dir(systems).expect("the systems").flatten() {
        std::fs::copy(system.path(), folder.join("systems").join(system.file_name())).expect("the system");
    }
    let at = more.find('[').unwrap_or(more.len());
    let at = if more[..at].is_empty() || more[..at].ends_with('\n') { at } else { more.len() };
    let (top, tables) = more.split_at(at);
    let file = folder.join("equipment.toml");
    std::fs::write(&file, format!("{top}\n{scenario}\n{tables}")).expect("a scenario file");
    file
}

/// A report, and the folder that it is about.
/// Its folder goes with it, unless the test fails: then somebody wants to look into it.
pub(crate) struct Run {
    report: Report,
    folder: tempfile::TempDir,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.folder.disable_cleanup(std::thread::panicking());
    }
}

impl Deref for Run {
    type Target = Report;

    fn deref(&self) -> &Report {
        &self.report
    }
}

fn run(scenario: &str, more: &str) -> Run {
    run_text(&committed(scenario), more)
}

pub(crate) fn run_text(scenario: &str, more: &str) -> Run {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = write(folder.path(), scenario, more);
    let runner = Runner::new(&file).executable(env!("CARGO_BIN_EXE_shakedown")).output(folder.path().join("runs"));
    Run { report: runner.run().unwrap_or_else(|error| panic!("{error}")), folder }
}

/// Everything that happened.
pub(crate) fn told(report: &Report) -> String {
    let record = RunRecord::open(report.directory()).expect("a record");
    let events = record.events().expect("a timeline");
    events.into_iter().map(|event| event.text + "\n").collect()
}
