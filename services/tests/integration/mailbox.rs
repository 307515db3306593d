//! A mailbox provider that keeps a ledger and fails as told.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use std::sync::{Arc, Mutex};

/// What the provider does with one request.
type Verdict = Arc<dyn Fn(usize, &Value) -> StatusCode + Send + Sync>;

/// A request that the provider answered.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) status: StatusCode,
    pub(crate) email: Value,
    pub(crate) idempotency_key: String,
    pub(crate) traceparent: String,
}

#[derive(Clone)]
struct Provider {
    verdict: Verdict,
    received: Arc<Mutex<Vec<Received>>>,
}

/// A running provider; gone when dropped.
pub(crate) struct Mailbox {
    provider: Provider,
    address: std::net::SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Mailbox {
    /// Answers the n-th request with the status that `verdict` gives.
    pub(crate) fn start(verdict: impl Fn(usize, &Value) -> StatusCode + Send + Sync + 'static) -> Self {
        let provider = Provider { verdict: Arc::new(verdict), received: Arc::default() };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/emails", post(receive)).with_state(provider.clone());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { provider, address, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.provider.received.lock().unwrap().clone()
    }

    pub(crate) fn taken(&self) -> Vec<Received> {
        self.received().into_iter().filter(|received| received.status.is_success()).collect()
    }
}

async fn receive(State(provider): State<Provider>, headers: HeaderMap, Json(email): Json<Value>) -> StatusCode {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let mut received = provider.received.lock().unwrap();
    let status = (provider.verdict)(received.len(), &email);
    received.push(Received {
        status,
        email,
        idempotency_key: header("idempotency-key"),
        traceparent: header("traceparent"),
    });
    status
}
