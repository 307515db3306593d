//! Real clients against a real cluster: librdkafka, and sockets that mean harm.

mod admin;
mod clocks;
mod connections;
mod disks;
mod durable;
mod faults;
mod groups;
mod hostile;
mod interventions;
mod lifecycle;
mod links;
mod memberships;
mod produce_consume;
mod racks;
mod raw;
mod rules;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use shakedown_cluster::Cluster;
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

fn client(cluster: &Cluster) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    config
}

/// Waits for a future of the client library, without a runtime of our own.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

fn admin(cluster: &Cluster) -> AdminClient<DefaultClientContext> {
    client(cluster).create().expect("an admin client")
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// As the cluster has it, which is with three replicas where it has three brokers.
fn create_topic(cluster: &Cluster, topic: &str, partitions: i32, config: &[(&str, &str)]) {
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
    create(cluster, &config.iter().fold(new, |new, (name, value)| new.set(name, value)));
}

fn create_replicated(cluster: &Cluster, topic: &str, partitions: i32, replicas: i32) {
    create(cluster, &NewTopic::new(topic, partitions, TopicReplication::Fixed(replicas)));
}

fn create(cluster: &Cluster, new: &NewTopic<'_>) {
    let results = block_on(admin(cluster).create_topics([new], &AdminOptions::new())).expect("an answer");
    results.into_iter().for_each(|result| drop(result.expect("a new topic")));
}

/// Produces numbered messages to one partition and waits until all are acknowledged.
fn produce(config: &ClientConfig, topic: &str, partition: i32, numbers: std::ops::Range<u64>) {
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
    for number in numbers {
        let payload = number.to_string();
        let record = BaseRecord::<str, str>::to(topic).partition(partition).payload(&payload).key("key");
        producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
    }
    producer.flush(PATIENCE).expect("everything is acknowledged");
}

/// Reads a partition from an offset until `count` messages are there.
fn consume(cluster: &Cluster, topic: &str, partition: i32, from: Offset, count: usize) -> Vec<u64> {
    let mut config = client(cluster);
    let consumer: BaseConsumer =
        config.set("group.id", "reader").set("check.crcs", "true").create().expect("a consumer");
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, from).expect("a valid offset");
    consumer.assign(&assignment).expect("an assignment");
    read(&consumer, count).iter().map(|(_, number)| *number).collect()
}

/// Whether an error tells of no more than brokers that are not there, which librdkafka mentions to consumers as it goes on.
fn is_about_dead_brokers(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    matches!(code, Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown))
}

/// Polls until `count` messages are there: partition and number.
fn read<C: ConsumerContext>(consumer: &BaseConsumer<C>, count: usize) -> Vec<(i32, u64)> {
    let number = |message: &BorrowedMessage<'_>| {
        let payload = message.payload_view::<str>().expect("a payload").expect("text");
        payload.parse().expect("a number")
    };
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    while seen.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} messages came", seen.len());
        match consumer.poll(Duration::from_millis(100)) {
            Some(Err(error)) if is_about_dead_brokers(&error) => {}
            Some(message) => {
                let message = message.expect("a message");
                seen.push((message.partition(), number(&message)));
            }
            None => {}
        }
    }
    seen
}
