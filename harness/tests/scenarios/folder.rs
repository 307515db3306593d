//! `shakedown run FOLDER`: which files it means, and the table behind them.

use crate::{launch, processes, tool, trial};
use libtest_mimic::Trial;
use rustix::process::Signal;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

/// A run of half a second.
const QUICK: &str = r#"
name = "NAME"
seed = 1

[cluster]
brokers = 1

[topics.orders]

[flows.end-to-end]
from = "load"
to = "topic orders"

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "200/s", for = "100ms" }

[expect]
lost = 0
"#;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("folder::every_scenario_beneath_it_runs_and_the_worst_decides", worst_decides),
        trial("folder::nothing_runs_where_a_file_is_no_scenario", || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            write(folder.path(), "s/a.toml", &quick("fine"));
            write(folder.path(), "s/Cargo.toml", "[package]\nname = \"shop\"\n");
            let output = run(folder.path(), &["s"]);
            assert_eq!(output.status.code(), Some(2), "{}", told(&output));
            assert!(errors(&output).contains("s/Cargo.toml"), "it is named: {}", errors(&output));
            assert!(!folder.path().join("runs").exists(), "{}", told(&output));
        }),
        trial("folder::an_empty_one_is_an_error_that_names_it", || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            write(folder.path(), "s/systems/shop.toml", "description = \"a shop\"\n");
            let output = run(folder.path(), &["s"]);
            assert_eq!(output.status.code(), Some(2), "{}", told(&output));
            let expected = format!("there is no scenario in {}", folder.path().join("s").display());
            assert!(errors(&output).contains(&expected), "{}", errors(&output));
        }),
        trial("folder::what_is_for_one_scenario_is_refused_for_two", || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            write(folder.path(), "s/a.toml", &quick("first"));
            write(folder.path(), "s/b.toml", &quick("second"));
            for flag in ["--fixed-ports", "--keep"] {
                let output = run(folder.path(), &["s", flag]);
                assert_eq!(output.status.code(), Some(2), "{}", told(&output));
                let expected = format!("`{flag}` is for one scenario, and there are 2");
                assert!(errors(&output).contains(&expected), "{}", errors(&output));
            }
            assert!(!folder.path().join("runs").exists(), "nothing ran");
        }),
        trial("folder::an_interrupt_ends_the_run_in_good_order_and_begins_no_other", interrupted),
    ]
}

fn worst_decides() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unexpected = quick("nothing is lost though something should be").replace("lost = 0", "lost = 1");
    write(folder.path(), "s/systems/shop.toml", "description = \"no scenario\"\n");
    write(folder.path(), "s/b.toml", &quick("fine"));
    write(folder.path(), "s/a/wrong.toml", &unexpected);
    write(folder.path(), "s/a/right.toml", &quick("fine"));
    let output = run(folder.path(), &["s", "--seed", "17"]);
    let text = told(&output);
    assert_eq!(output.status.code(), Some(1), "{text}{}", errors(&output));
    let table: Vec<&str> = text.lines().skip_while(|line| !line.ends_with("  found")).collect();
    let columns = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let [head, right, wrong, last, "", sum] = table.as_slice() else { panic!("another table: {text}") };
    assert!(head.contains(&folder.path().join("s").display().to_string()), "{head}");
    let (right, wrong, last) = (columns(right), columns(wrong), columns(last));
    assert_eq!((&*right[0], &*right[1], &*right[3]), ("a/right.toml", "pass", "nothing"));
    assert_eq!(
        (&*wrong[0], &*wrong[1], &wrong[3..]),
        ("a/wrong.toml", "FAIL", &["nothing,", "not", "expected"].map(String::from)[..])
    );
    assert_eq!((&*last[0], &*last[1], &*last[3]), ("b.toml", "pass", "nothing"));
    assert!(right[2].parse::<f64>().is_ok_and(|seconds| seconds > 0.0), "{right:?}");
    assert!(sum.starts_with("3 scenarios in ") && sum.ends_with(": 2 pass, 1 FAIL"), "{sum}");
    assert_eq!(text.matches("seed 17  plan").count(), 3, "each has a report of its own: {text}");
    // Two of them share a name, and no run shares its folder.
    assert_eq!(run_folders(folder.path()), 3);
}

fn interrupted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let patient = launch::SCENARIO.replace("\"true\"", "\"echo up and running; sleep 600\"");
    write(folder.path(), "s/a.toml", &quick("the first one"));
    write(folder.path(), "s/b.toml", &patient);
    write(folder.path(), "s/c.toml", &quick("the one that never begins"));
    let (scenarios, runs) = (folder.path().join("s"), folder.path().join("runs"));
    let child = tool::start(&["run", &scenarios.display().to_string(), "--out", &runs.display().to_string()]);
    let deadline = Instant::now() + Duration::from_secs(30);
    while processes::of(folder.path()).is_empty() {
        assert!(Instant::now() < deadline, "the second one does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    tool::signal(&child, Signal::INT);
    let output = child.wait_with_output().expect("it ends");
    let text = told(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    for (file, verdict) in [("a.toml", "pass"), ("b.toml", "inconclusive"), ("c.toml", "not run")] {
        let line = text.lines().find(|line| line.trim_start().starts_with(&format!("{file} ")));
        assert!(line.is_some_and(|line| line.contains(verdict)), "{file}: {text}");
    }
    assert!(text.contains("1 pass, 1 inconclusive, 1 not run"), "{text}");
    assert_eq!(run_folders(folder.path()), 2);
    processes::assert_none_of(folder.path());
}

fn quick(name: &str) -> String {
    QUICK.replace("NAME", name)
}

fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().expect("it has a parent")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

/// Runs a folder beneath `root`, with run directories in `runs` there.
fn run(root: &Path, arguments: &[&str]) -> Output {
    let (folder, flags) = arguments.split_first().expect("a folder");
    let (folder, runs) = (root.join(folder).display().to_string(), root.join("runs").display().to_string());
    let mut line = vec!["run", &folder, "--out", &runs];
    line.extend(flags);
    tool::shakedown(&line)
}

/// How many run directories there are.
fn run_folders(root: &Path) -> usize {
    let scenarios = std::fs::read_dir(root.join("runs")).expect("run directories").flatten();
    scenarios.map(|scenario| std::fs::read_dir(scenario.path()).expect("its runs").count()).sum()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
