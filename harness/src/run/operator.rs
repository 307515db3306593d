//! The operator: changes the cluster as people do, with Kafka's own clients, on whatever back end.

use super::error::RunError;
use super::session::Session;
use crate::scenario::operation::{Before, Operation};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::future_producer::Delivery;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::time::Duration;

/// A cluster that needs longer for this is broken.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Carries an operation out, and returns when the cluster has answered; what was done, in words.
///
/// # Errors
/// When the cluster cannot be reached or refuses.
pub(super) fn perform(session: &Session, bootstrap: &str, operation: &Operation) -> Result<String, RunError> {
    match operation {
        Operation::DeleteRecords { topic, partition, before } => {
            let before = match before {
                Before::Offset(offset) => *offset,
                Before::Past { group, by } => committed(bootstrap, group, topic, *partition)?.saturating_add(*by),
            };
            delete_records(session, bootstrap, topic, *partition, before)
                .map_err(RunError::kafka(operation.to_string()))?;
            Ok(format!("{operation}: the log of {topic}/{partition} begins at {before}"))
        }
        Operation::AddPartitions { topic, to } => {
            add_partitions(session, bootstrap, topic, *to).map_err(RunError::kafka(operation.to_string()))?;
            Ok(operation.to_string())
        }
        Operation::Poison { topic, partition, key, value } => {
            let record = FutureRecord {
                topic,
                partition: *partition,
                key: key.as_deref(),
                payload: Some(value.as_str()),
                timestamp: None,
                headers: None,
            };
            let delivery = produce(session, bootstrap, record).map_err(RunError::kafka(operation.to_string()))?;
            Ok(format!("poison in {topic}/{}, at offset {}", delivery.partition, delivery.offset))
        }
    }
}

/// Produces one message, and returns where it lies.
fn produce(session: &Session, bootstrap: &str, record: FutureRecord<'_, str, str>) -> Result<Delivery, KafkaError> {
    let mut properties = ClientConfig::new();
    properties.set("bootstrap.servers", bootstrap).set("acks", "all").set("partitioner", "murmur2_random");
    let producer: FutureProducer = properties.create()?;
    session.block_on(producer.send(record, TIMEOUT)).map_err(|(error, _)| error)
}

/// What the group goes on from; the beginning where it has committed nothing.
fn committed(bootstrap: &str, group: &str, topic: &str, partition: i32) -> Result<i64, RunError> {
    let ask = || {
        let client: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", bootstrap).set("group.id", group).create()?;
        let mut question = TopicPartitionList::new();
        question.add_partition(topic, partition);
        let answer = client.committed_offsets(question, TIMEOUT)?;
        Ok(answer.elements().first().map(|element| element.offset()))
    };
    let offset = ask().map_err(RunError::kafka(format!("read what group {group} has committed")))?;
    Ok(match offset {
        Some(Offset::Offset(offset)) => offset,
        _ => 0,
    })
}

fn delete_records(
    session: &Session,
    bootstrap: &str,
    topic: &str,
    partition: i32,
    before: i64,
) -> Result<(), KafkaError> {
    let mut places = TopicPartitionList::new();
    places.add_partition_offset(topic, partition, Offset::Offset(before))?;
    let admin = Admin::new(bootstrap)?;
    let answers = session.block_on(admin.client().delete_records(&places, &options()))?;
    answers.elements().iter().try_for_each(|element| element.error())
}

fn add_partitions(session: &Session, bootstrap: &str, topic: &str, to: u32) -> Result<(), KafkaError> {
    let admin = Admin::new(bootstrap)?;
    let more = [NewPartitions::new(topic, usize::try_from(to).unwrap_or(usize::MAX))];
    let answers = session.block_on(admin.client().create_partitions(&more, &options()))?;
    answers.into_iter().try_for_each(|answer| answer.map(drop).map_err(|(_, code)| KafkaError::AdminOp(code)))
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT))
}

/// An admin client. Dropping one waits up to 100 ms for its polling thread, which no fault behind it should wait for.
struct Admin(Option<AdminClient<DefaultClientContext>>);

impl Admin {
    fn new(bootstrap: &str) -> Result<Self, KafkaError> {
        Ok(Self(Some(ClientConfig::new().set("bootstrap.servers", bootstrap).create()?)))
    }

    fn client(&self) -> &AdminClient<DefaultClientContext> {
        self.0.as_ref().expect("it is taken only when it is dropped")
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        let client = self.0.take();
        std::thread::spawn(move || drop(client));
    }
}
