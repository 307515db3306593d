//! The requests of groups and their offsets.

use crate::requests::text;
use bytes::Bytes;
use kafka_protocol::messages::*;

/// Who speaks in a group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member<'a> {
    pub(crate) group: &'a str,
    pub(crate) id: &'a str,
    /// `group.instance.id`.
    pub(crate) instance: Option<&'a str>,
    pub(crate) generation: i32,
}

impl<'a> Member<'a> {
    /// A member that nobody knows yet.
    pub(crate) fn new(group: &'a str) -> Self {
        Self { group, id: "", instance: None, generation: -1 }
    }
}

/// What a member wants when it joins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Joining<'a> {
    pub(crate) session_ms: i32,
    pub(crate) rebalance_ms: i32,
    pub(crate) kind: &'a str,
    pub(crate) protocols: &'a [&'a str],
}

/// Time-outs that no test reaches.
pub(crate) const CONSUMER: Joining<'static> =
    Joining { session_ms: 60_000, rebalance_ms: 60_000, kind: "consumer", protocols: &["range"] };

pub(crate) fn join(version: i16, member: Member<'_>, wanted: Joining<'_>) -> RequestKind {
    let protocol = |name: &&str| {
        let protocol = join_group_request::JoinGroupRequestProtocol::default().with_name(text(name));
        protocol.with_metadata(subscription(name))
    };
    let request = JoinGroupRequest::default()
        .with_group_id(text(member.group).into())
        .with_member_id(text(member.id))
        .with_session_timeout_ms(wanted.session_ms)
        .with_protocol_type(text(wanted.kind))
        .with_protocols(wanted.protocols.iter().map(protocol).collect());
    let request = if version >= 1 { request.with_rebalance_timeout_ms(wanted.rebalance_ms) } else { request };
    if version >= 5 { request.with_group_instance_id(member.instance.map(text)).into() } else { request.into() }
}

/// A `ConsumerProtocolSubscription` of version 0 to nothing, with the protocol's name as its user data. Kafka's coordinator
/// stumbles over some metadata that is none, and never answers then.
fn subscription(protocol: &str) -> Bytes {
    let length = u8::try_from(protocol.len()).expect("a short name");
    let head = [0, 0, 0, 0, 0, 0, 0, 0, 0, length];
    [&head[..], protocol.as_bytes()].concat().into()
}

/// With the assignments of a leader, by member; `(type, name)` of the protocol from version 5 on.
pub(crate) fn sync(
    version: i16,
    member: Member<'_>,
    protocol: (Option<&str>, Option<&str>),
    assignments: &[(&str, &'static [u8])],
) -> RequestKind {
    let assignment = |(member, bytes): &(&str, &'static [u8])| {
        let assignment = sync_group_request::SyncGroupRequestAssignment::default().with_member_id(text(member));
        assignment.with_assignment(Bytes::from_static(bytes))
    };
    let request = SyncGroupRequest::default()
        .with_group_id(text(member.group).into())
        .with_generation_id(member.generation)
        .with_member_id(text(member.id))
        .with_assignments(assignments.iter().map(assignment).collect());
    let request = if version >= 3 { request.with_group_instance_id(member.instance.map(text)) } else { request };
    if version < 5 {
        return request.into();
    }
    request.with_protocol_type(protocol.0.map(text)).with_protocol_name(protocol.1.map(text)).into()
}

pub(crate) fn heartbeat(version: i16, member: Member<'_>) -> RequestKind {
    let request = HeartbeatRequest::default()
        .with_group_id(text(member.group).into())
        .with_generation_id(member.generation)
        .with_member_id(text(member.id));
    if version >= 3 { request.with_group_instance_id(member.instance.map(text)).into() } else { request.into() }
}

/// Before version 3 only the first.
pub(crate) fn leave(version: i16, group: &str, members: &[(&str, Option<&str>)]) -> RequestKind {
    let request = LeaveGroupRequest::default().with_group_id(text(group).into());
    if version < 3 {
        return request.with_member_id(text(members.first().map_or("", |(id, _)| id))).into();
    }
    let identity = |(id, instance): &(&str, Option<&str>)| {
        leave_group_request::MemberIdentity::default()
            .with_member_id(text(id))
            .with_group_instance_id(instance.map(text))
    };
    request.with_members(members.iter().map(identity).collect()).into()
}

pub(crate) fn describe_groups(groups: &[&str]) -> RequestKind {
    DescribeGroupsRequest::default().with_groups(groups.iter().map(|name| text(name).into()).collect()).into()
}

pub(crate) fn list_groups(version: i16, states: &[&str], types: &[&str]) -> RequestKind {
    let texts = |words: &[&str]| words.iter().map(|word| text(word)).collect();
    let request = ListGroupsRequest::default();
    let request = if version >= 4 { request.with_states_filter(texts(states)) } else { request };
    if version >= 5 { request.with_types_filter(texts(types)).into() } else { request.into() }
}

pub(crate) fn delete_groups(groups: &[&str]) -> RequestKind {
    DeleteGroupsRequest::default().with_groups_names(groups.iter().map(|name| text(name).into()).collect()).into()
}

/// What is committed: partition, offset, leader epoch, metadata.
pub(crate) type Commit<'a> = (i32, i64, i32, Option<&'a str>);

pub(crate) fn commit(version: i16, member: Member<'_>, topic: &str, commits: &[Commit<'_>]) -> RequestKind {
    let partition = |(index, offset, epoch, metadata): &Commit<'_>| {
        let partition = offset_commit_request::OffsetCommitRequestPartition::default()
            .with_partition_index(*index)
            .with_committed_offset(*offset)
            .with_committed_metadata(metadata.map(text));
        if version >= 6 { partition.with_committed_leader_epoch(*epoch) } else { partition }
    };
    let topic = offset_commit_request::OffsetCommitRequestTopic::default().with_name(text(topic).into());
    let topic = topic.with_partitions(commits.iter().map(partition).collect());
    let request = OffsetCommitRequest::default()
        .with_group_id(text(member.group).into())
        .with_generation_id_or_member_epoch(member.generation)
        .with_member_id(text(member.id))
        .with_topics(vec![topic]);
    if version >= 7 { request.with_group_instance_id(member.instance.map(text)).into() } else { request.into() }
}

/// Of one group; `None` for everything that it committed, which can be asked from version 2 on.
pub(crate) fn fetch_offsets(version: i16, group: &str, topics: Option<&[(&str, &[i32])]>) -> RequestKind {
    if version >= 8 {
        let topic = |(name, partitions): &(&str, &[i32])| {
            let topic = offset_fetch_request::OffsetFetchRequestTopics::default().with_name(text(name).into());
            topic.with_partition_indexes(partitions.to_vec())
        };
        let group = offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(text(group).into());
        let group = group.with_topics(topics.map(|topics| topics.iter().map(topic).collect()));
        return OffsetFetchRequest::default().with_groups(vec![group]).into();
    }
    let topic = |(name, partitions): &(&str, &[i32])| {
        let topic = offset_fetch_request::OffsetFetchRequestTopic::default().with_name(text(name).into());
        topic.with_partition_indexes(partitions.to_vec())
    };
    let topics = topics.map(|topics| topics.iter().map(topic).collect());
    let topics = if version < 2 { Some(topics.unwrap_or_default()) } else { topics };
    OffsetFetchRequest::default().with_group_id(text(group).into()).with_topics(topics).into()
}

pub(crate) fn delete_offsets(group: &str, topic: &str, partitions: &[i32]) -> RequestKind {
    let partition =
        |index: &i32| offset_delete_request::OffsetDeleteRequestPartition::default().with_partition_index(*index);
    let topic = offset_delete_request::OffsetDeleteRequestTopic::default().with_name(text(topic).into());
    let topic = topic.with_partitions(partitions.iter().map(partition).collect());
    OffsetDeleteRequest::default().with_group_id(text(group).into()).with_topics(vec![topic]).into()
}

/// Key type 0: groups; 1: transactions; 2: share groups.
pub(crate) fn find_coordinator(version: i16, kind: i8, keys: &[&str]) -> RequestKind {
    let request = FindCoordinatorRequest::default();
    let request = if version >= 1 { request.with_key_type(kind) } else { request };
    if version >= 4 {
        return request.with_coordinator_keys(keys.iter().map(|key| text(key)).collect()).into();
    }
    request.with_key(text(keys.first().unwrap_or(&""))).into()
}
