//! `shakedown compare` from outside: two pairs, which can never be certain of anything, and what becomes of their runs.

use crate::tool::shakedown;
use crate::trial;
use libtest_mimic::Trial;
use std::path::{Path, PathBuf};
use std::process::Output;

/// A run of two seconds over a link of some length.
const LINK: &str = r#"
name = "over a link"
seed = 1

[cluster]
brokers = 1

[topics.orders]

[flows.end-to-end]
from = "load"
to = "topic orders"

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "200/s", for = "2s" }

[[fault]]
at = "0s"
do = { clients = { delay = "2ms" } }

[expect]
lost = 0
"#;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("compared::pairs_run_are_judged_and_are_found_again", pairs),
        trial("compared::runs_that_are_there_already_are_compared", || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let scenario = write(folder.path(), "link.toml", LINK);
            let runs = |side: &str| folder.path().join(side).display().to_string();
            for side in ["before", "after"] {
                let run = shakedown(&["run", &text(&scenario), "--out", &runs(side)]);
                assert_eq!(run.status.code(), Some(0), "{}", said(&run));
            }
            let output = shakedown(&["compare", &runs("before"), "--against", &runs("after"), "--format", "json"]);
            assert_eq!(output.status.code(), Some(3), "one run a side says nothing: {}", said(&output));
            let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!((json["a"]["label"].as_str(), json["b"]["label"].as_str()), (Some("before"), Some("after")));
            assert_eq!(json["design"].as_str(), Some("stored"));
            assert!(matches!(json["judgement"].as_str(), Some("too-noisy" | "invalid")), "{json}");
            for (a, b) in [("before", "before"), (".", "after")] {
                let output = shakedown(&["compare", &runs(a), "--against", &runs(b)]);
                assert_eq!(output.status.code(), Some(2), "{}", said(&output));
                assert!(said(&output).contains("is given twice: each run counts once"), "{}", said(&output));
            }
        }),
        trial("compared::what_cannot_be_compared_is_refused_before_anything_runs", refused),
    ]
}

fn pairs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (scenario, out) = (text(&write(folder.path(), "link.toml", LINK)), folder.path().join("out"));
    let compare = |more: &[&str]| {
        let arguments = ["compare", &scenario, "--b", "fault.0.do.clients.delay=20ms", "--pairs", "2"];
        let out = text(&out);
        let rest = ["--no-extension", "--warm-up", "500ms", "--out", &out];
        shakedown(&[&arguments[..], &rest, more].concat())
    };
    let first = compare(&[]);
    assert_eq!(first.status.code(), Some(3), "two pairs are not enough: {}", said(&first));
    let told = String::from_utf8_lossy(&first.stdout);
    assert!(told.starts_with("compare  A ("), "{told}");
    for file in ["comparison.txt", "comparison.md", "comparison.json", "comparison.html", "junit.xml"] {
        assert!(out.join(file).is_file(), "{file} is not there");
    }
    // On a busy machine the first pair is the last: nobody believes it.
    let runs = |side: &str| out.join("pair-001").join(side).join("over-a-link");
    let side = |side: &str| std::fs::read_dir(runs(side)).expect("runs").count();
    assert_eq!((side("a"), side("b")), (1, 1));

    // Nothing runs twice, and what one side was set to is what it ran with.
    let (markdown, again) =
        (out.join("again.md"), compare(&["--format", "markdown", "--output", &text(&out.join("again.md"))]));
    assert_eq!(again.status.code(), Some(3), "{}", said(&again));
    assert_eq!((side("a"), side("b")), (1, 1));
    assert!(std::fs::read_to_string(markdown).expect("written").starts_with("### :warning: "));
    let run = |side: &str| {
        let run = std::fs::read_dir(runs(side)).expect("runs").next().expect("one").expect("readable").path();
        std::fs::read_to_string(run.join("run.json")).expect("its description")
    };
    assert!(run("a").contains("delay = \\\"2ms\\\"") && run("b").contains("delay = \\\"20ms\\\""));

    let other = compare(&["--seed", "9"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(said(&other).contains("its seed is not the one that is asked for now"), "{}", said(&other));
    let (setting, folder) = ("fault.0.do.clients.delay=20ms", text(&out));
    let more = ["compare", &scenario, "--b", setting, "--pairs", "3", "--no-extension", "--out", &folder];
    let more = shakedown(&more);
    assert_eq!(more.status.code(), Some(2), "another look at the same runs: {}", said(&more));
    assert!(said(&more).contains("its number of pairs is not the one that is asked for now"), "{}", said(&more));
}

fn refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let scenario = text(&write(folder.path(), "link.toml", LINK));
    let wrong =
        text(&write(folder.path(), "wrong.toml", &LINK.replace("partitions", "partition").replace("lost", "lots")));
    let folder = text(folder.path());
    for (arguments, expected) in [
        (vec![scenario.as_str()], "both sides are the same"),
        (vec![&scenario, &wrong], "lots"),
        (vec![&scenario, "--b", "name.first=x"], "`name.first` cannot be set: `name` is no table"),
        (vec![&folder], "is a folder: runs are compared with --against"),
        (vec![&folder, "--against", &folder], "there is no run in"),
        (vec![&scenario, &scenario, &scenario], "one scenario or two are compared, and there are 3"),
        (vec![&scenario, "--calibrate", "--b", "seed=2"], "there is no B to set anything for"),
        (vec![&scenario, "--calibrate", "--pairs", "7"], "--pairs 7 is too few for a noise floor: 8 are the least"),
        (vec![&scenario, "--b", "seed=2", "--noise-floor", "no/such.json"], "there is no noise floor in no/such.json"),
    ] {
        let output = shakedown(&[&["compare"], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(expected), "{arguments:?}: {}", said(&output));
    }
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    path
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// What went to both outputs.
fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
