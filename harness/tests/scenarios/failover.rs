//! What a leader acknowledges alone dies with it: exactly that many messages are reported lost, whatever their number. With
//! acknowledgements of all replicas none are.
//!
//! `SHAKEDOWN_SOAK=1` repeats it twenty times.

use crate::trial;
use libtest_mimic::Trial;
use shakedown::Runner;
use std::path::Path;

/// How many messages the leader acknowledges while its followers stand still.
const ALONE: [u64; 10] = [1, 2, 3, 5, 10, 20, 50, 100, 150, 200];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("failover::exactly_what_the_dead_leader_had_alone_is_lost", || {
            repeat(|n| run("04-acks1-failover.toml", n, n));
        }),
        trial("failover::what_all_replicas_acknowledge_is_never_lost", || {
            repeat(|n| run("04-acks1-failover.fixed.toml", n, 0));
        }),
    ]
}

/// All numbers at once: each run waits more than it works.
fn repeat(run: impl Fn(u64) + Sync) {
    let times = if std::env::var_os("SHAKEDOWN_SOAK").is_some() { 20 } else { 1 };
    for _ in 0..times {
        std::thread::scope(|scope| ALONE.iter().for_each(|n| drop(scope.spawn(|| run(*n)))));
    }
}

fn run(case: &str, alone: u64, lost: u64) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/failures").join(case);
    let mut text = std::fs::read_to_string(file).expect("the scenario");
    let expected = if lost == 0 { "lost = 0" } else { "lost = 200" };
    for (part, change) in [
        ("rate = \"500/s\"", "rate = \"1000/s\""),
        ("nth = 500", &*format!("nth = {}", 300 + alone)),
        (expected, &*format!("lost = {lost}")),
    ] {
        assert!(text.contains(part), "the scenario has no {part}");
        text = text.replace(part, change);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join(case);
    std::fs::write(&file, text).expect("a scenario file");
    let report = Runner::new(&file).output(folder.path()).run().unwrap_or_else(|error| panic!("{error}"));
    report.assert_passed();
}
