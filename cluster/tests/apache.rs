//! Apache Kafka as child processes: it boots, loses nodes, gets them back, and leaves nothing behind.
//!
//! Where there is no Java or no jar these tests say so on standard error and pass; with `SHAKEDOWN_REQUIRE_PEERS` set, as in
//! CI, they fail instead.

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use shakedown_cluster::apache::{Apache, ApacheBuilder, ApacheError, Jars, java_program};
use shakedown_cluster::{Event, Role, Share};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For everything that a loaded machine may take its time for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What brokers are drawn from.
const SEED: u64 = 5;

/// Whether this machine can run Kafka.
fn is_possible() -> bool {
    let java = Command::new(java_program()).arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let missing = match (java, Jars::find()) {
        (Err(error), _) => format!("java: {error}"),
        (_, Err(error)) => error.to_string(),
        (Ok(_), Ok(_)) => return true,
    };
    assert!(std::env::var_os("SHAKEDOWN_REQUIRE_PEERS").is_none(), "{missing}");
    // Not by a macro, whose words would be kept from the terminal.
    writeln!(std::io::stderr(), "a test with Apache Kafka is skipped: {missing}").expect("standard error");
    false
}

/// Asks until the answer is yes.
fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn produce(apache: &Apache, acks: &str, numbers: Range<u32>) {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", apache.bootstrap_servers())
        .set("acks", acks)
        .create()
        .expect("a producer");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for number in numbers {
        let payload = number.to_string();
        let record = FutureRecord::<(), str>::to("orders").payload(&payload);
        runtime.block_on(producer.send(record, PATIENCE)).expect("it is acknowledged");
    }
}

/// Reads so many messages from the beginning.
fn consume(apache: &Apache, count: usize) -> BTreeSet<u32> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", apache.bootstrap_servers())
        .set("group.id", "reader")
        .create()
        .expect("a consumer");
    let mut from_the_beginning = TopicPartitionList::new();
    from_the_beginning.add_partition_offset("orders", 0, Offset::Beginning).expect("an offset");
    consumer.assign(&from_the_beginning).expect("an assignment");
    let mut read = BTreeSet::new();
    await_that("all messages", || {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            let text = message.payload_view::<str>().expect("a payload").expect("text");
            read.insert(text.parse().expect("a number"));
        }
        read.len() == count
    });
    read
}

/// Makes the topic `orders`, by the broker's own defaults.
fn create(apache: &Apache, replicas: usize) {
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", apache.bootstrap_servers())
        .set("allow.auto.create.topics", "true")
        .create()
        .expect("a client");
    await_that("a topic with all replicas in sync", || {
        let metadata = client.fetch_metadata(Some("orders"), PATIENCE).expect("metadata");
        metadata.topics()[0].partitions().first().is_some_and(|partition| partition.isr().len() == replicas)
    });
}

fn leader() -> Role {
    Role::Leader { topic: "orders".to_owned(), partition: 0 }
}

fn only(apache: &Apache, role: &Role) -> i32 {
    let mut player = None;
    await_that("somebody plays the role", || {
        player = apache.players(role).first().copied();
        player.is_some()
    });
    player.expect("somebody")
}

#[test]
fn nodes_die_stop_and_come_back_and_nothing_is_lost_or_left() {
    if !is_possible() {
        return;
    }
    let apache = Arc::new(Apache::builder().nodes(3).seed(SEED).start().unwrap_or_else(|error| panic!("{error}")));
    assert_eq!(apache.nodes(), [1, 2, 3]);
    assert_eq!(apache.unsettled(), None);
    let events = apache.events().expect("a thread");
    create(&apache, 3);
    produce(&apache, "all", 0..10);
    assert_eq!(apache.log_ends("orders").into_iter().collect::<Vec<_>>(), [(0, 10)]);

    let first = only(&apache, &leader());
    let all_followers = Role::Followers { topic: "orders".to_owned(), partition: 0 };
    let followers = apache.players(&all_followers);
    assert!(followers.len() == 2 && !followers.contains(&first), "{followers:?} follow {first}");
    assert_eq!(apache.players(&Role::Broker(first)), [first]);
    assert_eq!(apache.players(&Role::All), [1, 2, 3]);
    for (share, draw) in [(Share::One, 0), (Share::Minority, 1), (Share::Majority, 2)] {
        let drawn = share.of(&[1, 2, 3], SEED, draw);
        assert_eq!(apache.players(&Role::Drawn { share, draw }), drawn, "as on every other cluster of this seed");
    }
    only(&apache, &Role::GroupCoordinator("reader".to_owned()));

    // What only the leader has shows in the end of its log, and does not wait for a follower that stands still.
    for id in &followers {
        apache.pause(*id).expect("it runs");
    }
    produce(&apache, "1", 10..13);
    assert_eq!(apache.log_ends("orders").into_iter().collect::<Vec<_>>(), [(0, 13)]);
    for id in &followers {
        apache.resume(*id).expect("it stands still");
    }
    produce(&apache, "all", 13..20);

    let first = only(&apache, &leader());
    apache.kill(first).expect("it runs");
    assert!(matches!(apache.kill(first), Err(ApacheError::Down { id }) if id == first));
    assert_eq!(apache.process_id(first), None);
    assert_eq!(apache.unsettled().filter(|(id, _)| *id == first), None, "nobody waits for who was killed");
    let second = only(&apache, &leader());
    assert_ne!(second, first);
    produce(&apache, "all", 20..30);
    apache.restart(first).unwrap_or_else(|error| panic!("{error}"));
    await_that("all see each other", || apache.unsettled().is_none());

    let controller = only(&apache, &Role::Controller);
    apache.pause(controller).expect("it runs");
    await_that("another controller", || {
        apache.players(&Role::Controller).first().is_some_and(|other| *other != controller)
    });
    apache.resume(controller).expect("it stands still");
    await_that("all see each other", || apache.unsettled().is_none());
    assert_eq!(consume(&apache, 30), (0..30).collect());
    let told: Vec<Event> = events.try_iter().map(|event| event.event).collect();
    let elections =
        told.iter().filter(|event| matches!(event, Event::Leads { partition, .. } if &*partition.topic == "orders"));
    assert!(elections.count() >= 2, "the first leader and the second: {told:?}");

    let processes: Vec<u32> = apache.nodes().into_iter().filter_map(|id| apache.process_id(id)).collect();
    let folder = apache.folder().to_owned();
    assert!(processes.len() == 3 && folder.join("1.log").is_file());
    drop(events);
    // The thread behind the events may hold the cluster for a moment, too.
    drop(apache);
    await_that("no process and no file is left", || {
        !folder.exists() && processes.iter().all(|id| !Path::new(&format!("/proc/{id}")).exists())
    });
}

#[test]
fn as_shipped_is_what_people_run() {
    if !is_possible() {
        return;
    }
    let apache = Apache::builder().nodes(1).as_shipped().start().unwrap_or_else(|error| panic!("{error}"));
    let process = apache.process_id(1).expect("it runs");
    let command = std::fs::read_to_string(format!("/proc/{process}/cmdline")).expect("its command line");
    assert!(command.contains("-Xmx1G") && command.contains("-XX:+UseG1GC"), "{command}");
    let properties = std::fs::read_to_string(apache.folder().join("1.properties")).expect("its settings");
    assert!(!properties.contains("session.timeout"), "{properties}");
    create(&apache, 1);
    produce(&apache, "all", 0..3);
    assert_eq!(consume(&apache, 3), (0..3).collect());
}

#[test]
fn what_kafka_refuses_is_told_in_its_words() {
    if !is_possible() {
        return;
    }
    let start = |builder: ApacheBuilder| builder.start().map(drop).expect_err("refused").to_string();
    let error = start(Apache::builder().nodes(1).config("num.io.threads", "none"));
    assert!(
        error.starts_with("the storage of node 1 cannot be formatted") && error.contains("num.io.threads"),
        "{error}"
    );
    // The tool does not look at this one.
    let error = start(Apache::builder().nodes(1).config("metric.reporters", "no.such.Reporter"));
    assert!(error.starts_with("node 1 ended (exit status: 1) before it served"), "{error}");
    // Without the jar that binds them, Kafka's logs go nowhere, and say so.
    assert!(error.contains("no.such.Reporter") || error.contains("StaticLoggerBinder"), "{error}");
}

#[test]
fn a_cluster_that_cannot_be_is_refused_before_anything_starts() {
    let refused = |builder: ApacheBuilder| builder.start().map(drop).expect_err("refused");
    assert!(matches!(refused(Apache::builder().nodes(0)), ApacheError::Nodes { nodes: 0 }));
    assert!(matches!(refused(Apache::builder().config("listeners", "x")), ApacheError::Reserved { .. }));
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert!(matches!(refused(Apache::builder().jars(folder.path())), ApacheError::NoJars { .. }));
}
