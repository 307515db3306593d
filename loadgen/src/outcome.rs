//! What an error of the client says about a message: certainly not written, or nobody knows.
//!
//! Protocol rule: a produce request may be applied and its reply lost, and librdkafka reports the error of the *last*
//! attempt. So an error proves that nothing was written only if every attempt would have met it. Whatever may pass
//! (timeouts, lost connections, NOT_LEADER_OR_FOLLOWER, NOT_ENOUGH_REPLICAS, a topic or a
//! permission that went away; each may follow an attempt that was applied) leaves the outcome unknown.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use shakedown_reports::record::Outcome;

/// The outcome of a message that the client accepted and then gave up.
pub(crate) fn of_delivery(error: &KafkaError) -> Outcome {
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::MessageBatchTooLarge
            | RDKafkaErrorCode::InvalidTopic
            | RDKafkaErrorCode::InvalidRequiredAcks
            | RDKafkaErrorCode::InvalidTimestamp
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::UnsupportedForMessageFormat
            | RDKafkaErrorCode::PolicyViolation,
        ) => Outcome::Fail,
        _ => Outcome::Unknown,
    }
}

/// librdkafka's code, for the record; 0 where the binding has none.
pub(crate) fn code(error: &KafkaError) -> i16 {
    error.rdkafka_error_code().map_or(0, |code| i16::try_from(code as i32).unwrap_or(i16::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_every_attempt_would_have_met_is_a_failure() {
        let outcome = |code| of_delivery(&KafkaError::MessageProduction(code));
        for code in [RDKafkaErrorCode::MessageSizeTooLarge, RDKafkaErrorCode::PolicyViolation] {
            assert_eq!(outcome(code), Outcome::Fail, "{code:?}");
        }
        for code in [
            RDKafkaErrorCode::MessageTimedOut,
            RDKafkaErrorCode::RequestTimedOut,
            RDKafkaErrorCode::BrokerTransportFailure,
            RDKafkaErrorCode::NotLeaderForPartition,
            RDKafkaErrorCode::NotEnoughReplicas,
            RDKafkaErrorCode::NotEnoughReplicasAfterAppend,
            RDKafkaErrorCode::UnknownTopicOrPartition,
            RDKafkaErrorCode::UnknownTopic,
            RDKafkaErrorCode::UnknownPartition,
            RDKafkaErrorCode::Unknown,
            RDKafkaErrorCode::PurgeQueue,
            RDKafkaErrorCode::PurgeInflight,
            RDKafkaErrorCode::Fatal,
            RDKafkaErrorCode::TopicAuthorizationFailed,
        ] {
            assert_eq!(outcome(code), Outcome::Unknown, "{code:?}");
        }
        assert_eq!(of_delivery(&KafkaError::Canceled), Outcome::Unknown);
        assert_eq!(code(&KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut)), -192);
        assert_eq!(code(&KafkaError::Canceled), 0);
    }
}
