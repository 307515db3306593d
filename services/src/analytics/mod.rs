//! The analytics service: how many orders of `order-processed` there are, and what they are worth.
//!
//! Every event is folded exactly once. The store holds the totals together with the offset at which each partition's
//! fold goes on, changes both in one transaction, and decides where to resume; the group's offsets only show the lag.

mod totals;

use crate::config::{ConfigError, Environment};
use crate::domain::OrderProcessed;
use crate::error::RunError;
use crate::http::ApiError;
use crate::kafka::{BatchError, BatchHandler, ConsumerSettings, Event, spawn_consumer};
use crate::metrics::Metrics;
use crate::service::{Context, Running};
use crate::store::{Durability, StoreSettings};
use axum::Json;
use axum::extract::State;
use totals::{Fold, StoredPositions, Summary, Totals};
use tracing::{debug, info};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

#[derive(Debug, Clone)]
struct Settings {
    consumer: ConsumerSettings,
    store: StoreSettings,
}

impl Settings {
    fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let topics = vec![environment.text("ORDER_PROCESSED_TOPIC", "order-processed")];
        let consumer = ConsumerSettings::read(environment, topics, "analytics", 5000)?;
        Ok(Self { consumer, store: StoreSettings::read("analytics", environment)? })
    }
}

/// Starts the service.
pub(crate) async fn start(environment: &Environment, context: &Context) -> Result<Running, RunError> {
    let settings = Settings::read(environment)?;
    let migrations = sqlx::migrate!("migrations/analytics");
    let totals = Totals::new(settings.store.open(Durability::Consistent, &migrations).await?);
    let positions = StoredPositions { totals: totals.clone(), runtime: context.runtime.clone() };
    let handler = Folding { totals: totals.clone(), metrics: context.metrics.clone() };
    let worker = spawn_consumer(&settings.consumer, handler, Some(Box::new(positions)), context)?;
    Ok(Running::with(OpenApiRouter::new().routes(routes!(summary)).with_state(totals), worker))
}

/// How many orders there are, and what they are worth.
#[utoipa::path(get, path = "/analytics", responses((status = OK, body = Summary)))]
async fn summary(State(totals): State<Totals>) -> Result<Json<Summary>, ApiError> {
    Ok(Json(totals.read().await?))
}

struct Folding {
    totals: Totals,
    metrics: Metrics,
}

impl BatchHandler for Folding {
    async fn handle(&mut self, batch: &[Event]) -> Result<(), BatchError> {
        let mut folds = Vec::with_capacity(batch.len());
        for event in batch {
            let revenue = match OrderProcessed::read(event) {
                Ok(order) => {
                    let trace_id = event.trace.map(|trace| tracing::field::display(trace.trace_id()));
                    let order_id = &*order.order_id;
                    if event.is_sampled() {
                        info!(trace_id, order_id, "order counted");
                    } else {
                        debug!(trace_id, order_id, "order counted");
                    }
                    Some(order.total_cost)
                }
                // It counts for nothing, but the fold goes on behind it.
                Err(malformed) => {
                    malformed.report(event, &self.metrics);
                    None
                }
            };
            folds.push(Fold { partition: event.partition, offset: event.offset, revenue });
        }
        self.totals.fold(&batch[0].topic, &folds).await.map_err(BatchError::whole)
    }
}
