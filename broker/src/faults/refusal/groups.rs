//! Refusals of what groups and their coordinators are asked.

use super::NONE;
use kafka_protocol::messages as kafka;
use kafka_protocol::messages::{
    FindCoordinatorRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, RequestKind, ResponseKind,
};

/// The first version of OffsetFetch that asks for several groups (KIP-709).
const OFFSET_FETCH_GROUPS: i16 = 8;
/// The first version of FindCoordinator that asks for several coordinators (KIP-699).
const FIND_COORDINATORS: i16 = 4;

pub(super) fn of(request: &RequestKind, version: i16, code: i16) -> Option<ResponseKind> {
    Some(match request {
        RequestKind::OffsetCommit(commit) => of_commit(commit, code),
        RequestKind::OffsetFetch(fetch) => of_offset_fetch(fetch, version, code),
        RequestKind::OffsetDelete(delete) => of_offset_delete(delete, code),
        RequestKind::FindCoordinator(find) => of_find(find, version, code),
        RequestKind::JoinGroup(join) => kafka::JoinGroupResponse::default()
            .with_error_code(code)
            .with_generation_id(NONE)
            .with_member_id(join.member_id.clone())
            .into(),
        RequestKind::SyncGroup(_) => kafka::SyncGroupResponse::default().with_error_code(code).into(),
        RequestKind::Heartbeat(_) => kafka::HeartbeatResponse::default().with_error_code(code).into(),
        RequestKind::LeaveGroup(_) => kafka::LeaveGroupResponse::default().with_error_code(code).into(),
        RequestKind::ListGroups(_) => kafka::ListGroupsResponse::default().with_error_code(code).into(),
        RequestKind::DescribeGroups(describe) => {
            use kafka::describe_groups_response::DescribedGroup;
            let groups = describe.groups.iter();
            let groups = groups.map(|id| DescribedGroup::default().with_group_id(id.clone()).with_error_code(code));
            kafka::DescribeGroupsResponse::default().with_groups(groups.collect()).into()
        }
        RequestKind::DeleteGroups(delete) => {
            use kafka::delete_groups_response::DeletableGroupResult;
            let groups = delete.groups_names.iter();
            let groups =
                groups.map(|id| DeletableGroupResult::default().with_group_id(id.clone()).with_error_code(code));
            kafka::DeleteGroupsResponse::default().with_results(groups.collect()).into()
        }
        _ => return None,
    })
}

fn of_commit(commit: &OffsetCommitRequest, code: i16) -> ResponseKind {
    use kafka::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
    let topics = commit.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let answer = OffsetCommitResponsePartition::default().with_partition_index(partition.partition_index);
            answer.with_error_code(code)
        });
        OffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id)
            .with_partitions(partitions.collect())
    });
    kafka::OffsetCommitResponse::default().with_topics(topics.collect()).into()
}

fn of_offset_fetch(fetch: &OffsetFetchRequest, version: i16, code: i16) -> ResponseKind {
    use kafka::offset_fetch_response::{
        OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponseTopic,
    };
    if version >= OFFSET_FETCH_GROUPS {
        let groups = fetch.groups.iter().map(|group| {
            OffsetFetchResponseGroup::default().with_group_id(group.group_id.clone()).with_error_code(code)
        });
        return kafka::OffsetFetchResponse::default().with_groups(groups.collect()).into();
    }
    let topics = fetch.topics.iter().flatten().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|index| {
            let answer = OffsetFetchResponsePartition::default().with_partition_index(*index);
            answer.with_committed_offset(NONE.into()).with_error_code(code)
        });
        OffsetFetchResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    let answer = kafka::OffsetFetchResponse::default().with_topics(topics.collect());
    // Version 1 says it for each partition alone; the codec leaves the field out there.
    answer.with_error_code(if version >= 2 { code } else { 0 }).into()
}

fn of_offset_delete(delete: &OffsetDeleteRequest, code: i16) -> ResponseKind {
    use kafka::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
    let topics = delete.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let answer = OffsetDeleteResponsePartition::default().with_partition_index(partition.partition_index);
            answer.with_error_code(code)
        });
        OffsetDeleteResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    kafka::OffsetDeleteResponse::default().with_error_code(code).with_topics(topics.collect()).into()
}

fn of_find(find: &FindCoordinatorRequest, version: i16, code: i16) -> ResponseKind {
    use kafka::find_coordinator_response::Coordinator;
    let nobody = kafka::BrokerId(NONE);
    if version < FIND_COORDINATORS {
        let answer = kafka::FindCoordinatorResponse::default().with_error_code(code);
        return answer.with_node_id(nobody).with_port(NONE).into();
    }
    let coordinators = find.coordinator_keys.iter().map(|key| {
        let answer = Coordinator::default().with_key(key.clone()).with_error_code(code);
        answer.with_node_id(nobody).with_port(NONE)
    });
    kafka::FindCoordinatorResponse::default().with_coordinators(coordinators.collect()).into()
}
