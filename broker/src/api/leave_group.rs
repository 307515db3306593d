//! `LeaveGroup` 0–5: members go, by id or, for static ones, by instance id. Version 3 takes several at once (KIP-345).
//! That the last one has left is stored, so the answer waits until it is committed.

use super::{Call, Effect, join_group};
use crate::group::{own_members, pending};
use crate::node::Node;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse, ResponseKind};
use kafka_protocol::protocol::StrBytes;

pub(super) fn handle(node: &mut Node, call: &Call, request: LeaveGroupRequest) -> Effect {
    let name = request.group_id.0;
    let id = match own_members(node, &name) {
        Ok(id) => id,
        Err(error) => return LeaveGroupResponse::default().with_error_code(error.code()).into(),
    };
    let response = if call.version < 3 {
        let identity = MemberIdentity::default().with_member_id(request.member_id);
        let code = leave(node, call, &name, &identity).map_or_else(|error| error.code(), |()| 0);
        LeaveGroupResponse::default().with_error_code(code)
    } else {
        leave_all(node, call, &name, request.members)
    };
    let refuse = |_, error: ResponseError| LeaveGroupResponse::default().with_error_code(error.code()).into();
    pending::write_and_reply(node, call, id, Vec::new(), ResponseKind::from(response), refuse)
}

fn leave_all(node: &mut Node, call: &Call, name: &StrBytes, members: Vec<MemberIdentity>) -> LeaveGroupResponse {
    let members = members.into_iter().map(|identity| {
        let code = leave(node, call, name, &identity).map_or_else(|error| error.code(), |()| 0);
        MemberResponse::default()
            .with_member_id(identity.member_id)
            .with_group_instance_id(identity.group_instance_id)
            .with_error_code(code)
    });
    LeaveGroupResponse::default().with_members(members.collect())
}

fn leave(node: &mut Node, call: &Call, name: &StrBytes, identity: &MemberIdentity) -> Result<(), ResponseError> {
    let group = node.groups.groups.get(name).ok_or(ResponseError::UnknownMemberId)?;
    let id = match &identity.group_instance_id {
        None => identity.member_id.clone(),
        Some(instance) => {
            let known = group.statics.get(instance).ok_or(ResponseError::UnknownMemberId)?;
            // An administrator removes a static member without knowing its id.
            if !identity.member_id.is_empty() && identity.member_id != *known {
                return Err(ResponseError::FencedInstanceId);
            }
            known.clone()
        }
    };
    join_group::leave(node, call, name, &id)
}
