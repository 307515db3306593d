//! `JoinGroup` 0–9: a member enters a group, or its next generation.
//!
//! Version steps: 1 rebalance timeout; 4 MEMBER_ID_REQUIRED first (KIP-394); 5 static members (KIP-345); 7 protocol type;
//! 8 reason; 9 skip assignment (KIP-814).

use super::{Call, Effect};
use crate::group::changes::Change;
use crate::group::group_records::StoredGroup;
use crate::group::pending::{self, Then};
use crate::group::rebalance::{add, heard_of, joined, new_member_id, prepare, refuse, remove, try_complete_join};
use crate::group::state::{Group, GroupState, Member};
use crate::group::{offsets, own_members};
use crate::node::Node;
use crate::timers::Timer;
use crate::types::PartitionId;
use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
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
    let id = own_members(node, &request.group_id).map_err(|error| (error, None))?;
    let allowed = node.config.group_session_timeout_min_ms..=node.config.group_session_timeout_max_ms;
    if !allowed.contains(&request.session_timeout_ms) {
        return refuse(ResponseError::InvalidSessionTimeout);
    }
    if !request.member_id.is_empty() && !node.groups.groups.contains_key(&request.group_id.0) {
        return refuse(ResponseError::UnknownMemberId);
    }
    let (member, protocol_type) = candidate(call, &request);
    let name = found(node, call, id, &request.group_id.0).map_err(|error| (error, None))?;
    let size_max = node.config.group_size_max;
    let Some(group) = node.groups.groups.get(&name) else { return refuse(ResponseError::UnknownMemberId) };
    if !group.supports(&protocol_type, &member.protocols) {
        return refuse(ResponseError::InconsistentGroupProtocol);
    }
    let is_known = group.members.contains_key(&request.member_id) || group.pending.contains(&request.member_id);
    if !is_known && group.members.len() + group.pending.len() >= size_max {
        return refuse(ResponseError::GroupMaxSizeReached);
    }
    if request.member_id.is_empty() {
        enter(node, call, id, &name, member, &protocol_type)
    } else {
        again(node, call, &name, &request.member_id, member, &protocol_type)
    }
}

/// The name of the group, which is founded if it is new: from then on it is in the log.
fn found(node: &mut Node, call: &Call, id: PartitionId, asked: &StrBytes) -> Result<StrBytes, ResponseError> {
    if let Some((name, _)) = node.groups.groups.get_key_value(asked) {
        return Ok(name.clone());
    }
    let name = StrBytes::from_string(asked.to_string());
    let change = Change::Group { group: name.clone(), stored: Some(StoredGroup::default()) };
    pending::write(node, call.now, id, vec![change], Then::Nothing)?;
    node.groups.groups.insert(name.clone(), Group { is_uncommitted: true, ..Group::default() });
    Ok(name)
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
    partition: PartitionId,
    name: &StrBytes,
    member: Member,
    protocol_type: &StrBytes,
) -> Result<Effect, Refused> {
    let prefix = member.instance.clone().unwrap_or_else(|| member.client_id.clone());
    let id = new_member_id(node, &prefix);
    if let Some(instance) = &member.instance {
        let before = node.groups.groups.get(name).and_then(|group| group.statics.get(instance).cloned());
        if let Some(before) = before {
            return replace(node, call, partition, name, &before, &id, member).map_err(|error| (error, None));
        }
    } else if call.version >= 4 {
        if let Some(group) = node.groups.groups.get_mut(name) {
            group.pending.insert(id.clone());
        }
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
    partition: PartitionId,
    name: &StrBytes,
    before: &StrBytes,
    id: &StrBytes,
    member: Member,
) -> Result<Effect, ResponseError> {
    let group = node.groups.groups.get(name).ok_or(ResponseError::UnknownMemberId)?;
    let leader = group.leader.clone();
    let mut next = group.clone();
    let old = next.replace_member(before, id, member).ok_or(ResponseError::UnknownMemberId)?;
    // As in Kafka a stable group stays so as long as it would elect the same protocol again. Its member is answered once
    // the new id is stored.
    let is_unchanged = next.state == GroupState::Stable && next.elect_protocol() == next.protocol;
    if is_unchanged {
        let change = Change::Group { group: name.clone(), stored: Some(next.to_stored()) };
        let then = Then::Replaced { group: name.clone(), member: id.clone(), leader };
        pending::write(node, call.now, partition, vec![change], then)?;
    }
    node.groups.groups.insert(name.clone(), next);
    node.timers.cancel(&Timer::Session { group: name.clone(), member: before.clone() });
    for call in old.joining.into_iter().chain(old.syncing) {
        refuse(node, &call, ResponseError::FencedInstanceId);
    }
    if !is_unchanged {
        rejoin(node, call, name);
    }
    Ok(Effect::Wait)
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
    let Some(group) = node.groups.groups.get_mut(name) else { return Err((ResponseError::UnknownMemberId, None)) };
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
    let state = node.groups.groups.get(name).map(|group| group.state);
    if state == Some(GroupState::PreparingRebalance) {
        try_complete_join(node, call.now, name);
    } else {
        prepare(node, call.now, name);
    }
}

/// Takes a pending or full member out; used by LeaveGroup.
pub(super) fn leave(node: &mut Node, call: &Call, name: &StrBytes, id: &StrBytes) -> Result<(), ResponseError> {
    let group = node.groups.groups.get_mut(name).ok_or(ResponseError::UnknownMemberId)?;
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
