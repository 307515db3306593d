//! Positions: numbers that ascend in the order of commits, without gaps but for what was rolled back.
//!
//! A sequence of the database would not do: its numbers are given out before the commit, so that a reader who follows them
//! passes over those that are committed late.

use sqlx::{AnyConnection, Row};

/// What positions are given out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Positions {
    /// Events to be published.
    Outbox,
    /// Events that were handled.
    Inbox,
    /// Entries of the service's own ledger.
    Ledger,
}

impl Positions {
    fn name(self) -> &'static str {
        match self {
            Self::Outbox => "outbox",
            Self::Inbox => "inbox",
            Self::Ledger => "ledger",
        }
    }

    /// Takes `many` positions; returns the first.
    pub(crate) async fn take(self, transaction: &mut AnyConnection, many: usize) -> Result<i64, sqlx::Error> {
        let many = i64::try_from(many).unwrap_or(i64::MAX);
        let row = sqlx::query("UPDATE counters SET last_taken = last_taken + $1 WHERE name = $2 RETURNING last_taken")
            .bind(many)
            .bind(self.name())
            .fetch_one(transaction)
            .await?;
        Ok(row.try_get::<i64, _>(0)? - many + 1)
    }
}
