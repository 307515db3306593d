//! `SyncGroup` 0–5: the leader brings the assignment, the others fetch their share, once it is committed. Version 5 names the protocol, which
//! must be the generation's (KIP-559).

use super::{Call, Effect};
use crate::group::rebalance::{assign, heard_of, synced};
use crate::group::state::GroupState;
use crate::group::{offsets, own_members};
use crate::node::Node;
use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use kafka_protocol::protocol::StrBytes;

pub(super) fn handle(node: &mut Node, call: &Call, request: SyncGroupRequest) -> Effect {
    sync(node, call, request).unwrap_or_else(|error| SyncGroupResponse::default().with_error_code(error.code()).into())
}

fn sync(node: &mut Node, call: &Call, request: SyncGroupRequest) -> Result<Effect, ResponseError> {
    let name = request.group_id.0.clone();
    own_members(node, &name)?;
    let group = node.groups.groups.get_mut(&name).ok_or(ResponseError::UnknownMemberId)?;
    offsets::known_member(group, &request.member_id, request.group_instance_id.as_ref())?;
    if request.generation_id != group.generation {
        return Err(ResponseError::IllegalGeneration);
    }
    // From version 5 on a member says what it takes the generation's protocol to be (KIP-559).
    let is_silent = request.protocol_type.is_none() || request.protocol_name.is_none();
    if call.version >= 5 && is_silent {
        return Err(ResponseError::InconsistentGroupProtocol);
    }
    let differs = |asked: &Option<StrBytes>, ours: &Option<StrBytes>| asked.is_some() && asked != ours;
    if differs(&request.protocol_type, &group.protocol_type) || differs(&request.protocol_name, &group.protocol) {
        return Err(ResponseError::InconsistentGroupProtocol);
    }
    let id = request.member_id;
    match group.state {
        GroupState::Empty => Err(ResponseError::UnknownMemberId),
        GroupState::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
        GroupState::Stable => {
            let response = synced(group, &id, call.version);
            heard_of(node, call.now, &name, &id);
            Ok(response.into())
        }
        GroupState::CompletingRebalance => {
            if let Some(member) = group.members.get_mut(&id) {
                member.syncing = Some(call.clone());
            }
            if group.leader.as_ref() == Some(&id) {
                let assignments = request.assignments.into_iter();
                // What a group keeps is copied out of the frame, which would otherwise stay in memory as a whole.
                let copied = assignments.map(|one| (one.member_id, Bytes::copy_from_slice(&one.assignment)));
                assign(node, call.now, &name, copied.collect());
            }
            Ok(Effect::Wait)
        }
    }
}
