//! The audit trail in the store.
//!
//! A batch is one transaction of few statements: rows are inserted in chunks whose sizes are powers of two, so that a
//! batch of any length is made of a handful of statements that SQLite has prepared before.

use crate::domain::OrderPlaced;
use crate::store::Store;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row};
use std::sync::Arc;

/// The trail; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct AuditTrail {
    store: Store,
    /// The statement that inserts 2^n rows, at place n.
    inserts: Arc<[Arc<str>]>,
}

/// An event on its way into the trail.
#[derive(Debug, Clone)]
pub(crate) struct NewEntry<'a> {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) order: OrderPlaced<'a>,
    /// When it was processed, in microseconds since the Unix epoch.
    pub(crate) at_us: i64,
}

/// An event in the trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    /// Ascends in the order of processing; not necessarily without gaps.
    pub(crate) position: i64,
    pub(crate) order_id: String,
    pub(crate) user: String,
    pub(crate) item: String,
    pub(crate) quantity: i64,
    pub(crate) partition: i64,
    pub(crate) offset: i64,
    pub(crate) at_us: i64,
}

/// What the trail adds up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    pub(crate) orders: i64,
    pub(crate) quantity: i64,
}

/// The largest chunk, as a power of two: 256 rows of 7 values, far below SQLite's limit of 32766 for one statement.
const CHUNK_POWER_MAX: u32 = 8;

const SELECT: &str =
    r#"SELECT position, order_id, "user", item, quantity, "partition", "offset", at_us FROM audit_trail"#;

impl AuditTrail {
    pub(crate) fn new(store: Store) -> Self {
        let inserts = (0..=CHUNK_POWER_MAX).map(|power| Arc::from(insert_statement(1 << power))).collect();
        Self { store, inserts }
    }

    /// Appends the entries in one transaction, leaving out events that are in the trail already. Returns how many
    /// were new.
    pub(crate) async fn append(&self, entries: &[NewEntry<'_>]) -> Result<u64, sqlx::Error> {
        if entries.is_empty() {
            return Ok(0);
        }
        let mut transaction = self.store.begin_with("BEGIN IMMEDIATE").await?;
        let last: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(position), 0) FROM audit_trail")
            .fetch_one(&mut *transaction)
            .await?;
        let mut added = 0;
        let mut rest = entries;
        while !rest.is_empty() {
            let power = rest.len().ilog2().min(CHUNK_POWER_MAX);
            let (chunk, later) = rest.split_at(1 << power);
            let mut insert = sqlx::query(AssertSqlSafe(Arc::clone(&self.inserts[power as usize])));
            for NewEntry { partition, offset, order, at_us } in chunk {
                insert = insert
                    .bind(partition)
                    .bind(offset)
                    .bind(&*order.order_id)
                    .bind(&*order.user)
                    .bind(&*order.item)
                    .bind(i64::from(order.quantity))
                    .bind(at_us);
            }
            added += insert.execute(&mut *transaction).await?.rows_affected();
            rest = later;
        }
        let quantity: i64 = if added == entries.len() as u64 {
            entries.iter().map(|entry| i64::from(entry.order.quantity)).sum()
        } else {
            // Some were there before: only the trail knows which.
            sqlx::query_scalar("SELECT COALESCE(SUM(quantity), 0) FROM audit_trail WHERE position > ?")
                .bind(last)
                .fetch_one(&mut *transaction)
                .await?
        };
        sqlx::query("UPDATE audit_totals SET orders = orders + ?, quantity = quantity + ?")
            .bind(i64::try_from(added).unwrap_or(i64::MAX))
            .bind(quantity)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(added)
    }

    /// The events of one order, in the order of processing.
    pub(crate) async fn of_order(&self, order_id: &str) -> Result<Vec<Entry>, sqlx::Error> {
        sqlx::query(AssertSqlSafe(format!("{SELECT} WHERE order_id = ? ORDER BY position")))
            .bind(order_id)
            .try_map(|row| entry(&row))
            .fetch_all(&self.store)
            .await
    }

    /// At most `limit` events behind `position`, in the order of processing.
    pub(crate) async fn after(&self, position: i64, limit: u32) -> Result<Vec<Entry>, sqlx::Error> {
        sqlx::query(AssertSqlSafe(format!("{SELECT} WHERE position > ? ORDER BY position LIMIT ?")))
            .bind(position)
            .bind(limit)
            .try_map(|row| entry(&row))
            .fetch_all(&self.store)
            .await
    }

    pub(crate) async fn totals(&self) -> Result<Totals, sqlx::Error> {
        let row = sqlx::query("SELECT orders, quantity FROM audit_totals").fetch_one(&self.store).await?;
        Ok(Totals { orders: row.try_get(0)?, quantity: row.try_get(1)? })
    }
}

fn insert_statement(rows: usize) -> String {
    let values = vec!["(?,?,?,?,?,?,?)"; rows].join(",");
    format!(
        r#"INSERT INTO audit_trail ("partition", "offset", order_id, "user", item, quantity, at_us) VALUES {values}
           ON CONFLICT ("partition", "offset") DO NOTHING"#
    )
}

fn entry(row: &SqliteRow) -> Result<Entry, sqlx::Error> {
    Ok(Entry {
        position: row.try_get(0)?,
        order_id: row.try_get(1)?,
        user: row.try_get(2)?,
        item: row.try_get(3)?,
        quantity: row.try_get(4)?,
        partition: row.try_get(5)?,
        offset: row.try_get(6)?,
        at_us: row.try_get(7)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use crate::store::{Durability, StoreSettings};
    use std::borrow::Cow;

    async fn trail(folder: &tempfile::TempDir) -> AuditTrail {
        let url = format!("sqlite://{}", folder.path().join("tracker.db").display());
        let environment = Environment::from_iter([("DATABASE_URL", url)]);
        let settings = StoreSettings::read("tracker", &environment).unwrap();
        let migrations = sqlx::migrate!("migrations/tracker");
        AuditTrail::new(settings.open(Durability::EveryTransaction, &migrations).await.unwrap())
    }

    fn new_entry(partition: i32, offset: i64, quantity: u32) -> NewEntry<'static> {
        let order = OrderPlaced {
            order_id: Cow::Owned(format!("order-{partition}-{offset}")),
            user: Cow::Borrowed("user-1"),
            item: Cow::Borrowed("tea"),
            quantity,
        };
        NewEntry { partition, offset, order, at_us: 5 }
    }

    #[tokio::test]
    async fn batches_of_any_length_keep_the_order_of_processing() {
        let folder = tempfile::tempdir().unwrap();
        let trail = trail(&folder).await;
        let mut offset = 0;
        for length in [1, 2, 3, 255, 256, 257, 700] {
            let batch: Vec<_> = (offset..offset + length).map(|offset| new_entry(0, offset, 2)).collect();
            assert_eq!(trail.append(&batch).await.unwrap(), batch.len() as u64);
            offset += length;
        }
        let entries = trail.after(0, 10_000).await.unwrap();
        let offsets: Vec<i64> = entries.iter().map(|entry| entry.offset).collect();
        assert_eq!(offsets, (0..offset).collect::<Vec<_>>());
        assert!(entries.is_sorted_by(|left, right| left.position < right.position));
        assert_eq!(trail.totals().await.unwrap(), Totals { orders: offset, quantity: 2 * offset });
    }

    #[tokio::test]
    async fn an_event_that_comes_again_is_the_same_entry() {
        let folder = tempfile::tempdir().unwrap();
        let trail = trail(&folder).await;
        trail.append(&[new_entry(0, 0, 1), new_entry(1, 0, 10)]).await.unwrap();
        let again = [new_entry(1, 0, 10), new_entry(0, 1, 100), new_entry(0, 0, 1)];
        assert_eq!(trail.append(&again).await.unwrap(), 1);
        assert_eq!(trail.totals().await.unwrap(), Totals { orders: 3, quantity: 111 });
        assert_eq!(trail.of_order("order-1-0").await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn pages_follow_each_other_without_gap_or_overlap() {
        let folder = tempfile::tempdir().unwrap();
        let trail = trail(&folder).await;
        let batch: Vec<_> = (0..10).map(|offset| new_entry(0, offset, 1)).collect();
        trail.append(&batch).await.unwrap();
        let mut seen = Vec::new();
        let mut after = 0;
        loop {
            let page = trail.after(after, 4).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.position;
            seen.extend(page.iter().map(|entry| entry.offset));
        }
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
    }
}
