//! The mailbox: a stand-in for the provider that sends emails, whose ledger is the truth about what was sent.
//!
//! `POST /emails` with `{"to", "subject", "order_id", "total_cost", ...}` sends one; the same `Idempotency-Key` again
//! sends none, as real providers promise, and a key that comes back with another body is refused with 422.

use super::error::RunError;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde::Deserialize;
use shakedown_loadgen::{Names, RunClock};
use shakedown_reports::DeliveryWriter;
use shakedown_reports::identity::Key;
use shakedown_reports::record::Delivery;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// How often the ledger is handed to the operating system: what a killed harness loses at most.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// What the ledger keeps of an email.
#[derive(Debug, Deserialize)]
struct Email {
    order_id: String,
    #[serde(default)]
    total_cost: i64,
    #[serde(default = "nowhere")]
    partition: i32,
    #[serde(default = "nowhere")]
    offset: i64,
}

fn nowhere<T: From<i8>>() -> T {
    T::from(-1)
}

/// A running mailbox.
pub struct Mailbox {
    url: String,
    ledger: Arc<Ledger>,
    server: JoinHandle<()>,
    flusher: JoinHandle<()>,
}

struct Ledger {
    clock: RunClock,
    names: Names,
    state: Mutex<LedgerState>,
}

struct LedgerState {
    /// Idempotency keys, with a hash of the body they came with.
    seen: HashMap<String, u64>,
    /// `None` where no rule of the scenario looks at the mailbox, and once the run is over.
    writer: Option<DeliveryWriter>,
    sent: u64,
    repeated: u64,
    refused: u64,
}

/// What happened at the mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxTotals {
    /// Emails sent.
    pub sent: u64,
    /// Requests that an idempotency key made harmless.
    pub repeated: u64,
    /// Requests that could not be understood.
    pub refused: u64,
}

impl Mailbox {
    /// Opens on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(
        runtime: &Runtime,
        clock: RunClock,
        names: Names,
        writer: Option<DeliveryWriter>,
    ) -> Result<Self, RunError> {
        let state = LedgerState { seen: HashMap::new(), writer, sent: 0, repeated: 0, refused: 0 };
        let ledger = Arc::new(Ledger { clock, names, state: Mutex::new(state) });
        let opened = runtime.block_on(async { TcpListener::bind("127.0.0.1:0").await });
        let listener = opened.map_err(RunError::io("open the mailbox"))?;
        let address = listener.local_addr().map_err(RunError::io("open the mailbox"))?;
        let router = Router::new().route("/emails", post(send)).with_state(Arc::clone(&ledger));
        let server = runtime.spawn(async move {
            // It serves until it is aborted; an error can only be the end of its socket.
            let _ = axum::serve(listener, router).await;
        });
        let flushed = Arc::clone(&ledger);
        let flusher = runtime.spawn(async move {
            loop {
                tokio::time::sleep(FLUSH_EVERY).await;
                if let Some(writer) = &mut flushed.lock().writer {
                    writer.flush();
                }
            }
        });
        Ok(Self { url: format!("http://{address}"), ledger, server, flusher })
    }

    /// What services are given as `MAILBOX_URL`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What happened so far.
    #[must_use]
    pub fn totals(&self) -> MailboxTotals {
        let state = self.ledger.lock();
        MailboxTotals { sent: state.sent, repeated: state.repeated, refused: state.refused }
    }

    /// Ends it; no email enters the ledger afterwards.
    ///
    /// # Errors
    /// When the ledger could not be written.
    pub fn close(self) -> Result<(), RunError> {
        self.server.abort();
        let writer = self.ledger.lock().writer.take();
        if let Some(writer) = writer {
            writer.finish()?;
        }
        Ok(())
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.server.abort();
        self.flusher.abort();
    }
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, LedgerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, idempotency_key: Option<&str>, body: &[u8]) -> (StatusCode, &'static str) {
        let received_ns = self.clock.now_ns();
        let mut state = self.lock();
        let Ok(email) = serde_json::from_slice::<Email>(body) else {
            state.refused += 1;
            return (StatusCode::BAD_REQUEST, r#"{"error":"an email needs at least an order_id"}"#);
        };
        if let Some(key) = idempotency_key {
            let mut hasher = DefaultHasher::new();
            body.hash(&mut hasher);
            let hash = hasher.finish();
            match state.seen.get(key) {
                Some(known) if *known == hash => {
                    state.repeated += 1;
                    return (StatusCode::OK, r#"{"status":"already sent"}"#);
                }
                Some(_) => {
                    state.refused += 1;
                    return (StatusCode::UNPROCESSABLE_ENTITY, r#"{"error":"this key came with another email"}"#);
                }
                None => state.seen.insert(key.to_owned(), hash),
            };
        }
        state.sent += 1;
        let delivery = Delivery {
            identity: self.names.identity(&email.order_id),
            key: Key::ABSENT,
            partition: email.partition,
            offset: email.offset,
            timestamp_ms: -1,
            value: email.total_cost,
            intended_ns: 0,
            received_ns,
        };
        if let Some(writer) = &mut state.writer {
            writer.push(&delivery);
        }
        (StatusCode::CREATED, r#"{"status":"sent"}"#)
    }
}

async fn send(State(ledger): State<Arc<Ledger>>, headers: HeaderMap, body: Bytes) -> (StatusCode, &'static str) {
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    ledger.take(key, &body)
}

#[cfg(test)]
mod tests {
    use super::{FLUSH_EVERY, Ledger, LedgerState, Mailbox};
    use axum::http::StatusCode;
    use shakedown_loadgen::{Names, RunClock};
    use shakedown_reports::record::{Record, StreamInfo, StreamKind};
    use shakedown_reports::{Interner, RunDirectory, RunInfo, RunRecord};
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    fn ledger() -> Ledger {
        let names = Names::new(Arc::new(Interner::in_memory("user-")), 1, 0);
        let state = LedgerState { seen: HashMap::new(), writer: None, sent: 0, repeated: 0, refused: 0 };
        Ledger { clock: RunClock::start(), names, state: Mutex::new(state) }
    }

    #[test]
    fn a_repeated_request_with_its_key_sends_nothing() {
        let ledger = ledger();
        let body = br#"{"to":"a@b.c","order_id":"one","total_cost":5}"#;
        assert_eq!(ledger.take(Some("one"), body).0, StatusCode::CREATED);
        assert_eq!(ledger.take(Some("one"), body).0, StatusCode::OK);
        assert_eq!(ledger.take(Some("one"), br#"{"order_id":"two"}"#).0, StatusCode::UNPROCESSABLE_ENTITY);
        let state = ledger.lock();
        assert_eq!((state.sent, state.repeated, state.refused), (1, 1, 1));
    }

    #[test]
    fn an_email_is_on_disk_soon_after_it_was_sent() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut info = RunInfo::new("a mailbox", 1);
        info.streams = vec![StreamInfo { name: "mailbox".to_owned(), kind: StreamKind::Ledger }];
        let directory = RunDirectory::create(folder.path(), &info).expect("a run directory");
        let writer = directory.delivery_writer(0).expect("a writer");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let names = Names::new(directory.interner(), 1, 0);
        let mailbox = Mailbox::open(&runtime, RunClock::start(), names, Some(writer)).expect("a mailbox");
        mailbox.ledger.take(None, br#"{"order_id":"one"}"#);
        let deadline = Instant::now() + 10 * FLUSH_EVERY;
        // As `check` would see it, were the harness killed now.
        let on_disk = || {
            let record = RunRecord::open(directory.path()).expect("a record");
            let mut count = 0;
            record.deliveries(0, &mut |_| count += 1).expect("readable");
            count
        };
        while on_disk() == 0 {
            assert!(Instant::now() < deadline, "the email is not on disk");
            std::thread::yield_now();
        }
        assert_eq!(mailbox.totals().sent, 1);
        mailbox.close().expect("a finished ledger");
        assert_eq!(on_disk(), 1);
    }

    #[test]
    fn without_a_key_every_request_sends() {
        let ledger = ledger();
        let body = br#"{"order_id":"one"}"#;
        assert_eq!(ledger.take(None, body).0, StatusCode::CREATED);
        assert_eq!(ledger.take(None, body).0, StatusCode::CREATED);
        assert_eq!(ledger.take(None, b"nonsense").0, StatusCode::BAD_REQUEST);
        assert_eq!(ledger.lock().sent, 2);
    }
}
