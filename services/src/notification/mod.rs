//! The notification service: one e-mail for each order of `order-processed`, sent through the mailbox provider.
//!
//! Map: `mailbox` (the provider's API and its retries), `dispatch` (many users at once, each user's e-mails in order).

mod dispatch;
mod mailbox;

use crate::config::{ConfigError, Environment};
use crate::error::RunError;
use crate::kafka::{ConsumerSettings, spawn_consumer};
use crate::service::{Context, Running};
use axum::Router;
use dispatch::Dispatch;
use mailbox::Mailbox;
use reqwest::Url;
use std::time::Duration;
use tracing::info;

#[derive(Debug, Clone)]
struct Settings {
    consumer: ConsumerSettings,
    /// Unset: e-mails are logged.
    mailbox_url: Option<Url>,
    /// Whether e-mails carry an idempotency key.
    keyed: bool,
    /// How many e-mails a second the provider takes. Unset: as many as there are.
    per_second: Option<u32>,
    concurrency: usize,
    retry_total: Duration,
}

impl Settings {
    fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let consumer = ConsumerSettings {
            topic: environment.text("ORDER_PROCESSED_TOPIC", "order-processed"),
            group: environment.text("GROUP_ID", "notification"),
            batch_events_max: environment.parse("BATCH_EVENTS_MAX", 256, "1 to 50000", |n| (1..=50_000).contains(n))?,
        };
        let concurrency = environment.parse("MAILBOX_CONCURRENCY", 32, "1 to 1024", |n| (1..=1024).contains(n))?;
        // Far below max.poll.interval.ms (5 minutes): within it the batch must come to an end.
        let retry_seconds = environment.parse("MAILBOX_RETRY_SECONDS", 20, "1 to 120", |n| (1..=120).contains(n))?;
        let keyed = environment.choice("MAILBOX_IDEMPOTENCY", &[("on", true), ("off", false)])?;
        let per_second =
            environment.parse("MAILBOX_PER_SECOND", 0, "1 to 100000, or unset", |n| (1..=100_000).contains(n))?;
        let per_second = Some(per_second).filter(|per_second| *per_second > 0);
        let mailbox_url = match environment.optional("MAILBOX_URL") {
            None => None,
            Some(value) => match Url::parse(value) {
                Ok(url) if url.scheme() == "http" && url.has_host() => Some(url),
                _ => {
                    return Err(ConfigError {
                        variable: "MAILBOX_URL".to_owned(),
                        value: value.to_owned(),
                        allowed: "http://HOST[:PORT][/PATH], or unset to log e-mails".to_owned(),
                    });
                }
            },
        };
        let retry_total = Duration::from_secs(retry_seconds);
        Ok(Self { consumer, mailbox_url, keyed, per_second, concurrency, retry_total })
    }
}

/// Starts the service.
pub(crate) fn start(environment: &Environment, context: &Context) -> Result<Running, RunError> {
    let settings = Settings::read(environment)?;
    let mailbox = match settings.mailbox_url {
        Some(url) => Mailbox::provider(&url, settings.keyed, settings.retry_total, &context.metrics)
            .map_err(RunError::HttpClient)?,
        None => {
            info!("MAILBOX_URL is not set: e-mails are logged");
            Mailbox::log()
        }
    };
    let mailbox = match settings.per_second {
        Some(per_second) => mailbox.paced(per_second),
        None => mailbox,
    };
    let handler = Dispatch::new(mailbox, settings.concurrency, context.metrics.clone());
    let worker = spawn_consumer(&settings.consumer, handler, None, context)?;
    Ok(Running { routes: Router::new(), worker })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mailbox_is_an_http_url() {
        assert!(Settings::read(&Environment::default()).unwrap().mailbox_url.is_none());
        let url = |value| Settings::read(&Environment::from_iter([("MAILBOX_URL", value)]));
        assert!(url("http://127.0.0.1:8025").is_ok());
        for value in ["127.0.0.1:8025", "ftp://mail", "mail"] {
            let error = url(value).unwrap_err();
            assert_eq!((error.variable.as_str(), error.value.as_str()), ("MAILBOX_URL", value));
        }
    }
}
