//! `DescribeQuorum` 0–2 (KIP-595, KIP-836), on the quorum's leader: who leads the metadata log, and how far everybody has
//! come. Brokers pass it on, as Kafka's do.
//!
//! Version steps: 1 times of the last fetch; 2 error messages, directory ids and the controllers' endpoints. Controllers
//! share their brokers' endpoints here and have no directories.

use crate::node::Node;
use crate::quorum::state::Role;
use crate::types::{BrokerId, Now};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_quorum_response::{Listener, Node as QuorumNode, PartitionData};
use kafka_protocol::messages::describe_quorum_response::{ReplicaState, TopicData};
use kafka_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use kafka_protocol::protocol::StrBytes;

/// The metadata log's name as a topic.
const METADATA_TOPIC: &str = "__cluster_metadata";

pub(super) fn apply(node: &mut Node, now: Now, version: i16, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let is_metadata = &**topic.topic_name == METADATA_TOPIC;
        let partitions = topic.partitions.iter().map(|asked| {
            let partition = PartitionData::default().with_partition_index(asked.partition_index);
            if is_metadata && asked.partition_index == 0 {
                describe(node, now, version, partition)
            } else {
                partition.with_error_code(ResponseError::UnknownTopicOrPartition.code())
            }
        });
        let partitions = partitions.collect();
        TopicData::default().with_topic_name(topic.topic_name).with_partitions(partitions)
    });
    let response = DescribeQuorumResponse::default().with_topics(topics.collect());
    if version >= 2 { response.with_nodes(endpoints(node)).with_error_message(None) } else { response }
}

fn describe(node: &Node, now: Now, version: i16, partition: PartitionData) -> PartitionData {
    let quorum = &node.quorum;
    let voters = quorum.voters.iter().map(|id| replica(node, now, version, *id));
    let is_observer = |id: &BrokerId| !quorum.voters.contains(id);
    let known: Vec<BrokerId> = match &quorum.role {
        Role::Leader { progress, .. } => progress.keys().copied().filter(is_observer).collect(),
        _ => Vec::new(),
    };
    let observers = known.into_iter().map(|id| replica(node, now, version, id));
    partition
        .with_leader_id(quorum.leader().map_or(-1, |id| id.0).into())
        .with_leader_epoch(quorum.epoch.0)
        .with_high_watermark(quorum.log.high_watermark().0)
        .with_current_voters(voters.collect())
        .with_observers(observers.collect())
}

fn replica(node: &Node, now: Now, version: i16, id: BrokerId) -> ReplicaState {
    let end = node.quorum.log.end();
    let progress = match &node.quorum.role {
        Role::Leader { progress, .. } => progress.get(&id).copied(),
        _ => None,
    };
    let own = id == node.quorum.own;
    let replica_end = if own { Some(end) } else { progress.and_then(|progress| progress.end) };
    let state =
        ReplicaState::default().with_replica_id(id.0.into()).with_log_end_offset(replica_end.map_or(-1, |end| end.0));
    if version == 0 {
        return state;
    }
    let wall_ms = |at_ns: u64| {
        let ago_ms = now.monotonic_ns.saturating_sub(at_ns) / 1_000_000;
        now.wall_ms.saturating_sub(i64::try_from(ago_ms).unwrap_or(i64::MAX))
    };
    let told = |at_ns: Option<u64>| if own { now.wall_ms } else { at_ns.map_or(-1, wall_ms) };
    state
        .with_last_fetch_timestamp(told(progress.map(|progress| progress.fetched_ns)))
        .with_last_caught_up_timestamp(told(progress.and_then(|progress| progress.caught_up_ns)))
}

fn endpoints(node: &Node) -> Vec<QuorumNode> {
    let registered = node.quorum.voters.iter().filter_map(|id| node.image.brokers.get(id));
    let endpoint = |host: &StrBytes, port: u16| {
        Listener::default().with_name(StrBytes::from_static_str("CONTROLLER")).with_host(host.clone()).with_port(port)
    };
    registered
        .map(|broker| {
            QuorumNode::default()
                .with_node_id(broker.id.0.into())
                .with_listeners(vec![endpoint(&broker.host, broker.port)])
        })
        .collect()
}
