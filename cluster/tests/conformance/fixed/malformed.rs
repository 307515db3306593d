//! Batches that a broker must not take, and those that it may.

use super::Sequence;
use crate::pair::Pair;
use crate::requests::{FetchFrom, NOBODY, NewTopic, batch, fetch, produce, seal, start_ms};
use crate::setup::Created;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use shakedown_broker::batch::build::BatchBuilder;

pub(super) const ALL: &[Sequence] = &[
    ("malformed::headers_of_batches", headers_of_batches),
    ("malformed::no_batch_or_two", no_batch_or_two),
    ("malformed::too_large", too_large),
    ("malformed::timestamps", timestamps),
    ("malformed::without_a_key_in_a_compacted_topic", without_a_key_in_a_compacted_topic),
];

fn send(pair: &mut Pair<'_>, topic: &Created, version: i16, records: Option<&Bytes>) {
    let data = [(0, records.cloned())];
    pair.ask(ApiKey::Produce, version, |side| produce(version, -1, topic.on(side), &data));
}

/// A good batch of three records, with some bytes changed.
fn changed(at: usize, bytes: &[u8], sealed: bool) -> Bytes {
    let mut records = BytesMut::from(&batch(3, start_ms(), NOBODY)[..]);
    records[at..at + bytes.len()].copy_from_slice(bytes);
    if sealed {
        seal(&mut records);
    }
    records.freeze()
}

fn headers_of_batches(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let batches = [
        ("a base offset", changed(0, &5_i64.to_be_bytes(), false)),
        ("a leader epoch", changed(12, &9_i32.to_be_bytes(), false)),
        ("magic 3", changed(16, &[3], false)),
        ("a wrong checksum", changed(17, &[1, 2, 3, 4], false)),
        ("a control batch", changed(21, &0x20_i16.to_be_bytes(), true)),
        ("a last offset delta too high", changed(23, &9_i32.to_be_bytes(), true)),
        ("a last offset delta below zero", changed(23, &(-1_i32).to_be_bytes(), true)),
        ("fewer records than it says", changed(57, &4_i32.to_be_bytes(), true)),
        ("no records", changed(57, &0_i32.to_be_bytes(), true)),
        ("fewer than no records", changed(57, &(-3_i32).to_be_bytes(), true)),
        ("a length too short", changed(8, &10_i32.to_be_bytes(), false)),
        ("a length too long", changed(8, &500_i32.to_be_bytes(), false)),
    ];
    for (_, records) in &batches {
        for version in [3, 9] {
            send(pair, &orders, version, Some(records));
        }
    }
    pair.ask(ApiKey::Fetch, 12, |side| fetch(12, 0, (0, -1), orders.on(side), &[FetchFrom::at(0, 0)]));
}

fn no_batch_or_two(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let one = batch(1, start_ms(), NOBODY);
    let two: Bytes = [&one[..], &one[..]].concat().into();
    let cut = one.slice(..one.len() - 3);
    // Null instead of records is what Kafka never answers.
    for records in [&Bytes::new(), &two, &cut, &one.slice(..30)] {
        for version in [3, 9] {
            send(pair, &orders, version, Some(records));
        }
    }
}

fn too_large(pair: &mut Pair<'_>) {
    let configs = [("max.message.bytes", Some("200"))];
    let new = NewTopic { partitions: 1, replicas: 1, configs: &configs, ..NewTopic::default() };
    let orders = pair.create_as("orders", &new);
    for length in [10, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130, 200, 2000] {
        let records = BatchBuilder::new(start_ms()).record(b"a", &vec![b'x'; length]).finish().freeze();
        send(pair, &orders, 9, Some(&records));
    }
}

fn timestamps(pair: &mut Pair<'_>) {
    let configs =
        [("message.timestamp.before.max.ms", Some("7200000")), ("message.timestamp.after.max.ms", Some("3600000"))];
    let new = NewTopic { partitions: 1, replicas: 1, configs: &configs, ..NewTopic::default() };
    let orders = pair.create_as("orders", &new);
    let hour = 3_600_000;
    for timestamp in [-1, 0, start_ms() - 3 * hour, start_ms(), start_ms() + hour, start_ms() + 4 * hour] {
        send(pair, &orders, 9, Some(&batch(1, timestamp, NOBODY)));
    }
}

fn without_a_key_in_a_compacted_topic(pair: &mut Pair<'_>) {
    let configs = [("cleanup.policy", Some("compact"))];
    let new = NewTopic { partitions: 1, replicas: 1, configs: &configs, ..NewTopic::default() };
    let orders = pair.create_as("orders", &new);
    let keyless = BatchBuilder::new(start_ms()).keyless(b"value").finish().freeze();
    let mixed = BatchBuilder::new(start_ms()).record(b"a", b"1").keyless(b"2").tombstone(b"a").finish().freeze();
    for records in [&keyless, &mixed, &batch(2, start_ms(), NOBODY)] {
        send(pair, &orders, 9, Some(records));
    }
}
