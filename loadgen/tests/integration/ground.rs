//! An embedded broker with one topic, for what librdkafka's mock cluster cannot do.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use shakedown_cluster::Cluster;

/// The topic that is there.
pub(crate) const TOPIC: &str = "load";

/// What the broker may keep in memory: more than comes between two looks of its retention. The disk has the record to take, and nobody's
/// figures should have more of it in them.
const MEMORY: u64 = 2 << 30;

pub(crate) struct Ground {
    pub(crate) cluster: Cluster,
    pub(crate) bootstrap: String,
}

impl Ground {
    /// A topic of so many partitions, of which little is kept.
    pub(crate) fn new(partitions: i32) -> Self {
        let cluster = Cluster::builder().brokers(1).memory_budget(MEMORY);
        let cluster = cluster.config("log.retention.check.interval.ms", "1000").start().expect("a cluster");
        let bootstrap = cluster.bootstrap_servers();
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &bootstrap).create().expect("an admin client");
        let topic = NewTopic::new(TOPIC, partitions, TopicReplication::Fixed(1))
            .set("retention.bytes", "33554432")
            .set("segment.bytes", "8388608");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let created = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).expect("an answer");
        assert!(created.iter().all(Result::is_ok), "{created:?}");
        Self { cluster, bootstrap }
    }
}
