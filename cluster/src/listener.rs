//! Accepts connections, one task each.

use crate::connection;
use crate::shell::Shell;
use kafka_protocol::protocol::StrBytes;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long to wait after accepting failed, so that a process without free descriptors does not spin.
const RETRY: Duration = Duration::from_millis(10);

pub(crate) async fn accept(shell: Rc<Shell>, node: usize, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((socket, address)) => {
                // As Kafka shows clients in group descriptions: a slash and the address.
                let host = StrBytes::from_string(format!("/{}", address.ip()));
                tokio::task::spawn_local(connection::serve(Rc::clone(&shell), node, socket, host));
            }
            Err(error) => {
                tracing::warn!(node, %error, "cannot accept a connection");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
