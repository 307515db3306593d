//! The payment service: captures what an order costs when it is created, and gives it back when it cannot be shipped.
//!
//! Map: `provider` (the payment provider's API), `settling` (what is done about an event), `payments` (the store and its
//! paths).

mod payments;
mod provider;
mod settling;

use super::wire::{Flow, Role, Wire};
use crate::config::Environment;
use crate::error::RunError;
use crate::service::{Context, Running};
use crate::store::{Durability, StoreSettings, with_shared};
use crate::work::{self, Parts};
use payments::Payments;
use provider::Provider;
use settling::Settling;

/// Starts the service.
pub(crate) async fn start(flow: Flow, environment: &Environment, context: &Context) -> Result<Running, RunError> {
    let wire = Wire::read(flow, environment);
    let provider = Provider::open(environment, context)?;
    let migrations = with_shared(&sqlx::migrate!("migrations/payment"));
    let store = StoreSettings::read("payment", environment)?.open(Durability::EveryTransaction, &migrations).await?;
    let parts = Parts {
        name: "payment",
        store: &store,
        consumes: wire.consumes(Role::Payment),
        produces: wire.produces(Role::Payment),
    };
    let started = work::start(Settling::new(wire, provider, &store, context.modes.retry), parts, environment, context)?;
    let routes = payments::routes(Payments::new(&store)).merge(started.routes);
    Ok(Running { routes, workers: started.workers })
}
