//! The part of `loadgen`'s command line that says whether messages go in transactions.

use super::plan::TransactionPlan;
use crate::duration_text;
use clap::Args;
use std::time::Duration;

/// Whether messages go in transactions.
#[derive(Debug, Clone, Default, Args)]
pub struct TransactionArguments {
    /// Offer in transactions, and commit each so long after its first message, as in "100ms": acknowledged is what was committed.
    #[arg(long, value_name = "DURATION", value_parser = duration_text::parse)]
    pub transactions: Option<Duration>,
    /// Commit a transaction at once when it has so many messages.
    #[arg(long, value_name = "MESSAGES", requires = "transactions")]
    pub transaction_messages: Option<u32>,
    /// Share of transactions to abort on purpose, as in "0.1".
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, requires = "transactions")]
    pub transaction_abort: f64,
    /// What transactional ids begin with; the producer's number follows. Without it each run has one of its own.
    #[arg(long, value_name = "ID", requires = "transactions")]
    pub transactional_id: Option<String>,
}

impl TransactionArguments {
    /// The transactions, if there are to be any.
    #[must_use]
    pub fn plan(&self) -> Option<TransactionPlan> {
        Some(TransactionPlan {
            every: self.transactions?,
            messages: self.transaction_messages,
            abort: self.transaction_abort,
            id: self.transactional_id.clone(),
        })
    }
}
