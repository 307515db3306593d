//! Scenarios on a cluster that belongs to somebody else: another process here.

use crate::{tool, trial};
use libtest_mimic::Trial;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use shakedown::backend::External;
use shakedown::{Report, RunError, Runner};
use std::time::Duration;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("external::what_is_there_is_used_and_left_alone", borrowed),
        trial("external::a_topic_with_other_partitions_is_refused", other_partitions),
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

fn run(text: &str, bootstrap: &str) -> Result<Report, RunError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("scenario.toml");
    std::fs::write(&file, text).expect("a scenario file");
    Runner::new(&file).output(folder.path()).backend(External::new(bootstrap)).run()
}
