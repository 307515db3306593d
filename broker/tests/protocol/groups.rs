//! Classic groups: two members, a rebalance, a silent one, offsets. What remains when a coordinator dies is in `failover`.

mod failover;

use crate::client::{Cluster, Reply, expect_kind};
use crate::topics::{create, name};
use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ApiKey, FindCoordinatorRequest, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    OffsetCommitRequest, OffsetFetchRequest, RequestKind, SyncGroupRequest,
};
use kafka_protocol::protocol::StrBytes;
use shakedown_broker::{NodeConfig, RequestToken};

const SESSION_MS: i32 = 6000;

fn group() -> GroupId {
    StrBytes::from_static_str("billing").into()
}

/// A cluster that knows the group's coordinator, and which node that is.
fn coordinated(nodes: i32) -> (Cluster, usize) {
    coordinated_with(nodes, |_| {})
}

pub(crate) fn coordinated_with(nodes: i32, configure: impl Fn(&mut NodeConfig)) -> (Cluster, usize) {
    let mut cluster = Cluster::with(nodes, configure);
    create(&mut cluster, "orders", 2);
    let last = usize::try_from(nodes - 1).expect("at least one node");
    let node = find_coordinator(&mut cluster, last);
    (cluster, node)
}

/// The group's coordinator, as a node has it.
pub(crate) fn find_coordinator(cluster: &mut Cluster, asked: usize) -> usize {
    let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![group().0]);
    let found = cluster.ask(asked, ApiKey::FindCoordinator, 4, &RequestKind::FindCoordinator(request));
    let found = expect_kind!(FindCoordinator, found).coordinators.remove(0);
    assert_eq!(found.error_code, 0);
    usize::try_from(found.node_id.0 - 1).expect("ids count from 1")
}

pub(crate) fn send_join(
    cluster: &mut Cluster,
    node: usize,
    member: &StrBytes,
    instance: Option<&'static str>,
) -> RequestToken {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(StrBytes::from_static_str("range"))
        .with_metadata(Bytes::from_static(b"subscription"));
    let request = JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(SESSION_MS)
        .with_rebalance_timeout_ms(3000)
        .with_member_id(member.clone())
        .with_group_instance_id(instance.map(StrBytes::from_static_str))
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol]);
    cluster.send(node, ApiKey::JoinGroup, 5, &RequestKind::JoinGroup(request))
}

pub(crate) fn joined(cluster: &mut Cluster, token: RequestToken) -> JoinGroupResponse {
    match cluster.reply(token) {
        Some(Reply::Response(response)) => expect_kind!(JoinGroup, response),
        other => panic!("expected a join response, got {other:?}"),
    }
}

/// Gets an id for a dynamic member.
pub(crate) fn member_id(cluster: &mut Cluster, node: usize) -> StrBytes {
    let token = send_join(cluster, node, &StrBytes::default(), None);
    let response = joined(cluster, token);
    assert_eq!(response.error_code, ResponseError::MemberIdRequired.code());
    response.member_id
}

pub(crate) fn send_sync(cluster: &mut Cluster, node: usize, joined: &JoinGroupResponse) -> RequestToken {
    let assignments = joined.members.iter().map(|member| {
        let share = Bytes::from(format!("share of {}", &*member.member_id));
        SyncGroupRequestAssignment::default().with_member_id(member.member_id.clone()).with_assignment(share)
    });
    let request = SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_assignments(assignments.collect());
    cluster.send(node, ApiKey::SyncGroup, 3, &RequestKind::SyncGroup(request))
}

pub(crate) fn assignment(cluster: &mut Cluster, token: RequestToken) -> Bytes {
    match cluster.reply(token) {
        Some(Reply::Response(response)) => expect_kind!(SyncGroup, response).assignment,
        other => panic!("expected a sync response, got {other:?}"),
    }
}

fn heartbeat(cluster: &mut Cluster, node: usize, joined: &JoinGroupResponse) -> i16 {
    let request = HeartbeatRequest::default()
        .with_group_id(group())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone());
    let response = cluster.ask(node, ApiKey::Heartbeat, 3, &RequestKind::Heartbeat(request));
    expect_kind!(Heartbeat, response).error_code
}

/// Two members in generation 2, both with their share.
fn two_members(cluster: &mut Cluster, node: usize) -> [JoinGroupResponse; 2] {
    let first = member_id(cluster, node);
    let token = send_join(cluster, node, &first, None);
    let alone = joined(cluster, token);
    assert_eq!((alone.generation_id, alone.members.len()), (1, 1));
    let token = send_sync(cluster, node, &alone);
    assert!(!assignment(cluster, token).is_empty());

    let second = member_id(cluster, node);
    let second_joins = send_join(cluster, node, &second, None);
    assert!(cluster.reply(second_joins).is_none(), "the first member has to join again");
    assert_eq!(heartbeat(cluster, node, &alone), ResponseError::RebalanceInProgress.code());
    let first_joins = send_join(cluster, node, &first, None);
    let members = [joined(cluster, first_joins), joined(cluster, second_joins)];
    assert_eq!(members[0].members.len(), 2, "the first leads");
    assert!(members[1].members.is_empty());
    let second_syncs = send_sync(cluster, node, &members[1]);
    assert!(cluster.reply(second_syncs).is_none(), "the leader has not assigned");
    let first_syncs = send_sync(cluster, node, &members[0]);
    for (member, token) in members.iter().zip([first_syncs, second_syncs]) {
        assert_eq!(assignment(cluster, token), format!("share of {}", &*member.member_id));
    }
    members
}

#[test]
fn two_members_share_and_a_leaving_one_gives_its_share_back() {
    let (mut cluster, node) = coordinated(3);
    let members = two_members(&mut cluster, node);
    let identity = MemberIdentity::default().with_member_id(members[1].member_id.clone());
    let request = LeaveGroupRequest::default().with_group_id(group()).with_members(vec![identity]);
    let left = cluster.ask(node, ApiKey::LeaveGroup, 4, &RequestKind::LeaveGroup(request));
    assert_eq!(expect_kind!(LeaveGroup, left).members[0].error_code, 0);
    assert_eq!(heartbeat(&mut cluster, node, &members[0]), ResponseError::RebalanceInProgress.code());
    let token = send_join(&mut cluster, node, &members[0].member_id, None);
    let alone = joined(&mut cluster, token);
    assert_eq!((alone.generation_id, alone.members.len()), (3, 1));
    assert_eq!(heartbeat(&mut cluster, node, &members[1]), ResponseError::UnknownMemberId.code());
    assert_eq!(heartbeat(&mut cluster, node, &members[0]), ResponseError::IllegalGeneration.code());
}

#[test]
fn a_silent_member_is_gone_after_its_session() {
    let (mut cluster, node) = coordinated(1);
    let members = two_members(&mut cluster, node);
    cluster.advance_ms(5000);
    assert_eq!(heartbeat(&mut cluster, node, &members[0]), 0);
    cluster.advance_ms(999);
    assert_eq!(heartbeat(&mut cluster, node, &members[0]), 0);
    cluster.advance_ms(1);
    assert_eq!(heartbeat(&mut cluster, node, &members[0]), ResponseError::RebalanceInProgress.code());
    assert_eq!(heartbeat(&mut cluster, node, &members[1]), ResponseError::UnknownMemberId.code());
}

#[test]
fn whoever_does_not_join_again_in_time_is_left_behind() {
    let (mut cluster, node) = coordinated(1);
    let members = two_members(&mut cluster, node);
    let third = member_id(&mut cluster, node);
    let third_joins = send_join(&mut cluster, node, &third, None);
    let first_joins = send_join(&mut cluster, node, &members[0].member_id, None);
    cluster.advance_ms(2999);
    assert!(cluster.reply(first_joins).is_none(), "the second member still has time");
    cluster.advance_ms(1);
    assert_eq!(joined(&mut cluster, first_joins).members.len(), 2);
    assert_eq!(joined(&mut cluster, third_joins).generation_id, 3);
    assert_eq!(heartbeat(&mut cluster, node, &members[1]), ResponseError::UnknownMemberId.code());
}

#[test]
fn a_static_member_comes_back_without_a_rebalance_and_fences_its_former_self() {
    let (mut cluster, node) = coordinated(1);
    let token = send_join(&mut cluster, node, &StrBytes::default(), Some("pod-1"));
    let before = joined(&mut cluster, token);
    assert_eq!((before.error_code, before.generation_id), (0, 1));
    let token = send_sync(&mut cluster, node, &before);
    let share = assignment(&mut cluster, token);
    let token = send_join(&mut cluster, node, &StrBytes::default(), Some("pod-1"));
    let after = joined(&mut cluster, token);
    assert_eq!((after.error_code, after.generation_id), (0, 1), "the same generation");
    assert_ne!(after.member_id, before.member_id);
    let token = send_sync(&mut cluster, node, &after.with_members(Vec::new()));
    assert_eq!(assignment(&mut cluster, token), share);
    let token = send_join(&mut cluster, node, &before.member_id, Some("pod-1"));
    assert_eq!(joined(&mut cluster, token).error_code, ResponseError::FencedInstanceId.code());
}

pub(crate) fn commit(cluster: &mut Cluster, node: usize, member: Option<&JoinGroupResponse>, offset: i64) -> i16 {
    let token = send_commit(cluster, node, member, offset);
    commit_error(cluster, token)
}

/// Commits as an old tool does that says how long its offset is to be kept.
pub(crate) fn commit_for_ms(cluster: &mut Cluster, node: usize, offset: i64, retention_ms: i64) -> i16 {
    let partition = OffsetCommitRequestPartition::default().with_partition_index(1).with_committed_offset(offset);
    let RequestKind::OffsetCommit(request) = commit_request(None, partition) else { panic!("it makes commits") };
    let request = RequestKind::OffsetCommit(request.with_retention_time_ms(retention_ms));
    let token = cluster.send(node, ApiKey::OffsetCommit, 4, &request);
    commit_error(cluster, token)
}

/// Commits as a tool does that is no member.
fn commit_with_note(cluster: &mut Cluster, node: usize, offset: i64, note: &str) -> i16 {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(1)
        .with_committed_offset(offset)
        .with_committed_metadata(Some(StrBytes::from_string(note.to_owned())));
    let token = cluster.send(node, ApiKey::OffsetCommit, 8, &commit_request(None, partition));
    commit_error(cluster, token)
}

fn send_commit(cluster: &mut Cluster, node: usize, member: Option<&JoinGroupResponse>, offset: i64) -> RequestToken {
    let partition = OffsetCommitRequestPartition::default().with_partition_index(1).with_committed_offset(offset);
    cluster.send(node, ApiKey::OffsetCommit, 8, &commit_request(member, partition))
}

fn commit_request(member: Option<&JoinGroupResponse>, partition: OffsetCommitRequestPartition) -> RequestKind {
    let topic = OffsetCommitRequestTopic::default().with_name(name("orders")).with_partitions(vec![partition]);
    let (generation, id) =
        member.map_or((-1, StrBytes::default()), |member| (member.generation_id, member.member_id.clone()));
    let request = OffsetCommitRequest::default()
        .with_group_id(group())
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(id)
        .with_topics(vec![topic]);
    RequestKind::OffsetCommit(request)
}

/// How a commit ended.
fn commit_error(cluster: &mut Cluster, token: RequestToken) -> i16 {
    match cluster.reply(token) {
        Some(Reply::Response(response)) => expect_kind!(OffsetCommit, response).topics[0].partitions[0].error_code,
        other => panic!("expected the answer to a commit, got {other:?}"),
    }
}

pub(crate) fn committed(cluster: &mut Cluster, node: usize) -> i64 {
    let topic = OffsetFetchRequestTopics::default().with_name(name("orders")).with_partition_indexes(vec![1]);
    let asked = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![asked]);
    let response = cluster.ask(node, ApiKey::OffsetFetch, 8, &RequestKind::OffsetFetch(request));
    expect_kind!(OffsetFetch, response).groups[0].topics[0].partitions[0].committed_offset
}

#[test]
fn only_members_of_the_generation_commit() {
    let (mut cluster, node) = coordinated(3);
    assert_eq!(committed(&mut cluster, node), -1);
    assert_eq!(commit(&mut cluster, node, None, 5), 0, "an empty group takes offsets from tools");
    assert_eq!(committed(&mut cluster, node), 5);
    let members = two_members(&mut cluster, node);
    assert_eq!(commit(&mut cluster, node, None, 6), ResponseError::UnknownMemberId.code());
    assert_eq!(commit(&mut cluster, node, Some(&members[1]), 7), 0);
    let stale = members[1].clone().with_generation_id(1);
    assert_eq!(commit(&mut cluster, node, Some(&stale), 8), ResponseError::IllegalGeneration.code());
    assert_eq!(committed(&mut cluster, node), 7);
    let other = (node + 1) % 3;
    assert_eq!(commit(&mut cluster, other, Some(&members[1]), 9), ResponseError::NotCoordinator.code());
}

/// Joins as the static member "till-1" without an id.
fn join_as_till(cluster: &mut Cluster, node: usize, version: i16) -> JoinGroupResponse {
    let protocol = JoinGroupRequestProtocol::default().with_name(StrBytes::from_static_str("range"));
    let request = JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(SESSION_MS)
        .with_rebalance_timeout_ms(3000)
        .with_group_instance_id(Some(StrBytes::from_static_str("till-1")))
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol]);
    expect_kind!(JoinGroup, cluster.ask(node, ApiKey::JoinGroup, version, &RequestKind::JoinGroup(request)))
}

#[test]
fn a_leader_that_comes_back_does_not_assign_again() {
    let (mut cluster, node) = coordinated(1);
    let first = join_as_till(&mut cluster, node, 5);
    let token = send_sync(&mut cluster, node, &first);
    assert!(!assignment(&mut cluster, token).is_empty());
    // Before version 9 it cannot be told to skip the assignment, so it is told that another leads.
    let second = join_as_till(&mut cluster, node, 5);
    assert_eq!((&second.leader, second.generation_id), (&first.member_id, first.generation_id));
    assert!(second.member_id != first.member_id && second.members.is_empty());
    let third = join_as_till(&mut cluster, node, 9);
    assert_eq!((&third.leader, third.skip_assignment, third.members.len()), (&third.member_id, true, 1));
    assert_eq!(heartbeat(&mut cluster, node, &third), 0);
}

#[test]
fn a_member_must_say_from_version_5_on_what_protocol_it_synchronises() {
    let (mut cluster, node) = coordinated(1);
    let joined = join_as_till(&mut cluster, node, 9);
    let request = SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id);
    let response = cluster.ask(node, ApiKey::SyncGroup, 5, &RequestKind::SyncGroup(request));
    assert_eq!(expect_kind!(SyncGroup, response).error_code, ResponseError::InconsistentGroupProtocol.code());
}
