//! Services that die when nobody asked them to, and services that do not come back: always a verdict, with their last words.

use crate::{launch, trial};
use libtest_mimic::Trial;
use shakedown::run::judgement::{ENDING_FILE, Ending};
use shakedown::{Report, Runner};
use shakedown_reports::verdict::Outcome;
use shakedown_reports::{Event, EventKind, RunRecord};
use std::path::Path;

/// The service is asked for figures after the drain.
const FIGURES: &str = r#"
[conserved.orders]
equal = ["count load", "figure mine.orders"]

[load]"#;

const FAULT: &str = r#"
[[fault]]
at = "500ms"
do = { kill = "service(mine)" }
heal = { after = "100ms" }

[expect]"#;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("deaths::a_service_with_figures_that_dies_leaves_a_verdict", || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let scenario = launch::SCENARIO
                .replace("\n[load]", FIGURES)
                .replace("ready = {", "figures = { get = \"/figures\" }\nready = {")
                .replace("lost = 0", "lost = 0\nconserved = [\"orders\"]");
            let report = run(folder.path(), &scenario, "echo up and running; sleep 0.3; echo out of memory; exit 7");
            let text = report.text(false);
            assert_eq!(report.exit().code(), 3, "{text}");
            let reasons = report.verdict().reasons.join("\n");
            assert!(reasons.contains("mine exited with code 7") && reasons.contains("out of memory"), "{reasons}");
            assert!(
                report.directory().join(ENDING_FILE).is_file() && report.directory().join("verdict.json").is_file()
            );
            assert!(!Ending::read(report.directory()).expect("an ending").drained);
        }),
        trial("deaths::a_fault_does_not_hide_an_earlier_crash", || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            // Only its first life crashes.
            let script = "echo up and running; [ -e \"$1\" ] && exec sleep 600; touch \"$1\"; sleep 0.1; exit 7";
            let report = run(folder.path(), &launch::SCENARIO.replace("\n[expect]", FAULT), script);
            let text = report.text(false);
            assert_eq!(report.exit().code(), 3, "{text}");
            let reasons = &report.verdict().reasons;
            assert!(reasons.iter().any(|reason| reason.starts_with("mine exited with code 7")), "{reasons:?}");
            assert!(reasons.iter().any(|reason| reason.starts_with("the fault never fired: kill")), "{reasons:?}");
            assert!(report.summary().faults_fired.values().all(|times| *times == 0), "{text}");
        }),
        trial("deaths::a_service_that_does_not_come_back_fails_the_run", || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let script =
                "[ -e \"$1\" ] && echo no such database && exit 3; touch \"$1\"; echo up and running; sleep 600";
            let report = run(folder.path(), &launch::SCENARIO.replace("\n[expect]", FAULT), script);
            let text = report.text(false);
            assert_eq!(report.exit().code(), 1, "{text}");
            let stalled = report.verdict().findings.iter().find(|finding| finding.check == "stalled");
            let stalled = stalled.unwrap_or_else(|| panic!("no finding:\n{text}"));
            assert_eq!((stalled.subject.as_str(), stalled.outcome), ("service mine", Outcome::Fail), "{text}");
            assert!(stalled.detail.contains("mine exited with code 3 before it was ready"), "{}", stalled.detail);
            assert!(text.contains("no such database"), "its last words are missing:\n{text}");
            assert_eq!(report.summary().faults_fired.values().sum::<u64>(), 1, "{text}");
        }),
        trial("deaths::a_service_that_is_restarted_is_up_again_within_a_second", || {
            let text = committed("tracker-restart.toml");
            let events = run_tracker(&text);
            let at_ns = |told: &str| events.iter().rfind(|event| event.text == told).map(|event| event.at_ns);
            let [stopped, back] = ["restart: tracker", "healed: tracker"].map(|told| at_ns(told).expect(told));
            assert!(back - stopped <= 1_000_000_000, "{} ms", (back - stopped) / 1_000_000);
        }),
        trial("deaths::a_service_comes_back_when_its_coordinator_does_and_is_not_convicted_before", || {
            // Killed while its coordinator hears no client, it cannot join before that has healed, which takes longer than a
            // service may take to start.
            let cut = "[[fault]]\nat = \"1s\"\nheal = { after = \"5s\" }\n\
                       do = { clients = { of = \"group-coordinator(order-tracker)\", cut = true } }\n\n\
                       [limits]\nstart = \"3s\"\n\n[expect]";
            let mut text = committed("tracker-killed.toml");
            for (part, change) in
                [("for = \"2s\"", "for = \"7s\""), ("at = \"700ms\"", "at = \"1500ms\""), ("[expect]", cut)]
            {
                assert!(text.contains(part), "the scenario has no {part}");
                text = text.replace(part, change);
            }
            let events = run_tracker(&text);
            let is_heard = |event: &&Event| matches!(&event.kind, EventKind::Fault { fault, healed: true } if fault.starts_with("clients"));
            let heard_ns = events.iter().find(is_heard).expect("clients are heard again").at_ns;
            let back = events.iter().rfind(|event| event.text == "healed: tracker").expect("the tracker is back");
            assert!(heard_ns < back.at_ns, "the tracker joined a group whose coordinator heard nobody");
        }),
    ]
}

fn committed(scenario: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/correctness").join(scenario);
    std::fs::read_to_string(file).expect("the scenario")
}

/// Runs a scenario over the tracker, which passes; its timeline.
fn run_tracker(scenario: &str) -> Vec<Event> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let systems = folder.path().join("systems");
    std::fs::create_dir(&systems).expect("a folder");
    let system = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/systems/tracker.toml");
    std::fs::copy(system, systems.join("tracker.toml")).expect("the system");
    let file = folder.path().join("correctness.toml");
    std::fs::write(&file, scenario).expect("a scenario file");
    let runner = Runner::new(&file).executable(env!("CARGO_BIN_EXE_shakedown")).output(folder.path());
    let report = runner.run().unwrap_or_else(|error| panic!("{error}"));
    report.assert_passed();
    RunRecord::open(report.directory()).expect("a record").events().expect("a timeline")
}

/// Runs the scenario with this script as the service; its `$1` is a file that is not there yet.
fn run(folder: &Path, scenario: &str, script: &str) -> Report {
    let file = folder.join("mine.toml");
    std::fs::write(&file, scenario.replace("\"30s\"", "\"1s\"")).expect("a scenario file");
    let mark = folder.join("was-here").display().to_string();
    let runner = Runner::new(&file).command("mine", ["sh", "-c", script, "sh", &mark]).output(folder);
    runner.run().unwrap_or_else(|error| panic!("{error}"))
}
