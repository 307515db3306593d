//! A mock cluster with one topic, a run directory, and what both are asked in tests.

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use shakedown_loadgen::identity_header::IdentityHeader;
use shakedown_loadgen::{
    Arrivals, Driver, IdentityRule, KeySpace, Load, LoadPlan, LoadSummary, RunClock, Shape, StopFlag, Tap, TapPlan,
    TapSummary,
};
use shakedown_reports::record::{Delivery, Flow, Operation, Record, StreamInfo, StreamKind};
use shakedown_reports::{RunDirectory, RunInfo, RunRecord};
use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The topic that is there.
pub(crate) const TOPIC: &str = "orders";
/// Its partitions.
pub(crate) const PARTITIONS: usize = 4;
/// The run in headers.
pub(crate) const RUN: u32 = 7;
const TAP_STREAM: u16 = 1;

thread_local! {
    /// Who offers the plans of the test that this thread runs.
    pub(crate) static DRIVER: Cell<Driver> = const { Cell::new(Driver::Librdkafka) };
}

pub(crate) struct Bench {
    pub(crate) cluster: MockCluster<'static, DefaultProducerContext>,
    pub(crate) bootstrap: String,
    pub(crate) clock: RunClock,
    pub(crate) directory: RunDirectory,
    /// Dropped last: it holds the directory.
    _root: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic(TOPIC, 4, 1).expect("a topic");
        let root = tempfile::tempdir().expect("a temporary directory");
        let mut info = RunInfo::new("bench", 42);
        info.streams.push(StreamInfo { name: "load".to_owned(), kind: StreamKind::Load });
        info.streams.push(StreamInfo { name: TOPIC.to_owned(), kind: StreamKind::Topic });
        info.flows.push(Flow { from: 0, to: TAP_STREAM });
        let directory = RunDirectory::create(root.path(), &info).expect("a run directory");
        let bootstrap = cluster.bootstrap_servers();
        Self { cluster, bootstrap, clock: RunClock::start(), directory, _root: root }
    }

    pub(crate) fn start(&self, plan: &LoadPlan, stop: StopFlag) -> Load {
        let operations = self.directory.operation_writer().expect("one load a run");
        Load::start(plan, &self.bootstrap, self.clock, operations, self.directory.interval_log(), stop)
            .expect("the load starts")
    }

    pub(crate) fn run(&self, plan: &LoadPlan) -> LoadSummary {
        self.start(plan, StopFlag::new()).join().expect("the load is recorded")
    }

    pub(crate) fn tap(&self, identity: IdentityRule, planned: u64, stop: &StopFlag) -> Tap {
        let mut plan = TapPlan::new(TAP_STREAM, TOPIC, identity, 42, planned);
        plan.run = Some(RUN);
        let deliveries = self.directory.delivery_writer(TAP_STREAM).expect("one tap a stream");
        let interner = self.directory.interner();
        let intervals = self.directory.interval_log();
        Tap::start(plan, &self.bootstrap, self.clock, deliveries, interner, intervals, stop.clone())
            .expect("the tap starts")
    }

    /// Waits until the tap has seen all that the topic holds, and ends it.
    pub(crate) fn drain(&self, tap: Tap, stop: &StopFlag) -> TapSummary {
        let high_watermarks =
            shakedown_loadgen::tap::high_watermarks(&self.bootstrap, TOPIC).expect("the topic has watermarks");
        wait_until("the tap has drained the topic", || tap.drained(&high_watermarks));
        assert!(
            !tap.drained(&high_watermarks[..PARTITIONS - 1]),
            "a tap that misses a partition has not drained the topic"
        );
        stop.stop();
        tap.join().expect("the tap is recorded")
    }

    /// The identities in the headers of so many messages of the topic.
    pub(crate) fn headers(&self, count: usize) -> Vec<IdentityHeader> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", "headers")
            .create()
            .expect("a consumer");
        let mut assignment = TopicPartitionList::new();
        for partition in (0..).take(PARTITIONS) {
            assignment.add_partition_offset(TOPIC, partition, Offset::Beginning).expect("an offset");
        }
        consumer.assign(&assignment).expect("an assignment");
        let mut headers = Vec::new();
        while headers.len() < count {
            let message = consumer.poll(Duration::from_secs(30)).expect("within 30 s").expect("a message");
            let header = message.headers().expect("headers").get(0);
            headers.push(IdentityHeader::decode(header.value.expect("bytes")).expect("an identity"));
        }
        headers
    }

    pub(crate) fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        let record = RunRecord::open(self.directory.path()).expect("a readable run");
        record.operations(&mut |operation| operations.push(*operation)).expect("readable operations");
        operations
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        let record = RunRecord::open(self.directory.path()).expect("a readable run");
        record.deliveries(TAP_STREAM, &mut |delivery| deliveries.push(*delivery)).expect("readable deliveries");
        deliveries
    }

    pub(crate) fn interval_tags(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.directory.path().join("latency.hlog")).expect("a latency log");
        let mut tags: Vec<_> = log
            .lines()
            .filter_map(|line| line.strip_prefix("Tag="))
            .filter_map(|line| line.split_once(','))
            .map(|(tag, _)| tag.to_owned())
            .collect();
        tags.sort();
        tags.dedup();
        tags
    }
}

/// A steady load over 50 keys.
pub(crate) fn plan(rate: &str, duration: Duration) -> LoadPlan {
    let arrivals = Arrivals { shape: Shape::Constant, rate: rate.parse().expect("a rate"), duration };
    LoadPlan { driver: DRIVER.get(), ..LoadPlan::new(42, RUN, TOPIC, arrivals, KeySpace::uniform(50)) }
}

pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        thread::yield_now();
    }
}
