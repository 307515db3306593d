//! Records in and out: every version, partitions that are not there, sizes, fetch sessions, epochs that are wrong.

use super::Sequence;
use crate::pair::Pair;
use crate::requests::{FetchFrom, NOBODY, NewTopic, batch, describe_topic_partitions, fetch, produce, start_ms};
use crate::setup::versions;
use kafka_protocol::messages::{ApiKey, FetchRequest, RequestKind, fetch_request};

pub(super) const ALL: &[Sequence] = &[
    ("produce_fetch::every_version", every_version),
    ("produce_fetch::partitions_that_are_not_there", partitions_that_are_not_there),
    ("produce_fetch::acknowledgements", acknowledgements),
    ("produce_fetch::offsets_out_of_range", offsets_out_of_range),
    ("produce_fetch::sizes", sizes),
    ("produce_fetch::sessions", sessions),
    ("produce_fetch::leader_epochs", leader_epochs),
    ("produce_fetch::log_append_time", log_append_time),
];

fn every_version(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 2);
    for version in versions(ApiKey::Produce) {
        let records = batch(2, start_ms(), NOBODY);
        pair.ask(ApiKey::Produce, version, |side| produce(version, -1, orders.on(side), &[(0, Some(records.clone()))]));
    }
    for version in versions(ApiKey::Fetch) {
        for isolation in [0, 1] {
            pair.ask(ApiKey::Fetch, version, |side| {
                fetch(version, isolation, (0, -1), orders.on(side), &[FetchFrom::at(0, 5), FetchFrom::at(1, 0)])
            });
        }
    }
}

fn partitions_that_are_not_there(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let nobody = pair.absent("nobody");
    let records = batch(1, start_ms(), NOBODY);
    for version in [3, 9, 10, 12, 13] {
        for (topic, partition) in [(&orders, 1), (&orders, -1), (&nobody, 0)] {
            let data = [(partition, Some(records.clone()))];
            pair.ask(ApiKey::Produce, version, |side| produce(version, 1, topic.on(side), &data));
        }
        let both = [(7, Some(records.clone())), (0, Some(records.clone()))];
        pair.ask(ApiKey::Produce, version, |side| produce(version, 1, orders.on(side), &both));
    }
    for version in [4, 11, 12, 13, 17] {
        for (topic, partition) in [(&orders, 1), (&orders, -1), (&nobody, 0)] {
            let from = [FetchFrom::at(partition, 0)];
            pair.ask(ApiKey::Fetch, version, |side| fetch(version, 0, (0, -1), topic.on(side), &from));
        }
    }
    let internal = pair.absent("nobody").on(crate::pair::Side::Ours).id;
    let internal = crate::requests::Topic { name: "__consumer_offsets", id: internal };
    pair.ask(ApiKey::Produce, 9, |_| produce(9, 1, internal, &[(0, Some(records.clone()))]));
}

fn acknowledgements(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let records = batch(1, start_ms(), NOBODY);
    for acks in [1, -1, 2, -2] {
        pair.ask(ApiKey::Produce, 9, |side| produce(9, acks, orders.on(side), &[(0, Some(records.clone()))]));
    }
    pair.ask(ApiKey::Produce, 9, |side| produce(9, -1, orders.on(side), &[]));
}

fn offsets_out_of_range(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let records = batch(3, start_ms(), NOBODY);
    pair.ask(ApiKey::Produce, 9, |side| produce(9, -1, orders.on(side), &[(0, Some(records.clone()))]));
    for offset in [0, 1, 2, 3, 4, 1000, -1, i64::MAX] {
        pair.ask(ApiKey::Fetch, 12, |side| fetch(12, 0, (0, -1), orders.on(side), &[FetchFrom::at(0, offset)]));
    }
}

fn sizes(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 2);
    for partition in [0, 0, 1] {
        let records = batch(10, start_ms(), NOBODY);
        let data = [(partition, Some(records))];
        pair.ask(ApiKey::Produce, 9, |side| produce(9, -1, orders.on(side), &data));
    }
    let one = i32::try_from(batch(10, start_ms(), NOBODY).len()).expect("a small batch");
    // Whole batches and pieces of batches, down to a byte and up to all but one.
    for max_bytes in [0, 1, one - 1, one, one + 1, one + 61, 2 * one - 1, 2 * one, 2 * one + 30, 3 * one - 1, 1000] {
        let from = [0, 1].map(|partition| FetchFrom { max_bytes, ..FetchFrom::at(partition, 0) });
        pair.ask(ApiKey::Fetch, 12, |side| fetch(12, 0, (0, -1), orders.on(side), &from));
        pair.ask(ApiKey::Fetch, 12, |side| {
            let RequestKind::Fetch(request) =
                fetch(12, 0, (0, -1), orders.on(side), &[0, 1].map(|p| FetchFrom::at(p, 0)))
            else {
                unreachable!("it is a fetch")
            };
            request.with_max_bytes(max_bytes).into()
        });
    }
}

fn sessions(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 3);
    let from = [FetchFrom::at(0, 0), FetchFrom::at(1, 0)];
    for version in [7, 12, 13, 17] {
        let opened = pair.ask(ApiKey::Fetch, version, |side| fetch(version, 0, (0, 0), orders.on(side), &from));
        let id = opened.number("session_id");
        let session = |side| i32::try_from(*id.of(side)).expect("a session");
        pair.ask(ApiKey::Fetch, version, |side| fetch(version, 0, (session(side), 1), orders.on(side), &[]));
        let records = batch(1, start_ms(), NOBODY);
        pair.ask(ApiKey::Produce, 9, |side| produce(9, -1, orders.on(side), &[(1, Some(records.clone()))]));
        pair.ask(ApiKey::Fetch, version, |side| fetch(version, 0, (session(side), 2), orders.on(side), &[]));
        let more = [FetchFrom::at(2, 0), FetchFrom::at(9, 0)];
        pair.ask(ApiKey::Fetch, version, |side| fetch(version, 0, (session(side), 3), orders.on(side), &more));
        pair.ask(ApiKey::Fetch, version, |side| {
            let topic = orders.on(side);
            let forgotten = fetch_request::ForgottenTopic::default().with_partitions(vec![1, 9]);
            let forgotten = if version >= 13 {
                forgotten.with_topic_id(topic.id)
            } else {
                forgotten.with_topic(crate::requests::text(topic.name).into())
            };
            let request = FetchRequest::default().with_session_id(session(side)).with_session_epoch(4);
            let request = request.with_max_bytes(1 << 20).with_forgotten_topics_data(vec![forgotten]);
            if version >= 15 { request.into() } else { request.with_replica_id((-1).into()).into() }
        });
        // An epoch that is not the next, a session that is not there, and the end of the session.
        for epoch in [9, 4] {
            pair.ask(ApiKey::Fetch, version, |side| fetch(version, 0, (session(side), epoch), orders.on(side), &[]));
        }
        pair.ask(ApiKey::Fetch, version, |side| fetch(version, 0, (123, 1), orders.on(side), &[]));
        pair.ask(ApiKey::Fetch, version, |side| fetch(version, 0, (session(side), -1), orders.on(side), &from));
        pair.ask(ApiKey::Fetch, version, |side| fetch(version, 0, (session(side), 5), orders.on(side), &[]));
    }
}

fn leader_epochs(pair: &mut Pair<'_>) {
    let orders = pair.create("orders", 1);
    let records = batch(3, start_ms(), NOBODY);
    pair.ask(ApiKey::Produce, 9, |side| produce(9, -1, orders.on(side), &[(0, Some(records.clone()))]));
    for version in [9, 11, 12, 16, 17] {
        for (leader_epoch, last_epoch) in [(0, -1), (1, -1), (7, -1), (-1, 0), (0, 0), (0, 1), (-1, 5)] {
            let from = [FetchFrom { leader_epoch, last_epoch, ..FetchFrom::at(0, 1) }];
            pair.ask(ApiKey::Fetch, version, |side| fetch(version, 0, (0, -1), orders.on(side), &from));
        }
    }
    pair.ask(ApiKey::DescribeTopicPartitions, 0, |_| describe_topic_partitions(&[&orders.name], 10, None));
}

fn log_append_time(pair: &mut Pair<'_>) {
    let configs = [("message.timestamp.type", Some("LogAppendTime"))];
    let new = NewTopic { partitions: 1, replicas: 1, configs: &configs, ..NewTopic::default() };
    let orders = pair.create_as("orders", &new);
    let records = batch(3, start_ms(), NOBODY);
    for version in [3, 9] {
        pair.ask(ApiKey::Produce, version, |side| produce(version, 1, orders.on(side), &[(0, Some(records.clone()))]));
    }
}
