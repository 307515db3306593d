//! What the inventory does about an event. In the storefront a paid order is put aside and shipped; in the fanout a new one is
//! put aside, a paid one shipped, and one that nobody pays is given back.
//!
//! The reservation is made before the warehouse is asked, in a transaction of its own, so that nobody ships what another
//! order has; a crash in between finds it again.

use super::stock::{End, Quantities, Reserved, Stock, Wanted, quantities};
use crate::failpoint::{Failpoint, Place};
use crate::kafka::Event;
use crate::malformed::Malformed;
use crate::outbox::{NewEvent, new_id};
use crate::outside::{CallError, Outside};
use crate::service::Context;
use crate::shop::facts::{Fact, News, OrderFacts};
use crate::shop::wire::{Flow, Wire};
use crate::store::StoreTransaction;
use crate::trace::TraceContext;
use crate::work::{Done, Step};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;
use tracing::{debug, info, warn};

/// The inventory's work.
pub(super) struct Shipping {
    wire: Wire,
    stock: Stock,
    warehouse: Outside,
    /// Whether an order is known again.
    inbox: bool,
    failpoint: Failpoint,
}

/// What is to be done with an order's goods.
#[derive(Debug)]
pub(super) struct Task {
    order: OrderFacts,
    asked: Asked,
}

/// What an event asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Reserve,
    ReserveAndShip,
    Ship,
    Release,
}

/// What the stock says of a task.
#[derive(Debug)]
pub(super) enum Plan {
    /// It is put aside, now or before.
    Reserved(Wanted),
    /// There is not enough of something.
    OutOfStock,
    /// Nothing is put aside that could be shipped or released.
    Nothing,
}

/// What became of a task.
#[derive(Debug)]
pub(super) enum Outcome {
    Reserved,
    OutOfStock,
    Shipped { wanted: Wanted, shipment_id: String },
    Released { wanted: Wanted },
    Nothing,
}

/// What the warehouse is asked.
#[derive(Debug, Serialize)]
struct Request<'a> {
    order_id: &'a str,
    user_id: &'a str,
    /// By product.
    quantities: &'a Quantities,
}

/// What it says.
#[derive(Debug, Deserialize)]
struct Said {
    shipment_id: String,
}

impl Shipping {
    pub(super) fn new(wire: Wire, stock: Stock, warehouse: Outside, context: &Context) -> Self {
        let (inbox, failpoint) = (context.modes.inbox, context.failpoint.clone());
        Self { wire, stock, warehouse, inbox, failpoint }
    }

    /// A service that remembers nothing takes an order that comes again for another one.
    fn wanted(&self, order: &OrderFacts) -> Wanted {
        let order_id = order.order_id.clone();
        let reservation_id = if self.inbox { order_id.clone() } else { format!("{order_id}/{}", new_id()) };
        Wanted { reservation_id, order_id, quantities: quantities(&order.items) }
    }

    async fn ship(&self, order: &OrderFacts, wanted: &Wanted, trace: TraceContext) -> Result<Outcome, CallError> {
        let request = Request { order_id: &order.order_id, user_id: &order.user_id, quantities: &wanted.quantities };
        let said: Option<Said> = self.warehouse.post("/shipments", &order.order_id, trace, &request).await?;
        let shipment_id = said.map(|said| said.shipment_id).unwrap_or_default();
        Ok(Outcome::Shipped { wanted: wanted.clone(), shipment_id })
    }

    /// The event that tells of what became of a task. `ended` are the reservations that came to their end just now.
    fn tell(&self, done: &Done<'_, Self>, ended: &mut HashSet<String>) -> Option<NewEvent> {
        let fact = match done.outcome {
            Outcome::Reserved => Fact::Reserved,
            Outcome::OutOfStock => Fact::OutOfStock,
            Outcome::Shipped { wanted, shipment_id } if ended.remove(&wanted.reservation_id) => {
                Fact::Shipped { shipment_id: shipment_id.clone() }
            }
            Outcome::Released { wanted } if ended.remove(&wanted.reservation_id) => Fact::Released,
            Outcome::Shipped { wanted, .. } | Outcome::Released { wanted } => {
                warn!(reservation_id = wanted.reservation_id, "was shipped or released before: nobody is told again");
                return None;
            }
            Outcome::Nothing => return None,
        };
        let news = News::new(done.task.order.clone(), fact);
        let (trace_id, order_id, fact) = (done.trace.trace_id(), &news.order.order_id, &news.fact);
        if done.trace.sampled {
            info!(%trace_id, order_id, ?fact, "inventory updated");
        } else {
            debug!(%trace_id, order_id, ?fact, "inventory updated");
        }
        Some(self.wire.tell(&news, done.trace))
    }
}

impl Step for Shipping {
    type Task = Task;
    type Plan = Plan;
    type Outcome = Outcome;

    fn read(&self, topic: &str, event: &Event) -> Result<Option<(String, Task)>, Malformed> {
        let News { event_id, order, fact, .. } = self.wire.hear(topic, event)?;
        let asked = match (self.wire.flow(), fact) {
            (Flow::StepByStep, Fact::Paid { .. }) => Asked::ReserveAndShip,
            (Flow::SideBySide, Fact::Created) => Asked::Reserve,
            (Flow::SideBySide, Fact::Paid { .. }) => Asked::Ship,
            (Flow::SideBySide, Fact::NotPaid { .. }) => Asked::Release,
            _ => return Ok(None),
        };
        Ok(Some((event_id, Task { order, asked })))
    }

    async fn plan(&self, tasks: &[Arc<Task>]) -> Result<Vec<Plan>, sqlx::Error> {
        let reserves = |task: &&Arc<Task>| matches!(task.asked, Asked::Reserve | Asked::ReserveAndShip);
        let wanted: Vec<Wanted> = tasks.iter().filter(reserves).map(|task| self.wanted(&task.order)).collect();
        let reserved = self.stock.reserve(&wanted).await?;
        self.failpoint.visit(Place::AfterReserve).await;
        // What this very batch has put aside is there by now.
        let ends: Vec<&str> =
            tasks.iter().filter(|task| !reserves(task)).map(|task| task.order.order_id.as_str()).collect();
        let held = self.stock.held(&ends).await?;
        let mut decided = wanted.into_iter().zip(reserved);
        let plan_of = |task: &Arc<Task>| match task.asked {
            Asked::Reserve | Asked::ReserveAndShip => match decided.next() {
                Some((wanted, Reserved::Yes)) => Plan::Reserved(wanted),
                _ => Plan::OutOfStock,
            },
            Asked::Ship | Asked::Release => {
                held.get(&task.order.order_id).map_or(Plan::Nothing, |wanted| Plan::Reserved(wanted.clone()))
            }
        };
        Ok(tasks.iter().map(plan_of).collect())
    }

    async fn act(&self, task: &Task, plan: &Plan, trace: TraceContext) -> Result<Outcome, CallError> {
        match (task.asked, plan) {
            (_, Plan::OutOfStock) => Ok(Outcome::OutOfStock),
            (_, Plan::Nothing) => Ok(Outcome::Nothing),
            (Asked::Reserve, Plan::Reserved(_)) => Ok(Outcome::Reserved),
            (Asked::Release, Plan::Reserved(wanted)) => Ok(Outcome::Released { wanted: wanted.clone() }),
            (Asked::Ship | Asked::ReserveAndShip, Plan::Reserved(wanted)) => {
                self.ship(&task.order, wanted, trace).await
            }
        }
    }

    async fn record(
        &self,
        transaction: &mut StoreTransaction,
        done: &[Done<'_, Self>],
        events: &mut Vec<NewEvent>,
    ) -> Result<(), sqlx::Error> {
        let ends = done.iter().filter_map(|done| match done.outcome {
            Outcome::Shipped { wanted, .. } => Some((wanted.clone(), End::Shipped)),
            Outcome::Released { wanted } => Some((wanted.clone(), End::Released)),
            Outcome::Reserved | Outcome::OutOfStock | Outcome::Nothing => None,
        });
        let mut ended: HashSet<String> =
            Stock::end(transaction, &ends.collect::<Vec<_>>()).await?.into_iter().collect();
        events.extend(done.iter().filter_map(|done| self.tell(done, &mut ended)));
        Ok(())
    }
}
