//! What outsiders do to consumer groups of the classic protocol: join them, leave them, take others out of them.
//!
//! A stand-in asks for the topics that the members ask for, so that any assignor of any client gives it a share, and never
//! consumes from it: whatever it is given waits for the next member that gets it.

use super::line::{ANSWER_MAX, Line, check};
use super::{Intervened, InterventionError};
use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{
    DescribeGroupsRequest, FindCoordinatorRequest, GroupId, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    SyncGroupRequest,
};
use kafka_protocol::protocol::StrBytes;
use std::time::{Duration, Instant};

/// `session.timeout.ms` of a stand-in, which sends no heartbeats: longer than it ever stays between two requests.
const SESSION_TIMEOUT_MS: i32 = 30_000;
/// `max.poll.interval.ms` of a stand-in: how long others wait for it, should it vanish.
const REBALANCE_TIMEOUT_MS: i32 = 10_000;
/// How long members may take to join again: `max.poll.interval.ms`, by Kafka's default, and a little more.
const JOIN_MAX: Duration = Duration::from_secs(310);
/// How often a stand-in that only waits looks whether it was called off.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What a group of consumers calls its protocol.
const CONSUMER: &str = "consumer";

fn group_id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}

/// Asks who coordinates the group, and connects there.
fn coordinator<'a>(line: &mut Line<'a>, group: &str) -> Result<Line<'a>, InterventionError> {
    let request = FindCoordinatorRequest::default().with_key(StrBytes::from_string(group.to_owned()));
    let answer = line.ask("FindCoordinator", 3, &request, ANSWER_MAX)?;
    check("FindCoordinator", answer.error_code, answer.error_message.as_ref())?;
    Line::to(&format!("{}:{}", &*answer.host, answer.port), line.patience)
}

/// A group with members that have their assignments; what they asked for is told in no other state.
fn stable(line: &mut Line<'_>, group: &str) -> Result<DescribedGroup, InterventionError> {
    let request = DescribeGroupsRequest::default().with_groups(vec![group_id(group)]);
    let answer = line.ask("DescribeGroups", 5, &request, ANSWER_MAX)?;
    let Some(described) = answer.groups.into_iter().next() else {
        return Err(InterventionError::NotYet { why: format!("nothing is known of group {group}") });
    };
    check("DescribeGroups", described.error_code, None)?;
    if *described.group_state != *"Stable" || described.members.is_empty() {
        let why = format!("group {group} is {}", &*described.group_state);
        return Err(InterventionError::NotYet { why });
    }
    Ok(described)
}

/// Whether a client's name is this one, or begins as this one does before its `*`.
fn is_called(member: &DescribedGroupMember, client: &str) -> bool {
    match client.strip_suffix('*') {
        Some(begin) => member.client_id.starts_with(begin),
        None => *member.client_id == *client,
    }
}

pub(super) fn expel(line: &mut Line<'_>, group: &str, client: Option<&str>) -> Result<Intervened, InterventionError> {
    let mut line = coordinator(line, group)?;
    let described = stable(&mut line, group)?;
    let meant = described.members.iter().filter(|member| client.is_none_or(|client| is_called(member, client)));
    let identity = |member: &DescribedGroupMember| {
        MemberIdentity::default()
            .with_member_id(member.member_id.clone())
            .with_group_instance_id(member.group_instance_id.clone())
    };
    let members: Vec<MemberIdentity> = meant.map(identity).collect();
    if members.is_empty() {
        let who = client.unwrap_or("any client");
        return Err(InterventionError::NotYet { why: format!("no member of group {group} is {who}") });
    }
    let count = members.len();
    leave(&mut line, group, members)?;
    Ok(Intervened::now(true, format!("{count} of {} members are out of group {group}", described.members.len())))
}

/// LeaveGroup for these members, who need not be asking themselves (KIP-345).
fn leave(line: &mut Line<'_>, group: &str, members: Vec<MemberIdentity>) -> Result<(), InterventionError> {
    let request = LeaveGroupRequest::default().with_group_id(group_id(group)).with_members(members);
    let answer = line.ask("LeaveGroup", 4, &request, ANSWER_MAX)?;
    check("LeaveGroup", answer.error_code, None)?;
    answer.members.iter().try_for_each(|member| check("LeaveGroup", member.error_code, None))
}

/// A member of ours.
struct StandIn<'a> {
    group: &'a str,
    instance: Option<&'a str>,
    kind: StrBytes,
    protocol: StrBytes,
    subscription: Bytes,
}

impl StandIn<'_> {
    fn identity(&self, id: &StrBytes) -> MemberIdentity {
        let instance = self.instance.map(|instance| StrBytes::from_string(instance.to_owned()));
        MemberIdentity::default().with_member_id(id.clone()).with_group_instance_id(instance)
    }

    fn ask_to_join(&self, line: &mut Line<'_>, id: &StrBytes) -> Result<JoinGroupResponse, InterventionError> {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(self.protocol.clone())
            .with_metadata(self.subscription.clone());
        let request = JoinGroupRequest::default()
            .with_group_id(group_id(self.group))
            .with_session_timeout_ms(SESSION_TIMEOUT_MS)
            .with_rebalance_timeout_ms(REBALANCE_TIMEOUT_MS)
            .with_member_id(id.clone())
            .with_group_instance_id(self.identity(id).group_instance_id)
            .with_protocol_type(self.kind.clone())
            .with_protocols(vec![protocol]);
        line.ask("JoinGroup", 7, &request, JOIN_MAX)
    }

    /// Joins, as soon as everybody has joined again: the id of the member, and its generation.
    fn join(&self, line: &mut Line<'_>) -> Result<(StrBytes, i32), InterventionError> {
        let mut answer = self.ask_to_join(line, &StrBytes::default())?;
        if answer.error_code == ResponseError::MemberIdRequired.code() {
            // KIP-394: the id first, the place then.
            let id = answer.member_id;
            let joined = self.ask_to_join(line, &id);
            answer = match joined.and_then(|answer| check("JoinGroup", answer.error_code, None).map(|()| answer)) {
                Ok(answer) => answer,
                Err(error) => return Err(self.give_up(line, &id, error)),
            };
        }
        check("JoinGroup", answer.error_code, None)?;
        Ok((answer.member_id, answer.generation_id))
    }

    /// Leaves a group in which somebody may wait for it still, over a connection on which nothing is under way.
    fn give_up(&self, line: &Line<'_>, id: &StrBytes, error: InterventionError) -> InterventionError {
        let patience = super::Patience::default();
        if let Ok(mut line) = Line::to(line.address(), &patience) {
            // Where that fails, the end of its session takes it out.
            let _ = leave(&mut line, self.group, vec![self.identity(id)]);
        }
        error
    }
}

/// What any assignor understands: version 0 of `ConsumerProtocolSubscription`, with the topics of a member and without the
/// partitions that it says it has, which no two members may say. Other protocols than consumers' are copied.
fn subscription(kind: &str, metadata: &Bytes) -> Bytes {
    let topics = (kind == CONSUMER).then(|| topics(metadata)).flatten();
    let Some(topics) = topics else { return metadata.clone() };
    let mut subscription = BytesMut::new();
    subscription.put_i16(0);
    subscription.put_slice(topics);
    // No user data.
    subscription.put_i32(-1);
    subscription.freeze()
}

/// The array of topics behind the version, as it is written.
fn topics(metadata: &[u8]) -> Option<&[u8]> {
    let array = metadata.get(2..)?;
    let count = i32::from_be_bytes(*array.first_chunk()?);
    let mut end = 4_usize;
    for _ in 0..count {
        let length = i16::from_be_bytes(*array.get(end..)?.first_chunk()?);
        end = end.checked_add(2)?.checked_add(usize::try_from(length).ok()?)?;
    }
    array.get(..end)
}

/// Joins and leaves until it has done so often enough, `joined` times of them before.
pub(super) fn storm(
    line: &mut Line<'_>,
    group: &str,
    joins: u32,
    joined: &mut u32,
    told: &mut dyn FnMut(Intervened),
) -> Result<(), InterventionError> {
    let mut line = coordinator(line, group)?;
    let mut since = Instant::now();
    while *joined < joins {
        if line.patience.is_called_off() {
            return Err(InterventionError::CalledOff);
        }
        let described = match stable(&mut line, group) {
            // The members are at it still because of the last time.
            Err(InterventionError::NotYet { .. }) if *joined > 0 && since.elapsed() < JOIN_MAX => {
                std::thread::sleep(LOOK_EVERY);
                continue;
            }
            described => described?,
        };
        let metadata = &described.members[0].member_metadata;
        let stand_in = StandIn {
            group,
            instance: None,
            subscription: subscription(&described.protocol_type, metadata),
            kind: described.protocol_type.clone(),
            protocol: described.protocol_data.clone(),
        };
        let (id, generation) = stand_in.join(&mut line)?;
        if *joined == 0 {
            told(Intervened::now(true, format!("a stand-in is in group {group}, generation {generation}")));
        }
        let request = SyncGroupRequest::default()
            .with_group_id(group_id(group))
            .with_generation_id(generation)
            .with_member_id(id.clone())
            .with_protocol_type(Some(stand_in.kind.clone()))
            .with_protocol_name(Some(stand_in.protocol.clone()));
        // Its share is of no interest, nor that it gets none: it leaves.
        if let Err(error) = line.ask("SyncGroup", 5, &request, JOIN_MAX) {
            return Err(stand_in.give_up(&line, &id, error));
        }
        leave(&mut line, group, vec![stand_in.identity(&id)])?;
        *joined += 1;
        since = Instant::now();
    }
    Ok(())
}

pub(super) fn clash(
    line: &mut Line<'_>,
    group: &str,
    instance: &str,
    lasts: Duration,
    told: &mut dyn FnMut(Intervened),
) -> Result<(), InterventionError> {
    let mut line = coordinator(line, group)?;
    let described = stable(&mut line, group)?;
    let is_meant = |member: &&DescribedGroupMember| member.group_instance_id.as_deref() == Some(instance);
    let Some(member) = described.members.iter().find(is_meant) else {
        return Err(InterventionError::NotYet { why: format!("group {group} has no static member {instance}") });
    };
    // The same subscription: whoever comes back with it gets the place without a rebalance.
    let stand_in = StandIn {
        group,
        instance: Some(instance),
        kind: described.protocol_type.clone(),
        protocol: described.protocol_data.clone(),
        subscription: member.member_metadata.clone(),
    };
    let (id, _) = stand_in.join(&mut line)?;
    told(Intervened::now(true, format!("a second member {instance} is in group {group}")));
    let until = Instant::now() + lasts;
    while Instant::now() < until && !line.patience.is_called_off() {
        std::thread::sleep(LOOK_EVERY);
    }
    // Whoever was removed meanwhile need not leave.
    match leave(&mut line, group, vec![stand_in.identity(&id)]) {
        Err(InterventionError::NotYet { .. }) => Ok(()),
        left => left,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_asks_for_the_topics_of_a_member_and_owns_nothing() {
        // Version 1: two topics, no user data, one owned partition.
        let mut member = vec![0, 1, 0, 0, 0, 2, 0, 1, b'a', 0, 2, b'b', b'c', 0xff, 0xff, 0xff, 0xff];
        member.extend([0, 0, 0, 1, 0, 1, b'a', 0, 0, 0, 1, 0, 0, 0, 0]);
        let expected = [0, 0, 0, 0, 0, 2, 0, 1, b'a', 0, 2, b'b', b'c', 0xff, 0xff, 0xff, 0xff];
        let member = Bytes::from(member);
        assert_eq!(subscription("consumer", &member)[..], expected);
        assert_eq!(subscription("connect", &member), member);
        for cut in [0, 1, 2, 5, 7, 9, 12] {
            assert_eq!(topics(&member[..cut]), None, "{cut} bytes");
        }
    }
}
