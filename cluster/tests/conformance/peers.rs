//! The clusters that are compared: ours inside this process, and Apache Kafka's as processes of their own.

use shakedown_cluster::apache::{Apache, ApacheBuilder};
use shakedown_cluster::{Cluster, ClusterBuilder};
use std::net::SocketAddr;

/// What both sides are set to: what would make tests wait, and where ours has another default on purpose.
pub(crate) const CONFIG: &[(&str, &str)] =
    &[("group.initial.rebalance.delay.ms", "0"), ("offsets.topic.num.partitions", "3")];

/// A cluster that can be asked, and whose nodes can die.
pub(crate) trait Peer: Send + Sync {
    /// Where a node listens.
    fn address(&self, node: i32) -> SocketAddr;
    /// `kill -9`.
    fn kill(&self, node: i32);
    /// Starts a killed node again.
    fn restart(&self, node: i32);
}

impl Peer for Cluster {
    fn address(&self, node: i32) -> SocketAddr {
        let known = self.nodes().iter().find(|known| known.id == node).expect("a node of the cluster");
        SocketAddr::new(known.host.parse().expect("an address"), known.port)
    }

    fn kill(&self, node: i32) {
        Self::kill(self, node).expect("it is up");
    }

    fn restart(&self, node: i32) {
        Self::restart(self, node).expect("it is down");
    }
}

/// Ours, as it is compared.
pub(crate) fn embedded(nodes: u32) -> ClusterBuilder {
    let replicas = nodes.to_string();
    let builder = Cluster::builder().brokers(nodes).config("offsets.topic.replication.factor", replicas);
    let builder = if nodes == 1 { builder } else { builder.config("default.replication.factor", "1") };
    let builder = if nodes == 1 { builder } else { builder.config("min.insync.replicas", "1") };
    CONFIG.iter().fold(builder, |builder, (name, value)| builder.config(*name, *value))
}

impl Peer for Apache {
    fn address(&self, node: i32) -> SocketAddr {
        Self::address(self, node).expect("a node of the cluster")
    }

    fn kill(&self, node: i32) {
        Self::kill(self, node).expect("it is up");
    }

    fn restart(&self, node: i32) {
        Self::restart(self, node).expect("it is down");
    }
}

/// Kafka's, with its own defaults; three nodes have the time-outs of tests, since sequences wait for deaths.
pub(crate) fn apache(nodes: u32) -> ApacheBuilder {
    let builder = Apache::builder().nodes(nodes);
    let builder = match nodes {
        1 => builder.as_shipped(),
        _ => builder.config("default.replication.factor", "1").config("min.insync.replicas", "1"),
    };
    let builder = builder.config("offsets.topic.replication.factor", &nodes.to_string());
    CONFIG.iter().fold(builder, |builder, (name, value)| builder.config(name, value))
}
