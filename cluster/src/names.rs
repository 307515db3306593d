//! Kafka's names of APIs and errors, as scenarios and the control API write them.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ApiKey;
use shakedown_broker::api;

/// The APIs that are served, and so may be named by rules.
pub fn served_apis() -> impl Iterator<Item = ApiKey> {
    api::TABLE.iter().map(|entry| entry.key)
}

/// An API's name: `Produce`.
#[must_use]
pub fn api_name(api: ApiKey) -> String {
    format!("{api:?}")
}

/// All errors of the protocol.
pub fn errors() -> impl Iterator<Item = ResponseError> {
    // Codes count up from -1, and 0 is none.
    let codes = (-1..=i16::MAX).filter_map(ResponseError::try_from_code);
    codes.take_while(|error| !matches!(error, ResponseError::Unknown(_)))
}

/// An error's name as Kafka writes it: `NOT_ENOUGH_REPLICAS`.
#[must_use]
pub fn error_name(error: ResponseError) -> String {
    let camel = format!("{error:?}");
    let mut name = String::with_capacity(camel.len() + 8);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_called_as_kafka_calls_them() {
        let names: Vec<String> = errors().map(error_name).collect();
        for name in ["UNKNOWN_SERVER_ERROR", "NOT_ENOUGH_REPLICAS_AFTER_APPEND", "NOT_LEADER_OR_FOLLOWER"] {
            assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
        }
        assert!(names.len() > 120, "{} errors", names.len());
    }
}
