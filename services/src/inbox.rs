//! Events that were handled. An event is entered in the transaction that holds its effects, so that it has them once however
//! often it comes.
//!
//! Events are known by their ids, not by where they lie: an outbox may publish one twice, and a retry topic has it again.

use crate::clock::unix_us;
use crate::store::{BulkInsert, Page, Positions, Store, StoreTransaction, select_in, texts};
use serde::Serialize;
use sqlx::Row;
use std::collections::HashSet;

const INSERT: BulkInsert = BulkInsert {
    into: "INSERT INTO inbox (event_id, position, topic, at_us)",
    columns: 4,
    then: "ON CONFLICT (event_id) DO NOTHING RETURNING event_id",
};

/// An entry, as `GET /inbox` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    /// Ascends in the order of handling; not necessarily without gaps.
    pub(crate) position: i64,
    pub(crate) event_id: String,
    pub(crate) topic: String,
    pub(crate) at_us: i64,
}

/// The inbox of a store; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Inbox {
    store: Store,
}

impl Inbox {
    pub(crate) fn new(store: &Store) -> Self {
        Self { store: store.clone() }
    }

    /// Those of these events that were handled.
    pub(crate) async fn known(&self, event_ids: &[&str]) -> Result<HashSet<String>, sqlx::Error> {
        let mut connection = self.store.warm().await?;
        let rows = select_in(&mut connection, "SELECT event_id FROM inbox WHERE event_id IN", event_ids).await?;
        Ok(texts(&rows)?.into_iter().collect())
    }

    /// Enters events with their topics. Returns those that were not there.
    pub(crate) async fn enter(
        transaction: &mut StoreTransaction,
        events: &[(&str, &str)],
    ) -> Result<HashSet<String>, sqlx::Error> {
        if events.is_empty() {
            return Ok(HashSet::new());
        }
        let first = Positions::Inbox.take(transaction, events.len()).await?;
        let at_us = i64::try_from(unix_us()).unwrap_or(i64::MAX);
        let numbered: Vec<(i64, &(&str, &str))> = (first..).zip(events).collect();
        let entered = INSERT
            .fetch(transaction, &numbered, |query, (position, (event_id, topic))| {
                query.bind((*event_id).to_owned()).bind(*position).bind((*topic).to_owned()).bind(at_us)
            })
            .await?;
        Ok(texts(&entered)?.into_iter().collect())
    }

    /// What was handled, in that order.
    pub(crate) async fn entries(self, page: Page) -> Result<Vec<Entry>, sqlx::Error> {
        sqlx::query("SELECT position, event_id, topic, at_us FROM inbox WHERE position > $1 ORDER BY position LIMIT $2")
            .bind(page.after)
            .bind(i64::from(page.limit))
            .try_map(|row: sqlx::any::AnyRow| {
                Ok(Entry {
                    position: row.try_get(0)?,
                    event_id: row.try_get(1)?,
                    topic: row.try_get(2)?,
                    at_us: row.try_get(3)?,
                })
            })
            .fetch_all(self.store.readers())
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{testing, with_shared};
    use sqlx::migrate::Migrator;

    #[tokio::test]
    async fn an_event_is_entered_once_and_only_with_its_transaction() {
        for place in testing::places() {
            let store = place.open(&with_shared(&Migrator::with_migrations(Vec::new()))).await;
            let inbox = Inbox::new(&store);
            let mut first = store.begin().await.unwrap();
            let entered = Inbox::enter(&mut first, &[("a", "t"), ("b", "t"), ("a", "t")]).await.unwrap();
            assert_eq!(entered.len(), 2, "a repetition within the batch is one, too");
            first.commit().await.unwrap();

            let mut second = store.begin().await.unwrap();
            let entered = Inbox::enter(&mut second, &[("b", "t"), ("c", "u")]).await.unwrap();
            assert_eq!(entered, HashSet::from(["c".to_owned()]));
            second.rollback().await.unwrap();
            let known = inbox.known(&["a", "b", "c", "d"]).await.unwrap();
            assert_eq!(known, HashSet::from(["a".to_owned(), "b".to_owned()]));
            let entries = inbox.entries(Page { after: 0, limit: 10 }).await.unwrap();
            assert_eq!(entries.iter().map(|entry| entry.event_id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        }
    }
}
