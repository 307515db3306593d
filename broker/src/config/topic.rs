//! The settings of a topic: names, types and defaults of Apache Kafka 4.1, and the few that this node acts on.
//!
//! A setting without effect here is still kept, described and validated, as clients expect; `ARCHITECTURE.md` lists
//! which those are.

use super::ConfigError;
use crate::batch::validate::Limits;
use crate::log::cleaning::policy::Policy;
use std::collections::BTreeMap;

/// The type of a setting, by its code in DescribeConfigs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean = 1,
    /// Any text.
    Text = 2,
    /// 32 bits, signed.
    Int = 3,
    /// 16 bits, signed.
    Short = 4,
    /// 64 bits, signed.
    Long = 5,
    /// A floating-point number.
    Double = 6,
    /// Several words with commas between them.
    List = 7,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Kafka's name.
    pub name: &'static str,
    /// Its type.
    pub kind: ConfigType,
    /// Kafka's default.
    pub default: &'static str,
    /// Kafka's name of the broker's setting from which topics take their default, where there is one.
    pub broker_name: Option<&'static str>,
    /// The words that it may be; empty where any will do.
    pub allowed: &'static [&'static str],
    /// The smallest number that it may be.
    pub least: i64,
}

impl Setting {
    const fn of_broker(self, name: &'static str) -> Self {
        Self { broker_name: Some(name), ..self }
    }

    const fn at_least(self, least: i64) -> Self {
        Self { least, ..self }
    }

    const fn one_of(self, allowed: &'static [&'static str]) -> Self {
        Self { allowed, ..self }
    }
}

const fn setting(name: &'static str, kind: ConfigType, default: &'static str) -> Setting {
    Setting { name, kind, default, broker_name: None, allowed: &[], least: i64::MIN }
}

const LONG_MAX: &str = "9223372036854775807";

/// All settings, in the order in which Kafka describes them.
pub const SETTINGS: &[Setting] = &[
    setting("cleanup.policy", ConfigType::List, "delete")
        .of_broker("log.cleanup.policy")
        .one_of(&["compact", "delete"]),
    setting("compression.gzip.level", ConfigType::Int, "-1").of_broker("compression.gzip.level").at_least(-1),
    setting("compression.lz4.level", ConfigType::Int, "9").of_broker("compression.lz4.level").at_least(1),
    setting("compression.type", ConfigType::Text, "producer").of_broker("compression.type").one_of(&[
        "uncompressed",
        "zstd",
        "lz4",
        "snappy",
        "gzip",
        "producer",
    ]),
    setting("compression.zstd.level", ConfigType::Int, "3").of_broker("compression.zstd.level").at_least(-131_072),
    setting("delete.retention.ms", ConfigType::Long, "86400000")
        .of_broker("log.cleaner.delete.retention.ms")
        .at_least(0),
    setting("file.delete.delay.ms", ConfigType::Long, "60000").of_broker("log.segment.delete.delay.ms").at_least(0),
    setting("flush.messages", ConfigType::Long, LONG_MAX).of_broker("log.flush.interval.messages").at_least(1),
    setting("flush.ms", ConfigType::Long, LONG_MAX).at_least(0),
    setting("follower.replication.throttled.replicas", ConfigType::List, ""),
    setting("index.interval.bytes", ConfigType::Int, "4096").of_broker("log.index.interval.bytes").at_least(0),
    setting("leader.replication.throttled.replicas", ConfigType::List, ""),
    setting("local.retention.bytes", ConfigType::Long, "-2").of_broker("log.local.retention.bytes").at_least(-2),
    setting("local.retention.ms", ConfigType::Long, "-2").of_broker("log.local.retention.ms").at_least(-2),
    setting("max.compaction.lag.ms", ConfigType::Long, LONG_MAX)
        .of_broker("log.cleaner.max.compaction.lag.ms")
        .at_least(1),
    setting("max.message.bytes", ConfigType::Int, "1048588").of_broker("message.max.bytes").at_least(0),
    setting("message.timestamp.after.max.ms", ConfigType::Long, "3600000")
        .of_broker("log.message.timestamp.after.max.ms")
        .at_least(0),
    setting("message.timestamp.before.max.ms", ConfigType::Long, LONG_MAX)
        .of_broker("log.message.timestamp.before.max.ms")
        .at_least(0),
    setting("message.timestamp.type", ConfigType::Text, "CreateTime")
        .of_broker("log.message.timestamp.type")
        .one_of(&["CreateTime", "LogAppendTime"]),
    setting("min.cleanable.dirty.ratio", ConfigType::Double, "0.5").of_broker("log.cleaner.min.cleanable.ratio"),
    setting("min.compaction.lag.ms", ConfigType::Long, "0").of_broker("log.cleaner.min.compaction.lag.ms").at_least(0),
    setting("min.insync.replicas", ConfigType::Int, "1").of_broker("min.insync.replicas").at_least(1),
    setting("preallocate", ConfigType::Boolean, "false").of_broker("log.preallocate"),
    setting("remote.log.copy.disable", ConfigType::Boolean, "false"),
    setting("remote.log.delete.on.disable", ConfigType::Boolean, "false"),
    setting("remote.storage.enable", ConfigType::Boolean, "false"),
    setting("retention.bytes", ConfigType::Long, "-1").of_broker("log.retention.bytes"),
    setting("retention.ms", ConfigType::Long, "604800000").at_least(-1),
    setting("segment.bytes", ConfigType::Int, "1073741824").of_broker("log.segment.bytes").at_least(1_048_576),
    setting("segment.index.bytes", ConfigType::Int, "10485760").of_broker("log.index.size.max.bytes").at_least(4),
    setting("segment.jitter.ms", ConfigType::Long, "0").at_least(0),
    setting("segment.ms", ConfigType::Long, "604800000").at_least(1),
    setting("unclean.leader.election.enable", ConfigType::Boolean, "false").of_broker("unclean.leader.election.enable"),
];

/// Whether a topic may set this to that.
///
/// # Errors
/// For a name that Kafka does not know and for a value that its type cannot take.
pub fn validate(name: &str, value: &str) -> Result<(), ConfigError> {
    let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
        let known = SETTINGS.iter().map(|setting| setting.name).collect::<Vec<_>>().join(", ");
        return Err(ConfigError::Unknown { name: name.to_owned(), known });
    };
    let least = setting.least;
    let from = if least == i64::MIN { String::new() } else { format!(" from {least}") };
    let (fits, allowed) = match setting.kind {
        ConfigType::Boolean => {
            (["true", "false"].iter().any(|word| word.eq_ignore_ascii_case(value)), "true or false".to_owned())
        }
        ConfigType::Short => (
            value.trim().parse::<i16>().is_ok_and(|value| i64::from(value) >= least),
            format!("a whole number of 16 bits{from}"),
        ),
        ConfigType::Int => (
            value.trim().parse::<i32>().is_ok_and(|value| i64::from(value) >= least),
            format!("a whole number of 32 bits{from}"),
        ),
        ConfigType::Long => {
            (value.trim().parse::<i64>().is_ok_and(|value| value >= least), format!("a whole number of 64 bits{from}"))
        }
        ConfigType::Double => (
            value.trim().parse::<f64>().is_ok_and(|value| (0.0..=1.0).contains(&value)),
            "a number from 0 to 1".to_owned(),
        ),
        ConfigType::Text | ConfigType::List => {
            let known = |word: &str| setting.allowed.is_empty() || setting.allowed.contains(&word.trim());
            // A list may be empty, as in Kafka since 4.1: such a topic keeps everything.
            let fits = match setting.kind {
                ConfigType::List => value.is_empty() || value.split(',').all(known),
                _ => known(value),
            };
            (fits, format!("one of {}", setting.allowed.join(", ")))
        }
    };
    let invalid = || ConfigError::Invalid { name: name.to_owned(), value: value.to_owned(), allowed };
    if fits { Ok(()) } else { Err(invalid()) }
}

/// A topic's own value, or Kafka's default; empty for a name that Kafka does not know.
fn value<'a>(settings: Option<&'a BTreeMap<String, String>>, name: &str) -> &'a str {
    let own = settings.and_then(|settings| settings.get(name)).map(String::as_str);
    let default = || SETTINGS.iter().find(|setting| setting.name == name).map(|setting| setting.default);
    own.or_else(default).unwrap_or_default()
}

/// As [`value`]. What is kept was validated, so only a name that Kafka does not know gives nothing.
fn number<T: std::str::FromStr + Default>(settings: Option<&BTreeMap<String, String>>, name: &str) -> T {
    value(settings, name).trim().parse().unwrap_or_default()
}

fn has_policy(settings: Option<&BTreeMap<String, String>>, policy: &str) -> bool {
    value(settings, "cleanup.policy").split(',').any(|word| word.trim() == policy)
}

/// Whether old records of a topic may be deleted, rather than only compacted.
#[must_use]
pub fn deletes(settings: Option<&BTreeMap<String, String>>) -> bool {
    has_policy(settings, "delete")
}

/// What may be appended by a topic's own settings; anything not set has Kafka's default.
#[must_use]
pub fn limits(settings: Option<&BTreeMap<String, String>>) -> Limits {
    Limits {
        max_message_bytes: number(settings, "max.message.bytes"),
        timestamp_before_max_ms: number(settings, "message.timestamp.before.max.ms"),
        timestamp_after_max_ms: number(settings, "message.timestamp.after.max.ms"),
        log_append_time: value(settings, "message.timestamp.type") == "LogAppendTime",
        compacted: has_policy(settings, "compact"),
    }
}

/// What becomes of a topic's old records by its own settings; anything not set has Kafka's default.
#[must_use]
pub fn policy(settings: Option<&BTreeMap<String, String>>) -> Policy {
    Policy {
        deletes: has_policy(settings, "delete"),
        compacts: has_policy(settings, "compact"),
        retention_ms: number(settings, "retention.ms"),
        retention_bytes: number(settings, "retention.bytes"),
        delete_retention_ms: number(settings, "delete.retention.ms"),
        compaction_lag_min_ms: number(settings, "min.compaction.lag.ms"),
        compaction_lag_max_ms: number(settings, "max.compaction.lag.ms"),
        dirty_ratio_min: number(settings, "min.cleanable.dirty.ratio"),
        segment_bytes: number(settings, "segment.bytes"),
        segment_ms: number(settings, "segment.ms"),
        index_interval_bytes: number(settings, "index.interval.bytes"),
    }
}

/// A setting of a topic that decides about replication: the topic's own value, if it has one.
#[must_use]
pub fn own<T: std::str::FromStr>(settings: Option<&BTreeMap<String, String>>, name: &str) -> Option<T> {
    settings?.get(name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_valid_value_of_its_setting() {
        for setting in SETTINGS {
            let empty_list = setting.kind == ConfigType::List && setting.default.is_empty();
            assert!(empty_list || validate(setting.name, setting.default).is_ok(), "{}", setting.name);
        }
    }

    #[test]
    fn wrong_names_and_values_are_named() {
        let unknown = validate("retention.days", "3").expect_err("no such config").to_string();
        assert!(unknown.contains("\"retention.days\"") && unknown.contains("retention.ms"), "{unknown}");
        let invalid = validate("retention.ms", "3 days").expect_err("not a number").to_string();
        assert_eq!(invalid, "invalid value \"3 days\" for retention.ms: a whole number of 64 bits from -1");
        assert!(validate("cleanup.policy", "compact,delete").is_ok());
        let shrink = validate("cleanup.policy", "compact,shrink").expect_err("no such policy").to_string();
        assert_eq!(shrink, "invalid value \"compact,shrink\" for cleanup.policy: one of compact, delete");
        assert!(validate("segment.bytes", "1").is_err() && validate("min.cleanable.dirty.ratio", "2").is_err());
        assert!(validate("retention.ms", "-2").is_err() && validate("retention.ms", "-1").is_ok());
    }

    #[test]
    fn limits_follow_the_topics_settings() {
        let settings = BTreeMap::from([("message.timestamp.type".to_owned(), "LogAppendTime".to_owned())]);
        assert!(limits(Some(&settings)).log_append_time);
        assert_eq!(limits(None).max_message_bytes, 1_048_588);
        assert_eq!(limits(None).timestamp_before_max_ms, i64::MAX);
    }

    #[test]
    fn policies_follow_the_topics_settings_and_kafkas_defaults() {
        let kafka = policy(None);
        assert!(kafka.deletes && !kafka.compacts);
        assert_eq!((kafka.retention_ms, kafka.retention_bytes), (604_800_000, -1));
        assert_eq!((kafka.segment_bytes, kafka.segment_ms, kafka.index_interval_bytes), (1 << 30, 604_800_000, 4096));
        assert_eq!((kafka.delete_retention_ms, kafka.dirty_ratio_min), (86_400_000, 0.5));
        assert_eq!((kafka.compaction_lag_min_ms, kafka.compaction_lag_max_ms), (0, i64::MAX));
        let settings =
            [("cleanup.policy", "compact"), ("max.compaction.lag.ms", "100"), ("min.cleanable.dirty.ratio", "0.01")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let compacted = policy(Some(&settings));
        assert!(compacted.compacts && !compacted.deletes);
        assert_eq!((compacted.dirty_ratio_min, compacted.segment_limits().ms), (0.01, 100));
    }
}
