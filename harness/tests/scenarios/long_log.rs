//! A log that is much larger than the memory that it may have: everything comes back, and the process stays within its
//! budget.
//!
//! `SHAKEDOWN_SOAK=1` makes it 10 GB in the default budget of 256 MiB; otherwise it is 400 MB in 64 MiB.

use crate::{tool, trial};
use libtest_mimic::Trial;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::process::Child;
use std::time::{Duration, Instant};

const PARTITIONS: u64 = 12;
const MESSAGE_BYTES: usize = 1000;
/// What a process may hold beside its log: code, connections, buffers, indices.
const BESIDE_MB: u64 = 100;
const PATIENCE: Duration = Duration::from_secs(60);
/// The binding spins through the last fraction of a millisecond.
const POLL: Duration = Duration::from_micros(20_200);

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("long_log::more_than_memory_comes_back_within_the_budget", || {
        if std::env::var_os("SHAKEDOWN_SOAK").is_some() { run(10_000_000, 256) } else { run(400_000, 64) }
    })]
}

fn run(messages: u64, budget_mib: u64) {
    let memory = format!("{budget_mib}MiB");
    let partitions = format!("num.partitions={PARTITIONS}");
    let mut cluster = tool::start(&["cluster", "--brokers", "3", "--memory", &memory, "--config", &partitions]);
    let bootstrap = tool::announced(&mut cluster);
    let started = Instant::now();
    produce(&bootstrap, messages);
    let produced = started.elapsed();
    consume(&bootstrap, messages);
    let most_mb = peak_kib(&cluster) * 1024 / 1_000_000;
    let allowed_mb = budget_mib * (1 << 20) / 1_000_000 + BESIDE_MB;
    let (took, size_mb) = (started.elapsed(), messages * MESSAGE_BYTES as u64 / 1_000_000);
    println!("{size_mb} MB produced in {produced:.1?}, read {took:.1?} after; at most {most_mb} MB of {allowed_mb}");
    assert!(most_mb <= allowed_mb, "{most_mb} MB at most, {allowed_mb} are allowed");
    drop(cluster.stdin.take());
    assert_eq!(tool::wait(&mut cluster), Some(0));
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

/// Message n is the (n / partitions)th of its partition.
fn produce(bootstrap: &str, messages: u64) {
    let mut config = client(bootstrap);
    config.set("enable.idempotence", "true").set("linger.ms", "5").set("queue.buffering.max.kbytes", "65536");
    let producer: BaseProducer = config.create().expect("a producer");
    let mut payload = [b'x'; MESSAGE_BYTES];
    for n in 0..messages {
        payload[..8].copy_from_slice(&n.to_le_bytes());
        let partition = i32::try_from(n % PARTITIONS).expect("a dozen");
        let mut record = BaseRecord::<(), [u8]>::to("orders").partition(partition).payload(&payload);
        while let Err((error, back)) = producer.send(record) {
            assert!(matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)), "{error}");
            record = back;
            producer.poll(POLL);
        }
    }
    producer.flush(PATIENCE).expect("everything is acknowledged");
}

/// Reads everything from its beginning: each message once, in its place.
fn consume(bootstrap: &str, messages: u64) {
    let mut config = client(bootstrap);
    config.set("group.id", "reader").set("queued.max.messages.kbytes", "32768").set("check.crcs", "true");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut assignment = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        let partition = i32::try_from(partition).expect("a dozen");
        assignment.add_partition_offset("orders", partition, Offset::Beginning).expect("a valid offset");
    }
    consumer.assign(&assignment).expect("an assignment");
    let mut next: Vec<u64> = (0..PARTITIONS).collect();
    let mut last = Instant::now();
    for seen in 0..messages {
        let message = loop {
            match consumer.poll(POLL) {
                Some(message) => break message.expect("a message"),
                None => assert!(last.elapsed() < PATIENCE, "{seen} of {messages} messages came"),
            }
        };
        last = Instant::now();
        let payload = message.payload().expect("a payload");
        let expected = &mut next[usize::try_from(message.partition()).expect("not negative")];
        assert_eq!((payload.len(), &payload[..8]), (MESSAGE_BYTES, &expected.to_le_bytes()[..]));
        *expected += PARTITIONS;
    }
}

/// The most memory that a process has ever had resident.
fn peak_kib(process: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux counts it");
    peak.trim().trim_end_matches(" kB").parse().expect("a number")
}
