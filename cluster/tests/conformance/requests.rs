//! The requests, as short as a sequence wants to write them.

use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use shakedown_broker::batch::build::BatchBuilder;
use uuid::Uuid;

/// When the first record of every test was made: old enough for nobody's clock to matter, young enough to be kept.
pub(crate) fn start_ms() -> i64 {
    use std::sync::OnceLock;
    static START: OnceLock<i64> = OnceLock::new();
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
        i64::try_from(since.as_millis()).expect("a clock of this age") - 3_600_000
    };
    *START.get_or_init(now)
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A topic, by both of its names: which of them a request says depends on its version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Topic<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: Uuid,
}

impl Topic<'_> {
    fn named(&self) -> TopicName {
        text(self.name).into()
    }
}

/// Who produced a batch: id, epoch, first sequence number.
pub(crate) type Producer = (i64, i16, i32);

/// Nobody in particular.
pub(crate) const NOBODY: Producer = (-1, -1, -1);

/// A batch of so many records of one time.
pub(crate) fn batch(count: usize, timestamp_ms: i64, (id, epoch, sequence): Producer) -> Bytes {
    let builder = (0..count)
        .fold(BatchBuilder::new(timestamp_ms), |builder, n| builder.record(b"a", format!("value {n}").as_bytes()));
    let mut batch = builder.finish();
    batch[43..51].copy_from_slice(&id.to_be_bytes());
    batch[51..53].copy_from_slice(&epoch.to_be_bytes());
    batch[53..57].copy_from_slice(&sequence.to_be_bytes());
    seal(&mut batch);
    batch.freeze()
}

/// Writes the checksum over what was changed.
pub(crate) fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

pub(crate) fn produce(version: i16, acks: i16, topic: Topic<'_>, partitions: &[(i32, Option<Bytes>)]) -> RequestKind {
    let partition = |(index, records): &(i32, Option<Bytes>)| {
        produce_request::PartitionProduceData::default().with_index(*index).with_records(records.clone())
    };
    let data =
        produce_request::TopicProduceData::default().with_partition_data(partitions.iter().map(partition).collect());
    let data = if version >= 13 { data.with_topic_id(topic.id) } else { data.with_name(topic.named()) };
    ProduceRequest::default().with_acks(acks).with_timeout_ms(5000).with_topic_data(vec![data]).into()
}

/// What a fetch asks of a partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FetchFrom {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// -1 for none.
    pub(crate) leader_epoch: i32,
    /// -1 for none.
    pub(crate) last_epoch: i32,
    pub(crate) max_bytes: i32,
}

impl FetchFrom {
    pub(crate) fn at(partition: i32, offset: i64) -> Self {
        Self { partition, offset, leader_epoch: -1, last_epoch: -1, max_bytes: 1 << 20 }
    }
}

/// A fetch that does not wait.
pub(crate) fn fetch(
    version: i16,
    isolation: i8,
    session: (i32, i32),
    topic: Topic<'_>,
    from: &[FetchFrom],
) -> RequestKind {
    let partition = |from: &FetchFrom| {
        let partition = fetch_request::FetchPartition::default()
            .with_partition(from.partition)
            .with_fetch_offset(from.offset)
            .with_partition_max_bytes(from.max_bytes);
        let partition = if version >= 9 { partition.with_current_leader_epoch(from.leader_epoch) } else { partition };
        if version >= 12 { partition.with_last_fetched_epoch(from.last_epoch) } else { partition }
    };
    let asked = fetch_request::FetchTopic::default().with_partitions(from.iter().map(partition).collect());
    let asked = if version >= 13 { asked.with_topic_id(topic.id) } else { asked.with_topic(topic.named()) };
    let topics = if from.is_empty() { Vec::new() } else { vec![asked] };
    let request = FetchRequest::default().with_max_bytes(10 << 20).with_isolation_level(isolation).with_topics(topics);
    let request = if version >= 15 { request } else { request.with_replica_id((-1).into()) };
    if version >= 7 { request.with_session_id(session.0).with_session_epoch(session.1).into() } else { request.into() }
}

/// `(partition, leader epoch, timestamp)` each.
pub(crate) fn list_offsets(version: i16, isolation: i8, topic: Topic<'_>, asked: &[(i32, i32, i64)]) -> RequestKind {
    let partition = |(index, epoch, timestamp): &(i32, i32, i64)| {
        let partition = list_offsets_request::ListOffsetsPartition::default();
        let partition = partition.with_partition_index(*index).with_timestamp(*timestamp);
        if version >= 4 { partition.with_current_leader_epoch(*epoch) } else { partition }
    };
    let topic = list_offsets_request::ListOffsetsTopic::default().with_name(topic.named());
    let topic = topic.with_partitions(asked.iter().map(partition).collect());
    let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    let request = if version >= 10 { request.with_timeout_ms(5000) } else { request };
    if version >= 2 { request.with_isolation_level(isolation).into() } else { request.into() }
}

/// `(partition, current leader epoch, asked epoch)` each.
pub(crate) fn epochs(version: i16, topic: Topic<'_>, asked: &[(i32, i32, i32)]) -> RequestKind {
    let partition = |(index, current, asked): &(i32, i32, i32)| {
        offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
            .with_partition(*index)
            .with_current_leader_epoch(*current)
            .with_leader_epoch(*asked)
    };
    let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default().with_topic(topic.named());
    let topic = topic.with_partitions(asked.iter().map(partition).collect());
    let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
    if version >= 3 { request.with_replica_id((-1).into()).into() } else { request.into() }
}

/// By name; nothing is created.
pub(crate) fn metadata(version: i16, names: &[&str]) -> RequestKind {
    let topic = |name: &&str| metadata_request::MetadataRequestTopic::default().with_name(Some(text(name).into()));
    let request = MetadataRequest::default().with_topics(Some(names.iter().map(topic).collect()));
    request.with_allow_auto_topic_creation(version < 4).into()
}

pub(crate) fn metadata_by_id(ids: &[Uuid]) -> RequestKind {
    let topic = |id: &Uuid| metadata_request::MetadataRequestTopic::default().with_topic_id(*id).with_name(None);
    let request = MetadataRequest::default().with_topics(Some(ids.iter().map(topic).collect()));
    request.with_allow_auto_topic_creation(false).into()
}

/// A topic to create: `(name, value)` settings, or replicas by partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewTopic<'a> {
    pub(crate) name: &'a str,
    pub(crate) partitions: i32,
    pub(crate) replicas: i16,
    pub(crate) assignments: &'a [(i32, &'a [i32])],
    pub(crate) configs: &'a [(&'a str, Option<&'a str>)],
}

pub(crate) fn create_topics(validate_only: bool, topics: &[NewTopic<'_>]) -> RequestKind {
    let topic = |new: &NewTopic<'_>| {
        let assignment = |(index, brokers): &(i32, &[i32])| {
            create_topics_request::CreatableReplicaAssignment::default()
                .with_partition_index(*index)
                .with_broker_ids(brokers.iter().map(|id| (*id).into()).collect())
        };
        let config = |(name, value): &(&str, Option<&str>)| {
            create_topics_request::CreatableTopicConfig::default().with_name(text(name)).with_value(value.map(text))
        };
        create_topics_request::CreatableTopic::default()
            .with_name(text(new.name).into())
            .with_num_partitions(new.partitions)
            .with_replication_factor(new.replicas)
            .with_assignments(new.assignments.iter().map(assignment).collect())
            .with_configs(new.configs.iter().map(config).collect())
    };
    let topics = topics.iter().map(topic).collect();
    CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(10_000).with_validate_only(validate_only).into()
}

/// From version 6 on by names.
pub(crate) fn delete_topics(version: i16, names: &[&str]) -> RequestKind {
    let request = DeleteTopicsRequest::default().with_timeout_ms(10_000);
    if version < 6 {
        return request.with_topic_names(names.iter().map(|name| text(name).into()).collect()).into();
    }
    let state = |name: &&str| delete_topics_request::DeleteTopicState::default().with_name(Some(text(name).into()));
    request.with_topics(names.iter().map(state).collect()).into()
}

pub(crate) fn delete_topics_by_id(ids: &[Uuid]) -> RequestKind {
    let state = |id: &Uuid| delete_topics_request::DeleteTopicState::default().with_topic_id(*id).with_name(None);
    let topics = ids.iter().map(state).collect();
    DeleteTopicsRequest::default().with_timeout_ms(10_000).with_topics(topics).into()
}

/// A topic, how many partitions it has afterwards, and the replicas of each new one.
pub(crate) type Growth<'a> = (&'a str, i32, Option<&'a [&'a [i32]]>);

pub(crate) fn create_partitions(validate_only: bool, topics: &[Growth<'_>]) -> RequestKind {
    let topic = |(name, count, assignments): &Growth<'_>| {
        let assignment = |brokers: &&[i32]| {
            create_partitions_request::CreatePartitionsAssignment::default()
                .with_broker_ids(brokers.iter().map(|id| (*id).into()).collect())
        };
        create_partitions_request::CreatePartitionsTopic::default()
            .with_name(text(name).into())
            .with_count(*count)
            .with_assignments(assignments.map(|assignments| assignments.iter().map(assignment).collect()))
    };
    let topics = topics.iter().map(topic).collect();
    CreatePartitionsRequest::default()
        .with_topics(topics)
        .with_timeout_ms(10_000)
        .with_validate_only(validate_only)
        .into()
}

/// `(partition, offset)` each.
pub(crate) fn delete_records(topic: &str, offsets: &[(i32, i64)]) -> RequestKind {
    let partition = |(index, offset): &(i32, i64)| {
        delete_records_request::DeleteRecordsPartition::default().with_partition_index(*index).with_offset(*offset)
    };
    let topic = delete_records_request::DeleteRecordsTopic::default().with_name(text(topic).into());
    let topic = topic.with_partitions(offsets.iter().map(partition).collect());
    DeleteRecordsRequest::default().with_timeout_ms(10_000).with_topics(vec![topic]).into()
}

/// `(type, name, settings or all)` each.
pub(crate) fn describe_configs(synonyms: bool, resources: &[(i8, &str, Option<&[&str]>)]) -> RequestKind {
    let resource = |(kind, name, keys): &(i8, &str, Option<&[&str]>)| {
        describe_configs_request::DescribeConfigsResource::default()
            .with_resource_type(*kind)
            .with_resource_name(text(name))
            .with_configuration_keys(keys.map(|keys| keys.iter().map(|key| text(key)).collect()))
    };
    let resources = resources.iter().map(resource).collect();
    DescribeConfigsRequest::default().with_resources(resources).with_include_synonyms(synonyms).into()
}

/// Operations of IncrementalAlterConfigs, by their codes.
pub(crate) const SET: i8 = 0;
pub(crate) const DELETE: i8 = 1;
pub(crate) const APPEND: i8 = 2;
pub(crate) const SUBTRACT: i8 = 3;

/// A change of one setting: name, operation, value.
pub(crate) type Change<'a> = (&'a str, i8, Option<&'a str>);

pub(crate) fn incremental_alter(validate_only: bool, kind: i8, name: &str, changes: &[Change<'_>]) -> RequestKind {
    use incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let config = |(name, operation, value): &Change<'_>| {
        let config = AlterableConfig::default().with_name(text(name)).with_config_operation(*operation);
        config.with_value(value.map(text))
    };
    let resource = AlterConfigsResource::default().with_resource_type(kind).with_resource_name(text(name));
    let resource = resource.with_configs(changes.iter().map(config).collect());
    IncrementalAlterConfigsRequest::default().with_resources(vec![resource]).with_validate_only(validate_only).into()
}

pub(crate) fn alter_configs(
    validate_only: bool,
    kind: i8,
    name: &str,
    configs: &[(&str, Option<&str>)],
) -> RequestKind {
    use alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let config = |(name, value): &(&str, Option<&str>)| {
        AlterableConfig::default().with_name(text(name)).with_value(value.map(text))
    };
    let resource = AlterConfigsResource::default().with_resource_type(kind).with_resource_name(text(name));
    let resource = resource.with_configs(configs.iter().map(config).collect());
    AlterConfigsRequest::default().with_resources(vec![resource]).with_validate_only(validate_only).into()
}

/// `(id, epoch)` of the producer that asks for a new epoch; -1 for a new producer.
pub(crate) fn init_producer_id(version: i16, before: (i64, i16)) -> RequestKind {
    let request = InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(60_000);
    if version < 3 {
        return request.into();
    }
    request.with_producer_id(before.0.into()).with_producer_epoch(before.1).into()
}

pub(crate) fn describe_producers(topic: &str, partitions: &[i32]) -> RequestKind {
    let topic = describe_producers_request::TopicRequest::default().with_name(text(topic).into());
    DescribeProducersRequest::default().with_topics(vec![topic.with_partition_indexes(partitions.to_vec())]).into()
}

pub(crate) fn describe_topic_partitions(topics: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> RequestKind {
    let topic = |name: &&str| describe_topic_partitions_request::TopicRequest::default().with_name(text(name).into());
    let cursor = cursor.map(|(name, index)| {
        let cursor = describe_topic_partitions_request::Cursor::default().with_topic_name(text(name).into());
        cursor.with_partition_index(index)
    });
    DescribeTopicPartitionsRequest::default()
        .with_topics(topics.iter().map(topic).collect())
        .with_response_partition_limit(limit)
        .with_cursor(cursor)
        .into()
}

/// Election type 0: the preferred leader; 1: anybody who is alive.
pub(crate) fn elect_leaders(version: i16, kind: i8, topics: Option<&[(&str, &[i32])]>) -> RequestKind {
    let topic = |(name, partitions): &(&str, &[i32])| {
        let topic = elect_leaders_request::TopicPartitions::default().with_topic(text(name).into());
        topic.with_partitions(partitions.to_vec())
    };
    let topics = topics.map(|topics| topics.iter().map(topic).collect());
    let request = ElectLeadersRequest::default().with_topic_partitions(topics).with_timeout_ms(10_000);
    if version >= 1 { request.with_election_type(kind).into() } else { request.into() }
}
