//! `AlterPartitionReassignments` 0–1 (KIP-455), on the controller: a partition moves to other replicas. The new ones are
//! added first, fetch everything, and only once all of them are in sync do the old ones go.
//!
//! Version steps: 1 whether the replication factor may change.

use super::create_topics::check_replicas;
use crate::controller::Controller;
use crate::metadata::record::{PartitionChange, PartitionState};
use crate::types::{BrokerId, Now, PartitionId};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_partition_reassignments_request::ReassignablePartition;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};
use kafka_protocol::protocol::StrBytes;

type Refused = (ResponseError, String);

pub(super) fn apply(
    controller: &mut Controller,
    _now: Now,
    _version: i16,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let may_resize = request.allow_replication_factor_change;
    let responses = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|asked| {
            let response = ReassignablePartitionResponse::default()
                .with_partition_index(asked.partition_index)
                .with_error_message(None);
            match reassign(controller, may_resize, &topic.name.0, &asked) {
                Ok(()) => response,
                Err((error, message)) => {
                    response.with_error_code(error.code()).with_error_message(Some(StrBytes::from_string(message)))
                }
            }
        });
        let partitions = partitions.collect();
        ReassignableTopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    let responses = responses.collect();
    AlterPartitionReassignmentsResponse::default()
        .with_allow_replication_factor_change(may_resize)
        .with_error_message(None)
        .with_responses(responses)
}

fn reassign(
    controller: &mut Controller,
    may_resize: bool,
    topic: &StrBytes,
    asked: &ReassignablePartition,
) -> Result<(), Refused> {
    let unknown = || {
        let message = format!("Unable to find partition {}-{}.", &**topic, asked.partition_index);
        (ResponseError::UnknownTopicOrPartition, message)
    };
    let id =
        controller.image.topics.get(topic).map(|known| PartitionId { topic: known.id, index: asked.partition_index });
    let (id, state) = id.and_then(|id| Some((id, controller.image.state(id)?))).ok_or_else(unknown)?;
    let change = match &asked.replicas {
        None => cancel(controller, topic, state)?,
        Some(target) => {
            let target: Vec<BrokerId> = target.iter().map(|id| BrokerId(id.0)).collect();
            check_replicas(controller, &target)?;
            begin(controller, may_resize, topic, state, target)?
        }
    };
    controller.append_changes(change.map(|change| (id, change)).into_iter().collect());
    Ok(())
}

/// The replicas that the partition had before a reassignment that is under way.
fn original(state: &PartitionState) -> Vec<BrokerId> {
    state.replicas.iter().copied().filter(|id| !state.adding.contains(id)).collect()
}

fn begin(
    controller: &Controller,
    may_resize: bool,
    topic: &StrBytes,
    state: &PartitionState,
    target: Vec<BrokerId>,
) -> Result<Option<PartitionChange>, Refused> {
    let factor = state.replicas.len() - state.removing.len();
    if !may_resize && target.len() != factor {
        let message = format!(
            "The replication factor is changed from {factor} to {}, which the request does not allow.",
            target.len()
        );
        return Err((ResponseError::InvalidReplicationFactor, message));
    }
    let mut builder = controller.builder(topic, state);
    // What an earlier reassignment has begun to add, and this one does not want, goes when this one is complete.
    let is_new = |id: &BrokerId| !state.replicas.contains(id) || state.adding.contains(id);
    builder.adding = target.iter().copied().filter(is_new).collect();
    builder.removing = state.replicas.iter().copied().filter(|id| !target.contains(id)).collect();
    builder.replicas = target;
    builder.replicas.extend(builder.removing.iter().copied());
    Ok(builder.build(|id| controller.image.is_alive(id)))
}

fn cancel(
    controller: &Controller,
    topic: &StrBytes,
    state: &PartitionState,
) -> Result<Option<PartitionChange>, Refused> {
    if state.adding.is_empty() && state.removing.is_empty() {
        return Err((
            ResponseError::NoReassignmentInProgress,
            String::from("No partition reassignment is in progress."),
        ));
    }
    let mut builder = controller.builder(topic, state);
    builder.replicas = original(state);
    builder.isr.retain(|id| !state.adding.contains(id));
    builder.adding.clear();
    builder.removing.clear();
    if builder.isr.is_empty() {
        let message = String::from("Unable to revert the partition assignment: no original replica is in sync.");
        return Err((ResponseError::InvalidReplicaAssignment, message));
    }
    Ok(builder.build(|id| controller.image.is_alive(id)))
}
