//! kcat, a client that many people have at hand, against `shakedown cluster`.
//!
//! Where there is no kcat the trial shows as ignored; with `SHAKEDOWN_REQUIRE_PEERS` set, as in CI, it fails instead.

use crate::{tool, trial};
use libtest_mimic::Trial;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

const MESSAGES: usize = 1000;

pub(crate) fn trials() -> Vec<Trial> {
    let installed = Command::new("kcat").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    let skipped = !installed && std::env::var_os("SHAKEDOWN_REQUIRE_PEERS").is_none();
    if skipped {
        eprintln!("kcat is not installed: its trial is skipped");
    }
    vec![trial("kcat::lists_produces_consumes_and_joins_a_group", everything).with_ignored_flag(skipped)]
}

/// Runs kcat with these arguments and this input, and hands back what it printed.
fn kcat(bootstrap: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("kcat")
        .args(["-b", bootstrap])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kcat starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("kcat reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("kcat ends");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kcat {arguments:?} ended with {}: {complaints}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

fn everything() {
    let mut cluster = tool::start(&["cluster", "--brokers", "3", "--config", "num.partitions=6"]);
    let bootstrap = tool::announced(&mut cluster);
    let listed = kcat(&bootstrap, &["-L"], "");
    assert!(listed.contains("3 brokers:"), "{listed}");

    let mut expected = BTreeSet::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let lines: Vec<String> = (0..MESSAGES).map(|n| format!("user-{n}:{codec} {n}")).collect();
        kcat(&bootstrap, &["-P", "-t", "orders", "-K:", "-z", codec], &lines.join("\n"));
        expected.extend(lines);
    }
    let listed = kcat(&bootstrap, &["-L", "-t", "orders"], "");
    assert!(listed.contains("topic \"orders\" with 6 partitions:"), "{listed}");

    let lines = |output: String| output.lines().map(str::to_owned).collect::<Vec<String>>();
    let read = lines(kcat(&bootstrap, &["-C", "-t", "orders", "-o", "beginning", "-e", "-q", "-K:"], ""));
    assert_eq!(read.len(), expected.len(), "each message once");
    assert_eq!(read.iter().cloned().collect::<BTreeSet<String>>(), expected);

    let group = ["-G", "readers", "-X", "auto.offset.reset=earliest", "-e", "-q", "-K:", "orders"];
    let first = lines(kcat(&bootstrap, &group, ""));
    assert_eq!(first.len(), expected.len(), "each message once");
    assert_eq!(first.into_iter().collect::<BTreeSet<String>>(), expected);
    assert_eq!(kcat(&bootstrap, &group, ""), "", "the group has read everything and committed it");

    drop(cluster.stdin.take());
    assert_eq!(tool::wait(&mut cluster), Some(0));
}
