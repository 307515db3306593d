//! What operators ask of a cluster of one node: elections, moves, producers, deletions.

use super::Sequence;
use crate::pair::{Pair, Side};
use crate::requests::{NOBODY, batch, describe_producers, elect_leaders, produce, start_ms, text};
use crate::setup::versions;
use kafka_protocol::messages::*;

pub(super) const ALL: &[Sequence] =
    &[("admin::elections", elections), ("admin::moves", moves), ("admin::producers", producers)];

fn elections(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 2);
    let nobody = pair.name("nobody");
    for version in versions(ApiKey::ElectLeaders) {
        for kind in [0, 1] {
            let asked: [(&str, &[i32]); 2] = [(&orders.name, &[0, 7]), (&nobody, &[0])];
            pair.ask(ApiKey::ElectLeaders, version, |_| elect_leaders(version, kind, Some(&asked)));
        }
        pair.ask(ApiKey::ElectLeaders, version, |_| elect_leaders(version, 0, Some(&[])));
    }
    pair.ask(ApiKey::ElectLeaders, 2, |_| elect_leaders(2, 5, Some(&[(&orders.name, &[0])])));
}

fn moves(pair: &mut Pair<'_>) {
    use alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
    let orders = pair.create("orders", 1);
    let nobody = pair.name("nobody");
    let targets: [Option<&[i32]>; 7] =
        [None, Some(&[]), Some(&[1]), Some(&[9]), Some(&[1, 9]), Some(&[1, 1]), Some(&[-1])];
    for version in versions(ApiKey::AlterPartitionReassignments) {
        for (name, index) in [(&orders.name, 0), (&orders.name, 7), (&nobody, 0)] {
            for target in targets {
                pair.ask(ApiKey::AlterPartitionReassignments, version, |_| {
                    let replicas = target.map(|ids| ids.iter().map(|id| (*id).into()).collect());
                    let partition = ReassignablePartition::default().with_partition_index(index);
                    let topic = ReassignableTopic::default().with_name(text(name).into());
                    let topic = topic.with_partitions(vec![partition.with_replicas(replicas)]);
                    let request = AlterPartitionReassignmentsRequest::default().with_timeout_ms(10_000);
                    request.with_topics(vec![topic]).into()
                });
            }
        }
    }
    use list_partition_reassignments_request::ListPartitionReassignmentsTopics;
    for topics in [None, Some((&orders.name, 0)), Some((&orders.name, 7)), Some((&nobody, 0))] {
        pair.ask(ApiKey::ListPartitionReassignments, 0, |_| {
            let topic = |(name, index): (&String, i32)| {
                let topic = ListPartitionReassignmentsTopics::default().with_name(text(name).into());
                vec![topic.with_partition_indexes(vec![index])]
            };
            let request = ListPartitionReassignmentsRequest::default().with_timeout_ms(10_000);
            request.with_topics(topics.map(topic)).into()
        });
    }
}

fn producers(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 2);
    let nobody = pair.absent("nobody");
    let records = batch(1, start_ms(), NOBODY);
    pair.ask(ApiKey::Produce, 9, |side| produce(9, -1, orders.on(side), &[(0, Some(records.clone()))]));
    for (topic, partitions) in [(&orders, &[0, 1, 7][..]), (&nobody, &[0])] {
        pair.ask(ApiKey::DescribeProducers, 0, |side: Side| describe_producers(topic.on(side).name, partitions));
    }
    let bad = pair.name("no spaces");
    pair.ask(ApiKey::DescribeProducers, 0, |_| describe_producers(&bad, &[0]));
    pair.ask(ApiKey::DescribeProducers, 0, |_| describe_producers("", &[0]));
}
