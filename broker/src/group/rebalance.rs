//! How a group changes: members join, the leader assigns, silence and leaving start it again.
//!
//! The rules of Kafka's classic protocol: a group waits in PreparingRebalance until every member has joined again or the
//! rebalance timeout is over, then in CompletingRebalance for the leader's assignment. A member is alive while it waits
//! for an answer of ours; otherwise its session timeout runs.

use super::state::{Group, GroupState, Member};
use crate::api::Call;
use crate::io::Event;
use crate::node::Node;
use crate::timers::Timer;
use crate::types::Now;
use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{JoinGroupResponse, ResponseKind, SyncGroupResponse};
use kafka_protocol::protocol::StrBytes;
use rand_chacha::rand_core::Rng;

/// The group on this node, or a new one.
pub(crate) fn group_mut<'a>(node: &'a mut Node, group: &StrBytes) -> &'a mut Group {
    // A copy of the name: the request's would keep its whole frame in memory.
    if !node.groups.groups.contains_key(group) {
        node.groups.groups.insert(StrBytes::from_string(group.to_string()), Group::default());
    }
    node.groups.groups.get_mut(group).expect("it was inserted above")
}

/// A new member id: the client's name and chance, as Kafka makes them.
pub(crate) fn new_member_id(node: &mut Node, prefix: &str) -> StrBytes {
    let mut bytes = [0; 16];
    node.rng.fill_bytes(&mut bytes);
    let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
    StrBytes::from_string(format!("{prefix}-{id}"))
}

/// (Re)starts the time that a member may be silent.
pub(crate) fn heard_of(node: &mut Node, now: Now, group: &StrBytes, member: &StrBytes) {
    let Some(timeout) = node.groups.groups.get(group).and_then(|group| group.members.get(member)) else {
        return;
    };
    let at = now.after_ms(timeout.session_timeout_ms.into());
    node.timers.set(Timer::Session { group: group.clone(), member: member.clone() }, at);
}

/// The group waits for its members to join; whoever waits for an assignment is told to join again.
pub(crate) fn prepare(node: &mut Node, now: Now, name: &StrBytes) {
    let delay = node.config.group_initial_rebalance_delay_ms;
    let group = group_mut(node, name);
    let was = group.state;
    let mut interrupted = Vec::new();
    if was == GroupState::CompletingRebalance {
        for member in group.members.values_mut() {
            member.assignment = Bytes::new();
            interrupted.extend(member.syncing.take());
        }
    }
    group.state = GroupState::PreparingRebalance;
    group.initial_delay = was == GroupState::Empty && delay > 0;
    let wait = if group.initial_delay { delay } else { group.rebalance_timeout_ms().into() };
    node.timers.cancel(&Timer::Sync(name.clone()));
    node.timers.set(Timer::Join(name.clone()), now.after_ms(wait));
    for call in interrupted {
        let response = SyncGroupResponse::default().with_error_code(ResponseError::RebalanceInProgress.code());
        node.reply(call.token, ResponseKind::from(response));
    }
    try_complete_join(node, now, name);
}

/// Starts the next generation as soon as all members are there.
pub(crate) fn try_complete_join(node: &mut Node, now: Now, name: &StrBytes) {
    let group = group_mut(node, name);
    if group.state == GroupState::PreparingRebalance && !group.initial_delay && group.all_joined() {
        complete_join(node, now, name);
    }
}

fn complete_join(node: &mut Node, now: Now, name: &StrBytes) {
    node.timers.cancel(&Timer::Join(name.clone()));
    let group = group_mut(node, name);
    group.initial_delay = false;
    // Static members may come back under their instance id until their session is over; others have left.
    let gone: Vec<StrBytes> = group
        .members
        .iter()
        .filter(|(_, member)| member.joining.is_none() && member.instance.is_none())
        .map(|(id, _)| id.clone())
        .collect();
    for id in &gone {
        group.members.remove(id);
    }
    group.generation += 1;
    if group.members.is_empty() {
        group.state = GroupState::Empty;
        (group.protocol, group.leader) = (None, None);
    } else {
        group.state = GroupState::CompletingRebalance;
        group.protocol = group.elect_protocol();
        let leader_is_there =
            group.leader.as_ref().and_then(|id| group.members.get(id)).is_some_and(|leader| leader.joining.is_some());
        if !leader_is_there {
            let present = group.members.iter().find(|(_, member)| member.joining.is_some());
            group.leader = present.or(group.members.first_key_value()).map(|(id, _)| id.clone());
        }
    }
    let (generation, members, timeout) = (group.generation, group.members.len(), group.rebalance_timeout_ms());
    let answers: Vec<(StrBytes, Call)> = group
        .members
        .iter_mut()
        .filter_map(|(id, member)| member.joining.take().map(|call| (id.clone(), call)))
        .collect();
    for id in gone {
        node.timers.cancel(&Timer::Session { group: name.clone(), member: id });
    }
    for (id, call) in answers {
        let response = joined(group_mut(node, name), &id, call.version);
        heard_of(node, now, name, &id);
        node.reply(call.token, ResponseKind::from(response));
    }
    if members > 0 {
        node.timers.set(Timer::Sync(name.clone()), now.after_ms(timeout.into()));
    }
    node.event(Event::Rebalanced { group: name.clone(), generation, members });
}

/// The answer to a member of the current generation.
pub(crate) fn joined(group: &Group, member: &StrBytes, version: i16) -> JoinGroupResponse {
    let leads = group.leader.as_ref() == Some(member);
    let response = JoinGroupResponse::default()
        .with_generation_id(group.generation)
        .with_protocol_name(Some(group.protocol.clone().unwrap_or_default()))
        .with_leader(group.leader.clone().unwrap_or_default())
        .with_member_id(member.clone())
        .with_members(if leads { group.roster() } else { Vec::new() });
    if version >= 7 { response.with_protocol_type(group.protocol_type.clone()) } else { response }
}

/// The answer to a member that asks for its assignment.
pub(crate) fn synced(group: &Group, member: &StrBytes, version: i16) -> SyncGroupResponse {
    let assignment = group.members.get(member).map(|member| member.assignment.clone()).unwrap_or_default();
    let response = SyncGroupResponse::default().with_assignment(assignment);
    if version >= 5 {
        response.with_protocol_type(group.protocol_type.clone()).with_protocol_name(group.protocol.clone())
    } else {
        response
    }
}

/// The leader has assigned: the group is stable and everybody who waited learns its share.
pub(crate) fn assign(node: &mut Node, now: Now, name: &StrBytes, assignments: Vec<(StrBytes, Bytes)>) {
    node.timers.cancel(&Timer::Sync(name.clone()));
    let group = group_mut(node, name);
    for member in group.members.values_mut() {
        member.assignment = Bytes::new();
    }
    for (id, assignment) in assignments {
        if let Some(member) = group.members.get_mut(&id) {
            member.assignment = assignment;
        }
    }
    group.state = GroupState::Stable;
    let waiting: Vec<(StrBytes, Call)> = group
        .members
        .iter_mut()
        .filter_map(|(id, member)| member.syncing.take().map(|call| (id.clone(), call)))
        .collect();
    for (id, call) in waiting {
        let response = synced(group_mut(node, name), &id, call.version);
        heard_of(node, now, name, &id);
        node.reply(call.token, ResponseKind::from(response));
    }
}

/// Adds a member, the first of which leads.
pub(crate) fn add(node: &mut Node, name: &StrBytes, id: &StrBytes, member: Member, protocol_type: &StrBytes) {
    let group = group_mut(node, name);
    if group.members.is_empty() {
        group.protocol_type = Some(protocol_type.clone());
    }
    if group.leader.is_none() {
        group.leader = Some(id.clone());
    }
    if let Some(instance) = &member.instance {
        group.statics.insert(instance.clone(), id.clone());
    }
    group.pending.remove(id);
    group.members.insert(id.clone(), member);
    node.timers.cancel(&Timer::PendingMember { group: name.clone(), member: id.clone() });
}

/// Takes a member out and lets the others rebalance.
pub(crate) fn remove(node: &mut Node, now: Now, name: &StrBytes, id: &StrBytes) {
    node.timers.cancel(&Timer::Session { group: name.clone(), member: id.clone() });
    let group = group_mut(node, name);
    let Some(member) = group.members.remove(id) else { return };
    if let Some(instance) = &member.instance {
        group.statics.remove(instance);
    }
    if group.leader.as_ref() == Some(id) {
        group.leader = group.members.keys().next().cloned();
    }
    let state = group.state;
    for call in member.joining.into_iter().map(|call| (call, true)).chain(member.syncing.map(|call| (call, false))) {
        let code = ResponseError::UnknownMemberId.code();
        let response = match call {
            (_, true) => ResponseKind::from(JoinGroupResponse::default().with_error_code(code)),
            (_, false) => ResponseKind::from(SyncGroupResponse::default().with_error_code(code)),
        };
        node.reply(call.0.token, response);
    }
    match state {
        GroupState::Stable | GroupState::CompletingRebalance => prepare(node, now, name),
        GroupState::PreparingRebalance => try_complete_join(node, now, name),
        GroupState::Empty => {}
    }
}

/// A group's deadline has passed.
pub(crate) fn on_timer(node: &mut Node, now: Now, timer: Timer) {
    match timer {
        Timer::Session { group: name, member } => {
            let Some(found) = node.groups.groups.get(&name).and_then(|group| group.members.get(&member)) else {
                return;
            };
            if found.joining.is_none() && found.syncing.is_none() {
                remove(node, now, &name, &member);
            }
        }
        Timer::PendingMember { group: name, member } => {
            if group_mut(node, &name).pending.remove(&member) {
                try_complete_join(node, now, &name);
            }
        }
        Timer::Join(name) => {
            if group_mut(node, &name).state == GroupState::PreparingRebalance {
                complete_join(node, now, &name);
            }
        }
        Timer::Sync(name) => {
            let group = group_mut(node, &name);
            let late: Vec<StrBytes> =
                group.members.iter().filter(|(_, member)| member.syncing.is_none()).map(|(id, _)| id.clone()).collect();
            if group.state == GroupState::CompletingRebalance {
                late.iter().for_each(|id| remove(node, now, &name, id));
            }
        }
        Timer::Wait(_) | Timer::Forward(_) => {}
    }
}
