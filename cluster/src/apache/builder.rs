//! How a cluster of Apache Kafka is set up and started.

use super::cluster::Apache;
use super::error::ApacheError;
use super::jars::Jars;
use super::java::Java;
use super::node::Node;
use super::ports;
use super::properties::{self, Shared};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Most nodes of one cluster: each is a JVM, and all are voters of one quorum.
pub const NODES_MAX: u32 = 15;

/// Kafka's own tool that prepares the folder of a node.
const STORAGE_TOOL: &str = "kafka.tools.StorageTool";

/// Any identifier does; this is sixteen bytes in URL-safe base64, as `kafka-storage random-uuid` prints them.
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// Settings of a cluster; [`Apache::builder`] has the defaults.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing before `start`"]
pub struct ApacheBuilder {
    nodes: u32,
    base_port: Option<u16>,
    jars: Option<PathBuf>,
    is_shipped: bool,
    config: Vec<(String, String)>,
    seed: u64,
}

impl Default for ApacheBuilder {
    fn default() -> Self {
        Self { nodes: 3, base_port: None, jars: None, is_shipped: false, config: Vec::new(), seed: 0 }
    }
}

impl ApacheBuilder {
    /// How many nodes, each of them broker and controller; ids count from 1. Default 3. From three on, what does not say
    /// otherwise has three replicas of which two must be in sync; below that there is one of everything.
    pub fn nodes(mut self, n: u32) -> Self {
        self.nodes = n;
        self
    }

    /// Sets a broker setting by Kafka's name on every node. An unknown name is Kafka's to judge, which ignores it.
    pub fn config(mut self, name: &str, value: &str) -> Self {
        self.config.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The folder of the jars. Default: [`Jars::find`].
    pub fn jars(mut self, folder: impl Into<PathBuf>) -> Self {
        self.jars = Some(folder.into());
        self
    }

    /// Node n is there for clients on `port + n - 1`. Default: any free ports below those that the system hands out.
    pub fn base_port(mut self, port: u16) -> Self {
        self.base_port = (port != 0).then_some(port);
        self
    }

    /// What brokers are drawn from for [`crate::Role::Drawn`], and nothing else. Default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Kafka's own defaults, and the JVM options of its scripts, instead of those that suit tests: short times between nodes, a
    /// small heap, few partitions of internal topics. For measurements.
    pub fn as_shipped(mut self) -> Self {
        self.is_shipped = true;
        self
    }

    /// Formats the storage of every node, starts all processes at the same time, and returns once every node sees all
    /// others alive: after several seconds.
    ///
    /// # Errors
    /// See [`ApacheError`]; nothing is left running, and no file.
    pub fn start(self) -> Result<Apache, ApacheError> {
        if !(1..=NODES_MAX).contains(&self.nodes) {
            return Err(ApacheError::Nodes { nodes: self.nodes });
        }
        properties::check(&self.config)?;
        let jars = self.jars.as_ref().map_or_else(Jars::find, Jars::of)?;
        let written = |path: &Path| {
            let path = path.to_owned();
            move |source| ApacheError::Folder { path, source }
        };
        let temporary = tempfile::Builder::new().prefix("shakedown-apache-").tempdir();
        let folder = temporary.map_err(written(&std::env::temp_dir()))?;
        let java = Java::new(jars, self.is_shipped, folder.path()).map_err(written(folder.path()))?;
        let (held, clients, controllers) = self.ports().map_err(|source| ApacheError::Ports { source })?;
        let voters = (1..).zip(&controllers).map(|(id, port): (i32, _)| format!("{id}@127.0.0.1:{port}"));
        let voters = voters.collect::<Vec<_>>().join(",");
        let shared = Shared { nodes: self.nodes, voters, is_shipped: self.is_shipped, config: &self.config };
        let mut nodes = Vec::new();
        for (id, (client, controller)) in (1..).zip(clients.into_iter().zip(controllers)) {
            let file = folder.path().join(format!("{id}.properties"));
            let data = folder.path().join(format!("data-{id}"));
            std::fs::write(&file, shared.of_node(id, client, controller, &data)).map_err(written(&file))?;
            nodes.push(Node::new(id, SocketAddr::from((Ipv4Addr::LOCALHOST, client)), file));
        }
        format(&java, &nodes)?;
        drop(held);
        Apache::launch(nodes, java, folder, self.seed)
    }

    /// The ports for clients and those for controllers, and what keeps them free until the nodes start.
    fn ports(&self) -> std::io::Result<(Vec<TcpListener>, Vec<u16>, Vec<u16>)> {
        let nodes = self.nodes as usize;
        let mut held = match self.base_port {
            None => ports::hold(nodes)?,
            Some(base) => (0..self.nodes).map(|n| ports::hold_one(u32::from(base) + n)).collect::<Result<_, _>>()?,
        };
        held.extend(ports::hold(nodes)?);
        let ports = held.iter().map(|socket| socket.local_addr().map(|address| address.port()));
        let mut clients = ports.collect::<std::io::Result<Vec<u16>>>()?;
        let controllers = clients.split_off(nodes);
        Ok((held, clients, controllers))
    }
}

/// Prepares the folders of all nodes, each by a process of Kafka's tool, at the same time.
fn format(java: &Java, nodes: &[Node]) -> Result<(), ApacheError> {
    let cannot_start = |source| ApacheError::Spawn { program: java.program(), source };
    let mut tools = Vec::new();
    for node in nodes {
        let mut tool = java.run(STORAGE_TOOL);
        tool.args(["format", "--cluster-id", CLUSTER_ID, "--config"]).arg(&node.properties);
        tool.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        tools.push((node.id, tool.spawn().map_err(cannot_start)?));
    }
    // All are waited for, so that none is still writing when the folder goes.
    let outputs: Vec<_> = tools.into_iter().map(|(id, tool)| (id, tool.wait_with_output())).collect();
    for (id, output) in outputs {
        let output = output.map_err(cannot_start)?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).trim().to_owned());
            return Err(ApacheError::Format { id, output: said.join("\n").trim().to_owned() });
        }
    }
    Ok(())
}
