//! Where a partition begins and ends, and what is at a time.

use super::Sequence;
use crate::pair::Pair;
use crate::requests::{NOBODY, batch, delete_records, epochs, list_offsets, produce, start_ms};
use crate::setup::versions;
use kafka_protocol::messages::ApiKey;

pub(super) const ALL: &[Sequence] = &[
    ("list_offsets::every_special_timestamp_in_every_version", every_special_timestamp_in_every_version),
    ("list_offsets::times_of_records", times_of_records),
    ("list_offsets::partitions_and_epochs_that_are_wrong", partitions_and_epochs_that_are_wrong),
    ("list_offsets::records_that_were_deleted", records_that_were_deleted),
    ("list_offsets::the_end_of_an_epoch", the_end_of_an_epoch),
];

fn every_special_timestamp_in_every_version(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 2);
    let records = batch(3, start_ms(), NOBODY);
    pair.ask(ApiKey::Produce, 9, |side| produce(9, -1, orders.on(side), &[(0, Some(records.clone()))]));
    for version in versions(ApiKey::ListOffsets) {
        for timestamp in [-1, -2, -3, -4, -5, -6, -7] {
            for isolation in [0, 1] {
                let asked = [(0, -1, timestamp), (1, -1, timestamp)];
                pair.ask(ApiKey::ListOffsets, version, |side| {
                    list_offsets(version, isolation, orders.on(side), &asked)
                });
            }
        }
    }
}

fn times_of_records(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    for after in [0, 1000, 500, 2000, 2000] {
        let records = batch(2, start_ms() + after, NOBODY);
        pair.ask(ApiKey::Produce, 9, |side| produce(9, -1, orders.on(side), &[(0, Some(records.clone()))]));
    }
    for after in [-1, 0, 1, 499, 500, 501, 999, 1000, 1001, 1999, 2000, 2001] {
        let asked = [(0, -1, start_ms() + after)];
        pair.ask(ApiKey::ListOffsets, 7, |side| list_offsets(7, 0, orders.on(side), &asked));
    }
    pair.ask(ApiKey::ListOffsets, 7, |side| list_offsets(7, 0, orders.on(side), &[(0, -1, 0)]));
    pair.ask(ApiKey::ListOffsets, 7, |side| list_offsets(7, 0, orders.on(side), &[(0, -1, -3)]));
}

fn partitions_and_epochs_that_are_wrong(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let nobody = pair.absent("nobody");
    for version in [1, 4, 7] {
        for (topic, partition, epoch) in
            [(&orders, 1, -1), (&orders, -1, -1), (&nobody, 0, -1), (&orders, 0, 0), (&orders, 0, 1), (&orders, 0, 9)]
        {
            pair.ask(ApiKey::ListOffsets, version, |side| {
                list_offsets(version, 0, topic.on(side), &[(partition, epoch, -1)])
            });
        }
    }
}

fn records_that_were_deleted(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 2);
    for after in 0..4 {
        let records = batch(3, start_ms() + after, NOBODY);
        pair.ask(ApiKey::Produce, 9, |side| produce(9, -1, orders.on(side), &[(0, Some(records.clone()))]));
    }
    for offset in [4, 2, 4, -2, 100, 13, 6, -1] {
        for version in versions(ApiKey::DeleteRecords) {
            pair.ask(ApiKey::DeleteRecords, version, |_| delete_records(&orders.name, &[(0, offset)]));
        }
        // The largest timestamp is not asked for: Kafka also finds records that were deleted.
        for timestamp in [-2, -1, -4, start_ms(), start_ms() + 2] {
            let asked = [(0, -1, timestamp)];
            pair.ask(ApiKey::ListOffsets, 8, |side| list_offsets(8, 0, orders.on(side), &asked));
        }
    }
    let more = batch(1, start_ms(), NOBODY);
    pair.ask(ApiKey::Produce, 9, |side| produce(9, -1, orders.on(side), &[(0, Some(more.clone()))]));
    let nobody = pair.name("nobody");
    for (topic, partition) in [(&orders.name, 7), (&nobody, 0)] {
        pair.ask(ApiKey::DeleteRecords, 2, |_| delete_records(topic, &[(partition, 0), (1, 0)]));
    }
}

fn the_end_of_an_epoch(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let nobody = pair.absent("nobody");
    for round in 0..2 {
        for version in versions(ApiKey::OffsetForLeaderEpoch) {
            for (current, asked) in [(-1, 0), (0, 0), (0, 1), (1, 0), (-1, -1), (-1, 7), (0, -1)] {
                pair.ask(ApiKey::OffsetForLeaderEpoch, version, |side| {
                    epochs(version, orders.on(side), &[(0, current, asked), (4, current, asked)])
                });
            }
            pair.ask(ApiKey::OffsetForLeaderEpoch, version, |side| epochs(version, nobody.on(side), &[(0, -1, 0)]));
        }
        if round == 0 {
            let records = batch(3, start_ms(), NOBODY);
            pair.ask(ApiKey::Produce, 9, |side| produce(9, -1, orders.on(side), &[(0, Some(records.clone()))]));
        }
    }
}
