//! The audit trail in the store. A batch is one transaction of few statements.

use crate::domain::OrderPlaced;
use crate::store::{BulkInsert, Page, Store};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use utoipa::ToSchema;

/// The trail; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct AuditTrail {
    store: Store,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Totals {
    pub(crate) orders: i64,
    pub(crate) quantity: i64,
}

const INSERT: BulkInsert = BulkInsert {
    into: r#"INSERT INTO audit_trail (position, "partition", "offset", order_id, "user", item, quantity, at_us)"#,
    columns: 8,
    then: r#"ON CONFLICT ("partition", "offset") DO NOTHING"#,
};

const SELECT: &str =
    r#"SELECT position, order_id, "user", item, quantity, "partition", "offset", at_us FROM audit_trail"#;

impl AuditTrail {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Appends the entries in one transaction, leaving out events that are in the trail already. Returns how many
    /// were new.
    pub(crate) async fn append(&self, entries: &[NewEntry<'_>]) -> Result<u64, sqlx::Error> {
        if entries.is_empty() {
            return Ok(0);
        }
        let mut transaction = self.store.begin().await?;
        let last: i64 =
            sqlx::query("SELECT last_position FROM audit_totals").fetch_one(&mut *transaction).await?.try_get(0)?;
        let numbered: Vec<(i64, &NewEntry<'_>)> = (last + 1..).zip(entries).collect();
        let added = INSERT
            .execute(&mut transaction, &numbered, |query, (position, entry)| {
                let NewEntry { partition, offset, order, at_us } = entry;
                query
                    .bind(*position)
                    .bind(i64::from(*partition))
                    .bind(*offset)
                    .bind(order.order_id.clone().into_owned())
                    .bind(order.user.clone().into_owned())
                    .bind(order.item.clone().into_owned())
                    .bind(i64::from(order.quantity))
                    .bind(*at_us)
            })
            .await?;
        let quantity: i64 = if added == entries.len() as u64 {
            entries.iter().map(|entry| i64::from(entry.order.quantity)).sum()
        } else {
            // Some were there before: only the trail knows which.
            sqlx::query("SELECT CAST(COALESCE(SUM(quantity), 0) AS BIGINT) FROM audit_trail WHERE position > $1")
                .bind(last)
                .fetch_one(&mut *transaction)
                .await?
                .try_get(0)?
        };
        sqlx::query("UPDATE audit_totals SET last_position = $1, orders = orders + $2, quantity = quantity + $3")
            .bind(last + i64::try_from(entries.len()).unwrap_or(i64::MAX))
            .bind(i64::try_from(added).unwrap_or(i64::MAX))
            .bind(quantity)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(added)
    }

    /// The events of one order, in the order of processing.
    pub(crate) async fn of_order(&self, order_id: &str) -> Result<Vec<Entry>, sqlx::Error> {
        sqlx::query(AssertSqlSafe(format!("{SELECT} WHERE order_id = $1 ORDER BY position")))
            .bind(order_id.to_owned())
            .try_map(|row| entry(&row))
            .fetch_all(self.store.readers())
            .await
    }

    /// A page of events, in the order of processing.
    pub(crate) async fn after(self, page: Page) -> Result<Vec<Entry>, sqlx::Error> {
        sqlx::query(AssertSqlSafe(format!("{SELECT} WHERE position > $1 ORDER BY position LIMIT $2")))
            .bind(page.after)
            .bind(i64::from(page.limit))
            .try_map(|row| entry(&row))
            .fetch_all(self.store.readers())
            .await
    }

    pub(crate) async fn totals(&self) -> Result<Totals, sqlx::Error> {
        let row = sqlx::query("SELECT orders, quantity FROM audit_totals").fetch_one(self.store.readers()).await?;
        Ok(Totals { orders: row.try_get(0)?, quantity: row.try_get(1)? })
    }
}

fn entry(row: &AnyRow) -> Result<Entry, sqlx::Error> {
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
    use crate::store::testing::{Place, places};
    use std::borrow::Cow;

    async fn trail(place: &Place) -> AuditTrail {
        AuditTrail::new(place.open(&sqlx::migrate!("migrations/tracker")).await)
    }

    async fn after(trail: &AuditTrail, after: i64, limit: u32) -> Vec<Entry> {
        trail.clone().after(Page { after, limit }).await.unwrap()
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
        for place in places() {
            let trail = trail(&place).await;
            let mut offset = 0;
            for length in [1, 2, 3, 255, 256, 257, 700] {
                let batch: Vec<_> = (offset..offset + length).map(|offset| new_entry(0, offset, 2)).collect();
                assert_eq!(trail.append(&batch).await.unwrap(), batch.len() as u64);
                offset += length;
            }
            let entries = after(&trail, 0, 10_000).await;
            let offsets: Vec<i64> = entries.iter().map(|entry| entry.offset).collect();
            assert_eq!(offsets, (0..offset).collect::<Vec<_>>());
            assert!(entries.is_sorted_by(|left, right| left.position < right.position));
            assert_eq!(trail.totals().await.unwrap(), Totals { orders: offset, quantity: 2 * offset });
        }
    }

    #[tokio::test]
    async fn an_event_that_comes_again_is_the_same_entry() {
        for place in places() {
            let trail = trail(&place).await;
            trail.append(&[new_entry(0, 0, 1), new_entry(1, 0, 10)]).await.unwrap();
            let again = [new_entry(1, 0, 10), new_entry(0, 1, 100), new_entry(0, 0, 1)];
            assert_eq!(trail.append(&again).await.unwrap(), 1);
            assert_eq!(trail.totals().await.unwrap(), Totals { orders: 3, quantity: 111 });
            assert_eq!(trail.of_order("order-1-0").await.unwrap().len(), 1);
        }
    }

    #[tokio::test]
    async fn pages_follow_each_other_without_gap_or_overlap() {
        for place in places() {
            let trail = trail(&place).await;
            let batch: Vec<_> = (0..10).map(|offset| new_entry(0, offset, 1)).collect();
            trail.append(&batch).await.unwrap();
            let mut seen = Vec::new();
            let mut position = 0;
            loop {
                let page = after(&trail, position, 4).await;
                let Some(last) = page.last() else { break };
                position = last.position;
                seen.extend(page.iter().map(|entry| entry.offset));
            }
            assert_eq!(seen, (0..10).collect::<Vec<_>>());
        }
    }
}
