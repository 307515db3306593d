//! The keys of a load over HTTP, beside those that every load has.

use super::document::Spanned;
use super::quantity::Span;
use super::setting::{choices, settings};

choices! {
    /// In which words a service is asked for an order.
    pub enum BodyChoice {
        /// `{"user_id", "items": [...]}`.
        Storefront = "storefront",
        /// `{"orderId", "userId", "status": "PENDING", ...}`.
        Fanout = "fanout",
    }
}

settings! {
    /// What becomes of requests without a clear answer: a time-out, a connection that broke, a 5xx status.
    pub struct RawRetries {
        /// For how long they are asked again, with the same `Idempotency-Key`; `0s` means never.
        "for" => duration: Spanned<Span>,
    }
}
