//! `CreateTopics` 2–7, on the controller: validate each topic, append its records.
//!
//! Version steps: 4 default partitions and replication factor; 5 configs in the answer; 7 topic ids. A replication
//! factor above 1 is refused until replicas are kept: pretending would hide exactly what this cluster exists for.

use crate::config::topic;
use crate::io::PeerMessage;
use crate::metadata::placement;
use crate::metadata::record::{ConfigResource, MetadataRecord, PartitionState};
use crate::node::Node;
use crate::types::{BrokerId, LeaderEpoch, Now};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{ApiKey, CreateTopicsRequest, CreateTopicsResponse, RequestKind};
use kafka_protocol::protocol::StrBytes;
use rand_chacha::rand_core::Rng;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Most partitions of one topic, so that one request cannot exhaust memory.
pub const PARTITIONS_MAX: i32 = 100_000;
const NAME_MAX: usize = 249;
const DEFAULT_CONFIG: i8 = 5;
const DYNAMIC_TOPIC_CONFIG: i8 = 1;

type Refused = (ResponseError, String);

pub(super) fn apply(node: &mut Node, now: Now, _version: i16, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut names = BTreeSet::new();
    let twice: BTreeSet<StrBytes> = request
        .topics
        .iter()
        .filter(|topic| !names.insert(topic.name.0.clone()))
        .map(|topic| topic.name.0.clone())
        .collect();
    let mut answered = BTreeSet::new();
    // A name that is given twice gets one answer.
    let topics = request.topics.into_iter().filter(|topic| answered.insert(topic.name.0.clone()));
    let results = topics.map(|topic| {
        let name = topic.name.clone();
        let created = if twice.contains(&name.0) {
            Err((ResponseError::InvalidRequest, String::from("Duplicate topic name.")))
        } else {
            create(node, now, request.validate_only, topic)
        };
        created.unwrap_or_else(|(error, message)| {
            CreatableTopicResult::default()
                .with_name(name)
                .with_error_code(error.code())
                .with_error_message(Some(StrBytes::from_string(message)))
                .with_num_partitions(-1)
                .with_replication_factor(-1)
        })
    });
    CreateTopicsResponse::default().with_topics(results.collect())
}

/// The request for one topic with default settings.
pub(super) fn request(name: StrBytes, partitions: i32) -> CreateTopicsRequest {
    let topic =
        CreatableTopic::default().with_name(name.into()).with_num_partitions(partitions).with_replication_factor(1);
    CreateTopicsRequest::default().with_topics(vec![topic])
}

/// Asks the controller without a client behind it; the answer is not needed, the topic shows up in the metadata.
pub(crate) fn ask(node: &mut Node, now: Now, request: CreateTopicsRequest) {
    const NOBODY: u64 = u64::MAX;
    let request = Box::new(RequestKind::CreateTopics(request));
    let message = PeerMessage::Forward { id: NOBODY, api: ApiKey::CreateTopics, version: 7, request };
    node.send_to_controller(now, message);
}

/// Kafka's `Topic.validate`.
pub(crate) fn is_valid_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name != "." && name != ".." && name.len() <= NAME_MAX && name.chars().all(legal)
}

fn create(
    node: &mut Node,
    now: Now,
    validate_only: bool,
    asked: CreatableTopic,
) -> Result<CreatableTopicResult, Refused> {
    let name = asked.name.0.clone();
    check_name(node, &name)?;
    let configs = check_configs(&asked.configs)?;
    let replicas = assign(node, &asked)?;
    let topic_id = new_id(node);
    let result = CreatableTopicResult::default()
        .with_name(asked.name)
        .with_topic_id(topic_id)
        .with_num_partitions(i32::try_from(replicas.len()).unwrap_or(i32::MAX))
        .with_replication_factor(1)
        .with_error_message(None)
        .with_configs(Some(describe(&configs)));
    if validate_only {
        return Ok(result);
    }
    // The name outlives the frame that it came in: a slice of the frame would keep all of it.
    let name = StrBytes::from_string(name.to_string());
    let resource = ConfigResource::Topic(name.clone());
    let mut records = vec![MetadataRecord::Topic { name, id: topic_id }];
    records.extend(configs.into_iter().map(|(name, value)| MetadataRecord::Config {
        resource: resource.clone(),
        name,
        value: Some(value),
    }));
    records.extend(replicas.into_iter().zip(0..).map(|(replicas, index)| MetadataRecord::Partition {
        topic: topic_id,
        index,
        state: first_state(replicas),
    }));
    node.append_metadata(now, &records);
    Ok(result)
}

/// A new partition: everybody is in sync with nothing, the preferred replica leads.
pub(super) fn first_state(replicas: Vec<BrokerId>) -> PartitionState {
    PartitionState {
        isr: replicas.clone(),
        leader: replicas.first().copied(),
        replicas,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: 0,
    }
}

fn check_name(node: &Node, name: &StrBytes) -> Result<(), Refused> {
    if !is_valid_name(name) {
        let message = format!(
            "topic name {:?} is not 1 to {NAME_MAX} of the characters a-z A-Z 0-9 . _ - (and neither . nor ..)",
            &**name
        );
        return Err((ResponseError::InvalidTopicException, message));
    }
    if node.image.topics.contains_key(name) {
        return Err((ResponseError::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
    }
    // In metric names a dot becomes an underscore, so Kafka lets only one of such a pair exist.
    if !name.contains(['.', '_']) {
        return Ok(());
    }
    let folded = name.replace('.', "_");
    match node.image.topics.keys().find(|other| other.replace('.', "_") == folded) {
        Some(other) => {
            let message = format!("Topic '{name}' collides with existing topic: {other}");
            Err((ResponseError::InvalidTopicException, message))
        }
        None => Ok(()),
    }
}

fn check_configs(asked: &[CreatableTopicConfig]) -> Result<BTreeMap<String, String>, Refused> {
    let mut configs = BTreeMap::new();
    for config in asked {
        let Some(value) = &config.value else {
            let message = format!("config {} has no value", &*config.name);
            return Err((ResponseError::InvalidConfig, message));
        };
        topic::validate(&config.name, value).map_err(|error| (ResponseError::InvalidConfig, error.to_string()))?;
        configs.insert(config.name.to_string(), value.to_string());
    }
    Ok(configs)
}

/// The replicas of each partition.
fn assign(node: &mut Node, asked: &CreatableTopic) -> Result<Vec<Vec<BrokerId>>, Refused> {
    let brokers: Vec<BrokerId> = node.image.brokers.keys().copied().collect();
    if !asked.assignments.is_empty() {
        return assigned_by_hand(&brokers, asked);
    }
    let factor = asked.replication_factor;
    // Before version 4 clients did not know of defaults; Kafka takes -1 from them all the same.
    if !matches!(factor, 1 | -1) {
        let message = if factor > 1 {
            format!("replication factor {factor} is not supported: partitions have one replica here so far")
        } else {
            format!("Replication factor must be larger than 0, or -1 to use the default value, not {factor}.")
        };
        return Err((ResponseError::InvalidReplicationFactor, message));
    }
    let count = match asked.num_partitions {
        -1 => node.config.partitions_default,
        count => count,
    };
    if !(1..=PARTITIONS_MAX).contains(&count) {
        let message =
            format!("Number of partitions must be 1 to {PARTITIONS_MAX}, or -1 for the default, not {count}.");
        return Err((ResponseError::InvalidPartitions, message));
    }
    let first = usize::try_from(node.rng.next_u32()).unwrap_or(0);
    Ok(placement::place(&brokers, usize::try_from(count).unwrap_or(0), 1, first))
}

fn assigned_by_hand(brokers: &[BrokerId], asked: &CreatableTopic) -> Result<Vec<Vec<BrokerId>>, Refused> {
    if asked.num_partitions != -1 || asked.replication_factor != -1 {
        let message = "A manual partition assignment was specified, but numPartitions or replicationFactor was not -1.";
        return Err((ResponseError::InvalidRequest, message.to_owned()));
    }
    let mut by_index = BTreeMap::new();
    for assignment in &asked.assignments {
        let replicas: Vec<BrokerId> = assignment.broker_ids.iter().map(|id| BrokerId(id.0)).collect();
        check_replicas(brokers, &replicas)?;
        if by_index.insert(assignment.partition_index, replicas).is_some() {
            let message = format!("partition {} is assigned twice", assignment.partition_index);
            return Err((ResponseError::InvalidReplicaAssignment, message));
        }
    }
    let indexes_count_up = by_index.keys().copied().eq(0..i32::try_from(by_index.len()).unwrap_or(i32::MAX));
    if !indexes_count_up {
        let message = String::from("partitions should be a consecutive 0-based integer sequence");
        return Err((ResponseError::InvalidReplicaAssignment, message));
    }
    Ok(by_index.into_values().collect())
}

/// Whether partitions may be put on these brokers.
pub(super) fn check_replicas(brokers: &[BrokerId], replicas: &[BrokerId]) -> Result<(), Refused> {
    let distinct: BTreeSet<&BrokerId> = replicas.iter().collect();
    if distinct.len() < replicas.len() {
        let message = String::from("The manual partition assignment includes a broker more than once.");
        return Err((ResponseError::InvalidReplicaAssignment, message));
    }
    if replicas.len() > 1 {
        let message = format!("{} replicas are not supported: partitions have one replica here so far", replicas.len());
        return Err((ResponseError::InvalidReplicationFactor, message));
    }
    match replicas.first() {
        Some(replica) if brokers.contains(replica) => Ok(()),
        Some(replica) => Err((
            ResponseError::InvalidReplicaAssignment,
            format!("The manual partition assignment includes broker {replica}, but no such broker is registered."),
        )),
        None => Err((
            ResponseError::InvalidReplicaAssignment,
            String::from("The manual partition assignment includes an empty replica list."),
        )),
    }
}

/// A random id (version 4), never one of Kafka's reserved ones.
fn new_id(node: &mut Node) -> Uuid {
    let mut bytes = [0; 16];
    node.rng.fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

fn describe(configs: &BTreeMap<String, String>) -> Vec<CreatableTopicConfigs> {
    let describe = |setting: &topic::Setting| {
        let own = configs.get(setting.name);
        let value = own.cloned().unwrap_or_else(|| setting.default.to_owned());
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(setting.name))
            .with_value(Some(StrBytes::from_string(value)))
            .with_config_source(if own.is_some() { DYNAMIC_TOPIC_CONFIG } else { DEFAULT_CONFIG })
    };
    topic::SETTINGS.iter().map(describe).collect()
}
