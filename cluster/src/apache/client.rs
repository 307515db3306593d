//! One request and its answer, on a connection of its own: what is asked of a node from outside.
//!
//! Only requests of which a cluster's user needs the answer here; nobody else's client.

use bytes::{BufMut as _, BytesMut};
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::describe_quorum_response::PartitionData as Quorum;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, BrokerId, DescribeQuorumRequest, FindCoordinatorRequest, ListOffsetsRequest, MetadataRequest,
    MetadataResponse, RequestHeader, RequestKind, ResponseHeader, ResponseKind, TopicName,
};
use kafka_protocol::protocol::{Decodable as _, Encodable as _, StrBytes};
use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a node on the same machine may take for any of this. One that is stopped takes for ever.
const PATIENCE: Duration = Duration::from_secs(2);

/// More than any of these answers has: who sends more is no Kafka.
const ANSWER_MAX: u32 = 16 * 1024 * 1024;

/// Kafka's name of the metadata log.
const METADATA_LOG: &str = "__cluster_metadata";

/// `ListOffsetsRequest.DEBUGGING_REPLICA_ID`: is told where a log ends, and not how far consumers may read it.
const DEBUGGING_REPLICA: BrokerId = BrokerId(-2);

/// `ListOffsetsRequest.LATEST_TIMESTAMP`.
const LATEST: i64 = -1;

/// The brokers that the node knows to be alive, and these topics as it sees them; all, if none are named.
pub(super) fn metadata(address: SocketAddr, topics: Option<&[&str]>) -> Result<MetadataResponse> {
    let named = |topic: &&str| MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
    // Leader epochs come with version 7. An empty list is no topic at all.
    let request = MetadataRequest::default().with_topics(topics.map(|topics| topics.iter().map(named).collect()));
    let request = request.with_allow_auto_topic_creation(false);
    match ask(address, ApiKey::Metadata, 9, &request.into())? {
        ResponseKind::Metadata(metadata) => Ok(metadata),
        other => Err(unexpected(&other)),
    }
}

/// Where the logs of these partitions end on this node, as far as it has them.
pub(super) fn log_ends(address: SocketAddr, topic: &str, partitions: &[i32]) -> Result<Vec<(i32, i64)>> {
    let latest = |index: &i32| {
        ListOffsetsPartition::default()
            .with_partition_index(*index)
            .with_current_leader_epoch(-1)
            .with_timestamp(LATEST)
    };
    let topic = ListOffsetsTopic::default().with_name(topic_name(topic));
    let topic = topic.with_partitions(partitions.iter().map(latest).collect());
    let request = ListOffsetsRequest::default().with_replica_id(DEBUGGING_REPLICA).with_topics(vec![topic]);
    match ask(address, ApiKey::ListOffsets, 5, &request.into())? {
        ResponseKind::ListOffsets(offsets) => {
            let partitions = offsets.topics.into_iter().flat_map(|topic| topic.partitions);
            let known = partitions.filter(|partition| partition.error_code == 0);
            Ok(known.map(|partition| (partition.partition_index, partition.offset)).collect())
        }
        other => Err(unexpected(&other)),
    }
}

/// Who coordinates a group; nobody while that is open. Kafka makes `__consumer_offsets` for it if need be.
pub(super) fn group_coordinator(address: SocketAddr, group: &str) -> Result<Option<i32>> {
    let request = FindCoordinatorRequest::default().with_key(StrBytes::from_string(group.to_owned()));
    match ask(address, ApiKey::FindCoordinator, 3, &request.into())? {
        ResponseKind::FindCoordinator(found) => Ok((found.error_code == 0).then_some(found.node_id.0)),
        other => Err(unexpected(&other)),
    }
}

/// The quorum of controllers with its leader and epoch; nothing while there is no leader. Metadata does not tell it: in
/// KRaft it names any broker.
pub(super) fn quorum(address: SocketAddr) -> Result<Option<Quorum>> {
    let partition = PartitionData::default().with_partition_index(0);
    let log = TopicData::default().with_topic_name(topic_name(METADATA_LOG)).with_partitions(vec![partition]);
    match ask(address, ApiKey::DescribeQuorum, 0, &DescribeQuorumRequest::default().with_topics(vec![log]).into())? {
        ResponseKind::DescribeQuorum(quorum) => {
            let mut logs = quorum.topics.into_iter().flat_map(|topic| topic.partitions);
            Ok(logs.next().filter(|log| log.error_code == 0 && log.leader_id.0 >= 0))
        }
        other => Err(unexpected(&other)),
    }
}

fn topic_name(topic: &str) -> TopicName {
    StrBytes::from_string(topic.to_owned()).into()
}

fn ask(address: SocketAddr, key: ApiKey, version: i16, request: &RequestKind) -> Result<ResponseKind> {
    let mut socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut frame = BytesMut::new();
    frame.put_u32(0);
    let client = Some(StrBytes::from_static_str("shakedown"));
    let header = RequestHeader::default().with_request_api_key(key as i16).with_request_api_version(version);
    header.with_client_id(client).encode(&mut frame, key.request_header_version(version)).map_err(malformed)?;
    request.encode(&mut frame, version).map_err(malformed)?;
    let length = u32::try_from(frame.len() - 4).map_err(malformed)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    socket.write_all(&frame)?;
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > ANSWER_MAX {
        return Err(malformed(format!("an answer of {length} bytes")));
    }
    let mut answer = BytesMut::zeroed(length as usize);
    socket.read_exact(&mut answer)?;
    let mut answer = answer.freeze();
    ResponseHeader::decode(&mut answer, key.response_header_version(version)).map_err(malformed)?;
    ResponseKind::decode(key, &mut answer, version).map_err(malformed)
}

fn unexpected(answer: &ResponseKind) -> Error {
    malformed(format!("another answer than was asked for: {answer:?}"))
}

fn malformed(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::InvalidData, reason)
}
