//! What the direct driver promises on brokers that die, move their leaders, and stand still: the embedded ones, with replicas.

use crate::Test;
use crate::bench::wait_until;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use shakedown_cluster::{ClientEffect, ClientFault, Clients, Cluster};
use shakedown_loadgen::identity_header::IdentityHeader;
use shakedown_loadgen::{Arrivals, Driver, KeySpace, Load, LoadPlan, LoadSummary, RunClock, Shape, StopFlag};
use shakedown_reports::record::{Operation, Outcome, Record, StreamInfo, StreamKind};
use shakedown_reports::{RunDirectory, RunInfo, RunRecord};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

pub(crate) const TESTS: &[Test] = &[
    ("direct::leaders_that_die_cost_time_and_nothing_else", leaders_that_die_cost_time_and_nothing_else),
    ("direct::connections_that_are_reset_double_and_lose_nothing", connections_that_are_reset_double_and_lose_nothing),
    ("direct::both_drivers_put_the_same_messages_into_the_same_partitions", both_drivers_write_the_same),
    ("direct::what_is_compressed_is_what_was_meant", what_is_compressed_is_what_was_meant),
    ("direct::without_acknowledgements_everything_is_sent", without_acknowledgements_everything_is_sent),
    ("direct::a_message_that_no_broker_takes_has_failed", a_message_that_no_broker_takes_has_failed),
];

const TOPIC: &str = "load";
const PARTITIONS: i32 = 6;

struct Field {
    cluster: Cluster,
    bootstrap: String,
}

/// Where a message stands.
struct Written {
    partition: i32,
    offset: i64,
    identity: IdentityHeader,
    payload: Vec<u8>,
}

impl Field {
    fn new() -> Self {
        let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
        let bootstrap = cluster.bootstrap_servers();
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &bootstrap).create().expect("an admin client");
        let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(3)).set("min.insync.replicas", "2");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let created = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).expect("an answer");
        assert!(created.iter().all(Result::is_ok), "{created:?}");
        Self { cluster, bootstrap }
    }

    /// A load while `meanwhile` does what it does; what came of it, and every operation.
    fn run(&self, plan: &LoadPlan, meanwhile: impl FnOnce(&Load, &Cluster)) -> (LoadSummary, Vec<Operation>) {
        let root = tempfile::tempdir().expect("a temporary directory");
        let mut info = RunInfo::new("direct", 42);
        info.streams.push(StreamInfo { name: "load".to_owned(), kind: StreamKind::Load });
        let directory = RunDirectory::create(root.path(), &info).expect("a run directory");
        let operations = directory.operation_writer().expect("one load a run");
        let (clock, stop) = (RunClock::start(), StopFlag::new());
        let load = Load::start(plan, &self.bootstrap, clock, operations, directory.interval_log(), stop);
        let load = load.expect("the load starts");
        meanwhile(&load, &self.cluster);
        let summary = load.join().expect("the load is recorded");
        let mut operations = Vec::new();
        let record = RunRecord::open(directory.path()).expect("a readable run");
        record.operations(&mut |operation| operations.push(*operation)).expect("readable operations");
        (summary, operations)
    }

    /// The whole topic, partition by partition.
    fn read(&self) -> Vec<Written> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", "read")
            .create()
            .expect("a consumer");
        let mut assignment = TopicPartitionList::new();
        let mut left: HashMap<i32, i64> = HashMap::new();
        for partition in 0..PARTITIONS {
            let watermarks = consumer.fetch_watermarks(TOPIC, partition, Duration::from_secs(30)).expect("watermarks");
            left.insert(partition, watermarks.1);
            assignment.add_partition_offset(TOPIC, partition, Offset::Beginning).expect("an offset");
        }
        consumer.assign(&assignment).expect("an assignment");
        let mut written = Vec::new();
        while written.len() < left.values().map(|end| usize::try_from(*end).expect("an offset")).sum() {
            let message = consumer.poll(Duration::from_secs(30)).expect("within 30 s").expect("a message");
            let header = message.headers().expect("headers").get(0);
            written.push(Written {
                partition: message.partition(),
                offset: message.offset(),
                identity: IdentityHeader::decode(header.value.expect("bytes")).expect("an identity"),
                payload: message.payload().expect("a payload").to_vec(),
            });
        }
        written
    }
}

fn plan(rate: &str, duration: Duration, driver: Driver) -> LoadPlan {
    let arrivals = Arrivals { shape: Shape::Constant, rate: rate.parse().expect("a rate"), duration };
    let mut plan = LoadPlan { driver, ..LoadPlan::new(42, 7, TOPIC, arrivals, KeySpace::uniform(100)) };
    plan.client.insert("linger.ms".to_owned(), "2".to_owned());
    plan
}

/// Everything was acknowledged, stands once where it was said to, and in the order of its key.
fn nothing_is_amiss(field: &Field, summary: &LoadSummary, operations: &[Operation]) {
    let progress = summary.progress;
    assert_eq!((progress.acknowledged, progress.failed, progress.unknown), (progress.planned, 0, 0), "{progress:?}");
    let mut places = BTreeMap::new();
    let mut next: HashMap<u32, u32> = HashMap::new();
    let mut written = field.read();
    written.sort_by_key(|written| (written.partition, written.offset));
    for Written { partition, offset, identity, .. } in &written {
        let before = places.insert(identity.sequence, (*partition, *offset));
        assert_eq!(before, None, "message {} was written twice", identity.sequence);
        let expected = next.entry(identity.key).or_insert(0);
        assert_eq!(identity.key_sequence, *expected, "key {} is out of order", identity.key);
        *expected += 1;
    }
    assert_eq!(operations.len() as u64, progress.planned);
    for operation in operations {
        assert_eq!(operation.outcome, Outcome::Ok);
        assert_eq!(places.get(&operation.identity.index()), Some(&(operation.partition, operation.offset)));
    }
}

fn leaders_that_die_cost_time_and_nothing_else() {
    let field = Field::new();
    let plan = plan("2000/s", Duration::from_secs(3), Driver::Direct);
    let (summary, operations) = field.run(&plan, |load, cluster| {
        for (number, node) in [1, 2, 3].into_iter().enumerate() {
            let due = 1_000 + 1_500 * number as u64;
            wait_until("the load is there", || load.progress().offered >= due);
            cluster.kill(node).expect("it runs");
            wait_until("others lead", || load.progress().acknowledged >= due);
            cluster.restart(node).expect("it was killed");
        }
    });
    nothing_is_amiss(&field, &summary, &operations);
    assert!(summary.last_error.is_some(), "it had something to complain about");
}

fn connections_that_are_reset_double_and_lose_nothing() {
    let field = Field::new();
    let plan = plan("3000/s", Duration::from_secs(2), Driver::Direct);
    let (summary, operations) = field.run(&plan, |load, cluster| {
        for round in 1..=8 {
            wait_until("the load is there", || load.progress().offered >= round * 600);
            // The answer to what was written is lost with its connection, in the middle of it: it is sent again.
            let reset =
                ClientFault::new(ClientEffect::Reset { after: 10 }).of(Clients::Named("shakedown-load".to_owned()));
            let reset = cluster.inject(reset.at_most(3)).expect("it runs");
            wait_until("answers are lost", || reset.hits() == 3);
            reset.undo();
        }
    });
    nothing_is_amiss(&field, &summary, &operations);
}

fn both_drivers_write_the_same() {
    let of = |driver: Driver| {
        let field = Field::new();
        let plan = plan("5000/s", Duration::from_millis(200), driver);
        let (summary, operations) = field.run(&plan, |_, _| {});
        nothing_is_amiss(&field, &summary, &operations);
        let written = field.read().into_iter();
        let mut written: Vec<_> = written
            .map(|written| (written.identity.sequence, written.partition, written.identity.value, written.payload))
            .collect();
        written.sort();
        written
    };
    let (direct, librdkafka) = (of(Driver::Direct), of(Driver::Librdkafka));
    assert_eq!(direct.len(), 1_000);
    assert!(direct == librdkafka, "the same plan is the same messages, whoever offers them");
}

fn what_is_compressed_is_what_was_meant() {
    let field = Field::new();
    let mut plan = plan("5000/s", Duration::from_millis(400), Driver::Direct);
    plan.client.insert("compression.type".to_owned(), "lz4".to_owned());
    let (summary, operations) = field.run(&plan, |_, _| {});
    nothing_is_amiss(&field, &summary, &operations);
    let workload = plan.workload().expect("valid");
    for Written { identity, payload, .. } in field.read() {
        let mut expected = Vec::new();
        workload.write_payload(&workload.message_at(identity.sequence), &mut expected);
        assert_eq!(payload, expected);
    }
}

fn without_acknowledgements_everything_is_sent() {
    let field = Field::new();
    let mut plan = plan("5000/s", Duration::from_millis(200), Driver::Direct);
    plan.client.insert("acks".to_owned(), "0".to_owned());
    let (summary, operations) = field.run(&plan, |_, _| {});
    assert_eq!(summary.progress.acknowledged, 1_000);
    assert!(operations.iter().all(|operation| operation.offset == -1), "nobody has said where they are");
    wait_until("they are there", || field.read().len() == 1_000);
}

fn a_message_that_no_broker_takes_has_failed() {
    let field = Field::new();
    let mut plan = plan("1000/s", Duration::from_millis(100), Driver::Direct);
    plan.client.insert("message.max.bytes".to_owned(), "1000".to_owned());
    plan.payload = Some(shakedown_loadgen::PayloadPlan::new("2000".parse().expect("sizes")));
    let (summary, operations) = field.run(&plan, |_, _| {});
    assert_eq!((summary.progress.failed, summary.progress.acknowledged), (100, 0));
    assert!(operations.iter().all(|operation| operation.outcome == Outcome::Fail && operation.error == 10));
    let told = summary.last_error.expect("it says why");
    assert!(told.contains("2000 bytes") && told.contains("message.max.bytes"), "{told}");
}
