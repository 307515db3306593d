//! The books of topics: every event that a topic has at the end, as far as it is committed, partition by partition in the order
//! of offsets.
//!
//! They are written when everybody has stopped, so that reading them delays nobody, and what services published last is in
//! them. What retention or compaction has taken until then is not.

use super::error::RunError;
use super::session::Session;
use crate::scenario::books::TopicBook;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value as Json;
use shakedown_loadgen::StopFlag;
use shakedown_reports::books::{BookWriter, Fact};
use shakedown_reports::rules::topic_book;
use std::time::{Duration, Instant};

/// For reading one topic to its end.
const LIMIT: Duration = Duration::from_secs(60);

/// For one question to the cluster.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a poll waits before the time is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Writes the books of all topics that some rule may compare. What could not be read is said in words: such a run proves nothing.
///
/// # Errors
/// When a book cannot be written in the run directory.
pub(super) fn write(session: &Session, bootstrap: &str) -> Result<Vec<String>, RunError> {
    let plan = &session.plan.scenario.books;
    let mut reasons = Vec::new();
    for book in plan.topics.iter().filter(|_| plan.is_needed()) {
        let mut writer = BookWriter::create(session.directory.path(), &topic_book(&book.topic))?;
        if let Err(reason) = read(bootstrap, book, &mut writer, &session.options.interrupt)? {
            reasons.push(format!("topic {} was not read to its end for its book: {reason}", book.topic));
        }
        writer.flush()?;
    }
    Ok(reasons)
}

/// Reads a topic from its beginning to its end. Inner: why it was not read to its end.
fn read(
    bootstrap: &str,
    book: &TopicBook,
    writer: &mut BookWriter,
    interrupt: &StopFlag,
) -> Result<Result<(), String>, RunError> {
    let (consumer, mut unfinished) = match consumer(bootstrap, &book.topic) {
        Ok(opened) => opened,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let deadline = Instant::now() + LIMIT;
    let mut position = 0;
    while unfinished > 0 {
        if interrupt.is_stopped() || Instant::now() >= deadline {
            return Ok(Err(format!("{unfinished} of its partitions are left")));
        }
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) => {
                position += 1;
                writer.write(&fact(&message, book, position))?;
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                unfinished -= 1;
                // A partition that grows all the same would be at its end again.
                let mut ended = TopicPartitionList::new();
                ended.add_partition(&book.topic, partition);
                if let Err(error) = consumer.pause(&ended) {
                    return Ok(Err(error.to_string()));
                }
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Ok(Err(error.to_string())),
            // Brokers may still be on their way back.
            Some(Err(_)) => {}
        }
    }
    Ok(Ok(()))
}

/// A consumer of all partitions, and how many there are.
fn consumer(bootstrap: &str, topic: &str) -> Result<(BaseConsumer, usize), KafkaError> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "shakedown-books")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        // A partition is known to be at its end when a fetch has waited this long in vain; by itself half a second.
        .set("fetch.wait.max.ms", "10")
        .set("reconnect.backoff.max.ms", "100")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
    let partitions =
        metadata.topics().iter().find(|found| found.name() == topic).map_or(0, |found| found.partitions().len());
    if partitions == 0 {
        return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition));
    }
    let mut all = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
        all.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    Ok((consumer, partitions))
}

fn fact(message: &BorrowedMessage<'_>, book: &TopicBook, position: u64) -> Fact {
    let json: Json = message.payload().and_then(|payload| serde_json::from_slice(payload).ok()).unwrap_or_default();
    let mut fact = book.fields.read_leniently(&json);
    fact.position = position;
    fact.part = message.partition().to_string();
    fact.key = message.key().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default();
    if book.fields.kind.is_none() {
        fact.kind.clone_from(&book.topic);
    }
    if fact.at_us == 0 {
        fact.at_us = message.timestamp().to_millis().unwrap_or_default().saturating_mul(1_000);
    }
    fact
}

#[cfg(test)]
mod tests {
    use super::{read, topic_book};
    use crate::scenario::books::{Fields, TopicBook};
    use rdkafka::ClientConfig;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    use shakedown_loadgen::StopFlag;
    use shakedown_reports::books::{self, BookWriter, Fact};
    use std::time::Duration;

    #[test]
    fn a_topic_is_read_to_its_end_whatever_lies_in_it() {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("orders", 2, 1).expect("a topic");
        let bootstrap = cluster.bootstrap_servers();
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &bootstrap).create().expect("a producer");
        let event = |number: u32| {
            format!("{{\"order_id\":\"o-{number}\",\"event_id\":\"e-{number}\",\"total\":{number},\"at_us\":7}}")
        };
        for (partition, payload) in [(0, event(1)), (1, event(2)), (0, "poison".to_owned()), (0, event(3))] {
            let record = BaseRecord::to("orders").partition(partition).key("ada").payload(&payload);
            producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
        }
        producer.flush(Duration::from_secs(10)).expect("acknowledgements");

        let folder = tempfile::tempdir().expect("a temporary folder");
        let book = TopicBook { topic: "orders".to_owned(), fields: Fields::of_topic() };
        let mut writer = BookWriter::create(folder.path(), &topic_book("orders")).expect("a book");
        assert_eq!(read(&bootstrap, &book, &mut writer, &StopFlag::new()).expect("a book"), Ok(()));
        drop(writer);
        let mut facts: Vec<Fact> = Vec::new();
        books::read(folder.path(), "topic-orders", &mut |fact| facts.push(fact)).expect("a book");
        assert!(facts.iter().zip(1..).all(|(fact, position)| fact.position == position), "positions grow by one");
        let of = |partition: &str| -> Vec<(String, Option<i64>)> {
            let facts = facts.iter().filter(|fact| fact.part == partition);
            facts.map(|fact| (fact.event.clone(), fact.amount)).collect()
        };
        let event = |number: i64| (format!("e-{number}"), Some(number));
        assert_eq!(of("0"), [event(1), (String::new(), None), event(3)]);
        assert_eq!(of("1"), [event(2)]);
        assert!(facts.iter().all(|fact| fact.key == "ada" && fact.kind == "orders" && fact.at_us > 0));
    }
}
