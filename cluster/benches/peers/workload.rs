//! What clients do: librdkafka's producer and consumer, the same against every server.

use crate::tail::Tail;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use std::time::{Duration, Instant};

const PARTITIONS: i32 = 10;
const PAYLOAD: [u8; 200] = [b'x'; 200];
const PATIENCE: Duration = Duration::from_secs(60);

fn config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("acks", "all");
    config
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

fn admin(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    config(bootstrap).create().expect("an admin client")
}

fn create(admin: &AdminClient<DefaultClientContext>, topics: &[NewTopic<'_>]) {
    let created = block_on(admin.create_topics(topics, &AdminOptions::new())).expect("an answer");
    assert!(created.iter().all(Result::is_ok), "{created:?}");
}

fn create_one(bootstrap: &str, topic: &str) {
    // The floor, which is one node, has every topic already and does not know how to create one.
    if bootstrap.contains(',') {
        create(&admin(bootstrap), &[NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1))]);
    }
}

/// Produces as fast as it can; messages a second from the first send to the last acknowledgement.
pub(crate) fn throughput(bootstrap: &str, messages: u64) -> f64 {
    create_one(bootstrap, "throughput");
    let mut config = config(bootstrap);
    config.set("linger.ms", "5").set("queue.buffering.max.messages", "1000000");
    let producer: BaseProducer = config.create().expect("a producer");
    producer.client().fetch_metadata(Some("throughput"), PATIENCE).expect("metadata");
    let start = Instant::now();
    for n in 0..messages {
        let partition = i32::try_from(n % 10).expect("below ten");
        let mut record = BaseRecord::<(), [u8]>::to("throughput").partition(partition).payload(&PAYLOAD);
        while let Err((error, back)) = producer.send(record) {
            assert!(matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)), "{error}");
            record = back;
            producer.poll(Duration::from_millis(1));
        }
    }
    producer.flush(PATIENCE).expect("everything is acknowledged");
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
    let count = messages as f64;
    count / start.elapsed().as_secs_f64()
}

/// One message, acknowledged and fetched before the next is sent.
pub(crate) fn round_trips(bootstrap: &str, count: u64) {
    create_one(bootstrap, "round-trips");
    let mut config = config(bootstrap);
    let producer: BaseProducer = config.set("linger.ms", "0").create().expect("a producer");
    let tail = Tail::start(bootstrap, "round-trips");
    for n in 0..count {
        let partition = i32::try_from(n % 10).expect("below ten");
        let record = BaseRecord::<(), [u8]>::to("round-trips").partition(partition).payload(&PAYLOAD);
        producer.send(record).map_err(|(error, _)| error).expect("room");
        tail.arrivals.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("message {n} never came: {error}"));
        producer.poll(Duration::ZERO);
    }
    producer.flush(PATIENCE).expect("everything is acknowledged");
}

/// From the intended send to the consumer's poll at a steady rate: p50 and p99 in milliseconds.
pub(crate) fn end_to_end(bootstrap: &str, rate: u32, seconds: u32) -> (f64, f64) {
    create_one(bootstrap, "end-to-end");
    let mut producer_config = config(bootstrap);
    let producer: BaseProducer = producer_config.set("linger.ms", "0").create().expect("a producer");
    producer.client().fetch_metadata(Some("end-to-end"), PATIENCE).expect("metadata");
    let tail = Tail::start(bootstrap, "end-to-end");
    let count = rate * seconds;
    let start = Instant::now();
    let reader = std::thread::spawn(move || {
        let mut latencies = Vec::new();
        while latencies.len() < count as usize {
            let arrival = tail.arrivals.recv_timeout(PATIENCE);
            let (at, payload) = arrival.unwrap_or_else(|error| panic!("{} of {count} came: {error}", latencies.len()));
            let due = u64::from_le_bytes(payload[..8].try_into().expect("eight bytes"));
            latencies.push((at - start).as_secs_f64() * 1e3 - Duration::from_nanos(due).as_secs_f64() * 1e3);
        }
        latencies
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
        let partition = i32::try_from(n % 10).expect("below ten");
        let record = BaseRecord::<(), [u8]>::to("end-to-end").partition(partition).payload(&payload);
        producer.send(record).map_err(|(error, _)| error).expect("room");
    }
    producer.flush(PATIENCE).expect("everything is acknowledged");
    let mut latencies = reader.join().expect("the reader ends");
    latencies.sort_by(f64::total_cmp);
    (latencies[latencies.len() / 2], latencies[latencies.len() * 99 / 100])
}

/// Creates topics in requests of a hundred; seconds until all are there.
pub(crate) fn many_topics(bootstrap: &str, topics: usize, partitions: i32) -> f64 {
    let names: Vec<String> = (0..topics).map(|n| format!("topic-{n}")).collect();
    let admin = admin(bootstrap);
    let start = Instant::now();
    for names in names.chunks(100) {
        let topics: Vec<NewTopic<'_>> =
            names.iter().map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1))).collect();
        create(&admin, &topics);
    }
    let consumer: BaseConsumer = config(bootstrap).create().expect("a consumer");
    let known = consumer.fetch_metadata(None, PATIENCE).expect("metadata").topics().len();
    let elapsed = start.elapsed().as_secs_f64();
    assert_eq!(known, topics, "all topics are there");
    elapsed
}
