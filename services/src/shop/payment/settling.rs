//! What the payment service does about an event: a created order is captured, one that is out of stock is refunded, and not
//! captured any more if that comes later: its event may have been a dead letter that somebody plays again.

use super::payments::{self, Payment};
use super::provider::{Captured, Provider};
use crate::kafka::Event;
use crate::malformed::Malformed;
use crate::modes::RetryOrder;
use crate::outbox::NewEvent;
use crate::outside::CallError;
use crate::shop::facts::{Fact, FailureReason, News, OrderFacts};
use crate::shop::wire::Wire;
use crate::store::{Store, StoreTransaction};
use crate::trace::TraceContext;
use crate::work::{Done, Step};
use std::collections::HashSet;
use std::sync::Arc;
use tracing::{debug, info};

/// The payment service's work.
pub(super) struct Settling {
    wire: Wire,
    provider: Provider,
    store: Store,
    /// Whether orders that were given up are remembered. With `RETRY=plain` nobody minds the order of an order's events.
    remembers: bool,
}

/// What is to be done with an order's money.
#[derive(Debug)]
pub(super) enum Task {
    Capture(OrderFacts),
    Refund(OrderFacts),
}

/// What the store says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    Ask,
    /// The order was given up before it was paid.
    TooLate,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Settled {
    Capture(Captured),
    /// Nobody was asked to capture anything: the order was given up.
    TooLate,
    /// Without an id there was nothing to give back.
    Refund {
        refund_id: Option<String>,
    },
}

impl Task {
    fn order(&self) -> &OrderFacts {
        match self {
            Self::Capture(order) | Self::Refund(order) => order,
        }
    }
}

impl Settling {
    pub(super) fn new(wire: Wire, provider: Provider, store: &Store, retry: RetryOrder) -> Self {
        Self { wire, provider, store: store.clone(), remembers: retry == RetryOrder::Keyed }
    }

    /// The row and the event that tell of it, if there is anything to tell. `refunded` are orders whose end was told with
    /// their refund.
    fn tell(&self, done: &Done<'_, Self>, refunded: &HashSet<String>) -> Option<(Payment, NewEvent)> {
        let (outcome, provider_id, fact) = match done.outcome {
            Settled::Capture(Captured::Yes { capture_id }) => {
                ("captured", capture_id.clone(), Fact::Paid { capture_id: capture_id.clone() })
            }
            Settled::Capture(Captured::No { reason }) => {
                let fact = Fact::NotPaid { reason: FailureReason::Declined, message: reason.clone() };
                ("declined", String::new(), fact)
            }
            Settled::Capture(Captured::Forgotten) => {
                let fact = Fact::NotPaid { reason: FailureReason::TimedOut, message: "no answer in time".to_owned() };
                ("timed_out", String::new(), fact)
            }
            Settled::TooLate if refunded.contains(&done.task.order().order_id) => return None,
            Settled::TooLate => {
                let message = "the order was given up before it was paid".to_owned();
                ("declined", String::new(), Fact::NotPaid { reason: FailureReason::Declined, message })
            }
            Settled::Refund { refund_id } => ("refunded", refund_id.clone()?, Fact::Refunded),
        };
        let news = News::new(done.task.order().clone(), fact);
        let (trace_id, order_id) = (done.trace.trace_id(), &news.order.order_id);
        if done.trace.sampled {
            info!(%trace_id, order_id, outcome, "payment settled");
        } else {
            debug!(%trace_id, order_id, outcome, "payment settled");
        }
        let payment = Payment {
            position: 0,
            order_id: order_id.clone(),
            user_id: news.order.user_id.clone(),
            amount: news.order.total,
            outcome: outcome.to_owned(),
            provider_id,
            event_id: news.event_id.clone(),
            at_us: i64::try_from(news.at_us).unwrap_or(i64::MAX),
        };
        Some((payment, self.wire.tell(&news, done.trace)))
    }
}

impl Step for Settling {
    type Task = Task;
    type Plan = Plan;
    type Outcome = Settled;

    fn read(&self, topic: &str, event: &Event) -> Result<Option<(String, Task)>, Malformed> {
        let News { event_id, order, fact, .. } = self.wire.hear(topic, event)?;
        Ok(match fact {
            Fact::Created => Some((event_id, Task::Capture(order))),
            Fact::OutOfStock => Some((event_id, Task::Refund(order))),
            _ => None,
        })
    }

    async fn plan(&self, tasks: &[Arc<Task>]) -> Result<Vec<Plan>, sqlx::Error> {
        if !self.remembers || tasks.is_empty() {
            return Ok(vec![Plan::Ask; tasks.len()]);
        }
        let order_ids: Vec<&str> = tasks.iter().map(|task| task.order().order_id.as_str()).collect();
        let mut given_up = payments::given_up(&self.store, &order_ids).await?;
        let plan = |task: &Arc<Task>| match &**task {
            Task::Capture(order) if given_up.contains(&order.order_id) => Plan::TooLate,
            Task::Capture(_) => Plan::Ask,
            Task::Refund(order) => {
                // Those behind it in this very batch.
                given_up.insert(order.order_id.clone());
                Plan::Ask
            }
        };
        Ok(tasks.iter().map(plan).collect())
    }

    async fn act(&self, task: &Task, plan: &Plan, trace: TraceContext) -> Result<Settled, CallError> {
        match task {
            Task::Capture(_) if *plan == Plan::TooLate => Ok(Settled::TooLate),
            Task::Capture(order) => Ok(Settled::Capture(self.provider.capture(order, trace).await?)),
            Task::Refund(order) => Ok(Settled::Refund { refund_id: self.provider.refund(order, trace).await? }),
        }
    }

    async fn record(
        &self,
        transaction: &mut StoreTransaction,
        done: &[Done<'_, Self>],
        events: &mut Vec<NewEvent>,
    ) -> Result<(), sqlx::Error> {
        let id = |done: &Done<'_, Self>| done.task.order().order_id.clone();
        let late: Vec<String> = done.iter().filter(|done| matches!(done.outcome, Settled::TooLate)).map(id).collect();
        let mut refunded = payments::refunded(transaction, &late).await?;
        let back = |done: &&Done<'_, Self>| matches!(done.outcome, Settled::Refund { refund_id: Some(_) });
        refunded.extend(done.iter().filter(back).map(id));
        let told = done.iter().filter_map(|done| self.tell(done, &refunded));
        let (payments, told): (Vec<Payment>, Vec<NewEvent>) = told.unzip();
        events.extend(told);
        payments::insert(transaction, &payments).await?;
        if !self.remembers {
            return Ok(());
        }
        let ended: Vec<String> =
            done.iter().filter(|done| matches!(done.outcome, Settled::Refund { .. })).map(id).collect();
        payments::give_up(transaction, &ended).await
    }
}
