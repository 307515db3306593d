//! What clients do: librdkafka's producer and consumer, the same against every server.

use crate::client::{self, PATIENCE};
use crate::server::Server;
use crate::tail::Tail;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Partitions of every topic that is produced to; the floor has no other number.
const PARTITIONS: u8 = 10;
/// Copies of every message on a cluster of ours.
pub(crate) const REPLICAS: i16 = 3;
const PAYLOAD: [u8; 200] = [b'x'; 200];
/// How long the producer waits where its queue is full. The binding takes less than a millisecond for no wait at all and asks
/// again, so that a wait of one would be a busy loop on one of two processors.
const QUEUE_FULL_WAIT: Duration = Duration::from_micros(5_200);
/// How long after the last send of a steady rate the last message may come: a server that takes longer falls behind.
const BEHIND: Duration = Duration::from_secs(15);

fn config(server: &Server) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &server.bootstrap).set("acks", "all");
    config
}

/// A producer that knows a new topic.
fn producer(server: &Server, topic: &str, linger_ms: &str) -> BaseProducer {
    client::create(server, topic, PARTITIONS.into());
    let mut config = config(server);
    config.set("linger.ms", linger_ms).set("queue.buffering.max.messages", "1000000");
    let producer: BaseProducer = config.create().expect("a producer");
    producer.client().fetch_metadata(Some(topic), PATIENCE).expect("metadata");
    producer
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// Message n of a topic, whose partitions take turns.
fn record<'a>(topic: &'a str, n: u32, payload: &'a [u8]) -> BaseRecord<'a, (), [u8]> {
    let partition = n % u32::from(PARTITIONS);
    BaseRecord::to(topic).partition(i32::try_from(partition).expect("below ten")).payload(payload)
}

/// Produces as fast as it can; messages a second from the first send to the last acknowledgement.
pub(crate) fn throughput(server: &Server, messages: u32) -> f64 {
    let producer = producer(server, "throughput", "5");
    let start = Instant::now();
    for n in 0..messages {
        let mut record = record("throughput", n, &PAYLOAD);
        while let Err((error, back)) = producer.send(record) {
            assert!(matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)), "{error}");
            record = back;
            producer.poll(QUEUE_FULL_WAIT);
        }
    }
    producer.flush(PATIENCE).expect("everything is acknowledged");
    f64::from(messages) / start.elapsed().as_secs_f64()
}

/// One message, fetched before the next is sent.
pub(crate) fn round_trips(server: &Server, count: u32) {
    let producer = producer(server, "round-trips", "0");
    let tail = Tail::start(server, "round-trips");
    for n in 0..count {
        producer.send(record("round-trips", n, &PAYLOAD)).map_err(|(error, _)| error).expect("room");
        tail.arrivals.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("message {n} never came: {error}"));
        producer.poll(Duration::ZERO);
    }
    producer.flush(PATIENCE).expect("everything is acknowledged");
}

/// From the intended send to the consumer's poll at a steady rate: p50 and p99 in milliseconds, infinite for a server
/// that falls behind.
pub(crate) fn end_to_end(server: &Server, rate: u32, seconds: u32) -> (f64, f64) {
    let producer = producer(server, "end-to-end", "0");
    let tail = Tail::start(server, "end-to-end");
    let count = rate * seconds;
    let start = Instant::now();
    let deadline = start + Duration::from_secs(seconds.into()) + BEHIND;
    let reader = std::thread::spawn(move || {
        let mut latencies = Vec::new();
        while latencies.len() < count as usize {
            let (at, payload) = tail.arrivals.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()?;
            let due = u64::from_le_bytes(payload[..8].try_into().expect("eight bytes"));
            latencies.push((at - start).as_secs_f64() * 1e3 - Duration::from_nanos(due).as_secs_f64() * 1e3);
        }
        Some(latencies)
    });
    let mut payload = PAYLOAD;
    for n in 0..count {
        let due = Duration::from_secs(1) * n / rate;
        while start.elapsed() < due {
            producer.poll(Duration::ZERO);
            std::thread::sleep(Duration::from_micros(50).min(due.saturating_sub(start.elapsed())));
        }
        let nanos = u64::try_from(due.as_nanos()).expect("some seconds");
        payload[..8].copy_from_slice(&nanos.to_le_bytes());
        producer.send(record("end-to-end", n, &payload)).map_err(|(error, _)| error).expect("room");
    }
    let Some(mut latencies) = reader.join().expect("the reader ends") else { return (f64::INFINITY, f64::INFINITY) };
    producer.flush(PATIENCE).expect("everything is acknowledged");
    latencies.sort_by(f64::total_cmp);
    (latencies[latencies.len() / 2], latencies[latencies.len() * 99 / 100])
}

/// Creates topics in requests of a hundred; seconds until all are there.
pub(crate) fn many_topics(server: &Server, topics: usize, partitions: i32) -> f64 {
    let names: BTreeSet<String> = (0..topics).map(|n| format!("topic-{n}")).collect();
    let admin: AdminClient<DefaultClientContext> = config(server).create().expect("an admin client");
    let topic = |name| NewTopic::new(name, partitions, TopicReplication::Fixed(server.replicas.into()));
    let start = Instant::now();
    let topics: Vec<_> = names.iter().map(|name| topic(name)).collect();
    for topics in topics.chunks(100) {
        let created = block_on(admin.create_topics(topics, &AdminOptions::new())).expect("an answer");
        assert!(created.iter().all(Result::is_ok), "{created:?}");
    }
    let consumer: BaseConsumer = config(server).create().expect("a consumer");
    let metadata = consumer.fetch_metadata(None, PATIENCE).expect("metadata");
    let elapsed = start.elapsed().as_secs_f64();
    let known: BTreeSet<String> = metadata.topics().iter().map(|topic| topic.name().to_owned()).collect();
    assert_eq!(known, names, "all topics are there");
    elapsed
}
