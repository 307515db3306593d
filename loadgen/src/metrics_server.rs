//! `--metrics-addr`: serves what is known of a run at `/metrics`, for Prometheus to scrape while it goes on.

use crate::exposition;
use crate::live::Live;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Where metrics are to be served. Written as `HOST:PORT`; without a host, as in `9464` or `:9464`, it is this machine alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsAddress(pub SocketAddr);

/// A text that names no address.
#[derive(Debug, thiserror::Error)]
#[error(
    "{text:?} is no address: write HOST:PORT, as in \"127.0.0.1:9464\", or a port alone for this machine only; {why}"
)]
pub struct MetricsAddressError {
    text: String,
    why: String,
}

impl std::str::FromStr for MetricsAddress {
    type Err = MetricsAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = |why: String| MetricsAddressError { text: text.to_owned(), why };
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let port: u16 = port.parse().map_err(|_| refused(format!("{port:?} is no port from 0 to 65535")))?;
        let host = if host.is_empty() { "127.0.0.1" } else { host.trim_start_matches('[').trim_end_matches(']') };
        let mut found = (host, port).to_socket_addrs().map_err(|error| refused(format!("{host:?}: {error}")))?;
        found.next().map(Self).ok_or_else(|| refused(format!("{host:?} has no address")))
    }
}

/// Why metrics are not served.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be served at {address}: {source}{}", hint(source))]
pub struct MetricsError {
    address: SocketAddr,
    source: std::io::Error,
}

fn hint(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::AddrInUse => "; another program listens there: give another port, or 0 for a free one",
        _ => "",
    }
}

/// A server of metrics; it ends when it is dropped.
#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MetricsServer {
    /// Begins to serve `/metrics` on a thread of its own.
    ///
    /// # Errors
    /// When the address cannot be listened at, or there is no thread.
    pub fn start(address: MetricsAddress, live: Live) -> Result<Self, MetricsError> {
        let MetricsAddress(address) = address;
        let failed = |source| MetricsError { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(failed)?
        };
        let scrape = move || {
            let text = exposition::text(&live);
            async move { ([(CONTENT_TYPE, exposition::CONTENT_TYPE)], text) }
        };
        let router = Router::new().route("/metrics", get(scrape));
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = move || {
            runtime.block_on(async move {
                tokio::select! {
                    // It never ends by itself, and whoever goes away has nothing to tell.
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("shakedown-metrics".to_owned()).spawn(serve).map_err(failed)?;
        Ok(Self { address: bound, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A scrape that broke it has been answered with nothing; the run goes on.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_this_machine_only() {
        let parsed = |text: &str| text.parse::<MetricsAddress>().map(|address| address.0.to_string());
        assert_eq!(parsed("9464").expect("a port"), "127.0.0.1:9464");
        assert_eq!(parsed(":9464").expect("a port"), "127.0.0.1:9464");
        assert_eq!(parsed("0.0.0.0:80").expect("an address"), "0.0.0.0:80");
        assert_eq!(parsed("[::1]:80").expect("an address"), "[::1]:80");
        for text in ["", "metrics", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536"] {
            let error = parsed(text).expect_err("refused").to_string();
            assert!(error.contains("as in \"127.0.0.1:9464\""), "{error}");
        }
    }

    #[test]
    fn a_port_in_use_is_told_and_a_server_that_ends_gives_it_back() {
        let server = MetricsServer::start("0".parse().expect("a port"), Live::default()).expect("a free port");
        let address = MetricsAddress(server.address());
        let error = MetricsServer::start(address, Live::default()).expect_err("in use").to_string();
        assert!(error.starts_with(&format!("metrics cannot be served at {}: ", address.0)), "{error}");
        assert!(error.ends_with("give another port, or 0 for a free one"), "{error}");
        drop(server);
        MetricsServer::start(address, Live::default()).expect("it is free again");
    }
}
