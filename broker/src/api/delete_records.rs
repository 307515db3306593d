//! `DeleteRecords` 0–2 (KIP-107): a partition's log begins later. Batches that end below the new start are given back;
//! one that lies across it stays, and its readers skip what is deleted. It is answered once all replicas that are alive have
//! deleted. Version 2 is flexible.

use super::{Call, Effect};
use crate::config::topic;
use crate::io::RequestToken;
use crate::log::partition::PartitionId;
use crate::metadata::is_internal;
use crate::node::Node;
use crate::purgatory::{WaitId, Waiting, Wake};
use crate::timers::Timer;
use crate::types::Offset;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_records_request::DeleteRecordsPartition;
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse, ResponseKind};
use kafka_protocol::protocol::StrBytes;

/// Stands for everything below the high watermark.
const HIGH_WATERMARK: i64 = -1;

/// The low watermark of a partition in which nothing was deleted.
const NO_LOW_WATERMARK: i64 = -1;

/// A deletion that the leader has done, and not yet everybody who follows it.
#[derive(Debug)]
pub struct WaitingDelete {
    /// Where the reply goes.
    pub token: RequestToken,
    /// The partitions that wait.
    pub required: Vec<(PartitionId, Required)>,
    /// The reply, in which these partitions are not answered yet.
    pub response: DeleteRecordsResponse,
}

/// What one partition still has to do for a deletion.
#[derive(Debug, Clone, Copy)]
pub struct Required {
    /// Where the log of every replica has to begin, or later.
    before: Offset,
    /// Its topic and its place there, in the reply.
    place: (usize, usize),
}

pub(super) fn handle(node: &mut Node, call: &Call, request: DeleteRecordsRequest) -> Effect {
    let mut required = Vec::new();
    let mut response = DeleteRecordsResponse::default();
    for (n, topic) in request.topics.into_iter().enumerate() {
        let mut results = Vec::with_capacity(topic.partitions.len());
        for (m, asked) in topic.partitions.iter().enumerate() {
            let mut result = DeleteRecordsPartitionResult::default().with_partition_index(asked.partition_index);
            match delete(node, &topic.name, asked) {
                Ok((id, before)) => match outcome(node, id, before) {
                    Some(outcome) => say(&mut result, outcome),
                    None => {
                        result.low_watermark = low_watermark(node, id).map_or(NO_LOW_WATERMARK, |low| low.0);
                        required.push((id, Required { before, place: (n, m) }));
                    }
                },
                Err(error) => say(&mut result, Err(error)),
            }
            results.push(result);
        }
        response.topics.push(DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(results));
    }
    if required.is_empty() {
        return response.into();
    }
    let waiting = WaitingDelete { token: call.token, required, response };
    node.wait(Waiting::Delete(waiting), call.now.after_ms(request.timeout_ms.into()));
    Effect::Wait
}

/// Deletes on this node, and says before what.
fn delete(
    node: &mut Node,
    name: &StrBytes,
    asked: &DeleteRecordsPartition,
) -> Result<(PartitionId, Offset), ResponseError> {
    let index = asked.partition_index;
    let topic = node.image.topics.get(name).map(|topic| topic.id).ok_or(ResponseError::UnknownTopicOrPartition)?;
    if node.image.partition(name, index).is_none() {
        return Err(ResponseError::UnknownTopicOrPartition);
    }
    if is_internal(name) {
        return Err(ResponseError::InvalidTopicException);
    }
    let id = PartitionId { topic, index };
    // A topic that is only compacted promises to keep the last record of each key.
    if !topic::deletes(node.image.topic_settings(name)) {
        return Err(ResponseError::PolicyViolation);
    }
    let partition =
        node.partitions.get_mut(&id).filter(|partition| partition.leads()).ok_or(ResponseError::NotLeaderOrFollower)?;
    let before = match asked.offset {
        HIGH_WATERMARK => partition.high_watermark(),
        offset => Offset(offset),
    };
    partition.delete_before(&mut *node.store, before)?;
    // Followers are told where the log begins.
    node.moved.push(id);
    Ok((id, before))
}

/// What became of a partition's part: where the last of its replicas begins, or `None` while that is too early.
fn outcome(node: &Node, id: PartitionId, before: Offset) -> Option<Result<Offset, ResponseError>> {
    let Some(partition) = node.partitions.get(&id) else {
        return Some(Err(ResponseError::UnknownTopicOrPartition));
    };
    if !partition.leads() {
        return Some(Err(ResponseError::NotLeaderOrFollower));
    }
    low_watermark(node, id).filter(|low| *low >= before).map(Ok)
}

fn low_watermark(node: &Node, id: PartitionId) -> Option<Offset> {
    node.partitions.get(&id)?.low_watermark(|broker| node.image.is_alive(broker))
}

fn say(result: &mut DeleteRecordsPartitionResult, outcome: Result<Offset, ResponseError>) {
    match outcome {
        Ok(low_watermark) => (result.low_watermark, result.error_code) = (low_watermark.0, 0),
        Err(error) => (result.low_watermark, result.error_code) = (NO_LOW_WATERMARK, error.code()),
    }
}

/// Looks at a waiting deletion again: done everywhere, refused, or out of time.
pub(crate) fn complete(node: &mut Node, id: WaitId, wake: Wake) {
    let Some(Waiting::Delete(mut waiting)) = node.purgatory.take(id) else {
        return;
    };
    let mut pending = Vec::new();
    for (partition, required) in &waiting.required {
        let (topic, place) = required.place;
        let Some(result) = waiting.response.topics.get_mut(topic).and_then(|it| it.partitions.get_mut(place)) else {
            continue;
        };
        match outcome(node, *partition, required.before) {
            Some(outcome) => say(result, outcome),
            None => {
                pending.push(*partition);
                // What it says should this be the last look; the low watermark stays what it was at first, as in Kafka.
                result.error_code = ResponseError::RequestTimedOut.code();
            }
        }
    }
    if !pending.is_empty() && wake != Wake::TimedOut {
        node.purgatory.put_back(id, Waiting::Delete(waiting));
        return node.watch(id, &pending);
    }
    node.timers.cancel(&Timer::Wait(id));
    let token = waiting.token;
    let response = std::mem::take(&mut waiting.response);
    node.unwatch(id, &Waiting::Delete(waiting));
    node.reply(token, ResponseKind::from(response));
}
