//! How a group changes: members join, the leader assigns, silence and leaving start it again.
//!
//! The rules of Kafka's classic protocol: a group waits in PreparingRebalance until every member has joined again or the
//! rebalance timeout is over, then in CompletingRebalance for the leader's assignment. A member is alive while it waits
//! for an answer of ours; otherwise its session timeout runs.
//!
//! A generation is stored when its leader has assigned, and again when a static member comes back under a new id; members
//! hear of either once it is committed. A generation without members is stored when it begins.

use super::changes::Change;
use super::own;
use super::pending::{self, Then};
use super::state::{Group, GroupState, Member};
use crate::api::Call;
use crate::io::Event;
use crate::node::Node;
use crate::timers::Timer;
use crate::types::Now;
use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ApiKey, JoinGroupResponse, ResponseKind, SyncGroupResponse};
use kafka_protocol::protocol::StrBytes;
use rand_chacha::rand_core::Rng;

/// A new member id: the client's name and chance, as Kafka makes them.
pub(crate) fn new_member_id(node: &mut Node, prefix: &str) -> StrBytes {
    let mut bytes = [0; 16];
    node.rng.fill_bytes(&mut bytes);
    let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
    StrBytes::from_string(format!("{prefix}-{id}"))
}

/// (Re)starts the time that a member may be silent.
pub(crate) fn heard_of(node: &mut Node, now: Now, group: &StrBytes, member: &StrBytes) {
    // The names are the group's own: those of the request would keep its whole frame in memory.
    let Some((group, found)) = node.groups.groups.get_key_value(group) else { return };
    let Some((member, found)) = found.members.get_key_value(member) else { return };
    let at = now.after_ms(found.session_timeout_ms.into());
    node.timers.set(Timer::Session { group: group.clone(), member: member.clone() }, at);
}

/// The group waits for its members to join; whoever waits for an assignment is told to join again.
pub(crate) fn prepare(node: &mut Node, now: Now, name: &StrBytes) {
    let delay = node.config.group_initial_rebalance_delay_ms;
    let Some(group) = node.groups.groups.get_mut(name) else { return };
    let was = group.state;
    let interrupted = if was == GroupState::CompletingRebalance { take_back(group) } else { Vec::new() };
    group.state = GroupState::PreparingRebalance;
    group.initial_delay = was == GroupState::Empty && delay > 0;
    let wait = if group.initial_delay { delay } else { group.rebalance_timeout_ms().into() };
    node.timers.cancel(&Timer::Sync(name.clone()));
    node.timers.set(Timer::Join(name.clone()), now.after_ms(wait));
    for call in interrupted {
        refuse(node, &call, ResponseError::RebalanceInProgress);
    }
    try_complete_join(node, now, name);
}

/// Takes assignments back; the requests that waited for them.
fn take_back(group: &mut Group) -> Vec<Call> {
    let take = |member: &mut Member| {
        member.assignment = Bytes::new();
        member.syncing.take()
    };
    group.members.values_mut().filter_map(take).collect()
}

/// Tells a member that waits to join or to synchronise that it does not work out.
pub(crate) fn refuse(node: &mut Node, call: &Call, error: ResponseError) {
    let response = match call.api {
        ApiKey::JoinGroup => JoinGroupResponse::default().with_error_code(error.code()).into(),
        _ => ResponseKind::from(SyncGroupResponse::default().with_error_code(error.code())),
    };
    node.reply(call.token, response);
}

/// Starts the next generation as soon as all members are there.
pub(crate) fn try_complete_join(node: &mut Node, now: Now, name: &StrBytes) {
    let Some(group) = node.groups.groups.get(name) else { return };
    if group.state == GroupState::PreparingRebalance && !group.initial_delay && group.all_joined() {
        complete_join(node, now, name);
    }
}

fn complete_join(node: &mut Node, now: Now, name: &StrBytes) {
    let Some(group) = node.groups.groups.get_mut(name) else { return };
    group.initial_delay = false;
    // Static members may come back under their instance id until their session is over; others have left.
    let gone = |(_, member): &(&StrBytes, &Member)| member.joining.is_none() && member.instance.is_none();
    let gone: Vec<StrBytes> = group.members.iter().filter(gone).map(|(id, _)| id.clone()).collect();
    for id in gone {
        group.members.remove(&id);
        node.timers.cancel(&Timer::Session { group: name.clone(), member: id });
    }
    let timeout = now.after_ms(group.rebalance_timeout_ms().into());
    if !group.members.is_empty() && group.members.values().all(|member| member.joining.is_none()) {
        // Nobody is there to lead a generation. Sessions go on ending, until somebody comes or nobody is left. A timeout of
        // zero, which clients may ask for, must not make a timer fire for ever in one step.
        return node.timers.set(Timer::Join(name.clone()), timeout.max(now.after_ms(1)));
    }
    node.timers.cancel(&Timer::Join(name.clone()));
    begin_generation(group, now);
    let (generation, members) = (group.generation, group.members.len());
    let joining = |(id, member): (&StrBytes, &mut Member)| Some((id.clone(), member.joining.take()?));
    let answers: Vec<(StrBytes, Call)> = group.members.iter_mut().filter_map(joining).collect();
    let answers: Vec<_> = answers.into_iter().map(|(id, call)| (joined(group, &id, call.version), id, call)).collect();
    for (response, id, call) in answers {
        heard_of(node, now, name, &id);
        node.reply(call.token, ResponseKind::from(response));
    }
    if members > 0 {
        node.timers.set(Timer::Sync(name.clone()), timeout);
    } else {
        store_empty(node, now, name);
    }
    node.event(Event::Rebalanced { group: name.clone(), generation, members });
}

fn begin_generation(group: &mut Group, now: Now) {
    group.generation = group.generation.wrapping_add(1);
    group.since_ms = Some(now.wall_ms);
    if group.members.is_empty() {
        group.state = GroupState::Empty;
        (group.protocol, group.leader) = (None, None);
        return;
    }
    group.state = GroupState::CompletingRebalance;
    group.protocol = group.elect_protocol();
    let leader = group.leader.as_ref().and_then(|id| group.members.get(id));
    if leader.is_none_or(|leader| leader.joining.is_none()) {
        let present = group.members.iter().find(|(_, member)| member.joining.is_some());
        group.leader = present.map(|(id, _)| id.clone());
    }
}

fn store_empty(node: &mut Node, now: Now, name: &StrBytes) {
    let Ok(id) = own(node, name) else { return };
    let Some(stored) = node.groups.groups.get(name).map(Group::to_stored) else { return };
    let change = Change::Group { group: name.clone(), stored: Some(stored) };
    // If it cannot be stored, the next coordinator begins with members that do not answer, and removes them.
    pending::write(node, now, id, vec![change], Then::Nothing).ok();
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

/// The leader has assigned: the generation is stored, and once that is committed everybody learns its share.
pub(crate) fn assign(node: &mut Node, now: Now, name: &StrBytes, assignments: Vec<(StrBytes, Bytes)>) {
    let Ok(id) = own(node, name) else { return };
    let Some(group) = node.groups.groups.get(name) else { return };
    let generation = group.generation;
    if node.groups.shards.get(&id).is_some_and(|shard| shard.assigns(name, generation)) {
        return;
    }
    let mut stored = group.to_stored();
    for (member, assignment) in assignments {
        if let Some(member) = stored.members.get_mut(&member) {
            member.assignment = assignment;
        }
    }
    let change = Change::Group { group: name.clone(), stored: Some(stored) };
    let then = Then::Assigned { group: name.clone(), generation };
    if let Err(error) = pending::write(node, now, id, vec![change], then) {
        assigned(node, now, name, generation, Err(error));
    }
}

/// An assignment is stored, or cannot be: the group is stable and everybody who waits learns its share, or has to join
/// again. A group that rebalances by now has no use for it.
pub(super) fn assigned(
    node: &mut Node,
    now: Now,
    name: &StrBytes,
    generation: i32,
    outcome: Result<(), ResponseError>,
) {
    let Some(group) = node.groups.groups.get_mut(name) else { return };
    if group.state != GroupState::CompletingRebalance || group.generation != generation {
        return;
    }
    if let Err(error) = outcome {
        for call in take_back(group) {
            refuse(node, &call, error);
        }
        return prepare(node, now, name);
    }
    group.state = GroupState::Stable;
    for (id, stored) in group.stored.iter().flat_map(|stored| &stored.members) {
        if let Some(member) = group.members.get_mut(id) {
            member.assignment = stored.assignment.clone();
        }
    }
    let syncing = |(id, member): (&StrBytes, &mut Member)| Some((id.clone(), member.syncing.take()?));
    let waiting: Vec<(StrBytes, Call)> = group.members.iter_mut().filter_map(syncing).collect();
    let answers: Vec<_> = waiting.into_iter().map(|(id, call)| (synced(group, &id, call.version), id, call)).collect();
    node.timers.cancel(&Timer::Sync(name.clone()));
    for (response, id, call) in answers {
        heard_of(node, now, name, &id);
        node.reply(call.token, ResponseKind::from(response));
    }
}

/// That a static member came back under a new id is stored, or cannot be: it is answered, unless the group rebalances by
/// now; then it has joined the next generation already.
///
/// The new id stays where it could not be stored in time. The client comes back once more, and gets yet another.
pub(super) fn replaced(
    node: &mut Node,
    now: Now,
    name: &StrBytes,
    id: &StrBytes,
    leader: Option<StrBytes>,
    outcome: Result<(), ResponseError>,
) {
    let Some(group) = node.groups.groups.get_mut(name).filter(|group| group.state == GroupState::Stable) else {
        return;
    };
    let Some(call) = group.members.get_mut(id).and_then(|member| member.joining.take()) else { return };
    let response = joined(group, id, call.version);
    let leads = group.leader.as_ref() == Some(id);
    heard_of(node, now, name, id);
    if let Err(error) = outcome {
        return refuse(node, &call, error);
    }
    let response = match leads {
        true if call.version >= 9 => response.with_skip_assignment(true),
        // A client that cannot be told to skip the assignment must not take itself for the leader (KIP-814): what it
        // would assign reaches nobody in a stable group.
        true => response.with_leader(leader.unwrap_or_default()).with_members(Vec::new()),
        false => response,
    };
    node.reply(call.token, ResponseKind::from(response));
}

/// Adds a member, the first of which leads.
pub(crate) fn add(node: &mut Node, name: &StrBytes, id: &StrBytes, member: Member, protocol_type: &StrBytes) {
    let Some(group) = node.groups.groups.get_mut(name) else { return };
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
    let Some(group) = node.groups.groups.get_mut(name) else { return };
    let Some(member) = group.members.remove(id) else { return };
    if let Some(instance) = &member.instance {
        group.statics.remove(instance);
    }
    if group.leader.as_ref() == Some(id) {
        group.leader = group.members.keys().next().cloned();
    }
    let state = group.state;
    for call in member.joining.into_iter().chain(member.syncing) {
        refuse(node, &call, ResponseError::UnknownMemberId);
    }
    match state {
        GroupState::Stable | GroupState::CompletingRebalance => prepare(node, now, name),
        GroupState::PreparingRebalance => try_complete_join(node, now, name),
        GroupState::Empty => {}
    }
}

/// This node coordinates the group no longer: whoever waits asks the next coordinator.
pub(super) fn abandon(node: &mut Node, name: &StrBytes) {
    let Some(group) = node.groups.groups.remove(name) else { return };
    node.timers.cancel(&Timer::Join(name.clone()));
    node.timers.cancel(&Timer::Sync(name.clone()));
    for member in group.pending {
        node.timers.cancel(&Timer::PendingMember { group: name.clone(), member });
    }
    for (id, member) in group.members {
        node.timers.cancel(&Timer::Session { group: name.clone(), member: id });
        for call in member.joining.into_iter().chain(member.syncing) {
            refuse(node, &call, ResponseError::NotCoordinator);
        }
    }
}

/// A group's deadline has passed.
pub(crate) fn on_timer(node: &mut Node, now: Now, timer: Timer) {
    match timer {
        Timer::Session { group: name, member } => {
            let group = node.groups.groups.get(&name);
            let Some(found) = group.and_then(|group| group.members.get(&member)) else { return };
            if found.joining.is_none() && found.syncing.is_none() {
                remove(node, now, &name, &member);
            }
        }
        Timer::PendingMember { group: name, member } => {
            let group = node.groups.groups.get_mut(&name);
            let was_pending = group.is_some_and(|group| group.pending.remove(&member));
            if was_pending {
                try_complete_join(node, now, &name);
            }
        }
        Timer::Join(name) => {
            let state = node.groups.groups.get(&name).map(|group| group.state);
            if state == Some(GroupState::PreparingRebalance) {
                complete_join(node, now, &name);
            }
        }
        Timer::Sync(name) => {
            let Some(group) = node.groups.groups.get(&name) else { return };
            if group.state == GroupState::CompletingRebalance {
                let late = group.members.iter().filter(|(_, member)| member.syncing.is_none());
                let late: Vec<StrBytes> = late.map(|(id, _)| id.clone()).collect();
                late.iter().for_each(|id| remove(node, now, &name, id));
            }
        }
        _ => {}
    }
}
