//! A service that drops, doubles or swaps one message in a hundred thousand is convicted of exactly that, with evidence;
//! and so is one that does it at its very end. Where its topic grows, nobody can say.

use crate::{forwarder, trial};
use libtest_mimic::Trial;
use shakedown::{Report, Runner};
use shakedown_reports::verdict::{Finding, Outcome};
use std::time::{Duration, Instant};

const SCENARIO: &str = r#"
name = "a forwarder is watched"
seed = 5

[cluster]
brokers = 1

[topics.orders]
partitions = 4

[topics.forwarded]
partitions = 4

[services.forwarder]
command = ["replaced by the test"]
group = "forwarder"
consumes = ["orders"]
produces = ["forwarded"]
env = { MISCHIEF = "none", MISCHIEF_AT = 50001 }

[flows.forwarded]
from = "topic orders"
to = "topic forwarded"

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "20000/s", for = "5s" }
keys = { users = 500 }

[expect]
lost = 0
duplicated = 0
order = "per-key"
"#;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("misbehaviour::none_is_acquitted", || watch("none").assert_passed()),
        trial("misbehaviour::drop_is_lost", || convicted("drop", "lost")),
        trial("misbehaviour::double_is_duplicated", || convicted("double", "duplicated")),
        trial("misbehaviour::swap_is_reordered", || convicted("swap", "reordered")),
        trial("misbehaviour::what_is_produced_while_services_stop_is_judged", || {
            let report = watch_a_second("farewell");
            let text = report.text(false);
            let duplicated = report.verdict().findings.iter().find(|finding| finding.check == "duplicated");
            let duplicated = duplicated.unwrap_or_else(|| panic!("no finding:\n{text}"));
            assert_eq!((duplicated.outcome, duplicated.found), (Outcome::Fail, forwarder::FAREWELLS), "{text}");
            assert_eq!(report.exit().code(), 1, "{text}");
        }),
        trial("misbehaviour::a_topic_that_grows_is_a_reason_at_once", || {
            let began = Instant::now();
            let report = watch_a_second("grow");
            let text = report.text(false);
            assert_eq!(report.exit().code(), 3, "{text}");
            let reasons = report.verdict().reasons.join("\n");
            let reason = "topic forwarded now has 5 partitions, and its tap reads the 4 that it began with";
            assert!(reasons.contains(reason), "{reasons}");
            assert!(began.elapsed() < Duration::from_secs(30), "it waited out the limit of the drain");
        }),
    ]
}

fn watch(mischief: &str) -> Report {
    run(&SCENARIO.replace("MISCHIEF = \"none\"", &format!("MISCHIEF = \"{mischief}\"")))
}

/// A thousand messages; the mischief is done to the hundredth.
fn watch_a_second(mischief: &str) -> Report {
    let mut text = SCENARIO.replace("MISCHIEF = \"none\"", &format!("MISCHIEF = \"{mischief}\""));
    for (part, change) in [("rate = \"20000/s\", for = \"5s\"", "rate = \"1000/s\", for = \"1s\""), ("50001", "100")] {
        assert!(text.contains(part), "the scenario has no {part}");
        text = text.replace(part, change);
    }
    run(&text)
}

pub(crate) fn run(text: &str) -> Report {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("forwarder.toml");
    std::fs::write(&file, text).expect("a scenario file");
    let this = std::env::current_exe().expect("a path").display().to_string();
    let runner = Runner::new(&file).command("forwarder", [this.as_str(), "misbehave"]).output(folder.path());
    runner.run().unwrap_or_else(|error| panic!("{error}"))
}

fn convicted(mischief: &str, check: &str) {
    let report = watch(mischief);
    let text = report.text(false);
    let failed: Vec<&Finding> =
        report.verdict().findings.iter().filter(|finding| finding.outcome != Outcome::Pass).collect();
    let [only] = failed.as_slice() else { panic!("not exactly one finding:\n{text}") };
    assert_eq!((only.check.as_str(), only.outcome, only.found), (check, Outcome::Fail, 1), "{text}");
    assert_eq!(report.verdict().reasons, Vec::<String>::new(), "{text}");
    assert!(only.compared >= 99_000, "only {} of 100,000 were compared:\n{text}", only.compared);
    assert_eq!(report.exit().code(), 1);
    let [story] = only.evidence.as_slice() else { panic!("not exactly one story:\n{text}") };
    let told = story.events.iter().map(|event| event.text.as_str()).collect::<Vec<_>>().join("\n");
    assert!(story.title.contains("user-"), "the story does not name the key: {}", story.title);
    assert!(told.contains("partition ") && told.contains("offset "), "the story has no place: {told}");
    let out = report.directory().ancestors().nth(2).expect("the folder of run directories").display();
    let end = format!(" --seed 5 --out {out}");
    let again = text.lines().any(|line| line.starts_with("again: shakedown run ") && line.ends_with(&end));
    assert!(again, "the report does not say how to run it again:\n{text}");
}
