//! Producing and fetching: offsets, waiting, retries, sessions.

use crate::client::{Cluster, Reply, batch, expect_kind};
use crate::topics::{create, leader, name};
use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    ApiKey, FetchRequest, FetchResponse, InitProducerIdRequest, ProduceRequest, RequestKind,
};
use shakedown_broker::RequestToken;

pub(crate) fn produce_request(records: Bytes, acks: i16) -> RequestKind {
    let partition = PartitionProduceData::default().with_index(0).with_records(Some(records));
    let topic = TopicProduceData::default().with_name(name("orders")).with_partition_data(vec![partition]);
    let request = ProduceRequest::default().with_acks(acks).with_timeout_ms(1000).with_topic_data(vec![topic]);
    RequestKind::Produce(request)
}

pub(crate) fn produce(cluster: &mut Cluster, node: usize, records: Bytes) -> PartitionProduceResponse {
    produce_to(cluster, node, 0, records)
}

/// As [`produce`], to a partition of one's choice.
pub(crate) fn produce_to(cluster: &mut Cluster, node: usize, index: i32, records: Bytes) -> PartitionProduceResponse {
    let RequestKind::Produce(mut request) = produce_request(records, -1) else { panic!("it makes Produce requests") };
    request.topic_data[0].partition_data[0].index = index;
    let response = cluster.ask(node, ApiKey::Produce, 11, &RequestKind::Produce(request));
    expect_kind!(Produce, response).responses.remove(0).partition_responses.remove(0)
}

pub(crate) fn fetch_request(offset: i64, min_bytes: i32, session: (i32, i32)) -> FetchRequest {
    let partition = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(name("orders")).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(min_bytes)
        .with_max_bytes(1 << 20)
        .with_session_id(session.0)
        .with_session_epoch(session.1)
        .with_topics(vec![topic])
}

pub(crate) fn send_fetch(cluster: &mut Cluster, node: usize, request: FetchRequest) -> RequestToken {
    cluster.send(node, ApiKey::Fetch, 11, &RequestKind::Fetch(request))
}

pub(crate) fn fetched(reply: Option<Reply>) -> FetchResponse {
    match reply {
        Some(Reply::Response(response)) => expect_kind!(Fetch, response),
        other => panic!("expected a fetch response, got {other:?}"),
    }
}

fn record_bytes(response: &FetchResponse) -> usize {
    response.responses[0].partitions[0].records.as_ref().map_or(0, Bytes::len)
}

#[test]
fn what_is_produced_is_fetched_with_the_offsets_that_were_acknowledged() {
    let mut cluster = Cluster::new(3);
    create(&mut cluster, "orders", 1);
    let node = leader(&mut cluster, "orders", 0);
    assert_eq!(produce(&mut cluster, node, batch(3, -1, -1, -1)).base_offset, 0);
    assert_eq!(produce(&mut cluster, node, batch(2, -1, -1, -1)).base_offset, 3);
    let token = send_fetch(&mut cluster, node, fetch_request(3, 1, (0, -1)));
    let response = fetched(cluster.reply(token));
    let partition = &response.responses[0].partitions[0];
    assert_eq!((partition.high_watermark, partition.log_start_offset), (5, 0));
    let records = partition.records.as_ref().expect("records");
    assert_eq!(records[..8], 3_i64.to_be_bytes());
}

#[test]
fn another_node_says_who_leads() {
    let mut cluster = Cluster::new(3);
    create(&mut cluster, "orders", 1);
    let node = leader(&mut cluster, "orders", 0);
    let refused = produce(&mut cluster, (node + 1) % 3, batch(1, -1, -1, -1));
    assert_eq!(refused.error_code, ResponseError::NotLeaderOrFollower.code());
    assert_eq!(usize::try_from(refused.current_leader.leader_id.0).ok(), Some(node + 1));
}

#[test]
fn a_fetch_waits_for_its_bytes_or_its_time() {
    let mut cluster = Cluster::new(1);
    create(&mut cluster, "orders", 1);
    let size = i32::try_from(batch(1, -1, -1, -1).len()).expect("a small batch");
    let token = send_fetch(&mut cluster, 0, fetch_request(0, 2 * size, (0, -1)));
    assert!(cluster.reply(token).is_none(), "nothing is there");
    produce(&mut cluster, 0, batch(1, -1, -1, -1));
    assert!(cluster.reply(token).is_none(), "half is there");
    produce(&mut cluster, 0, batch(1, -1, -1, -1));
    let response = fetched(cluster.reply(token));
    assert_eq!(i32::try_from(record_bytes(&response)), Ok(2 * size));

    let token = send_fetch(&mut cluster, 0, fetch_request(2, 1, (0, -1)));
    cluster.advance_ms(499);
    assert!(cluster.reply(token).is_none());
    cluster.advance_ms(1);
    assert_eq!(record_bytes(&fetched(cluster.reply(token))), 0);
}

#[test]
fn a_fetch_takes_its_limit_to_the_last_byte_and_does_not_wait_for_more() {
    let mut cluster = Cluster::new(1);
    create(&mut cluster, "orders", 1);
    let size = batch(1, -1, -1, -1).len();
    for _ in 0..3 {
        produce(&mut cluster, 0, batch(1, -1, -1, -1));
    }
    for (limit, expected) in [(0, size), (size - 1, size), (size + 1, size + 1), (3 * size - 1, 3 * size - 1)] {
        let limit = i32::try_from(limit).expect("a small batch");
        let token = send_fetch(&mut cluster, 0, fetch_request(0, 1 << 20, (0, -1)).with_max_bytes(limit));
        let response = fetched(cluster.reply(token));
        assert_eq!(record_bytes(&response), expected, "at most {limit} bytes");
    }
}

#[test]
fn a_fetch_outside_of_the_log_is_told_at_once() {
    let mut cluster = Cluster::new(1);
    create(&mut cluster, "orders", 1);
    for offset in [-1, 1] {
        let token = send_fetch(&mut cluster, 0, fetch_request(offset, 1, (0, -1)));
        let response = fetched(cluster.reply(token));
        let code = response.responses[0].partitions[0].error_code;
        assert_eq!(code, ResponseError::OffsetOutOfRange.code(), "offset {offset}");
    }
}

#[test]
fn a_session_answers_only_what_is_new() {
    let mut cluster = Cluster::new(1);
    create(&mut cluster, "orders", 1);
    let token = send_fetch(&mut cluster, 0, fetch_request(0, 0, (0, 0)));
    let session = fetched(cluster.reply(token)).session_id;
    assert!(session > 0);
    let nothing_named = fetch_request(0, 1, (session, 1)).with_topics(Vec::new());
    let token = send_fetch(&mut cluster, 0, nothing_named);
    cluster.advance_ms(500);
    assert!(fetched(cluster.reply(token)).responses.is_empty(), "nothing is new");
    produce(&mut cluster, 0, batch(1, -1, -1, -1));
    let token = send_fetch(&mut cluster, 0, fetch_request(0, 1, (session, 2)).with_topics(Vec::new()));
    assert!(record_bytes(&fetched(cluster.reply(token))) > 0);
}

#[test]
fn an_idempotent_retry_is_answered_as_the_first_time_and_kept_once() {
    let mut cluster = Cluster::new(2);
    create(&mut cluster, "orders", 1);
    let node = leader(&mut cluster, "orders", 0);
    let request = RequestKind::InitProducerId(InitProducerIdRequest::default().with_transactional_id(None));
    let ids: Vec<i64> = (0..2)
        .map(|node| expect_kind!(InitProducerId, cluster.ask(node, ApiKey::InitProducerId, 4, &request)).producer_id.0)
        .collect();
    assert_ne!(ids[0], ids[1], "two nodes hand out different ids");
    assert_eq!(produce(&mut cluster, node, batch(2, ids[0], 0, 0)).base_offset, 0);
    assert_eq!(produce(&mut cluster, node, batch(2, ids[0], 0, 2)).base_offset, 2);
    assert_eq!(produce(&mut cluster, node, batch(2, ids[0], 0, 0)).base_offset, 0, "the retry");
    let gap = produce(&mut cluster, node, batch(2, ids[0], 0, 6));
    assert_eq!(gap.error_code, ResponseError::OutOfOrderSequenceNumber.code());
    assert_eq!(produce(&mut cluster, node, batch(1, ids[0], 0, 4)).base_offset, 4, "nothing was added in between");
}

#[test]
fn without_acknowledgement_success_is_silent_and_failure_hangs_up() {
    let mut cluster = Cluster::new(1);
    create(&mut cluster, "orders", 1);
    let token = cluster.send(0, ApiKey::Produce, 11, &produce_request(batch(1, -1, -1, -1), 0));
    assert!(matches!(cluster.reply(token), Some(Reply::Nothing)));
    let token = cluster.send(0, ApiKey::Produce, 11, &produce_request(Bytes::from_static(b"no batch"), 0));
    match cluster.reply(token) {
        Some(Reply::HungUp { reason }) => assert!(reason.contains("acks=0"), "{reason}"),
        other => panic!("expected to be hung up on, got {other:?}"),
    }
    assert_eq!(produce(&mut cluster, 0, batch(1, -1, -1, -1)).base_offset, 1);
}
