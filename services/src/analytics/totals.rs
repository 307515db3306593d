//! The fold's state in the store: totals and next offset of each partition, in one row.

use crate::kafka::{Offsets, PositionSource};
use crate::store::Store;
use serde::Serialize;
use sqlx::Row;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use utoipa::ToSchema;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
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
        let row = sqlx::query(
            "SELECT CAST(COALESCE(SUM(orders), 0) AS BIGINT), CAST(COALESCE(SUM(revenue), 0) AS BIGINT)
             FROM partition_totals",
        )
        .fetch_one(self.store.readers())
        .await?;
        Ok(Summary { orders: row.try_get(0)?, revenue: row.try_get(1)? })
    }

    /// Folds events in, each partition's in ascending order. Those before the partition's stored offset are there
    /// already: another instance folded them, or the broker went back behind them.
    pub(crate) async fn fold(&self, topic: &str, folds: &[Fold]) -> Result<(), sqlx::Error> {
        // One writer at a time: no other instance folds between the reading and the writing.
        let mut transaction = self.store.begin().await?;
        let mut partitions: BTreeMap<i32, PartitionTotals> = BTreeMap::new();
        for row in sqlx::query(r#"SELECT "partition", next_offset FROM partition_totals WHERE topic = $1"#)
            .bind(topic.to_owned())
            .fetch_all(&mut *transaction)
            .await?
        {
            let next_offset = row.try_get(1)?;
            partitions
                .insert(partition(row.try_get(0)?), PartitionTotals { next_offset, ..PartitionTotals::default() });
        }
        for fold in folds {
            partitions.entry(fold.partition).or_default().add(fold);
        }
        for (partition, added) in partitions.iter().filter(|(_, totals)| totals.changed) {
            sqlx::query(
                r#"INSERT INTO partition_totals (topic, "partition", next_offset, orders, revenue)
                   VALUES ($1, $2, $3, $4, $5)
                   ON CONFLICT (topic, "partition") DO UPDATE SET
                       next_offset = excluded.next_offset,
                       orders = partition_totals.orders + excluded.orders,
                       revenue = partition_totals.revenue + excluded.revenue"#,
            )
            .bind(topic.to_owned())
            .bind(i64::from(*partition))
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
            .fetch_all(self.store.readers())
            .await?
        {
            let topic: String = row.try_get(0)?;
            offsets.advance(&Arc::from(topic), partition(row.try_get(1)?), row.try_get(2)?);
        }
        Ok(offsets)
    }
}

/// A partition's number, as it was stored.
fn partition(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(-1)
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
    use crate::store::testing::{Place, places};

    async fn totals(place: &Place) -> Totals {
        Totals::new(place.open(&sqlx::migrate!("migrations/analytics")).await)
    }

    fn order(partition: i32, offset: i64, revenue: i64) -> Fold {
        Fold { partition, offset, revenue: Some(revenue) }
    }

    #[tokio::test]
    async fn events_that_come_again_count_once() {
        for place in places() {
            let totals = totals(&place).await;
            assert_eq!(totals.read().await.unwrap(), Summary { orders: 0, revenue: 0 });
            totals.fold("t", &[order(0, 0, 100), order(1, 0, 7), order(0, 1, 20)]).await.unwrap();
            totals.fold("t", &[order(0, 0, 100), order(0, 1, 20), order(0, 2, 3), order(0, 2, 3)]).await.unwrap();
            assert_eq!(totals.read().await.unwrap(), Summary { orders: 4, revenue: 130 });
        }
    }

    #[tokio::test]
    async fn the_next_offset_moves_past_malformed_events_and_survives_a_restart() {
        for place in places() {
            let first = totals(&place).await;
            first.fold("t", &[order(2, 5, 100), Fold { partition: 2, offset: 6, revenue: None }]).await.unwrap();
            first.store.close().await;
            let second = totals(&place).await;
            let positions = second.positions().await.unwrap();
            assert_eq!(positions.iter().collect::<Vec<_>>(), [("t", 2, 7)]);
            assert_eq!(second.read().await.unwrap(), Summary { orders: 1, revenue: 100 });
        }
    }

    #[tokio::test]
    async fn two_instances_on_one_store_fold_every_event_once() {
        for place in places() {
            let (one, other) = (totals(&place).await, totals(&place).await);
            for offset in 0..50 {
                let event = [order(0, offset, 1)];
                let (first, second) = tokio::join!(one.fold("t", &event), other.fold("t", &event));
                first.unwrap();
                second.unwrap();
            }
            assert_eq!(one.read().await.unwrap(), Summary { orders: 50, revenue: 50 });
        }
    }
}
