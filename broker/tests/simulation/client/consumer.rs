//! A consumer: a member of the group that reads its partitions from their leaders, one fetch at a time.
//!
//! It believes no metadata that is older than what it has seen (KIP-320), so it never reads from a leader of the past.

use super::member::{Member, Stage};
use super::wire::{self, expect_kind};
use super::{CallId, Client, Desk, Outcome, error};
use crate::chance::MS;
use crate::client::admin::TOPIC;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{ApiKey, FetchRequest, MetadataRequest, MetadataResponse, RequestKind};
use shakedown_broker::BrokerId;
use shakedown_broker::batch::header::BatchHeader;
use shakedown_broker::types::PartitionId;
use std::any::Any;
use uuid::Uuid;

/// How often it looks what is due.
const TICK_MS: u64 = 50;
/// How long a broker may wait for records.
const FETCH_WAIT_MS: i32 = 400;

struct Leader {
    broker: BrokerId,
    epoch: i32,
    /// Whether it said that it is not the leader.
    doubted: bool,
}

/// The consumer.
pub(crate) struct Consumer {
    member: Member,
    topic: Uuid,
    leaders: Vec<Option<Leader>>,
    metadata: Option<CallId>,
    /// The call, the partition, and from where it reads.
    fetch: Option<(CallId, i32, i64)>,
    /// The partition that was asked for last: the next one follows.
    last_fetched: i32,
    not_before_ns: u64,
}

impl Consumer {
    pub(crate) fn new() -> Self {
        Self {
            member: Member::new(),
            topic: Uuid::nil(),
            leaders: Vec::new(),
            metadata: None,
            fetch: None,
            last_fetched: -1,
            not_before_ns: 0,
        }
    }

    fn go_on(&mut self, desk: &mut Desk<'_>) {
        let known = |leader: &Option<Leader>| leader.as_ref().is_some_and(|leader| !leader.doubted);
        let complete = !self.leaders.is_empty() && self.leaders.iter().all(known);
        if !complete && self.metadata.is_none() && desk.now_ns >= self.not_before_ns {
            let name = MetadataRequestTopic::default().with_name(Some(wire::topic(TOPIC)));
            let request =
                MetadataRequest::default().with_topics(Some(vec![name])).with_allow_auto_topic_creation(false);
            let broker = desk.any_broker();
            self.metadata = Some(desk.ask(broker, ApiKey::Metadata, 12, RequestKind::Metadata(request)));
        }
        if self.leaders.is_empty() {
            return;
        }
        self.member.go_on(desk, self.leaders.len());
        if self.fetch.is_none() && self.member.stage == Stage::Stable && desk.now_ns >= self.not_before_ns {
            self.fetch(desk);
        }
    }

    fn fetch(&mut self, desk: &mut Desk<'_>) {
        let assigned = || self.member.positions.keys().copied();
        let next = assigned().find(|index| *index > self.last_fetched).or_else(|| assigned().next());
        let Some(index) = next else { return };
        self.last_fetched = index;
        let leader = usize::try_from(index).ok().and_then(|at| self.leaders.get(at)?.as_ref());
        let Some(leader) = leader.filter(|leader| !leader.doubted) else { return };
        if self.member.epochs.get(&index).is_some_and(|seen| *seen > leader.epoch) {
            return self.doubt(desk, index);
        }
        let position = self.member.positions[&index];
        let partition = FetchPartition::default()
            .with_partition(index)
            .with_current_leader_epoch(leader.epoch)
            .with_fetch_offset(position)
            .with_partition_max_bytes(1 << 16);
        let topic = FetchTopic::default().with_topic(wire::topic(TOPIC)).with_partitions(vec![partition]);
        let request = FetchRequest::default()
            .with_max_wait_ms(FETCH_WAIT_MS)
            .with_min_bytes(1)
            .with_max_bytes(1 << 16)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let call = desk.ask(leader.broker, ApiKey::Fetch, 12, RequestKind::Fetch(request));
        self.fetch = Some((call, index, position));
    }

    fn learn(&mut self, desk: &mut Desk<'_>, response: &MetadataResponse) {
        let Some(topic) = response.topics.first().filter(|topic| topic.error_code == 0) else {
            return self.wait_a_little(desk);
        };
        self.topic = topic.topic_id;
        self.leaders.resize_with(topic.partitions.len().max(self.leaders.len()), || None);
        for partition in &topic.partitions {
            let at = usize::try_from(partition.partition_index).expect("an index");
            let seen = self.leaders[at].as_ref().map_or(-1, |leader| leader.epoch);
            if partition.leader_id.0 >= 0 && partition.leader_epoch >= seen {
                let (broker, epoch) = (BrokerId(partition.leader_id.0), partition.leader_epoch);
                self.leaders[at] = Some(Leader { broker, epoch, doubted: false });
            } else {
                self.wait_a_little(desk);
            }
        }
    }

    fn wait_a_little(&mut self, desk: &mut Desk<'_>) {
        let ms = desk.chance.between(20, 100);
        self.not_before_ns = desk.now_ns + ms * MS;
    }

    fn doubt(&mut self, desk: &mut Desk<'_>, index: i32) {
        if let Some(Some(leader)) = usize::try_from(index).ok().and_then(|at| self.leaders.get_mut(at)) {
            leader.doubted = true;
        }
        self.wait_a_little(desk);
    }

    fn fetched(&mut self, desk: &mut Desk<'_>, index: i32, position: i64, outcome: Outcome) {
        let Outcome::Answer(response) = outcome else {
            return self.doubt(desk, index);
        };
        let mut response = expect_kind!(Fetch, *response);
        if response.error_code != 0 || response.responses.is_empty() {
            return self.doubt(desk, index);
        }
        let partition = response.responses.remove(0).partitions.remove(0);
        // A rebalance may have taken the partition away, and given it back further behind.
        if self.member.positions.get(&index) != Some(&position) {
            return;
        }
        let id = PartitionId { topic: self.topic, index };
        match error(partition.error_code) {
            None => self.read(desk, id, position, &partition),
            Some(ResponseError::OffsetOutOfRange) => {
                let checked = desk.invariants.history.out_of_range(id, position);
                desk.check(checked);
                desk.invariants.history.position_reset(desk.now_ns, index);
                self.member.positions.insert(index, 0);
                self.member.epochs.remove(&index);
            }
            Some(_) => self.doubt(desk, index),
        }
    }

    fn read(&mut self, desk: &mut Desk<'_>, id: PartitionId, mut position: i64, partition: &PartitionData) {
        let records = partition.records.clone().unwrap_or_default();
        let mut left = &records[..];
        while let Some(header) = BatchHeader::read(left) {
            let Some((batch, rest)) = header.size().and_then(|size| left.split_at_checked(size)) else { break };
            let checked = desk.invariants.shown(id, &header, batch);
            desk.check(checked);
            position = position.max(header.last_offset().0 + 1);
            self.member.epochs.insert(id.index, header.leader_epoch.0);
            left = rest;
        }
        if self.member.positions.insert(id.index, position) != Some(position) {
            desk.story(|| format!("read {}/{} up to {position}", TOPIC, id.index));
        }
    }
}

impl Client for Consumer {
    fn start(&mut self, desk: &mut Desk<'_>) {
        let ms = desk.chance.between(100, 2_000);
        desk.wake_in(ms, 0);
    }

    fn answered(&mut self, desk: &mut Desk<'_>, call: CallId, outcome: Outcome) {
        if self.metadata == Some(call) {
            self.metadata = None;
            match outcome {
                Outcome::Answer(response) => self.learn(desk, &expect_kind!(Metadata, *response)),
                Outcome::Lost => self.wait_a_little(desk),
            }
        } else if let Some((_, index, position)) = self.fetch.take_if(|(fetch, ..)| *fetch == call) {
            self.fetched(desk, index, position, outcome);
        } else {
            self.member.answered(desk, call, outcome);
        }
        self.go_on(desk);
    }

    fn woken(&mut self, desk: &mut Desk<'_>, _: u8) {
        self.go_on(desk);
        desk.wake_in(TICK_MS, 0);
    }

    fn unfinished(&self, ends: &[i64]) -> Option<String> {
        if self.member.stage != Stage::Stable {
            return Some(format!("a consumer is {:?}", self.member.stage));
        }
        let behind = self.member.positions.iter().find(|(index, position)| {
            let end = usize::try_from(**index).ok().and_then(|at| ends.get(at)).copied().unwrap_or(0);
            **position < end || self.member.committed.get(index).is_none_or(|committed| *committed < end && end > 0)
        });
        behind.map(|(index, position)| {
            let committed = self.member.committed.get(index);
            format!("a consumer of partition {index} is at {position}, committed {committed:?}, of {ends:?}")
        })
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
