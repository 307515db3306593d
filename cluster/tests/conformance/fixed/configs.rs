//! Settings of topics and brokers: names, types, defaults, where values come from, and how they change.

use super::Sequence;
use crate::pair::Pair;
use crate::requests::{
    APPEND, Change, DELETE, NewTopic, SET, SUBTRACT, alter_configs, describe_configs, incremental_alter,
};
use crate::setup::{Created, versions};
use kafka_protocol::messages::{ApiKey, ListConfigResourcesRequest};
use shakedown_broker::{BrokerId, NodeConfig};

pub(super) const ALL: &[Sequence] = &[
    ("configs::of_topics_in_every_version", of_topics_in_every_version),
    ("configs::of_brokers", of_brokers),
    ("configs::resources_that_are_not_there", resources_that_are_not_there),
    ("configs::changed_one_by_one", changed_one_by_one),
    ("configs::changes_that_are_refused", changes_that_are_refused),
    ("configs::replaced_as_a_whole", replaced_as_a_whole),
    ("configs::types_of_resources", types_of_resources),
];

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

fn of_topics_in_every_version(pair: &mut Pair<'_>) {
    let configs = [("retention.ms", Some("1000")), ("cleanup.policy", Some("compact"))];
    let new = NewTopic { partitions: 1, replicas: 1, configs: &configs, ..NewTopic::default() };
    let orders = pair.create_as("orders", &new);
    let keys = ["retention.ms", "segment.bytes", "retention.days"];
    for version in versions(ApiKey::DescribeConfigs) {
        for synonyms in [false, true] {
            pair.ask(ApiKey::DescribeConfigs, version, |_| describe_configs(synonyms, &[(TOPIC, &orders.name, None)]));
        }
        for keys in [&keys[..], &[]] {
            pair.ask(ApiKey::DescribeConfigs, version, |_| {
                describe_configs(true, &[(TOPIC, &orders.name, Some(keys))])
            });
        }
    }
}

fn of_brokers(pair: &mut Pair<'_>) {
    // Whatever we describe: Kafka has some hundred more, which nobody asks us for.
    let config = NodeConfig::new(BrokerId(1), vec![BrokerId(1)], "127.0.0.1", 9092);
    let names: Vec<&str> = config.settings().map(|setting| setting.name).collect();
    for version in versions(ApiKey::DescribeConfigs) {
        pair.ask(ApiKey::DescribeConfigs, version, |_| describe_configs(true, &[(BROKER, "1", Some(&names))]));
    }
    pair.ask(ApiKey::DescribeConfigs, 4, |_| describe_configs(true, &[(BROKER, "", Some(&names))]));
}

fn resources_that_are_not_there(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let (nobody, bad) = (pair.name("nobody"), pair.name("no spaces"));
    for (kind, name) in
        [(TOPIC, nobody.as_str()), (TOPIC, &bad), (TOPIC, ""), (BROKER, "7"), (BROKER, "x"), (0, "a"), (99, "a")]
    {
        pair.ask(ApiKey::DescribeConfigs, 4, |_| describe_configs(false, &[(kind, name, Some(&["retention.ms"]))]));
    }
    let several = [(TOPIC, nobody.as_str(), None), (TOPIC, orders.name.as_str(), None)];
    pair.ask(ApiKey::DescribeConfigs, 4, |_| describe_configs(false, &several));
}

/// What the topic has set, once both sides have heard of the change.
fn look(pair: &mut Pair<'_>, topic: &Created) {
    let request = |_| describe_configs(true, &[(TOPIC, topic.name.as_str(), None)]);
    pair.settle(ApiKey::DescribeConfigs, 4, request);
    pair.ask(ApiKey::DescribeConfigs, 4, request);
}

fn changed_one_by_one(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let rounds: [&[Change<'_>]; 9] = [
        &[("retention.ms", SET, Some("1000")), ("segment.ms", SET, Some("2000"))],
        &[("cleanup.policy", APPEND, Some("compact"))],
        &[("cleanup.policy", APPEND, Some("compact"))],
        &[("cleanup.policy", SUBTRACT, Some("delete"))],
        &[("cleanup.policy", APPEND, Some("delete"))],
        &[("retention.ms", DELETE, None), ("flush.ms", DELETE, Some("9"))],
        &[("cleanup.policy", DELETE, None)],
        &[("leader.replication.throttled.replicas", APPEND, Some("0:1"))],
        &[("leader.replication.throttled.replicas", SUBTRACT, Some("0:1,1:1"))],
    ];
    for changes in rounds {
        for version in versions(ApiKey::IncrementalAlterConfigs) {
            pair.ask(ApiKey::IncrementalAlterConfigs, version, |_| {
                incremental_alter(true, TOPIC, &orders.name, changes)
            });
        }
        pair.ask(ApiKey::IncrementalAlterConfigs, 1, |_| incremental_alter(false, TOPIC, &orders.name, changes));
        look(pair, &orders);
    }
}

fn changes_that_are_refused(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let (nobody, bad) = (pair.name("nobody"), pair.name("no spaces"));
    let rounds: [&[Change<'_>]; 16] = [
        &[("retention.ms", SET, None)],
        &[("retention.ms", 7, None)],
        &[("retention.days", 7, Some("1"))],
        &[("retention.days", SET, None)],
        &[("retention.days", APPEND, Some("1"))],
        &[("segment.ms", SET, Some("x")), ("retention.ms", SET, None)],
        &[("retention.ms", SET, Some("x"))],
        &[("retention.ms", SET, Some(""))],
        &[("retention.days", SET, Some("1"))],
        &[("retention.days", DELETE, None)],
        &[("retention.ms", APPEND, Some("1"))],
        &[("retention.ms", SUBTRACT, Some("1"))],
        &[("retention.ms", 7, Some("1"))],
        &[("cleanup.policy", SUBTRACT, Some("delete"))],
        &[("retention.ms", SET, Some("1")), ("retention.ms", DELETE, None)],
        &[("segment.ms", SET, Some("5")), ("retention.ms", SET, Some("x"))],
    ];
    for changes in rounds {
        pair.ask(ApiKey::IncrementalAlterConfigs, 1, |_| incremental_alter(false, TOPIC, &orders.name, changes));
    }
    let good: [Change<'_>; 1] = [("retention.ms", SET, Some("1"))];
    for (kind, name) in [(TOPIC, nobody.as_str()), (TOPIC, &bad), (TOPIC, ""), (99, "a"), (0, "a")] {
        pair.ask(ApiKey::IncrementalAlterConfigs, 1, |_| incremental_alter(false, kind, name, &good));
        let bad: [Change<'_>; 1] = [("retention.ms", SET, None)];
        pair.ask(ApiKey::IncrementalAlterConfigs, 1, |_| incremental_alter(false, kind, name, &bad));
        let strange: [Change<'_>; 1] = [("retention.ms", 7, Some("1"))];
        pair.ask(ApiKey::IncrementalAlterConfigs, 1, |_| incremental_alter(false, kind, name, &strange));
    }
    look(pair, &orders);
}

fn replaced_as_a_whole(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let nobody = pair.name("nobody");
    let rounds: [&[(&str, Option<&str>)]; 8] = [
        &[("retention.ms", Some("1000")), ("segment.ms", Some("2000"))],
        &[("cleanup.policy", Some("compact"))],
        &[("retention.ms", Some("x"))],
        &[("retention.days", Some("1"))],
        &[("retention.ms", None)],
        &[("retention.ms", Some("x")), ("segment.ms", None)],
        &[("retention.ms", Some("1")), ("retention.ms", Some("2"))],
        &[],
    ];
    for configs in rounds {
        for version in versions(ApiKey::AlterConfigs) {
            pair.ask(ApiKey::AlterConfigs, version, |_| alter_configs(true, TOPIC, &orders.name, configs));
        }
        pair.ask(ApiKey::AlterConfigs, 2, |_| alter_configs(false, TOPIC, &orders.name, configs));
        look(pair, &orders);
    }
    for (kind, name) in [(TOPIC, nobody.as_str()), (TOPIC, ""), (99, "a")] {
        pair.ask(ApiKey::AlterConfigs, 2, |_| alter_configs(false, kind, name, &[]));
        pair.ask(ApiKey::AlterConfigs, 2, |_| alter_configs(false, kind, name, &[("retention.ms", None)]));
    }
}

fn types_of_resources(pair: &mut Pair<'_>) {
    pair.create("orders", 1);
    for kinds in [&[2_i8][..], &[4], &[16], &[32], &[2, 4], &[99]] {
        pair.ask(ApiKey::ListConfigResources, 1, |_| {
            ListConfigResourcesRequest::default().with_resource_types(kinds.to_vec()).into()
        });
    }
    pair.ask(ApiKey::ListConfigResources, 0, |_| ListConfigResourcesRequest::default().into());
}
