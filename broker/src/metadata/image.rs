//! What the metadata log adds up to. Every node has an image of its own and decides by nothing else, so that stale
//! metadata on a node that was cut off is real.

use super::record::{BrokerRegistration, ConfigResource, MetadataRecord, PartitionState};
use crate::types::{BrokerId, Offset, ProducerId};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its id, never used again for another.
    pub id: Uuid,
    /// Its partitions by index.
    pub partitions: Vec<PartitionState>,
}

/// The cluster as one node knows it.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// The next offset to replay.
    pub end: Offset,
    /// Registered nodes.
    pub brokers: BTreeMap<BrokerId, BrokerRegistration>,
    /// Topics by name.
    pub topics: BTreeMap<StrBytes, Topic>,
    /// Names by topic id.
    pub names: BTreeMap<Uuid, StrBytes>,
    /// Settings that differ from their defaults.
    pub configs: BTreeMap<ConfigResource, BTreeMap<String, String>>,
    /// The first producer id that nobody has.
    pub next_producer_id: ProducerId,
}

impl Image {
    /// Replays one record.
    pub fn apply(&mut self, record: &MetadataRecord) {
        self.end = self.end.plus(1);
        match record {
            MetadataRecord::RegisterBroker(registration) => {
                self.brokers.insert(registration.id, registration.clone());
            }
            MetadataRecord::Topic { name, id } => {
                self.names.insert(*id, name.clone());
                self.topics.insert(name.clone(), Topic { id: *id, partitions: Vec::new() });
            }
            MetadataRecord::Partition { topic, state, .. } => {
                if let Some(topic) = self.names.get(topic).and_then(|name| self.topics.get_mut(name)) {
                    topic.partitions.push(state.clone());
                }
            }
            MetadataRecord::RemoveTopic { id } => {
                if let Some(name) = self.names.remove(id) {
                    self.topics.remove(&name);
                    self.configs.remove(&ConfigResource::Topic(name));
                }
            }
            MetadataRecord::Config { resource, name, value } => {
                let settings = self.configs.entry(resource.clone()).or_default();
                match value {
                    Some(value) => settings.insert(name.clone(), value.clone()),
                    None => settings.remove(name),
                };
            }
            MetadataRecord::ProducerIds { next } => self.next_producer_id = *next,
        }
    }

    /// A partition's state.
    #[must_use]
    pub fn partition(&self, topic: &str, index: i32) -> Option<&PartitionState> {
        self.topics.get(topic.as_bytes())?.partitions.get(usize::try_from(index).ok()?)
    }

    /// The settings that a topic has of its own.
    #[must_use]
    pub fn topic_settings(&self, name: &StrBytes) -> Option<&BTreeMap<String, String>> {
        self.configs.get(&ConfigResource::Topic(name.clone()))
    }
}
