//! Whether a setting exists and can take a value, for whoever reads configuration before a cluster is started.

use shakedown_broker::config::{ConfigError, topic};
use shakedown_broker::{BrokerId, NodeConfig};

/// Whether brokers here have this setting and it can take this value.
///
/// # Errors
/// For an unknown name, with all that exist, and for a wrong value, with what is allowed.
pub fn check_broker(name: &str, value: &str) -> Result<(), ConfigError> {
    NodeConfig::new(BrokerId(1), vec![BrokerId(1)], "127.0.0.1", 0).set(name, value)
}

/// Whether Kafka's topics have this setting and it can take this value.
///
/// # Errors
/// For an unknown name, with all that exist, and for a wrong value, with what is allowed.
pub fn check_topic(name: &str, value: &str) -> Result<(), ConfigError> {
    topic::validate(name, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_without_a_cluster() {
        assert!(check_broker("num.partitions", "3").is_ok());
        assert!(matches!(check_broker("num.partition", "3"), Err(ConfigError::Unknown { .. })));
        assert!(check_topic("retention.ms", "1000").is_ok());
        assert!(matches!(check_topic("retention.ms", "soon"), Err(ConfigError::Invalid { .. })));
    }
}
