//! What sequences stand on: topics that are led, groups with members, versions that both sides speak.

use crate::group_requests::{self as groups, CONSUMER, Joining, Member};
use crate::pair::{Both, Line, Pair, Side};
use crate::requests::{NewTopic, Topic, create_topics, init_producer_id, list_offsets};
use crate::tree::Tree;
use kafka_protocol::messages::ApiKey;
use std::ops::RangeInclusive;
use std::slice::from_ref;
use uuid::Uuid;

/// A topic of a sequence.
#[derive(Debug, Clone)]
pub(crate) struct Created {
    pub(crate) name: String,
    id: Both<Uuid>,
}

impl Created {
    /// As one side has it.
    pub(crate) fn on(&self, side: Side) -> Topic<'_> {
        Topic { name: &self.name, id: *self.id.of(side) }
    }
}

/// The versions of an API that we say we serve.
pub(crate) fn versions(key: ApiKey) -> RangeInclusive<i16> {
    let entry = shakedown_broker::api::lookup(key as i16).expect("an API that is served");
    entry.min..=entry.max
}

impl Pair<'_> {
    /// A topic of one replica a partition that can be written at once.
    pub(crate) fn create(&mut self, short: &str, partitions: i32) -> Created {
        self.create_as(short, &NewTopic { partitions, replicas: 1, ..NewTopic::default() })
    }

    /// As the topic says, but for its name.
    pub(crate) fn create_as(&mut self, short: &str, new: &NewTopic<'_>) -> Created {
        let name = self.name(short);
        let new = NewTopic { name: &name, ..new.clone() };
        let answers = self.quietly(1, ApiKey::CreateTopics, 7, |_| create_topics(false, from_ref(&new)));
        let id = |side: Side| {
            let answer = answers.of(side);
            assert_eq!(answer.number("topics.0.error_code"), Some(0), "{side:?} does not create {short}: {answer:?}");
            answer.leaf("topics.0.topic_id").and_then(|id| id.parse().ok()).expect("a topic id")
        };
        let created = Created { id: Both::each(id), name: name.clone() };
        if new.assignments.is_empty() {
            self.await_led(1, &created, &(0..new.partitions).collect::<Vec<_>>());
        }
        for (index, brokers) in new.assignments {
            self.await_led(brokers[0], &created, &[*index]);
        }
        created
    }

    /// A topic that nobody has, by neither of its names.
    pub(crate) fn absent(&self, short: &str) -> Created {
        let id = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        Created { name: self.name(short), id: Both { ours: id, kafka: id } }
    }

    /// Waits until a node leads partitions.
    pub(crate) fn await_led(&mut self, node: i32, topic: &Created, partitions: &[i32]) {
        let asked: Vec<(i32, i32, i64)> = partitions.iter().map(|index| (*index, -1, -1)).collect();
        let leads = |answer: &Tree| {
            let partitions = answer.items("topics.0.partitions");
            !partitions.is_empty() && partitions.iter().all(|one| one.number("error_code") == Some(0))
        };
        let request = |side| list_offsets(7, 0, topic.on(side), &asked);
        self.until(&format!("node {node} leading {}", topic.name), node, (ApiKey::ListOffsets, 7), request, leads);
    }

    /// A member joins a group that nobody else has to rejoin, by the two steps of KIP-394. Its id, and the generation.
    pub(crate) fn join(&mut self, line: Line, group: &str, wanted: Joining<'_>) -> (Both<String>, i32) {
        let first = self.ask_on(line, ApiKey::JoinGroup, 9, |_| groups::join(9, Member::new(group), wanted));
        let ids = first.text("member_id");
        let joined = self.ask_on(line, ApiKey::JoinGroup, 9, |side| {
            groups::join(9, Member { id: ids.of(side), ..Member::new(group) }, wanted)
        });
        (ids, generation(&joined))
    }

    /// A group of one member that has its assignment.
    pub(crate) fn stable(&mut self, line: Line, group: &str) -> (Both<String>, i32) {
        let (ids, generation) = self.join(line, group, CONSUMER);
        self.ask_on(line, ApiKey::SyncGroup, 5, |side| {
            let id: &str = ids.of(side);
            let member = Member { id, generation, ..Member::new(group) };
            groups::sync(5, member, (Some("consumer"), Some("range")), &[(id, b"all")])
        });
        (ids, generation)
    }

    /// Waits until a node has ids for producers.
    pub(crate) fn await_producer_ids(&mut self) {
        let has = |answer: &Tree| answer.number("error_code") == Some(0);
        self.until("ids", 1, (ApiKey::InitProducerId, 4), |_| init_producer_id(4, (-1, -1)), has);
    }

    /// Waits until the coordinator of a group serves.
    pub(crate) fn await_coordinator(&mut self, group: &str) {
        self.await_coordinators(group);
        self.await_service(group);
    }

    /// Waits until the coordinator of a group knows its groups.
    pub(crate) fn await_service(&mut self, group: &str) {
        let serves = |answer: &Tree| answer.number("groups.0.error_code") == Some(0);
        let key = (ApiKey::OffsetFetch, 8);
        self.until("a coordinator that serves", 1, key, |_| groups::fetch_offsets(8, group, None), serves);
    }

    /// Waits until there are coordinators at all.
    pub(crate) fn await_coordinators(&mut self, group: &str) {
        let found = |answer: &Tree| answer.number("coordinators.0.error_code") == Some(0);
        let key = (ApiKey::FindCoordinator, 4);
        self.until("a coordinator", 1, key, |_| groups::find_coordinator(4, 0, &[group]), found);
    }
}

/// The generation that a join led to, which is the same on both sides or a difference that was found.
pub(crate) fn generation(joined: &Both<Tree>) -> i32 {
    i32::try_from(joined.number("generation_id").kafka).expect("a generation")
}
