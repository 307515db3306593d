//! A member of a consumer group: finds the coordinator, joins, synchronises, stays alive, commits (the classic protocol).
//!
//! One request to the coordinator at a time. What it reads meanwhile is in [`super::consumer`].

use super::wire::{self, expect_kind};
use super::{CallId, Desk, Outcome, error};
use crate::chance::MS;
use crate::client::admin::TOPIC;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ApiKey, FindCoordinatorRequest, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    OffsetCommitRequest, OffsetFetchRequest, OffsetFetchResponse, RequestKind, ResponseKind, SyncGroupRequest,
};
use kafka_protocol::protocol::StrBytes;
use shakedown_broker::BrokerId;
use std::collections::BTreeMap;

/// The group of every simulated consumer.
pub(crate) const GROUP: &str = "readers";

const SESSION_MS: i32 = 2_000;
const REBALANCE_MS: i32 = 1_500;
const HEARTBEAT_MS: u64 = 500;
const COMMIT_MS: u64 = 400;

/// Where a member is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Joining,
    Synchronising,
    FetchingOffsets,
    Stable,
}

/// What the one request to the coordinator is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Coordinator,
    Join,
    Sync,
    Offsets,
    Heartbeat,
    /// With what is committed, by partition.
    Commit(BTreeMap<i32, i64>),
}

/// A member.
pub(crate) struct Member {
    pub(crate) stage: Stage,
    /// Partitions and the next offset to read of each.
    pub(crate) positions: BTreeMap<i32, i64>,
    /// The leader epoch of the last record before each position: it believes no older leader (KIP-320).
    pub(crate) epochs: BTreeMap<i32, i32>,
    /// What it knows to be committed.
    pub(crate) committed: BTreeMap<i32, i64>,
    id: StrBytes,
    generation: i32,
    coordinator: Option<BrokerId>,
    /// Who coordinated by the metadata, and in which epoch, when the offsets were asked for.
    rightful: Option<(BrokerId, i32)>,
    asked: Option<(CallId, Asked, u64)>,
    /// All members, if this one has to assign.
    roster: Vec<StrBytes>,
    not_before_ns: u64,
    heartbeat_ns: u64,
    commit_ns: u64,
}

fn group() -> GroupId {
    StrBytes::from_static_str(GROUP).into()
}

/// A `ConsumerProtocolSubscription` for one topic.
fn subscription() -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(0);
    bytes.put_i32(1);
    bytes.put_i16(i16::try_from(TOPIC.len()).expect("a short name"));
    bytes.extend_from_slice(TOPIC.as_bytes());
    bytes.put_i32(-1);
    bytes.freeze()
}

impl Member {
    pub(crate) fn new() -> Self {
        Self {
            stage: Stage::Joining,
            positions: BTreeMap::new(),
            epochs: BTreeMap::new(),
            committed: BTreeMap::new(),
            id: StrBytes::default(),
            generation: -1,
            coordinator: None,
            rightful: None,
            asked: None,
            roster: Vec::new(),
            not_before_ns: 0,
            heartbeat_ns: 0,
            commit_ns: 0,
        }
    }

    /// Asks the coordinator whatever is due.
    pub(crate) fn go_on(&mut self, desk: &mut Desk<'_>, partitions: usize) {
        if self.asked.is_some() || desk.now_ns < self.not_before_ns {
            return;
        }
        let Some(coordinator) = self.coordinator else {
            let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![group().0]);
            let broker = desk.any_broker();
            return self.ask(desk, broker, ApiKey::FindCoordinator, 4, request.into(), Asked::Coordinator);
        };
        match self.stage {
            Stage::Joining => self.join(desk, coordinator),
            Stage::Synchronising => self.synchronise(desk, coordinator, partitions),
            Stage::FetchingOffsets => self.fetch_offsets(desk, coordinator),
            Stage::Stable if desk.now_ns >= self.heartbeat_ns => {
                self.heartbeat_ns = desk.now_ns + HEARTBEAT_MS * MS;
                let request = HeartbeatRequest::default()
                    .with_group_id(group())
                    .with_generation_id(self.generation)
                    .with_member_id(self.id.clone());
                self.ask(desk, coordinator, ApiKey::Heartbeat, 4, request.into(), Asked::Heartbeat);
            }
            Stage::Stable if desk.now_ns >= self.commit_ns && self.positions != self.committed => {
                self.commit_ns = desk.now_ns + COMMIT_MS * MS;
                self.commit(desk, coordinator);
            }
            Stage::Stable => {}
        }
    }

    fn ask(&mut self, desk: &mut Desk<'_>, to: BrokerId, key: ApiKey, version: i16, request: RequestKind, as_: Asked) {
        // Whoever joins waits for the others.
        let call = if as_ == Asked::Join {
            desk.ask_within(3_000, to, key, version, request)
        } else {
            desk.ask(to, key, version, request)
        };
        self.asked = Some((call, as_, desk.now_ns));
    }

    fn join(&mut self, desk: &mut Desk<'_>, coordinator: BrokerId) {
        self.positions.clear();
        self.committed.clear();
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(StrBytes::from_static_str("range"))
            .with_metadata(subscription());
        let request = JoinGroupRequest::default()
            .with_group_id(group())
            .with_session_timeout_ms(SESSION_MS)
            .with_rebalance_timeout_ms(REBALANCE_MS)
            .with_member_id(self.id.clone())
            .with_protocol_type(StrBytes::from_static_str("consumer"))
            .with_protocols(vec![protocol]);
        self.ask(desk, coordinator, ApiKey::JoinGroup, 7, request.into(), Asked::Join);
    }

    fn synchronise(&mut self, desk: &mut Desk<'_>, coordinator: BrokerId, partitions: usize) {
        let share = |at: usize| {
            let mut bytes = BytesMut::new();
            for partition in (at..partitions).step_by(self.roster.len()) {
                bytes.put_i32(i32::try_from(partition).expect("a few partitions"));
            }
            bytes.freeze()
        };
        let assignments = self.roster.iter().enumerate().map(|(at, id)| {
            SyncGroupRequestAssignment::default().with_member_id(id.clone()).with_assignment(share(at))
        });
        let request = SyncGroupRequest::default()
            .with_group_id(group())
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone())
            .with_assignments(assignments.collect());
        self.ask(desk, coordinator, ApiKey::SyncGroup, 4, request.into(), Asked::Sync);
    }

    fn fetch_offsets(&mut self, desk: &mut Desk<'_>, coordinator: BrokerId) {
        let topic = OffsetFetchRequestTopics::default()
            .with_name(wire::topic(TOPIC))
            .with_partition_indexes(self.positions.keys().copied().collect());
        let asked = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(Some(vec![topic]));
        let request = OffsetFetchRequest::default().with_groups(vec![asked]);
        self.rightful = desk.invariants.images.coordinator(GROUP);
        self.ask(desk, coordinator, ApiKey::OffsetFetch, 8, request.into(), Asked::Offsets);
    }

    fn commit(&mut self, desk: &mut Desk<'_>, coordinator: BrokerId) {
        let partition = |(index, offset): (&i32, &i64)| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(*index)
                .with_committed_offset(*offset)
                .with_committed_leader_epoch(self.epochs.get(index).copied().unwrap_or(-1))
        };
        let topic = OffsetCommitRequestTopic::default()
            .with_name(wire::topic(TOPIC))
            .with_partitions(self.positions.iter().map(partition).collect());
        let request = OffsetCommitRequest::default()
            .with_group_id(group())
            .with_generation_id_or_member_epoch(self.generation)
            .with_member_id(self.id.clone())
            .with_topics(vec![topic]);
        let what = Asked::Commit(self.positions.clone());
        self.ask(desk, coordinator, ApiKey::OffsetCommit, 8, request.into(), what);
    }

    /// The request to the coordinator has come to its end, if this was it.
    pub(crate) fn answered(&mut self, desk: &mut Desk<'_>, call: CallId, outcome: Outcome) {
        let Some((_, asked, sent_ns)) = self.asked.take_if(|(asked, ..)| *asked == call) else { return };
        let error = match outcome {
            Outcome::Lost => Some(ResponseError::NetworkException),
            Outcome::Answer(response) => self.understood(desk, asked, *response, sent_ns),
        };
        if let Some(error) = error {
            self.refused(desk, error);
        }
    }

    fn understood(
        &mut self,
        desk: &mut Desk<'_>,
        asked: Asked,
        response: ResponseKind,
        sent_ns: u64,
    ) -> Option<ResponseError> {
        match asked {
            Asked::Coordinator => {
                let found = expect_kind!(FindCoordinator, response).coordinators.remove(0);
                self.coordinator = (found.error_code == 0).then_some(BrokerId(found.node_id.0));
                error(found.error_code)
            }
            Asked::Join => self.joined(expect_kind!(JoinGroup, response)),
            Asked::Sync => {
                let mut response = expect_kind!(SyncGroup, response);
                if response.error_code == 0 {
                    while response.assignment.remaining() >= 4 {
                        self.positions.insert(response.assignment.get_i32(), 0);
                    }
                    self.stage = if self.positions.is_empty() { Stage::Stable } else { Stage::FetchingOffsets };
                    desk.story(|| format!("generation {}: {:?}", self.generation, self.positions.keys()));
                }
                error(response.error_code)
            }
            Asked::Offsets => self.offsets(desk, &expect_kind!(OffsetFetch, response), sent_ns),
            Asked::Heartbeat => error(expect_kind!(Heartbeat, response).error_code),
            Asked::Commit(positions) => {
                let response = expect_kind!(OffsetCommit, response);
                let codes = response.topics.iter().flat_map(|topic| &topic.partitions);
                let failed = codes.map(|partition| partition.error_code).find(|code| *code != 0);
                if failed.is_none() {
                    desk.story(|| format!("committed {positions:?}"));
                    desk.invariants.history.committed(desk.now_ns, sent_ns, &positions);
                    self.committed = positions;
                }
                failed.and_then(error)
            }
        }
    }

    fn joined(&mut self, response: JoinGroupResponse) -> Option<ResponseError> {
        if response.error_code == ResponseError::MemberIdRequired.code() {
            self.id = response.member_id;
            return None;
        }
        if response.error_code == 0 {
            self.generation = response.generation_id;
            self.id = response.member_id;
            let mut roster: Vec<StrBytes> = response.members.into_iter().map(|member| member.member_id).collect();
            roster.sort();
            self.roster = roster;
            self.stage = Stage::Synchronising;
        }
        error(response.error_code)
    }

    fn offsets(&mut self, desk: &mut Desk<'_>, response: &OffsetFetchResponse, sent_ns: u64) -> Option<ResponseError> {
        let group = response.groups.first()?;
        let partitions = || group.topics.iter().flat_map(|topic| &topic.partitions);
        let codes = partitions().map(|partition| partition.error_code);
        if let Some(code) = std::iter::once(group.error_code).chain(codes).find(|code| *code != 0) {
            return error(code);
        }
        let rightful = desk.invariants.images.coordinator(GROUP);
        let deposed = rightful != self.rightful || rightful.map(|(node, _)| node) != self.coordinator;
        for partition in partitions() {
            let (index, offset) = (partition.partition_index, partition.committed_offset);
            if deposed {
                // Until it learns of its successor, a coordinator answers by what it knew, as Kafka's does: the group reads
                // some records again, and commits lower offsets.
                desk.invariants.history.position_reset(desk.now_ns, index);
            }
            let checked = desk.invariants.history.offset_fetched(index, offset, sent_ns);
            desk.check(checked);
            if offset >= 0 {
                self.positions.insert(index, offset);
                self.epochs.insert(index, partition.committed_leader_epoch);
                self.committed.insert(index, offset);
            }
        }
        desk.story(|| format!("starts at {:?}", self.positions));
        self.stage = Stage::Stable;
        None
    }

    fn refused(&mut self, desk: &mut Desk<'_>, error: ResponseError) {
        desk.story(|| format!("{:?}: {error:?}", self.stage));
        let wait_ms = desk.chance.between(20, 100);
        self.not_before_ns = desk.now_ns + wait_ms * MS;
        match error {
            ResponseError::RebalanceInProgress | ResponseError::IllegalGeneration => self.stage = Stage::Joining,
            ResponseError::UnknownMemberId => {
                self.id = StrBytes::default();
                self.stage = Stage::Joining;
            }
            // The coordinator is there and knows that it will know.
            ResponseError::CoordinatorLoadInProgress | ResponseError::UnstableOffsetCommit => {}
            _ => self.coordinator = None,
        }
    }
}
