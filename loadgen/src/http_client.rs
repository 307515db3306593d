//! Asking a service over HTTP: the target of a load, and the thread that asks and takes the answers.
//!
//! The pacer hands a body over and never waits; one thread with an event loop of its own sends it, on kept connections, to
//! the instance whose turn it is, and asks again where that makes sense ([`crate::http_answer`]). How many requests may be
//! without an answer is the number of slots: where none is free the pacer waits, and what it holds back is late by the
//! system's doing. A request is *sent* when the loop begins with it: what it lay there before is lateness of the generator's
//! own. Answers are read to their end, so that their connection can be used again.

use crate::bodies::Bodies;
use crate::clock::RunClock;
use crate::endpoints::Endpoints;
use crate::http::HttpPlan;
use crate::http_answer::{Answer, Course};
use crate::order_id;
use crate::recorder::{End, Recorder};
use crate::slots::{Claims, InFlight, Slots};
use crate::stop::{STOPPED_PATIENCE, StopFlag};
use crate::target::{Handed, Target};
use crate::workload::{PlannedMessage, Workload};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use shakedown_reports::record::Outcome;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;

/// How often an idle stream of operations is handed to the operating system.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at whether somebody has stopped a load that waits for its last answers.
const STOP_LOOK: Duration = Duration::from_millis(50);
/// How much of an answer is read; a longer one costs its connection.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How much of a refusal is told.
const TOLD_BYTES_MAX: usize = 200;
/// By which a service knows a request that it has seen before (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A request on its way from the pacer to the loop.
#[derive(Debug)]
struct Due {
    slot: usize,
    sequence: u64,
    body: Vec<u8>,
    /// How late the pacer was with it, by its own making.
    own_ns: u64,
    handed_ns: u64,
}

/// The pacer's end.
pub(crate) struct HttpTarget {
    bodies: Bodies,
    body: Vec<u8>,
    claims: Claims,
    due: UnboundedSender<Due>,
}

impl Target for HttpTarget {
    fn prepare(&mut self, _workload: &Workload, message: &PlannedMessage) {
        self.bodies.write(message, &mut self.body);
    }

    fn hand_over(&mut self, message: &InFlight, own_ns: u64) -> Handed {
        let Some(slot) = self.claims.occupy(message) else { return Handed::Full };
        let due = Due { slot, sequence: message.sequence, body: self.body.clone(), own_ns, handed_ns: message.sent_ns };
        match self.due.send(due) {
            Ok(()) => Handed::Taken,
            // The loop ends before the pacer only by a panic, which is told when its thread is joined.
            Err(_) => {
                self.claims.vacate(slot);
                Handed::Refused(End::unacknowledged(Outcome::Fail, 0))
            }
        }
    }
}

/// The other end: the loop, before it runs.
pub(crate) struct HttpClient {
    runtime: tokio::runtime::Runtime,
    requests: Arc<Requests>,
    due: UnboundedReceiver<Due>,
    flush_timeout: Duration,
}

/// What all requests share.
struct Requests {
    client: reqwest::Client,
    plan: HttpPlan,
    seed: u64,
    endpoints: Endpoints,
    clock: RunClock,
    slots: Arc<Slots>,
    recorder: Arc<Recorder>,
    stop: StopFlag,
}

/// What the ends of a load over HTTP are made from.
pub(crate) struct HttpSettings<'a> {
    pub(crate) plan: &'a HttpPlan,
    pub(crate) seed: u64,
    pub(crate) endpoints: Endpoints,
    pub(crate) flush_timeout: Duration,
    pub(crate) clock: RunClock,
    pub(crate) slots: Arc<Slots>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) stop: StopFlag,
}

/// Both ends.
pub(crate) fn connect(settings: HttpSettings<'_>) -> std::io::Result<(HttpTarget, HttpClient)> {
    let HttpSettings { plan, seed, endpoints, flush_timeout, clock, slots, recorder, stop } = settings;
    let connections = usize::try_from(plan.in_flight).unwrap_or(usize::MAX);
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(plan.timeout)
        .pool_max_idle_per_host(connections)
        .build()
        .map_err(std::io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (sender, due) = mpsc::unbounded_channel();
    let bodies = Bodies::new(seed, plan.body, &plan.products);
    let plan = plan.clone();
    let claims = Claims::new(Arc::clone(&slots));
    let requests = Arc::new(Requests { client, plan, seed, endpoints, clock, slots, recorder, stop });
    let target = HttpTarget { bodies, body: Vec::with_capacity(256), claims, due: sender };
    Ok((target, HttpClient { runtime, requests, due, flush_timeout }))
}

impl HttpClient {
    /// Asks until the pacer is gone and every request has ended, or the flush timeout has passed.
    pub(crate) fn run(self) {
        let Self { runtime, requests, due, flush_timeout } = self;
        runtime.block_on(requests.ask_all(due, flush_timeout));
        for slot in 0..requests.slots.capacity() {
            if let Some(message) = requests.slots.finish(slot) {
                requests.recorder.record(&message, End::unacknowledged(Outcome::Unknown, 0));
            }
        }
    }
}

impl Requests {
    async fn ask_all(self: &Arc<Self>, mut due: UnboundedReceiver<Due>, flush_timeout: Duration) {
        let mut asking = JoinSet::new();
        let mut flush = tokio::time::interval(FLUSH_EVERY);
        loop {
            tokio::select! {
                next = due.recv() => match next {
                    Some(next) => drop(asking.spawn(Arc::clone(self).ask(next))),
                    None => break,
                },
                Some(_) = asking.join_next() => {}
                _ = flush.tick() => self.recorder.flush(),
            }
        }
        let all = async { while asking.join_next().await.is_some() {} };
        // Whatever has no answer by then is recorded as unknown.
        tokio::select! {
            () = all => {}
            () = tokio::time::sleep(flush_timeout) => {}
            () = self.stopped_long_enough() => {}
        }
        asking.shutdown().await;
    }

    /// Ends [`STOPPED_PATIENCE`] after somebody stops the load.
    async fn stopped_long_enough(&self) {
        let mut look = tokio::time::interval(STOP_LOOK);
        while !self.stop.is_stopped() {
            look.tick().await;
        }
        tokio::time::sleep(STOPPED_PATIENCE).await;
    }

    async fn ask(self: Arc<Self>, due: Due) {
        let sent_ns = self.clock.now_ns();
        self.recorder.lateness.record(due.own_ns.saturating_add(sent_ns.saturating_sub(due.handed_ns)));
        let end = self.end_of(&due).await;
        if let Some(message) = self.slots.finish(due.slot) {
            self.recorder.record(&InFlight { sent_ns, ..message }, end);
        }
    }

    /// Asks until it is known how the request ended, or its time is up.
    async fn end_of(&self, due: &Due) -> End {
        let identity = order_id::encode(self.seed, due.sequence);
        let key = std::str::from_utf8(&identity).expect("an order id is ASCII");
        let give_up = Instant::now() + self.plan.retry_for;
        let mut course = Course::default();
        loop {
            let turn = due.sequence.wrapping_add(u64::from(course.attempts()));
            let answer = match self.endpoints.turn(turn) {
                Some(address) => self.attempt(&address, key, &due.body).await,
                None => Answer::Unreached,
            };
            if let Some(end) = course.see(answer) {
                return end;
            }
            let pause = course.pause(answer, self.endpoints.now().len(), order_id::mix(self.seed) ^ due.sequence);
            let in_time = Instant::now().checked_add(pause).is_some_and(|again| again < give_up);
            if self.stop.is_stopped() || !in_time {
                return course.give_up();
            }
            tokio::time::sleep(pause).await;
            self.recorder.asked_again.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn attempt(&self, address: &str, key: &str, body: &[u8]) -> Answer {
        let path = &self.plan.path;
        let request = self.client.post(format!("http://{address}{path}"));
        let request = request.header(CONTENT_TYPE, "application/json").header(IDEMPOTENCY_KEY, key);
        let answered = async {
            let response = request.body(body.to_vec()).send().await?;
            let (status, after) = (response.status().as_u16(), retry_after(response.headers()));
            Ok::<_, reqwest::Error>((status, after, read(response).await?))
        };
        let (answer, complaint) = match answered.await {
            Ok((status, after, text)) => {
                (Answer::of(status, after), format!("POST {path} at {address} answers {status}: {text}"))
            }
            Err(error) if error.is_connect() => (Answer::Unreached, format!("no connection to {address}")),
            Err(error) if error.is_timeout() => {
                let limit = self.plan.timeout;
                (Answer::Silent, format!("POST {path} at {address} has no answer within {limit:?}"))
            }
            Err(_) => (Answer::Silent, format!("POST {path} at {address}: the connection broke")),
        };
        if answer != Answer::Taken {
            self.recorder.complain(complaint.trim_end().to_owned());
        }
        answer
    }
}

/// Reads an answer to its end; the beginning of its first line.
async fn read(mut response: reqwest::Response) -> Result<String, reqwest::Error> {
    let (mut told, mut bytes) = (Vec::new(), 0);
    while let Some(chunk) = response.chunk().await? {
        bytes += chunk.len();
        let room = TOLD_BYTES_MAX.saturating_sub(told.len()).min(chunk.len());
        told.extend_from_slice(&chunk[..room]);
        if bytes > ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&told).lines().next().unwrap_or_default().to_owned())
}

/// The seconds of a `Retry-After`; its other form, a date, is taken for none.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}
