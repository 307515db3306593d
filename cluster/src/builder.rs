//! How a cluster is set up and started.

use crate::data_folder::{DataFolder, DataFolderError};
use crate::faults::Listed;
use crate::handle::{Cluster, NodeAddress};
use crate::thread::{ClusterThread, Setup};
use shakedown_broker::config::ConfigError;
use shakedown_broker::{BrokerId, NodeConfig};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

/// Most brokers of one cluster; metadata is replicated to all of them.
pub const BROKERS_MAX: u32 = 15;

/// Most dedicated controllers of one cluster; each change of metadata needs a majority of them.
pub const CONTROLLERS_MAX: u32 = 7;

/// How many copies a cluster keeps by itself of what is produced, where it has that many brokers.
const REPLICAS: i16 = 3;

/// How many of [`REPLICAS`] must have what is acknowledged: one of them may be missing.
const REPLICAS_IN_SYNC: i32 = 2;

/// Bytes of batches that are kept in memory before older ones go to a temporary file.
pub const MEMORY_BUDGET: u64 = 256 * 1024 * 1024;

/// Settings of a cluster; [`Cluster::builder`] has the defaults.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing before `start`"]
pub struct ClusterBuilder {
    brokers: u32,
    controllers: u32,
    base_port: Option<u16>,
    seed: u64,
    memory_budget: u64,
    data_dir: Option<PathBuf>,
    racks: Vec<String>,
    config: Vec<(String, String)>,
}

impl Default for ClusterBuilder {
    fn default() -> Self {
        let (base_port, data_dir, racks, config) = Default::default();
        let memory_budget = MEMORY_BUDGET;
        Self { brokers: 3, controllers: 0, base_port, seed: 0, memory_budget, data_dir, racks, config }
    }
}

/// Why a cluster did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A number of nodes that makes no cluster.
    #[error("a cluster has 1 to {BROKERS_MAX} brokers, not {brokers}")]
    Brokers {
        /// What was asked for.
        brokers: u32,
    },
    /// A number of dedicated controllers that makes no quorum of ours.
    #[error("a cluster has 0 to {CONTROLLERS_MAX} dedicated controllers, not {controllers}")]
    Controllers {
        /// What was asked for.
        controllers: u32,
    },
    /// Not enough ports behind the first.
    #[error("{brokers} brokers from port {base_port} on reach past port 65535")]
    PortRange {
        /// How many nodes.
        brokers: u32,
        /// The first port.
        base_port: u16,
    },
    /// A port that somebody else has.
    #[error("broker {id} cannot listen on {address}: {source}")]
    Listen {
        /// The node.
        id: i32,
        /// Where it should listen.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A setting that does not exist or a value that it cannot take.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data folder is not one for this cluster.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// A node cannot start with what is in its folder.
    #[error("node {id} cannot start on its disk: {reason}")]
    Disk {
        /// The node.
        id: i32,
        /// Why.
        reason: String,
    },
    /// The nodes did not find each other in time.
    #[error("node {node} does not see these brokers alive after {waited:?}: {}", Listed(missing))]
    NotReady {
        /// A node that was not ready.
        node: i32,
        /// The brokers that it missed.
        missing: Vec<i32>,
        /// How long that took.
        waited: Duration,
    },
    /// The thread of the cluster could not be set up.
    #[error("cannot set up the cluster's thread: {source}")]
    Thread {
        /// What the system said.
        source: std::io::Error,
    },
}

impl ClusterBuilder {
    /// How many brokers; ids count from 1. Default 3. From three on, what does not say otherwise has three replicas of
    /// which two must be in sync (`default.replication.factor`, `offsets.topic.replication.factor`,
    /// `min.insync.replicas`); below that there is one of everything.
    pub fn brokers(mut self, count: u32) -> Self {
        self.brokers = count;
        self
    }

    /// How many nodes that are controllers and nothing else; their ids follow those of the brokers. Default 0: every
    /// broker is a controller, too.
    pub fn controllers(mut self, count: u32) -> Self {
        self.controllers = count;
        self
    }

    /// Node n listens on `port + n - 1`. Default: any free ports.
    pub fn base_port(mut self, port: u16) -> Self {
        self.base_port = (port != 0).then_some(port);
        self
    }

    /// What all chance in the nodes and in faults comes from. Default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets a broker setting by Kafka's name on every node. An unknown name or a wrong value fails at [`Self::start`].
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.push((name.into(), value.into()));
        self
    }

    /// Where the brokers stand (`broker.rack`), in their order; with fewer names than brokers they start over. Together with
    /// `replica.selector.class` consumers that have a `client.rack` read from a replica there (KIP-392). Default: nowhere.
    pub fn racks(mut self, racks: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.racks = racks.into_iter().map(Into::into).collect();
        self
    }

    /// Bytes of batches in memory over all nodes, before older ones go to a temporary file. Default 256 MiB.
    pub fn memory_budget(mut self, bytes: u64) -> Self {
        self.memory_budget = bytes;
        self
    }

    /// Keeps everything in files under this folder (Kafka's `log.dirs`), one folder a node, and not in memory: a cluster of
    /// as many nodes that is started on it again, even after `kill -9`, finds every topic, record, committed offset, epoch
    /// and producer. The folder is made if need be, and locked while the cluster runs. Default: nothing is kept.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// Starts the cluster on a thread of its own and returns once every node knows all brokers to be alive.
    ///
    /// Blocks for some milliseconds; it may be called inside and outside of an async runtime.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub fn start(self) -> Result<Cluster, StartError> {
        let (brokers, controllers) = (self.brokers, self.controllers);
        if !(1..=BROKERS_MAX).contains(&brokers) {
            return Err(StartError::Brokers { brokers });
        }
        if controllers > CONTROLLERS_MAX {
            return Err(StartError::Controllers { controllers });
        }
        let folder = self.data_dir.as_deref().map(|path| DataFolder::open(path, brokers, controllers)).transpose()?;
        let mut addresses = Vec::new();
        let mut nodes = Vec::new();
        for n in 0..brokers {
            let (address, listener) = self.listen(n)?;
            nodes.push((self.node(address.id, &address.host, address.port)?, Some(listener)));
            addresses.push(address);
        }
        for n in brokers..brokers + controllers {
            // Nobody but the other nodes talks to them, and links between nodes are no sockets.
            nodes.push((self.node(node_id(n), &Ipv4Addr::LOCALHOST.to_string(), 0)?, None));
        }
        let thread = ClusterThread::start(Setup { nodes, seed: self.seed, memory_budget: self.memory_budget, folder })?;
        Ok(Cluster { nodes: addresses, thread })
    }

    fn node(&self, id: i32, host: &str, port: u16) -> Result<NodeConfig, ConfigError> {
        let first_voter = if self.controllers == 0 { 0 } else { self.brokers };
        let voters: Vec<BrokerId> =
            (first_voter..self.brokers + self.controllers).map(|n| BrokerId(node_id(n))).collect();
        let mut config = NodeConfig::new(BrokerId(id), voters, host, port);
        config.is_broker = id <= node_id(self.brokers - 1);
        config.rack = self.racks.iter().cycle().nth(usize::try_from(id - 1).unwrap_or(0)).cloned();
        let replicated = self.brokers >= u32::from(REPLICAS.unsigned_abs());
        let replicas = if replicated { REPLICAS } else { 1 };
        config.replication_factor_default = replicas;
        config.offsets_replication_factor = replicas;
        config.min_insync_replicas = if replicated { REPLICAS_IN_SYNC } else { 1 };
        for (name, value) in &self.config {
            config.set(name, value)?;
        }
        Ok(config)
    }

    fn listen(&self, n: u32) -> Result<(NodeAddress, TcpListener), StartError> {
        let range = |base_port| StartError::PortRange { brokers: self.brokers, base_port };
        let port = match self.base_port {
            None => 0,
            Some(base) => u16::try_from(u32::from(base) + n).map_err(|_| range(base))?,
        };
        let id = node_id(n);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let failed = |source| StartError::Listen { id, address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        Ok((NodeAddress { id, host: address.ip().to_string(), port }, listener))
    }
}

/// The id of the n-th node, from 0.
fn node_id(n: u32) -> i32 {
    i32::try_from(n + 1).unwrap_or(i32::MAX)
}
