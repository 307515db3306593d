//! A running cluster over HTTP, so that a test in any language can do to it what a Rust test can.
//!
//! Owns the server's thread; what is asked and answered is in [`messages`], by whom in `routes`. `GET /openapi.json`
//! describes it all. It listens where it is told to and asks nobody who he is: keep it on loopback.

mod disturbances;
mod held;
mod interventions;
pub mod messages;
mod refusals;
mod routes;
mod rules;

use crate::handle::Cluster;
use crate::interventions::Patience;
use held::Held;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A server for one cluster. Dropping it stops it, ends the rules that were made through it, and calls off what its clients
/// are at.
#[derive(Debug)]
pub struct ControlServer {
    address: SocketAddr,
    /// Of whatever is done to the cluster by a client.
    patience: Patience,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ControlServer {
    /// Serves the cluster at this address; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is taken or not one of this machine, or the system gives no thread.
    pub fn start(cluster: Arc<Cluster>, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let patience = Patience::at_most(crate::interventions::PATIENCE);
        let rules = Arc::new(Held::new("rule"));
        let router = routes::router(cluster, Arc::clone(&rules), patience.clone());
        let serve = async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            let serving = axum::serve(listener, router);
            tokio::select! {
                // It ends only with its listener.
                _ = serving => {}
                _ = stopped => {}
            }
        };
        let thread = std::thread::Builder::new().name("shakedown-control".to_owned());
        let thread = thread.spawn(move || {
            runtime.block_on(serve);
            // The runtime waits for requests that wait for hits, and those end with their rules.
            rules.end_all(|rule| {
                rule.end();
            });
        })?;
        Ok(Self { address, patience, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.patience.call_off();
        if let Some(stop) = self.stop.take() {
            // The thread may be gone already, after a panic of its own.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
