//! `DeleteGroups` 0–2: empty groups and their offsets go. The groups may lie in several partitions; the answer waits until
//! all of them are gone for good.

use super::{Call, Effect};
use crate::group::changes::Change;
use crate::group::pending::{self, Deletion, Then};
use crate::group::state::GroupState;
use crate::group::{offsets, own};
use crate::node::Node;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse, ResponseKind};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;

pub(super) fn handle(node: &mut Node, call: &Call, request: DeleteGroupsRequest) -> Effect {
    let number = node.groups.deletions.next;
    node.groups.deletions.next += 1;
    let mut seen = BTreeSet::new();
    let mut left = 0;
    // A name that is given twice gets one answer.
    let groups = request.groups_names.into_iter().filter(|id| seen.insert(id.clone()));
    let results = groups.enumerate().map(|(at, id)| {
        let begun = delete(node, call, &id, Then::Deleted { request: number, at });
        left += usize::from(begun.is_ok());
        let code = begun.map_or_else(|error| error.code(), |()| 0);
        DeletableGroupResult::default().with_group_id(id).with_error_code(code)
    });
    let response = DeleteGroupsResponse::default().with_results(results.collect());
    if left == 0 {
        return response.into();
    }
    node.groups.deletions.waiting.insert(number, Deletion { token: call.token, response, left });
    Effect::Wait
}

fn delete(node: &mut Node, call: &Call, name: &StrBytes, then: Then) -> Result<(), ResponseError> {
    let id = own(node, name)?;
    let group = node.groups.groups.get(name).ok_or(ResponseError::GroupIdNotFound)?;
    if group.state != GroupState::Empty {
        return Err(ResponseError::NonEmptyGroup);
    }
    let forget = |partition| Change::Offset { group: name.clone(), partition, committed: None };
    let mut changes: Vec<Change> = offsets::in_log(node, id, name).into_iter().map(forget).collect();
    changes.push(Change::Group { group: name.clone(), stored: None });
    pending::write(node, call.now, id, changes, then)
}

/// One of the groups is gone, or will not go.
pub(crate) fn deleted(node: &mut Node, request: u64, at: usize, outcome: Result<(), ResponseError>) {
    let waiting = &mut node.groups.deletions.waiting;
    let Some(deletion) = waiting.get_mut(&request) else { return };
    if let (Err(error), Some(result)) = (outcome, deletion.response.results.get_mut(at)) {
        result.error_code = error.code();
    }
    deletion.left -= 1;
    if deletion.left == 0
        && let Some(deletion) = waiting.remove(&request)
    {
        node.reply(deletion.token, ResponseKind::from(deletion.response));
    }
}
