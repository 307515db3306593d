//! The tracker: keeps an audit trail of every event on its topic, and answers what became of an order. So do the three
//! domains of the platform, each on a topic and in a group of its own: none knows of the others.
//!
//! Map: `audit_trail` (the store: batched writes, reads by order and by position), `api` (the HTTP paths).

mod api;
mod audit_trail;

use crate::clock::unix_us;
use crate::config::{ConfigError, Environment};
use crate::domain::OrderPlaced;
use crate::error::RunError;
use crate::kafka::{BatchError, BatchHandler, ConsumerSettings, Event, spawn_consumer};
use crate::metrics::Metrics;
use crate::service::{Context, Running};
use crate::store::{Durability, StoreSettings};
use audit_trail::{AuditTrail, NewEntry};
use prometheus_client::metrics::counter::Counter;
use tracing::{info, warn};

#[derive(Debug, Clone)]
struct Settings {
    consumer: ConsumerSettings,
    store: StoreSettings,
}

/// Whose events are tracked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Domain {
    /// Of the store's file.
    name: &'static str,
    /// The variable that names the topic, and the topic.
    topic: (&'static str, &'static str),
    group: &'static str,
}

impl Domain {
    pub(crate) const TRACKER: Self =
        Self { name: "tracker", topic: ("ORDERS_TOPIC", "orders"), group: "order-tracker" };
    pub(crate) const ORDERS: Self =
        Self { name: "orders-service", topic: ("ORDERS_TOPIC", "orders"), group: "orders-service" };
    pub(crate) const PAYMENTS: Self =
        Self { name: "payments-service", topic: ("PAYMENTS_TOPIC", "payments"), group: "payments-service" };
    pub(crate) const SHIPPING: Self =
        Self { name: "shipping-service", topic: ("SHIPPING_TOPIC", "shipping"), group: "shipping-service" };
}

impl Settings {
    fn read(domain: Domain, environment: &Environment) -> Result<Self, ConfigError> {
        let topics = vec![environment.text(domain.topic.0, domain.topic.1)];
        let consumer = ConsumerSettings::read(environment, topics, domain.group, 5000)?;
        Ok(Self { consumer, store: StoreSettings::read(domain.name, environment)? })
    }
}

/// Starts the service.
pub(crate) async fn start(domain: Domain, environment: &Environment, context: &Context) -> Result<Running, RunError> {
    let settings = Settings::read(domain, environment)?;
    let migrations = sqlx::migrate!("migrations/tracker");
    let trail = AuditTrail::new(settings.store.open(Durability::EveryTransaction, &migrations).await?);
    let handler = Tracking {
        trail: trail.clone(),
        metrics: context.metrics.clone(),
        tracked: context.metrics.counter("orders_tracked", "Entries added to the audit trail"),
        repeated: context.metrics.counter("orders_repeated", "Events that were in the audit trail already"),
    };
    let worker = spawn_consumer(&settings.consumer, handler, None, context)?;
    Ok(Running::with(api::routes(trail), worker))
}

struct Tracking {
    trail: AuditTrail,
    metrics: Metrics,
    tracked: Counter,
    repeated: Counter,
}

impl BatchHandler for Tracking {
    async fn handle(&mut self, batch: &[Event]) -> Result<(), BatchError> {
        let at_us = i64::try_from(unix_us()).unwrap_or(i64::MAX);
        let mut entries = Vec::with_capacity(batch.len());
        for event in batch {
            match OrderPlaced::read(event) {
                Ok(order) => {
                    if event.is_sampled() {
                        let trace_id = event.trace.map(|trace| tracing::field::display(trace.trace_id()));
                        info!(trace_id, order_id = &*order.order_id, "order tracked");
                    }
                    entries.push(NewEntry { partition: event.partition, offset: event.offset, order, at_us });
                }
                Err(malformed) => malformed.report(event, &self.metrics),
            }
        }
        let added = self.trail.append(&entries).await.map_err(BatchError::whole)?;
        self.tracked.inc_by(added);
        let repeated = (entries.len() as u64).saturating_sub(added);
        if repeated > 0 {
            self.repeated.inc_by(repeated);
            warn!(repeated, "events were in the audit trail already");
        }
        Ok(())
    }
}
