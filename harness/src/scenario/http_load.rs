//! What a load over HTTP asks, and for how long.

pub use shakedown_loadgen::BodyForm;
use shakedown_loadgen::HttpPlan;
use std::time::Duration;

/// The requests of a load; whom they go to is its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLoad {
    /// In which words orders are asked for.
    pub body: BodyForm,
    /// What is ordered; never empty.
    pub products: Vec<String>,
    /// How many requests may be without an answer.
    pub in_flight: u32,
    /// How long an answer may take.
    pub timeout: Duration,
    /// For how long a request without a clear answer is asked again.
    pub retry_for: Duration,
}

impl HttpLoad {
    /// The load generator's part of it, at this path.
    #[must_use]
    pub fn plan(&self, path: &str) -> HttpPlan {
        let Self { body, products, in_flight, timeout, retry_for } = self.clone();
        HttpPlan { path: path.to_owned(), body, products, in_flight, timeout, retry_for }
    }
}
