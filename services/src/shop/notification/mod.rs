//! The notification service: every step of an order is told to its user in an e-mail, and on `notification_sent`.
//!
//! Map: `telling` (what is done about an event), `notifications` (the store and its paths).

mod notifications;
mod telling;

use super::wire::{Flow, Role, Wire};
use crate::cache::Cache;
use crate::config::Environment;
use crate::error::RunError;
use crate::outside::OutsideSettings;
use crate::service::{Context, Running};
use crate::store::{Durability, StoreSettings, with_shared};
use crate::work::{self, Parts};
use notifications::{Api, Notifications};
use telling::Telling;

/// Starts the service.
pub(crate) async fn start(flow: Flow, environment: &Environment, context: &Context) -> Result<Running, RunError> {
    let wire = Wire::read(flow, environment);
    let cache = Cache::open("notification", environment, &context.metrics)?;
    let mailbox = OutsideSettings::read("mailbox", "MAILBOX", context.modes.idempotency, environment)?;
    let migrations = with_shared(&sqlx::migrate!("migrations/notification"));
    let store =
        StoreSettings::read("notification", environment)?.open(Durability::EveryTransaction, &migrations).await?;
    let parts = Parts {
        name: "notification",
        store: &store,
        consumes: wire.consumes(Role::Notification),
        produces: wire.produces(Role::Notification),
    };
    let telling = Telling::new(wire, mailbox.open(&context.metrics)?);
    let started = work::start(telling, parts, environment, context)?;
    let api = Api { notifications: Notifications::new(&store), cache };
    Ok(Running { routes: notifications::routes(api).merge(started.routes), workers: started.workers })
}
