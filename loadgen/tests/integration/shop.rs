//! A service that takes orders and does with them what a test says.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a test has the shop do with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reaction {
    /// `None` breaks the connection.
    status: Option<u16>,
    after: Duration,
}

impl Reaction {
    /// This status, at once.
    pub(crate) fn answer(status: u16) -> Self {
        Self { status: Some(status), after: Duration::ZERO }
    }

    /// No answer: the connection breaks.
    pub(crate) fn hang_up() -> Self {
        Self { status: None, after: Duration::ZERO }
    }

    /// The same, later.
    pub(crate) fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) key: String,
    pub(crate) path: String,
    pub(crate) content_type: String,
    pub(crate) body: serde_json::Value,
}

#[derive(Debug, Default)]
struct Seen {
    asked: Vec<Asked>,
    /// How often each key came.
    times: HashMap<String, u64>,
    peers: HashSet<SocketAddr>,
    now: u64,
    at_once: u64,
}

/// From the number of the request, and how often its key came before.
type React = dyn Fn(u64, u64) -> Reaction + Send + Sync;

#[derive(Clone)]
struct Counter {
    seen: Arc<Mutex<Seen>>,
    react: Arc<React>,
}

/// An open shop; closed when dropped.
pub(crate) struct Shop {
    pub(crate) address: String,
    seen: Arc<Mutex<Seen>>,
    runtime: tokio::runtime::Runtime,
}

impl Shop {
    pub(crate) fn open(react: impl Fn(u64, u64) -> Reaction + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let seen = Arc::<Mutex<Seen>>::default();
        let counter = Counter { seen: Arc::clone(&seen), react: Arc::new(react) };
        let router = Router::new().fallback(take).with_state(counter);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        runtime.spawn(async move { axum::serve(listener, service).await });
        Self { address, seen, runtime }
    }

    /// Closes it; where it was.
    pub(crate) fn close(self) -> String {
        self.runtime.shutdown_timeout(Duration::from_secs(10));
        self.address
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.seen.lock().expect("no panic").asked.clone()
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().expect("no panic").peers.len()
    }

    /// How many requests were under way at the same time, at most.
    pub(crate) fn at_once(&self) -> u64 {
        self.seen.lock().expect("no panic").at_once
    }
}

/// A request that is under way, however it ends.
struct UnderWay(Arc<Mutex<Seen>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().expect("no panic").now -= 1;
    }
}

async fn take(
    State(counter): State<Counter>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let asked = Asked {
        key: header("idempotency-key"),
        path: uri.path().to_owned(),
        content_type: header("content-type"),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let (number, reaction) = {
        let mut seen = counter.seen.lock().expect("no panic");
        let number = seen.asked.len() as u64;
        let times = seen.times.entry(asked.key.clone()).or_default();
        let before = *times;
        *times += 1;
        seen.asked.push(asked);
        seen.peers.insert(peer);
        seen.now += 1;
        seen.at_once = seen.at_once.max(seen.now);
        (number, (counter.react)(number, before))
    };
    let _under_way = UnderWay(Arc::clone(&counter.seen));
    if !reaction.after.is_zero() {
        tokio::time::sleep(reaction.after).await;
    }
    let Some(status) = reaction.status else {
        // Ends the task that serves this connection, without a word on standard error.
        std::panic::resume_unwind(Box::new("the connection breaks"));
    };
    (StatusCode::from_u16(status).expect("a status"), format!("number {number}\n")).into_response()
}
