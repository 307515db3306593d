//! The inventory service: puts aside what was paid for, has the warehouse ship it, and says so; or says that there is not
//! enough.
//!
//! Map: `stock` (how much there is, and what moves it), `shipping` (what is done about an event), `api` (the paths).

mod api;
mod shipping;
mod stock;

use super::catalogue::Catalogue;
use super::wire::{Flow, Role, Wire};
use crate::cache::Cache;
use crate::config::Environment;
use crate::error::RunError;
use crate::outside::OutsideSettings;
use crate::service::{Context, Running};
use crate::store::{Durability, StoreSettings, with_shared};
use crate::work::{self, Parts};
use api::Api;
use shipping::Shipping;
use stock::Stock;

/// Starts the service.
pub(crate) async fn start(flow: Flow, environment: &Environment, context: &Context) -> Result<Running, RunError> {
    let wire = Wire::read(flow, environment);
    let catalogue = Catalogue::read(environment)?;
    let cache = Cache::open("inventory", environment, &context.metrics)?;
    let warehouse = OutsideSettings::read("warehouse", "WAREHOUSE", context.modes.idempotency, environment)?;
    let migrations = with_shared(&sqlx::migrate!("migrations/inventory"));
    let settings = StoreSettings::read("inventory", environment)?;
    let store = settings.clone().open(Durability::EveryTransaction, &migrations).await?;
    let stock = Stock::new(&store);
    stock.fill(&catalogue).await.map_err(|source| settings.failure(source))?;
    let parts = Parts {
        name: "inventory",
        store: &store,
        consumes: wire.consumes(Role::Inventory),
        produces: wire.produces(Role::Inventory),
    };
    let shipping = Shipping::new(wire, stock.clone(), warehouse.open(&context.metrics)?, context);
    let started = work::start(shipping, parts, environment, context)?;
    let routes = api::routes(Api { stock, cache }).merge(started.routes);
    Ok(Running { routes, workers: started.workers })
}
