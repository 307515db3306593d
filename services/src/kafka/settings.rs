//! How to reach Kafka, and which properties of the client the environment overrides.
//!
//! `KAFKA_<NAME>` sets the librdkafka property of that name, underscores for dots: `KAFKA_SESSION_TIMEOUT_MS=6000`
//! is `session.timeout.ms=6000`. A variable whose name is no property is reported and ignored, because environments
//! are full of them (`KAFKA_HOME`, and Kubernetes adds `KAFKA_PORT` for a service called kafka); a property with a
//! value it cannot have is an error.

use crate::config::{ConfigError, Environment};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

const PREFIX: &str = "KAFKA_";
const BOOTSTRAP_SERVERS: &str = "KAFKA_BOOTSTRAP_SERVERS";

/// Properties on which the correctness of the services rests, and what to use instead of setting them.
const RESERVED: [(&str, &str); 4] = [
    ("group.id", "unset; GROUP_ID names the group"),
    ("client.id", "unset; the service's name is the client id"),
    ("enable.auto.commit", "unset; offsets are committed when the work behind them is done"),
    ("enable.auto.offset.store", "unset; offsets are committed when the work behind them is done"),
];

/// What every Kafka client of a service starts from.
#[derive(Debug, Clone)]
pub(crate) struct KafkaSettings {
    client_id: &'static str,
    bootstrap_servers: String,
    /// Property and value, from the environment.
    overrides: Vec<(String, String)>,
    /// Variables that name no property.
    pub(crate) unknown: Vec<String>,
}

impl KafkaSettings {
    pub(crate) fn read(client_id: &'static str, environment: &Environment) -> Result<Self, ConfigError> {
        let mut settings = Self {
            client_id,
            bootstrap_servers: environment.text(BOOTSTRAP_SERVERS, "localhost:9092"),
            overrides: Vec::new(),
            unknown: Vec::new(),
        };
        for (variable, value) in environment.starting_with(PREFIX).filter(|(name, _)| *name != BOOTSTRAP_SERVERS) {
            let property = variable[PREFIX.len()..].to_lowercase().replace('_', ".");
            let refused =
                |allowed: String| ConfigError { variable: variable.to_owned(), value: value.to_owned(), allowed };
            if let Some((_, instead)) = RESERVED.iter().find(|(reserved, _)| *reserved == property) {
                return Err(refused((*instead).to_owned()));
            }
            match ClientConfig::new().set(&property, value).create_native_config() {
                Ok(_) => settings.overrides.push((property, value.to_owned())),
                Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
                    settings.unknown.push(variable.to_owned());
                }
                Err(KafkaError::ClientConfig(_, explanation, ..)) => return Err(refused(explanation)),
                Err(other) => return Err(refused(other.to_string())),
            }
        }
        Ok(settings)
    }

    /// A client's configuration: `defaults`, overridden by the environment.
    pub(crate) fn client(&self, defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (property, value) in defaults {
            config.set(*property, *value);
        }
        for (property, value) in &self.overrides {
            config.set(property, value);
        }
        config.set("client.id", self.client_id).set("bootstrap.servers", &self.bootstrap_servers);
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_become_properties_and_override_the_defaults() {
        let environment = Environment::from_iter([
            ("KAFKA_BOOTSTRAP_SERVERS", "kafka-1:9092,kafka-2:9092"),
            ("KAFKA_LINGER_MS", "20"),
            ("KAFKA_HOME", "somewhere"),
        ]);
        let settings = KafkaSettings::read("order", &environment).unwrap();
        assert_eq!(settings.unknown, ["KAFKA_HOME"]);
        let client = settings.client(&[("linger.ms", "5"), ("acks", "all")]);
        assert_eq!(client.get("linger.ms"), Some("20"));
        assert_eq!(client.get("acks"), Some("all"));
        assert_eq!(client.get("client.id"), Some("order"));
        assert_eq!(client.get("bootstrap.servers"), Some("kafka-1:9092,kafka-2:9092"));
    }

    #[test]
    fn a_value_that_the_client_refuses_is_an_error_of_its_variable() {
        let environment = Environment::from_iter([("KAFKA_SESSION_TIMEOUT_MS", "soon")]);
        let error = KafkaSettings::read("order", &environment).unwrap_err();
        assert_eq!((error.variable.as_str(), error.value.as_str()), ("KAFKA_SESSION_TIMEOUT_MS", "soon"));
        assert!(error.allowed.contains("session.timeout.ms"), "{}", error.allowed);
    }

    #[test]
    fn properties_that_the_service_relies_on_cannot_be_overridden() {
        let environment = Environment::from_iter([("KAFKA_ENABLE_AUTO_COMMIT", "true")]);
        let error = KafkaSettings::read("order", &environment).unwrap_err();
        assert_eq!(error.allowed, "unset; offsets are committed when the work behind them is done");
    }
}
