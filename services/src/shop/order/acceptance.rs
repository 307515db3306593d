//! Taking orders: many requests, one transaction. Requests that come while one is committed are the next one's, so that a
//! store that needs milliseconds for a commit takes thousands of orders a second.

use super::lifecycle::Status;
use super::orders::{Order, Orders, Step};
use super::validation::SoundOrder;
use crate::clock::unix_us;
use crate::error::{RunError, WorkerError};
use crate::failpoint::Place;
use crate::gathering::Gathering;
use crate::http::ApiError;
use crate::outbox::{CommitError, NewEvent, Outbox, new_id};
use crate::service::Context;
use crate::shop::facts::{Fact, News, OrderFacts};
use crate::shop::wire::Wire;
use crate::trace::{TraceContext, TraceIds};
use crate::worker::Worker;
use prometheus_client::metrics::counter::Counter;
use std::collections::{HashMap, HashSet};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, info};

/// Requests that may wait; further ones are told to come again.
const WAITING_MAX: usize = 4096;

/// The most orders of one transaction.
const BATCH_ORDERS: usize = 512;

/// Where requests go; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Acceptance {
    requests: mpsc::Sender<Request>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Accepted {
    New(Order),
    /// The client's key came with it before.
    Known(Order),
}

#[derive(Debug)]
struct Request {
    order: SoundOrder,
    idempotency_key: Option<String>,
    trace: Option<TraceContext>,
    answer: oneshot::Sender<Result<Accepted, ApiError>>,
}

/// The worker that commits them.
struct Acceptor {
    requests: mpsc::Receiver<Request>,
    outbox: Outbox,
    orders: Orders,
    wire: Wire,
    context: Context,
    traces: TraceIds,
    accepted: Counter,
}

/// What one transaction is made of.
#[derive(Default)]
struct Batch {
    orders: Vec<(Order, Option<String>)>,
    steps: Vec<Step>,
    events: Vec<NewEvent>,
    /// By the place of its request.
    answers: Vec<Result<Accepted, ApiError>>,
}

impl Request {
    /// Whether its key came before.
    fn is_among(&self, known: &HashMap<String, Order>) -> bool {
        self.idempotency_key.as_ref().is_some_and(|key| known.contains_key(key))
    }
}

impl Acceptance {
    pub(crate) fn start(
        orders: Orders,
        outbox: Outbox,
        wire: Wire,
        context: &Context,
    ) -> Result<(Self, Worker), RunError> {
        let (sender, requests) = mpsc::channel(WAITING_MAX);
        let acceptor = Acceptor {
            requests,
            outbox,
            orders,
            wire,
            traces: TraceIds::new(),
            accepted: context.metrics.counter("orders_accepted", "Orders that were stored"),
            context: context.clone(),
        };
        let worker = Worker::spawn("acceptor", move || acceptor.run())?;
        Ok((Self { requests: sender }, worker))
    }

    /// Accepts an order; when this answers it is stored.
    ///
    /// # Cancel safety
    /// The order may or may not be accepted; asking again with the same key is safe.
    pub(crate) async fn accept(
        &self,
        order: SoundOrder,
        idempotency_key: Option<String>,
        trace: Option<TraceContext>,
    ) -> Result<Accepted, ApiError> {
        let (answer, answered) = oneshot::channel();
        let request = Request { order, idempotency_key, trace, answer };
        self.requests.try_send(request).map_err(|_| ApiError::Busy("too many orders at once"))?;
        answered.await.unwrap_or(Err(ApiError::Busy("stopping")))
    }
}

impl Acceptor {
    fn run(mut self) -> Result<(), WorkerError> {
        let Context { runtime, stop, .. } = self.context.clone();
        runtime.block_on(async {
            let mut requests = Vec::with_capacity(BATCH_ORDERS);
            let mut gathering = Gathering::default();
            loop {
                gathering.pause().await;
                let received = tokio::select! {
                    received = self.requests.recv_many(&mut requests, BATCH_ORDERS) => received,
                    () = stop.wait() => 0,
                };
                if received == 0 {
                    break;
                }
                gathering.began(Instant::now(), received, BATCH_ORDERS);
                self.accept(std::mem::take(&mut requests)).await;
            }
            // Whoever was let in before the stop has its answer.
            self.requests.close();
            while self.requests.recv_many(&mut requests, BATCH_ORDERS).await > 0 {
                self.accept(std::mem::take(&mut requests)).await;
            }
        });
        Ok(())
    }

    async fn accept(&mut self, requests: Vec<Request>) {
        self.context.failpoint.visit(Place::BeforeAccept).await;
        let committed = self.commit(&requests).await;
        self.context.failpoint.visit(Place::AfterAccept).await;
        match committed {
            Ok(answers) => {
                for (request, answer) in requests.into_iter().zip(answers) {
                    // Whoever asked may be gone.
                    let _ = request.answer.send(answer);
                }
            }
            Err(failure) => {
                error!(error = %failure, orders = requests.len(), "failed to store orders");
                for request in requests {
                    let _ = request.answer.send(Err(ApiError::Busy("the order cannot be stored now")));
                }
            }
        }
    }

    async fn commit(&mut self, requests: &[Request]) -> Result<Vec<Result<Accepted, ApiError>>, CommitError> {
        let mut transaction = self.orders.store().begin().await?;
        let keys: Vec<&str> = requests.iter().filter_map(|request| request.idempotency_key.as_deref()).collect();
        let known = Orders::of_keys(&mut transaction, &keys).await?;
        let ids = requests.iter().filter(|request| !request.is_among(&known));
        let ids: Vec<&str> = ids.filter_map(|request| request.order.order_id.as_deref()).collect();
        let taken = Orders::statuses(&mut transaction, &ids).await?.into_keys().collect();
        let batch = self.batch(requests, known, &taken);
        Orders::insert(&mut transaction, &batch.orders, &batch.steps).await?;
        self.outbox.commit(transaction, &batch.events).await?;
        self.accepted.inc_by(batch.orders.len() as u64);
        Ok(batch.answers)
    }

    /// `known` are the orders of the requests' keys, `taken` the ids that other orders have.
    fn batch(&mut self, requests: &[Request], mut known: HashMap<String, Order>, taken: &HashSet<String>) -> Batch {
        let mut batch = Batch::default();
        let at_us = unix_us();
        for request in requests {
            let before = request.idempotency_key.as_ref().and_then(|key| known.get(key));
            let answer = match before {
                Some(order) if order.user_id == request.order.user_id && order.items == request.order.items => {
                    Ok(Accepted::Known(order.clone()))
                }
                Some(_) => Err(ApiError::Invalid("this Idempotency-Key came with another order".to_owned())),
                // Two orders of one id would fail everybody's transaction.
                None if request.order.order_id.as_ref().is_some_and(|id| taken.contains(id)) => {
                    Err(ApiError::Invalid("this Idempotency-Key is the id of another order".to_owned()))
                }
                None => {
                    let order = self.add(request, at_us, &mut batch);
                    if let Some(key) = &request.idempotency_key {
                        known.insert(key.clone(), order.clone());
                    }
                    Ok(Accepted::New(order))
                }
            };
            batch.answers.push(answer);
        }
        batch
    }

    /// Adds a new order, its first step and its event.
    fn add(&mut self, request: &Request, at_us: u64, batch: &mut Batch) -> Order {
        let SoundOrder { order_id, user_id, items, total } = &request.order;
        let trace = self.traces.next_hop(request.trace);
        let stored_at_us = i64::try_from(at_us).unwrap_or(i64::MAX);
        let order = Order {
            order_id: order_id.clone().unwrap_or_else(new_id),
            user_id: user_id.clone(),
            items: items.clone(),
            total: *total,
            status: Status::Pending,
            version: 1,
            created_at_us: stored_at_us,
            updated_at_us: stored_at_us,
        };
        let (trace_id, order_id) = (trace.trace_id(), &order.order_id);
        if trace.sampled {
            info!(%trace_id, order_id, user_id, total, "order accepted");
        } else {
            debug!(%trace_id, order_id, user_id, total, "order accepted");
        }
        let facts = OrderFacts {
            order_id: order.order_id.clone(),
            user_id: user_id.clone(),
            items: items.clone(),
            total: *total,
            created_at_us: at_us,
        };
        let news = News::new(facts, Fact::Created);
        batch.events.push(self.wire.tell(&news, trace));
        batch.steps.push(Step {
            order_id: order.order_id.clone(),
            version: 1,
            status: Status::Pending,
            event: self.wire.name(&news),
            event_id: news.event_id,
            at_us: stored_at_us,
        });
        batch.orders.push((order.clone(), request.idempotency_key.clone()));
        order
    }
}
