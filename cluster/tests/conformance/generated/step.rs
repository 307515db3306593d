//! What a drawn sequence consists of. A step means something in every state, so that any of them may be left out; and it
//! is data, so that a sequence can be kept in a file.

use super::chance::Chance;
use crate::setup::versions;
use kafka_protocol::messages::ApiKey;
use serde::{Deserialize, Serialize};

/// One request, or the few that belong together. Topics, groups, members and producers are small numbers; those that were
/// never made are as good as any.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) enum Step {
    CreateTopic { version: i16, topic: u8, partitions: i32, replicas: i16, config: usize, validate_only: bool },
    DeleteTopic { version: i16, topic: u8 },
    CreatePartitions { version: i16, topic: u8, count: i32, validate_only: bool },
    DeleteRecords { version: i16, topic: u8, partition: i32, offset: i64 },
    AlterConfig { version: i16, topic: u8, config: usize, operation: i8, validate_only: bool },
    ReplaceConfig { version: i16, topic: u8, config: usize, validate_only: bool },
    DescribeConfigs { version: i16, topic: u8, synonyms: bool },
    Metadata { version: i16, topics: Vec<u8> },
    DescribeTopicPartitions { topics: Vec<u8>, limit: i32, cursor: Option<(u8, i32)> },
    Produce { version: i16, topic: u8, partition: i32, acks: i16, count: usize },
    ProduceAs { version: i16, topic: u8, partition: i32, producer: u8, epoch: i16, sequence: i32, count: usize },
    Fetch { version: i16, topic: u8, partition: i32, offset: i64, epoch: i32, last_epoch: i32, max_bytes: i32 },
    ListOffsets { version: i16, topic: u8, partition: i32, epoch: i32, timestamp: i64, isolation: i8 },
    OffsetForLeaderEpoch { version: i16, topic: u8, partition: i32, current: i32, asked: i32 },
    InitProducerId { version: i16, producer: u8 },
    DescribeProducers { topic: u8, partition: i32 },
    ElectLeaders { version: i16, topic: u8, partition: i32, kind: i8 },
    FindCoordinator { version: i16, group: u8, kind: i8 },
    Join { version: i16, group: u8, member: u8, protocol: usize },
    Sync { version: i16, group: u8, member: u8, ahead: i32 },
    Heartbeat { version: i16, group: u8, member: u8, ahead: i32 },
    Leave { version: i16, group: u8, member: u8 },
    Commit { version: i16, group: u8, member: Option<u8>, ahead: i32, topic: u8, partition: i32, offset: i64 },
    FetchOffsets { version: i16, group: u8, topic: Option<u8> },
    DeleteOffsets { group: u8, topic: u8, partition: i32 },
    DescribeGroup { version: i16, group: u8 },
    ListGroups { version: i16, state: usize },
    DeleteGroup { version: i16, group: u8 },
}

/// Settings that a step may give a topic. None of them takes records away while a sequence runs.
pub(super) const CONFIGS: &[(&str, Option<&str>)] = &[
    ("retention.ms", Some("86400000")),
    ("cleanup.policy", Some("compact")),
    ("cleanup.policy", Some("delete")),
    ("segment.bytes", Some("1048576")),
    ("min.insync.replicas", Some("2")),
    ("leader.replication.throttled.replicas", Some("0:1")),
    ("retention.ms", Some("soon")),
    ("retention.days", Some("1")),
    ("segment.bytes", Some("1")),
    ("retention.ms", None),
];

/// The protocols that a member may offer.
pub(super) const PROTOCOLS: &[&[&str]] = &[&["range"], &["sticky", "range"], &["other"], &[]];

/// What may be asked of ListGroups.
pub(super) const STATES: &[&[&str]] = &[&[], &["Stable"], &["Empty"], &["CompletingRebalance", "Stable"], &["Strange"]];

/// How a sequence begins: with something to work on.
pub(super) fn first() -> Vec<Step> {
    let create = |topic, partitions| Step::CreateTopic {
        version: 7,
        topic,
        partitions,
        replicas: 1,
        config: CONFIGS.len(),
        validate_only: false,
    };
    vec![create(0, 2), create(1, 1), Step::InitProducerId { version: 4, producer: 0 }]
}

fn version(chance: &mut Chance, key: ApiKey) -> i16 {
    let versions = versions(key);
    let count = usize::try_from(versions.end() - versions.start() + 1).expect("some versions");
    versions.start() + i16::try_from(chance.index(count)).expect("a version")
}

impl Step {
    /// Any step.
    pub(super) fn draw(chance: &mut Chance) -> Self {
        match chance.index(10) {
            0..=2 => Self::draw_topics(chance),
            3..=6 => Self::draw_records(chance),
            _ => Self::draw_groups(chance),
        }
    }

    fn draw_topics(chance: &mut Chance) -> Self {
        let topic = chance.mostly(&[0, 1], &[2, 3]);
        let validate_only = chance.percent(20);
        let config = chance.index(CONFIGS.len() + 4);
        match chance.index(9) {
            0 => Self::CreateTopic {
                version: version(chance, ApiKey::CreateTopics),
                topic: chance.mostly(&[2, 3], &[0, 1]),
                partitions: chance.mostly(&[1, 2, 3], &[0, -1, -2]),
                replicas: chance.mostly(&[1, -1], &[0, 2, -2]),
                config,
                validate_only,
            },
            1 => Self::DeleteTopic {
                version: version(chance, ApiKey::DeleteTopics),
                topic: chance.mostly(&[2, 3], &[0, 1]),
            },
            2 => Self::CreatePartitions {
                version: version(chance, ApiKey::CreatePartitions),
                topic,
                count: chance.mostly(&[2, 3, 4], &[0, 1, -1]),
                validate_only,
            },
            3 => Self::AlterConfig {
                version: version(chance, ApiKey::IncrementalAlterConfigs),
                topic,
                config: config % CONFIGS.len(),
                operation: chance.mostly(&[0, 0, 1], &[2, 3, 4]),
                validate_only,
            },
            4 => Self::ReplaceConfig { version: version(chance, ApiKey::AlterConfigs), topic, config, validate_only },
            5 => Self::DescribeConfigs {
                version: version(chance, ApiKey::DescribeConfigs),
                topic,
                synonyms: chance.percent(50),
            },
            6 => Self::Metadata {
                version: version(chance, ApiKey::Metadata),
                topics: (0..1 + chance.index(3)).map(|_| chance.pick(&[0, 1, 2, 3])).collect(),
            },
            7 => Self::DescribeTopicPartitions {
                topics: (0..1 + chance.index(3)).map(|_| chance.pick(&[0, 1, 2, 3])).collect(),
                limit: chance.mostly(&[1, 2, 3, 2000], &[0, -1]),
                cursor: chance.percent(30).then(|| (chance.pick(&[0, 1]), chance.mostly(&[0, 1], &[2, 9, -1]))),
            },
            _ => Self::ElectLeaders {
                version: version(chance, ApiKey::ElectLeaders),
                topic,
                partition: chance.mostly(&[0, 1], &[7, -1]),
                kind: chance.mostly(&[0, 1], &[0]),
            },
        }
    }

    fn draw_records(chance: &mut Chance) -> Self {
        let topic = chance.mostly(&[0, 1], &[2, 3]);
        let partition = chance.mostly(&[0, 0, 1], &[2, 9, -1]);
        let epoch = chance.mostly(&[-1, 0], &[1, 7]);
        let offset = chance.mostly(&[0, 1, 2, 3, 5], &[-1, -2, 50, i64::MAX]);
        match chance.index(9) {
            0 | 1 => Self::Produce {
                version: version(chance, ApiKey::Produce),
                topic,
                partition,
                acks: chance.mostly(&[-1, 1], &[2, -2]),
                count: 1 + chance.index(4),
            },
            2 | 3 => Self::ProduceAs {
                version: version(chance, ApiKey::Produce),
                topic,
                partition,
                producer: chance.mostly(&[0, 0, 1], &[2]),
                epoch: chance.mostly(&[0], &[1, 2]),
                sequence: chance.mostly(&[0, 1, 2, 3, 4], &[5, 9, i32::MAX]),
                count: 1 + chance.index(2),
            },
            4 => Self::Fetch {
                version: version(chance, ApiKey::Fetch),
                topic,
                partition,
                offset,
                epoch,
                last_epoch: chance.mostly(&[-1], &[0, 1]),
                max_bytes: chance.mostly(&[1 << 20], &[0, 1, 80, 100, 150, 200]),
            },
            5 => Self::ListOffsets {
                version: version(chance, ApiKey::ListOffsets),
                topic,
                partition,
                epoch,
                timestamp: chance.mostly(&[-1, -2, 0, 5], &[-4, -5, -9, 1_000_000]),
                isolation: chance.mostly(&[0, 1], &[0]),
            },
            6 => Self::OffsetForLeaderEpoch {
                version: version(chance, ApiKey::OffsetForLeaderEpoch),
                topic,
                partition,
                current: epoch,
                asked: chance.mostly(&[0, 0, 1], &[-1, 7]),
            },
            7 => Self::DeleteRecords { version: version(chance, ApiKey::DeleteRecords), topic, partition, offset },
            _ if chance.percent(30) => Self::InitProducerId {
                version: version(chance, ApiKey::InitProducerId),
                producer: chance.pick(&[0, 1]),
            },
            _ => Self::DescribeProducers { topic, partition },
        }
    }

    fn draw_groups(chance: &mut Chance) -> Self {
        let group = chance.mostly(&[0], &[1]);
        let member = chance.mostly(&[0, 0, 1], &[2]);
        let ahead = chance.mostly(&[0], &[1, -1]);
        match chance.index(13) {
            0..=2 => Self::Join {
                version: version(chance, ApiKey::JoinGroup),
                group,
                member,
                protocol: chance.mostly(&[0, 1], &[2, 3]),
            },
            3 | 4 => Self::Sync { version: version(chance, ApiKey::SyncGroup), group, member, ahead },
            5 => Self::Heartbeat { version: version(chance, ApiKey::Heartbeat), group, member, ahead },
            6 => Self::Leave { version: version(chance, ApiKey::LeaveGroup), group, member },
            7 => Self::Commit {
                version: version(chance, ApiKey::OffsetCommit),
                group,
                member: chance.percent(60).then_some(member),
                ahead,
                topic: chance.mostly(&[0, 1], &[2, 3]),
                partition: chance.mostly(&[0, 1], &[9, -1]),
                offset: chance.mostly(&[0, 1, 7], &[-1, -2, i64::MAX]),
            },
            8 => Self::FetchOffsets {
                version: version(chance, ApiKey::OffsetFetch),
                group,
                topic: chance.percent(50).then(|| chance.pick(&[0, 1, 2])),
            },
            9 => Self::DeleteOffsets { group, topic: chance.pick(&[0, 1, 2]), partition: chance.pick(&[0, 1, 9]) },
            10 if chance.percent(50) => Self::FindCoordinator {
                version: version(chance, ApiKey::FindCoordinator),
                group,
                kind: chance.mostly(&[0], &[9]),
            },
            10 => Self::ListGroups { version: version(chance, ApiKey::ListGroups), state: chance.index(STATES.len()) },
            11 => Self::DescribeGroup { version: version(chance, ApiKey::DescribeGroups), group },
            _ => Self::DeleteGroup { version: version(chance, ApiKey::DeleteGroups), group },
        }
    }
}
