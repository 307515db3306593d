//! How a cluster is set up and started.

use crate::handle::{Cluster, NodeAddress};
use crate::shell;
use shakedown_broker::config::ConfigError;
use shakedown_broker::{BrokerId, NodeConfig};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Most nodes of one cluster; metadata is replicated to all of them.
pub const BROKERS_MAX: u32 = 15;

/// Bytes of batches that are kept in memory before older ones go to a temporary file.
pub const MEMORY_BUDGET: u64 = 256 * 1024 * 1024;

/// Settings of a cluster; [`Cluster::builder`] has the defaults.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing before `start`"]
pub struct ClusterBuilder {
    brokers: u32,
    base_port: Option<u16>,
    seed: u64,
    memory_budget: u64,
    config: Vec<(String, String)>,
}

impl Default for ClusterBuilder {
    fn default() -> Self {
        Self { brokers: 3, base_port: None, seed: 0, memory_budget: MEMORY_BUDGET, config: Vec::new() }
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
    /// The thread of the cluster could not be set up.
    #[error("cannot set up the cluster's thread: {source}")]
    Thread {
        /// What the system said.
        source: std::io::Error,
    },
}

impl ClusterBuilder {
    /// How many nodes, each broker and controller in one; ids count from 1. Default 3.
    pub fn brokers(mut self, count: u32) -> Self {
        self.brokers = count;
        self
    }

    /// Node n listens on `port + n - 1`. Default: any free ports.
    pub fn base_port(mut self, port: u16) -> Self {
        self.base_port = (port != 0).then_some(port);
        self
    }

    /// What all chance in the nodes comes from. Default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets a broker setting by Kafka's name on every node. An unknown name or a wrong value fails at [`Self::start`].
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.push((name.into(), value.into()));
        self
    }

    /// Bytes of batches in memory over all nodes, before older ones go to a temporary file. Default 256 MiB.
    pub fn memory_budget(mut self, bytes: u64) -> Self {
        self.memory_budget = bytes;
        self
    }

    /// Starts the cluster on a thread of its own and returns once every node knows all others.
    ///
    /// Blocks for some milliseconds; it may be called inside and outside of an async runtime.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub fn start(self) -> Result<Cluster, StartError> {
        if !(1..=BROKERS_MAX).contains(&self.brokers) {
            return Err(StartError::Brokers { brokers: self.brokers });
        }
        let mut listeners = Vec::new();
        for n in 0..self.brokers {
            listeners.push(self.listen(n)?);
        }
        let voters: Vec<BrokerId> = listeners.iter().map(|(address, _)| BrokerId(address.id)).collect();
        let mut nodes = Vec::new();
        for (address, listener) in listeners {
            let mut config = NodeConfig::new(BrokerId(address.id), voters.clone(), address.host.clone(), address.port);
            for (name, value) in &self.config {
                config.set(name, value)?;
            }
            nodes.push((address, config, listener));
        }
        shell::start(nodes, self.seed, self.memory_budget)
    }

    fn listen(&self, n: u32) -> Result<(NodeAddress, TcpListener), StartError> {
        let range = |base_port| StartError::PortRange { brokers: self.brokers, base_port };
        let port = match self.base_port {
            None => 0,
            Some(base) => u16::try_from(u32::from(base) + n).map_err(|_| range(base))?,
        };
        let id = i32::try_from(n + 1).unwrap_or(i32::MAX);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let failed = |source| StartError::Listen { id, address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        Ok((NodeAddress { id, host: address.ip().to_string(), port }, listener))
    }
}
