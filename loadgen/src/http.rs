//! A load over HTTP, as it is planned: what is asked, in which words, and how long for.
//!
//! Every message of the plan is one `POST` with an `Idempotency-Key`, which is the planned order id
//! ([`crate::order_id`]): whoever takes it as the order's own id gives every later event about that order its planned
//! identity. What became of a request is said by its status (`http_answer.rs` has the rules). Who listens where
//! is not planned: [`crate::endpoints`].

use crate::bodies::BodyForm;
use crate::duration_text;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most requests that may be without an answer: each has a connection of its own, and so a file descriptor here and
/// one there.
pub const IN_FLIGHT_MAX: u32 = 4096;
/// How many there may be unless the plan says otherwise: at 1,000 requests a second, answers that take a quarter of a second.
pub const IN_FLIGHT_DEFAULT: u32 = 256;
/// How long an answer may take unless the plan says otherwise.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);
/// For how long a request without a clear answer is asked again unless the plan says otherwise.
pub const RETRY_FOR_DEFAULT: Duration = Duration::from_secs(10);

/// The HTTP part of a [`crate::LoadPlan`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpPlan {
    /// What is asked: `/orders`.
    pub path: String,
    /// In which words.
    pub body: BodyForm,
    /// What is ordered; never empty.
    pub products: Vec<String>,
    /// How many requests may be without an answer; what is due beyond that waits, and is late.
    pub in_flight: u32,
    /// How long an answer may take before it is taken for none.
    #[serde(with = "duration_text")]
    pub timeout: Duration,
    /// For how long after it was sent a request without a clear answer is asked again, with the same key. Zero: never.
    #[serde(with = "duration_text")]
    pub retry_for: Duration,
}

/// An HTTP part that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpPlanError {
    /// Not a path.
    #[error("path {received:?}: allowed are paths that begin with '/' and have no spaces")]
    Path {
        /// The path received.
        received: String,
    },
    /// None, or more than a process has descriptors for.
    #[error("{received} requests in flight: allowed are 1 to {IN_FLIGHT_MAX}")]
    InFlight {
        /// The number received.
        received: u32,
    },
    /// Nothing could ever be answered in time.
    #[error("a time-out of zero: allowed is any time above it")]
    Timeout,
    /// Nothing to order.
    #[error("no products: allowed is any number of them above zero, each with a name")]
    Products,
}

impl HttpPlan {
    /// A plan with the defaults for this path.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        let path = path.into();
        Self {
            body: BodyForm::of_path(&path),
            products: BodyForm::products(),
            path,
            in_flight: IN_FLIGHT_DEFAULT,
            timeout: TIMEOUT_DEFAULT,
            retry_for: RETRY_FOR_DEFAULT,
        }
    }

    /// Whether it can be carried out.
    ///
    /// # Errors
    /// Names the part that cannot, the value received and the values allowed.
    pub fn validate(&self) -> Result<(), HttpPlanError> {
        if !self.path.starts_with('/') || self.path.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(HttpPlanError::Path { received: self.path.clone() });
        }
        if !(1..=IN_FLIGHT_MAX).contains(&self.in_flight) {
            return Err(HttpPlanError::InFlight { received: self.in_flight });
        }
        if self.timeout.is_zero() {
            return Err(HttpPlanError::Timeout);
        }
        if self.products.is_empty() || self.products.iter().any(String::is_empty) {
            return Err(HttpPlanError::Products);
        }
        Ok(())
    }

    /// The longest time from when a request is sent until its outcome is settled.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.retry_for.saturating_add(self.timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_decides_the_words() {
        assert_eq!(HttpPlan::new("/orders").body, BodyForm::Storefront);
        assert_eq!(HttpPlan::new("/api/orders").body, BodyForm::Fanout);
        assert_eq!(HttpPlan::new("/orders").validate(), Ok(()));
    }

    #[test]
    fn refuses_what_cannot_be_carried_out() {
        let error = |change: fn(&mut HttpPlan)| {
            let mut plan = HttpPlan::new("/orders");
            change(&mut plan);
            plan.validate().expect_err("refused").to_string()
        };
        assert!(error(|plan| plan.path = "orders".to_owned()).starts_with("path \"orders\""));
        assert!(error(|plan| plan.path = "/or ders".to_owned()).contains("no spaces"));
        assert_eq!(error(|plan| plan.in_flight = 0), "0 requests in flight: allowed are 1 to 4096");
        assert!(error(|plan| plan.in_flight = 4097).starts_with("4097 requests"));
        assert!(error(|plan| plan.timeout = Duration::ZERO).starts_with("a time-out of zero"));
        assert!(error(|plan| plan.products.clear()).starts_with("no products"));
        assert!(error(|plan| plan.products.push(String::new())).starts_with("no products"));
    }
}
