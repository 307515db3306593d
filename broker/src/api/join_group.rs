//! `JoinGroup` 0–9: a member enters a group, or its next generation.
//!
//! Version steps: 1 rebalance timeout; 4 MEMBER_ID_REQUIRED first (KIP-394); 5 static members (KIP-345); 7 protocol type;
//! 8 reason; 9 skip assignment (KIP-814).

use super::{Call, Effect};
use crate::group::rebalance::{add, group_mut, heard_of, joined, new_member_id, prepare, remove, try_complete_join};
use crate::group::state::{GroupState, Member};
use crate::group::{offsets, own_members};
use crate::node::Node;
use crate::timers::Timer;
use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse, ResponseKind};
use kafka_protocol::protocol::StrBytes;

const UNKNOWN_GENERATION: i32 = -1;

pub(super) fn handle(node: &mut Node, call: &Call, request: JoinGroupRequest) -> Effect {
    let member_id = request.member_id.clone();
    match join(node, call, request) {
        Ok(effect) => effect,
        Err((error, id)) => JoinGroupResponse::default()
            .with_error_code(error.code())
            .with_generation_id(UNKNOWN_GENERATION)
            // Before version 7 the field is not nullable.
            .with_protocol_name((call.version < 7).then(StrBytes::default))
            .with_member_id(id.unwrap_or(member_id))
            .into(),
    }
}

type Refused = (ResponseError, Option<StrBytes>);

fn join(node: &mut Node, call: &Call, request: JoinGroupRequest) -> Result<Effect, Refused> {
    let refuse = |error| Err((error, None));
    own_members(node, &request.group_id).map_err(|error| (error, None))?;
    let allowed = node.config.group_session_timeout_min_ms..=node.config.group_session_timeout_max_ms;
    if !allowed.contains(&request.session_timeout_ms) {
        return refuse(ResponseError::InvalidSessionTimeout);
    }
    let name = request.group_id.0.clone();
    if !request.member_id.is_empty() && !node.groups.groups.contains_key(&name) {
        return refuse(ResponseError::UnknownMemberId);
    }
    let (member, protocol_type) = candidate(call, &request);
    let size_max = node.config.group_size_max;
    let group = group_mut(node, &name);
    if !group.supports(&protocol_type, &member.protocols) {
        return refuse(ResponseError::InconsistentGroupProtocol);
    }
    let is_known = group.members.contains_key(&request.member_id) || group.pending.contains(&request.member_id);
    if !is_known && group.members.len() + group.pending.len() >= size_max {
        return refuse(ResponseError::GroupMaxSizeReached);
    }
    if request.member_id.is_empty() {
        enter(node, call, &name, member, &protocol_type)
    } else {
        again(node, call, &name, &request.member_id, member, &protocol_type)
    }
}

fn candidate(call: &Call, request: &JoinGroupRequest) -> (Member, StrBytes) {
    // What a group keeps is copied out of the frame, which would otherwise stay in memory as a whole.
    let own = |text: &StrBytes| StrBytes::from_string(text.to_string());
    let protocols = request.protocols.iter();
    let member = Member {
        instance: request.group_instance_id.as_ref().map(own),
        client_id: call.client_id.as_ref().map(own).unwrap_or_default(),
        client_host: call.client_host.clone(),
        session_timeout_ms: request.session_timeout_ms,
        // Version 0 knows only one timeout.
        rebalance_timeout_ms: if call.version >= 1 { request.rebalance_timeout_ms } else { request.session_timeout_ms },
        protocols: protocols.map(|one| (own(&one.name), Bytes::copy_from_slice(&one.metadata))).collect(),
        assignment: Bytes::new(),
        joining: Some(call.clone()),
        syncing: None,
    };
    (member, own(&request.protocol_type))
}

/// A member without an id.
fn enter(
    node: &mut Node,
    call: &Call,
    name: &StrBytes,
    member: Member,
    protocol_type: &StrBytes,
) -> Result<Effect, Refused> {
    let prefix = member.instance.clone().unwrap_or_else(|| member.client_id.clone());
    let id = new_member_id(node, &prefix);
    if let Some(instance) = &member.instance {
        if let Some(before) = group_mut(node, name).statics.get(instance).cloned() {
            return Ok(replace(node, call, name, &before, &id, member));
        }
    } else if call.version >= 4 {
        group_mut(node, name).pending.insert(id.clone());
        let timer = Timer::PendingMember { group: name.clone(), member: id.clone() };
        node.timers.set(timer, call.now.after_ms(member.session_timeout_ms.into()));
        return Err((ResponseError::MemberIdRequired, Some(id)));
    }
    add(node, name, &id, member, protocol_type);
    rejoin(node, call, name);
    Ok(Effect::Wait)
}

/// A static member comes back without its id: the new id takes the old one's place, and if it can do what it could
/// before, nobody has to rebalance.
fn replace(
    node: &mut Node,
    call: &Call,
    name: &StrBytes,
    before: &StrBytes,
    id: &StrBytes,
    mut member: Member,
) -> Effect {
    node.timers.cancel(&Timer::Session { group: name.clone(), member: before.clone() });
    let group = group_mut(node, name);
    let Some(old) = group.members.remove(before) else {
        return Effect::Wait;
    };
    let led = group.leader.as_ref() == Some(before);
    if led {
        group.leader = Some(id.clone());
    }
    member.assignment = old.assignment;
    group.statics.extend(member.instance.clone().map(|instance| (instance, id.clone())));
    group.members.insert(id.clone(), member);
    // As in Kafka a stable group stays so as long as it would elect the same protocol again.
    let unchanged = group.state == GroupState::Stable && group.elect_protocol() == group.protocol;
    if let Some(member) = group.members.get_mut(id).filter(|_| unchanged) {
        member.joining = None;
    }
    let mut response = joined(group, id, call.version).with_skip_assignment(led && call.version >= 9);
    if led && call.version < 9 {
        // A client that cannot be told to skip the assignment must not take itself for the leader (KIP-814): what it
        // would assign reaches nobody in a stable group.
        response = response.with_leader(before.clone()).with_members(Vec::new());
    }
    for call in old.joining.into_iter().chain(old.syncing) {
        let fenced = ResponseError::FencedInstanceId.code();
        let response = match call.api {
            kafka_protocol::messages::ApiKey::JoinGroup => {
                ResponseKind::from(JoinGroupResponse::default().with_error_code(fenced))
            }
            _ => ResponseKind::from(kafka_protocol::messages::SyncGroupResponse::default().with_error_code(fenced)),
        };
        node.reply(call.token, response);
    }
    heard_of(node, call.now, name, id);
    if unchanged {
        return response.into();
    }
    rejoin(node, call, name);
    Effect::Wait
}

/// A member with an id: one that was handed out, or one of the group's.
fn again(
    node: &mut Node,
    call: &Call,
    name: &StrBytes,
    id: &StrBytes,
    member: Member,
    protocol_type: &StrBytes,
) -> Result<Effect, Refused> {
    let group = group_mut(node, name);
    if let Some(pending) = group.pending.take(id) {
        add(node, name, &pending, member, protocol_type);
        rejoin(node, call, name);
        return Ok(Effect::Wait);
    }
    offsets::known_member(group, id, member.instance.as_ref()).map_err(|error| (error, None))?;
    let leads = group.leader.as_ref() == Some(id);
    let Some((id, known)) = group.members.get_key_value(id) else {
        return Err((ResponseError::UnknownMemberId, None));
    };
    let id = id.clone();
    let unchanged = known.protocols == member.protocols;
    let answer_now = match group.state {
        GroupState::Empty => return Err((ResponseError::UnknownMemberId, None)),
        GroupState::PreparingRebalance => false,
        GroupState::CompletingRebalance => unchanged,
        GroupState::Stable => unchanged && !leads,
    };
    if answer_now {
        let response = joined(group, &id, call.version);
        heard_of(node, call.now, name, &id);
        return Ok(response.into());
    }
    if let Some(known) = group.members.get_mut(&id) {
        let assignment = std::mem::take(&mut known.assignment);
        *known = Member { assignment, syncing: known.syncing.take(), ..member };
    }
    rejoin(node, call, name);
    Ok(Effect::Wait)
}

/// A member has joined: begin a rebalance, or maybe complete the one that is on.
fn rejoin(node: &mut Node, call: &Call, name: &StrBytes) {
    if group_mut(node, name).state == GroupState::PreparingRebalance {
        try_complete_join(node, call.now, name);
    } else {
        prepare(node, call.now, name);
    }
}

/// Takes a pending or full member out; used by LeaveGroup.
pub(super) fn leave(node: &mut Node, call: &Call, name: &StrBytes, id: &StrBytes) -> Result<(), ResponseError> {
    let group = group_mut(node, name);
    if group.pending.remove(id) {
        node.timers.cancel(&Timer::PendingMember { group: name.clone(), member: id.clone() });
        try_complete_join(node, call.now, name);
        return Ok(());
    }
    if !group.members.contains_key(id) {
        return Err(ResponseError::UnknownMemberId);
    }
    remove(node, call.now, name, id);
    Ok(())
}
