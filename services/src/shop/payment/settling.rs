//! What the payment service does about an event: a created order is captured, one that is out of stock is refunded.

use super::payments::{self, Payment};
use super::provider::{Captured, Provider};
use crate::kafka::Event;
use crate::malformed::Malformed;
use crate::outbox::NewEvent;
use crate::outside::CallError;
use crate::shop::facts::{Fact, FailureReason, News, OrderFacts};
use crate::shop::wire::Wire;
use crate::store::StoreTransaction;
use crate::trace::TraceContext;
use crate::work::{Done, Step};
use std::sync::Arc;
use tracing::{debug, info};

/// The payment service's work.
pub(super) struct Settling {
    wire: Wire,
    provider: Provider,
}

/// What is to be done with an order's money.
#[derive(Debug)]
pub(super) enum Task {
    Capture(OrderFacts),
    Refund(OrderFacts),
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Settled {
    Capture(Captured),
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
    pub(super) fn new(wire: Wire, provider: Provider) -> Self {
        Self { wire, provider }
    }

    /// The row and the event that tell of it, if there is anything to tell.
    fn tell(&self, done: &Done<'_, Self>) -> Option<(Payment, NewEvent)> {
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
    type Plan = ();
    type Outcome = Settled;

    fn read(&self, topic: &str, event: &Event) -> Result<Option<(String, Task)>, Malformed> {
        let News { event_id, order, fact, .. } = self.wire.hear(topic, event)?;
        Ok(match fact {
            Fact::Created => Some((event_id, Task::Capture(order))),
            Fact::OutOfStock => Some((event_id, Task::Refund(order))),
            _ => None,
        })
    }

    async fn plan(&self, tasks: &[Arc<Task>]) -> Result<Vec<()>, sqlx::Error> {
        Ok(vec![(); tasks.len()])
    }

    async fn act(&self, task: &Task, (): &(), trace: TraceContext) -> Result<Settled, CallError> {
        match task {
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
        let (payments, told): (Vec<Payment>, Vec<NewEvent>) = done.iter().filter_map(|done| self.tell(done)).unzip();
        events.extend(told);
        payments::insert(transaction, &payments).await
    }
}
