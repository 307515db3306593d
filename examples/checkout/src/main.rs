//! The service of this repository: confirms every order, in order, at least once.

use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", std::env::var("KAFKA_BOOTSTRAP_SERVERS")?);
    config.set("group.id", "checkout").set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
    let consumer: StreamConsumer = config.create()?;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", std::env::var("KAFKA_BOOTSTRAP_SERVERS")?).set("enable.idempotence", "true");
    let producer: FutureProducer = config.set("linger.ms", "0").create()?;
    consumer.subscribe(&["orders"])?;
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        let order = tokio::select! {
            order = consumer.recv() => order?,
            _ = terminate.recv() => return Ok(()),
        };
        let (key, payload) = (order.key().unwrap_or_default(), order.payload().unwrap_or_default());
        let confirmation = FutureRecord::to("confirmations").key(key).payload(payload);
        producer.send(confirmation, Duration::from_secs(5)).await.map_err(|(error, _)| error)?;
        consumer.commit_message(&order, CommitMode::Async)?;
    }
}
