//! The payment provider: `POST /captures` and `POST /refunds`, as `docs/stand-ins.md` describes them.

use crate::config::Environment;
use crate::error::RunError;
use crate::outside::{CallError, Outside, OutsideSettings};
use crate::service::Context;
use crate::shop::facts::OrderFacts;
use crate::trace::TraceContext;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use tracing::warn;

/// The provider.
pub(super) struct Provider {
    outside: Outside,
    on_silence: OnSilence,
}

/// What a capture is that the provider said nothing about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnSilence {
    /// Unknown: it is asked about until it says something.
    AskAgain,
    /// Declined, which it may not be.
    Decline,
}

/// What the provider is asked.
#[derive(Debug, Serialize)]
struct Asked<'a> {
    order_id: &'a str,
    user_id: &'a str,
    /// In minor units.
    amount: i64,
}

/// What it says of a capture.
#[derive(Debug, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Said {
    Captured { capture_id: String },
    Declined { reason: String },
}

/// What it says of a refund.
#[derive(Debug, Deserialize)]
struct Refunded {
    refund_id: String,
}

/// What became of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Captured {
    Yes {
        capture_id: String,
    },
    No {
        reason: String,
    },
    /// Nobody knows, and nobody asks.
    Forgotten,
}

impl Provider {
    /// Reads `PAYMENT_PROVIDER_URL`, `PAYMENT_PROVIDER_TIMEOUT_MS` and `PAYMENT_TIMEOUT`.
    pub(super) fn open(environment: &Environment, context: &Context) -> Result<Self, RunError> {
        let on_silence = environment
            .choice("PAYMENT_TIMEOUT", &[("retry", OnSilence::AskAgain), ("decline", OnSilence::Decline)])?;
        let keyed = context.modes.idempotency;
        let settings = OutsideSettings::read("payment_provider", "PAYMENT_PROVIDER", keyed, environment)?;
        Ok(Self { outside: settings.open(&context.metrics)?, on_silence })
    }

    /// Captures what the order costs. Its key is the order: it is captured once, however often this is called.
    pub(super) async fn capture(&self, order: &OrderFacts, trace: TraceContext) -> Result<Captured, CallError> {
        let asked = asked(order);
        match self.outside.post("/captures", &order.order_id, trace, &asked).await {
            Ok(Some(Said::Captured { capture_id })) => Ok(Captured::Yes { capture_id }),
            Ok(Some(Said::Declined { reason })) => Ok(Captured::No { reason }),
            Ok(None) => Ok(Captured::Yes { capture_id: String::new() }),
            Err(CallError::Failed { reason, .. }) if self.on_silence == OnSilence::Decline => {
                let (trace_id, order_id) = (trace.trace_id(), &order.order_id);
                warn!(%trace_id, order_id, reason, "taken for declined, which nobody knows");
                Ok(Captured::Forgotten)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Gives it back, once. Returns the provider's id of it; `None` if nothing was captured.
    pub(super) async fn refund(&self, order: &OrderFacts, trace: TraceContext) -> Result<Option<String>, CallError> {
        let key = format!("{}/refund", order.order_id);
        match self.outside.post("/refunds", &key, trace, &asked(order)).await {
            Ok(Some(Refunded { refund_id })) => Ok(Some(refund_id)),
            Ok(None) => Ok(Some(String::new())),
            Err(CallError::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

fn asked(order: &OrderFacts) -> Asked<'_> {
    Asked { order_id: &order.order_id, user_id: &order.user_id, amount: order.total }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_providers_words_are_understood() {
        let said: Said = serde_json::from_str(r#"{"status":"captured","capture_id":"c-1","amount":5}"#).unwrap();
        assert!(matches!(said, Said::Captured { capture_id } if capture_id == "c-1"));
        let said: Said = serde_json::from_str(r#"{"status":"declined","reason":"too much"}"#).unwrap();
        assert!(matches!(said, Said::Declined { reason } if reason == "too much"));
        assert!(serde_json::from_str::<Said>(r#"{"status":"pending"}"#).is_err(), "no answer yet");
    }
}
