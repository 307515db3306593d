//! Topics: what one may be called, and what the cluster knows of it (whether it exists, its partitions, their high
//! watermarks).

use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::thread;
use std::time::{Duration, Instant};

/// How long a cluster may take to answer at all: it may still be booting.
const CLUSTER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a reachable cluster may deny a topic that was just created: metadata spreads from the controller.
const CREATION_TIMEOUT: Duration = Duration::from_secs(3);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// Kafka's own limit on names of topics (`org.apache.kafka.common.internals.Topic.MAX_NAME_LENGTH`).
pub const NAME_LENGTH_MAX: usize = 249;

/// Whether Kafka takes this as a topic's name: 1 to [`NAME_LENGTH_MAX`] of a-z, A-Z, 0-9, `.`, `_` and `-`, but neither
/// `.` nor `..` (`org.apache.kafka.common.internals.Topic.validate`).
#[must_use]
pub fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=NAME_LENGTH_MAX).contains(&name.len()) && name.bytes().all(allowed) && ![".", ".."].contains(&name)
}

/// A topic that nothing can be done with.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// The cluster answers, and has no such topic.
    #[error(
        "topic {topic:?} does not exist on {bootstrap}; create it first (automatic creation would hide a misspelt name)"
    )]
    Missing {
        /// The topic.
        topic: String,
        /// Where it was looked for.
        bootstrap: String,
    },
    /// The cluster does not answer, or with an error.
    #[error("cannot learn about topic {topic:?} from {bootstrap} within {CLUSTER_TIMEOUT:?}: {source}")]
    Cluster {
        /// The topic.
        topic: String,
        /// Where it was looked for.
        bootstrap: String,
        /// What the client answered last.
        source: Box<KafkaError>,
    },
}

/// How many partitions the topic has, every one of them with a leader.
pub(crate) fn partitions<C: ClientContext>(
    client: &Client<C>,
    bootstrap: &str,
    topic: &str,
) -> Result<usize, TopicError> {
    let started = Instant::now();
    loop {
        let error = match client.fetch_metadata(Some(topic), REQUEST_TIMEOUT) {
            Ok(metadata) => {
                let found = metadata.topics().iter().find(|found| found.name() == topic);
                let error = found
                    .map_or(Some(RDKafkaErrorCode::UnknownTopicOrPartition), |found| found.error().map(Into::into));
                let partitions = found.map_or(&[][..], |found| found.partitions());
                match error {
                    None if !partitions.is_empty() && partitions.iter().all(|partition| partition.leader() >= 0) => {
                        return Ok(partitions.len());
                    }
                    None => KafkaError::MetadataFetch(RDKafkaErrorCode::LeaderNotAvailable),
                    Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)
                        if started.elapsed() >= CREATION_TIMEOUT =>
                    {
                        return Err(TopicError::Missing { topic: topic.to_owned(), bootstrap: bootstrap.to_owned() });
                    }
                    Some(code) => KafkaError::MetadataFetch(code),
                }
            }
            Err(error) => error,
        };
        if started.elapsed() >= CLUSTER_TIMEOUT {
            return Err(TopicError::Cluster {
                topic: topic.to_owned(),
                bootstrap: bootstrap.to_owned(),
                source: Box::new(error),
            });
        }
        thread::sleep(RETRY_AFTER);
    }
}

/// The first offset and the high watermark of every partition.
pub(crate) fn watermarks<C: ClientContext>(
    client: &Client<C>,
    bootstrap: &str,
    topic: &str,
    partitions: usize,
) -> Result<Vec<(i64, i64)>, TopicError> {
    let partitions = i32::try_from(partitions).expect("Kafka numbers partitions with 31 bits");
    let started = Instant::now();
    let one = |partition| loop {
        match client.fetch_watermarks(topic, partition, REQUEST_TIMEOUT) {
            Ok(watermarks) => return Ok(watermarks),
            Err(source) if started.elapsed() >= CLUSTER_TIMEOUT => {
                return Err(TopicError::Cluster {
                    topic: topic.to_owned(),
                    bootstrap: bootstrap.to_owned(),
                    source: Box::new(source),
                });
            }
            Err(_) => thread::sleep(RETRY_AFTER),
        }
    };
    (0..partitions).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_kafka_takes() {
        let longest = "t".repeat(NAME_LENGTH_MAX);
        for name in ["orders", "order-details", "Order_created.v2", "...", "0", &longest] {
            assert!(is_name(name), "{name:?}");
        }
        let too_long = "t".repeat(NAME_LENGTH_MAX + 1);
        for name in ["", ".", "..", "a/b", "orders ", "\u{fc}ber", &too_long] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
