//! `Metadata` 0–13: nodes, topics and who leads what, from this node's own image.
//!
//! Version steps: 1 null for all topics, controller; 4 auto-creation flag; 5 offline replicas; 7 leader epochs; 8
//! authorised operations; 9 flexible; 10 topic ids; 12 topics by id; 13 top-level error. As in KRaft, the node that is
//! named as controller is any live broker: all forward to the real one.

use super::authorized_operations::{self as operations, NOT_ASKED};
use super::{Call, Effect, create_topics};
use crate::metadata::image::{Image, Topic};
use crate::metadata::is_internal;
use crate::node::Node;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;

pub(super) fn handle(node: &mut Node, call: &Call, request: MetadataRequest) -> Effect {
    let operations = operations::if_asked(request.include_topic_authorized_operations, operations::TOPIC);
    let cluster_operations = operations::if_asked(request.include_cluster_authorized_operations, operations::CLUSTER);
    let may_create = call.version < 4 || request.allow_auto_topic_creation;
    let topics = match request.topics {
        // Version 0 has no null: there an empty list asks for all.
        Some(topics) if !(call.version == 0 && topics.is_empty()) => {
            let mut missing = Vec::new();
            let mut seen = BTreeSet::new();
            let asked = topics.into_iter().filter(|topic| seen.insert((topic.name.clone(), topic.topic_id)));
            let answers = asked.map(|topic| one(&node.image, call.version, topic, operations, &mut missing)).collect();
            if may_create && node.config.auto_create_topics {
                create(node, call, missing);
            }
            answers
        }
        _ => node.image.topics.iter().map(|(name, topic)| describe(&node.image, name, topic, operations)).collect(),
    };
    let brokers = node.image.alive().map(|broker| {
        MetadataResponseBroker::default()
            .with_node_id(broker.id.0.into())
            .with_host(broker.host.clone())
            .with_port(broker.port.into())
            .with_rack(broker.rack.clone())
    });
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(StrBytes::from_string(node.config.cluster_id.clone())))
        .with_controller_id(node.config.id.0.into())
        .with_topics(topics)
        .with_cluster_authorized_operations(cluster_operations)
        .into()
}

fn one(
    image: &Image,
    version: i16,
    asked: MetadataRequestTopic,
    operations: i32,
    missing: &mut Vec<StrBytes>,
) -> MetadataResponseTopic {
    let failed = |error: ResponseError| {
        MetadataResponseTopic::default().with_error_code(error.code()).with_topic_authorized_operations(operations)
    };
    // An id counts more than a name.
    let Some(name) = asked.name.map(|name| name.0).filter(|_| asked.topic_id.is_nil()) else {
        let found = image.names.get(&asked.topic_id).and_then(|name| Some((name, image.topics.get(name)?)));
        return match found {
            Some((name, topic)) => describe(image, name, topic, operations),
            None => failed(ResponseError::UnknownTopicId)
                .with_name(None)
                .with_topic_id(asked.topic_id)
                .with_topic_authorized_operations(NOT_ASKED),
        };
    };
    if let Some(topic) = image.topics.get(&name) {
        return describe(image, &name, topic, operations);
    }
    let error = if create_topics::is_valid_name(&name) {
        missing.push(name.clone());
        ResponseError::UnknownTopicOrPartition
    } else {
        ResponseError::InvalidTopicException
    };
    let unknown = failed(error).with_is_internal(is_internal(&name)).with_name(Some(name.into()));
    if version >= 10 { unknown.with_topic_id(asked.topic_id) } else { unknown }
}

fn describe(image: &Image, name: &StrBytes, topic: &Topic, operations: i32) -> MetadataResponseTopic {
    let ids = |brokers: &[crate::BrokerId]| brokers.iter().map(|id| BrokerId(id.0)).collect::<Vec<_>>();
    let partitions = topic.partitions.iter().zip(0..).map(|(state, index)| {
        let leader = state.leader.filter(|leader| image.is_alive(*leader));
        let error = if leader.is_some() { 0 } else { ResponseError::LeaderNotAvailable.code() };
        let offline: Vec<crate::BrokerId> = state.replicas.iter().copied().filter(|id| !image.is_alive(*id)).collect();
        MetadataResponsePartition::default()
            .with_error_code(error)
            .with_partition_index(index)
            .with_leader_id(leader.map_or(-1, |leader| leader.0).into())
            .with_leader_epoch(state.leader_epoch.0)
            .with_replica_nodes(ids(&state.replicas))
            .with_isr_nodes(ids(&state.isr))
            .with_offline_replicas(ids(&offline))
    });
    MetadataResponseTopic::default()
        .with_name(Some(name.clone().into()))
        .with_topic_id(topic.id)
        .with_is_internal(is_internal(name))
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(operations)
}

/// Asks the controller for topics that a client expects to appear; the client sees them when it asks again.
fn create(node: &mut Node, call: &Call, missing: Vec<StrBytes>) {
    for name in missing {
        let config = &node.config;
        let (partitions, replicas) = if is_internal(&name) {
            (config.offsets_partitions, config.offsets_replication_factor)
        } else {
            (config.partitions_default, config.replication_factor_default)
        };
        let request = create_topics::request(name, partitions, replicas, &[]);
        create_topics::ask(node, call.now, request);
    }
}
