//! Orders in the store: what was accepted, where each is, and the audit trail of how it got there.

use super::lifecycle::Status;
use crate::shop::facts::Item;
use crate::store::{BulkInsert, Page, Positions, Store, StoreTransaction, select_in};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use std::collections::HashMap;
use utoipa::ToSchema;

const ORDERS: BulkInsert = BulkInsert {
    into: "INSERT INTO orders (order_id, user_id, items, total, created_at_us, idempotency_key)",
    columns: 6,
    then: "",
};

const STATUS: BulkInsert = BulkInsert {
    into: "INSERT INTO order_status (order_id, status, version, updated_at_us)",
    columns: 4,
    then: "ON CONFLICT (order_id) DO UPDATE SET status = excluded.status, version = excluded.version,
           updated_at_us = excluded.updated_at_us",
};

const STEPS: BulkInsert = BulkInsert {
    into: "INSERT INTO order_events (position, order_id, version, status, event, event_id, at_us)",
    columns: 7,
    then: "",
};

const ORDER: &str =
    "SELECT o.order_id, o.user_id, o.items, o.total, o.created_at_us, s.status, s.version, s.updated_at_us
    FROM orders o JOIN order_status s ON s.order_id = o.order_id";

/// An order, as it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Order {
    pub(crate) order_id: String,
    pub(crate) user_id: String,
    pub(crate) items: Vec<Item>,
    /// In minor units.
    pub(crate) total: i64,
    pub(crate) status: Status,
    /// Rises by one with every step.
    pub(crate) version: i64,
    /// In microseconds since the Unix epoch.
    pub(crate) created_at_us: i64,
    pub(crate) updated_at_us: i64,
}

/// A step of an order, as it is recorded.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) order_id: String,
    pub(crate) version: i64,
    pub(crate) status: Status,
    /// The topic of the event that led there, and its id.
    pub(crate) event: String,
    pub(crate) event_id: String,
    pub(crate) at_us: i64,
}

/// A step in the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Entry {
    /// Ascends in the order of commits.
    pub(crate) position: i64,
    pub(crate) order_id: String,
    pub(crate) user_id: String,
    pub(crate) version: i64,
    pub(crate) status: String,
    /// The topic of the event that led there, and its id.
    pub(crate) event: String,
    pub(crate) event_id: String,
    /// What the order costs, in minor units.
    pub(crate) total: i64,
    /// When it was recorded, in microseconds since the Unix epoch.
    pub(crate) at_us: i64,
}

/// How many orders are in a status, and what they are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub(crate) struct Sum {
    pub(crate) orders: i64,
    /// In minor units.
    pub(crate) total: i64,
}

/// The store; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    store: Store,
}

impl Orders {
    pub(crate) fn new(store: &Store) -> Self {
        Self { store: store.clone() }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Records accepted orders, with the keys of their clients and their first steps.
    pub(crate) async fn insert(
        transaction: &mut StoreTransaction,
        orders: &[(Order, Option<String>)],
        steps: &[Step],
    ) -> Result<(), sqlx::Error> {
        ORDERS
            .execute(transaction, orders, |query, (order, key)| {
                query
                    .bind(order.order_id.clone())
                    .bind(order.user_id.clone())
                    .bind(items_as_text(&order.items))
                    .bind(order.total)
                    .bind(order.created_at_us)
                    .bind(key.clone())
            })
            .await?;
        Self::advance(transaction, steps).await
    }

    /// Records steps, those of one order in their order.
    pub(crate) async fn advance(transaction: &mut StoreTransaction, steps: &[Step]) -> Result<(), sqlx::Error> {
        if steps.is_empty() {
            return Ok(());
        }
        // The last of each order: a statement must not touch a row twice.
        let last: HashMap<&str, &Step> = steps.iter().map(|step| (step.order_id.as_str(), step)).collect();
        let last: Vec<&Step> = last.into_values().collect();
        STATUS
            .execute(transaction, &last, |query, step| {
                query.bind(step.order_id.clone()).bind(step.status.word()).bind(step.version).bind(step.at_us)
            })
            .await?;
        let first = Positions::Ledger.take(transaction, steps.len()).await?;
        let numbered: Vec<(i64, &Step)> = (first..).zip(steps).collect();
        STEPS
            .execute(transaction, &numbered, |query, (position, step)| {
                query
                    .bind(*position)
                    .bind(step.order_id.clone())
                    .bind(step.version)
                    .bind(step.status.word())
                    .bind(step.event.clone())
                    .bind(step.event_id.clone())
                    .bind(step.at_us)
            })
            .await?;
        Ok(())
    }

    /// Where these orders are; unknown ones are left out.
    pub(crate) async fn statuses(
        transaction: &mut StoreTransaction,
        order_ids: &[&str],
    ) -> Result<HashMap<String, (Status, i64)>, sqlx::Error> {
        let select = "SELECT order_id, status, version FROM order_status WHERE order_id IN";
        let rows = select_in(transaction, select, order_ids).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, (status(row, 1)?, row.try_get(2)?)))).collect()
    }

    /// The orders that were accepted with these keys.
    pub(crate) async fn of_keys(
        transaction: &mut StoreTransaction,
        keys: &[&str],
    ) -> Result<HashMap<String, Order>, sqlx::Error> {
        let select =
            "SELECT o.order_id, o.user_id, o.items, o.total, o.created_at_us, s.status, s.version, s.updated_at_us,
            o.idempotency_key FROM orders o JOIN order_status s ON s.order_id = o.order_id WHERE o.idempotency_key IN";
        let rows = select_in(transaction, select, keys).await?;
        rows.iter().map(|row| Ok((row.try_get(8)?, order(row)?))).collect()
    }

    pub(crate) async fn get(&self, order_id: &str) -> Result<Option<Order>, sqlx::Error> {
        sqlx::query(AssertSqlSafe(format!("{ORDER} WHERE o.order_id = $1")))
            .bind(order_id.to_owned())
            .try_map(|row| order(&row))
            .fetch_optional(self.store.readers())
            .await
    }

    /// The audit trail of one order.
    pub(crate) async fn trail(&self, order_id: &str) -> Result<Vec<Entry>, sqlx::Error> {
        self.entries("WHERE e.order_id = $1 ORDER BY e.position", order_id.to_owned(), None).await
    }

    /// A page of the audit trail of all orders.
    pub(crate) async fn trail_of_all(self, page: Page) -> Result<Vec<Entry>, sqlx::Error> {
        let limit = Some(i64::from(page.limit));
        self.entries("WHERE e.position > $1 ORDER BY e.position LIMIT $2", page.after, limit).await
    }

    async fn entries<'a, V>(&self, which: &str, value: V, limit: Option<i64>) -> Result<Vec<Entry>, sqlx::Error>
    where
        V: sqlx::Encode<'a, sqlx::Any> + sqlx::Type<sqlx::Any> + Send + 'a,
    {
        let select =
            "SELECT e.position, e.order_id, o.user_id, e.version, e.status, e.event, e.event_id, o.total, e.at_us
            FROM order_events e JOIN orders o ON o.order_id = e.order_id";
        let query = sqlx::query(AssertSqlSafe(format!("{select} {which}"))).bind(value);
        let query = match limit {
            Some(limit) => query.bind(limit),
            None => query,
        };
        query.try_map(|row| entry(&row)).fetch_all(self.store.readers()).await
    }

    /// What there is in each status.
    pub(crate) async fn sums(&self) -> Result<HashMap<String, Sum>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT s.status, COUNT(*), CAST(SUM(o.total) AS BIGINT)
             FROM order_status s JOIN orders o ON o.order_id = s.order_id GROUP BY s.status",
        )
        .fetch_all(self.store.readers())
        .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, Sum { orders: row.try_get(1)?, total: row.try_get(2)? }))).collect()
    }
}

fn items_as_text(items: &[Item]) -> String {
    serde_json::to_string(items).unwrap_or_default()
}

fn status(row: &AnyRow, column: usize) -> Result<Status, sqlx::Error> {
    let word: String = row.try_get(column)?;
    Status::of_word(&word).ok_or_else(|| sqlx::Error::Decode(format!("unknown status {word}").into()))
}

fn order(row: &AnyRow) -> Result<Order, sqlx::Error> {
    let items: String = row.try_get(2)?;
    Ok(Order {
        order_id: row.try_get(0)?,
        user_id: row.try_get(1)?,
        items: serde_json::from_str(&items).map_err(|failure| sqlx::Error::Decode(failure.into()))?,
        total: row.try_get(3)?,
        created_at_us: row.try_get(4)?,
        status: status(row, 5)?,
        version: row.try_get(6)?,
        updated_at_us: row.try_get(7)?,
    })
}

fn entry(row: &AnyRow) -> Result<Entry, sqlx::Error> {
    Ok(Entry {
        position: row.try_get(0)?,
        order_id: row.try_get(1)?,
        user_id: row.try_get(2)?,
        version: row.try_get(3)?,
        status: row.try_get(4)?,
        event: row.try_get(5)?,
        event_id: row.try_get(6)?,
        total: row.try_get(7)?,
        at_us: row.try_get(8)?,
    })
}
