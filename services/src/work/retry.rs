//! The retry topic of a service: `<service>.retry`. An event that alone cannot be handled now goes there, and every later
//! event of its key follows it until it has come back, so that the key keeps its order; no other key waits.
//!
//! Which events are there stands in the store (`held_events`), entered with the event's way into the outbox and deleted with
//! the record of what became of it: both are there or neither.

use crate::clock::unix_us;
use crate::kafka::Event;
use crate::outbox::NewEvent;
use crate::store::{BulkInsert, Store, StoreTransaction, texts};
use rdkafka::message::Headers;
use sqlx::Row;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Headers of an event on a retry topic.
const FIRST_TOPIC: &str = "retry-topic";
const SINCE_US: &str = "retry-since-us";
const REASON: &str = "retry-reason";

const HOLD: BulkInsert = BulkInsert {
    into: "INSERT INTO held_events (event_id, key)",
    columns: 2,
    then: "ON CONFLICT (event_id) DO NOTHING RETURNING event_id",
};

/// An event on its way to the retry topic.
#[derive(Debug, Clone)]
pub(super) struct Detour<'a> {
    pub(super) event_id: &'a str,
    pub(super) topic: &'a str,
    pub(super) key: &'a str,
    pub(super) event: &'a Event,
    pub(super) reason: String,
}

/// Where the event was first: the topic that it has now, unless it comes from a retry topic.
pub(super) fn first_topic(event: &Event) -> &str {
    event.header(FIRST_TOPIC).unwrap_or(&event.topic)
}

/// Whether the event has been tried for longer than `patience`.
pub(super) fn is_over(event: &Event, patience: Duration) -> bool {
    let since = event.header(SINCE_US).and_then(|since| since.parse::<u64>().ok());
    since.is_some_and(|since| u128::from(unix_us().saturating_sub(since)) > patience.as_micros())
}

/// The keys that have an event on the retry topic.
pub(super) async fn held_keys(store: &Store) -> Result<HashSet<String>, sqlx::Error> {
    let rows = sqlx::query("SELECT DISTINCT key FROM held_events").fetch_all(store.pool()).await?;
    Ok(texts(&rows)?.into_iter().collect())
}

/// Holds these events; those that are held already are on the topic, or about to be, and are not sent there again.
pub(super) async fn hold(
    transaction: &mut StoreTransaction,
    detours: &[Detour<'_>],
    retry_topic: &Arc<str>,
) -> Result<Vec<NewEvent>, sqlx::Error> {
    let held = HOLD
        .fetch(transaction, detours, |query, detour| query.bind(detour.event_id.to_owned()).bind(detour.key.to_owned()))
        .await?;
    let new: HashSet<String> = texts(&held)?.into_iter().collect();
    Ok(detours
        .iter()
        .filter(|detour| new.contains(detour.event_id))
        .map(|detour| NewEvent {
            event_id: detour.event_id.to_owned(),
            topic: Arc::clone(retry_topic),
            key: detour.key.to_owned(),
            payload: String::from_utf8_lossy(detour.event.payload.as_deref().unwrap_or_default()).into_owned(),
            headers: headers(detour),
        })
        .collect())
}

/// These events are no longer on the retry topic.
pub(super) async fn release(transaction: &mut StoreTransaction, event_ids: &[&str]) -> Result<(), sqlx::Error> {
    for event_id in event_ids {
        sqlx::query("DELETE FROM held_events WHERE event_id = $1")
            .bind((*event_id).to_owned())
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

/// How many events are on the retry topic.
pub(super) async fn held_count(store: &Store) -> Result<i64, sqlx::Error> {
    sqlx::query("SELECT COUNT(*) FROM held_events").fetch_one(store.pool()).await?.try_get(0)
}

/// The event's own headers, and where it comes from.
fn headers(detour: &Detour<'_>) -> Vec<(String, String)> {
    let original = detour.event.headers.iter().flat_map(Headers::iter);
    let mut headers: Vec<(String, String)> = original
        .filter_map(|header| Some((header.key.to_owned(), std::str::from_utf8(header.value?).ok()?.to_owned())))
        .collect();
    headers.push((FIRST_TOPIC.to_owned(), detour.topic.to_owned()));
    headers.push((SINCE_US.to_owned(), unix_us().to_string()));
    headers.push((REASON.to_owned(), detour.reason.clone()));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::testing::event;
    use crate::store::{testing, with_shared};
    use rdkafka::message::{Header, OwnedHeaders};
    use sqlx::migrate::Migrator;

    #[tokio::test]
    async fn an_event_is_held_once_and_its_key_until_the_last_is_released() {
        for place in testing::places() {
            let store = place.open(&with_shared(&Migrator::with_migrations(Vec::new()))).await;
            let event = event("orders", 0, 7, "ada", "{}");
            let detour =
                |event_id| Detour { event_id, topic: "orders", key: "ada", event: &event, reason: "503".to_owned() };
            let topic = Arc::from("payment.retry");
            for (detours, sent) in [(vec![detour("a"), detour("b")], 2), (vec![detour("b")], 0)] {
                let mut transaction = store.begin().await.unwrap();
                let events = hold(&mut transaction, &detours, &topic).await.unwrap();
                transaction.commit().await.unwrap();
                assert_eq!(events.len(), sent);
            }
            assert_eq!(held_keys(&store).await.unwrap(), HashSet::from(["ada".to_owned()]));
            for (released, left) in [("a", 1), ("a", 1), ("b", 0)] {
                let mut transaction = store.begin().await.unwrap();
                release(&mut transaction, &[released]).await.unwrap();
                transaction.commit().await.unwrap();
                assert_eq!(held_count(&store).await.unwrap(), left);
            }
            assert!(held_keys(&store).await.unwrap().is_empty());
        }
    }

    #[test]
    fn an_event_says_where_it_was_first_and_since_when_it_waits() {
        let mut event = event("payment.retry", 0, 0, "ada", "{}");
        assert_eq!(first_topic(&event), "payment.retry");
        assert!(!is_over(&event, Duration::ZERO), "it was never sent there");
        let mut headers = OwnedHeaders::new();
        for (key, value) in [(FIRST_TOPIC, "order_created"), (SINCE_US, "1")] {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        event.headers = Some(headers);
        assert_eq!(first_topic(&event), "order_created");
        assert!(is_over(&event, Duration::from_secs(3600)));
    }
}
