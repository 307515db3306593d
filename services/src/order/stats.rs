//! What became of the orders: `GET /stats`.

use serde::Serialize;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use utoipa::ToSchema;

/// Counters that the publisher writes and requests read.
#[derive(Debug)]
pub(crate) struct Stats {
    total: u64,
    accepted: AtomicU64,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    revenue: AtomicI64,
}

/// One reading of the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Summary {
    /// Orders that were made.
    pub(crate) accepted: u64,
    /// Orders that Kafka acknowledged.
    pub(crate) acknowledged: u64,
    /// Orders that Kafka did not acknowledge in time, and may or may not have.
    pub(crate) failed: u64,
    /// What the acknowledged orders cost, in minor units.
    pub(crate) revenue: i64,
    /// Every order of `ORDERS_TOTAL` was made and answered for.
    pub(crate) done: bool,
}

impl Stats {
    pub(crate) fn new(total: u64) -> Self {
        Self {
            total,
            accepted: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            revenue: AtomicI64::new(0),
        }
    }

    pub(crate) fn accept(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn acknowledge(&self, total: i64) {
        self.revenue.fetch_add(total, Ordering::Relaxed);
        // Released after the revenue, so that a reader who sees `done` sees all of the money.
        self.acknowledged.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn fail(&self) {
        self.failed.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn summary(&self) -> Summary {
        let acknowledged = self.acknowledged.load(Ordering::Acquire);
        let failed = self.failed.load(Ordering::Acquire);
        let accepted = self.accepted.load(Ordering::Relaxed);
        let revenue = self.revenue.load(Ordering::Relaxed);
        let done = self.total > 0 && acknowledged + failed == self.total;
        Summary { accepted, acknowledged, failed, revenue, done }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_done_when_every_order_was_answered_for() {
        let stats = Stats::new(2);
        stats.accept();
        stats.accept();
        stats.acknowledge(1250);
        assert!(!stats.summary().done);
        stats.fail();
        let expected = Summary { accepted: 2, acknowledged: 1, failed: 1, revenue: 1250, done: true };
        assert_eq!(stats.summary(), expected);
        assert!(!Stats::new(0).summary().done, "orders without end are never done");
    }
}
