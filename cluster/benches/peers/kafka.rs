//! Apache Kafka as its own scripts start it, and with its own defaults: what people run, not what suits tests.

use crate::server::Server;
use shakedown_cluster::apache::Apache;
use std::path::Path;

/// Starts so many nodes together. Every topic has as many replicas as there are nodes.
pub(crate) fn start(jars: &Path, nodes: u8) -> Server {
    let builder = Apache::builder().nodes(nodes.into()).jars(jars).as_shipped();
    Server::of_apache(builder.start().unwrap_or_else(|error| panic!("{error}")), nodes.into())
}
