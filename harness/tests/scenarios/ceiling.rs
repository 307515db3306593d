//! Ceilings of brokers that were made slow by a known amount: what the search finds is what arithmetic says.
//!
//! In the ordinary suite a request costs 10 ms and trials take a second: no machine does more than arithmetic allows, and a
//! busy one does less. `SHAKEDOWN_SOAK=1` asks for what arithmetic says to 10 %, with 50 us for each request and trials of
//! the tool's own lengths, killed in the middle; in a release build, on a machine with nothing else to do.

use crate::trial;
use libtest_mimic::Trial;
use shakedown::Runner;
use shakedown::ceiling::scenario_subject::ScenarioSubject;
use shakedown::run::options::RunOptions;
use shakedown_loadgen::ceiling::search::Search;
use shakedown_loadgen::ceiling::state::{State, SubjectAt};
use shakedown_loadgen::ceiling::subject::{Carried, CeilingError, Subject};
use shakedown_loadgen::ceiling::{Lengths, Outcome, ServiceLevel, Settings, Trial as CeilingTrial};
use std::cell::Cell;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// One message for each request, and so much work for each.
const SCENARIO: &str = r#"
name = "slow on purpose"
seed = 7

[cluster]
brokers = 1

[topics.orders]
partitions = 1

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "50/s", for = "1s" }
client = { CLIENT }

[[fault]]
do = { requests = { api = "Produce", work = "WORK" } }

[flows.end-to-end]
from = "load"
to = "topic orders"

[expect]
lost = 0
"#;

/// A request for each message.
const ONE_BY_ONE: &str = r#""batch.num.messages" = 1, "linger.ms" = 0"#;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("ceiling::work_for_each_request_bounds_it_and_an_interrupted_search_goes_on", arithmetic),
        trial("ceiling::a_slow_generator_is_reported_as_the_limit", slow_generator),
        trial("ceiling::what_has_no_ceiling_is_refused", refused),
    ];
    if std::env::var_os("SHAKEDOWN_SOAK").is_some() {
        trials.push(trial("ceiling::fifty_microseconds_and_kill_9", fifty_microseconds));
    }
    trials
}

fn scenario(folder: &Path, work: &str, client: &str) -> PathBuf {
    let file = folder.join("slow.toml");
    let text = SCENARIO.replace("WORK", work).replace("CLIENT", client);
    std::fs::write(&file, text).expect("a scenario file");
    file
}

fn settings(p99: Duration, from: u64) -> Settings {
    let lengths = Lengths {
        ramp: Duration::from_millis(500),
        bisect: Duration::from_millis(800),
        confirm: Duration::from_secs(1),
        generator: Duration::from_millis(500),
    };
    Settings { from, replicates: 1, lengths, quick: true, ..Settings::new(ServiceLevel { p99 }, 7) }
}

fn subject(file: &Path, folder: &Path, level: ServiceLevel) -> ScenarioSubject {
    let options = RunOptions { output: folder.join("trials"), ..RunOptions::default() };
    ScenarioSubject::new(&Runner::new(file), options, level, false).expect("a good scenario")
}

fn state(subject: &ScenarioSubject, file: &Path, settings: Settings) -> State {
    let digest = subject.digest().to_owned();
    let at = SubjectAt::Scenario { path: file.to_owned(), digest, backend: None, bootstrap: None };
    State::new(at, settings, false)
}

/// A subject that is interrupted behind so many trials.
struct Interrupted<'a> {
    subject: &'a dyn Subject,
    left: Cell<u32>,
}

impl Subject for Interrupted<'_> {
    fn name(&self) -> String {
        self.subject.name()
    }

    fn carry_out(&self, trial: &CeilingTrial) -> Result<Carried, CeilingError> {
        let left = self.left.get().checked_sub(1).ok_or(CeilingError::Interrupted)?;
        self.left.set(left);
        self.subject.carry_out(trial)
    }

    fn generator(&self, length: Duration) -> Result<Option<u64>, CeilingError> {
        self.subject.generator(length)
    }
}

fn arithmetic() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = scenario(folder.path(), "10ms", ONE_BY_ONE);
    let settings = settings(Duration::from_millis(100), 60);
    let subject = subject(&file, folder.path(), settings.service_level);
    let mut search = Search::new(folder.path(), state(&subject, &file, settings));
    let mut told = Vec::new();
    let interrupted = Interrupted { subject: &subject, left: Cell::new(2) };
    let ended = search.run(&interrupted, &mut |line| told.push(line.to_owned()));
    assert!(matches!(ended, Err(CeilingError::Interrupted)), "{ended:?}");
    let before = State::read(folder.path()).expect("it is kept");
    assert_eq!((before.trials.len(), before.outcome.is_some()), (2, false));
    assert!(told[0].starts_with("the generator itself does "), "{told:?}");

    let mut search = Search::new(folder.path(), before.clone());
    search.run(&subject, &mut |line| told.push(line.to_owned())).expect("it goes on");
    let state = State::read(folder.path()).expect("it is kept");
    assert_eq!(state.trials[..2], before.trials[..], "nothing is done again");
    assert_eq!(told.len(), 1 + state.trials.len(), "a line for each trial, and one for the generator");
    let text = search.text(&subject.name());
    // 10 ms of work for each message: no more than 100 a second. What a busy machine makes of it is its own affair.
    assert!(state.outcome.is_some(), "{text}");
    let held = state.trials.iter().filter(|result| result.verdict.is_pass());
    assert!(held.map(|result| result.trial.rate).max() <= Some(101), "{text}");
    assert!(text.starts_with("ceiling  slow on purpose on embedded, p99 <= 100 ms, lag bounded  "), "{text}");
    for result in &state.trials {
        let directory = folder.path().join(&result.directory);
        assert!(directory.join("run.json").is_file() && directory.join("latency.hlog").is_file(), "{result:?}");
        assert!(!directory.join("operations.bin").exists(), "{result:?}");
    }
    let curve = std::fs::read_to_string(folder.path().join("curve.svg")).expect("a picture");
    assert!(
        curve.starts_with("<svg") && curve.contains("latency against rate") && curve.trim_end().ends_with("</svg>"),
        "{curve}"
    );
}

fn slow_generator() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Whoever waits 20 ms before it sends, and has room for one message, sends 50 a second.
    let client = r#""queue.buffering.max.messages" = 1, "linger.ms" = 20"#;
    let file = scenario(folder.path(), "1us", client);
    let settings = settings(Duration::from_millis(100), 10);
    let subject = subject(&file, folder.path(), settings.service_level);
    let mut search = Search::new(folder.path(), state(&subject, &file, settings));
    search.run(&subject, &mut |_| ()).expect("a search");
    let (state, text) = (search.state(), search.text(&subject.name()));
    let generator = state.generator.and_then(|generator| generator.rate).expect("it was measured");
    assert!(generator <= 52, "{generator}");
    let Some(Outcome::GeneratorLimited { at_least }) = state.outcome else { panic!("{text}") };
    assert!(at_least <= generator * 7 / 10 + 1, "{text}");
    assert!(text.contains("limited by the generator   generator used "), "{text}");
}

fn refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ramp = scenario(folder.path(), "1ms", ONE_BY_ONE);
    let text = std::fs::read_to_string(&ramp).expect("the file");
    let text = text.replace("shape = \"constant\", rate", "shape = \"ramp\", from = \"10/s\", rate");
    std::fs::write(&ramp, text).expect("the file");
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/correctness/black-friday.toml");
    let ask = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_shakedown")).arg("ceiling").args(arguments).output();
        let output = output.expect("the tool starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let out = folder.path().join("out").display().to_string();
    for (arguments, told) in [
        (vec![ramp.to_str().expect("a path"), "--out", &out], "a trial has one rate"),
        (vec!["no/such.toml", "--out", &out], "no/such.toml"),
        (vec!["--resume", &out], "there is no search to go on with"),
        (vec![shop.to_str().expect("a path"), "--bootstrap", "localhost:9092", "--out", &out], "`--backend external`"),
    ] {
        let (code, said) = ask(&arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
    assert!(!Path::new(&out).exists(), "nothing is begun that cannot be done");
}

/// What the tool finds, killed once in the middle; the rest of its arguments.
fn tool_finds(file: &Path, out: &Path, arguments: &[&str]) -> State {
    let mut begun = Command::new(env!("CARGO_BIN_EXE_shakedown"))
        .args(["ceiling", file.to_str().expect("a path"), "--out", out.to_str().expect("a path")])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool starts");
    let mut lines = BufReader::new(begun.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let first = lines.next().expect("where it is kept");
    let folder = PathBuf::from(first.strip_prefix("the search is kept in ").expect("a folder"));
    // The generator and three trials.
    assert_eq!(lines.by_ref().take(4).count(), 4);
    begun.kill().expect("SIGKILL");
    begun.wait().expect("it ends");
    let before = State::read(&folder).expect("whole");
    assert!(before.trials.len() >= 3, "{}", before.trials.len());
    let resumed = Command::new(env!("CARGO_BIN_EXE_shakedown")).args(["ceiling", "--resume"]).arg(&folder).output();
    let resumed = resumed.expect("the tool starts");
    println!("{}{}", String::from_utf8_lossy(&resumed.stderr), String::from_utf8_lossy(&resumed.stdout));
    let state = State::read(&folder).expect("whole");
    assert_eq!(state.trials[..before.trials.len()], before.trials[..]);
    state
}

/// One message a request: what a request costs beside its work follows from how many a broker does with 100 us of work, and from
/// that how many it does with 50 us. A search ends within 3 % below the truth, which at 100 us is 3 us of what a request costs, and at
/// 200 us would be 6 us of some 55.
fn fifty_microseconds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/load/ceiling-50us.toml");
    let text = std::fs::read_to_string(committed).expect("the scenario");
    let find = |work_us: u32| {
        let file = folder.path().join(format!("{work_us}us.toml"));
        std::fs::write(&file, text.replace("work = \"50us\"", &format!("work = \"{work_us}us\""))).expect("a file");
        let state = tool_finds(&file, folder.path(), &["--quick", "--from", "2000/s"]);
        match state.outcome {
            Some(Outcome::Found { rate, .. } | Outcome::Unstable { around: Some((rate, ..)), .. }) => rate as f64,
            other => panic!("with {work_us} us: {other:?}"),
        }
    };
    let (found, slow) = (find(50), find(100));
    let base_us = 1e6 / slow - 100.0;
    let predicted = 1e6 / (50.0 + base_us);
    println!("100 us: {slow}/s, so {base_us:.1} us for the rest; 50 us: {found}/s, predicted {predicted:.0}/s");
    assert!((found / predicted - 1.0).abs() <= 0.1, "found {found}/s, predicted {predicted:.0}/s");
}
