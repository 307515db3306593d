//! What the notification service does about an event: it sends an e-mail, once for each event, and says so.

use super::notifications::{self, Notification};
use crate::clock::unix_us;
use crate::kafka::Event;
use crate::malformed::Malformed;
use crate::outbox::{NewEvent, new_id};
use crate::outside::{CallError, Outside};
use crate::shop::facts::{Fact, NotificationSent};
use crate::shop::wire::Wire;
use crate::store::StoreTransaction;
use crate::trace::TraceContext;
use crate::work::{Done, Step};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tracing::{debug, info};

/// The notification service's work.
pub(super) struct Telling {
    wire: Wire,
    mailbox: Outside,
}

/// An e-mail, as the mailbox takes it. Nothing in it depends on where its event lay: the same event is the same e-mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Email {
    to: String,
    subject: String,
    order_id: String,
    /// What the order costs, in minor units.
    total_cost: i64,
    /// The event that it tells of: its topic or status, and its id.
    about: String,
    event_id: String,
}

/// The mailbox answers something; nobody needs to know what.
#[derive(Debug, Deserialize)]
pub(super) struct Taken {}

impl Telling {
    pub(super) fn new(wire: Wire, mailbox: Outside) -> Self {
        Self { wire, mailbox }
    }
}

impl Step for Telling {
    type Task = Email;
    type Plan = ();
    type Outcome = ();

    fn read(&self, topic: &str, event: &Event) -> Result<Option<(String, Email)>, Malformed> {
        let news = self.wire.hear(topic, event)?;
        let what = match &news.fact {
            Fact::Created => "is accepted",
            Fact::Paid { .. } => "is paid",
            Fact::NotPaid { .. } => "could not be paid",
            Fact::Refunded => "is cancelled, your money is on its way back",
            Fact::Reserved => "is put aside for you",
            Fact::OutOfStock => "cannot be served: out of stock",
            Fact::Shipped { .. } => "is on its way",
            Fact::Released => "is no longer put aside",
        };
        let about = self.wire.name(&news);
        let order = news.order;
        let email = Email {
            to: order.user_id,
            subject: format!("Your order {} {what}", order.order_id),
            order_id: order.order_id,
            total_cost: order.total,
            about,
            event_id: news.event_id.clone(),
        };
        Ok(Some((news.event_id, email)))
    }

    async fn plan(&self, tasks: &[Arc<Email>]) -> Result<Vec<()>, sqlx::Error> {
        Ok(vec![(); tasks.len()])
    }

    async fn act(&self, email: &Email, (): &(), trace: TraceContext) -> Result<(), CallError> {
        self.mailbox.post::<Taken>("/emails", &email.event_id, trace, email).await.map(drop)
    }

    async fn record(
        &self,
        transaction: &mut StoreTransaction,
        done: &[Done<'_, Self>],
        events: &mut Vec<NewEvent>,
    ) -> Result<(), sqlx::Error> {
        let mut sent = Vec::with_capacity(done.len());
        for Done { task: email, trace, .. } in done {
            let (trace_id, order_id, about) = (trace.trace_id(), &email.order_id, &email.about);
            if trace.sampled {
                info!(%trace_id, order_id, about, "user told");
            } else {
                debug!(%trace_id, order_id, about, "user told");
            }
            let at_us = unix_us();
            let event = NotificationSent {
                event_id: new_id(),
                notification_id: new_id(),
                order_id: order_id.clone(),
                user_id: email.to.clone(),
                about: about.clone(),
                about_event_id: email.event_id.clone(),
                at_us,
            };
            events.extend(self.wire.confirm(&event, *trace));
            sent.push(Notification {
                position: 0,
                notification_id: event.notification_id,
                user_id: event.user_id,
                order_id: event.order_id,
                about: event.about,
                about_event_id: event.about_event_id,
                message: email.subject.clone(),
                at_us: i64::try_from(at_us).unwrap_or(i64::MAX),
            });
        }
        notifications::insert(transaction, &sent).await
    }
}
