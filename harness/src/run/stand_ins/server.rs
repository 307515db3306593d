//! A stand-in on its port: served, held down, served again.
//!
//! Each of its lives is a runtime of its own, with everything that belongs to it: the socket that listens, the connections
//! and the answers under way. Held down it is gone as a process that was killed: connections are closed, and further ones are
//! refused. Its port waits for it: a socket that is bound and never listens keeps it from everybody else, above all from the
//! clients of this very machine, whose own ports are drawn from the same range.

use super::desk::Counter;
use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};

/// The name of the header that carries an idempotency key.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A stand-in's port over all its lives.
pub(super) struct Server {
    address: SocketAddr,
    /// Keeps the port.
    _claim: TcpSocket,
    router: Router,
    life: Mutex<Life>,
}

#[derive(Default)]
struct Life {
    runtime: Option<Runtime>,
    /// How many faults hold it down.
    held_down: usize,
}

impl Server {
    /// Finds a free port of this machine's own, on which nobody listens yet.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn claim(router: Router) -> io::Result<Self> {
        let claim = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self { address: claim.local_addr()?, _claim: claim, router, life: Mutex::default() })
    }

    /// Where it is asked.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Begins to listen.
    ///
    /// # Errors
    /// When that is not possible.
    pub(super) fn open(&self) -> io::Result<()> {
        let mut life = self.life();
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("shakedown-stand-in").enable_all().build()?;
        let listener = {
            let _context = runtime.enter();
            bind(self.address)?.listen(BACKLOG)?
        };
        let router = self.router.clone();
        runtime.spawn(async move {
            // It serves until its life ends; an error can only be the end of its socket.
            let _ = axum::serve(listener, router).await;
        });
        life.runtime = Some(runtime);
        Ok(())
    }

    /// Nobody listens from here on; when this returns, every connection is closed.
    pub(super) fn hold_down(&self) {
        let mut life = self.life();
        life.held_down += 1;
        life.runtime = None;
    }

    /// Ends one [`Server::hold_down`]; with the last it listens again, where it did.
    ///
    /// # Errors
    /// When that is not possible.
    pub(super) fn let_up(&self) -> io::Result<()> {
        let is_last = {
            let mut life = self.life();
            life.held_down = life.held_down.saturating_sub(1);
            life.held_down == 0
        };
        if is_last { self.open() } else { Ok(()) }
    }

    /// Ends it.
    pub(super) fn close(&self) {
        self.life().runtime = None;
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Binds without listening. Connections of an earlier life that have not quite ended do not stand in the way.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Brings requests to a counter, and its answers back when it is time.
pub(super) fn router(counter: &Arc<dyn Counter>) -> Router {
    counter.paths().iter().fold(Router::new(), |router, &path| {
        let counter = Arc::clone(counter);
        let ask = move |headers: HeaderMap, body: Bytes| answer(Arc::clone(&counter), path, headers, body);
        router.route(path, post(ask))
    })
}

/// The effect is there before anything is waited for: whoever hangs up changes nothing of it.
async fn answer(counter: Arc<dyn Counter>, path: &'static str, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let key = headers.get(IDEMPOTENCY_KEY).map(|key| key.as_bytes());
    let reply = counter.take(path, key, &body);
    if !reply.after.is_zero() {
        tokio::time::sleep(reply.after).await;
    }
    (reply.status, [(CONTENT_TYPE, "application/json")], reply.body)
}

#[cfg(test)]
mod tests {
    use super::super::desk::testing::{Counted, counted};
    use super::super::warehouse::Warehouse;
    use super::*;
    use crate::scenario::stand_in::FailureMode;
    use reqwest::Client;
    use serde_json::{Value as Json, json};
    use std::time::{Duration, Instant};

    /// It listens.
    fn serve(warehouse: &Counted<Warehouse>) -> Server {
        let counter: Arc<dyn Counter> = warehouse.desk.clone();
        let server = Server::claim(router(&counter)).expect("a port");
        server.open().expect("it listens");
        server
    }

    fn client() -> (Runtime, Client) {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        (runtime, Client::builder().no_proxy().build().expect("a client"))
    }

    fn ship(order: &str) -> Json {
        json!({ "order_id": order, "user_id": "user-1", "quantities": { "tea": 1 } })
    }

    async fn ask(client: &Client, server: &Server, path: &str, body: &Json) -> Result<(u16, String), reqwest::Error> {
        let request = client.post(format!("{}{path}", server.url())).header("Idempotency-Key", "a").json(body);
        let response = request.send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    #[test]
    fn it_is_asked_over_http() {
        let (server, (runtime, client)) = (serve(&counted(Warehouse)), client());
        runtime.block_on(async {
            let (status, first) = ask(&client, &server, "/shipments", &ship("a")).await.expect("an answer");
            assert_eq!((status, first.contains("shipment-1")), (201, true), "{first}");
            assert_eq!(ask(&client, &server, "/shipments", &ship("a")).await.expect("an answer"), (200, first));
            assert_eq!(ask(&client, &server, "/shipment", &ship("a")).await.expect("an answer").0, 404);
            let got = client.get(format!("{}/shipments", server.url())).send().await.expect("an answer");
            assert_eq!(got.status().as_u16(), 405);
            let unreadable = client.post(format!("{}/shipments", server.url())).header("Idempotency-Key", &b"\xe9"[..]);
            assert_eq!(unreadable.json(&ship("b")).send().await.expect("an answer").status().as_u16(), 400);
        });
    }

    #[test]
    fn held_down_it_refuses_and_it_comes_back_where_it_was_with_what_it_knew() {
        let (server, (runtime, client)) = (serve(&counted(Warehouse)), client());
        let ask = || runtime.block_on(ask(&client, &server, "/shipments", &ship("a")));
        let (_, first) = ask().expect("an answer");
        server.hold_down();
        server.hold_down();
        // Also on the connection that the client has kept.
        for _ in 0..3 {
            let refused = ask().expect_err("nobody is there");
            assert!(refused.is_connect() || refused.is_request(), "{refused:?}");
        }
        server.let_up().expect("it may");
        ask().expect_err("the other one holds it down");
        server.let_up().expect("it listens");
        assert_eq!(ask().expect("an answer"), (200, first));
    }

    #[test]
    fn what_is_under_way_when_it_goes_down_has_its_effect_and_no_answer() {
        let asked = counted(Warehouse);
        let slow = asked.fail(FailureMode::Slow { by: Duration::from_secs(600) });
        let (server, (runtime, client)) = (serve(&asked), client());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let deadline = Instant::now() + Duration::from_secs(20);
                while asked.facts().is_empty() {
                    assert!(Instant::now() < deadline, "it is not asked");
                    std::thread::yield_now();
                }
                server.hold_down();
            });
            let lost = runtime.block_on(ask(&client, &server, "/shipments", &ship("a")));
            lost.expect_err("nobody can answer any more");
        });
        assert_eq!(asked.facts().len(), 1);
        slow.end().expect("it ends");
    }
}
