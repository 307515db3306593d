//! Events about changes of the store: written in the transaction that makes the change, and published from there in the
//! order of commits.
//!
//! So an event is published exactly when its change is committed, if at least once: a crash between the publishing and the
//! note of it publishes some again, with the ids that they had. Map: `event` (an event on its way), `relay` (publishes).
//! [`Write`](crate::modes::Write) can put a direct write in the outbox's place; then nothing here is promised.

mod event;
mod relay;

pub(crate) use event::{NewEvent, new_id};

use crate::clock::unix_us;
use crate::error::RunError;
use crate::failpoint::{Failpoint, Place};
use crate::kafka::OrderedProducer;
use crate::modes::Write;
use crate::service::Context;
use crate::store::{BulkInsert, Page, Positions, Store, StoreTransaction};
use crate::worker::Worker;
use rdkafka::error::KafkaError;
use relay::Relay;
use serde::Serialize;
use sqlx::Row;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::{Mutex, Notify};

const INSERT: BulkInsert = BulkInsert {
    into: "INSERT INTO outbox (position, event_id, topic, key, payload, headers, at_us)",
    columns: 7,
    then: "",
};

/// A change that was not committed with its events.
#[derive(Debug, Error)]
pub(crate) enum CommitError {
    #[error("the store failed: {0}")]
    Store(#[from] sqlx::Error),
    #[error("failed to publish: {0}")]
    Publish(#[from] KafkaError),
}

/// Commits changes together with their events; cheap to clone.
#[derive(Clone)]
pub(crate) struct Outbox {
    store: Store,
    way: Way,
    failpoint: Failpoint,
}

/// How events leave.
#[derive(Clone)]
enum Way {
    /// Through the relay, which is told of them.
    Relayed(Arc<Notify>),
    /// From here, before the change is committed or after it.
    Direct { producer: Arc<Mutex<OrderedProducer>>, event_first: bool },
}

/// An entry, as `GET /outbox` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    pub(crate) position: i64,
    pub(crate) event_id: String,
    pub(crate) topic: String,
    pub(crate) key: String,
    pub(crate) at_us: i64,
}

impl Outbox {
    /// An outbox over this store, and the worker that publishes from it to these topics, where the mode has one.
    pub(crate) fn open(
        store: &Store,
        topics: Vec<String>,
        context: &Context,
    ) -> Result<(Self, Option<Worker>), RunError> {
        let producer = OrderedProducer::create(&context.kafka, &context.metrics)?;
        let (way, worker) = match context.modes.write {
            Write::Outbox => {
                let written = Arc::new(Notify::new());
                let relay = Relay::new(store.clone(), producer, topics, Arc::clone(&written), context);
                (Way::Relayed(written), Some(Worker::spawn("relay", move || relay.run())?))
            }
            Write::Dual | Write::EventFirst => {
                let event_first = context.modes.write == Write::EventFirst;
                (Way::Direct { producer: Arc::new(Mutex::new(producer)), event_first }, None)
            }
        };
        Ok((Self { store: store.clone(), way, failpoint: context.failpoint.clone() }, worker))
    }

    /// Commits the transaction and these events about it.
    ///
    /// # Cancel safety
    /// Whether it was committed is then unknown; with an outbox change and events are there together or not at all.
    pub(crate) async fn commit(
        &self,
        mut transaction: StoreTransaction,
        events: &[NewEvent],
    ) -> Result<(), CommitError> {
        match &self.way {
            Way::Relayed(written) => {
                append(&mut transaction, events).await?;
                transaction.commit().await?;
                written.notify_one();
            }
            Way::Direct { producer, event_first: false } => {
                transaction.commit().await?;
                self.between_writes(events).await;
                publish(producer, events).await?;
            }
            Way::Direct { producer, event_first: true } => {
                publish(producer, events).await?;
                self.between_writes(events).await;
                transaction.commit().await?;
            }
        }
        Ok(())
    }

    /// Is between the change and its events; a change without events is one write.
    async fn between_writes(&self, events: &[NewEvent]) {
        if !events.is_empty() {
            self.failpoint.visit(Place::BetweenWrites).await;
        }
    }

    /// What was written, for those who compare it with its topics.
    pub(crate) async fn entries(self, page: Page) -> Result<Vec<Entry>, sqlx::Error> {
        sqlx::query(
            "SELECT position, event_id, topic, key, at_us FROM outbox WHERE position > $1 ORDER BY position LIMIT $2",
        )
        .bind(page.after)
        .bind(i64::from(page.limit))
        .try_map(|row: sqlx::any::AnyRow| {
            Ok(Entry {
                position: row.try_get(0)?,
                event_id: row.try_get(1)?,
                topic: row.try_get(2)?,
                key: row.try_get(3)?,
                at_us: row.try_get(4)?,
            })
        })
        .fetch_all(self.store.readers())
        .await
    }

    /// How many events are written and not yet published.
    pub(crate) async fn waiting(&self) -> Result<i64, sqlx::Error> {
        let row =
            sqlx::query("SELECT last_taken - sent_position FROM counters, outbox_relay WHERE counters.name = 'outbox'")
                .fetch_one(self.store.readers())
                .await?;
        row.try_get(0)
    }
}

async fn publish(producer: &Mutex<OrderedProducer>, events: &[NewEvent]) -> Result<(), KafkaError> {
    let publications: Vec<_> = events.iter().map(NewEvent::publication).collect();
    producer.lock().await.publish(&publications).await
}

async fn append(transaction: &mut StoreTransaction, events: &[NewEvent]) -> Result<(), sqlx::Error> {
    if events.is_empty() {
        return Ok(());
    }
    let first = Positions::Outbox.take(transaction, events.len()).await?;
    let at_us = i64::try_from(unix_us()).unwrap_or(i64::MAX);
    let numbered: Vec<(i64, &NewEvent)> = (first..).zip(events).collect();
    INSERT
        .execute(transaction, &numbered, |query, (position, event)| {
            query
                .bind(*position)
                .bind(event.event_id.clone())
                .bind(event.topic.to_string())
                .bind(event.key.clone())
                .bind(event.payload.clone())
                .bind(event.headers_as_text())
                .bind(at_us)
        })
        .await?;
    Ok(())
}
