//! The settings of a node, by the names of `server.properties`, as far as this node acts on them.

use super::ConfigError;
use super::topic::ConfigType;
use crate::types::BrokerId;

/// How a node is set up.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// `node.id`.
    pub id: BrokerId,
    /// The cluster's id, as `kafka-storage.sh` would have drawn it.
    pub cluster_id: String,
    /// Advertised host.
    pub host: String,
    /// Advertised port.
    pub port: u16,
    /// The nodes that elect a controller among themselves (`controller.quorum.voters`).
    pub voters: Vec<BrokerId>,
    /// Whether the node keeps partitions (`process.roles` has `broker`), and not only votes.
    pub is_broker: bool,
    /// `broker.rack`, for placement and for consumers that read from a replica near by (KIP-392).
    pub rack: Option<String>,
    /// `replica.selector.class`: whether consumers are sent to a replica in their own rack, Kafka's default: no.
    pub rack_aware_reads: bool,
    /// What the node does wrong on purpose, so that the simulator can show that it would notice.
    pub defect: Option<Defect>,
    /// When this node waits how long for other nodes.
    pub timing: Timing,
    /// `default.replication.factor`, Kafka's default: 1.
    pub replication_factor_default: i16,
    /// `offsets.topic.replication.factor`, Kafka's default: 3.
    pub offsets_replication_factor: i16,
    /// `min.insync.replicas` of topics that do not say, Kafka's default: 1.
    pub min_insync_replicas: i32,
    /// `unclean.leader.election.enable` of topics that do not say, Kafka's default: false.
    pub unclean_leader_election: bool,
    /// `auto.create.topics.enable`, Kafka's default: true.
    pub auto_create_topics: bool,
    /// `num.partitions`: partitions of a topic that does not say, Kafka's default: 1.
    pub partitions_default: i32,
    /// `offsets.topic.num.partitions`, Kafka's default: 50.
    pub offsets_partitions: i32,
    /// `group.initial.rebalance.delay.ms`, Kafka's default: 3000; 0 here, as tests want.
    pub group_initial_rebalance_delay_ms: i64,
    /// `group.min.session.timeout.ms`, Kafka's default: 6000.
    pub group_session_timeout_min_ms: i32,
    /// `group.max.session.timeout.ms`, Kafka's default: 1800000.
    pub group_session_timeout_max_ms: i32,
    /// `group.max.size`, Kafka's default: unlimited.
    pub group_size_max: usize,
    /// `max.incremental.fetch.session.cache.slots`, Kafka's default: 1000.
    pub fetch_sessions_max: usize,
    /// `delete.topic.enable`, Kafka's default: true.
    pub delete_topics: bool,
    /// `log.retention.check.interval.ms`, Kafka's default: 300000. A clock that is moved does not wait for it, and messages
    /// whose timestamps are a test's inventions of 1970 are not gone a second later.
    pub retention_check_interval_ms: i64,
    /// `log.cleaner.backoff.ms`: how long after nothing was dirty the cleaner looks again, Kafka's default: 15000; 1000 here.
    pub cleaner_backoff_ms: i64,
    /// `offsets.retention.minutes`, Kafka's default: 10080, which is a week.
    pub offsets_retention_minutes: i32,
    /// `offsets.retention.check.interval.ms`, Kafka's default: 600000. A clock that is moved does not wait for it.
    pub offsets_retention_check_interval_ms: i64,
    /// `offsets.topic.segment.bytes`, Kafka's default: 104857600.
    pub offsets_segment_bytes: i32,
    /// `producer.id.expiration.ms`: how long an idempotent producer is remembered behind its last batch, by that one's
    /// timestamp; Kafka's default: 86400000, which is a day.
    pub producer_id_expiration_ms: i64,
    /// `metadata.log.max.record.bytes.between.snapshots`, Kafka's default: 20 MiB; 1 MiB here, since these logs are in memory.
    pub snapshot_record_bytes_max: usize,
}

/// How long a node waits for others. Kafka's defaults suit networks and restarts of processes; these suit tests, in which
/// nothing is far away and nobody wants to wait nine seconds for a dead broker to be noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// `controller.quorum.election.timeout.ms`: how long a candidate waits for votes, Kafka's default: 1000; 80 here.
    pub election_timeout_ms: i64,
    /// `controller.quorum.fetch.timeout.ms`: how long a voter goes without the leader, Kafka's default: 2000; 250 here.
    pub fetch_timeout_ms: i64,
    /// `controller.quorum.election.backoff.max.ms`, Kafka's default: 1000; 50 here.
    pub election_backoff_max_ms: i64,
    /// `broker.heartbeat.interval.ms`, Kafka's default: 2000; 100 here.
    pub heartbeat_interval_ms: i64,
    /// `broker.session.timeout.ms`, Kafka's default: 9000; 450 here.
    pub session_timeout_ms: i64,
    /// `replica.lag.time.max.ms`, Kafka's default: 30000; 800 here.
    pub replica_lag_max_ms: i64,
    /// `replica.fetch.wait.max.ms`, Kafka's default: 500; 200 here.
    pub replica_fetch_wait_max_ms: i64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            election_timeout_ms: 80,
            fetch_timeout_ms: 250,
            election_backoff_max_ms: 50,
            heartbeat_interval_ms: 100,
            session_timeout_ms: 450,
            replica_lag_max_ms: 800,
            replica_fetch_wait_max_ms: 200,
        }
    }
}

/// A bug to switch on. Each breaks one promise; the simulator has to notice every one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// A leader answers acks=all as soon as it has appended.
    AcknowledgeBeforeReplication,
    /// A leader takes its own log end for the high watermark.
    HighWatermarkIsLogEnd,
    /// A follower whose log differs from its leader's keeps what it has.
    NoTruncation,
    /// Epochs of followers and brokers are not compared.
    NoFencing,
    /// A leader acts on a smaller ISR without the controller having agreed.
    LostIsrChange,
    /// Recovery takes every batch for sound.
    TrustUnsynced,
    /// A group coordinator starts from nothing.
    SkipReplay,
    /// A voter forgets whom it voted for.
    VoteTwice,
}

/// A setting of a node and what it is at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentSetting {
    /// Kafka's name.
    pub name: &'static str,
    /// Its type.
    pub kind: ConfigType,
    /// Kafka's own default, which is not always this node's.
    pub default: &'static str,
    /// Its value here.
    pub value: String,
}

/// Kafka's name, what it sets, and what it may be.
struct Entry {
    name: &'static str,
    /// Kafka's own default.
    default: &'static str,
    kind: ConfigType,
    allowed: &'static str,
    set: fn(&mut NodeConfig, &str) -> Option<()>,
    get: fn(&NodeConfig) -> String,
}

const POSITIVE: &str = "a whole number from 1";
const NOT_NEGATIVE: &str = "a whole number from 0";
const FLAG: &str = "true or false";
/// The only selector that comes with Kafka; without one, consumers read from leaders.
const RACK_AWARE: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
const REPLICAS: &str = "a whole number from 1 to 32767";

fn positive(value: &str) -> Option<i32> {
    value.parse().ok().filter(|value| *value > 0)
}

fn replicas(value: &str) -> Option<i16> {
    value.parse().ok().filter(|value| *value > 0)
}

const ENTRIES: &[Entry] = &[
    Entry {
        name: "auto.create.topics.enable",
        default: "true",
        kind: ConfigType::Boolean,
        allowed: FLAG,
        set: |config, value| value.parse().ok().map(|value| config.auto_create_topics = value),
        get: |config| config.auto_create_topics.to_string(),
    },
    Entry {
        name: "broker.heartbeat.interval.ms",
        default: "2000",
        kind: ConfigType::Int,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.timing.heartbeat_interval_ms = value.into()),
        get: |config| config.timing.heartbeat_interval_ms.to_string(),
    },
    Entry {
        name: "broker.session.timeout.ms",
        default: "9000",
        kind: ConfigType::Int,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.timing.session_timeout_ms = value.into()),
        get: |config| config.timing.session_timeout_ms.to_string(),
    },
    Entry {
        name: "controller.quorum.election.backoff.max.ms",
        default: "1000",
        kind: ConfigType::Int,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.timing.election_backoff_max_ms = value.into()),
        get: |config| config.timing.election_backoff_max_ms.to_string(),
    },
    Entry {
        name: "controller.quorum.election.timeout.ms",
        default: "1000",
        kind: ConfigType::Int,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.timing.election_timeout_ms = value.into()),
        get: |config| config.timing.election_timeout_ms.to_string(),
    },
    Entry {
        name: "controller.quorum.fetch.timeout.ms",
        default: "2000",
        kind: ConfigType::Int,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.timing.fetch_timeout_ms = value.into()),
        get: |config| config.timing.fetch_timeout_ms.to_string(),
    },
    Entry {
        name: "default.replication.factor",
        default: "1",
        kind: ConfigType::Int,
        allowed: REPLICAS,
        set: |config, value| replicas(value).map(|value| config.replication_factor_default = value),
        get: |config| config.replication_factor_default.to_string(),
    },
    Entry {
        name: "delete.topic.enable",
        default: "true",
        kind: ConfigType::Boolean,
        allowed: FLAG,
        set: |config, value| value.parse().ok().map(|value| config.delete_topics = value),
        get: |config| config.delete_topics.to_string(),
    },
    Entry {
        name: "group.initial.rebalance.delay.ms",
        default: "3000",
        kind: ConfigType::Int,
        allowed: NOT_NEGATIVE,
        set: |config, value| {
            let delay = value.parse().ok().filter(|delay| *delay >= 0)?;
            config.group_initial_rebalance_delay_ms = delay;
            Some(())
        },
        get: |config| config.group_initial_rebalance_delay_ms.to_string(),
    },
    Entry {
        name: "group.max.session.timeout.ms",
        default: "1800000",
        kind: ConfigType::Int,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.group_session_timeout_max_ms = value),
        get: |config| config.group_session_timeout_max_ms.to_string(),
    },
    Entry {
        name: "group.max.size",
        default: "2147483647",
        kind: ConfigType::Int,
        allowed: POSITIVE,
        set: |config, value| {
            let size = value.parse().ok().filter(|size| *size > 0)?;
            config.group_size_max = size;
            Some(())
        },
        get: |config| config.group_size_max.to_string(),
    },
    Entry {
        name: "group.min.session.timeout.ms",
        default: "6000",
        kind: ConfigType::Int,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.group_session_timeout_min_ms = value),
        get: |config| config.group_session_timeout_min_ms.to_string(),
    },
    Entry {
        name: "log.cleaner.backoff.ms",
        default: "15000",
        kind: ConfigType::Long,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.cleaner_backoff_ms = value.into()),
        get: |config| config.cleaner_backoff_ms.to_string(),
    },
    Entry {
        name: "log.retention.check.interval.ms",
        default: "300000",
        kind: ConfigType::Long,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.retention_check_interval_ms = value.into()),
        get: |config| config.retention_check_interval_ms.to_string(),
    },
    Entry {
        name: "max.incremental.fetch.session.cache.slots",
        default: "1000",
        kind: ConfigType::Int,
        allowed: NOT_NEGATIVE,
        set: |config, value| value.parse().ok().map(|value| config.fetch_sessions_max = value),
        get: |config| config.fetch_sessions_max.to_string(),
    },
    Entry {
        name: "metadata.log.max.record.bytes.between.snapshots",
        default: "20971520",
        kind: ConfigType::Long,
        allowed: POSITIVE,
        set: |config, value| {
            let bytes = value.parse().ok().filter(|bytes| *bytes > 0)?;
            config.snapshot_record_bytes_max = bytes;
            Some(())
        },
        get: |config| config.snapshot_record_bytes_max.to_string(),
    },
    Entry {
        name: "min.insync.replicas",
        default: "1",
        kind: ConfigType::Int,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.min_insync_replicas = value),
        get: |config| config.min_insync_replicas.to_string(),
    },
    Entry {
        name: "num.partitions",
        default: "1",
        kind: ConfigType::Int,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.partitions_default = value),
        get: |config| config.partitions_default.to_string(),
    },
    Entry {
        name: "offsets.retention.check.interval.ms",
        default: "600000",
        kind: ConfigType::Long,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.offsets_retention_check_interval_ms = value.into()),
        get: |config| config.offsets_retention_check_interval_ms.to_string(),
    },
    Entry {
        name: "offsets.retention.minutes",
        default: "10080",
        kind: ConfigType::Int,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.offsets_retention_minutes = value),
        get: |config| config.offsets_retention_minutes.to_string(),
    },
    Entry {
        name: "offsets.topic.num.partitions",
        default: "50",
        kind: ConfigType::Int,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.offsets_partitions = value),
        get: |config| config.offsets_partitions.to_string(),
    },
    Entry {
        name: "offsets.topic.replication.factor",
        default: "3",
        kind: ConfigType::Short,
        allowed: REPLICAS,
        set: |config, value| replicas(value).map(|value| config.offsets_replication_factor = value),
        get: |config| config.offsets_replication_factor.to_string(),
    },
    Entry {
        name: "offsets.topic.segment.bytes",
        default: "104857600",
        kind: ConfigType::Int,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.offsets_segment_bytes = value),
        get: |config| config.offsets_segment_bytes.to_string(),
    },
    Entry {
        name: "producer.id.expiration.ms",
        default: "86400000",
        kind: ConfigType::Int,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.producer_id_expiration_ms = value.into()),
        get: |config| config.producer_id_expiration_ms.to_string(),
    },
    Entry {
        name: "replica.fetch.wait.max.ms",
        default: "500",
        kind: ConfigType::Int,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.timing.replica_fetch_wait_max_ms = value.into()),
        get: |config| config.timing.replica_fetch_wait_max_ms.to_string(),
    },
    Entry {
        name: "replica.lag.time.max.ms",
        default: "30000",
        kind: ConfigType::Long,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.timing.replica_lag_max_ms = value.into()),
        get: |config| config.timing.replica_lag_max_ms.to_string(),
    },
    Entry {
        name: "replica.selector.class",
        default: "",
        kind: ConfigType::Text,
        allowed: RACK_AWARE,
        set: |config, value| {
            config.rack_aware_reads = value == RACK_AWARE;
            (value.is_empty() || value == RACK_AWARE).then_some(())
        },
        get: |config| if config.rack_aware_reads { String::from(RACK_AWARE) } else { String::new() },
    },
    Entry {
        name: "unclean.leader.election.enable",
        default: "false",
        kind: ConfigType::Boolean,
        allowed: FLAG,
        set: |config, value| value.parse().ok().map(|value| config.unclean_leader_election = value),
        get: |config| config.unclean_leader_election.to_string(),
    },
];

impl NodeConfig {
    /// Kafka's defaults, but for what makes tests wait.
    #[must_use]
    pub fn new(id: BrokerId, voters: Vec<BrokerId>, host: impl Into<String>, port: u16) -> Self {
        Self {
            id,
            cluster_id: String::from("c2hha2Vkb3duLWNsdXN0ZQ"),
            host: host.into(),
            port,
            voters,
            is_broker: true,
            rack: None,
            rack_aware_reads: false,
            defect: None,
            timing: Timing::default(),
            replication_factor_default: 1,
            offsets_replication_factor: 1,
            min_insync_replicas: 1,
            unclean_leader_election: false,
            auto_create_topics: true,
            partitions_default: 1,
            offsets_partitions: 50,
            group_initial_rebalance_delay_ms: 0,
            group_session_timeout_min_ms: 6000,
            group_session_timeout_max_ms: 1_800_000,
            group_size_max: usize::try_from(i32::MAX).unwrap_or(usize::MAX),
            fetch_sessions_max: 1000,
            delete_topics: true,
            retention_check_interval_ms: 300_000,
            cleaner_backoff_ms: 1000,
            offsets_retention_minutes: 10_080,
            offsets_retention_check_interval_ms: 600_000,
            offsets_segment_bytes: 100 << 20,
            producer_id_expiration_ms: 86_400_000,
            snapshot_record_bytes_max: 1 << 20,
        }
    }

    /// Sets one value by Kafka's name.
    ///
    /// # Errors
    /// For a name that has no effect here, and for a value out of range.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let Some(entry) = ENTRIES.iter().find(|entry| entry.name == name) else {
            let known = ENTRIES.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ");
            return Err(ConfigError::Unknown { name: name.to_owned(), known });
        };
        (entry.set)(self, value).ok_or_else(|| ConfigError::Invalid {
            name: name.to_owned(),
            value: value.to_owned(),
            allowed: entry.allowed.to_owned(),
        })
    }

    /// Every setting, by name.
    pub fn settings(&self) -> impl Iterator<Item = CurrentSetting> {
        let current = |entry: &Entry| CurrentSetting {
            name: entry.name,
            kind: entry.kind,
            default: entry.default,
            value: (entry.get)(self),
        };
        ENTRIES.iter().map(current)
    }

    /// Whether the node has a defect switched on.
    #[must_use]
    pub fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_set_by_kafkas_names_and_wrong_ones_named() {
        let mut config = NodeConfig::new(BrokerId(1), vec![BrokerId(1)], "127.0.0.1", 9092);
        config.set("num.partitions", "6").expect("a valid value");
        assert_eq!(config.partitions_default, 6);
        assert!(config.settings().any(|setting| setting.name == "num.partitions" && setting.value == "6"));
        let error = config.set("num.partitions", "0").expect_err("out of range").to_string();
        assert_eq!(error, "invalid value \"0\" for num.partitions: a whole number from 1");
        let error = config.set("num.partition", "1").expect_err("no such config").to_string();
        assert!(error.starts_with("unknown config \"num.partition\"; known: auto.create.topics.enable, "), "{error}");
    }
}
