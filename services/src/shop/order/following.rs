//! Following orders: what the other services tell is recorded, a step at a time.

use super::lifecycle::{Status, steps};
use super::orders::{Orders, Step as OrderStep};
use crate::clock::unix_us;
use crate::kafka::Event;
use crate::malformed::Malformed;
use crate::metrics::Metrics;
use crate::outbox::NewEvent;
use crate::outside::CallError;
use crate::shop::facts::{Fact, News};
use crate::shop::wire::Wire;
use crate::store::StoreTransaction;
use crate::trace::TraceContext;
use crate::work::{Done, Step};
use prometheus_client::metrics::counter::Counter;
use std::collections::HashMap;
use std::sync::Arc;
use tracing::{debug, error, info};

/// The order service's work.
pub(crate) struct Following {
    wire: Wire,
    contradictions: Counter,
}

impl Following {
    pub(crate) fn new(wire: &Wire, metrics: &Metrics) -> Self {
        let help = "Events about unknown orders, or about steps that an order cannot take";
        Self { wire: wire.clone(), contradictions: metrics.counter("orders_contradicted", help) }
    }

    /// The steps that an order takes because of an event, and where it is then.
    fn advance(
        &self,
        done: &Done<'_, Self>,
        current: Option<&(Status, i64)>,
        at_us: i64,
        taken: &mut Vec<OrderStep>,
    ) -> Option<(Status, i64)> {
        let News { order, fact, .. } = done.task;
        let order_id = &order.order_id;
        let trace_id = done.trace.trace_id();
        let Some((status, mut version)) = current.copied() else {
            self.contradictions.inc();
            error!(%trace_id, order_id, event_id = done.event_id, ?fact, "an event about an unknown order");
            return None;
        };
        let Some(steps) = steps(self.wire.flow(), status, fact) else {
            self.contradictions.inc();
            error!(%trace_id, order_id, event_id = done.event_id, ?status, ?fact, "an event that cannot be");
            return None;
        };
        for step in &steps {
            version += 1;
            taken.push(OrderStep {
                order_id: order_id.clone(),
                version,
                status: *step,
                event: self.wire.name(done.task),
                event_id: done.event_id.to_owned(),
                at_us,
            });
        }
        let last = steps.last().copied()?;
        if done.trace.sampled {
            info!(%trace_id, order_id, status = last.word(), "order advanced");
        } else {
            debug!(%trace_id, order_id, status = last.word(), "order advanced");
        }
        Some((last, version))
    }
}

impl Step for Following {
    type Task = News;
    type Plan = ();
    type Outcome = ();

    fn read(&self, topic: &str, event: &Event) -> Result<Option<(String, News)>, Malformed> {
        let news = self.wire.hear(topic, event)?;
        // Its own.
        Ok((news.fact != Fact::Created).then(|| (news.event_id.clone(), news)))
    }

    async fn plan(&self, tasks: &[Arc<News>]) -> Result<Vec<()>, sqlx::Error> {
        Ok(vec![(); tasks.len()])
    }

    async fn act(&self, _: &News, (): &(), _: TraceContext) -> Result<(), CallError> {
        Ok(())
    }

    async fn record(
        &self,
        transaction: &mut StoreTransaction,
        done: &[Done<'_, Self>],
        _: &mut Vec<NewEvent>,
    ) -> Result<(), sqlx::Error> {
        let mut order_ids: Vec<&str> = done.iter().map(|done| done.task.order.order_id.as_str()).collect();
        order_ids.sort_unstable();
        order_ids.dedup();
        let mut statuses: HashMap<String, (Status, i64)> = Orders::statuses(transaction, &order_ids).await?;
        let at_us = i64::try_from(unix_us()).unwrap_or(i64::MAX);
        let mut taken = Vec::with_capacity(done.len());
        for event in done {
            let order_id = &event.task.order.order_id;
            if let Some(next) = self.advance(event, statuses.get(order_id), at_us, &mut taken) {
                statuses.insert(order_id.clone(), next);
            }
        }
        Orders::advance(transaction, &taken).await
    }
}
