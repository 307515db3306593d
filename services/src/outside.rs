//! A dependency outside: an HTTP API that is slow, down, or answers after the effect has happened or before.
//!
//! Every call carries an idempotency key, so that asking again is safe, and is asked again with growing, jittered pauses. A
//! circuit breaker for each dependency keeps a service from asking one that is down, and tells two kinds of failure apart:
//! where the breaker is open the dependency is, and everything waits for it; where it is closed others get through, and this
//! call alone fails. `docs/stand-ins.md` says what the dependencies answer.

use crate::breaker::{Breaker, breaker};
use crate::config::{ConfigError, Environment};
use crate::error::RunError;
use crate::metrics::Metrics;
use crate::trace::{TRACEPARENT, TraceContext};
use backon::{ExponentialBuilder, Retryable};
use failsafe::Instrument;
use prometheus_client::metrics::counter::Counter;
use reqwest::{Client, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tracing::{info, warn};

/// So many different calls in a row fail before the breaker opens. A single one that nobody can serve does not look like a
/// dependency that is down, however often it is tried.
const FAILURES_IN_A_ROW: u32 = 4;

/// How long an open breaker lets nothing through: at first, and at most.
const OPEN_MIN: Duration = Duration::from_millis(250);
const OPEN_MAX: Duration = Duration::from_secs(2);

/// The attempts at one call while the breaker is closed.
const ATTEMPTS: usize = 4;

/// The keys of calls that failed, until one succeeds or the breaker wants to know anew. However often a few calls that nobody
/// can serve take turns, they are no more than they are.
#[derive(Debug, Clone, Default)]
struct Failing {
    keys: Arc<Mutex<HashSet<String>>>,
}

impl Failing {
    /// Remembers this key. Whether it is another than those before.
    fn is_another(&self, key: &str) -> bool {
        self.keys().insert(key.to_owned())
    }

    fn forget(&self) {
        self.keys().clear();
    }

    fn keys(&self) -> MutexGuard<'_, HashSet<String>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Instrument for Failing {
    fn on_call_rejected(&self) {}

    fn on_open(&self) {}

    fn on_half_open(&self) {
        // Whoever fails now says that it is still down, be it the one that said so before.
        self.forget();
    }

    fn on_closed(&self) {
        self.forget();
    }
}

/// What a call says when it got no usable answer.
#[derive(Debug, Error)]
pub(crate) enum CallError {
    /// Everything waits for it.
    #[error("{dependency} is down")]
    Down { dependency: &'static str },
    /// Others get through. What became of this call is unknown.
    #[error("{dependency} did not serve this call: {reason}")]
    Failed { dependency: &'static str, reason: String },
    /// It will never be served.
    #[error("{dependency} refused with {status}: {body}")]
    Refused { dependency: &'static str, status: StatusCode, body: String },
}

/// Where a dependency is, and how it is called.
#[derive(Debug, Clone)]
pub(crate) struct OutsideSettings {
    name: &'static str,
    url: Option<Url>,
    timeout: Duration,
    keyed: bool,
}

/// A dependency; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    name: &'static str,
    client: Client,
    /// Without a place it is played by the log.
    url: Option<String>,
    keyed: bool,
    breaker: Breaker<Failing>,
    failing: Failing,
    counters: Counters,
}

#[derive(Debug, Clone)]
struct Counters {
    calls: Counter,
    failed: Counter,
    rejected: Counter,
}

/// One attempt that failed.
#[derive(Debug)]
enum Attempt {
    /// May pass; it says something of the dependency, or only of the moment.
    Again {
        reason: String,
        is_failure: bool,
    },
    Final(CallError),
}

impl OutsideSettings {
    /// Reads `<NAME>_URL` and `<NAME>_TIMEOUT_MS`.
    pub(crate) fn read(
        name: &'static str,
        variable: &str,
        keyed: bool,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let url_variable = format!("{variable}_URL");
        let url = match environment.optional(&url_variable) {
            None => None,
            Some(value) => match Url::parse(value) {
                Ok(url) if url.scheme() == "http" && url.has_host() => Some(url),
                _ => {
                    return Err(ConfigError {
                        variable: url_variable,
                        value: value.to_owned(),
                        allowed: "http://HOST[:PORT][/PATH], or unset to let the log play it".to_owned(),
                    });
                }
            },
        };
        let allowed = "1 to 60000";
        let timeout_ms =
            environment.parse(&format!("{variable}_TIMEOUT_MS"), 2000, allowed, |ms| (1..=60_000).contains(ms))?;
        Ok(Self { name, url, timeout: Duration::from_millis(timeout_ms), keyed })
    }

    pub(crate) fn open(self, metrics: &Metrics) -> Result<Outside, RunError> {
        let Self { name, url, timeout, keyed } = self;
        let client = Client::builder().timeout(timeout).no_proxy().build().map_err(RunError::HttpClient)?;
        if url.is_none() {
            info!(dependency = name, "has no URL: the log plays it");
        }
        let counter = |what: &str, help: &str| metrics.counter(&format!("{name}_{what}"), help);
        let counters = Counters {
            calls: counter("calls", "Attempts at calls"),
            failed: counter("calls_failed", "Attempts that got no usable answer"),
            rejected: counter("calls_rejected", "Calls that the circuit breaker did not let through"),
        };
        let url = url.map(|url| url.as_str().trim_end_matches('/').to_owned());
        let failing = Failing::default();
        let breaker = breaker(FAILURES_IN_A_ROW, OPEN_MIN, OPEN_MAX, failing.clone());
        Ok(Outside { name, client, url, keyed, breaker, failing, counters })
    }
}

impl Outside {
    /// Asks for an effect, again and again while that may help. `key` is the same whenever the same effect is asked for.
    /// `None` where there is nobody to ask.
    ///
    /// # Cancel safety
    /// The effect may or may not have happened; with its key it is safe to ask again.
    pub(crate) async fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        key: &str,
        trace: TraceContext,
        body: &impl Serialize,
    ) -> Result<Option<A>, CallError> {
        let Some(url) = &self.url else {
            info!(dependency = self.name, path, key, trace_id = %trace.trace_id(), "nobody to ask");
            return Ok(None);
        };
        let url = format!("{url}{path}");
        let pauses = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(25))
            .with_max_delay(Duration::from_millis(400))
            .with_jitter()
            .with_max_times(ATTEMPTS - 1);
        let outcome = (|| self.attempt(&url, key, trace, body))
            .retry(pauses)
            .when(|failure| matches!(failure, Attempt::Again { .. }))
            .notify(|failure, pause| {
                let dependency = self.name;
                warn!(dependency, key, trace_id = %trace.trace_id(), ?failure, ?pause, "asking again");
            })
            .await;
        match outcome {
            Ok(answer) => Ok(Some(answer)),
            Err(Attempt::Final(failure)) => Err(failure),
            Err(Attempt::Again { .. }) if !self.breaker.is_call_permitted() => {
                Err(CallError::Down { dependency: self.name })
            }
            Err(Attempt::Again { reason, .. }) => Err(CallError::Failed { dependency: self.name, reason }),
        }
    }

    async fn attempt<A: DeserializeOwned>(
        &self,
        url: &str,
        key: &str,
        trace: TraceContext,
        body: &impl Serialize,
    ) -> Result<A, Attempt> {
        if !self.breaker.is_call_permitted() {
            self.counters.rejected.inc();
            return Err(Attempt::Final(CallError::Down { dependency: self.name }));
        }
        self.counters.calls.inc();
        let outcome = self.ask(url, key, trace, body).await;
        match &outcome {
            Err(Attempt::Again { is_failure: true, .. }) => {
                self.counters.failed.inc();
                if self.failing.is_another(key) {
                    self.breaker.on_error();
                }
            }
            // It is up, whatever it says.
            Ok(_) | Err(_) => {
                self.failing.forget();
                self.breaker.on_success();
            }
        }
        outcome
    }

    async fn ask<A: DeserializeOwned>(
        &self,
        url: &str,
        key: &str,
        trace: TraceContext,
        body: &impl Serialize,
    ) -> Result<A, Attempt> {
        let mut request = self.client.post(url).header(TRACEPARENT, trace.header()).json(body);
        if self.keyed {
            request = request.header("Idempotency-Key", key);
        }
        let no_answer =
            |failure: reqwest::Error| Attempt::Again { reason: failure.without_url().to_string(), is_failure: true };
        let response = request.send().await.map_err(no_answer)?;
        let status = response.status();
        let text = response.text().await.map_err(no_answer)?;
        if status.is_success() || status == StatusCode::PAYMENT_REQUIRED {
            return serde_json::from_str(&text).map_err(|failure| Attempt::Again {
                reason: format!("an answer that is none: {failure}"),
                is_failure: true,
            });
        }
        let reason = format!("{status} {}", shortened(&text));
        match status {
            // Speak of the moment and not of the dependency. 409: an earlier attempt with this key is still under way.
            StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_EARLY => {
                Err(Attempt::Again { reason, is_failure: false })
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(Attempt::Again { reason, is_failure: true })
            }
            _ => Err(Attempt::Final(CallError::Refused { dependency: self.name, status, body: shortened(&text) })),
        }
    }
}

/// What fits into a log line.
fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TraceIds;
    use axum::Router;
    use axum::http::HeaderMap;
    use axum::routing::post;
    use serde_json::{Value, json};

    /// A dependency that answers with these statuses in turn, the last for ever, and the keys that it saw.
    async fn dependency(statuses: &'static [u16], keyed: bool) -> (Outside, Arc<Mutex<Vec<String>>>) {
        let keys: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&keys);
        let answer = move |headers: HeaderMap| async move {
            let key = headers.get("idempotency-key").map_or("none", |key| key.to_str().unwrap()).to_owned();
            let mut seen = seen.lock().unwrap();
            seen.push(key);
            let status = statuses[(seen.len() - 1).min(statuses.len() - 1)];
            (StatusCode::from_u16(status).unwrap(), json!({"id": seen.len()}).to_string())
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/effects", post(answer))).await });
        let environment = Environment::from_iter([("PROVIDER_URL", url)]);
        let settings = OutsideSettings::read("provider", "PROVIDER", keyed, &environment).unwrap();
        (settings.open(&Metrics::new()).unwrap(), keys)
    }

    async fn call(outside: &Outside, key: &str) -> Result<Option<Value>, CallError> {
        outside.post("/effects", key, TraceIds::new().next_hop(None), &json!({})).await
    }

    #[tokio::test]
    async fn what_may_pass_is_asked_again_with_the_same_key() {
        let (outside, keys) = dependency(&[500, 409, 201], true).await;
        assert_eq!(call(&outside, "k").await.unwrap(), Some(json!({"id": 3})));
        assert_eq!(*keys.lock().unwrap(), ["k", "k", "k"]);
        let (outside, keys) = dependency(&[201], false).await;
        call(&outside, "k").await.unwrap();
        assert_eq!(*keys.lock().unwrap(), ["none"]);
    }

    #[tokio::test]
    async fn a_refusal_is_final_and_a_declined_payment_is_an_answer() {
        let (outside, keys) = dependency(&[422, 402], true).await;
        assert!(matches!(call(&outside, "a").await, Err(CallError::Refused { .. })));
        assert!(call(&outside, "b").await.unwrap().is_some());
        assert_eq!(keys.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_call_that_alone_fails_is_told_from_a_dependency_that_is_down() {
        let (outside, keys) = dependency(&[503], true).await;
        for key in ["a", "a", "a", "b", "c"] {
            assert!(matches!(call(&outside, key).await, Err(CallError::Failed { .. })), "it might be this call");
        }
        assert!(matches!(call(&outside, "d").await, Err(CallError::Down { .. })), "no, it is all of them");
        assert_eq!(keys.lock().unwrap().len(), 5 * ATTEMPTS + 1);
        assert!(matches!(call(&outside, "e").await, Err(CallError::Down { .. })));
        assert_eq!(keys.lock().unwrap().len(), 5 * ATTEMPTS + 1, "the open breaker asked nobody");
        assert!(outside.counters.rejected.get() > 0);

        // When it is asked again one failure is enough, whoever's it is.
        while !outside.breaker.is_call_permitted() {
            tokio::task::yield_now().await;
        }
        assert!(matches!(call(&outside, "d").await, Err(CallError::Down { .. })));
        assert_eq!(keys.lock().unwrap().len(), 5 * ATTEMPTS + 2);
    }

    #[tokio::test]
    async fn two_calls_that_nobody_can_serve_take_turns_and_close_nobody_out() {
        let (outside, _) = dependency(&[503], true).await;
        for key in ["a", "b", "a", "b", "a", "b", "a", "b"] {
            assert!(matches!(call(&outside, key).await, Err(CallError::Failed { .. })), "it might be these calls");
        }
    }

    #[tokio::test]
    async fn without_a_place_nobody_is_asked() {
        let settings = OutsideSettings::read("provider", "PROVIDER", true, &Environment::default()).unwrap();
        assert_eq!(call(&settings.open(&Metrics::new()).unwrap(), "k").await.unwrap(), None);
        for (variable, value) in [("PROVIDER_URL", "ftp://x"), ("PROVIDER_TIMEOUT_MS", "0")] {
            let environment = Environment::from_iter([(variable, value)]);
            let error = OutsideSettings::read("provider", "PROVIDER", true, &environment).unwrap_err();
            assert_eq!(error.variable, variable);
        }
    }
}
