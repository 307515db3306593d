//! Two tests: one boots a cluster, one runs a scenario over this repository's own service.

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::time::Duration;

#[test]
fn a_cluster_is_there_within_milliseconds() {
    let cluster = shakedown_cluster::Cluster::builder().brokers(3).start().expect("a cluster");
    let mut config = ClientConfig::new();
    let consumer: BaseConsumer = config.set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
    let metadata = consumer.fetch_metadata(None, Duration::from_secs(5)).expect("metadata");
    assert_eq!(metadata.brokers().len(), 3);
}

#[test]
fn every_order_is_confirmed() {
    shakedown::Runner::new("scenarios/checkout.toml")
        .command("checkout", [env!("CARGO_BIN_EXE_checkout")])
        .run()
        .expect("a sound scenario")
        .assert_passed();
}
