//! What the metadata log adds up to. Every node has an image of its own and decides by nothing else, so that stale
//! metadata on a node that was cut off is real.
//!
//! A record that has nothing to act on (a change of a topic that is gone) changes nothing: every node replays the same
//! records and so ignores the same ones.

use super::record::{BrokerRegistration, ConfigResource, MetadataRecord, PartitionState};
use crate::types::{BrokerId, Offset, PartitionId, ProducerId};
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// The next offset to replay.
    pub end: Offset,
    /// Registered brokers, fenced or not.
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
        self.skip();
        match record {
            MetadataRecord::RegisterBroker(registration) => {
                self.brokers.insert(registration.id, registration.clone());
            }
            MetadataRecord::BrokerRegistrationChange { id, epoch, fenced, in_controlled_shutdown } => {
                // A change of an earlier registration says nothing about this one.
                if let Some(broker) = self.brokers.get_mut(id).filter(|broker| broker.epoch == *epoch) {
                    broker.fenced = fenced.unwrap_or(broker.fenced);
                    broker.in_controlled_shutdown |= in_controlled_shutdown;
                }
            }
            MetadataRecord::Topic { name, id } => {
                self.names.insert(*id, name.clone());
                self.topics.insert(name.clone(), Topic { id: *id, partitions: Vec::new() });
            }
            MetadataRecord::Partition { topic, index, state } => {
                if let Some(topic) = self.topic_mut(topic) {
                    // A controller writes the partitions of a topic in order.
                    match usize::try_from(*index) {
                        Ok(at) if at < topic.partitions.len() => topic.partitions[at] = state.clone(),
                        Ok(at) if at == topic.partitions.len() => topic.partitions.push(state.clone()),
                        _ => {}
                    }
                }
            }
            MetadataRecord::PartitionChange { topic, index, change } => {
                let at = usize::try_from(*index).ok();
                if let Some(state) = at.and_then(|at| self.topic_mut(topic)?.partitions.get_mut(at)) {
                    state.merge(change);
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
                // As if there had never been any: a snapshot could not tell the difference.
                if settings.is_empty() {
                    self.configs.remove(resource);
                }
            }
            MetadataRecord::ProducerIds { next, .. } => self.next_producer_id = *next,
        }
    }

    /// Passes over an offset that holds nothing of the cluster: a control record of the quorum.
    pub fn skip(&mut self) {
        self.end = self.end.plus(1);
    }

    /// Whether a broker is registered and not fenced.
    #[must_use]
    pub fn is_alive(&self, id: BrokerId) -> bool {
        self.brokers.get(&id).is_some_and(|broker| !broker.fenced)
    }

    /// The brokers that are registered and not fenced, by id.
    pub fn alive(&self) -> impl Iterator<Item = &BrokerRegistration> {
        self.brokers.values().filter(|broker| !broker.fenced)
    }

    /// A partition's state, by the topic's id.
    #[must_use]
    pub fn state(&self, id: PartitionId) -> Option<&PartitionState> {
        self.topics.get(self.names.get(&id.topic)?)?.partitions.get(usize::try_from(id.index).ok()?)
    }

    /// A partition's state, by the topic's name.
    #[must_use]
    pub fn partition(&self, topic: &str, index: i32) -> Option<&PartitionState> {
        self.topics.get(topic.as_bytes())?.partitions.get(usize::try_from(index).ok()?)
    }

    /// All partitions, by topic name and index.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionId, &PartitionState)> {
        self.topics.values().flat_map(|topic| {
            let in_order = (0..).zip(&topic.partitions);
            in_order.map(|(index, state)| (PartitionId { topic: topic.id, index }, state))
        })
    }

    /// The settings that a topic has of its own.
    #[must_use]
    pub fn topic_settings(&self, name: &StrBytes) -> Option<&BTreeMap<String, String>> {
        self.configs.get(&ConfigResource::Topic(name.clone()))
    }

    fn topic_mut(&mut self, id: &Uuid) -> Option<&mut Topic> {
        self.topics.get_mut(self.names.get(id)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::PartitionChange;
    use super::*;
    use crate::types::LeaderEpoch;

    const TOPIC: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    fn replay(records: &[MetadataRecord]) -> Image {
        let mut image = Image::default();
        records.iter().for_each(|record| image.apply(record));
        image
    }

    fn topic(name: &'static str, id: Uuid) -> MetadataRecord {
        MetadataRecord::Topic { name: StrBytes::from_static_str(name), id }
    }

    fn partition(topic: Uuid, index: i32, leader: i32) -> MetadataRecord {
        let state = PartitionState { leader: Some(BrokerId(leader)), ..PartitionState::default() };
        MetadataRecord::Partition { topic, index, state }
    }

    fn change(topic: Uuid, index: i32, leader: Option<BrokerId>) -> MetadataRecord {
        let change = PartitionChange { leader: Some(leader), ..PartitionChange::default() };
        MetadataRecord::PartitionChange { topic, index, change }
    }

    fn registration(epoch: i64) -> MetadataRecord {
        MetadataRecord::RegisterBroker(BrokerRegistration {
            id: BrokerId(1),
            epoch,
            incarnation: Uuid::from_u128(9),
            host: StrBytes::from_static_str("localhost"),
            port: 9092,
            rack: None,
            fenced: true,
            in_controlled_shutdown: false,
        })
    }

    fn registration_change(epoch: i64, fenced: Option<bool>, in_controlled_shutdown: bool) -> MetadataRecord {
        MetadataRecord::BrokerRegistrationChange { id: BrokerId(1), epoch, fenced, in_controlled_shutdown }
    }

    #[test]
    fn a_broker_is_alive_while_its_own_registration_is_unfenced() {
        let mut image = replay(&[registration(5)]);
        assert!(!image.is_alive(BrokerId(1)) && !image.is_alive(BrokerId(2)));
        image.apply(&registration_change(4, Some(false), false));
        assert!(!image.is_alive(BrokerId(1)), "another registration was unfenced");
        image.apply(&registration_change(5, Some(false), false));
        assert_eq!(image.alive().map(|broker| broker.id).collect::<Vec<_>>(), [BrokerId(1)]);
        image.apply(&registration_change(5, None, true));
        assert!(image.is_alive(BrokerId(1)) && image.brokers[&BrokerId(1)].in_controlled_shutdown);
        image.apply(&registration_change(5, Some(true), false));
        assert!(!image.is_alive(BrokerId(1)) && image.brokers[&BrokerId(1)].in_controlled_shutdown);
        image.apply(&registration(10));
        assert!(!image.brokers[&BrokerId(1)].in_controlled_shutdown, "a registration begins anew");
        assert_eq!(image.end, Offset(6));
    }

    #[test]
    fn partitions_change_where_they_are() {
        let image = replay(&[
            topic("b", TOPIC),
            topic("a", OTHER),
            partition(TOPIC, 0, 1),
            partition(TOPIC, 1, 2),
            partition(OTHER, 0, 3),
            change(TOPIC, 1, None),
            change(TOPIC, 2, None),
            change(Uuid::from_u128(3), 0, None),
        ]);
        let leaders: Vec<_> = image.partitions().map(|(id, state)| (id.topic, id.index, state.leader)).collect();
        assert_eq!(leaders, [(OTHER, 0, Some(BrokerId(3))), (TOPIC, 0, Some(BrokerId(1))), (TOPIC, 1, None)]);
        let changed = image.state(PartitionId { topic: TOPIC, index: 1 }).expect("a partition");
        assert_eq!((changed.leader_epoch, changed.partition_epoch), (LeaderEpoch(1), 1));
        assert_eq!(image.partition("b", 1), Some(changed));
        assert_eq!(image.state(PartitionId { topic: TOPIC, index: 2 }), None);
        assert_eq!(image.state(PartitionId { topic: TOPIC, index: -1 }), None);
        assert_eq!(image.end, Offset(8));
    }

    #[test]
    fn a_partition_that_cannot_be_is_not_made_room_for() {
        let image = replay(&[topic("a", TOPIC), partition(TOPIC, i32::MAX, 1), partition(TOPIC, -1, 1)]);
        assert_eq!(image.partitions().count(), 0);
        let image = replay(&[topic("a", TOPIC), partition(TOPIC, 0, 1), partition(TOPIC, 0, 2)]);
        let leaders: Vec<_> = image.partitions().map(|(_, state)| state.leader).collect();
        assert_eq!(leaders, [Some(BrokerId(2))], "a partition that is written again is replaced");
    }

    #[test]
    fn a_topic_goes_with_its_partitions_and_settings() {
        let resource = ConfigResource::Topic(StrBytes::from_static_str("a"));
        let config = |value: Option<&str>| MetadataRecord::Config {
            resource: resource.clone(),
            name: "retention.ms".to_owned(),
            value: value.map(str::to_owned),
        };
        let mut image = replay(&[topic("a", TOPIC), partition(TOPIC, 0, 1), config(Some("1")), config(Some("2"))]);
        let name = StrBytes::from_static_str("a");
        let setting = image.topic_settings(&name).and_then(|settings| settings.get("retention.ms"));
        assert_eq!(setting.map(String::as_str), Some("2"));
        image.apply(&config(None));
        assert_eq!(image.topic_settings(&name), None, "the last setting leaves nothing behind");
        image.apply(&config(Some("3")));
        image.apply(&MetadataRecord::RemoveTopic { id: TOPIC });
        assert_eq!(image, Image { end: Offset(7), ..Image::default() });
        image.apply(&topic("a", OTHER));
        assert_eq!(image.topic_settings(&name), None);
    }

    #[test]
    fn control_records_take_offsets_only() {
        let mut image = Image::default();
        image.skip();
        let (broker, broker_epoch) = (BrokerId(1), 7);
        image.apply(&MetadataRecord::ProducerIds { broker, broker_epoch, next: ProducerId(1000) });
        assert_eq!(image, Image { end: Offset(2), next_producer_id: ProducerId(1000), ..Image::default() });
    }
}
