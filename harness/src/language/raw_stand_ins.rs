//! The keys of `[stand-ins]`: how those who are played by the harness answer while all is well. What goes wrong with them is
//! a fault.

use super::document::Spanned;
use super::quantity::Span;
use super::setting::{Whole, choices, settings};

choices! {
    /// A stand-in for something outside the system, run by the harness.
    pub enum StandIn {
        /// `POST /captures` and `POST /refunds`.
        PaymentProvider = "payment-provider",
        /// `POST /shipments`.
        Warehouse = "warehouse",
        /// `POST /emails`.
        Mailbox = "mailbox",
    }
}

settings! {
    /// How the stand-ins answer while all is well.
    pub struct RawStandIns {
        /// The payment provider.
        "payment-provider" => payment_provider: Option<Spanned<RawPaymentProvider>>,
        /// The warehouse.
        "warehouse" => warehouse: Option<Spanned<RawStandIn>>,
        /// The mailbox.
        "mailbox" => mailbox: Option<Spanned<RawStandIn>>,
    }
}

settings! {
    /// How a stand-in answers.
    pub struct RawStandIn {
        /// How long each answer takes; the effect is there at once. Default: no time.
        "latency" => latency: Option<Spanned<Span>>,
    }
}

settings! {
    /// How the payment provider answers, and what it declines.
    pub struct RawPaymentProvider {
        /// How long each answer takes; the effect is there at once. Default: no time.
        "latency" => latency: Option<Spanned<Span>>,
        /// Captures of more than this, in minor units, are declined. Default: none is for its amount.
        "decline_above" => decline_above: Option<Spanned<Whole<0, 9_223_372_036_854_775_807>>>,
        /// One order in so many is declined, drawn from the seed by the order's id: the same orders in every run. Default: none.
        "decline_every" => decline_every: Option<Spanned<Whole<1, 1_000_000>>>,
    }
}
