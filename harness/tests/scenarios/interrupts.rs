//! Ctrl-C while the load waits for brokers that do not answer: what is said at once, what the report says, and the second one.

use crate::{tool, trial};
use libtest_mimic::Trial;
use rustix::process::Signal;
use shakedown_reports::RunRecord;
use shakedown_reports::record::{Outcome, Record as _};
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Its record is written once a second, and the client would wait for acknowledgements for half a minute.
const SCENARIO: &str = r#"
name = "nobody answers"

[topics.orders]

[flows.end-to-end]
from = "load"
to = "topic orders"

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "200/s", for = "3s" }

[expect]
lost = 0
duplicated = 0
"#;

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("interrupts::the_first_is_heard_at_once_and_the_run_ends_within_seconds_with_a_report", first),
        trial("interrupts::the_second_ends_at_once", second),
    ]
}

/// A run whose cluster stopped to answer under its load, and which has said that it waits.
struct Waiting {
    run: Child,
    /// What it has said on standard error so far.
    said: Arc<Mutex<String>>,
    cluster: Child,
    folder: tempfile::TempDir,
}

impl Waiting {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("silence.toml");
        std::fs::write(&file, SCENARIO).expect("a scenario file");
        let mut cluster = tool::start(&["cluster", "--brokers", "1"]);
        let bootstrap = tool::announced(&mut cluster);
        let mut run = Command::new(env!("CARGO_BIN_EXE_shakedown"))
            .args(["run", "--backend", "external", "--bootstrap", &bootstrap, "--out"])
            .args([&folder.path().join("runs"), &file])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool starts");
        let said = Arc::new(Mutex::new(String::new()));
        let (mut stderr, heard) = (run.stderr.take().expect("a pipe"), Arc::clone(&said));
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(length @ 1..) = stderr.read(&mut buffer) {
                heard.lock().expect("no panic while it is held").push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        let waiting = Self { run, said, cluster, folder };
        waiting.wait_for("the load does not begin", |waiting| acknowledged(waiting.folder.path()) > 0);
        tool::signal(&waiting.cluster, Signal::STOP);
        waiting.wait_for("it does not say that it waits", |waiting| waiting.said().contains("load: waiting for "));
        waiting
    }

    fn said(&self) -> String {
        self.said.lock().expect("no panic while it is held").clone()
    }

    fn wait_for(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < deadline, "{what}: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn interrupt(&self) {
        tool::signal(&self.run, Signal::INT);
        self.wait_for("the interrupt is not heard", |waiting| waiting.said().contains("interrupt once more"));
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // A process that stands still takes SIGKILL all the same; one that has ended is gone already.
        for process in [&mut self.cluster, &mut self.run] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// How many messages of the run beneath this folder were acknowledged, as far as its record has been written.
fn acknowledged(folder: &Path) -> u64 {
    let mut number = 0;
    let mut count = |outcome: Outcome| number += u64::from(outcome == Outcome::Ok);
    let record = tool::find_run(folder).and_then(|run| RunRecord::open(&run).ok());
    // A record that is being written may not be readable for a moment.
    let counted = record.and_then(|record| record.operations(&mut |operation| count(operation.outcome)).ok());
    counted.map_or(0, |()| number)
}

fn first() {
    let mut waiting = Waiting::new();
    let interrupted = Instant::now();
    waiting.interrupt();
    let said = waiting.said();
    assert!(
        said.contains("interrupted: load: waiting for ") && said.contains(" acknowledgements, 30 s at most"),
        "{said}"
    );
    // 3 s for acknowledgements, some for the client to let go, and topics that nobody deletes any more.
    let status = tool::wait(&mut waiting.run);
    assert!(interrupted.elapsed() < Duration::from_secs(20), "it took {:?}", interrupted.elapsed());
    let mut report = String::new();
    let mut stdout = waiting.run.stdout.take().expect("a pipe");
    stdout.read_to_string(&mut report).expect("a report");
    assert_eq!(status, Some(3), "{report}{}", waiting.said());
    let row =
        |name: &str| report.lines().any(|line| line.trim_start().starts_with(name) && line.contains("inconclusive"));
    assert!(row("lost ") && row("duplicated ") && row("phantom "), "{report}");
    assert!(report.contains("600 messages offered at 200/s") && report.contains(" unacknowledged"), "{report}");
    assert!(report.contains(" of 600 messages were never acknowledged, and no check looks at that"), "{report}");
    let unknown = 600 - acknowledged(waiting.folder.path());
    assert!(unknown > 0 && report.contains(&format!("{unknown} unacknowledged")), "{unknown}: {report}");
}

fn second() {
    let mut waiting = Waiting::new();
    waiting.interrupt();
    let again = Instant::now();
    tool::signal(&waiting.run, Signal::INT);
    assert_eq!(tool::wait(&mut waiting.run), Some(130));
    assert!(again.elapsed() < Duration::from_secs(2), "it took {:?}", again.elapsed());
}
