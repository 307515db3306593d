//! What becomes of old records in a cluster: segments that are deleted, keys that are compacted, offsets that expire.

use crate::client::{Cluster, batch, expect_kind};
use crate::groups::{commit, commit_for_ms, committed, coordinated_with};
use crate::produce_fetch::{produce, produce_to};
use crate::topics::{create_with, leader, name};
use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{ApiKey, FetchRequest, ListOffsetsRequest, RequestKind};
use kafka_protocol::protocol::StrBytes;
use shakedown_broker::batch::build::BatchBuilder;
use shakedown_broker::batch::header::BatchHeader;
use shakedown_broker::batch::records::Records;
use shakedown_broker::types::{Offset, PartitionId};

const DAY_MS: i64 = 86_400_000;

/// Three nodes with a topic on all of them that has these settings.
fn cluster(settings: &[(&'static str, &'static str)]) -> (Cluster, usize) {
    let mut cluster = Cluster::with(3, |config| config.min_insync_replicas = 3);
    let setting = |(name, value): &(&'static str, &'static str)| {
        let name = StrBytes::from_static_str(name);
        CreatableTopicConfig::default().with_name(name).with_value(Some(StrBytes::from_static_str(value)))
    };
    let topic = CreatableTopic::default().with_name(name("orders")).with_num_partitions(1).with_replication_factor(3);
    assert_eq!(create_with(&mut cluster, 0, topic.with_configs(settings.iter().map(setting).collect())), 0);
    let leader = leader(&mut cluster, "orders", 0);
    (cluster, leader)
}

/// Appends a record now, and waits until every replica has it.
fn append(cluster: &mut Cluster, leader: usize, key: &[u8], value: Option<&[u8]>) -> i64 {
    let builder = BatchBuilder::new(cluster.now.wall_ms);
    let builder = match value {
        Some(value) => builder.record(key, value),
        None => builder.tombstone(key),
    };
    produce(cluster, leader, builder.finish().freeze()).base_offset
}

/// The wall clock jumps on every node; monotonic time goes on a little.
fn jump(cluster: &mut Cluster, ms: i64) {
    cluster.move_clock_ms(ms);
    cluster.advance_ms(300);
}

fn id(cluster: &Cluster) -> PartitionId {
    let topic = cluster.node(0).image().topics.get("orders".as_bytes()).expect("it was created").id;
    PartitionId { topic, index: 0 }
}

/// Where each replica begins.
fn starts(cluster: &Cluster) -> Vec<i64> {
    let id = id(cluster);
    (0..3).map(|node| cluster.node(node).replica(id).expect("a replica").log_start.0).collect()
}

fn list_offset(cluster: &mut Cluster, node: usize, timestamp: i64) -> (i64, i64) {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default().with_name(name("orders")).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_topics(vec![topic]);
    let response = cluster.ask(node, ApiKey::ListOffsets, 9, &RequestKind::ListOffsets(request));
    let partition = expect_kind!(ListOffsets, response).topics.remove(0).partitions.remove(0);
    assert_eq!(partition.error_code, 0);
    (partition.offset, partition.timestamp)
}

/// What a consumer reads from an offset on: an error, or offset, key and value of each record.
fn fetch(cluster: &mut Cluster, node: usize, offset: i64) -> Result<Vec<(i64, Bytes, Option<Bytes>)>, i16> {
    let partition = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(name("orders")).with_partitions(vec![partition]);
    let request = FetchRequest::default().with_max_bytes(1 << 20).with_session_epoch(-1).with_topics(vec![topic]);
    let response = cluster.ask(node, ApiKey::Fetch, 11, &RequestKind::Fetch(request));
    let partition = expect_kind!(Fetch, response).responses.remove(0).partitions.remove(0);
    if partition.error_code != 0 {
        return Err(partition.error_code);
    }
    let mut left = partition.records.unwrap_or_default();
    let mut records = Vec::new();
    while let Some(header) = BatchHeader::read(&left) {
        let batch = left.split_to(header.size().expect("a sound batch"));
        for record in Records::new(&batch[61..]) {
            let record = record.expect("a sound record");
            let (key, value) = (record.key.map(Bytes::copy_from_slice), record.value.map(Bytes::copy_from_slice));
            records.push((header.base_offset.0 + record.offset_delta, key.expect("a key"), value));
        }
    }
    Ok(records)
}

#[test]
fn days_later_old_segments_are_gone_on_every_replica() {
    let (mut cluster, leader) = cluster(&[("retention.ms", "86400000"), ("segment.ms", "3600000")]);
    for day in 0..4 {
        assert_eq!(append(&mut cluster, leader, b"k", Some(b"v")), day);
        jump(&mut cluster, DAY_MS / 2);
    }
    // Two days have passed: the first two are older than one, the third is as old as allowed by less than the waiting.
    assert_eq!(starts(&cluster), [3, 3, 3]);
    assert_eq!(list_offset(&mut cluster, leader, -2), (3, -1));
    assert_eq!(fetch(&mut cluster, leader, 2), Err(ResponseError::OffsetOutOfRange.code()));
    jump(&mut cluster, DAY_MS);
    assert_eq!(starts(&cluster), [4, 4, 4], "even the active segment goes");
    assert_eq!(append(&mut cluster, leader, b"k", Some(b"v")), 4, "offsets go on");
    assert_eq!(fetch(&mut cluster, leader, 4).map(|records| records.len()), Ok(1));
}

#[test]
fn without_a_jump_old_segments_go_with_the_next_look() {
    let (mut cluster, leader) = cluster(&[("retention.ms", "2500")]);
    append(&mut cluster, leader, b"k", Some(b"v"));
    cluster.advance_ms(299_000);
    assert_eq!(starts(&cluster), [0, 0, 0], "nobody has looked: `log.retention.check.interval.ms`");
    cluster.advance_ms(1500);
    assert_eq!(starts(&cluster), [1, 1, 1]);
}

/// The shell skips stretches of monotonic time in which nobody could keep deadlines, and wall time goes on.
#[test]
fn time_that_was_skipped_makes_nobody_look() {
    let (mut cluster, leader) = cluster(&[("retention.ms", "2500")]);
    append(&mut cluster, leader, b"k", Some(b"v"));
    for _ in 0..100 {
        cluster.now.wall_ms += 50;
        cluster.advance_ms(10);
    }
    assert_eq!(starts(&cluster), [0, 0, 0], "five seconds were skipped, little by little");
    jump(&mut cluster, 1);
    assert_eq!(starts(&cluster), [1, 1, 1], "however little a clock is moved, it is said");
}

#[test]
fn a_few_logs_lose_old_segments_at_a_time() {
    let mut cluster = Cluster::new(1);
    let topic = CreatableTopic::default().with_name(name("orders")).with_num_partitions(50).with_replication_factor(1);
    assert_eq!(create_with(&mut cluster, 0, topic), 0);
    let leader = leader(&mut cluster, "orders", 0);
    for partition in 0..50 {
        assert_eq!(produce_to(&mut cluster, leader, partition, batch(1, -1, -1, -1)).error_code, 0);
    }
    let topic = id(&cluster).topic;
    let begun = |cluster: &Cluster| {
        let starts = (0..50).map(|index| cluster.node(0).replica(PartitionId { topic, index }).expect("a replica"));
        starts.filter(|replica| replica.log_start == Offset(1)).count()
    };
    cluster.move_clock_ms(8 * DAY_MS);
    assert_eq!(begun(&cluster), 16, "each may cost a disk's sync");
    cluster.advance_ms(1);
    assert_eq!(begun(&cluster), 50);
    for partition in 0..50 {
        assert_eq!(produce_to(&mut cluster, leader, partition, batch(1, -1, -1, -1)).base_offset, 1);
    }
    cluster.move_clock_ms(8 * DAY_MS);
    cluster.move_clock_ms(-16 * DAY_MS);
    cluster.advance_ms(1);
    assert_eq!(begun(&cluster), 34, "the clock that is moved while they look is the one that counts");
}

#[test]
fn a_producer_that_was_silent_for_a_day_is_not_remembered() {
    let (mut cluster, leader) = cluster(&[("retention.ms", "-1")]);
    let first = |cluster: &mut Cluster, sequence| {
        let answer = produce(cluster, leader, batch(1, 9, 0, sequence));
        (answer.error_code, answer.base_offset)
    };
    assert_eq!((first(&mut cluster, 0), first(&mut cluster, 1)), ((0, 0), (0, 1)));
    jump(&mut cluster, DAY_MS - 1000);
    assert_eq!(first(&mut cluster, 1), (0, 1), "a retry is recognised");
    assert_eq!(first(&mut cluster, 7).0, ResponseError::OutOfOrderSequenceNumber.code());
    jump(&mut cluster, 1000);
    assert_eq!(first(&mut cluster, 7), (0, 2), "as in Kafka its state has expired");
}

#[test]
fn a_record_without_a_timestamp_is_as_old_as_its_append() {
    let (mut cluster, leader) = cluster(&[("retention.ms", "60000")]);
    cluster.advance_ms(290_000);
    let record = BatchBuilder::new(-1).record(b"k", b"v").finish().freeze();
    assert_eq!(produce(&mut cluster, leader, record).error_code, 0);
    // It was looked at the clock last when the logs were opened.
    cluster.advance_ms(20_000);
    assert_eq!(starts(&cluster), [0, 0, 0], "twenty seconds are less than a minute");
    jump(&mut cluster, 60_000);
    assert_eq!(starts(&cluster), [1, 1, 1]);
}

#[test]
fn a_compacted_topic_keeps_the_last_value_of_each_key_on_every_replica() {
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("delete.retention.ms", "5000"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    let (mut cluster, leader) = cluster(&settings);
    for round in 0..5_u8 {
        for key in [b"a", b"b"] {
            append(&mut cluster, leader, key, Some(&[b'0' + round]));
        }
        cluster.advance_ms(200);
    }
    append(&mut cluster, leader, b"b", None);
    cluster.advance_ms(200);
    let end = append(&mut cluster, leader, b"c", Some(b"active"));
    cluster.advance_ms(3000);
    let kept: Vec<_> = fetch(&mut cluster, leader, 0).expect("it begins at 0 as before");
    let seen: Vec<_> = kept.iter().map(|(offset, key, value)| (*offset, &key[..], value.as_deref())).collect();
    assert_eq!(seen, [(8, &b"a"[..], Some(&b"4"[..])), (10, b"b", None), (end, b"c", Some(b"active"))]);
    assert_eq!(list_offset(&mut cluster, leader, -2), (0, -1));
    let id = id(&cluster);
    let copies: Vec<Vec<Bytes>> = (0..3).map(|node| cluster.read_replica(node, id, Offset(0))).collect();
    assert!(copies[0].len() < 8, "{} batches are left of 12", copies[0].len());
    assert!(copies.iter().all(|copy| *copy == copies[0]), "replicas that clean at the same time are the same");
    // Past its horizon the tombstone goes with the next cleaning, which needs something to clean.
    jump(&mut cluster, 6000);
    append(&mut cluster, leader, b"d", Some(b"active"));
    cluster.advance_ms(3000);
    let keys: Vec<Bytes> =
        fetch(&mut cluster, leader, 0).expect("records").into_iter().map(|(_, key, _)| key).collect();
    assert_eq!(keys, [&b"a"[..], b"c", b"d"]);
    let nodes: Vec<usize> = (0..3).collect();
    for node in nodes {
        cluster.kill(node);
        cluster.restart(node);
        cluster.advance_ms(2000);
    }
    assert_eq!(starts(&cluster), [0, 0, 0], "a log whose beginning is compacted begins where it did");
}

#[test]
fn a_record_without_a_key_is_refused_where_keys_decide() {
    let (mut cluster, leader) = cluster(&[("cleanup.policy", "compact,delete")]);
    let keyless = BatchBuilder::new(cluster.now.wall_ms).keyless(b"v").finish().freeze();
    assert_eq!(produce(&mut cluster, leader, keyless).error_code, ResponseError::InvalidRecord.code());
}

#[test]
fn timestamps_are_the_brokers_where_the_topic_says_so() {
    let (mut cluster, leader) = cluster(&[("message.timestamp.type", "LogAppendTime")]);
    let now_ms = cluster.now.wall_ms;
    let answer = produce(&mut cluster, leader, batch(2, -1, -1, -1));
    assert_eq!((answer.base_offset, answer.log_append_time_ms), (0, now_ms));
    cluster.advance_ms(50);
    assert_eq!(produce(&mut cluster, leader, batch(1, -1, -1, -1)).log_append_time_ms, now_ms + 50);
    assert_eq!(list_offset(&mut cluster, leader, now_ms + 1), (2, now_ms + 50));
    assert_eq!(list_offset(&mut cluster, leader, -3), (2, now_ms + 50));
    assert_eq!(list_offset(&mut cluster, leader, now_ms + 51), (-1, -1));
    assert_eq!(list_offset(&mut cluster, leader, -1), (3, -1));
    assert_eq!(list_offset(&mut cluster, leader, -5), (-1, -1));
}

#[test]
fn offsets_that_nobody_used_for_a_week_are_forgotten_by_every_coordinator() {
    let (mut cluster, node) = coordinated_with(3, |config| config.offsets_replication_factor = 3);
    assert_eq!(commit(&mut cluster, node, None, 5), 0);
    jump(&mut cluster, 7 * DAY_MS - 1000);
    assert_eq!(committed(&mut cluster, node), 5);
    jump(&mut cluster, 1000);
    assert_eq!(committed(&mut cluster, node), -1);
    assert!(cluster.node(node).committed_offsets().is_empty());
    cluster.kill(node);
    cluster.advance_ms(3000);
    let next = crate::groups::find_coordinator(&mut cluster, (node + 1) % 3);
    assert_eq!(committed(&mut cluster, next), -1, "the next coordinator does not remember them either");
}

#[test]
fn an_offset_that_came_with_a_retention_time_goes_by_that_whoever_coordinates() {
    let (mut cluster, node) = coordinated_with(3, |config| config.offsets_replication_factor = 3);
    assert_eq!(commit_for_ms(&mut cluster, node, 5, 30 * DAY_MS), 0);
    cluster.kill(node);
    cluster.advance_ms(3000);
    let next = crate::groups::find_coordinator(&mut cluster, (node + 1) % 3);
    jump(&mut cluster, 29 * DAY_MS);
    assert_eq!(committed(&mut cluster, next), 5, "offsets.retention.minutes is a week");
    jump(&mut cluster, DAY_MS);
    assert_eq!(committed(&mut cluster, next), -1);
    assert_eq!(commit_for_ms(&mut cluster, next, 6, 60_000), 0);
    jump(&mut cluster, 60_000);
    assert_eq!(committed(&mut cluster, next), -1);
    assert_eq!(commit_for_ms(&mut cluster, next, 7, -1), 0);
    jump(&mut cluster, 6 * DAY_MS);
    assert_eq!(committed(&mut cluster, next), 7, "who says nothing gets a week");
}

#[test]
fn offsets_are_looked_at_as_often_as_the_setting_says() {
    let (mut cluster, node) = coordinated_with(1, |config| {
        config.set("offsets.retention.minutes", "1").expect("a valid value");
        config.set("offsets.retention.check.interval.ms", "40000").expect("a valid value");
    });
    assert_eq!(commit(&mut cluster, node, None, 5), 0);
    cluster.advance_ms(79_000);
    assert_eq!(committed(&mut cluster, node), 5);
    cluster.advance_ms(2000);
    assert_eq!(committed(&mut cluster, node), -1);
}
