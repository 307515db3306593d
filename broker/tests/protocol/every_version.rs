//! Every version that is advertised is really served: a request of each is encoded by the codec, answered, and the
//! answer read back by the codec to its last byte.

use crate::client::{Cluster, Reply, batch};
use crate::topics::{create, leader, name};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use shakedown_broker::api;

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

/// A request that touches a real topic or group, as far as the version can express it.
#[expect(clippy::too_many_lines, reason = "one arm for each API")]
pub(crate) fn sample(key: ApiKey, version: i16, id: uuid::Uuid) -> RequestKind {
    let by_id = |from: i16| version >= from;
    match key {
        ApiKey::Produce => {
            let data = produce_request::PartitionProduceData::default().with_records(Some(batch(1, -1, -1, -1)));
            let topic = produce_request::TopicProduceData::default().with_partition_data(vec![data]);
            let topic = if by_id(13) { topic.with_topic_id(id) } else { topic.with_name(name("orders")) };
            ProduceRequest::default().with_acks(-1).with_timeout_ms(100).with_topic_data(vec![topic]).into()
        }
        ApiKey::Fetch => {
            let partition = fetch_request::FetchPartition::default().with_partition_max_bytes(1000);
            let topic = fetch_request::FetchTopic::default().with_partitions(vec![partition]);
            let topic = if by_id(13) { topic.with_topic_id(id) } else { topic.with_topic(name("orders")) };
            FetchRequest::default().with_max_bytes(1000).with_topics(vec![topic]).into()
        }
        ApiKey::ListOffsets => {
            let partition = list_offsets_request::ListOffsetsPartition::default().with_timestamp(-1);
            let topic = list_offsets_request::ListOffsetsTopic::default();
            let topic = topic.with_name(name("orders")).with_partitions(vec![partition]);
            ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]).into()
        }
        ApiKey::Metadata => {
            let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(name("orders")));
            MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true).into()
        }
        ApiKey::OffsetCommit => {
            let partition = offset_commit_request::OffsetCommitRequestPartition::default().with_committed_offset(1);
            let topic = offset_commit_request::OffsetCommitRequestTopic::default();
            let topic = topic.with_name(name("orders")).with_partitions(vec![partition]);
            let request = OffsetCommitRequest::default().with_group_id(text("tool").into()).with_topics(vec![topic]);
            request.with_generation_id_or_member_epoch(-1).into()
        }
        ApiKey::OffsetFetch => offset_fetch(version),
        ApiKey::FindCoordinator if version >= 4 => {
            FindCoordinatorRequest::default().with_coordinator_keys(vec![text("group")]).into()
        }
        ApiKey::FindCoordinator => FindCoordinatorRequest::default().with_key(text("group")).into(),
        ApiKey::JoinGroup => JoinGroupRequest::default().with_group_id(text("group").into()).into(),
        ApiKey::Heartbeat => HeartbeatRequest::default().with_group_id(text("group").into()).into(),
        ApiKey::LeaveGroup => LeaveGroupRequest::default().with_group_id(text("group").into()).into(),
        ApiKey::SyncGroup => SyncGroupRequest::default().with_group_id(text("group").into()).into(),
        ApiKey::DescribeGroups => DescribeGroupsRequest::default().with_groups(vec![text("group").into()]).into(),
        ApiKey::ListGroups => ListGroupsRequest::default().into(),
        ApiKey::ApiVersions if version >= 3 => ApiVersionsRequest::default()
            .with_client_software_name(text("test"))
            .with_client_software_version(text("1.0"))
            .into(),
        ApiKey::ApiVersions => ApiVersionsRequest::default().into(),
        ApiKey::CreateTopics => {
            let topic = create_topics_request::CreatableTopic::default().with_name(name("orders"));
            CreateTopicsRequest::default().with_topics(vec![topic]).into()
        }
        ApiKey::DeleteTopics if version >= 6 => {
            let topic = delete_topics_request::DeleteTopicState::default().with_name(Some(name("absent")));
            DeleteTopicsRequest::default().with_topics(vec![topic]).into()
        }
        ApiKey::DeleteTopics => DeleteTopicsRequest::default().with_topic_names(vec![name("absent")]).into(),
        ApiKey::InitProducerId => InitProducerIdRequest::default().with_transactional_id(None).into(),
        ApiKey::OffsetForLeaderEpoch => {
            let partition = offset_for_leader_epoch_request::OffsetForLeaderPartition::default();
            let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default();
            let topic = topic.with_topic(name("orders")).with_partitions(vec![partition]);
            OffsetForLeaderEpochRequest::default().with_topics(vec![topic]).into()
        }
        ApiKey::DescribeConfigs => {
            let resource = describe_configs_request::DescribeConfigsResource::default();
            let resource = resource.with_resource_type(2).with_resource_name(text("orders"));
            DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true).into()
        }
        ApiKey::CreatePartitions => {
            let topic = create_partitions_request::CreatePartitionsTopic::default().with_name(name("orders"));
            CreatePartitionsRequest::default().with_topics(vec![topic]).into()
        }
        ApiKey::DeleteGroups => DeleteGroupsRequest::default().with_groups_names(vec![text("absent").into()]).into(),
        ApiKey::IncrementalAlterConfigs => {
            let config = incremental_alter_configs_request::AlterableConfig::default();
            let config = config.with_name(text("retention.ms")).with_value(Some(text("1000")));
            let resource = incremental_alter_configs_request::AlterConfigsResource::default().with_resource_type(2);
            let resource = resource.with_resource_name(text("orders")).with_configs(vec![config]);
            IncrementalAlterConfigsRequest::default().with_resources(vec![resource]).into()
        }
        ApiKey::DeleteRecords => {
            let partition = delete_records_request::DeleteRecordsPartition::default().with_offset(0);
            let topic = delete_records_request::DeleteRecordsTopic::default();
            let topic = topic.with_name(name("orders")).with_partitions(vec![partition]);
            DeleteRecordsRequest::default().with_topics(vec![topic]).into()
        }
        ApiKey::AlterConfigs => {
            let config = alter_configs_request::AlterableConfig::default();
            let config = config.with_name(text("retention.ms")).with_value(Some(text("1000")));
            let resource = alter_configs_request::AlterConfigsResource::default().with_resource_type(2);
            let resource = resource.with_resource_name(text("orders")).with_configs(vec![config]);
            AlterConfigsRequest::default().with_resources(vec![resource]).into()
        }
        ApiKey::DescribeLogDirs => {
            let topic = describe_log_dirs_request::DescribableLogDirTopic::default();
            let topic = topic.with_topic(name("orders")).with_partitions(vec![0]);
            DescribeLogDirsRequest::default().with_topics(Some(vec![topic])).into()
        }
        ApiKey::ElectLeaders => {
            let topic = elect_leaders_request::TopicPartitions::default();
            let topic = topic.with_topic(name("orders")).with_partitions(vec![0]);
            ElectLeadersRequest::default().with_topic_partitions(Some(vec![topic])).into()
        }
        ApiKey::DescribeQuorum => {
            let partition = describe_quorum_request::PartitionData::default();
            let topic = describe_quorum_request::TopicData::default().with_topic_name(name("__cluster_metadata"));
            DescribeQuorumRequest::default().with_topics(vec![topic.with_partitions(vec![partition])]).into()
        }
        ApiKey::AlterPartitionReassignments => {
            let partition = alter_partition_reassignments_request::ReassignablePartition::default()
                .with_replicas(Some(vec![1.into()]));
            let topic = alter_partition_reassignments_request::ReassignableTopic::default().with_name(name("orders"));
            let topic = topic.with_partitions(vec![partition]);
            AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]).into()
        }
        ApiKey::ListPartitionReassignments => ListPartitionReassignmentsRequest::default().with_topics(None).into(),
        ApiKey::DescribeProducers => {
            let topic = describe_producers_request::TopicRequest::default();
            let topic = topic.with_name(name("orders")).with_partition_indexes(vec![0]);
            DescribeProducersRequest::default().with_topics(vec![topic]).into()
        }
        ApiKey::ListConfigResources => ListConfigResourcesRequest::default().into(),
        ApiKey::DescribeTopicPartitions => DescribeTopicPartitionsRequest::default().with_cursor(None).into(),
        ApiKey::OffsetDelete => OffsetDeleteRequest::default().with_group_id(text("tool").into()).into(),
        ApiKey::DescribeCluster => DescribeClusterRequest::default().into(),
        other => panic!("{other:?} is in the table, but this test has no sample of it"),
    }
}

fn offset_fetch(version: i16) -> RequestKind {
    if version >= 8 {
        let topic = offset_fetch_request::OffsetFetchRequestTopics::default().with_name(name("orders"));
        let topic = topic.with_partition_indexes(vec![0]);
        let group = offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(text("tool").into());
        return OffsetFetchRequest::default().with_groups(vec![group.with_topics(Some(vec![topic]))]).into();
    }
    let topic = offset_fetch_request::OffsetFetchRequestTopic::default().with_name(name("orders"));
    let topic = topic.with_partition_indexes(vec![0]);
    OffsetFetchRequest::default().with_group_id(text("tool").into()).with_topics(Some(vec![topic])).into()
}

#[test]
fn every_version_of_every_api_is_answered_by_every_node() {
    let mut cluster = Cluster::new(3);
    create(&mut cluster, "orders", 1);
    let described = crate::topics::describe(&mut cluster, 0, "orders");
    let leader = leader(&mut cluster, "orders", 0);
    let mut answered = 0;
    for entry in api::TABLE {
        for version in entry.min..=entry.max {
            for node in [leader, (leader + 1) % 3, (leader + 2) % 3] {
                let request = sample(entry.key, version, described.topic_id);
                let token = cluster.send(node, entry.key, version, &request);
                let reply = cluster.reply(token);
                assert!(matches!(reply, Some(Reply::Response(_))), "{:?} {version}: {reply:?}", entry.key);
                answered += 1;
            }
        }
    }
    assert!(answered > 300, "{answered} requests were answered");
}

#[test]
fn a_version_of_the_future_is_answered_with_version_zero_of_api_versions() {
    let mut cluster = Cluster::new(1);
    let mut frame = vec![0, 18, 0, 99];
    frame.extend(17_i32.to_be_bytes());
    frame.extend([0xff, 0xff, 0x00, 0xab, 0xcd]);
    let token = cluster.send_frame(0, frame.into());
    let Some(Reply::Response(ResponseKind::ApiVersions(response))) = cluster.reply(token) else { panic!("no answer") };
    assert_eq!(response.error_code, 35);
    let produce = response.api_keys.iter().find(|api| api.api_key == 0).expect("Produce is listed");
    assert_eq!((produce.min_version, produce.max_version), (0, 13));
}
