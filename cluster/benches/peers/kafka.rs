//! Apache Kafka as plain processes, as its own scripts start them: combined nodes, KRaft, static voters, on loopback.

use crate::server::{Server, free_ports};
use std::fmt::Write;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Any identifier does; this is sixteen bytes in URL-safe base64, as `kafka-storage random-uuid` prints them.
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// `KAFKA_HEAP_OPTS` of `kafka-server-start` and `KAFKA_JVM_PERFORMANCE_OPTS` of `kafka-run-class`.
const JVM: [&str; 8] = [
    "-Xmx1G",
    "-Xms1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];

/// Formats the storage of so many nodes, then starts them together. Every topic has as many replicas as there are nodes.
pub(crate) fn start(jars: &Path, nodes: u8) -> Server {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let ports = free_ports(2 * usize::from(nodes));
    let (clients, controllers) = ports.split_at(nodes.into());
    let with_ids = |ports: &[u16], separator: &str| {
        let listed = (1..=nodes).zip(ports).map(|(id, port)| format!("{id}{separator}127.0.0.1:{port}"));
        listed.collect::<Vec<_>>().join(",")
    };
    let voters = with_ids(controllers, "@");
    let files: Vec<_> = (1..=nodes).map(|id| directory.path().join(format!("{id}.properties"))).collect();
    for ((id, file), (client, controller)) in (1..=nodes).zip(&files).zip(clients.iter().zip(controllers)) {
        let data = directory.path().join(format!("data-{id}"));
        let text = properties(id, nodes, &voters, *client, *controller, &data);
        fs::write(file, text).expect("a temporary folder takes files");
        let mut format = java(jars, "kafka.tools.StorageTool");
        format.args(["format", "--cluster-id", CLUSTER_ID, "--config"]).arg(file);
        let output = format.output().expect("java was found");
        assert!(output.status.success(), "cannot format storage: {}", String::from_utf8_lossy(&output.stderr));
    }
    let bootstrap = clients.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
    let mut server = Server {
        nodes: Vec::new(),
        bootstrap,
        replicas: nodes.into(),
        creates_topics: true,
        started: Instant::now(),
        directory: Some(directory),
    };
    for file in &files {
        let log = File::create(file.with_extension("log")).expect("a temporary folder takes files");
        let mut node = java(jars, "kafka.Kafka");
        node.arg(file).stdin(Stdio::null()).stderr(log.try_clone().expect("a handle")).stdout(log);
        server.nodes.push(node.spawn().expect("java was found"));
    }
    server
}

fn java(jars: &Path, class: &str) -> Command {
    let mut command = Command::new("java");
    command.args(JVM).arg("-cp").arg(jars.join("*")).arg(class);
    command
}

/// What a node needs to find itself and the others; everything else is Kafka's default.
fn properties(id: u8, nodes: u8, voters: &str, client: u16, controller: u16, data: &Path) -> String {
    let mut text = String::new();
    for (key, value) in [
        ("process.roles", "broker,controller"),
        ("node.id", &id.to_string()),
        ("controller.quorum.voters", voters),
        ("listeners", &format!("PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}")),
        ("advertised.listeners", &format!("PLAINTEXT://127.0.0.1:{client}")),
        ("controller.listener.names", "CONTROLLER"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("log.dirs", &data.display().to_string()),
        ("offsets.topic.replication.factor", &nodes.to_string()),
    ] {
        writeln!(text, "{key}={value}").expect("a string takes everything");
    }
    text
}
