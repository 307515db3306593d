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
    /// All nodes of the cluster, in order; the first is the controller.
    pub voters: Vec<BrokerId>,
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

fn positive(value: &str) -> Option<i32> {
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
        name: "max.incremental.fetch.session.cache.slots",
        default: "1000",
        kind: ConfigType::Int,
        allowed: NOT_NEGATIVE,
        set: |config, value| value.parse().ok().map(|value| config.fetch_sessions_max = value),
        get: |config| config.fetch_sessions_max.to_string(),
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
        name: "offsets.topic.num.partitions",
        default: "50",
        kind: ConfigType::Int,
        allowed: POSITIVE,
        set: |config, value| positive(value).map(|value| config.offsets_partitions = value),
        get: |config| config.offsets_partitions.to_string(),
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
            auto_create_topics: true,
            partitions_default: 1,
            offsets_partitions: 50,
            group_initial_rebalance_delay_ms: 0,
            group_session_timeout_min_ms: 6000,
            group_session_timeout_max_ms: 1_800_000,
            group_size_max: usize::try_from(i32::MAX).unwrap_or(usize::MAX),
            fetch_sessions_max: 1000,
            delete_topics: true,
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

    /// The node that changes metadata: the first voter, until a quorum elects one.
    #[must_use]
    pub fn controller(&self) -> BrokerId {
        self.voters.first().copied().unwrap_or(self.id)
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
        assert!(error.starts_with("unknown config \"num.partition\"; known: auto.create.topics.enable"), "{error}");
    }
}
