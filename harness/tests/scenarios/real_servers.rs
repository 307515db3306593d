//! The shops on PostgreSQL and Redis instead of SQLite and no cache: what is found out about them is the same, also when the
//! cache dies and the store stands still and is restarted in the middle of the load.
//!
//! Where a server is not installed this is skipped aloud; with `SHAKEDOWN_REQUIRE_PEERS` it fails.

use crate::systems_page::Kept;
use crate::{equipment, trial};
use libtest_mimic::Trial;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const SERVERS: &str = "store = \"postgres\"\ncache = \"redis\"\n";

/// What is behind the order service goes wrong, and comes back: each when the topic has so many messages.
const FAULTS: &str = r#"
[[fault]]
when = { produced = { topic = "TOPIC", nth = 100 } }
do = { kill = "cache(order)" }

[[fault]]
when = { produced = { topic = "TOPIC", nth = 150 } }
do = { pause = "store(order)" }
heal = { after = "500ms" }

[[fault]]
when = { produced = { topic = "TOPIC", nth = 350 } }
do = { restart = "store(order)" }
"#;

/// Scenarios, and the topic of their orders.
const SHOPS: [(&str, &str); 3] =
    [("storefront", "order_created"), ("storefront-killed", "order_created"), ("fanout", "order-created")];

/// Four services with servers of their own, and a load over HTTP, are enough for a machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub(crate) fn trials() -> Vec<Trial> {
    // Everything that a healthy `storefront-killed` shows its failing one shows, too.
    let healthy = ["storefront", "fanout"].map(|scenario| {
        trial(&format!("real_servers::{scenario}_is_found_to_be_what_it_is_on_sqlite"), move || {
            if equipment::has_servers() {
                let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
                let report = equipment::run_text(&without_times(scenario), SERVERS);
                report.assert_passed();
                assert_eq!(findings(&report.snapshot()), findings(&on_sqlite(scenario)));
            }
        })
    });
    let failing = SHOPS.map(|(scenario, topic)| {
        trial(&format!("real_servers::{scenario}_stands_a_dead_cache_and_a_store_that_stops_and_restarts"), move || {
            if equipment::has_servers() {
                stands(scenario, topic);
            }
        })
    });
    let kept = trial("real_servers::whoever_keeps_the_servers_is_told_where_their_data_is", || {
        if equipment::has_servers() {
            keeps();
        }
    });
    healthy.into_iter().chain(failing).chain([kept]).collect()
}

/// A tracker that keeps what it tracks in PostgreSQL.
const TRACKED: &str = r#"name = "kept"
store = "postgres"

[topics.orders]

[services.tracker]
group = "order-tracker"
consumes = ["orders"]
ledger = { get = "/tracked", identity = "/order_id", key = "/user" }

[flows.end-to-end]
from = "topic orders"
to = "ledger tracker"

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "100/s", for = "1s" }

[expect]
lost = 0
"#;

fn keeps() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let scenario = folder.path().join("kept.toml");
    std::fs::write(&scenario, TRACKED).expect("a scenario");
    let kept = Kept::start(&scenario.display().to_string());
    let data = PathBuf::from(kept.places.get("data of servers").expect("a line that says where the data is"));
    assert!(data.join("store(tracker)").is_dir(), "{}", data.display());
    kept.end();
    assert!(data.join("store(tracker)").is_dir(), "it was to be kept");
    std::fs::remove_dir_all(data).expect("nobody has it any more");
}

fn stands(scenario: &str, topic: &str) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // Events are published at least once: those whose publication the store could not note are published again.
    let text = without_times(scenario);
    let text: Vec<&str> = text.lines().filter(|line| !line.starts_with("duplicated")).collect();
    let faults = FAULTS.replace("TOPIC", topic);
    let report = equipment::run_text(&text.join("\n"), &format!("{SERVERS}{faults}"));
    report.assert_passed();
    let fired = &report.summary().faults_fired;
    assert!(fired.len() >= 3 && fired.values().all(|times| *times == 1), "{fired:?}");
    let told = equipment::told(&report);
    for expected in ["kill: Redis of order", "pause: PostgreSQL of order", "restart: PostgreSQL of order"] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let checks = |findings: Vec<String>| -> Vec<String> {
        findings.into_iter().filter(|line| !line.starts_with("  duplicated")).collect()
    };
    assert_eq!(checks(findings(&report.snapshot())), checks(findings(&on_sqlite(scenario))));
}

/// The scenario without its expectations of times, and with patient customers: a server that shares this machine with other
/// tests is as slow as they make it.
fn without_times(scenario: &str) -> String {
    let text = equipment::committed(&format!("{scenario}.toml"));
    assert_eq!(text.matches("[load]\n").count(), 1, "one load");
    let text = text.replace("[load]\n", "[load]\ntimeout = \"10s\"\nretries = { for = \"60s\" }\n");
    let is_of_time = |line: &&str| ["latency.", "unavailable ="].iter().any(|key| line.starts_with(key));
    text.lines().filter(|line| !is_of_time(line)).collect::<Vec<_>>().join("\n")
}

/// What the checks found, and the totals: the plan is another one, and there may be more faults.
fn findings(snapshot: &str) -> Vec<String> {
    let mut is_of_faults = false;
    let lines = snapshot.lines().filter(|line| {
        if !line.starts_with(' ') {
            is_of_faults = *line == "faults";
        }
        let is_else = ["plan", "  latency ", "  unavailable "].iter().any(|word| line.starts_with(word));
        !is_of_faults && !is_else && !line.is_empty()
    });
    lines.map(str::to_owned).collect()
}

/// The reviewed report of the scenario, which is on SQLite.
fn on_sqlite(scenario: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../reports/snapshots/{scenario}.snap"));
    let text = std::fs::read_to_string(file).expect("a reviewed report");
    let (_, report) = text.split_once("\n---\n").expect("a head of its own");
    report.to_owned()
}
