//! Publishes the outbox: in the order of positions, a batch at a time, noting how far it has come when Kafka has acknowledged
//! all of a batch.
//!
//! Of several instances on one store one publishes, the one that holds the lease. One that was thought dead and was not may
//! publish a batch beside its successor: every event comes first in its order all the same, and the repetitions have the ids
//! by which inboxes know them.

use super::event::NewEvent;
use super::new_id;
use crate::clock::unix_us;
use crate::error::WorkerError;
use crate::failpoint::Place;
use crate::gathering::Gathering;
use crate::kafka::OrderedProducer;
use crate::service::Context;
use crate::store::Store;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use rdkafka::error::KafkaError;
use sqlx::Row;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::Notify;
use tracing::{info, warn};

/// The readiness condition of the relay.
const RELAY: &str = "outbox";

/// How long to wait for an answer about a topic, and between two questions.
const TOPIC_TIMEOUT: Duration = Duration::from_secs(1);
const TOPIC_RETRY: Duration = Duration::from_millis(200);

/// The most events of a batch.
const BATCH_EVENTS: usize = 1000;

/// How long to wait, when there was nothing, before looking for what another instance may have written.
const IDLE: Duration = Duration::from_millis(50);

/// How long the lease holds after its holder's last sign: what a crash of the only instance delays its events.
const LEASE: Duration = Duration::from_secs(2);

/// How long a batch that was begun may take after a stop.
const FINISH_TIMEOUT: Duration = Duration::from_secs(3);

const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long published events are kept, for those who compare them with their topics: as long as Kafka keeps them.
const KEEP: Duration = Duration::from_secs(7 * 24 * 3600);
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// The worker.
pub(super) struct Relay {
    store: Store,
    producer: OrderedProducer,
    topics: Vec<String>,
    written: Arc<Notify>,
    context: Context,
    holder: String,
    lease: Option<Lease>,
    pruned_at: Instant,
}

/// What the holder of the lease knows.
#[derive(Debug, Clone, Copy)]
struct Lease {
    sent: i64,
    /// Renewed well before others may take it.
    renew_at: Instant,
}

/// A batch that was not published, or not noted.
#[derive(Debug, Error)]
enum RelayError {
    #[error("the store failed: {0}")]
    Store(#[from] sqlx::Error),
    #[error("failed to publish: {0}")]
    Publish(#[from] KafkaError),
}

impl Relay {
    pub(super) fn new(
        store: Store,
        producer: OrderedProducer,
        topics: Vec<String>,
        written: Arc<Notify>,
        context: &Context,
    ) -> Self {
        context.readiness.wait_for(RELAY, "not connected yet");
        let pruned_at = Instant::now();
        Self { store, producer, topics, written, context: context.clone(), holder: new_id(), lease: None, pruned_at }
    }

    pub(super) fn run(mut self) -> Result<(), WorkerError> {
        if !self.wait_for_topics() {
            return Ok(());
        }
        let Context { stop, runtime, .. } = self.context.clone();
        runtime.block_on(async {
            tokio::select! {
                () = self.relay() => {}
                () = stop.wait_and(FINISH_TIMEOUT) => warn!("stopped before the outbox's batch was published"),
            }
            self.give_up_lease().await;
        });
        Ok(())
    }

    fn wait_for_topics(&self) -> bool {
        let Context { stop, readiness, .. } = &self.context;
        for topic in &self.topics {
            loop {
                if stop.is_requested() {
                    return false;
                }
                let reason = match self.producer.partitions(topic, TOPIC_TIMEOUT) {
                    Ok(Some(_)) => break,
                    Ok(None) => format!("topic {topic} does not exist"),
                    Err(failure) => format!("Kafka does not answer: {failure}"),
                };
                readiness.wait_for(RELAY, reason);
                stop.sleep(TOPIC_RETRY);
            }
        }
        readiness.satisfied(RELAY);
        true
    }

    /// Publishes until a stop is requested.
    async fn relay(&mut self) {
        let mut pauses = pauses();
        let mut gathering = Gathering::default();
        while !self.context.stop.is_requested() {
            gathering.pause().await;
            let began = Instant::now();
            let pause = match self.turn().await {
                Ok(0) => IDLE,
                Ok(events) => {
                    gathering.began(began, events, BATCH_EVENTS);
                    pauses = self::pauses();
                    self.context.readiness.satisfied(RELAY);
                    continue;
                }
                Err(failure) => {
                    let pause = pauses.next().unwrap_or(PAUSE_MAX);
                    warn!(error = %failure, ?pause, "failed to publish from the outbox, trying again");
                    self.context.readiness.wait_for(RELAY, failure.to_string());
                    pause
                }
            };
            tokio::select! {
                () = self.written.notified(), if pause == IDLE => {}
                () = tokio::time::sleep(pause) => {}
                () = self.context.stop.wait() => {}
            }
        }
    }

    /// Publishes a batch. Returns how many events it had.
    async fn turn(&mut self) -> Result<usize, RelayError> {
        let Some(lease) = self.hold_lease().await? else { return Ok(0) };
        self.prune().await?;
        let rows = sqlx::query(
            "SELECT position, event_id, topic, key, payload, headers FROM outbox WHERE position > $1
             ORDER BY position LIMIT $2",
        )
        .bind(lease.sent)
        .bind(i64::try_from(BATCH_EVENTS).unwrap_or(i64::MAX))
        .fetch_all(&mut *self.store.warm().await?)
        .await?;
        let mut events = Vec::with_capacity(rows.len());
        let mut last = lease.sent;
        for row in &rows {
            last = row.try_get(0)?;
            events.push(NewEvent {
                event_id: row.try_get(1)?,
                topic: Arc::from(row.try_get::<String, _>(2)?),
                key: row.try_get(3)?,
                payload: row.try_get(4)?,
                headers: NewEvent::headers_from_text(&row.try_get::<String, _>(5)?),
            });
        }
        if events.is_empty() {
            return Ok(0);
        }
        self.context.failpoint.visit(Place::BeforePublish).await;
        let publications: Vec<_> = events.iter().map(NewEvent::publication).collect();
        self.producer.publish(&publications).await?;
        self.context.failpoint.visit(Place::AfterPublish).await;
        self.note(last).await?;
        Ok(events.len())
    }

    /// Takes the lease, or keeps it. `None` while another instance has it.
    async fn hold_lease(&mut self) -> Result<Option<Lease>, sqlx::Error> {
        if let Some(lease) = self.lease.filter(|lease| Instant::now() < lease.renew_at) {
            return Ok(Some(lease));
        }
        let mut transaction = self.store.begin().await?;
        let (now_us, until_us) = lease_times();
        let taken = sqlx::query(
            "UPDATE outbox_relay SET holder = $1, lease_until_us = $2 WHERE holder = $1 OR lease_until_us < $3
             RETURNING sent_position",
        )
        .bind(self.holder.clone())
        .bind(until_us)
        .bind(now_us)
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let sent = taken.map(|row| row.try_get(0)).transpose()?;
        if sent.is_some() && self.lease.is_none() {
            info!("this instance publishes the outbox");
        }
        self.lease = sent.map(|sent| Lease { sent, renew_at: Instant::now() + LEASE / 2 });
        Ok(self.lease)
    }

    /// Everything up to this position is published.
    async fn note(&mut self, position: i64) -> Result<(), sqlx::Error> {
        let mut transaction = self.store.begin().await?;
        let noted = sqlx::query("UPDATE outbox_relay SET sent_position = $1, lease_until_us = $2 WHERE holder = $3")
            .bind(position)
            .bind(lease_times().1)
            .bind(self.holder.clone())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        // Another instance has it now, and knows better how far the publishing is.
        let kept = noted.rows_affected() > 0;
        self.lease = kept.then(|| Lease { sent: position, renew_at: Instant::now() + LEASE / 2 });
        Ok(())
    }

    async fn give_up_lease(&self) {
        let given_up = async {
            let mut transaction = self.store.begin().await?;
            sqlx::query("UPDATE outbox_relay SET lease_until_us = 0 WHERE holder = $1")
                .bind(self.holder.clone())
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await
        };
        if let Err(failure) = given_up.await {
            warn!(error = %failure, "the outbox's lease was not given up; it ends by itself");
        }
    }

    /// Forgets, now and then, what was published long ago.
    async fn prune(&mut self) -> Result<(), sqlx::Error> {
        if self.pruned_at.elapsed() < PRUNE_EVERY {
            return Ok(());
        }
        self.pruned_at = Instant::now();
        let keep_us = i64::try_from(KEEP.as_micros()).unwrap_or(i64::MAX);
        let mut transaction = self.store.begin().await?;
        sqlx::query("DELETE FROM outbox WHERE at_us < $1 AND position <= (SELECT sent_position FROM outbox_relay)")
            .bind(now_us().saturating_sub(keep_us))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }
}

/// Now, and until when a lease taken now holds, in microseconds since the Unix epoch.
fn lease_times() -> (i64, i64) {
    let now_us = now_us();
    (now_us, now_us.saturating_add(i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX)))
}

fn now_us() -> i64 {
    i64::try_from(unix_us()).unwrap_or(i64::MAX)
}

/// The pauses between attempts at one batch.
fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(PAUSE_MAX)
        .with_jitter()
        .without_max_times()
        .build()
}
