//! A mock cluster with the producing and reading that tests need.

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);

/// A cluster of one broker; the services talk to it over loopback.
pub(crate) struct Cluster {
    pub(crate) mock: MockCluster<'static, DefaultProducerContext>,
}

/// A message as it lies in a topic.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: String,
    pub(crate) payload: String,
    pub(crate) traceparent: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Stored {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.payload).unwrap()
    }
}

impl Cluster {
    /// Boots with these topics and partition counts.
    pub(crate) fn start(topics: &[(&str, i32)]) -> Self {
        let cluster = Self { mock: MockCluster::new(1).unwrap() };
        for (topic, partitions) in topics {
            cluster.create_topic(topic, *partitions);
        }
        cluster
    }

    pub(crate) fn create_topic(&self, topic: &str, partitions: i32) {
        self.mock.create_topic(topic, partitions, 1).unwrap();
    }

    pub(crate) fn bootstrap_servers(&self) -> String {
        self.mock.bootstrap_servers()
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap_servers());
        config
    }

    /// Produces messages in order and waits until all are stored.
    pub(crate) fn produce<'a>(&self, topic: &str, messages: impl IntoIterator<Item = (&'a str, String)>) {
        self.produce_traced(topic, messages.into_iter().map(|(key, payload)| (key, payload, None)));
    }

    /// As `produce`, with a `traceparent` for each message.
    pub(crate) fn produce_traced<'a>(
        &self,
        topic: &str,
        messages: impl IntoIterator<Item = (&'a str, String, Option<&'a str>)>,
    ) {
        let producer: ThreadedProducer<DefaultProducerContext> =
            self.client().set("enable.idempotence", "true").set("partitioner", "murmur2_random").create().unwrap();
        for (key, payload, traceparent) in messages {
            loop {
                let mut record = BaseRecord::to(topic).key(key).payload(&payload);
                if let Some(value) = traceparent {
                    let header = rdkafka::message::Header { key: "traceparent", value: Some(value) };
                    record = record.headers(OwnedHeaders::new().insert(header));
                }
                match producer.send(record) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                        producer.flush(TIMEOUT).unwrap();
                    }
                    Err((failure, _)) => panic!("failed to produce: {failure}"),
                }
            }
        }
        producer.flush(TIMEOUT).unwrap();
    }

    /// Produces one message with these headers and waits until it is stored.
    pub(crate) fn produce_with(&self, topic: &str, key: &str, payload: &str, headers: &[(&str, &str)]) {
        let producer: ThreadedProducer<DefaultProducerContext> =
            self.client().set("partitioner", "murmur2_random").create().unwrap();
        let all = headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
            all.insert(rdkafka::message::Header { key, value: Some(*value) })
        });
        let record = BaseRecord::to(topic).key(key).payload(payload).headers(all);
        producer.send(record).map_err(|(failure, _)| failure).unwrap();
        producer.flush(TIMEOUT).unwrap();
    }

    /// Everything in a topic, in the order of partition and offset.
    pub(crate) fn read(&self, topic: &str) -> Vec<Stored> {
        let consumer: BaseConsumer = self
            .client()
            .set("group.id", "test-reader")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .create()
            .unwrap();
        let partitions = self.partitions(&consumer, topic);
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut stored = Vec::new();
        let mut at_end = 0;
        while at_end < partitions {
            match consumer.poll(TIMEOUT).expect("the mock cluster answers") {
                Ok(message) => stored.push(Stored {
                    partition: message.partition(),
                    offset: message.offset(),
                    key: text(message.key()),
                    payload: text(message.payload()),
                    traceparent: message.headers().and_then(|headers| {
                        headers.iter().find(|header| header.key == "traceparent").map(|header| text(header.value))
                    }),
                    headers: message
                        .headers()
                        .map(|headers| {
                            headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
                        })
                        .unwrap_or_default(),
                }),
                Err(KafkaError::PartitionEOF(_)) => at_end += 1,
                Err(failure) => panic!("failed to read {topic}: {failure}"),
            }
        }
        stored.sort_by_key(|message| (message.partition, message.offset));
        stored
    }

    /// For each partition where something was committed, the group's next offset.
    pub(crate) fn committed(&self, group: &str, topic: &str) -> BTreeMap<i32, i64> {
        let consumer: BaseConsumer = self.client().set("group.id", group).create().unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions(&consumer, topic) {
            list.add_partition(topic, partition);
        }
        let committed = consumer.committed_offsets(list, TIMEOUT).unwrap();
        let offsets = committed.elements();
        let known = offsets.iter().filter_map(|element| match element.offset() {
            Offset::Offset(next) => Some((element.partition(), next)),
            _ => None,
        });
        known.collect()
    }

    /// For each partition with messages, the offset of the next one.
    pub(crate) fn ends(&self, topic: &str) -> BTreeMap<i32, i64> {
        self.read(topic).iter().map(|message| (message.partition, message.offset + 1)).collect()
    }

    fn partitions(&self, consumer: &BaseConsumer, topic: &str) -> i32 {
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).unwrap();
        i32::try_from(metadata.topics()[0].partitions().len()).unwrap()
    }
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap()
}

/// The payloads of each key, in the order of its partition.
pub(crate) fn by_key(messages: &[Stored]) -> BTreeMap<&str, Vec<&Stored>> {
    let mut keys: BTreeMap<&str, Vec<&Stored>> = BTreeMap::new();
    for message in messages {
        keys.entry(&message.key).or_default().push(message);
    }
    keys
}
