//! The order service: makes realistic orders and publishes them to `order-details`, keyed by user.
//!
//! The load is open: every order has an intended instant, stamped into it as `created_at_us`, and a slow broker does
//! not slow down the schedule. Map: `arrivals` (when), `fake_order` (what), `catalogue` (names and products),
//! `publisher` (the thread that sends), `stats` (what became of it).

mod arrivals;
mod catalogue;
mod fake_order;
mod publisher;
mod stats;

use crate::config::{ConfigError, Environment};
use crate::error::RunError;
use crate::kafka::EventProducer;
use crate::service::{Context, Running};
use crate::trace::ambient_seed;
use crate::worker::Worker;
use arrivals::Shape;
use axum::Json;
use axum::extract::State;
use publisher::Publisher;
use stats::{Stats, Summary};
use std::sync::Arc;
use tracing::info;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A rate beyond which the schedule would be finer than a microsecond.
const RATE_MAX: f64 = 1_000_000.0;

/// What the environment says about the orders to make.
#[derive(Debug, Clone, PartialEq)]
struct Settings {
    topic: String,
    per_second: f64,
    /// 0: without end.
    total: u64,
    seed: u64,
    users: u32,
    shape: Shape,
    /// How many orders a second are logged at every hop.
    traced_per_second: u32,
}

impl Settings {
    fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let rate = "a number above 0, up to 1000000";
        Ok(Self {
            topic: environment.text("ORDER_DETAILS_TOPIC", "order-details"),
            per_second: environment
                .parse("ORDERS_PER_SECOND", 10.0, rate, |rate: &f64| *rate > 0.0 && *rate <= RATE_MAX)?,
            total: environment.parse("ORDERS_TOTAL", 0, "a whole number; 0 makes orders without end", |_| true)?,
            seed: environment.parse("ORDERS_SEED", ambient_seed(), "a whole number below 2^64", |_| true)?,
            users: environment.parse("ORDERS_USERS", 100, "a whole number, at least 1", |users| *users > 0)?,
            shape: environment
                .choice("ORDERS_ARRIVALS", &[("constant", Shape::Constant), ("poisson", Shape::Poisson)])?,
            traced_per_second: environment.parse("TRACE_ORDERS_PER_SECOND", 10, "a whole number", |_| true)?,
        })
    }
}

/// Starts the service.
pub(crate) fn start(environment: &Environment, context: &Context) -> Result<Running, RunError> {
    let settings = Settings::read(environment)?;
    let producer = EventProducer::create(&context.kafka, &[("linger.ms", "5")], &context.metrics)?;
    info!(
        seed = settings.seed,
        per_second = settings.per_second,
        total = settings.total,
        users = settings.users,
        "making orders"
    );
    let stats = Arc::new(Stats::new(settings.total));
    let publisher = Publisher::new(settings, producer, Arc::clone(&stats), context.clone());
    let worker = Worker::spawn("publisher", move || publisher.run())?;
    Ok(Running::with(OpenApiRouter::new().routes(routes!(summary)).with_state(stats), worker))
}

/// What became of the orders.
#[utoipa::path(get, path = "/stats", responses((status = OK, body = Summary)))]
async fn summary(State(stats): State<Arc<Stats>>) -> Json<Summary> {
    Json(stats.summary())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_ten_orders_a_second_without_end() {
        let settings = Settings::read(&Environment::default()).unwrap();
        assert_eq!(settings.topic, "order-details");
        assert!((settings.per_second - 10.0).abs() < f64::EPSILON);
        assert_eq!((settings.total, settings.users, settings.shape), (0, 100, Shape::Constant));
    }

    #[test]
    fn wrong_values_name_their_variable() {
        for (variable, value) in [
            ("ORDERS_PER_SECOND", "0"),
            ("ORDERS_PER_SECOND", "NaN"),
            ("ORDERS_PER_SECOND", "inf"),
            ("ORDERS_TOTAL", "-1"),
            ("ORDERS_USERS", "0"),
            ("ORDERS_SEED", "x"),
            ("ORDERS_ARRIVALS", "burst"),
        ] {
            let error = Settings::read(&Environment::from_iter([(variable, value)])).unwrap_err();
            assert_eq!((error.variable.as_str(), error.value.as_str()), (variable, value));
        }
    }
}
