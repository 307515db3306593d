//! Dead letters: events that nobody can handle, as they were, in `<topic>.dlq`, with the reason in headers of their own.
//!
//! These headers can make an event longer than a broker takes. It is then published in a shortened form that says so
//! (`letter`), for a letter that cannot be laid aside would hold its partition for ever.

mod letter;

use crate::kafka::{Event, OrderedProducer, is_too_large};
use letter::Letter;
use rdkafka::error::KafkaError;
use tracing::error;

/// Whatever a broker takes, it takes this much.
const ROOM_MIN: usize = 1024;

/// An event, and why nobody can handle it.
pub(super) struct DeadLetter<'a> {
    pub(super) event: &'a Event,
    /// Where it was first, if it comes from a retry topic.
    pub(super) topic: &'a str,
    pub(super) reason: String,
}

/// The topic of the dead letters of `topic`.
pub(super) fn topic_of(topic: &str) -> String {
    format!("{topic}.dlq")
}

/// Publishes dead letters and waits until Kafka has them. A crash behind it publishes them again: the headers say which event
/// each is.
pub(super) async fn publish(
    letters: &[DeadLetter<'_>],
    service: &str,
    producer: &mut OrderedProducer,
) -> Result<(), KafkaError> {
    let room = producer.message_bytes_max();
    let topics: Vec<String> = letters.iter().map(|letter| topic_of(letter.topic)).collect();
    let fitted: Vec<Letter<'_>> = letters.iter().map(|letter| Letter::within(room, letter, service)).collect();
    let publications: Vec<_> = fitted.iter().zip(&topics).map(|(letter, topic)| letter.publication(topic)).collect();
    match producer.publish(&publications).await {
        // The broker takes less than this client would send. Nobody says which of them it meant.
        Err(failure) if is_too_large(&failure) => {
            for (letter, topic) in letters.iter().zip(&topics) {
                publish_alone(letter, topic, service, producer).await?;
            }
        }
        outcome => outcome?,
    }
    for (DeadLetter { event, topic, reason }, fitted) in letters.iter().zip(&fitted) {
        let trace_id = event.trace.map(|trace| tracing::field::display(trace.trace_id()));
        error!(
            topic,
            partition = event.partition,
            offset = event.offset,
            trace_id,
            reason = letter::reason(reason),
            shortened = fitted.is_shortened(),
            "event became a dead letter"
        );
    }
    Ok(())
}

/// Publishes a letter, shorter each time, until the broker takes it.
async fn publish_alone(
    letter: &DeadLetter<'_>,
    topic: &str,
    service: &str,
    producer: &mut OrderedProducer,
) -> Result<(), KafkaError> {
    let mut room = producer.message_bytes_max();
    loop {
        let fitted = Letter::within(room, letter, service);
        match producer.publish(&[fitted.publication(topic)]).await {
            Err(failure) if is_too_large(&failure) && room > ROOM_MIN => {
                room = (room.min(fitted.bytes()) / 2).max(ROOM_MIN);
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use crate::kafka::KafkaSettings;
    use crate::kafka::testing::event;
    use crate::metrics::Metrics;
    use rdkafka::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::message::{Headers, Message};
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
    use rdkafka::{Offset, TopicPartitionList};
    use std::collections::BTreeMap;
    use std::time::Duration;

    /// The letters in `orders.dlq`: the length of each payload, and its headers.
    fn letters(bootstrap_servers: &str) -> Vec<(usize, BTreeMap<String, String>)> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap_servers)
            .set("group.id", "reader")
            .set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("orders.dlq", 0, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let mut letters = Vec::new();
        loop {
            match consumer.poll(Duration::from_secs(20)).expect("the mock cluster answers") {
                Ok(message) => {
                    let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
                    let headers = message.headers().unwrap();
                    let headers = headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect();
                    letters.push((message.payload().unwrap().len(), headers));
                }
                Err(KafkaError::PartitionEOF(_)) => return letters,
                Err(failure) => panic!("{failure}"),
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_letter_that_is_too_large_is_shortened_until_it_is_taken() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders.dlq", 1, 1).unwrap();
        let environment = Environment::from_iter([("KAFKA_BOOTSTRAP_SERVERS", cluster.bootstrap_servers())]);
        let settings = KafkaSettings::read("payment", &environment).unwrap();
        let mut producer = OrderedProducer::create(&settings, &Metrics::new()).unwrap();
        // As large as the client takes it, without the headers of a letter.
        let full = event("orders", 0, 7, "ada", &"x".repeat(producer.message_bytes_max() - 100));
        let small = event("orders", 0, 8, "ada", "nonsense");
        let of = |event| DeadLetter { event, topic: "orders", reason: "its payload is not JSON".to_owned() };

        publish(&[of(&full), of(&small)], "payment", &mut producer).await.unwrap();
        // A broker that takes less: neither the two together, nor the first alone until it is a quarter of what it was.
        let too_large = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
        cluster.request_errors(RDKafkaApiKey::Produce, &[too_large; 3]);
        publish(&[of(&full), of(&small)], "payment", &mut producer).await.unwrap();

        let letters = letters(&cluster.bootstrap_servers());
        let lengths: Vec<usize> = letters.iter().map(|(length, _)| *length).collect();
        assert!(lengths[0] > 990_000 && lengths[0] < full.payload.as_ref().unwrap().len(), "{lengths:?}");
        assert!((200_000..250_000).contains(&lengths[2]), "{lengths:?}");
        assert_eq!((lengths.len(), lengths[1], lengths[3]), (4, 8, 8));
        for (_, headers) in [&letters[0], &letters[2]] {
            assert_eq!(headers["dlq-shortened"], "payload");
            assert_eq!(headers["dlq-payload-bytes"], full.payload.as_ref().unwrap().len().to_string());
            assert_eq!(headers["dlq-offset"], "7");
        }
        assert!(!letters[1].1.contains_key("dlq-shortened"));
    }
}
