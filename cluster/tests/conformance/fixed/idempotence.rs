//! Producers with ids: duplicates, gaps, epochs, and what a partition remembers of them.

use super::Sequence;
use crate::pair::{Both, Pair};
use crate::requests::{batch, describe_producers, init_producer_id, produce, start_ms};
use crate::setup::{Created, versions};
use kafka_protocol::messages::ApiKey;

pub(super) const ALL: &[Sequence] = &[
    ("idempotence::ids_and_epochs", ids_and_epochs),
    ("idempotence::duplicates_and_gaps", duplicates_and_gaps),
    ("idempotence::the_first_batch_of_a_producer", the_first_batch_of_a_producer),
    ("idempotence::epochs_of_producers", epochs_of_producers),
    ("idempotence::sequence_numbers_that_wrap", sequence_numbers_that_wrap),
];

fn ids_and_epochs(pair: &mut Pair<'_>) {
    for version in versions(ApiKey::InitProducerId) {
        pair.ask(ApiKey::InitProducerId, version, |_| init_producer_id(version, (-1, -1)));
    }
    let new = new_producer(pair);
    for epoch in [0, 5] {
        let before = |side| (*new.of(side), epoch);
        pair.ask(ApiKey::InitProducerId, 4, |side| init_producer_id(4, before(side)));
    }
    pair.ask(ApiKey::InitProducerId, 4, |_| init_producer_id(4, (-1, 0)));
    pair.ask(ApiKey::InitProducerId, 4, |_| init_producer_id(4, (7, -1)));
}

fn new_producer(pair: &mut Pair<'_>) -> Both<i64> {
    pair.ask(ApiKey::InitProducerId, 4, |_| init_producer_id(4, (-1, -1))).number("producer_id")
}

/// A batch of a producer: epoch, first sequence number, how many records.
fn send(pair: &mut Pair<'_>, topic: &Created, id: &Both<i64>, (epoch, sequence, count): (i16, i32, usize)) {
    pair.ask(ApiKey::Produce, 9, |side| {
        let records = batch(count, start_ms(), (*id.of(side), epoch, sequence));
        produce(9, -1, topic.on(side), &[(0, Some(records))])
    });
}

fn look(pair: &mut Pair<'_>, topic: &Created) {
    pair.ask(ApiKey::DescribeProducers, 0, |_| describe_producers(&topic.name, &[0]));
}

fn duplicates_and_gaps(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let id = new_producer(pair);
    for sequence in 0..7 {
        send(pair, &orders, &id, (0, sequence * 2, 2));
    }
    // The last five are remembered; what is older, and what only looks alike, is not the same batch.
    for (sequence, count) in [(12, 2), (4, 2), (2, 2), (0, 2), (12, 1), (11, 2), (13, 1), (15, 1), (14, 1), (20, 3)] {
        send(pair, &orders, &id, (0, sequence, count));
    }
    look(pair, &orders);
}

fn the_first_batch_of_a_producer(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    for (epoch, sequence) in [(0, 5), (3, 0), (3, 9)] {
        let id = new_producer(pair);
        send(pair, &orders, &id, (epoch, sequence, 1));
        send(pair, &orders, &id, (epoch, sequence + 1, 1));
        look(pair, &orders);
    }
    let id = new_producer(pair);
    for (epoch, sequence) in [(0, -1), (-1, 0), (-1, -1)] {
        send(pair, &orders, &id, (epoch, sequence, 1));
    }
    let nobody = Both { ours: -1, kafka: -1 };
    for (epoch, sequence) in [(0, 0), (0, -1), (-1, 0)] {
        send(pair, &orders, &nobody, (epoch, sequence, 1));
    }
    look(pair, &orders);
}

fn epochs_of_producers(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let id = new_producer(pair);
    for (epoch, sequence) in [(0, 0), (1, 1), (1, 0), (1, 1), (0, 2), (0, 1), (2, 5), (2, 0), (2, 0), (1, 2)] {
        send(pair, &orders, &id, (epoch, sequence, 1));
    }
    look(pair, &orders);
}

fn sequence_numbers_that_wrap(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let id = new_producer(pair);
    for (sequence, count) in [(i32::MAX - 1, 1), (i32::MAX, 2), (1, 1), (i32::MAX, 2), (2, 1)] {
        send(pair, &orders, &id, (0, sequence, count));
    }
    look(pair, &orders);
}
