//! The mailbox provider: `POST {MAILBOX_URL}/emails`, once per order.
//!
//! The order id is the idempotency key, so the provider can drop what it has seen; sending again is always safe. Without the
//! key, every time is one more e-mail.
//! Failures that may pass (no connection, a timeout, 408, 409, 425, 429, 5xx) are retried with growing, jittered
//! pauses; any other refusal is final for that e-mail.

use crate::metrics::Metrics;
use crate::trace::{TRACEPARENT, TraceContext};
use backon::{ExponentialBuilder, Retryable};
use prometheus_client::metrics::counter::Counter;
use reqwest::{Client, StatusCode, Url};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{info, warn};

/// For one attempt.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// An e-mail, as the provider takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Email {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) order_id: String,
    /// In minor units.
    pub(crate) total_cost: i64,
    /// The event that it tells of.
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// Why an e-mail was not taken.
#[derive(Debug, Error)]
pub(crate) enum MailboxError {
    #[error("the mailbox did not answer: {0}")]
    NoAnswer(#[source] reqwest::Error),
    #[error("the mailbox answered {0}")]
    Busy(StatusCode),
    #[error("the mailbox refused the e-mail with {0}")]
    Refused(StatusCode),
}

impl MailboxError {
    /// Whether the same e-mail may be taken later.
    pub(crate) fn is_transient(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

/// Where e-mails go.
#[derive(Debug, Clone)]
pub(crate) enum Mailbox {
    /// To a provider.
    Provider(Provider),
    /// To the log.
    Log,
}

/// The provider's API.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    client: Client,
    emails: String,
    /// Whether e-mails carry their idempotency key.
    keyed: bool,
    /// Ticks when the next e-mail may go, where the provider takes only so many a second.
    pace: Option<Arc<Mutex<Interval>>>,
    /// After so much pausing the batch is given up for now, so that the group is served again.
    retry_total: Duration,
    retries: Counter,
}

impl Mailbox {
    pub(crate) fn log() -> Self {
        Self::Log
    }

    pub(crate) fn provider(
        url: &Url,
        keyed: bool,
        retry_total: Duration,
        metrics: &Metrics,
    ) -> Result<Self, reqwest::Error> {
        let client = Client::builder().timeout(REQUEST_TIMEOUT).build()?;
        let emails = format!("{}/emails", url.as_str().trim_end_matches('/'));
        let retries = metrics.counter("email_retries", "Attempts at an e-mail that failed and are made again");
        Ok(Self::Provider(Provider { client, emails, keyed, pace: None, retry_total, retries }))
    }

    /// Sends no more than so many e-mails a second, as the provider's contract may say. Called within a runtime.
    #[must_use]
    pub(crate) fn paced(mut self, per_second: u32) -> Self {
        if let Self::Provider(provider) = &mut self {
            let mut pace = interval(Duration::from_secs(1) / per_second.max(1));
            // Time in which there was nothing to send buys nothing.
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            provider.pace = Some(Arc::new(Mutex::new(pace)));
        }
        self
    }

    /// Sends an e-mail, trying again while that may help.
    ///
    /// # Cancel safety
    /// The provider may or may not have taken the e-mail; sending it again is safe.
    pub(crate) async fn send(&self, email: &Email, trace: &TraceContext) -> Result<(), MailboxError> {
        let Email { to, subject, order_id, .. } = email;
        let trace_id = trace.trace_id();
        let Self::Provider(provider) = self else {
            info!(%trace_id, order_id, to, subject, "e-mail");
            return Ok(());
        };
        let pauses = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(Duration::from_secs(2))
            .with_total_delay(Some(provider.retry_total))
            .with_jitter()
            .without_max_times();
        (|| provider.attempt(email, trace))
            .retry(pauses)
            .when(MailboxError::is_transient)
            .notify(|failure, pause| {
                warn!(%trace_id, order_id, error = %failure, ?pause, "failed to send an e-mail, trying again");
            })
            .await
    }
}

impl Provider {
    /// Counts here and not where it pauses: the last failure of a round is made again, too, when its batch is read again.
    async fn attempt(&self, email: &Email, trace: &TraceContext) -> Result<(), MailboxError> {
        if let Some(pace) = &self.pace {
            pace.lock().await.tick().await;
        }
        let outcome = self.post(email, trace).await;
        if outcome.as_ref().is_err_and(MailboxError::is_transient) {
            self.retries.inc();
        }
        outcome
    }

    async fn post(&self, email: &Email, trace: &TraceContext) -> Result<(), MailboxError> {
        let mut request = self.client.post(&self.emails).header(TRACEPARENT, trace.header()).json(email);
        if self.keyed {
            request = request.header("Idempotency-Key", &email.order_id);
        }
        let response = request.send().await.map_err(MailboxError::NoAnswer)?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status if is_transient(status) => Err(MailboxError::Busy(status)),
            status => Err(MailboxError::Refused(status)),
        }
    }
}

/// Statuses that speak of the moment and not of the request. 409 is what providers answer while an earlier attempt
/// with the same idempotency key is still under way.
fn is_transient(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
    ) || status.is_server_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_provider_gets_no_more_than_its_contract_says() {
        let url = Url::parse("http://127.0.0.1:9").unwrap();
        let began = std::time::Instant::now();
        let mailbox = Mailbox::provider(&url, true, Duration::ZERO, &Metrics::new()).unwrap().paced(100);
        let Mailbox::Provider(provider) = mailbox else { panic!("no provider") };
        let pace = provider.pace.unwrap();
        for _ in 0..6 {
            pace.lock().await.tick().await;
        }
        assert!(began.elapsed() >= Duration::from_millis(50), "the sixth of a hundred in a second comes after 50 ms");
    }

    #[test]
    fn only_refusals_are_final() {
        for code in [408, 409, 425, 429, 500, 503] {
            assert!(is_transient(StatusCode::from_u16(code).unwrap()), "{code}");
        }
        for code in [400, 401, 404, 422] {
            assert!(!is_transient(StatusCode::from_u16(code).unwrap()), "{code}");
        }
        assert!(!MailboxError::Refused(StatusCode::BAD_REQUEST).is_transient());
    }
}
