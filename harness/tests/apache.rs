//! Scenarios on Apache Kafka itself, in a test executable of their own: three JVMs beside other tests would spoil both.
//!
//! Where there is no Java or no jar these tests say so on standard error and pass; with `SHAKEDOWN_REQUIRE_PEERS` set, as in
//! CI, they fail instead.

use shakedown::backend::Apache;
use shakedown::{Report, Runner};
use shakedown_cluster::apache::{Jars, java_program};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One cluster of JVMs at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Whether this machine can run Kafka; then it is this test's turn.
fn turn() -> Option<MutexGuard<'static, ()>> {
    let java = Command::new(java_program()).arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let missing = match (java, Jars::find()) {
        (Err(error), _) => format!("java: {error}"),
        (_, Err(error)) => error.to_string(),
        (Ok(_), Ok(_)) => return Some(ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)),
    };
    assert!(std::env::var_os("SHAKEDOWN_REQUIRE_PEERS").is_none(), "{missing}");
    // Not by a macro, whose words would be kept from the terminal.
    writeln!(std::io::stderr(), "a test with Apache Kafka is skipped: {missing}").expect("standard error");
    None
}

/// Every fault that this back end can do, on every role, each by the trigger that it can tell.
///
/// One request at a time, because librdkafka doubles messages otherwise, once in many leaders that go: a broker that refuses
/// one partition's batch out of order makes it begin a new epoch for all of them, under which another partition's batch that
/// was written and not yet answered is written once more (confluentinc/librdkafka#4953, open).
const FAULTS: &str = r#"
name = "every order is tracked while nodes of Apache Kafka come and go"
system = "tracker"
seed = 7

[cluster]
backend = "apache"
brokers = 3
config = { "num.replica.fetchers" = 2 }

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "100/s", for = "40s" }
keys = { users = 50 }
client = { "topic.metadata.refresh.interval.ms" = 200, "max.in.flight.requests.per.connection" = 1 }

[[fault]]
name = "leader"
when = { produced = { topic = "orders", nth = 300 } }
do = { kill = "leader(orders/0)" }
heal = { after = "4s" }

[[fault]]
at = "16s"
do = { pause = "controller" }
heal = { after = "4s" }

[[fault]]
at = "28s"
do = { restart = "group-coordinator(order-tracker)" }

[expect]
lost = 0
duplicated = 0
order = "per-key"
conserved = ["orders"]
"#;

#[test]
fn nobody_notices_that_nodes_die_and_stop() {
    let Some(_turn) = turn() else { return };
    let report = run(FAULTS, "tracker", |runner| runner);
    report.assert_passed();
    let text = report.text(false);
    assert!(text.contains("apache, 3 brokers"), "{text}");
    assert!(text.contains("3 of 3 fired"), "{text}");
    assert!(text.contains(" leads orders/"), "elections are on the timeline: {text}");
    let back = text.lines().any(|line| line.contains("in sync on") && line.ends_with(": 1, 2, 3"));
    assert!(back, "whoever was killed is in sync again: {text}");
}

#[test]
fn a_system_of_services_does_its_work() {
    let Some(_turn) = turn() else { return };
    let text = without_times("correctness/billing.toml", 1);
    run(&text, "billing", |runner| runner.backend(Apache)).assert_passed();
}

#[test]
fn a_shop_takes_ships_and_tells_of_every_order_once() {
    let Some(_turn) = turn() else { return };
    let text = without_times("correctness/storefront.toml", 2);
    run(&text, "storefront", |runner| runner.backend(Apache)).assert_passed();
}

#[test]
fn domains_keep_their_orders_while_one_is_down_and_scaled() {
    let Some(_turn) = turn() else { return };
    let text = without_times("correctness/platform.toml", 3);
    let report = run(&text, "platform", |runner| runner.backend(Apache));
    report.assert_passed();
    assert!(report.text(false).contains("2 of 2 fired"), "{}", report.text(false));
}

#[test]
fn domains_keep_their_orders_when_a_broker_dies() {
    let Some(_turn) = turn() else { return };
    let text = without_times("correctness/platform-failover.toml", 0);
    let report = run(&text, "platform", |runner| runner.backend(Apache));
    report.assert_passed();
    assert!(report.text(false).contains("1 of 1 fired"), "{}", report.text(false));
}

/// A committed scenario without its so many expectations of how long something takes or how far it falls behind: a JVM that
/// has just started says nothing about anybody's services.
fn without_times(scenario: &str, left_out: usize) -> String {
    let text = std::fs::read_to_string(committed(scenario)).expect("the scenario");
    let is_of_time = |line: &&str| ["latency.", "unavailable =", "lag ="].iter().any(|key| line.starts_with(key));
    assert_eq!(text.lines().filter(is_of_time).count(), left_out, "nothing else is left out");
    text.lines().filter(|line| !is_of_time(line)).collect::<Vec<_>>().join("\n")
}

/// What a client does to any cluster, and a broker that is drawn and restarted as soon as all are whole.
const MOVES: &str = r#"
name = "every order is tracked while leaders of Apache Kafka move"
system = "tracker"
seed = 8

[cluster]
backend = "apache"
brokers = 3

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "100/s", for = "40s" }
keys = { users = 50 }
client = { "topic.metadata.refresh.interval.ms" = 200, "max.in.flight.requests.per.connection" = 1 }

[[fault]]
at = "1s"
do = { move-leader = { topic = "orders", partition = 0 } }

[[fault]]
at = "2s"
do = { reassign = { topic = "orders", partition = 1, to = [3, 1] } }

[[fault]]
at = "3s"
do = { move-coordinator = { group = "order-tracker" } }

[[fault]]
at = "6s"
do = { rolling-restart = "one" }

[expect]
lost = 0
duplicated = 0
order = "per-key"
conserved = ["orders"]
"#;

#[test]
fn nobody_notices_that_leaders_move_and_a_node_restarts_in_its_turn() {
    let Some(_turn) = turn() else { return };
    let report = run(MOVES, "tracker", |runner| runner);
    report.assert_passed();
    let text = report.text(false);
    assert!(text.contains("4 of 4 fired"), "{text}");
    for told in [
        ", as broker ",
        "orders/1 moves to brokers 3, 1",
        " leads __consumer_offsets/",
        "1 of 1 brokers were restarted",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

/// Transactions of two producers, one in five aborted on purpose, while a broker that leads some of the topic's partitions and of
/// those of `__transaction_state` dies. Whoever reads what was committed, and nothing else, sees each message that was
/// acknowledged once, and none that was not; and the tracker's group is waited for although its log ends with markers.
const TRANSACTIONS: &str = r#"
name = "what Apache Kafka commits is tracked, and what it aborts is not"
system = "tracker"
seed = 9

[cluster]
backend = "apache"
brokers = 3

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "200/s", for = "15s" }
keys = { users = 50 }
transactions = { every = "50ms", abort = 0.2 }
producers = 2
client = { "topic.metadata.refresh.interval.ms" = 200, "max.in.flight.requests.per.connection" = 1 }

[[fault]]
at = "6s"
do = { kill = "leader(orders/0)" }
heal = { after = "3s" }

[expect]
lost = 0
duplicated = 0
order = "per-key"
conserved = ["orders"]
"#;

#[test]
fn what_is_aborted_is_seen_by_nobody_and_what_is_committed_by_all() {
    let Some(_turn) = turn() else { return };
    let report = run(TRANSACTIONS, "tracker", |runner| runner);
    report.assert_passed();
    let text = report.text(false);
    assert!(text.contains("1 of 1 fired"), "{text}");
    assert!(text.contains("transactions aborted on purpose)"), "{text}");
}

/// The failure cases that need nothing but processes that die and stand still, and operators.
const CASES: [&str; 7] = [
    "04-acks1-failover",
    "05-unclean-election",
    "09-auto-commit-loss",
    "10-rebalance-duplicate",
    "19-log-start-passes-consumer",
    "22-partition-expand",
    "24-poll-livelock",
];

#[test]
fn kafka_itself_loses_and_doubles_what_the_failure_cases_say_and_their_twins_do_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = CASES.iter().flat_map(|case| [format!("failures/{case}.toml"), format!("failures/{case}.fixed.toml")]);
    let runner = |file: String| Runner::new(committed(&file)).backend(Apache).output(folder.path());
    let runners: Vec<Runner> = files.map(runner).collect();
    for runner in &runners {
        // Whatever this machine can run.
        runner.plan().unwrap_or_else(|error| panic!("{error}"));
    }
    let Some(_turn) = turn() else { return };
    for runner in runners {
        let report = runner.executable(env!("CARGO_BIN_EXE_shakedown")).run();
        report.unwrap_or_else(|error| panic!("{error}")).assert_passed();
    }
}

/// Runs a scenario over one of the committed systems.
fn run(text: &str, system: &str, with: impl FnOnce(Runner) -> Runner) -> Report {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("scenario.toml");
    let path = committed(&format!("systems/{system}.toml")).display().to_string();
    let named = format!("system = \"{system}\"");
    assert!(text.contains(&named), "the scenario has another system");
    std::fs::write(&file, text.replace(&named, &format!("system = {path:?}"))).expect("a scenario file");
    let runner = Runner::new(&file).output(folder.path()).executable(env!("CARGO_BIN_EXE_shakedown"));
    with(runner).run().unwrap_or_else(|error| panic!("{error}"))
}

fn committed(path: &str) -> PathBuf {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    scenarios.join(path).canonicalize().expect("a committed file")
}
