//! The fold's state in the store: totals and next offset of each partition, in one row.

use crate::kafka::{Offsets, PositionSource};
use crate::store::Store;
use serde::Serialize;
use sqlx::Row;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

/// The state, and the only way to change it; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Totals {
    store: Store,
}

/// An event to be folded. Without revenue only the offset moves on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fold {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// In minor units.
    pub(crate) revenue: Option<i64>,
}

/// What `GET /analytics` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    pub(crate) orders: i64,
    /// In minor units.
    pub(crate) revenue: i64,
}

impl Totals {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// All partitions together.
    pub(crate) async fn read(&self) -> Result<Summary, sqlx::Error> {
        let row = sqlx::query("SELECT COALESCE(SUM(orders), 0), COALESCE(SUM(revenue), 0) FROM partition_totals")
            .fetch_one(&self.store)
            .await?;
        Ok(Summary { orders: row.try_get(0)?, revenue: row.try_get(1)? })
    }

    /// Folds events in, each partition's in ascending order. Those before the partition's stored offset are there
    /// already: another instance folded them, or the broker went back behind them.
    pub(crate) async fn fold(&self, topic: &str, folds: &[Fold]) -> Result<(), sqlx::Error> {
        // Takes the write lock before reading, so that no other instance folds between the reading and the writing.
        let mut transaction = self.store.begin_with("BEGIN IMMEDIATE").await?;
        let mut partitions: BTreeMap<i32, PartitionTotals> = BTreeMap::new();
        for row in sqlx::query(r#"SELECT "partition", next_offset FROM partition_totals WHERE topic = ?"#)
            .bind(topic)
            .fetch_all(&mut *transaction)
            .await?
        {
            let next_offset = row.try_get(1)?;
            partitions.insert(row.try_get(0)?, PartitionTotals { next_offset, ..PartitionTotals::default() });
        }
        for fold in folds {
            partitions.entry(fold.partition).or_default().add(fold);
        }
        for (partition, added) in partitions.iter().filter(|(_, totals)| totals.changed) {
            sqlx::query(
                r#"INSERT INTO partition_totals (topic, "partition", next_offset, orders, revenue)
                   VALUES (?, ?, ?, ?, ?)
                   ON CONFLICT (topic, "partition") DO UPDATE SET
                       next_offset = excluded.next_offset,
                       orders = orders + excluded.orders,
                       revenue = revenue + excluded.revenue"#,
            )
            .bind(topic)
            .bind(partition)
            .bind(added.next_offset)
            .bind(added.orders)
            .bind(added.revenue)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await
    }

    async fn positions(&self) -> Result<Offsets, sqlx::Error> {
        let mut offsets = Offsets::default();
        for row in sqlx::query(r#"SELECT topic, "partition", next_offset FROM partition_totals"#)
            .fetch_all(&self.store)
            .await?
        {
            let topic: String = row.try_get(0)?;
            offsets.advance(&Arc::from(topic), row.try_get(1)?, row.try_get(2)?);
        }
        Ok(offsets)
    }
}

/// What one call adds to a partition.
#[derive(Debug, Clone, Copy, Default)]
struct PartitionTotals {
    next_offset: i64,
    orders: i64,
    revenue: i64,
    changed: bool,
}

impl PartitionTotals {
    fn add(&mut self, fold: &Fold) {
        if fold.offset < self.next_offset {
            return;
        }
        self.next_offset = fold.offset + 1;
        self.orders += i64::from(fold.revenue.is_some());
        self.revenue = self.revenue.saturating_add(fold.revenue.unwrap_or(0));
        self.changed = true;
    }
}

/// Resumes each partition where the store says.
pub(crate) struct StoredPositions {
    pub(crate) totals: Totals,
    pub(crate) runtime: tokio::runtime::Handle,
}

impl PositionSource for StoredPositions {
    fn positions(&self) -> Result<Offsets, Box<dyn Error + Send + Sync>> {
        Ok(self.runtime.block_on(self.totals.positions())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use crate::store::{Durability, StoreSettings};

    async fn totals(folder: &tempfile::TempDir) -> Totals {
        let url = format!("sqlite://{}", folder.path().join("analytics.db").display());
        let environment = Environment::from_iter([("DATABASE_URL", url)]);
        let settings = StoreSettings::read("analytics", &environment).unwrap();
        let migrations = sqlx::migrate!("migrations/analytics");
        Totals::new(settings.open(Durability::Consistent, &migrations).await.unwrap())
    }

    fn order(partition: i32, offset: i64, revenue: i64) -> Fold {
        Fold { partition, offset, revenue: Some(revenue) }
    }

    #[tokio::test]
    async fn events_that_come_again_count_once() {
        let folder = tempfile::tempdir().unwrap();
        let totals = totals(&folder).await;
        assert_eq!(totals.read().await.unwrap(), Summary { orders: 0, revenue: 0 });
        totals.fold("t", &[order(0, 0, 100), order(1, 0, 7), order(0, 1, 20)]).await.unwrap();
        totals.fold("t", &[order(0, 0, 100), order(0, 1, 20), order(0, 2, 3), order(0, 2, 3)]).await.unwrap();
        assert_eq!(totals.read().await.unwrap(), Summary { orders: 4, revenue: 130 });
    }

    #[tokio::test]
    async fn the_next_offset_moves_past_malformed_events_and_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = totals(&folder).await;
        first.fold("t", &[order(2, 5, 100), Fold { partition: 2, offset: 6, revenue: None }]).await.unwrap();
        first.store.close().await;
        let second = totals(&folder).await;
        let positions = second.positions().await.unwrap();
        assert_eq!(positions.iter().collect::<Vec<_>>(), [("t", 2, 7)]);
        assert_eq!(second.read().await.unwrap(), Summary { orders: 1, revenue: 100 });
    }

    #[tokio::test]
    async fn two_instances_on_one_store_fold_every_event_once() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (totals(&folder).await, totals(&folder).await);
        for offset in 0..50 {
            let event = [order(0, offset, 1)];
            let (first, second) = tokio::join!(one.fold("t", &event), other.fold("t", &event));
            first.unwrap();
            second.unwrap();
        }
        assert_eq!(one.read().await.unwrap(), Summary { orders: 50, revenue: 50 });
    }
}
