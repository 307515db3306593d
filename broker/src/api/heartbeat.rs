//! `Heartbeat` 0–4: a member lives, and learns whether it has to join again. A coordinator that is still loading says
//! that all is well, since it knows nothing else and would only upset members (`GroupCoordinatorService.heartbeat`).

use super::{Call, Effect};
use crate::group::rebalance::heard_of;
use crate::group::state::GroupState;
use crate::group::{offsets, own_members};
use crate::node::Node;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

pub(super) fn handle(node: &mut Node, call: &Call, request: HeartbeatRequest) -> Effect {
    let code = match beat(node, call, &request) {
        Ok(()) | Err(ResponseError::CoordinatorLoadInProgress) => 0,
        Err(error) => error.code(),
    };
    HeartbeatResponse::default().with_error_code(code).into()
}

fn beat(node: &mut Node, call: &Call, request: &HeartbeatRequest) -> Result<(), ResponseError> {
    let name = &request.group_id.0;
    own_members(node, name)?;
    let group = node.groups.groups.get(name).ok_or(ResponseError::UnknownMemberId)?;
    offsets::known_member(group, &request.member_id, request.group_instance_id.as_ref())?;
    if request.generation_id != group.generation {
        return Err(ResponseError::IllegalGeneration);
    }
    let state = group.state;
    if state == GroupState::Empty {
        return Err(ResponseError::UnknownMemberId);
    }
    heard_of(node, call.now, name, &request.member_id);
    if state == GroupState::PreparingRebalance { Err(ResponseError::RebalanceInProgress) } else { Ok(()) }
}
