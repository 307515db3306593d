//! Sends events so that they lie in their topic in the order in which they were sent, and says where.

use super::error::DlqError;
use super::letter::Header;
use super::post::client;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header as KafkaHeader, OwnedHeaders};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::runtime::Runtime;

/// Settings of the client under which nothing is lost, doubled by a retry, or overtaken.
const SOUND: [(&str, &str); 8] = [
    ("acks", "all"),
    ("enable.idempotence", "true"),
    // What is behind an event that was refused is not sent.
    ("enable.gapless.guarantee", "true"),
    ("max.in.flight.requests.per.connection", "1"),
    ("linger.ms", "1"),
    ("message.timeout.ms", "30000"),
    // How large an event may be is its topic's to say, not the client's.
    ("message.max.bytes", "1000000000"),
    // Java's: where the partition is not known any more, a key lies where its other events are.
    ("partitioner", "murmur2_random"),
];

/// An event to be sent.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) partition: Option<i32>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) payload: Option<&'a [u8]>,
    pub(super) headers: Vec<Header>,
}

/// Where an event lies now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Landing {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// A producer for one topic.
pub(super) struct Sender {
    topic: String,
    producer: FutureProducer,
    runtime: Runtime,
}

impl Sender {
    pub(super) fn open(bootstrap: &str, topic: &str) -> Result<Self, DlqError> {
        let mut config = client(bootstrap);
        for (property, value) in SOUND {
            config.set(property, value);
        }
        let what = || format!("make a producer for {topic}");
        let producer = config.create().map_err(|source| DlqError::Kafka { what: what(), source: Box::new(source) })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok(Self { topic: topic.to_owned(), producer, runtime })
    }

    /// Sends the events and waits for every acknowledgement. What lies in the topic is a beginning of what was sent: its
    /// places, and with them the failure behind it, if there was one.
    pub(super) fn send(&self, events: Vec<Outgoing<'_>>) -> (Vec<Landing>, Option<KafkaError>) {
        let mut under_way: Vec<DeliveryFuture> = Vec::with_capacity(events.len());
        let mut failure = None;
        for event in events {
            let mut record: FutureRecord<'_, [u8], [u8]> =
                FutureRecord::to(&self.topic).headers(kafka_headers(&event.headers));
            (record.partition, record.key, record.payload) = (event.partition, event.key, event.payload);
            match self.producer.send_result(record) {
                Ok(delivery) => under_way.push(delivery),
                Err((source, _)) => {
                    failure = Some(source);
                    break;
                }
            }
        }
        let mut landings = Vec::with_capacity(under_way.len());
        let mut is_whole = true;
        for delivery in under_way {
            // Every one is waited for, also behind a failure: what was handed over is answered before anybody goes on.
            match self.runtime.block_on(delivery) {
                Ok(Ok(landed)) if is_whole => {
                    landings.push(Landing { partition: landed.partition, offset: landed.offset });
                }
                Ok(Ok(_)) => {}
                Ok(Err((source, _))) => {
                    if is_whole {
                        failure = Some(source);
                    }
                    is_whole = false;
                }
                Err(_) => {
                    if is_whole {
                        failure = Some(KafkaError::Canceled);
                    }
                    is_whole = false;
                }
            }
        }
        (landings, failure)
    }
}

fn kafka_headers(headers: &[Header]) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |all, (key, value)| {
        all.insert(KafkaHeader { key, value: value.as_deref() })
    })
}
