//! `CreateTopics` 2–7, on the controller: validate each topic, append its records.
//!
//! Version steps: 4 default partitions and replication factor; 5 configs in the answer; 7 topic ids.

use crate::config::topic;
use crate::controller::Controller;
use crate::metadata::placement;
use crate::metadata::record::{ConfigResource, MetadataRecord, PartitionState};
use crate::node::Node;
use crate::types::{BrokerId, Now};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{ApiKey, CreateTopicsRequest, CreateTopicsResponse, RequestKind};
use kafka_protocol::protocol::StrBytes;
use rand_chacha::rand_core::Rng;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Most partitions of one topic.
pub const PARTITIONS_MAX: i32 = 100_000;
/// Most new partitions in one request (`ReplicationControlManager.MAX_PARTITIONS_PER_BATCH`), so that a few bytes cannot
/// exhaust memory.
const NEW_PARTITIONS_MAX: u64 = 10_000;
const NAME_MAX: usize = 249;
/// `Topic.CLUSTER_METADATA_TOPIC_NAME`: the quorum's log, which is no topic.
const METADATA: &str = "__cluster_metadata";
const DEFAULT_CONFIG: i8 = 5;
const DYNAMIC_TOPIC_CONFIG: i8 = 1;

type Refused = (ResponseError, String);

pub(super) fn apply(
    controller: &mut Controller,
    _now: Now,
    _version: i16,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let mut names = BTreeSet::new();
    let twice: BTreeSet<StrBytes> = request
        .topics
        .iter()
        .filter(|topic| !names.insert(topic.name.0.clone()))
        .map(|topic| topic.name.0.clone())
        .collect();
    let mut answered = BTreeSet::new();
    let too_many = check_new_partitions(request.topics.iter().map(|topic| match topic.num_partitions {
        _ if !topic.assignments.is_empty() => topic.assignments.len() as u64,
        -1 => u64::try_from(controller.config.partitions_default).unwrap_or(0),
        count => u64::try_from(count).unwrap_or(0),
    }));
    // A name that is given twice gets one answer.
    let topics = request.topics.into_iter().filter(|topic| answered.insert(topic.name.0.clone()));
    let results = topics.map(|topic| {
        let name = topic.name.clone();
        let created = if twice.contains(&name.0) {
            Err((ResponseError::InvalidRequest, String::from("Duplicate topic name.")))
        } else if let Err(refused) = &too_many {
            Err(refused.clone())
        } else {
            create(controller, request.validate_only, topic)
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

/// Whether one request may ask for so many new partitions.
pub(super) fn check_new_partitions(counts: impl Iterator<Item = u64>) -> Result<(), Refused> {
    match counts.fold(0, u64::saturating_add) {
        ..=NEW_PARTITIONS_MAX => Ok(()),
        _ => {
            let message = "Excessively large number of partitions per request.";
            Err((ResponseError::PolicyViolation, String::from(message)))
        }
    }
}

/// The request for one topic with these settings.
pub(super) fn request(
    name: StrBytes,
    partitions: i32,
    replication_factor: i16,
    settings: &[(&'static str, String)],
) -> CreateTopicsRequest {
    let setting = |(name, value): &(&'static str, String)| {
        CreatableTopicConfig::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(StrBytes::from_string(value.clone())))
    };
    let topic = CreatableTopic::default()
        .with_name(name.into())
        .with_num_partitions(partitions)
        .with_replication_factor(replication_factor)
        .with_configs(settings.iter().map(setting).collect());
    CreateTopicsRequest::default().with_topics(vec![topic])
}

/// Asks the controller without a client behind it; the answer is not needed, the topic shows up in the metadata.
pub(crate) fn ask(node: &mut Node, now: Now, request: CreateTopicsRequest) {
    node.forward_for_nobody(now, ApiKey::CreateTopics, 7, RequestKind::CreateTopics(request));
}

/// Kafka's `Topic.validate`.
pub(crate) fn is_valid_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name != "." && name != ".." && name.len() <= NAME_MAX && name.chars().all(legal)
}

fn create(
    controller: &mut Controller,
    validate_only: bool,
    asked: CreatableTopic,
) -> Result<CreatableTopicResult, Refused> {
    let name = asked.name.0.clone();
    check_name(controller, &name)?;
    let configs = check_configs(&asked.configs)?;
    let replicas = assign(controller, &asked)?;
    let factor = replicas.first().map_or(0, Vec::len);
    let topic_id = new_id(controller);
    let result = CreatableTopicResult::default()
        .with_name(asked.name)
        .with_topic_id(topic_id)
        .with_num_partitions(i32::try_from(replicas.len()).unwrap_or(i32::MAX))
        .with_replication_factor(i16::try_from(factor).unwrap_or(i16::MAX))
        .with_error_message(None)
        .with_configs(Some(describe(&configs)));
    if validate_only {
        return Ok(result);
    }
    // The name outlives the frame that it came in: a slice of the frame would keep all of it.
    let name = StrBytes::from_string(name.to_string());
    let resource = ConfigResource::Topic(name.clone());
    controller.append(MetadataRecord::Topic { name, id: topic_id });
    for (name, value) in configs {
        controller.append(MetadataRecord::Config { resource: resource.clone(), name, value: Some(value) });
    }
    add_partitions(controller, topic_id, 0, replicas);
    Ok(result)
}

/// New partitions: whoever is alive is in sync with nothing, and the first of them leads.
pub(super) fn add_partitions(controller: &mut Controller, topic: Uuid, first: i32, replicas: Vec<Vec<BrokerId>>) {
    for (replicas, index) in replicas.into_iter().zip(first..) {
        let alive = |id: &BrokerId| controller.image.is_alive(*id);
        let isr: Vec<BrokerId> = replicas.iter().copied().filter(alive).collect();
        let leader = isr.first().copied();
        let state = PartitionState { isr, leader, replicas, ..PartitionState::default() };
        controller.append(MetadataRecord::Partition { topic, index, state });
    }
}

fn check_name(controller: &Controller, name: &StrBytes) -> Result<(), Refused> {
    if !is_valid_name(name) {
        let message = format!(
            "topic name {:?} is not 1 to {NAME_MAX} of the characters a-z A-Z 0-9 . _ - (and neither . nor ..)",
            &**name
        );
        return Err((ResponseError::InvalidTopicException, message));
    }
    if &**name == METADATA {
        return Err((ResponseError::InvalidRequest, format!("Creation of internal topic {METADATA} is prohibited.")));
    }
    if controller.image.topics.contains_key(name) {
        return Err((ResponseError::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
    }
    // In metric names a dot becomes an underscore, so Kafka lets only one of such a pair exist.
    if !name.contains(['.', '_']) {
        return Ok(());
    }
    let folded = name.replace('.', "_");
    match controller.image.topics.keys().find(|other| other.replace('.', "_") == folded) {
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
fn assign(controller: &mut Controller, asked: &CreatableTopic) -> Result<Vec<Vec<BrokerId>>, Refused> {
    if !asked.assignments.is_empty() {
        return assigned_by_hand(controller, asked);
    }
    // Before version 4 clients did not know of defaults; Kafka takes -1 from them all the same.
    let factor = match asked.replication_factor {
        -1 => controller.config.replication_factor_default,
        factor => factor,
    };
    check_factor(factor)?;
    let count = match asked.num_partitions {
        -1 => controller.config.partitions_default,
        count => count,
    };
    if !(1..=PARTITIONS_MAX).contains(&count) {
        let message =
            format!("Number of partitions must be 1 to {PARTITIONS_MAX}, or -1 for the default, not {count}.");
        return Err((ResponseError::InvalidPartitions, message));
    }
    let first = usize::try_from(controller.rng.next_u32()).unwrap_or(0);
    place(controller, usize::try_from(count).unwrap_or(0), factor, first)
}

/// How many replicas that are, which is looked at before the number of partitions.
fn check_factor(factor: i16) -> Result<usize, Refused> {
    usize::try_from(factor).ok().filter(|factor| *factor > 0).ok_or_else(|| {
        let message =
            format!("Replication factor must be larger than 0, or -1 to use the default value, not {factor}.");
        (ResponseError::InvalidReplicationFactor, message)
    })
}

/// Places new partitions with so many replicas each.
pub(super) fn place(
    controller: &Controller,
    count: usize,
    factor: i16,
    offset: usize,
) -> Result<Vec<Vec<BrokerId>>, Refused> {
    let image = &controller.image;
    let refused = |message| Err((ResponseError::InvalidReplicationFactor, message));
    let wanted = check_factor(factor)?;
    let mut alive: BTreeMap<Option<&StrBytes>, Vec<BrokerId>> = BTreeMap::new();
    image.alive().for_each(|broker| alive.entry(broker.rack.as_ref()).or_default().push(broker.id));
    let alive: Vec<Vec<BrokerId>> = alive.into_values().collect();
    if alive.is_empty() {
        return refused(String::from("Unable to replicate the partition: all brokers are currently fenced."));
    }
    let registered = image.brokers.len();
    if registered < wanted {
        return refused(format!(
            "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} cannot be \
             reached because only {registered} broker(s) are registered."
        ));
    }
    let fenced: Vec<BrokerId> = image.brokers.keys().copied().filter(|id| !image.is_alive(*id)).collect();
    Ok(placement::place(&alive, &fenced, count, wanted, offset))
}

fn assigned_by_hand(controller: &Controller, asked: &CreatableTopic) -> Result<Vec<Vec<BrokerId>>, Refused> {
    if asked.num_partitions != -1 || asked.replication_factor != -1 {
        let message = "A manual partition assignment was specified, but numPartitions or replicationFactor was not -1.";
        return Err((ResponseError::InvalidRequest, message.to_owned()));
    }
    let mut by_index = BTreeMap::new();
    for assignment in &asked.assignments {
        let replicas: Vec<BrokerId> = assignment.broker_ids.iter().map(|id| BrokerId(id.0)).collect();
        check_new_replicas(controller, &replicas)?;
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
    let replicas: Vec<Vec<BrokerId>> = by_index.into_values().collect();
    check_equally_many(&replicas, replicas.first().map_or(0, Vec::len))?;
    Ok(replicas)
}

/// Whether partitions may be put on these brokers.
pub(super) fn check_replicas(controller: &Controller, replicas: &[BrokerId]) -> Result<(), Refused> {
    let distinct: BTreeSet<&BrokerId> = replicas.iter().collect();
    if distinct.len() < replicas.len() {
        let message = String::from("The manual partition assignment includes a broker more than once.");
        return Err((ResponseError::InvalidReplicaAssignment, message));
    }
    if replicas.is_empty() {
        let message = String::from("The manual partition assignment includes an empty replica list.");
        return Err((ResponseError::InvalidReplicaAssignment, message));
    }
    let refused = |message| Err((ResponseError::InvalidReplicaAssignment, message));
    if let Some(replica) = replicas.iter().find(|id| !controller.image.brokers.contains_key(id)) {
        return refused(format!(
            "The manual partition assignment includes broker {replica}, but no such broker is registered."
        ));
    }
    Ok(())
}

/// Whether a new partition may be put on these brokers: with nobody in sync nobody could ever lead it.
pub(super) fn check_new_replicas(controller: &Controller, replicas: &[BrokerId]) -> Result<(), Refused> {
    check_replicas(controller, replicas)?;
    if replicas.iter().any(|id| controller.image.is_alive(*id)) {
        return Ok(());
    }
    let message = format!("All brokers of the manual partition assignment {replicas:?} are fenced.");
    Err((ResponseError::InvalidReplicaAssignment, message))
}

/// The replicas of partitions of one topic are as many in each.
pub(super) fn check_equally_many(replicas: &[Vec<BrokerId>], wanted: usize) -> Result<(), Refused> {
    match replicas.iter().find(|replicas| replicas.len() != wanted) {
        None => Ok(()),
        Some(other) => Err((
            ResponseError::InvalidReplicaAssignment,
            format!(
                "The manual partition assignment includes a partition with {} replica(s), but this is not \
                     consistent with previous partitions, which have {wanted} replica(s).",
                other.len()
            ),
        )),
    }
}

/// A random id (version 4), never one of Kafka's reserved ones.
fn new_id(controller: &mut Controller) -> Uuid {
    let mut bytes = [0; 16];
    controller.rng.fill_bytes(&mut bytes);
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
