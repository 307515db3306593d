//! `docs/systems.md` by the letter: each system runs and stays up as the page says, its commands are typed, and what they
//! answer is what stands there, but for ids and times. Ports are free ones, put in the places of those of the page.
//!
//! Where a command of the page is not installed the trial shows as ignored; with `SHAKEDOWN_REQUIRE_PEERS` it fails instead.

use crate::{processes, tool, trial};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// The last line behind which everything is up; those before it say where.
const KEPT: &str = "everything stays up until Ctrl-C";

/// Begins the line of the page that runs a system.
const RUN: &str = "shakedown run --fixed-ports --keep ";

/// One system at a time: what they answer in time is not what is tested here.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const SYSTEMS: [&str; 5] = ["storefront", "fanout", "tracker", "billing", "platform"];

pub(crate) fn trials() -> Vec<Trial> {
    let missing =
        |program: &&str| Command::new(program).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err();
    let missing: Vec<&str> = ["curl", "kcat"].into_iter().filter(missing).collect();
    let skipped = !missing.is_empty() && std::env::var_os("SHAKEDOWN_REQUIRE_PEERS").is_none();
    if skipped {
        eprintln!("{} is not installed: the commands of docs/systems.md are skipped", missing.join(", "));
    }
    let commands = SYSTEMS.map(|system| {
        let name = format!("systems_page::{system}_answers_as_the_page_says");
        trial(&name, move || answers(system)).with_ignored_flag(skipped)
    });
    let tables =
        trial("systems_page::its_tables_are_those_of_the_systems_files", || SYSTEMS.into_iter().for_each(table));
    commands.into_iter().chain([tables]).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The lines of the page about a system.
fn section(system: &str) -> Vec<String> {
    let page = std::fs::read_to_string(root().join("docs/systems.md")).expect("the page");
    let lines = page.lines().skip_while(|line| *line != format!("## `{system}`")).skip(1);
    let lines: Vec<String> = lines.take_while(|line| !line.starts_with("## ")).map(str::to_owned).collect();
    assert!(!lines.is_empty(), "there is no section about {system}");
    lines
}

/// The scenario that the section runs.
fn scenario(section: &[String]) -> String {
    section.iter().find_map(|line| line.strip_prefix(RUN)).expect("a line that runs it").to_owned()
}

fn system_file(system: &str) -> toml_edit::DocumentMut {
    let file = root().join(format!("scenarios/systems/{system}.toml"));
    std::fs::read_to_string(file).expect("the system").parse().expect("TOML")
}

/// A system that stays up after its verdict; killed when dropped.
pub(crate) struct Kept {
    run: Child,
    /// Where each listens: services, stand-ins, and Kafka.
    pub(crate) places: BTreeMap<String, String>,
    folder: tempfile::TempDir,
}

impl Kept {
    pub(crate) fn start(scenario: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut run = Command::new(env!("CARGO_BIN_EXE_shakedown"))
            .args(["run", "--keep", "--out", &folder.path().join("runs").display().to_string(), scenario])
            .current_dir(root())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool starts");
        let mut lines = BufReader::new(run.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        let said: Vec<String> = lines.by_ref().take_while(|line| line != KEPT).collect();
        let places = said.iter().filter_map(|line| {
            let (who, place) = line.strip_prefix("  ")?.split_once("  ")?;
            Some((who.to_owned(), place.trim().trim_start_matches("http://").to_owned()))
        });
        let places: BTreeMap<String, String> = places.collect();
        assert!(places.contains_key("Kafka"), "it does not stay up: {}", said.join("\n"));
        std::thread::spawn(move || lines.for_each(drop));
        Self { run, places, folder }
    }

    /// Types a command of the page, with other ports.
    fn answer(&self, command: &str, ports: &BTreeMap<String, String>) -> String {
        let typed = ports.iter().fold(command.to_owned(), |typed, (port, place)| typed.replace(port, place));
        let output = Command::new("sh").args(["-c", &typed]).output().expect("sh exists");
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{typed} ended with {}: {complaints}", output.status);
        String::from_utf8(output.stdout).expect("text")
    }

    /// Interrupts it.
    pub(crate) fn end(mut self) {
        tool::signal(&self.run, Signal::INT);
        let status = tool::wait(&mut self.run);
        let mut report = String::new();
        self.run.stdout.take().expect("a pipe").read_to_string(&mut report).expect("a report");
        processes::assert_none_of(self.folder.path());
        let run = tool::find_run(self.folder.path()).expect("a run directory");
        assert!(run.join("stores").is_dir(), "the stores are kept");
        // What was done by hand is no part of the record. What the verdict is, the scenario's own trial says.
        let checked = tool::shakedown(&["check", &run.display().to_string()]);
        assert_eq!(checked.status.code(), status, "{report}{}", String::from_utf8_lossy(&checked.stdout));
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.run.kill();
        let _ = self.run.wait();
    }
}

fn system_of(scenario: &str) -> String {
    let file: toml_edit::DocumentMut =
        std::fs::read_to_string(root().join(scenario)).expect("the scenario").parse().expect("TOML");
    file["system"].as_str().expect("a system").to_owned()
}

fn answers(system: &str) {
    let section = section(system);
    let scenario = scenario(&section);
    assert_eq!(system_of(&scenario), system);
    let commands = commands(&section);
    assert!(commands.iter().any(|(_, answer)| !answer.is_empty()), "no command has an answer");
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = Kept::start(&scenario);
    let mut ports = BTreeMap::from([("localhost:9092".to_owned(), kept.places["Kafka"].clone())]);
    for (name, service) in system_file(system)["services"].as_table().expect("a table") {
        let place = kept.places.get(name).or_else(|| kept.places.get(&format!("{name} 1")));
        ports.insert(format!("localhost:{}", service["port"]).replace(' ', ""), place.expect(name).clone());
    }
    for (command, expected) in commands {
        // Asked again until it is so: what was ordered is still on its way. What is asked only once changes something.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = kept.answer(&command, &ports);
            if fits(&expected, &answer) {
                break;
            }
            let may_change = !command.contains(" -d ") && Instant::now() < deadline;
            assert!(may_change, "$ {command}\nthe page:\n{expected}\nanswered:\n{answer}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    kept.end();
}

/// The commands of a section, each with its answer.
fn commands(section: &[String]) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    let mut is_command = false;
    let mut is_code = false;
    for line in section {
        if line == "```" {
            is_code = !is_code;
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| is_code) {
            commands.push((command.to_owned(), String::new()));
            is_command = true;
        } else if let Some((command, answer)) =
            commands.last_mut().filter(|_| is_code && !line.starts_with("shakedown"))
        {
            let text = if is_command { command } else { answer };
            text.push('\n');
            text.push_str(line);
        }
        is_command = is_command && line.ends_with('\\');
    }
    commands
}

/// Whether an answer is the one of the page.
fn fits(expected: &str, answer: &str) -> bool {
    match (serde_json::from_str(expected), serde_json::from_str(answer)) {
        (Ok(expected), Ok(answer)) => is_like(&expected, &answer),
        _ => expected.trim() == answer.trim(),
    }
}

/// Equal but for ids of events, times, and the order of lists.
fn is_like(expected: &Json, answer: &Json) -> bool {
    match (expected, answer) {
        (Json::Object(expected), Json::Object(answer)) => {
            expected.len() == answer.len()
                && expected.iter().all(|(name, value)| {
                    let is_other = ["event_id", "notification_id", "_us", "AtUs", "position"];
                    let is_other = is_other.iter().any(|end| name.ends_with(end));
                    answer.get(name).is_some_and(|answer| match (value, answer) {
                        (Json::String(_), Json::String(_)) | (Json::Number(_), Json::Number(_)) if is_other => true,
                        _ => is_like(value, answer),
                    })
                })
        }
        (Json::Array(expected), Json::Array(answer)) => {
            let is_there = |one: &Json| answer.iter().any(|other| is_like(one, other));
            expected.len() == answer.len() && expected.iter().all(is_there)
        }
        _ => expected == answer,
    }
}

fn table(system: &str) {
    let cells = |line: &String| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let section = section(system);
    let rows = section.iter().filter(|line| line.starts_with("| `"));
    let rows: BTreeMap<String, Vec<String>> =
        rows.map(|line| (cells(line)[0].clone(), cells(line)[1..].to_vec())).collect();
    let file = system_file(system);
    let services = file["services"].as_table().expect("a table");
    assert_eq!(rows.len(), services.len(), "{system}");
    for (name, service) in services {
        let list = |key: &str| -> String {
            let names = service.get(key).and_then(|names| names.as_array()).into_iter().flatten();
            names.map(|name| format!("`{}`", name.as_str().expect("a name"))).collect::<Vec<_>>().join(", ")
        };
        let group = service.get("group").and_then(|group| group.as_str()).map(|group| format!("`{group}`"));
        let port = service["port"].as_integer().expect("a port").to_string();
        let row = [port, group.unwrap_or_default(), list("consumes"), list("produces"), list("calls")];
        assert_eq!(rows[&format!("`{name}`")], row, "{name} of {system}");
    }
}
