//! `Produce` 3–13: batches to partitions that this node leads.
//!
//! `min.insync.replicas` counts for acks=all: too few replicas in sync before the append is NOT_ENOUGH_REPLICAS, behind it
//! NOT_ENOUGH_REPLICAS_AFTER_APPEND.
//!
//! Version steps: 5 log start offset; 8 error messages (KIP-467); 9 flexible; 10 current leader (KIP-951); 12
//! transactions without AddPartitionsToTxn (KIP-890); 13 topic ids (KIP-516). Transactional batches are refused until
//! there is a transaction coordinator.

use super::{Call, Effect};
use crate::batch::header::{BatchHeader, Compression};
use crate::batch::validate::{Refusal, one_batch};
use crate::config::Defect;
use crate::io::RequestToken;
use crate::log::partition::{Appended, PartitionId};
use crate::node::Node;
use crate::purgatory::{WaitId, Waiting, Wake};
use crate::timers::Timer;
use crate::types::{LeaderEpoch, Now, Offset};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use kafka_protocol::protocol::StrBytes;

/// What stands for the beginning of a log that is not told.
const NO_LOG_START: Offset = Offset(-1);

/// The first version whose clients all read zstd (KIP-110).
const ZSTD_FROM: i16 = 7;

/// A produce with acks=all whose batches are appended, but not yet below every high watermark.
#[derive(Debug)]
pub struct WaitingProduce {
    /// Where the reply goes.
    pub token: RequestToken,
    /// What each high watermark has to reach, and in which epoch.
    pub required: Vec<(PartitionId, Required)>,
    /// The reply, should all get there.
    pub response: ProduceResponse,
}

/// What one partition still has to do for a produce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Required {
    /// One past the last record.
    pub end: Offset,
    /// The epoch in which it was appended: another leader may have cut it off since.
    pub epoch: LeaderEpoch,
}

pub(super) fn handle(node: &mut Node, call: &Call, request: ProduceRequest) -> Effect {
    let acks = request.acks;
    let mut required = Vec::new();
    let mut response = ProduceResponse::default();
    response.responses.reserve(request.topic_data.len());
    // A topic without partitions is not answered.
    for topic in request.topic_data.into_iter().filter(|topic| !topic.partition_data.is_empty()) {
        response.responses.push(append_topic(node, call, acks, topic, &mut required));
    }
    node.moved.extend(required.iter().map(|(id, _)| *id));
    if acks == 0 {
        return without_acknowledgement(&response);
    }
    if call.version >= 10 {
        response.node_endpoints = endpoints(node, &response);
    }
    let waits = acks == -1 && required.iter().any(|(id, required)| outcome(node, *id, *required) != Some(Ok(())));
    if waits && !node.config.has(Defect::AcknowledgeBeforeReplication) {
        let waiting = WaitingProduce { token: call.token, required, response };
        node.wait(Waiting::Produce(waiting), call.now.after_ms(request.timeout_ms.into()));
        return Effect::Wait;
    }
    response.into()
}

/// With acks=0 an error can only be told by closing the connection, which makes the client refresh its metadata.
fn without_acknowledgement(response: &ProduceResponse) -> Effect {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    let failed = partitions.filter(|partition| partition.error_code != 0).map(|partition| partition.error_code).next();
    match failed {
        Some(code) => {
            let error =
                ResponseError::try_from_code(code).map_or_else(|| code.to_string(), |error| format!("{error:?}"));
            Effect::HangUp(format!("a produce with acks=0 failed with {error}"))
        }
        None => Effect::NoReply,
    }
}

/// What became of a partition's part; `None` while it is not replicated yet.
fn outcome(node: &Node, id: PartitionId, required: Required) -> Option<Result<(), ResponseError>> {
    let Some(partition) = node.partitions.get(&id) else {
        return Some(Err(ResponseError::UnknownTopicOrPartition));
    };
    if !partition.leads_since(required.epoch) {
        return Some(Err(ResponseError::NotLeaderOrFollower));
    }
    if partition.high_watermark() < required.end {
        return None;
    }
    // Replicated to everybody in sync, but those have become too few meanwhile.
    let enough = !partition.is_under_min_isr();
    Some(if enough { Ok(()) } else { Err(ResponseError::NotEnoughReplicasAfterAppend) })
}

/// Looks at a waiting produce again: all replicated, refused, or out of time.
pub(crate) fn complete(node: &mut Node, _: Now, id: WaitId, wake: Wake) {
    let Some(Waiting::Produce(mut waiting)) = node.purgatory.take(id) else {
        return;
    };
    let outcomes: Vec<(PartitionId, Option<Result<(), ResponseError>>)> = waiting
        .required
        .iter()
        .map(|(partition, required)| (*partition, outcome(node, *partition, *required)))
        .collect();
    let pending: Vec<PartitionId> =
        outcomes.iter().filter(|(_, outcome)| outcome.is_none()).map(|(partition, _)| *partition).collect();
    if !pending.is_empty() && wake != Wake::TimedOut {
        node.purgatory.put_back(id, Waiting::Produce(waiting));
        return node.watch(id, &pending);
    }
    for topic in &mut waiting.response.responses {
        for partition in &mut topic.partition_responses {
            let id = PartitionId { topic: topic.topic_id, index: partition.index };
            let found = outcomes.iter().find(|(other, _)| *other == id).map(|(_, outcome)| *outcome);
            let error = match found {
                None | Some(Some(Ok(()))) => continue,
                Some(Some(Err(error))) => error,
                Some(None) => ResponseError::RequestTimedOut,
            };
            partition.error_code = error.code();
        }
    }
    node.timers.cancel(&Timer::Wait(id));
    let token = waiting.token;
    let response = std::mem::take(&mut waiting.response);
    node.unwatch(id, &Waiting::Produce(waiting));
    node.reply(token, kafka_protocol::messages::ResponseKind::from(response));
}

fn append_topic(
    node: &mut Node,
    call: &Call,
    acks: i16,
    topic: TopicProduceData,
    required: &mut Vec<(PartitionId, Required)>,
) -> TopicProduceResponse {
    let by_id = call.version >= 13;
    let name = if by_id { node.image.names.get(&topic.topic_id).cloned() } else { Some(topic.name.0.clone()) };
    let id = name.as_ref().and_then(|name| node.image.topics.get(name)).map(|topic| topic.id);
    let unknown = if by_id { ResponseError::UnknownTopicId } else { ResponseError::UnknownTopicOrPartition };
    let mut partitions = Vec::with_capacity(topic.partition_data.len());
    for data in topic.partition_data {
        let index = data.index;
        let appended = match (&name, id) {
            (Some(name), Some(topic)) => append(node, call, acks, PartitionId { topic, index }, name, data),
            _ => Err((Refusal { error: unknown, message: String::from("there is no such topic") }, NO_LOG_START)),
        };
        partitions.push(match appended {
            Ok((appended, log_start)) => {
                // A retry waits, too: its first attempt is in the log, but perhaps nowhere else yet.
                let id = id.map(|topic| PartitionId { topic, index });
                if let Some((id, partition)) = id.and_then(|id| Some((id, node.partitions.get(&id)?))) {
                    required.push((id, Required { end: partition.log_end(), epoch: partition.leader_epoch() }));
                }
                PartitionProduceResponse::default()
                    .with_index(index)
                    .with_base_offset(appended.base.0)
                    .with_log_append_time_ms(appended.log_append_time_ms)
                    .with_log_start_offset(log_start.0)
            }
            Err((refusal, log_start)) => {
                failed(node, call.version, name.as_ref(), index, refusal).with_log_start_offset(log_start.0)
            }
        });
    }
    TopicProduceResponse::default()
        .with_name(topic.name)
        .with_topic_id(id.unwrap_or(topic.topic_id))
        .with_partition_responses(partitions)
}

fn append(
    node: &mut Node,
    call: &Call,
    acks: i16,
    id: PartitionId,
    name: &StrBytes,
    data: PartitionProduceData,
) -> Result<(Appended, Offset), (Refusal, Offset)> {
    let records = data.records.unwrap_or_default();
    may_append(node, call, id, name, &records).map_err(|refusal| (refusal, NO_LOG_START))?;
    if !(-1..=1).contains(&acks) {
        let message = format!("acks must be -1, 0 or 1, not {acks}");
        return Err((Refusal { error: ResponseError::InvalidRequiredAcks, message }, NO_LOG_START));
    }
    let overrules = node.config.has(Defect::HighWatermarkIsLogEnd);
    let Some(partition) = node.partitions.get_mut(&id).filter(|partition| partition.leads()) else {
        let message = String::from("this node does not lead the partition");
        return Err((Refusal { error: ResponseError::NotLeaderOrFollower, message }, NO_LOG_START));
    };
    let log_start = partition.log_start();
    let enough = if acks == -1 { partition.check_min_isr() } else { Ok(()) };
    let appended = enough.and_then(|()| partition.append(&mut *node.store, &records, call.now)).map_err(|refusal| {
        let log_start = if hides_log_start(refusal.error) { NO_LOG_START } else { log_start };
        (refusal, log_start)
    })?;
    if overrules {
        partition.overrule_high_watermark(&mut *node.store);
    }
    Ok((appended, partition.log_start()))
}

/// What is wrong with a request before it reaches a log.
fn may_append(node: &Node, call: &Call, id: PartitionId, name: &StrBytes, records: &[u8]) -> Result<(), Refusal> {
    if node.image.partition(name, id.index).is_none() {
        let message = format!("there is no partition {} in {name}", id.index);
        return Err(Refusal { error: ResponseError::UnknownTopicOrPartition, message });
    }
    if call.version < ZSTD_FROM && uses_zstd(records) {
        let message = format!("zstd needs Produce version {ZSTD_FROM}, the request has {}", call.version);
        return Err(Refusal { error: ResponseError::UnsupportedCompressionType, message });
    }
    one_batch(records)?;
    if crate::metadata::is_internal(name) && call.client_id.as_deref() != Some("__admin_client") {
        let message = format!("clients may not write to the internal topic {name}");
        return Err(Refusal { error: ResponseError::InvalidTopicException, message });
    }
    Ok(())
}

/// Errors of an append that are told without where the log begins (`ReplicaManager.appendRecordsToLeader`).
fn hides_log_start(error: ResponseError) -> bool {
    use ResponseError::{CorruptMessage, KafkaStorageError, MessageTooLarge};
    matches!(error, MessageTooLarge | CorruptMessage | KafkaStorageError)
}

fn uses_zstd(records: &[u8]) -> bool {
    BatchHeader::read(records).and_then(|header| header.compression()) == Some(Compression::Zstd)
}

fn failed(
    node: &Node,
    version: i16,
    name: Option<&StrBytes>,
    index: i32,
    refusal: Refusal,
) -> PartitionProduceResponse {
    let mut response = PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(refusal.error.code())
        .with_base_offset(-1)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(-1)
        .with_error_message(Some(StrBytes::from_string(refusal.message)));
    if version >= 10
        && refusal.error == ResponseError::NotLeaderOrFollower
        && let Some(state) = name.and_then(|name| node.image.partition(name, index))
        && let Some(leader) = state.leader
    {
        response.current_leader =
            LeaderIdAndEpoch::default().with_leader_id(leader.0.into()).with_leader_epoch(state.leader_epoch.0);
    }
    response
}

fn endpoints(node: &Node, response: &ProduceResponse) -> Vec<NodeEndpoint> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    let mut leaders: Vec<i32> =
        partitions.map(|partition| partition.current_leader.leader_id.0).filter(|leader| *leader >= 0).collect();
    leaders.sort_unstable();
    leaders.dedup();
    let registrations = leaders.iter().filter_map(|leader| node.image.brokers.get(&crate::BrokerId(*leader)));
    registrations
        .map(|broker| {
            NodeEndpoint::default()
                .with_node_id(broker.id.0.into())
                .with_host(broker.host.clone())
                .with_port(broker.port.into())
        })
        .collect()
}
