//! A cluster that is started again on its folder, in good order or after `kill -9`, has everything that it had.

use super::faults::{leader_of, patient};
use super::wait_for;
use super::{PATIENCE, client, consume, create_replicated, produce};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext, Message, Offset, TopicPartitionList};
use shakedown_cluster::{Cluster, ClusterBuilder, StartError};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn on(folder: &Path) -> ClusterBuilder {
    Cluster::builder().brokers(3).data_dir(folder)
}

#[test]
fn a_cluster_finds_what_an_earlier_one_left() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (cluster, port) = start_on_ports(folder.path());
    create_replicated(&cluster, "orders", 2, 3);
    let producer: ThreadedProducer<DefaultProducerContext> = patient(&cluster).create().expect("a producer");
    let send = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            let payload = number.to_string();
            let record = BaseRecord::<str, str>::to("orders").partition(1).payload(&payload).key("key");
            producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
        }
        producer.flush(PATIENCE).expect("everything is acknowledged");
    };
    send(0..100);
    commit(&cluster, 77);
    drop(cluster);
    for round in 1..=2 {
        // Where the producer knows it.
        let cluster = on(folder.path()).base_port(port).start().expect("a cluster");
        assert_eq!(committed(&cluster), Offset::Offset(77));
        send(100 * round..100 * (round + 1));
        let count = 100 * (round + 1);
        let read = consume(&cluster, "orders", 1, Offset::Beginning, usize::try_from(count).expect("few"));
        assert_eq!(read, (0..count).collect::<Vec<_>>(), "the producer goes on where it was");
    }
}

/// A cluster on ports that it can have again: they are none of those that the system gives to clients.
fn start_on_ports(folder: &Path) -> (Cluster, u16) {
    let first = 20_000 + u16::try_from(std::process::id() % 1000).expect("few") * 10;
    let ports = (first..first + 1000).step_by(10);
    let mut started = ports.filter_map(|port| Some((on(folder).base_port(port).start().ok()?, port)));
    started.next().expect("three ports are free somewhere")
}

fn commit(cluster: &Cluster, offset: i64) {
    let consumer: BaseConsumer = client(cluster).set("group.id", "billing").create().expect("a consumer");
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("orders", 1, Offset::Offset(offset)).expect("an offset");
    consumer.commit(&offsets, CommitMode::Sync).expect("a commit");
}

fn committed(cluster: &Cluster) -> Offset {
    let consumer: BaseConsumer = client(cluster).set("group.id", "billing").create().expect("a consumer");
    let mut asked = TopicPartitionList::new();
    asked.add_partition("orders", 1);
    consumer.committed_offsets(asked, PATIENCE).expect("an answer").elements()[0].offset()
}

#[test]
fn a_folder_that_does_not_fit_is_refused_with_its_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cluster = on(folder.path()).start().expect("a cluster");
    let name = folder.path().display().to_string();
    let locked = on(folder.path()).start().expect_err("somebody else has it");
    assert!(matches!(locked, StartError::DataFolder(_)), "{locked}");
    assert_eq!(locked.to_string(), format!("another cluster uses the data folder {name}: its file .lock is locked"));
    drop(cluster);
    let smaller = on(folder.path()).brokers(1).start().expect_err("it is for three");
    assert!(smaller.to_string().contains("is one of 3 brokers"), "{smaller}");
    std::fs::write(folder.path().join("node-2/__cluster_metadata-0/quorum-state"), b"rubbish").expect("room");
    let damaged = on(folder.path()).start().expect_err("node 2 does not know what it voted");
    assert!(damaged.to_string().contains("node-2/__cluster_metadata-0/quorum-state"), "{damaged}");
}

#[test]
fn nodes_that_are_killed_or_lose_power_find_their_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cluster = on(folder.path()).start().expect("a cluster");
    create_replicated(&cluster, "orders", 1, 3);
    for round in 0..3 {
        produce(&patient(&cluster), "orders", 0, 100 * round..100 * (round + 1));
        let leader = leader_of(&cluster, "orders");
        if round == 1 {
            cluster.power_loss(leader).expect("it runs");
        } else {
            cluster.kill(leader).expect("it runs");
        }
        cluster.restart(leader).expect("its port is free");
        wait_for("three replicas", || cluster.unsettled().is_none() && cluster.followers("orders", 0).len() == 2);
    }
    assert_eq!(consume(&cluster, "orders", 0, Offset::Beginning, 300), (0..300).collect::<Vec<_>>());
}

/// Set for [`the_process_that_is_killed`] alone: where it keeps everything.
const FOLDER: &str = "SHAKEDOWN_TEST_DATA_DIR";

/// Rounds of the suite; with `SHAKEDOWN_SOAK` as many as the project promises.
fn rounds() -> u64 {
    if std::env::var_os("SHAKEDOWN_SOAK").is_some() { 100 } else { 5 }
}

/// Which messages were acknowledged.
#[derive(Clone, Default)]
struct Acknowledged(Arc<Mutex<BTreeSet<u64>>>);

impl Acknowledged {
    fn count(&self) -> usize {
        self.0.lock().expect("nobody panics").len()
    }
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Self::DeliveryOpaque) {
        if result.is_ok() {
            self.0.lock().expect("nobody panics").insert(*number);
        }
    }
}

/// What the process of the next test does, which the test starts: a cluster until it is killed.
fn be_killed(folder: &Path) {
    let cluster = on(folder).start().expect("it starts on whatever the last one left");
    println!("\nbootstrap {}", cluster.bootstrap_servers());
    // It ends with its parent, should that not kill it.
    while std::io::stdin().lines().next().is_some() {}
}

struct Process {
    child: Child,
    servers: String,
}

impl Process {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["durable::what_was_acknowledged_outlives_kill_9", "--exact", "--nocapture"])
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test can be started");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut told = lines.map_while(Result::ok).filter_map(|line| Some(line.strip_prefix("bootstrap ")?.to_owned()));
        let servers = told.next().expect("it says where it is");
        Self { child, servers }
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers);
        config
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL.
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it has ended");
    }
}

#[test]
fn what_was_acknowledged_outlives_kill_9() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return be_killed(Path::new(&folder));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let acknowledged = Acknowledged::default();
    let mut next = 0;
    for round in 0..rounds() {
        let process = Process::start(folder.path());
        let mut config = process.client();
        config.set("enable.idempotence", "true").set("linger.ms", "1").set("allow.auto.create.topics", "true");
        let producer: ThreadedProducer<Acknowledged> =
            config.create_with_context(acknowledged.clone()).expect("a producer");
        // The kill comes at another point of the stream each time, and always in its middle.
        let enough = acknowledged.count() + 500 + usize::try_from(round * 137 % 1000).expect("few");
        let deadline = Instant::now() + PATIENCE;
        while acknowledged.count() < enough {
            assert!(Instant::now() < deadline, "round {round}: {} of {enough} are acknowledged", acknowledged.count());
            let payload = next.to_string();
            let record = BaseRecord::<str, str, _>::with_opaque_to("orders", Box::new(next)).payload(&payload);
            match producer.send(record) {
                Ok(()) => next += 1,
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        drop(process);
    }
    let process = Process::start(folder.path());
    let expected = acknowledged.0.lock().expect("nobody panics").clone();
    let mut missing = expected.clone();
    let consumer: BaseConsumer = process
        .client()
        .set("group.id", "reader")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true")
        .create()
        .expect("a consumer");
    consumer.subscribe(&["orders"]).expect("a subscription");
    let deadline = Instant::now() + PATIENCE;
    while !missing.is_empty() {
        assert!(Instant::now() < deadline, "{} of {} are missing: {missing:?}", missing.len(), expected.len());
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message.expect("a message");
            let number = message.payload_view::<str>().expect("a payload").expect("text");
            missing.remove(&number.parse().expect("a number"));
        }
    }
}
