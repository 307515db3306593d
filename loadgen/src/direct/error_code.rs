//! What an error in a broker's answer to a batch means: whether it may be tried again, and whether it was surely not written.

use kafka_protocol::ResponseError;

/// What is to be done about a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// It is in the log, by this attempt or one before.
    Written,
    /// This attempt surely wrote nothing; the next may.
    RetryUnwritten,
    /// This attempt may have written it; the next may, too.
    RetryUnsure,
    /// The broker misses what went before it.
    OutOfOrder,
    /// The broker does not take this producer id, or this epoch of it.
    ProducerRefused,
    /// No attempt will do, and this one surely wrote nothing.
    Refused,
    /// No attempt will do, and nobody knows what this one did.
    Lost,
}

/// By the error's code, as answers to Produce have it.
pub(crate) fn meaning(code: i16) -> Meaning {
    use ResponseError as E;
    let Some(error) = E::try_from_code(code) else { return Meaning::Written };
    match error {
        E::DuplicateSequenceNumber => Meaning::Written,
        E::OutOfOrderSequenceNumber | E::UnknownProducerId => Meaning::OutOfOrder,
        E::InvalidProducerEpoch | E::ProducerFenced | E::InvalidProducerIdMapping => Meaning::ProducerRefused,
        // Brokers check these before they append; a damaged batch is sent again as it was.
        E::NotEnoughReplicas | E::CorruptMessage | E::LeaderNotAvailable | E::FencedLeaderEpoch => {
            Meaning::RetryUnwritten
        }
        // Codes that nobody knows may come from brokers that are newer than this.
        E::UnknownServerError | E::Unknown(_) => Meaning::Lost,
        // A leader that loses its partition while a batch waits for its replicas says so after it has appended
        // (`DelayedProduce.tryComplete`): NOT_LEADER_OR_FOLLOWER, UNKNOWN_TOPIC_OR_PARTITION and KAFKA_STORAGE_ERROR prove nothing.
        error if error.is_retriable() => Meaning::RetryUnsure,
        _ => Meaning::Refused,
    }
}

/// Whether the error is about who leads the partition: then nobody else is asked to write there before that is known.
pub(crate) fn is_about_leaders(code: i16) -> bool {
    use ResponseError as E;
    let about = [
        E::UnknownTopicOrPartition,
        E::LeaderNotAvailable,
        E::NotLeaderOrFollower,
        E::KafkaStorageError,
        E::FencedLeaderEpoch,
        E::UnknownTopicId,
    ];
    ResponseError::try_from_code(code).is_some_and(|error| about.contains(&error))
}

/// Its name in Kafka, for people.
pub(crate) fn name(code: i16) -> String {
    ResponseError::try_from_code(code).map_or_else(|| format!("error {code}"), |error| format!("{error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_kafka_says() {
        for (code, expected) in [
            (0, Meaning::Written),
            (46, Meaning::Written),
            (6, Meaning::RetryUnsure),
            (3, Meaning::RetryUnsure),
            (5, Meaning::RetryUnwritten),
            (2, Meaning::RetryUnwritten),
            (19, Meaning::RetryUnwritten),
            (56, Meaning::RetryUnsure),
            (74, Meaning::RetryUnwritten),
            (20, Meaning::RetryUnsure),
            (7, Meaning::RetryUnsure),
            (45, Meaning::OutOfOrder),
            (59, Meaning::OutOfOrder),
            (47, Meaning::ProducerRefused),
            (90, Meaning::ProducerRefused),
            (10, Meaning::Refused),
            (18, Meaning::Refused),
            (29, Meaning::Refused),
            (44, Meaning::Refused),
            (87, Meaning::Refused),
            (-1, Meaning::Lost),
            (30_000, Meaning::Lost),
        ] {
            assert_eq!(meaning(code), expected, "{code}");
        }
        for (code, about) in
            [(3, true), (6, true), (56, true), (7, false), (19, false), (20, false), (2, false), (0, false)]
        {
            assert_eq!(is_about_leaders(code), about, "{code}");
        }
        assert!(name(6).contains("NotLeader"), "{}", name(6));
    }
}
