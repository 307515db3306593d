//! Scenarios on a cluster that belongs to somebody else: another process here.

use crate::{tool, trial};
use libtest_mimic::Trial;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use shakedown::backend::External;
use shakedown::{Report, RunError, Runner};
use shakedown_reports::record::Record as _;
use shakedown_reports::{EventKind, RunRecord};
use std::path::Path;
use std::time::Duration;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("external::what_is_there_is_used_and_left_alone", borrowed),
        trial("external::a_topic_with_other_partitions_is_refused", other_partitions),
        trial("external::a_fault_strikes_behind_the_very_message_that_it_waits_for", very_message),
        trial("external::nobody_there_is_an_error_that_says_so", || {
            let error = run(PLAIN, "127.0.0.1:1").expect_err("nobody listens there");
            assert!(error.to_string().contains("the back end `external` gives no cluster"), "{error}");
        }),
    ]
}

const PLAIN: &str = r#"
name = "orders reach a topic of somebody else's cluster"

[topics.orders]
partitions = 2

[topics.brought]

[flows.end-to-end]
from = "load"
to = "topic orders"

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "200/s", for = "1s" }

[expect]
lost = 0
duplicated = 0
"#;

/// A cluster of another process, whose topics have two partitions.
fn somebody() -> (std::process::Child, String) {
    let mut cluster = tool::start(&["cluster", "--brokers", "1", "--config", "num.partitions=2"]);
    let bootstrap = tool::announced(&mut cluster);
    (cluster, bootstrap)
}

fn topics(bootstrap: &str) -> Vec<String> {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("a client");
    let metadata = client.fetch_metadata(None, Duration::from_secs(10)).expect("metadata");
    let mut names: Vec<String> = metadata.topics().iter().map(|topic| topic.name().to_owned()).collect();
    names.retain(|name| !name.starts_with("__"));
    names.sort();
    names
}

/// Makes the topic `orders`, as somebody else would have.
fn occupy(bootstrap: &str) {
    let mut config = ClientConfig::new();
    let client: BaseConsumer =
        config.set("bootstrap.servers", bootstrap).set("allow.auto.create.topics", "true").create().expect("a client");
    while client.fetch_metadata(Some("orders"), Duration::from_secs(10)).expect("metadata").topics()[0]
        .partitions()
        .len()
        != 2
    {}
}

fn borrowed() {
    let (mut cluster, bootstrap) = somebody();
    occupy(&bootstrap);
    let report = run(PLAIN, &bootstrap).unwrap_or_else(|error| panic!("{error}"));
    report.assert_passed();
    assert_eq!(report.info().arguments[..4], ["--backend", "external", "--bootstrap", &bootstrap], "to run it again");
    assert!(report.text(false).contains(&format!("external, {bootstrap}")), "{}", report.text(false));
    assert_eq!(topics(&bootstrap), ["orders"], "what was there is there, and what the run brought is not");
    drop(cluster.stdin.take());
    assert_eq!(tool::wait(&mut cluster), Some(0));
}

fn other_partitions() {
    let (mut cluster, bootstrap) = somebody();
    occupy(&bootstrap);
    let error = run(&PLAIN.replace("partitions = 2", "partitions = 3"), &bootstrap).expect_err("refused");
    let text = error.to_string();
    assert!(text.contains("a topic `orders` already, with 2 partitions, and the scenario wants 3"), "{text}");
    assert_eq!(topics(&bootstrap), ["orders"], "nothing was brought");
    drop(cluster.stdin.take());
    assert_eq!(tool::wait(&mut cluster), Some(0));
}

const KILLED: &str = r#"
[services.mine]
command = ["sh", "-c", "echo up and running; exec sleep 600"]
ready = { log = "up and running" }

[[fault]]
when = { produced = { topic = "orders", nth = 70 } }
do = { kill = "service(mine)" }

[expect]"#;

/// Nobody but the load knows when that is: the cluster is asked a hundred times a second, and five times as many come.
fn very_message() {
    let (mut cluster, bootstrap) = somebody();
    let text = PLAIN.replace("\n[expect]", KILLED).replace("200/s", "500/s");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = run_in(folder.path(), &text, &bootstrap).unwrap_or_else(|error| panic!("{error}"));
    report.assert_passed();
    let record = RunRecord::open(report.directory()).expect("a record");
    let events = record.events().expect("a timeline");
    let is_strike = |kind: &EventKind| matches!(kind, EventKind::Fault { healed: false, .. });
    let struck_ns = events.iter().find(|event| is_strike(&event.kind)).expect("it struck").at_ns;
    let (mut before, mut all) = (0, 0);
    let mut count = |sent_ns: u64| {
        all += 1;
        before += u32::from(sent_ns <= struck_ns);
    };
    record.operations(&mut |operation| count(operation.sent_ns)).expect("operations");
    assert_eq!((before, all), (70, 500));
    drop(cluster.stdin.take());
    assert_eq!(tool::wait(&mut cluster), Some(0));
}

fn run(text: &str, bootstrap: &str) -> Result<Report, RunError> {
    run_in(tempfile::tempdir().expect("a temporary folder").path(), text, bootstrap)
}

fn run_in(folder: &Path, text: &str, bootstrap: &str) -> Result<Report, RunError> {
    let file = folder.join("scenario.toml");
    std::fs::write(&file, text).expect("a scenario file");
    Runner::new(&file).output(folder).backend(External::new(bootstrap)).run()
}
