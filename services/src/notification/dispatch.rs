//! Turns a batch of orders into e-mails: many users at once, each user's e-mails one after the other.
//!
//! An e-mail that cannot be sent holds back the later ones of the same user, and no others. What was sent before the
//! first that was not is committed; the rest of its partition is read again, and the provider drops the repetitions.

use super::mailbox::{Email, Mailbox, MailboxError};
use crate::domain::OrderProcessed;
use crate::kafka::{BatchError, BatchHandler, Event, finished_offsets};
use crate::malformed::Malformed;
use crate::metrics::Metrics;
use crate::trace::{TraceContext, TraceIds};
use prometheus_client::metrics::counter::Counter;
use std::collections::HashMap;
use tokio::task::JoinSet;
use tracing::{debug, error, info};

/// Sends the e-mails of a batch.
pub(crate) struct Dispatch {
    mailbox: Mailbox,
    concurrency: usize,
    traces: TraceIds,
    metrics: Metrics,
    counters: Counters,
}

#[derive(Clone)]
struct Counters {
    sent: Counter,
    refused: Counter,
}

/// An e-mail to be sent, with the place of its event in the batch.
struct Task {
    index: usize,
    email: Email,
    trace: TraceContext,
}

/// What became of one user's e-mails: those that are done, and what stopped the others.
struct Outcome {
    done: Vec<usize>,
    failure: Option<MailboxError>,
}

impl Dispatch {
    pub(crate) fn new(mailbox: Mailbox, concurrency: usize, metrics: Metrics) -> Self {
        let counters = Counters {
            sent: metrics.counter("emails_sent", "E-mails that the mailbox took"),
            refused: metrics.counter("emails_refused", "E-mails that the mailbox refused for good"),
        };
        Self { mailbox, concurrency, traces: TraceIds::new(), metrics, counters }
    }

    /// The e-mails of each user, in the order of the batch. Malformed events are done at once.
    fn tasks(&mut self, batch: &[Event], finished: &mut [bool]) -> Vec<Vec<Task>> {
        let mut queues: Vec<Vec<Task>> = Vec::new();
        let mut queue_of_key = HashMap::new();
        for (index, event) in batch.iter().enumerate() {
            match email(event) {
                Ok(email) => {
                    let task = Task { index, email, trace: self.traces.next_hop(event.trace) };
                    // Without a key there is only the partition to keep in order.
                    let queue = *queue_of_key.entry((event.partition, event.key.as_deref())).or_insert_with(|| {
                        queues.push(Vec::new());
                        queues.len() - 1
                    });
                    queues[queue].push(task);
                }
                Err(malformed) => {
                    malformed.report(event, &self.metrics);
                    finished[index] = true;
                }
            }
        }
        queues
    }
}

impl BatchHandler for Dispatch {
    async fn handle(&mut self, batch: &[Event]) -> Result<(), BatchError> {
        let mut finished = vec![false; batch.len()];
        let mut first_failure = None;
        let mut queues = self.tasks(batch, &mut finished).into_iter();
        let mut sending = JoinSet::new();
        loop {
            // Once something failed the batch is read again anyway: no more users are begun.
            while sending.len() < self.concurrency && first_failure.is_none() {
                let Some(queue) = queues.next() else { break };
                sending.spawn(send_in_order(self.mailbox.clone(), queue, self.counters.clone()));
            }
            match sending.join_next().await {
                None => break,
                Some(Ok(outcome)) => {
                    outcome.done.iter().for_each(|index| finished[*index] = true);
                    first_failure = first_failure.or(outcome.failure.map(Into::into));
                }
                Some(Err(panicked)) => first_failure = first_failure.or(Some(panicked.into())),
            }
        }
        match first_failure {
            None => Ok(()),
            Some(source) => Err(BatchError::part(finished_offsets(batch, &finished), source)),
        }
    }
}

async fn send_in_order(mailbox: Mailbox, queue: Vec<Task>, counters: Counters) -> Outcome {
    let mut done = Vec::with_capacity(queue.len());
    for Task { index, email, trace } in queue {
        let (trace_id, order_id) = (trace.trace_id(), &email.order_id);
        match mailbox.send(&email, &trace).await {
            Ok(()) => {
                counters.sent.inc();
                if trace.sampled {
                    info!(%trace_id, order_id, "e-mail sent");
                } else {
                    debug!(%trace_id, order_id, "e-mail sent");
                }
            }
            Err(failure) if failure.is_transient() => {
                return Outcome { done, failure: Some(failure) };
            }
            Err(failure) => {
                counters.refused.inc();
                error!(%trace_id, order_id, error = %failure, "skipped an e-mail");
            }
        }
        done.push(index);
    }
    Outcome { done, failure: None }
}

/// The e-mail that tells of this order.
fn email(event: &Event) -> Result<Email, Malformed> {
    let order = OrderProcessed::read(event)?;
    if !order.user_email.contains('@') {
        return Err(Malformed::value("user_email", &order.user_email, "an e-mail address"));
    }
    let subject = format!("Your order {} is confirmed", order.order_id);
    Ok(Email {
        to: order.user_email.into_owned(),
        subject,
        order_id: order.order_id.into_owned(),
        total_cost: order.total_cost,
        topic: event.topic.to_string(),
        partition: event.partition,
        offset: event.offset,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::testing::event;

    fn processed(partition: i32, offset: i64, key: &str, address: &str) -> Event {
        let payload = format!(
            r#"{{"order_id":"o-{offset}","user_id":"{key}","user_email":"{address}","total_cost":250,"created_at_us":1}}"#
        );
        event("order-processed", partition, offset, key, &payload)
    }

    #[test]
    fn an_email_names_its_order_and_its_event() {
        let email = email(&processed(3, 41, "user-1", "ada@example.com")).unwrap();
        let expected = r#"{"to":"ada@example.com","subject":"Your order o-41 is confirmed","order_id":"o-41","total_cost":250,"topic":"order-processed","partition":3,"offset":41}"#;
        assert_eq!(serde_json::to_string(&email).unwrap(), expected);
    }

    #[test]
    fn each_user_has_a_queue_in_order_and_malformed_events_are_done() {
        let mut dispatch = Dispatch::new(Mailbox::log(), 4, Metrics::new());
        let batch = [
            processed(0, 0, "user-1", "a@example.com"),
            processed(0, 1, "user-2", "b@example.com"),
            processed(0, 2, "user-1", "nobody"),
            processed(0, 3, "user-1", "a@example.com"),
        ];
        let mut finished = [false; 4];
        let queues = dispatch.tasks(&batch, &mut finished);
        let indices: Vec<Vec<usize>> =
            queues.iter().map(|queue| queue.iter().map(|task| task.index).collect()).collect();
        assert_eq!(indices, [vec![0, 3], vec![1]]);
        assert_eq!(finished, [false, false, true, false]);
        assert!(dispatch.metrics.encode().unwrap().contains("reason=\"value\"} 1"));
    }

    #[tokio::test]
    async fn a_batch_that_is_logged_is_done() {
        let mut dispatch = Dispatch::new(Mailbox::log(), 1, Metrics::new());
        let batch = [processed(0, 0, "user-1", "a@example.com"), processed(0, 1, "user-2", "b@example.com")];
        assert!(dispatch.handle(&batch).await.is_ok());
        assert_eq!(dispatch.counters.sent.get(), 2);
    }
}
