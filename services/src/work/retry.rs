//! The retry topic of a service: `<service>.retry`. An event that alone cannot be handled now goes there, and every later
//! event of its key follows it until it has come back, so that the key keeps its order; no other key waits.
//!
//! Which events are there stands in the store (`held_events`), entered with the event's way into the outbox and deleted with
//! the record of what became of it: both are there or neither.

use crate::clock::unix_us;
use crate::kafka::Event;
use crate::malformed::Malformed;
use crate::outbox::NewEvent;
use crate::store::{BulkInsert, Store, StoreTransaction, select_in, texts};
use rdkafka::message::Headers;
use sqlx::Row;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Headers of an event on a retry topic. On any other they are its producer's own, and say nothing.
const FIRST_TOPIC: &str = "retry-topic";
const SINCE_US: &str = "retry-since-us";
const REASON: &str = "retry-reason";

/// More than these headers, and those of the outbox, take.
const HEADERS_BYTES: usize = 4096;

const HOLD: BulkInsert = BulkInsert {
    into: "INSERT INTO held_events (event_id, key, first_try_us)",
    columns: 3,
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
    /// `None` if it only follows another.
    pub(super) first_try_us: Option<u64>,
}

/// Where an event of the service's own retry topic was first: one of the topics that the service reads.
pub(super) fn first_topic<'e>(event: &'e Event, topics: &[String]) -> Result<&'e str, Malformed> {
    let named = event.header(FIRST_TOPIC);
    named.filter(|first| topics.iter().any(|topic| topic == first)).ok_or_else(|| {
        let shown: String = named.unwrap_or("not there").chars().take(100).collect();
        Malformed::value("header retry-topic", &shown, "a topic that this service reads")
    })
}

/// Whether an event has been tried for longer than `patience`.
pub(super) fn is_over(first_try_us: u64, patience: Duration) -> bool {
    u128::from(unix_us().saturating_sub(first_try_us)) > patience.as_micros()
}

/// How long the event's record would be on the retry topic, at most.
pub(super) fn bytes(event: &Event) -> usize {
    let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let own = event.headers.iter().flat_map(Headers::iter);
    let headers: usize = own.map(|header| 10 + header.key.len() + header.value.map_or(0, <[u8]>::len)).sum();
    length(&event.key) + length(&event.payload) + headers + HEADERS_BYTES
}

/// When these events were first tried, as far as they were.
pub(super) async fn first_tries(store: &Store, event_ids: &[&str]) -> Result<HashMap<String, u64>, sqlx::Error> {
    let mut connection = store.warm().await?;
    let select = "SELECT event_id, first_try_us FROM held_events WHERE first_try_us IS NOT NULL AND event_id IN";
    let rows = select_in(&mut connection, select, event_ids).await?;
    let read = |row: &sqlx::any::AnyRow| {
        let first: i64 = row.try_get(1)?;
        Ok((row.try_get(0)?, u64::try_from(first).unwrap_or_default()))
    };
    rows.iter().map(read).collect()
}

/// Takes note of first tries; those that are known stay as they are.
pub(super) async fn note_first_tries(
    transaction: &mut StoreTransaction,
    tries: &[(&str, u64)],
) -> Result<(), sqlx::Error> {
    for (event_id, first_us) in tries {
        sqlx::query("UPDATE held_events SET first_try_us = $1 WHERE event_id = $2 AND first_try_us IS NULL")
            .bind(microseconds(*first_us))
            .bind((*event_id).to_owned())
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

/// The keys that have an event on the retry topic.
pub(super) async fn held_keys(store: &Store) -> Result<HashSet<String>, sqlx::Error> {
    let rows = sqlx::query("SELECT DISTINCT key FROM held_events").fetch_all(&mut *store.warm().await?).await?;
    Ok(texts(&rows)?.into_iter().collect())
}

/// Holds these events; those that are held already are on the topic, or about to be, and are not sent there again.
pub(super) async fn hold(
    transaction: &mut StoreTransaction,
    detours: &[Detour<'_>],
    retry_topic: &Arc<str>,
) -> Result<Vec<NewEvent>, sqlx::Error> {
    let held = HOLD
        .fetch(transaction, detours, |query, detour| {
            let first_try_us = detour.first_try_us.map(microseconds);
            query.bind(detour.event_id.to_owned()).bind(detour.key.to_owned()).bind(first_try_us)
        })
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
    sqlx::query("SELECT COUNT(*) FROM held_events").fetch_one(store.readers()).await?.try_get(0)
}

/// As the store has them.
fn microseconds(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

/// The event's own headers, and where it comes from. What somebody else calls so would be taken for ours there.
fn headers(detour: &Detour<'_>) -> Vec<(String, String)> {
    let original = detour.event.headers.iter().flat_map(Headers::iter);
    let original = original.filter(|header| ![FIRST_TOPIC, SINCE_US, REASON].contains(&header.key));
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
            let detour = |event_id| Detour {
                event_id,
                topic: "orders",
                key: "ada",
                event: &event,
                reason: "503".to_owned(),
                first_try_us: None,
            };
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

    #[tokio::test]
    async fn patience_begins_with_the_first_try_wherever_that_was() {
        for place in testing::places() {
            let store = place.open(&with_shared(&Migrator::with_migrations(Vec::new()))).await;
            let event = event("orders", 0, 7, "ada", "{}");
            let detour = |event_id, first_try_us| {
                let reason = "503".to_owned();
                Detour { event_id, topic: "orders", key: "ada", event: &event, reason, first_try_us }
            };
            let mut transaction = store.begin().await.unwrap();
            let topic = Arc::from("payment.retry");
            hold(&mut transaction, &[detour("tried", Some(5)), detour("follows", None)], &topic).await.unwrap();
            transaction.commit().await.unwrap();
            let tries = first_tries(&store, &["tried", "follows", "unknown"]).await.unwrap();
            assert_eq!(tries, HashMap::from([("tried".to_owned(), 5)]), "the other's turn has not come");
            let mut transaction = store.begin().await.unwrap();
            note_first_tries(&mut transaction, &[("tried", 9), ("follows", 7), ("unknown", 8)]).await.unwrap();
            transaction.commit().await.unwrap();
            let tries = first_tries(&store, &["tried", "follows", "unknown"]).await.unwrap();
            assert_eq!(tries, HashMap::from([("tried".to_owned(), 5), ("follows".to_owned(), 7)]));
        }
        assert!(is_over(1, Duration::from_secs(3600)));
        assert!(!is_over(unix_us(), Duration::from_secs(3600)));
    }

    #[test]
    fn an_event_of_the_retry_topic_was_on_a_topic_that_is_read_first() {
        let topics = ["order_created".to_owned()];
        let mut event = event("payment.retry", 0, 0, "ada", "{}");
        let complaint = |event: &Event| first_topic(event, &topics).unwrap_err().to_string();
        let allowed = "allowed: a topic that this service reads";
        assert_eq!(complaint(&event), format!("its header retry-topic is not there, {allowed}"));
        event.headers = Some(OwnedHeaders::new().insert(Header { key: FIRST_TOPIC, value: Some("somewhere") }));
        assert_eq!(complaint(&event), format!("its header retry-topic is somewhere, {allowed}"));
        event.headers = Some(OwnedHeaders::new().insert(Header { key: FIRST_TOPIC, value: Some("order_created") }));
        assert_eq!(first_topic(&event, &topics).unwrap(), "order_created");
    }

    #[test]
    fn what_a_producer_calls_as_we_do_is_left_behind() {
        let mut event = event("orders", 0, 0, "ada", "{}");
        let mut own = OwnedHeaders::new();
        for (key, value) in [("event-id", "e"), (FIRST_TOPIC, "somewhere"), (SINCE_US, "1")] {
            own = own.insert(Header { key, value: Some(value) });
        }
        event.headers = Some(own);
        let reason = "503".to_owned();
        let detour = Detour { event_id: "e", topic: "orders", key: "ada", event: &event, reason, first_try_us: None };
        let headers = headers(&detour);
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["event-id", FIRST_TOPIC, SINCE_US, REASON]);
        assert_eq!(headers[1].1, "orders");
    }
}
