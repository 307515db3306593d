//! The order service: takes orders over HTTP, tells of them on `order_created`, and follows what becomes of them.
//!
//! It asks nobody before it takes an order: payments and warehouse may be down, Kafka may be away. Map: `api` (the paths; the
//! fanout's in `fanout_api`), `validation` (what is refused; bodies are an `object`), `acceptance` (many requests, one
//! transaction), `orders` (the store), `lifecycle` (which steps are legal), `following` (events of the other services).

mod acceptance;
mod api;
mod fanout_api;
mod following;
mod lifecycle;
mod object;
mod orders;
mod validation;

use super::catalogue::Catalogue;
use super::wire::{Flow, Role, Wire};
use crate::cache::Cache;
use crate::config::Environment;
use crate::error::RunError;
use crate::service::{Context, Running};
use crate::store::{Durability, StoreSettings, with_shared};
use crate::work::{self, Parts};
use acceptance::Acceptance;
use api::Api;
use following::Following;
use orders::Orders;

/// Starts the service.
pub(crate) async fn start(flow: Flow, environment: &Environment, context: &Context) -> Result<Running, RunError> {
    let wire = Wire::read(flow, environment);
    let catalogue = Catalogue::read(environment)?;
    let cache = Cache::open("order", environment, &context.metrics)?;
    let migrations = with_shared(&sqlx::migrate!("migrations/order"));
    let store = StoreSettings::read("order", environment)?.open(Durability::EveryTransaction, &migrations).await?;
    let orders = Orders::new(&store);
    let parts = Parts {
        name: "order",
        store: &store,
        consumes: wire.consumes(Role::Order),
        produces: wire.produces(Role::Order),
    };
    let following = Following::new(&wire, &context.metrics);
    let mut started = work::start(following, parts, environment, context)?;
    let (acceptance, worker) = Acceptance::start(orders.clone(), started.outbox, wire, context)?;
    started.workers.push(worker);
    let api = Api { orders, acceptance, catalogue, cache };
    let routes = match flow {
        Flow::StepByStep => api::routes(api),
        Flow::SideBySide => fanout_api::routes(api),
    };
    Ok(Running { routes: routes.merge(started.routes), workers: started.workers })
}
