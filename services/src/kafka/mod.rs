//! Kafka as all services use it: settings from the environment, a consumer loop that commits after the work, and a
//! producer that waits for every replica.
//!
//! The delivery guarantee is at least once, and it lies in one place: `consumer` hands a batch to the service's
//! [`BatchHandler`] and passes on to the commit only those offsets whose events the handler has finished, unless
//! [`CommitTime`] says otherwise.

mod batch;
mod client_log;
mod commits;
mod consumer;
mod group;
mod ordered;
mod producer;
mod settings;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use batch::{BatchError, Event, Offsets, finished_offsets};
pub(crate) use consumer::{BatchHandler, CommitTime, Conditions, ConsumerSettings, spawn_consumer, spawn_consumer_as};
pub(crate) use group::PositionSource;
pub(crate) use ordered::{ORDERED, OrderedProducer, Publication};
pub(crate) use producer::{EventProducer, Outgoing, acknowledged, is_queue_full, is_too_large};
pub(crate) use settings::KafkaSettings;
