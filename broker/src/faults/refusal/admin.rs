//! Refusals of what administrators ask about topics and the cluster.

use kafka_protocol::messages as kafka;
use kafka_protocol::messages::{ElectLeadersRequest, RequestKind, ResponseKind};

/// Requests about topics.
pub(super) fn of_topics(request: &RequestKind, code: i16) -> Option<ResponseKind> {
    Some(match request {
        RequestKind::Metadata(metadata) => {
            use kafka::metadata_response::MetadataResponseTopic;
            let topics = metadata.topics.iter().flatten().map(|topic| {
                let answer = MetadataResponseTopic::default().with_error_code(code).with_name(topic.name.clone());
                answer.with_topic_id(topic.topic_id)
            });
            kafka::MetadataResponse::default().with_topics(topics.collect()).with_error_code(code).into()
        }
        RequestKind::CreateTopics(create) => {
            use kafka::create_topics_response::CreatableTopicResult;
            let topics = create.topics.iter();
            let topics =
                topics.map(|it| CreatableTopicResult::default().with_name(it.name.clone()).with_error_code(code));
            kafka::CreateTopicsResponse::default().with_topics(topics.collect()).into()
        }
        RequestKind::DeleteTopics(delete) => {
            use kafka::delete_topics_response::DeletableTopicResult;
            let by_name = delete.topic_names.iter().map(|name| (Some(name.clone()), uuid::Uuid::nil()));
            let all = by_name.chain(delete.topics.iter().map(|topic| (topic.name.clone(), topic.topic_id)));
            let all = all.map(|(name, id)| {
                DeletableTopicResult::default().with_name(name).with_topic_id(id).with_error_code(code)
            });
            kafka::DeleteTopicsResponse::default().with_responses(all.collect()).into()
        }
        RequestKind::CreatePartitions(create) => {
            use kafka::create_partitions_response::CreatePartitionsTopicResult as Answer;
            let topics = create.topics.iter();
            let topics = topics.map(|topic| Answer::default().with_name(topic.name.clone()).with_error_code(code));
            kafka::CreatePartitionsResponse::default().with_results(topics.collect()).into()
        }
        RequestKind::DescribeTopicPartitions(describe) => {
            use kafka::describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic as Answer;
            let topics = describe.topics.iter();
            let topics =
                topics.map(|topic| Answer::default().with_name(Some(topic.name.clone())).with_error_code(code));
            kafka::DescribeTopicPartitionsResponse::default().with_topics(topics.collect()).into()
        }
        RequestKind::DescribeConfigs(describe) => {
            use kafka::describe_configs_response::DescribeConfigsResult;
            let results = describe.resources.iter().map(|resource| {
                let answer = DescribeConfigsResult::default().with_error_code(code);
                answer.with_resource_type(resource.resource_type).with_resource_name(resource.resource_name.clone())
            });
            kafka::DescribeConfigsResponse::default().with_results(results.collect()).into()
        }
        RequestKind::AlterConfigs(alter) => {
            use kafka::alter_configs_response::AlterConfigsResourceResponse;
            let results = alter.resources.iter().map(|resource| {
                let answer = AlterConfigsResourceResponse::default().with_error_code(code);
                answer.with_resource_type(resource.resource_type).with_resource_name(resource.resource_name.clone())
            });
            kafka::AlterConfigsResponse::default().with_responses(results.collect()).into()
        }
        RequestKind::IncrementalAlterConfigs(alter) => {
            use kafka::incremental_alter_configs_response::AlterConfigsResourceResponse;
            let results = alter.resources.iter().map(|resource| {
                let answer = AlterConfigsResourceResponse::default().with_error_code(code);
                answer.with_resource_type(resource.resource_type).with_resource_name(resource.resource_name.clone())
            });
            kafka::IncrementalAlterConfigsResponse::default().with_responses(results.collect()).into()
        }
        _ => return None,
    })
}

/// Requests about the cluster, its brokers and where replicas lie.
pub(super) fn of_cluster(request: &RequestKind, version: i16, code: i16) -> Option<ResponseKind> {
    Some(match request {
        RequestKind::ApiVersions(_) => kafka::ApiVersionsResponse::default().with_error_code(code).into(),
        RequestKind::DescribeCluster(_) => kafka::DescribeClusterResponse::default().with_error_code(code).into(),
        RequestKind::DescribeLogDirs(_) => kafka::DescribeLogDirsResponse::default().with_error_code(code).into(),
        RequestKind::DescribeQuorum(_) => kafka::DescribeQuorumResponse::default().with_error_code(code).into(),
        RequestKind::ListConfigResources(_) => {
            kafka::ListConfigResourcesResponse::default().with_error_code(code).into()
        }
        RequestKind::ElectLeaders(elect) => of_elect(elect, version, code),
        RequestKind::AlterPartitionReassignments(_) => {
            kafka::AlterPartitionReassignmentsResponse::default().with_error_code(code).into()
        }
        RequestKind::ListPartitionReassignments(_) => {
            kafka::ListPartitionReassignmentsResponse::default().with_error_code(code).into()
        }
        _ => return None,
    })
}

fn of_elect(elect: &ElectLeadersRequest, version: i16, code: i16) -> ResponseKind {
    use kafka::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
    let topics = elect.topic_partitions.iter().flatten().map(|topic| {
        let partitions = topic.partitions.iter();
        let partitions = partitions.map(|id| PartitionResult::default().with_partition_id(*id).with_error_code(code));
        ReplicaElectionResult::default().with_topic(topic.topic.clone()).with_partition_result(partitions.collect())
    });
    let answer = kafka::ElectLeadersResponse::default().with_replica_election_results(topics.collect());
    // Version 0 says it for each partition alone.
    answer.with_error_code(if version >= 1 { code } else { 0 }).into()
}
