//! Three nodes, of which one dies and comes back: leaders, their epochs, who is in sync, and what an old epoch is told.

use super::Sequence;
use crate::pair::{Line, Pair};
use crate::requests::{
    FetchFrom, NOBODY, NewTopic, batch, describe_topic_partitions, elect_leaders, epochs, fetch, list_offsets,
    metadata, produce, start_ms,
};
use crate::setup::Created;
use crate::tree::Tree;
use kafka_protocol::messages::ApiKey;

pub(super) const ALL: &[Sequence] = &[
    ("epochs::nodes_that_do_not_lead", nodes_that_do_not_lead),
    ("epochs::a_leader_dies_and_comes_back", a_leader_dies_and_comes_back),
    ("epochs::too_few_in_sync", too_few_in_sync),
];

const FIRST: Line = (1, "main");
const SECOND: Line = (2, "main");

/// One partition on these nodes, the first of which leads it.
fn placed(pair: &mut Pair<'_>, short: &str, replicas: &[i32], min_in_sync: &str) -> Created {
    let configs = [("min.insync.replicas", Some(min_in_sync))];
    let assignments = [(0, replicas)];
    let topic = NewTopic { partitions: -1, replicas: -1, assignments: &assignments, configs: &configs, name: "" };
    pair.create_as(short, &topic)
}

fn write(pair: &mut Pair<'_>, line: Line, topic: &Created, acks: i16) {
    let records = batch(2, start_ms(), NOBODY);
    for version in [9, 12] {
        pair.ask_on(line, ApiKey::Produce, version, |side| {
            produce(version, acks, topic.on(side), &[(0, Some(records.clone()))])
        });
    }
}

/// Waits until a node tells of this leader and so many in sync.
fn await_state(pair: &mut Pair<'_>, node: i32, topic: &Created, leader: i64, in_sync: usize) {
    let so = |answer: &Tree| {
        let partition = "topics.0.partitions.0";
        answer.number(&format!("{partition}.leader_id")) == Some(leader)
            && answer.items(&format!("{partition}.isr_nodes")).len() == in_sync
    };
    let what = format!("leader {leader} with {in_sync} in sync, as node {node} has it,");
    pair.until(&what, node, (ApiKey::Metadata, 12), |_| metadata(12, &[&topic.name]), so);
}

/// Waits until a replica knows everything to be committed that its leader has.
fn await_high_watermark(pair: &mut Pair<'_>, leader: i32, replica: i32, topic: &Created) {
    let ends = pair.quietly(leader, ApiKey::ListOffsets, 7, |side| list_offsets(7, 0, topic.on(side), &[(0, -1, -1)]));
    let Some(end) = ends.agreed("topics.0.partitions.0.offset") else { return };
    let knows = |answer: &Tree| answer.number("responses.0.partitions.0.high_watermark") == Some(end);
    let request = |side| fetch(12, 0, (0, -1), topic.on(side), &[FetchFrom::at(0, 0)]);
    pair.until("the high watermark", replica, (ApiKey::Fetch, 12), request, knows);
}

fn look(pair: &mut Pair<'_>, line: Line, topic: &Created) {
    pair.ask_on(line, ApiKey::DescribeTopicPartitions, 0, |_| describe_topic_partitions(&[&topic.name], 10, None));
    for (current, asked) in [(-1, 0), (-1, 1), (-1, 2), (-1, 3), (0, 0), (1, 1), (2, 2), (3, 3), (9, 0)] {
        pair.ask_on(line, ApiKey::OffsetForLeaderEpoch, 4, |side| epochs(4, topic.on(side), &[(0, current, asked)]));
        pair.ask_on(line, ApiKey::ListOffsets, 7, |side| list_offsets(7, 0, topic.on(side), &[(0, current, -1)]));
        let from = [FetchFrom { leader_epoch: current, last_epoch: asked, ..FetchFrom::at(0, 0) }];
        for version in [11, 12, 16] {
            pair.ask_on(line, ApiKey::Fetch, version, |side| fetch(version, 0, (0, -1), topic.on(side), &from));
        }
    }
}

fn nodes_that_do_not_lead(pair: &mut Pair<'_>) {
    let orders = placed(pair, "orders", &[1, 2], "1");
    for node in [1, 2, 3] {
        await_state(pair, node, &orders, 1, 2);
    }
    write(pair, FIRST, &orders, -1);
    for line in [FIRST, SECOND, (3, "main")] {
        write(pair, line, &orders, 1);
        await_high_watermark(pair, 1, 2, &orders);
        look(pair, line, &orders);
    }
}

fn a_leader_dies_and_comes_back(pair: &mut Pair<'_>) {
    let orders = placed(pair, "orders", &[1, 2, 3], "1");
    await_state(pair, 2, &orders, 1, 3);
    write(pair, FIRST, &orders, -1);
    pair.peers.ours.kill(1);
    pair.peers.kafka.kill(1);
    await_state(pair, 2, &orders, 2, 2);
    pair.hang_up();
    pair.await_led(2, &orders, &[0]);
    write(pair, SECOND, &orders, -1);
    look(pair, SECOND, &orders);
    pair.peers.ours.restart(1);
    pair.peers.kafka.restart(1);
    for node in [1, 2, 3] {
        await_state(pair, node, &orders, 2, 3);
    }
    await_high_watermark(pair, 2, 1, &orders);
    look(pair, SECOND, &orders);
    look(pair, FIRST, &orders);
    pair.ask_on(SECOND, ApiKey::ElectLeaders, 2, |_| elect_leaders(2, 0, Some(&[(&orders.name, &[0])])));
    for node in [1, 2] {
        await_state(pair, node, &orders, 1, 3);
    }
    pair.await_led(1, &orders, &[0]);
    write(pair, FIRST, &orders, -1);
    look(pair, FIRST, &orders);
}

fn too_few_in_sync(pair: &mut Pair<'_>) {
    let orders = placed(pair, "orders", &[1, 3], "2");
    await_state(pair, 1, &orders, 1, 2);
    write(pair, FIRST, &orders, -1);
    pair.peers.ours.kill(3);
    pair.peers.kafka.kill(3);
    await_state(pair, 1, &orders, 1, 1);
    // Not with acks=-1: Kafka's leader may hear of its ISR later than it tells of it, and then times out instead.
    write(pair, FIRST, &orders, 1);
    look(pair, FIRST, &orders);
    pair.ask(ApiKey::ElectLeaders, 2, |_| elect_leaders(2, 1, Some(&[(&orders.name, &[0])])));
    pair.peers.ours.restart(3);
    pair.peers.kafka.restart(3);
    await_state(pair, 1, &orders, 1, 2);
    look(pair, FIRST, &orders);
}
