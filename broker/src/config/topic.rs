//! The settings of a topic: names, types and defaults of Apache Kafka 4.1, and the few that this node acts on.
//!
//! A setting without effect here is still kept, described and validated, as clients expect; `ARCHITECTURE.md` lists
//! which those are.

use super::ConfigError;
use crate::batch::validate::Limits;
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
    /// What it may be, in words; empty where the type says all.
    pub allowed: &'static [&'static str],
}

const fn setting(name: &'static str, kind: ConfigType, default: &'static str) -> Setting {
    Setting { name, kind, default, allowed: &[] }
}

const fn choice(
    name: &'static str,
    kind: ConfigType,
    default: &'static str,
    allowed: &'static [&'static str],
) -> Setting {
    Setting { name, kind, default, allowed }
}

const LONG_MAX: &str = "9223372036854775807";

/// All settings, in the order in which Kafka describes them.
pub const SETTINGS: &[Setting] = &[
    choice("cleanup.policy", ConfigType::List, "delete", &["compact", "delete"]),
    choice(
        "compression.type",
        ConfigType::Text,
        "producer",
        &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"],
    ),
    setting("delete.retention.ms", ConfigType::Long, "86400000"),
    setting("file.delete.delay.ms", ConfigType::Long, "60000"),
    setting("flush.messages", ConfigType::Long, LONG_MAX),
    setting("flush.ms", ConfigType::Long, LONG_MAX),
    setting("follower.replication.throttled.replicas", ConfigType::List, ""),
    setting("index.interval.bytes", ConfigType::Int, "4096"),
    setting("leader.replication.throttled.replicas", ConfigType::List, ""),
    setting("local.retention.bytes", ConfigType::Long, "-2"),
    setting("local.retention.ms", ConfigType::Long, "-2"),
    setting("max.compaction.lag.ms", ConfigType::Long, LONG_MAX),
    setting("max.message.bytes", ConfigType::Int, "1048588"),
    setting("message.timestamp.after.max.ms", ConfigType::Long, "3600000"),
    setting("message.timestamp.before.max.ms", ConfigType::Long, LONG_MAX),
    choice("message.timestamp.type", ConfigType::Text, "CreateTime", &["CreateTime", "LogAppendTime"]),
    setting("min.cleanable.dirty.ratio", ConfigType::Double, "0.5"),
    setting("min.compaction.lag.ms", ConfigType::Long, "0"),
    setting("min.insync.replicas", ConfigType::Int, "1"),
    setting("preallocate", ConfigType::Boolean, "false"),
    setting("remote.log.copy.disable", ConfigType::Boolean, "false"),
    setting("remote.log.delete.on.disable", ConfigType::Boolean, "false"),
    setting("remote.storage.enable", ConfigType::Boolean, "false"),
    setting("retention.bytes", ConfigType::Long, "-1"),
    setting("retention.ms", ConfigType::Long, "604800000"),
    setting("segment.bytes", ConfigType::Int, "1073741824"),
    setting("segment.index.bytes", ConfigType::Int, "10485760"),
    setting("segment.jitter.ms", ConfigType::Long, "0"),
    setting("segment.ms", ConfigType::Long, "604800000"),
    setting("unclean.leader.election.enable", ConfigType::Boolean, "false"),
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
    let (fits, allowed) = match setting.kind {
        ConfigType::Boolean => (matches!(value, "true" | "false"), "true or false"),
        ConfigType::Int => (value.parse::<i32>().is_ok(), "a whole number of 32 bits"),
        ConfigType::Long => (value.parse::<i64>().is_ok(), "a whole number of 64 bits"),
        ConfigType::Double => (value.parse::<f64>().is_ok(), "a number"),
        ConfigType::Text | ConfigType::List => {
            let known = |word: &str| setting.allowed.is_empty() || setting.allowed.contains(&word.trim());
            let fits = if setting.kind == ConfigType::List { value.split(',').all(known) } else { known(value) };
            (fits, "one of the values that Kafka documents for it")
        }
    };
    let invalid = || ConfigError::Invalid { name: name.to_owned(), value: value.to_owned(), allowed };
    if fits { Ok(()) } else { Err(invalid()) }
}

/// Whether old records of a topic may be deleted, rather than only compacted.
#[must_use]
pub fn deletes(settings: Option<&BTreeMap<String, String>>) -> bool {
    let policy = settings.and_then(|settings| settings.get("cleanup.policy"));
    policy.is_none_or(|policy| policy.split(',').any(|word| word.trim() == "delete"))
}

/// What a topic's own settings mean for its partitions; anything not set has Kafka's default.
#[must_use]
pub fn limits(settings: Option<&BTreeMap<String, String>>) -> Limits {
    let get = |name: &str| {
        let own = settings.and_then(|settings| settings.get(name)).map(String::as_str);
        own.or_else(|| SETTINGS.iter().find(|setting| setting.name == name).map(|setting| setting.default))
    };
    Limits {
        max_message_bytes: get("max.message.bytes").and_then(|value| value.parse().ok()).unwrap_or(1_048_588),
        timestamp_after_max_ms: get("message.timestamp.after.max.ms")
            .and_then(|value| value.parse().ok())
            .unwrap_or(3_600_000),
        log_append_time: get("message.timestamp.type") == Some("LogAppendTime"),
    }
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
        assert_eq!(invalid, "invalid value \"3 days\" for retention.ms: a whole number of 64 bits");
        assert!(validate("cleanup.policy", "compact,delete").is_ok());
        assert!(validate("cleanup.policy", "compact,shrink").is_err());
    }

    #[test]
    fn limits_follow_the_topics_settings() {
        let settings = BTreeMap::from([("message.timestamp.type".to_owned(), "LogAppendTime".to_owned())]);
        assert!(limits(Some(&settings)).log_append_time);
        assert_eq!(limits(None).max_message_bytes, 1_048_588);
    }
}
