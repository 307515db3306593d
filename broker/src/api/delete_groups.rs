//! `DeleteGroups` 0–2: an empty group and its offsets go.

use super::{Call, Effect};
use crate::group::{offsets, own};
use crate::node::Node;
use crate::types::TopicPartition;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse, GroupId};
use std::collections::BTreeSet;

pub(super) fn handle(node: &mut Node, call: &Call, request: DeleteGroupsRequest) -> Effect {
    let mut seen = BTreeSet::new();
    // A name that is given twice gets one answer.
    let groups = request.groups_names.into_iter().filter(|id| seen.insert(id.clone()));
    let results = groups.map(|id| {
        let code = delete(node, call, &id).map_or_else(|error| error.code(), |()| 0);
        DeletableGroupResult::default().with_group_id(id).with_error_code(code)
    });
    DeleteGroupsResponse::default().with_results(results.collect()).into()
}

fn delete(node: &mut Node, call: &Call, id: &GroupId) -> Result<(), ResponseError> {
    own(node, id)?;
    let group = node.groups.groups.get(&id.0).ok_or(ResponseError::GroupIdNotFound)?;
    if !group.members.is_empty() || !group.pending.is_empty() {
        return Err(ResponseError::NonEmptyGroup);
    }
    let partitions: Vec<TopicPartition> = group.offsets.keys().cloned().collect();
    offsets::forget(node, call.now, &id.0, &partitions)?;
    node.groups.groups.remove(&id.0);
    Ok(())
}
