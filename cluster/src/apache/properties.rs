//! The `server.properties` of a node: who it is, what suits tests, and what the user says.

use super::error::ApacheError;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// How many copies a cluster keeps by itself of what is produced, where it has that many nodes; as the embedded cluster.
const REPLICAS: u32 = 3;

/// How many of [`REPLICAS`] must have what is acknowledged.
const REPLICAS_IN_SYNC: u32 = 2;

/// The topics that Kafka makes for itself: three replicas by its own defaults, which a single node cannot give.
const REPLICATION_FACTORS: [&str; 3] = [
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
    "share.coordinator.state.topic.replication.factor",
];

/// As many of them must have what is acknowledged.
const MIN_IN_SYNC: [&str; 2] = ["transaction.state.log.min.isr", "share.coordinator.state.topic.min.isr"];

/// What says who a node is and where it listens: each has its own.
const RESERVED: [&str; 8] = [
    "process.roles",
    "node.id",
    "controller.quorum.voters",
    "listeners",
    "advertised.listeners",
    "controller.listener.names",
    "inter.broker.listener.name",
    "log.dirs",
];

/// What suits tests, where Kafka's default is for machines that run for years. Times between nodes are as short as JVMs on
/// a loaded machine allow: a collection of garbage must not look like a death.
const FOR_TESTS: [(&str, &str); 16] = [
    ("group.initial.rebalance.delay.ms", "0"),
    // Each is a folder and an election at the first group, and again after each fault.
    ("offsets.topic.num.partitions", "5"),
    ("transaction.state.log.num.partitions", "5"),
    ("share.coordinator.state.topic.num.partitions", "5"),
    // Kafka: 9 s and 2 s.
    ("broker.session.timeout.ms", "2500"),
    ("broker.heartbeat.interval.ms", "250"),
    // Kafka: 30 s and 500 ms.
    ("replica.lag.time.max.ms", "2500"),
    ("replica.fetch.wait.max.ms", "200"),
    // Kafka: 2 s, 1 s, 1 s and 2 s.
    ("controller.quorum.fetch.timeout.ms", "1500"),
    ("controller.quorum.election.timeout.ms", "500"),
    ("controller.quorum.election.backoff.max.ms", "500"),
    ("controller.quorum.request.timeout.ms", "1500"),
    // Kafka: 128 MiB, a third of the heap that a node has here.
    ("log.cleaner.dedupe.buffer.size", "4194304"),
    // A machine with two cores has three nodes. Kafka: 3, 8 and 10 threads.
    ("num.network.threads", "2"),
    ("num.io.threads", "3"),
    ("background.threads", "2"),
];

/// What all nodes of a cluster have in common.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) nodes: u32,
    /// `controller.quorum.voters`.
    pub(super) voters: String,
    /// Kafka's defaults instead of what suits tests.
    pub(super) is_shipped: bool,
    pub(super) config: &'a [(String, String)],
}

/// What suits tests, of a cluster with so many nodes, by Kafka's names: who each node is, and where it is, left out. What plays
/// the same cluster elsewhere, such as containers, is set up like this.
#[must_use]
pub fn broker_settings(nodes: u32) -> BTreeMap<&'static str, String> {
    let (replicas, in_sync) = replication(nodes);
    let mut settings = indispensable(nodes);
    settings.insert("default.replication.factor", replicas.to_string());
    settings.insert("min.insync.replicas", in_sync.to_string());
    settings.extend(FOR_TESTS.map(|(name, value)| (name, value.to_owned())));
    settings
}

/// What a cluster of so many nodes cannot do without.
fn indispensable(nodes: u32) -> BTreeMap<&'static str, String> {
    let (replicas, in_sync) = replication(nodes);
    let factors = REPLICATION_FACTORS.map(|name| (name, replicas.to_string()));
    factors.into_iter().chain(MIN_IN_SYNC.map(|name| (name, in_sync.to_string()))).collect()
}

/// How many copies there are, and how many of them must have what is acknowledged.
fn replication(nodes: u32) -> (u32, u32) {
    if nodes < REPLICAS { (1, 1) } else { (REPLICAS, REPLICAS_IN_SYNC) }
}

/// Whether the user may set all of this.
pub(super) fn check(config: &[(String, String)]) -> Result<(), ApacheError> {
    match config.iter().find(|(name, _)| RESERVED.contains(&name.as_str())) {
        Some((name, _)) => Err(ApacheError::Reserved { name: name.clone() }),
        None => Ok(()),
    }
}

impl Shared<'_> {
    /// The text of one node's file.
    pub(super) fn of_node(&self, id: i32, client_port: u16, controller_port: u16, data: &Path) -> String {
        let mut settings: BTreeMap<&str, String> =
            if self.is_shipped { indispensable(self.nodes) } else { broker_settings(self.nodes) };
        settings.extend(self.config.iter().map(|(name, value)| (name.as_str(), value.clone())));
        settings.extend([
            ("process.roles", "broker,controller".to_owned()),
            ("node.id", id.to_string()),
            ("controller.quorum.voters", self.voters.clone()),
            ("listeners", format!("PLAINTEXT://127.0.0.1:{client_port},CONTROLLER://127.0.0.1:{controller_port}")),
            ("advertised.listeners", format!("PLAINTEXT://127.0.0.1:{client_port}")),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
            ("log.dirs", data.display().to_string()),
        ]);
        let mut text = String::new();
        for (name, value) in settings {
            // A string takes everything.
            let _ = writeln!(text, "{name}={}", escaped(&value));
        }
        text
    }
}

/// As `java.util.Properties` reads values.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(nodes: u32, is_shipped: bool, config: &[(String, String)]) -> String {
        let shared = Shared { nodes, voters: "1@127.0.0.1:2".to_owned(), is_shipped, config };
        shared.of_node(1, 9_092, 9_093, Path::new("/data"))
    }

    fn has(text: &str, line: &str) -> bool {
        text.lines().any(|other| other == line)
    }

    #[test]
    fn three_nodes_keep_three_copies_and_one_keeps_one() {
        let (three, one) = (text(3, false, &[]), text(1, false, &[]));
        for (of_three, of_one) in [
            ("default.replication.factor=3", "default.replication.factor=1"),
            ("min.insync.replicas=2", "min.insync.replicas=1"),
            ("transaction.state.log.min.isr=2", "transaction.state.log.min.isr=1"),
            ("offsets.topic.replication.factor=3", "offsets.topic.replication.factor=1"),
        ] {
            assert!(has(&three, of_three), "{three}");
            assert!(has(&one, of_one), "{one}");
        }
    }

    #[test]
    fn what_the_user_says_counts_but_not_who_a_node_is() {
        let config = [("num.io.threads".to_owned(), "9".to_owned()), ("a".to_owned(), "b\\c\nd".to_owned())];
        let text = text(1, false, &config);
        assert!(has(&text, "num.io.threads=9") && has(&text, "a=b\\\\c\\nd"), "{text}");
        assert!(check(&config).is_ok());
        let reserved = [("node.id".to_owned(), "7".to_owned())];
        assert!(matches!(check(&reserved), Err(ApacheError::Reserved { name }) if name == "node.id"));
    }

    #[test]
    fn as_shipped_only_what_a_cluster_cannot_do_without_is_said() {
        let text = text(1, true, &[]);
        assert!(has(&text, "offsets.topic.replication.factor=1"), "{text}");
        assert!(!text.contains("broker.session.timeout.ms") && !text.contains("min.insync.replicas"), "{text}");
    }
}
