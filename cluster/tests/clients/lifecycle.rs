//! Starting and stopping: many at once, taken ports, nothing left behind.

use super::{client, create_topic, produce};
use shakedown_cluster::{Cluster, StartError};
use std::net::TcpStream;

#[test]
fn dropping_a_cluster_frees_its_ports() {
    let cluster = Cluster::builder().brokers(3).start().expect("a cluster");
    create_topic(&cluster, "orders", 3, &[]);
    produce(&client(&cluster), "orders", 0, 0..10);
    let ports: Vec<u16> = cluster.nodes().iter().map(|node| node.port).collect();
    drop(cluster);
    for port in ports {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "port {port} is still open");
    }
}

#[test]
fn clusters_live_side_by_side() {
    let clusters: Vec<Cluster> = (0..8).map(|_| Cluster::builder().brokers(3).start().expect("a cluster")).collect();
    for cluster in &clusters {
        create_topic(cluster, "orders", 1, &[]);
    }
}

#[tokio::test]
async fn a_cluster_starts_and_stops_inside_a_runtime() {
    let cluster = Cluster::builder().brokers(1).start().expect("a cluster");
    let address = cluster.bootstrap_servers();
    tokio::net::TcpStream::connect(&address).await.expect("it listens");
    drop(cluster);
    assert!(tokio::net::TcpStream::connect(&address).await.is_err());
}

#[test]
fn what_cannot_start_says_why() {
    let first = Cluster::builder().brokers(1).start().expect("a cluster");
    let port = first.nodes()[0].port;
    let error = Cluster::builder().brokers(1).base_port(port).start().expect_err("the port is taken");
    assert!(matches!(error, StartError::Listen { id: 1, .. }), "{error}");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    let error = Cluster::builder().brokers(16).start().expect_err("too many");
    assert_eq!(error.to_string(), "a cluster has 1 to 15 brokers, not 16");
    let error = Cluster::builder().controllers(8).start().expect_err("too many");
    assert_eq!(error.to_string(), "a cluster has 0 to 7 dedicated controllers, not 8");
    let error = Cluster::builder().brokers(3).base_port(65534).start().expect_err("no such port");
    assert_eq!(error.to_string(), "3 brokers from port 65534 on reach past port 65535");
    let error = Cluster::builder().config("num.partitions", "many").start().expect_err("no number");
    assert_eq!(error.to_string(), "invalid value \"many\" for num.partitions: a whole number from 1");
}
