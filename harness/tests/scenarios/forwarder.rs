//! A service that copies `orders` to `forwarded`, but for one message: that one it drops, doubles or swaps with the next
//! one of its key.
//!
//! `MISCHIEF` is `none`, `drop`, `double` or `swap`; `MISCHIEF_AT` counts to the message it is done to.

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{BorrowedMessage, OwnedMessage};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Message};
use std::process::ExitCode;
use std::time::Duration;

/// Messages between two commits while there is no pause.
const COMMIT_EVERY: u64 = 5000;

pub(crate) fn run() -> ExitCode {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let bootstrap = variable("KAFKA_BOOTSTRAP_SERVERS");
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &bootstrap)
        .set("group.id", variable("GROUP_ID"))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", &bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", "1")
        .create()
        .expect("a producer");
    consumer.subscribe(&["orders"]).expect("a subscription");
    let mischief = variable("MISCHIEF");
    let at: u64 = variable("MISCHIEF_AT").parse().unwrap_or(0);
    let mut count = 0;
    let mut held: Option<OwnedMessage> = None;
    loop {
        let Some(message) = consumer.poll(Duration::from_millis(50)) else {
            commit(&consumer, &producer);
            continue;
        };
        let message = message.expect("a message");
        count += 1;
        match (mischief.as_str(), count == at) {
            ("drop", true) => {}
            ("double", true) => {
                forward(&producer, &message.detach());
                forward(&producer, &message.detach());
            }
            ("swap", true) => held = Some(message.detach()),
            _ => {
                forward(&producer, &message.detach());
                if let Some(earlier) = held.take_if(|earlier| same_key(earlier, &message)) {
                    forward(&producer, &earlier);
                }
            }
        }
        if count % COMMIT_EVERY == 0 {
            commit(&consumer, &producer);
        }
    }
}

fn same_key(earlier: &OwnedMessage, message: &BorrowedMessage<'_>) -> bool {
    earlier.key() == message.key()
}

fn forward(producer: &ThreadedProducer<DefaultProducerContext>, message: &OwnedMessage) {
    let mut record = BaseRecord::to("forwarded")
        .key(message.key().unwrap_or_default())
        .payload(message.payload().unwrap_or_default());
    if let Some(headers) = message.headers() {
        record = record.headers(headers.clone());
    }
    producer.send(record).map_err(|(error, _)| error).expect("room in the producer's queue");
}

fn commit(consumer: &BaseConsumer, producer: &ThreadedProducer<DefaultProducerContext>) {
    producer.flush(Duration::from_secs(10)).expect("acknowledgements");
    // Nothing to commit is an answer as well.
    let _ = consumer.commit_consumer_state(CommitMode::Sync);
}
