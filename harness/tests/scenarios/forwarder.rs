//! A service that copies `orders` to `forwarded`, but for one message: that one it drops, doubles or swaps with the next
//! one of its key. Or it adds a partition to `forwarded` at that message, or forwards its last message many times more
//! when it is asked to stop. Or it commits some messages before it has forwarded them, and never comes to that; or it gives up
//! the partition of that message and goes on with the others.
//!
//! `MISCHIEF` is `none`, `drop`, `double`, `swap`, `grow`, `farewell`, `haste` or `poison`; `MISCHIEF_AT` counts to the message
//! it is done to.

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{BorrowedMessage, OwnedMessage};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use shakedown::StopFlag;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How often the last message is forwarded again by a `farewell`.
pub(crate) const FAREWELLS: u64 = 5_000;

/// How many messages a hasty one has committed and not forwarded.
pub(crate) const HASTE: u64 = 7;

/// Messages between two commits while there is no pause, unless `COMMIT_EVERY` says otherwise.
const COMMIT_EVERY: u64 = 5000;

pub(crate) fn run() -> ExitCode {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let bootstrap = variable("KAFKA_BOOTSTRAP_SERVERS");
    let mischief = variable("MISCHIEF");
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &bootstrap)
        .set("group.id", variable("GROUP_ID"))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        // Whoever is killed comes back as the same member, and need not wait for its own session to expire.
        .set("group.instance.id", "the-only-one")
        .create()
        .expect("a consumer");
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", &bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", "1")
        .create()
        .expect("a producer");
    consumer.subscribe(&["orders"]).expect("a subscription");
    let at: u64 = variable("MISCHIEF_AT").parse().unwrap_or(0);
    let commit_every: u64 = variable("COMMIT_EVERY").parse().unwrap_or(COMMIT_EVERY);
    let is_new = nothing_is_committed(&consumer);
    let mut count = 0;
    let mut held: Option<OwnedMessage> = None;
    let mut last: Option<OwnedMessage> = None;
    // Without a handler SIGTERM ends the process, which is good enough for everybody else.
    let asked_to_stop = (mischief == "farewell").then(on_sigterm).unwrap_or_default();
    loop {
        if asked_to_stop.is_stopped() {
            for _ in 0..FAREWELLS {
                forward(&producer, last.as_ref().expect("something was forwarded"));
            }
            producer.flush(Duration::from_secs(10)).expect("acknowledgements");
            // At once: leaving the group and closing the clients would give taps the time that this is about.
            std::process::exit(0);
        }
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
            ("grow", true) => {
                forward(&producer, &message.detach());
                grow(&bootstrap);
            }
            ("swap", true) => held = Some(message.detach()),
            ("haste", true) if is_new => commit_and_hang(&consumer, &producer),
            ("poison", true) => {
                forward(&producer, &message.detach());
                let mut poisoned = TopicPartitionList::new();
                poisoned.add_partition("orders", message.partition());
                consumer.pause(&poisoned).expect("a partition of its own");
            }
            _ => {
                forward(&producer, &message.detach());
                if let Some(earlier) = held.take_if(|earlier| same_key(earlier, &message)) {
                    forward(&producer, &earlier);
                }
            }
        }
        last = Some(message.detach());
        if count % commit_every == 0 {
            commit(&consumer, &producer);
        }
    }
}

/// Whether nobody of the group has committed anything: who comes back after being killed is not new.
fn nothing_is_committed(consumer: &BaseConsumer) -> bool {
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_range("orders", 0, 3);
    let committed = consumer.committed_offsets(partitions, Duration::from_secs(10)).expect("an answer");
    committed.elements().iter().all(|element| element.offset() == Offset::Invalid)
}

/// Commits this message and some more, and forwards none of them: whoever kills it now finds out what that means.
fn commit_and_hang(consumer: &BaseConsumer, producer: &ThreadedProducer<DefaultProducerContext>) {
    let mut more = 1;
    while more < HASTE {
        more += u64::from(consumer.poll(Duration::from_millis(50)).is_some_and(|message| message.is_ok()));
    }
    commit(consumer, producer);
    loop {
        std::thread::park();
    }
}

/// A flag that SIGTERM raises.
fn on_sigterm() -> StopFlag {
    let flag = StopFlag::new();
    let raised = flag.clone();
    let runtime = runtime();
    let mut terminate = {
        let _guard = runtime.enter();
        signal(SignalKind::terminate()).expect("signals can be handled")
    };
    std::thread::spawn(move || {
        runtime.block_on(terminate.recv());
        raised.stop();
    });
    flag
}

fn grow(bootstrap: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("an admin client");
    let more = [NewPartitions::new("forwarded", 5)];
    let answers = runtime().block_on(admin.create_partitions(&more, &AdminOptions::new())).expect("an answer");
    assert_eq!(answers, [Ok("forwarded".to_owned())]);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
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
