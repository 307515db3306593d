//! What a group keeps when its coordinator dies, and what clients are told meanwhile.

use super::{
    SESSION_MS, assignment, commit, commit_error, commit_with_note, committed, coordinated_with, find_coordinator,
    group, heartbeat, join_as_till, joined, member_id, send_commit, send_join, send_sync, two_members,
};
use crate::client::{Cluster, Reply, expect_kind};
use crate::topics::{create, name};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    ApiKey, DeleteGroupsRequest, DeleteTopicsRequest, DescribeGroupsRequest, ElectLeadersRequest,
    FindCoordinatorRequest, JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest, OffsetFetchRequest, RequestKind,
};
use kafka_protocol::protocol::StrBytes;
use shakedown_broker::RequestToken;
use shakedown_broker::group::loading::GroupImage;
use shakedown_broker::group::partition_of;

/// Longer than it takes to notice a dead broker and to elect another leader; much shorter than a member's session.
const FAILOVER_MS: u64 = 2000;
const PARTITIONS: i32 = 3;

/// Three nodes, each with all groups' records; the group's coordinator and the two others.
fn replicated(min_isr: i32) -> (Cluster, usize, [usize; 2]) {
    let (mut cluster, node) = coordinated_with(3, |config| {
        config.offsets_replication_factor = 3;
        config.min_insync_replicas = min_isr;
    });
    // Followers have fetched once, so that they are known to have everything.
    cluster.advance_ms(FAILOVER_MS);
    (cluster, node, [(node + 1) % 3, (node + 2) % 3])
}

/// Ends the coordinator; another takes its place.
fn fail_over(cluster: &mut Cluster, from: usize) -> usize {
    cluster.kill(from);
    cluster.advance_ms(FAILOVER_MS);
    let to = find_coordinator(cluster, (from + 1) % 3);
    assert_ne!(to, from);
    to
}

/// What a coordinator takes the group's partition to hold.
fn image(cluster: &Cluster, node: usize) -> GroupImage {
    let partition = partition_of(&group(), PARTITIONS);
    assert!(cluster.node(node).coordinated().contains(&partition));
    cluster.node(node).groups().image_of(partition, PARTITIONS)
}

fn describe(cluster: &mut Cluster, node: usize) -> DescribedGroup {
    let request = DescribeGroupsRequest::default().with_groups(vec![group()]);
    let response = cluster.ask(node, ApiKey::DescribeGroups, 6, &RequestKind::DescribeGroups(request));
    expect_kind!(DescribeGroups, response).groups.remove(0)
}

fn send_fetch(cluster: &mut Cluster, node: usize) -> RequestToken {
    let asked = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(None);
    let request = OffsetFetchRequest::default().with_groups(vec![asked]);
    cluster.send(node, ApiKey::OffsetFetch, 8, &RequestKind::OffsetFetch(request))
}

fn fetch_error(cluster: &mut Cluster, node: usize) -> i16 {
    let token = send_fetch(cluster, node);
    let Some(Reply::Response(response)) = cluster.reply(token) else { panic!("a coordinator answers at once") };
    expect_kind!(OffsetFetch, response).groups[0].error_code
}

fn list_error(cluster: &mut Cluster, node: usize) -> i16 {
    let request = RequestKind::ListGroups(ListGroupsRequest::default());
    expect_kind!(ListGroups, cluster.ask(node, ApiKey::ListGroups, 4, &request)).error_code
}

#[test]
fn a_group_survives_its_coordinators_death_without_a_rebalance() {
    let (mut cluster, node, _) = replicated(2);
    let members = two_members(&mut cluster, node);
    assert_eq!(commit(&mut cluster, node, Some(&members[0]), 7), 0);
    let before = image(&cluster, node);
    assert_eq!((before.groups.len(), before.offsets.len()), (1, 1));

    let next = fail_over(&mut cluster, node);
    assert_eq!(image(&cluster, next), before);
    assert_eq!(committed(&mut cluster, next), 7);
    for member in &members {
        assert_eq!(heartbeat(&mut cluster, next, member), 0, "the generation goes on");
        let token = send_sync(&mut cluster, next, &member.clone().with_members(Vec::new()));
        assert_eq!(assignment(&mut cluster, token), format!("share of {}", &*member.member_id));
    }
    assert_eq!(commit(&mut cluster, next, Some(&members[1]), 8), 0);
    let described = describe(&mut cluster, next);
    assert_eq!((&*described.group_state, described.members.len()), ("Stable", 2));

    cluster.restart(node);
    cluster.advance_ms(FAILOVER_MS);
    assert_eq!(heartbeat(&mut cluster, node, &members[0]), ResponseError::NotCoordinator.code());
    let last = fail_over(&mut cluster, next);
    assert_eq!(heartbeat(&mut cluster, last, &members[0]), 0);
    assert_eq!(committed(&mut cluster, last), 8);
}

#[test]
fn members_have_a_whole_session_to_find_the_new_coordinator_and_no_more() {
    let (mut cluster, node, _) = replicated(2);
    let members = two_members(&mut cluster, node);
    cluster.advance_ms(u64::try_from(SESSION_MS - 500).expect("positive"));
    for member in &members {
        assert_eq!(heartbeat(&mut cluster, node, member), 0);
    }
    let next = fail_over(&mut cluster, node);
    cluster.advance_ms(u64::try_from(SESSION_MS).expect("positive") - FAILOVER_MS);
    assert_eq!(heartbeat(&mut cluster, next, &members[0]), 0);
    cluster.advance_ms(FAILOVER_MS);
    assert_eq!(heartbeat(&mut cluster, next, &members[0]), ResponseError::RebalanceInProgress.code());
    assert_eq!(heartbeat(&mut cluster, next, &members[1]), ResponseError::UnknownMemberId.code());
}

#[test]
fn a_commit_is_answered_and_visible_once_it_is_replicated() {
    let (mut cluster, node, others) = replicated(2);
    assert_eq!(commit(&mut cluster, node, None, 5), 0);
    cluster.kill(others[0]);
    let token = send_commit(&mut cluster, node, None, 6);
    assert!(cluster.reply(token).is_none(), "a replica in sync does not have it");
    assert_eq!(committed(&mut cluster, node), 5);
    cluster.advance_ms(FAILOVER_MS);
    assert_eq!(commit_error(&mut cluster, token), 0, "the dead replica has left the ISR");
    assert_eq!(committed(&mut cluster, node), 6);
}

#[test]
fn a_commit_that_is_not_replicated_in_time_fails_and_may_count_later() {
    let (mut cluster, node, others) = replicated(3);
    cluster.kill(others[0]);
    let token = send_commit(&mut cluster, node, None, 6);
    cluster.advance_ms(4999);
    assert!(cluster.reply(token).is_none());
    cluster.advance_ms(1);
    let unavailable = ResponseError::CoordinatorNotAvailable.code();
    assert_eq!(commit_error(&mut cluster, token), unavailable, "offsets.commit.timeout.ms is over");
    assert_eq!(committed(&mut cluster, node), -1);
    assert_eq!(commit(&mut cluster, node, None, 7), unavailable, "too few replicas are in sync to try");
    cluster.restart(others[0]);
    cluster.advance_ms(FAILOVER_MS);
    assert_eq!(committed(&mut cluster, node), 6, "it was in the log all the time");
}

#[test]
fn an_assignment_reaches_members_once_it_is_replicated() {
    let (mut cluster, node, others) = replicated(2);
    let first = member_id(&mut cluster, node);
    let token = send_join(&mut cluster, node, &first, None);
    let member = joined(&mut cluster, token);
    cluster.kill(others[0]);
    let token = send_sync(&mut cluster, node, &member);
    assert!(cluster.reply(token).is_none());
    assert_eq!(&*describe(&mut cluster, node).group_state, "CompletingRebalance");
    cluster.advance_ms(FAILOVER_MS);
    assert!(!assignment(&mut cluster, token).is_empty());
    assert_eq!(&*describe(&mut cluster, node).group_state, "Stable");
}

fn listed(cluster: &mut Cluster, node: usize) -> usize {
    let request = RequestKind::ListGroups(ListGroupsRequest::default());
    expect_kind!(ListGroups, cluster.ask(node, ApiKey::ListGroups, 4, &request)).groups.len()
}

#[test]
fn a_group_is_listed_and_described_once_it_is_replicated() {
    let (mut cluster, node, others) = replicated(2);
    cluster.kill(others[0]);
    let first = member_id(&mut cluster, node);
    let token = send_join(&mut cluster, node, &first, None);
    assert_eq!(joined(&mut cluster, token).generation_id, 1, "its members do not wait for that");
    let described = describe(&mut cluster, node);
    assert_eq!((&*described.group_state, described.members.len()), ("Dead", 0));
    assert_eq!(described.error_code, ResponseError::GroupIdNotFound.code());
    assert_eq!(listed(&mut cluster, node), 0);
    cluster.advance_ms(FAILOVER_MS);
    let described = describe(&mut cluster, node);
    assert_eq!((&*described.group_state, described.members.len()), ("CompletingRebalance", 1));
    assert_eq!(listed(&mut cluster, node), 1);
}

#[test]
fn a_coordinator_that_cannot_know_everything_yet_is_loading() {
    let (mut cluster, node, others) = replicated(3);
    let members = two_members(&mut cluster, node);
    assert_eq!(commit(&mut cluster, node, Some(&members[0]), 7), 0);
    // The others have the records, but have not been told that they are committed; and alone they cannot commit.
    let next = fail_over(&mut cluster, node);
    assert!(others.contains(&next));
    let loading = ResponseError::CoordinatorLoadInProgress.code();
    assert_eq!(fetch_error(&mut cluster, next), loading);
    assert_eq!(list_error(&mut cluster, next), loading);
    assert_eq!(describe(&mut cluster, next).error_code, loading);
    assert_eq!(commit(&mut cluster, next, Some(&members[0]), 8), loading);
    assert_eq!(heartbeat(&mut cluster, next, &members[0]), 0, "members are not upset meanwhile");
    cluster.restart(node);
    cluster.advance_ms(FAILOVER_MS);
    assert_eq!((fetch_error(&mut cluster, next), list_error(&mut cluster, next)), (0, 0));
    assert_eq!(committed(&mut cluster, next), 7);
    assert_eq!(heartbeat(&mut cluster, next, &members[0]), 0);
}

#[test]
fn a_long_log_is_loaded_in_slices_and_clients_are_told() {
    let (mut cluster, node) = coordinated_with(1, |_| {});
    let note = "n".repeat(4096);
    for offset in 0..600 {
        assert_eq!(commit_with_note(&mut cluster, node, offset, &note), 0);
    }
    let before = image(&cluster, node);
    cluster.kill(node);
    cluster.restart(node);
    let mut answers = Vec::new();
    for _ in 0..FAILOVER_MS {
        cluster.advance_ms(1);
        let token = send_fetch(&mut cluster, node);
        if let Some(Reply::Response(response)) = cluster.reply(token) {
            answers.push(expect_kind!(OffsetFetch, response).groups[0].error_code);
        }
    }
    answers.dedup();
    assert_eq!(answers, [ResponseError::CoordinatorLoadInProgress.code(), 0]);
    assert_eq!(image(&cluster, node), before);
    assert_eq!(committed(&mut cluster, node), 599);
}

/// Gives the leadership of every partition of `__consumer_offsets` back to its preferred leader.
fn elect_preferred_leaders(cluster: &mut Cluster, asked: usize) {
    let topic =
        TopicPartitions::default().with_topic(name("__consumer_offsets")).with_partitions((0..PARTITIONS).collect());
    let request = ElectLeadersRequest::default().with_topic_partitions(Some(vec![topic])).with_timeout_ms(1000);
    let response = cluster.ask(asked, ApiKey::ElectLeaders, 2, &RequestKind::ElectLeaders(request));
    assert_eq!(expect_kind!(ElectLeaders, response).error_code, 0);
}

#[test]
fn who_waits_is_sent_to_the_next_coordinator() {
    let (mut cluster, preferred, _) = replicated(1);
    let node = fail_over(&mut cluster, preferred);
    cluster.restart(preferred);
    cluster.advance_ms(FAILOVER_MS);
    let members = two_members(&mut cluster, node);
    let third = member_id(&mut cluster, node);
    let joins = send_join(&mut cluster, node, &third, None);
    assert!(cluster.reply(joins).is_none(), "the others have to join again");
    cluster.kill(3 - preferred - node);
    let commits = send_commit(&mut cluster, node, Some(&members[0]), 7);
    assert!(cluster.reply(commits).is_none(), "a replica in sync does not have it");

    elect_preferred_leaders(&mut cluster, node);
    cluster.advance_ms(100);
    let moved = ResponseError::NotCoordinator.code();
    assert_eq!(joined(&mut cluster, joins).error_code, moved);
    assert_eq!(commit_error(&mut cluster, commits), moved);
    assert_eq!(heartbeat(&mut cluster, node, &members[0]), moved);
    assert!(cluster.node(node).committed_offsets().is_empty());

    cluster.advance_ms(FAILOVER_MS);
    assert_eq!(find_coordinator(&mut cluster, node), preferred);
    assert_eq!(heartbeat(&mut cluster, preferred, &members[0]), 0, "the rebalance is forgotten, the generation is not");
    assert_eq!(committed(&mut cluster, preferred), 7, "what was written to the end has not been lost");
}

#[test]
fn a_static_member_that_came_back_is_known_to_the_next_coordinator() {
    let (mut cluster, node, _) = replicated(2);
    let first = join_as_till(&mut cluster, node, 9);
    let token = send_sync(&mut cluster, node, &first);
    let share = assignment(&mut cluster, token);
    let second = join_as_till(&mut cluster, node, 9);
    assert_ne!(second.member_id, first.member_id);
    let before = image(&cluster, node);
    let next = fail_over(&mut cluster, node);
    assert_eq!(image(&cluster, next), before);
    assert_eq!(heartbeat(&mut cluster, next, &second), 0);
    assert_eq!(heartbeat(&mut cluster, next, &first), ResponseError::UnknownMemberId.code());
    let token = send_sync(&mut cluster, next, &second.with_members(Vec::new()));
    assert_eq!(assignment(&mut cluster, token), share);
}

fn leave(cluster: &mut Cluster, node: usize, member: &JoinGroupResponse) -> i16 {
    let identity = MemberIdentity::default().with_member_id(member.member_id.clone());
    let request = LeaveGroupRequest::default().with_group_id(group()).with_members(vec![identity]);
    let left = cluster.ask(node, ApiKey::LeaveGroup, 4, &RequestKind::LeaveGroup(request));
    expect_kind!(LeaveGroup, left).members[0].error_code
}

#[test]
fn a_group_that_everybody_left_is_empty_for_the_next_coordinator() {
    let (mut cluster, node, _) = replicated(2);
    for member in two_members(&mut cluster, node) {
        assert_eq!(leave(&mut cluster, node, &member), 0);
    }
    cluster.advance_ms(3000);
    let next = fail_over(&mut cluster, node);
    let described = describe(&mut cluster, next);
    assert_eq!((&*described.group_state, &*described.protocol_type), ("Empty", "consumer"));
    let id = member_id(&mut cluster, next);
    let token = send_join(&mut cluster, next, &id, None);
    assert_eq!(joined(&mut cluster, token).generation_id, 4, "generations go on from the empty one");
}

#[test]
fn a_deleted_group_stays_deleted() {
    let (mut cluster, node, _) = replicated(2);
    assert_eq!(commit(&mut cluster, node, None, 5), 0);
    let request = DeleteGroupsRequest::default().with_groups_names(vec![group()]);
    let deleted = cluster.ask(node, ApiKey::DeleteGroups, 2, &RequestKind::DeleteGroups(request));
    assert_eq!(expect_kind!(DeleteGroups, deleted).results[0].error_code, 0);
    assert_eq!(describe(&mut cluster, node).error_code, ResponseError::GroupIdNotFound.code());
    let next = fail_over(&mut cluster, node);
    assert_eq!(describe(&mut cluster, next).error_code, ResponseError::GroupIdNotFound.code());
    assert_eq!(image(&cluster, next), GroupImage::default());
}

#[test]
fn offsets_do_not_come_back_with_a_topic_of_the_same_name() {
    let (mut cluster, node, others) = replicated(2);
    assert_eq!(commit(&mut cluster, node, None, 5), 0);
    let topic = DeleteTopicState::default().with_name(Some(name("orders")));
    let request = DeleteTopicsRequest::default().with_topics(vec![topic]);
    let deleted = cluster.ask(others[0], ApiKey::DeleteTopics, 6, &RequestKind::DeleteTopics(request));
    assert_eq!(expect_kind!(DeleteTopics, deleted).responses[0].error_code, 0);
    create(&mut cluster, "orders", 2);
    assert_eq!(committed(&mut cluster, node), -1);
    let next = fail_over(&mut cluster, node);
    assert_eq!(committed(&mut cluster, next), -1);
}

#[test]
fn a_coordinator_is_not_to_be_had_without_enough_brokers_to_keep_groups() {
    let mut cluster = Cluster::with(1, |config| config.offsets_replication_factor = 3);
    for version in [2, 4] {
        let request = FindCoordinatorRequest::default();
        let request = if version < 4 {
            request.with_key(group().0)
        } else {
            request.with_coordinator_keys(vec![group().0, StrBytes::from_static_str("other")])
        };
        let request = RequestKind::FindCoordinator(request);
        let token = cluster.send(0, ApiKey::FindCoordinator, version, &request);
        cluster.advance_ms(999);
        assert!(cluster.reply(token).is_none());
        cluster.advance_ms(1);
        let Some(Reply::Response(response)) = cluster.reply(token) else { panic!("it waits only so long") };
        let response = expect_kind!(FindCoordinator, response);
        let codes = response.coordinators.iter().map(|coordinator| coordinator.error_code);
        let codes: Vec<i16> = codes.chain((version < 4).then_some(response.error_code)).collect();
        let unavailable = ResponseError::CoordinatorNotAvailable.code();
        assert!(!codes.is_empty() && codes.iter().all(|code| *code == unavailable), "{codes:?}");
    }
}
