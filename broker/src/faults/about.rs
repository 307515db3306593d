//! What a request is about: topics and partitions, groups, a transactional id.
//!
//! Owns the reading of every request body for this purpose. Topic ids are turned into names by the metadata of the node
//! that was asked; an id that it does not know names nothing.

use crate::node::Node;
use kafka_protocol::messages::{FetchRequest, OffsetFetchRequest, RequestKind, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// `ConfigResource.Type.TOPIC`.
const TOPIC_RESOURCE: i8 = 2;

/// A topic, or one partition of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: Option<i32>,
}

/// What a request is about.
#[derive(Debug, Default)]
pub(super) struct About {
    /// It asks for all topics that there are.
    all_topics: bool,
    /// Topics, each with a partition where it names one.
    places: Vec<(StrBytes, Option<i32>)>,
    pub(super) groups: Vec<StrBytes>,
    pub(super) transactional_id: Option<StrBytes>,
}

impl About {
    /// Whether this place is among what it is about.
    pub(super) fn names(&self, place: Place<'_>) -> bool {
        let named = |(topic, partition): &(StrBytes, Option<i32>)| {
            **topic == *place.topic
                && place.partition.is_none_or(|wanted| partition.is_none_or(|named| named == wanted))
        };
        self.all_topics || self.places.iter().any(named)
    }

    fn topic(&mut self, name: &StrBytes) {
        self.places.push((name.clone(), None));
    }

    fn topics<'a>(&mut self, names: impl IntoIterator<Item = &'a TopicName>) {
        names.into_iter().for_each(|name| self.topic(&name.0));
    }

    fn partitions(&mut self, name: &StrBytes, partitions: impl IntoIterator<Item = i32>) {
        self.places.extend(partitions.into_iter().map(|partition| (name.clone(), Some(partition))));
    }

    /// Names of a version without ids, ids of one with them.
    fn either(&mut self, node: &Node, name: &StrBytes, id: Uuid, partitions: impl IntoIterator<Item = i32>) {
        if !name.is_empty() {
            self.partitions(name, partitions);
        } else if let Some(name) = node.image().names.get(&id).cloned() {
            self.partitions(&name, partitions);
        }
    }

    fn group(mut self, group: &StrBytes) -> Self {
        self.groups.push(group.clone());
        self
    }

    /// Reads a request that a node was asked.
    pub(super) fn read(node: &Node, request: &RequestKind) -> Self {
        let nothing = Self::default();
        match request {
            RequestKind::Produce(_)
            | RequestKind::Fetch(_)
            | RequestKind::ListOffsets(_)
            | RequestKind::OffsetForLeaderEpoch(_)
            | RequestKind::DeleteRecords(_)
            | RequestKind::DescribeProducers(_) => nothing.of_data(node, request),
            RequestKind::OffsetCommit(_) | RequestKind::OffsetFetch(_) | RequestKind::OffsetDelete(_) => {
                nothing.of_offsets(node, request)
            }
            RequestKind::FindCoordinator(find) => {
                let mut about = nothing;
                about.groups.extend(Some(&find.key).filter(|key| !key.is_empty()).into_iter().cloned());
                about.groups.extend(find.coordinator_keys.iter().cloned());
                about
            }
            RequestKind::JoinGroup(join) => nothing.group(&join.group_id),
            RequestKind::SyncGroup(sync) => nothing.group(&sync.group_id),
            RequestKind::Heartbeat(heartbeat) => nothing.group(&heartbeat.group_id),
            RequestKind::LeaveGroup(leave) => nothing.group(&leave.group_id),
            RequestKind::DescribeGroups(describe) => describe.groups.iter().fold(nothing, |it, group| it.group(group)),
            RequestKind::DeleteGroups(delete) => delete.groups_names.iter().fold(nothing, |it, group| it.group(group)),
            RequestKind::InitProducerId(init) => {
                Self { transactional_id: init.transactional_id.as_ref().map(|id| id.0.clone()), ..nothing }
            }
            other => nothing.of_admin(node, other),
        }
    }

    fn of_data(mut self, node: &Node, request: &RequestKind) -> Self {
        match request {
            RequestKind::Produce(produce) => {
                self.transactional_id = produce.transactional_id.as_ref().map(|id| id.0.clone());
                for topic in &produce.topic_data {
                    let partitions = topic.partition_data.iter().map(|partition| partition.index);
                    self.either(node, &topic.name.0, topic.topic_id, partitions);
                }
            }
            RequestKind::Fetch(fetch) => self.of_fetch(node, fetch),
            RequestKind::ListOffsets(list) => {
                for topic in &list.topics {
                    self.partitions(&topic.name.0, topic.partitions.iter().map(|partition| partition.partition_index));
                }
            }
            RequestKind::OffsetForLeaderEpoch(ask) => {
                for topic in &ask.topics {
                    self.partitions(&topic.topic.0, topic.partitions.iter().map(|partition| partition.partition));
                }
            }
            RequestKind::DeleteRecords(delete) => {
                for topic in &delete.topics {
                    self.partitions(&topic.name.0, topic.partitions.iter().map(|partition| partition.partition_index));
                }
            }
            RequestKind::DescribeProducers(describe) => {
                for topic in &describe.topics {
                    self.partitions(&topic.name.0, topic.partition_indexes.iter().copied());
                }
            }
            _ => {}
        }
        self
    }

    fn of_fetch(&mut self, node: &Node, fetch: &FetchRequest) {
        for topic in &fetch.topics {
            let partitions = topic.partitions.iter().map(|partition| partition.partition);
            self.either(node, &topic.topic.0, topic.topic_id, partitions);
        }
        for target in node.sessions.targets(fetch.session_id) {
            self.either(node, &target.topic, target.topic_id, [target.partition]);
        }
    }

    fn of_offsets(mut self, node: &Node, request: &RequestKind) -> Self {
        match request {
            RequestKind::OffsetCommit(commit) => {
                for topic in &commit.topics {
                    let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
                    self.either(node, &topic.name.0, topic.topic_id, partitions);
                }
                self.group(&commit.group_id)
            }
            RequestKind::OffsetFetch(fetch) => self.of_offset_fetch(node, fetch),
            RequestKind::OffsetDelete(delete) => {
                for topic in &delete.topics {
                    self.partitions(&topic.name.0, topic.partitions.iter().map(|partition| partition.partition_index));
                }
                self.group(&delete.group_id)
            }
            _ => self,
        }
    }

    fn of_offset_fetch(mut self, node: &Node, fetch: &OffsetFetchRequest) -> Self {
        let single = !fetch.group_id.is_empty();
        self.all_topics = (single && fetch.topics.is_none()) || fetch.groups.iter().any(|group| group.topics.is_none());
        for topic in fetch.topics.iter().flatten() {
            self.partitions(&topic.name.0, topic.partition_indexes.iter().copied());
        }
        for topic in fetch.groups.iter().filter_map(|group| group.topics.as_ref()).flatten() {
            self.either(node, &topic.name.0, topic.topic_id, topic.partition_indexes.iter().copied());
        }
        self.groups.extend(Some(&fetch.group_id.0).filter(|_| single).cloned());
        self.groups.extend(fetch.groups.iter().map(|group| group.group_id.0.clone()));
        self
    }

    fn of_admin(mut self, node: &Node, request: &RequestKind) -> Self {
        match request {
            RequestKind::Metadata(metadata) => {
                self.all_topics = metadata.topics.is_none();
                for topic in metadata.topics.iter().flatten() {
                    let name = topic.name.as_ref().map(|name| name.0.clone());
                    let name = name.or_else(|| node.image().names.get(&topic.topic_id).cloned());
                    self.places.extend(name.map(|name| (name, None)));
                }
            }
            RequestKind::DescribeTopicPartitions(describe) => {
                self.all_topics = describe.topics.is_empty();
                self.topics(describe.topics.iter().map(|topic| &topic.name));
            }
            RequestKind::CreateTopics(create) => self.topics(create.topics.iter().map(|topic| &topic.name)),
            RequestKind::CreatePartitions(create) => self.topics(create.topics.iter().map(|topic| &topic.name)),
            RequestKind::DeleteTopics(delete) => {
                self.topics(&delete.topic_names);
                for topic in &delete.topics {
                    let name = topic.name.as_ref().map(|name| name.0.clone());
                    let name = name.or_else(|| node.image().names.get(&topic.topic_id).cloned());
                    self.places.extend(name.map(|name| (name, None)));
                }
            }
            RequestKind::ElectLeaders(elect) => {
                self.all_topics = elect.topic_partitions.is_none();
                for topic in elect.topic_partitions.iter().flatten() {
                    self.partitions(&topic.topic.0, topic.partitions.iter().copied());
                }
            }
            RequestKind::AlterPartitionReassignments(alter) => {
                for topic in &alter.topics {
                    self.partitions(&topic.name.0, topic.partitions.iter().map(|partition| partition.partition_index));
                }
            }
            RequestKind::ListPartitionReassignments(list) => {
                self.all_topics = list.topics.is_none();
                for topic in list.topics.iter().flatten() {
                    self.partitions(&topic.name.0, topic.partition_indexes.iter().copied());
                }
            }
            RequestKind::DescribeLogDirs(describe) => {
                self.all_topics = describe.topics.is_none();
                for topic in describe.topics.iter().flatten() {
                    self.partitions(&topic.topic.0, topic.partitions.iter().copied());
                }
            }
            RequestKind::DescribeConfigs(describe) => {
                let resources = describe.resources.iter().map(|it| (it.resource_type, &it.resource_name));
                self.of_resources(resources);
            }
            RequestKind::AlterConfigs(alter) => {
                self.of_resources(alter.resources.iter().map(|it| (it.resource_type, &it.resource_name)));
            }
            RequestKind::IncrementalAlterConfigs(alter) => {
                self.of_resources(alter.resources.iter().map(|it| (it.resource_type, &it.resource_name)));
            }
            // The rest is about brokers, the quorum or groups as a whole.
            _ => {}
        }
        self
    }

    fn of_resources<'a>(&mut self, resources: impl Iterator<Item = (i8, &'a StrBytes)>) {
        resources.filter(|(kind, _)| *kind == TOPIC_RESOURCE).for_each(|(_, name)| self.topic(name));
    }
}
