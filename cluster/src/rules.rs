//! Rules for requests, as they are in force in a running cluster, and how their user holds one.
//!
//! What a rule says and does is the core's ([`shakedown_broker::faults`]); here it is put between the connections and the
//! nodes, and told of.

use crate::faults::FaultError;
use crate::handle::Cluster;
use crate::mailbox::Delivery;
use crate::shell::Shell;
use crate::slot::Waiting;
use crate::thread::{Call, ask};
use crate::watch::Condition;
use shakedown_broker::faults::{Admission, Departure, Interceptor, Released, Rule, RuleId};
use shakedown_broker::wire::response::Response;
use shakedown_broker::{BrokerId, ConnectionId, Input, RequestToken};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// A rule that is in force for as long as this lives, or for good after [`RuleGuard::keep`].
///
/// Its end heals: whatever it held goes on.
#[derive(Debug)]
pub struct RuleGuard {
    id: RuleId,
    calls: UnboundedSender<Call>,
    first_hit: Arc<OnceLock<Instant>>,
    /// How many requests it had hit when it ended.
    ended: Arc<OnceLock<u64>>,
    kept: bool,
}

impl RuleGuard {
    /// How many requests it has hit so far, or had when it ended; 0 for a cluster that has ended.
    #[must_use]
    pub fn hits(&self) -> u64 {
        let id = self.id;
        let hits = ask(&self.calls, move |shell| shell.rules.interceptor.borrow().hits(id)).flatten();
        hits.or_else(|| self.ended.get().copied()).unwrap_or_default()
    }

    /// When it hit a request for the first time. Costs the cluster nothing, however often it is asked.
    #[must_use]
    pub fn first_hit(&self) -> Option<Instant> {
        self.first_hit.get().copied()
    }

    /// Waits until it has hit so many requests; when it hit the last of them, or nothing if it did not in this time or ended
    /// before.
    #[must_use]
    pub fn wait(&self, hits: u64, at_most: Duration) -> Option<Instant> {
        let (told, hit) = mpsc::channel();
        let id = self.id;
        // Whoever does not wait any more has dropped the other end.
        let tell = Box::new(move |at| {
            let _ = told.send(at);
        });
        let number = ask(&self.calls, move |shell| shell.rules.tell_when(id, hits, tell))?;
        let hit = hit.recv_timeout(at_most).ok();
        if hit.is_none() {
            ask(&self.calls, move |shell| shell.rules.tell_nobody(number));
        }
        hit
    }

    /// Lets it begin, if it waits for something still.
    pub fn begin(&self) {
        let id = self.id;
        ask(&self.calls, move |shell| shell.rules.wake(id));
    }

    /// Lets go on what it holds at the moment, in the order in which it came. It stays in force.
    pub fn release(&self) {
        let id = self.id;
        ask(&self.calls, move |shell| shell.go_on(shell.rules.release(id)));
    }

    /// Leaves it in force for as long as the cluster lives.
    pub fn keep(mut self) {
        self.kept = true;
    }

    /// Ends it, whoever else has it: how many requests it hit. Nothing changes for one that has ended.
    #[expect(clippy::must_use_candidate, reason = "called to end it; the number is there for those who want it")]
    pub fn end(&self) -> u64 {
        let (id, ended) = (self.id, Arc::clone(&self.ended));
        ask(&self.calls, move |shell| shell.end_rule(id, &ended)).unwrap_or_default()
    }
}

impl Drop for RuleGuard {
    fn drop(&mut self) {
        // A cluster that has ended has no rules any more.
        if !self.kept && self.ended.get().is_none() {
            self.end();
        }
    }
}

impl Cluster {
    /// Puts a rule for requests into force, behind those that are: the first that hits a request decides about it.
    ///
    /// ```
    /// # use shakedown_cluster::{ApiKey, Cluster, Effect, Rule, Selector};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = Cluster::builder().start()?;
    /// let produce = Selector { apis: vec![ApiKey::Produce], topic: Some("orders".to_owned()), ..Selector::default() };
    /// // The third batch is written, but its producer is never told.
    /// let lost_reply = cluster.rule(Rule::new(produce, Effect::HangUp { applied: true }).nth(3));
    /// assert_eq!(lost_reply.hits(), 0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn rule(&self, rule: Rule) -> RuleGuard {
        self.lay(move |interceptor| interceptor.add(rule))
    }

    /// As [`Self::rule`], for a rule that begins in the very step in which something has happened: the next request may be
    /// the first that it hits.
    ///
    /// # Errors
    /// When the cluster has ended.
    pub fn rule_when(&self, rule: Rule, condition: impl Into<Condition>) -> Result<RuleGuard, FaultError> {
        let guard = self.lay(move |interceptor| interceptor.add_asleep(rule));
        let (id, condition) = (guard.id, condition.into());
        // Nobody asks what came of it: that the rule hits will tell.
        let (outcome, _) = mpsc::channel();
        let watched = self.thread.ask(move |shell| shell.watch(condition, None, Some(id), outcome));
        watched.map(|_| guard).ok_or(FaultError::Stopped)
    }

    fn lay(&self, add: impl FnOnce(&mut Interceptor) -> RuleId + Send + 'static) -> RuleGuard {
        let calls = self.thread.calls.clone();
        let first_hit = Arc::<OnceLock<Instant>>::default();
        let told = Arc::clone(&first_hit);
        let tell = Box::new(move |at| {
            // It is told once.
            let _ = told.set(at);
        });
        let added = self.thread.ask(move |shell| {
            let id = add(&mut shell.rules.interceptor.borrow_mut());
            shell.rules.tell_when(id, 1, tell);
            id
        });
        // Without a cluster there is nothing to hit, and no rule has this number.
        let id = added.unwrap_or(RuleId(u64::MAX));
        RuleGuard { id, calls, first_hit, ended: Arc::default(), kept: false }
    }
}

/// Somebody waits for a rule to hit.
struct Awaited {
    number: u64,
    id: RuleId,
    hits: u64,
    tell: Box<dyn FnOnce(Instant) + Send>,
}

/// The rules in force, and who waits for their hits.
#[derive(Default)]
pub(crate) struct RulesInForce {
    interceptor: RefCell<Interceptor>,
    awaited: RefCell<Vec<Awaited>>,
    /// The number of the next of those.
    next: Cell<u64>,
}

impl RulesInForce {
    fn is_idle(&self) -> bool {
        self.interceptor.borrow().is_idle()
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.interceptor.borrow().next_deadline()
    }

    pub(crate) fn due(&self, now_ns: u64) -> Vec<Released> {
        self.interceptor.borrow_mut().due(now_ns)
    }

    pub(crate) fn wake(&self, id: RuleId) {
        self.interceptor.borrow_mut().wake(id);
    }

    fn release(&self, id: RuleId) -> Vec<Released> {
        self.interceptor.borrow_mut().release(id)
    }

    pub(crate) fn disconnected(&self, connection: ConnectionId) {
        self.interceptor.borrow_mut().disconnected(connection);
    }

    pub(crate) fn killed(&self, node: BrokerId) {
        self.interceptor.borrow_mut().killed(node);
    }

    /// From here on somebody waits; their number.
    fn tell_when(&self, id: RuleId, hits: u64, tell: Box<dyn FnOnce(Instant) + Send>) -> u64 {
        let number = self.next.replace(self.next.get() + 1);
        self.awaited.borrow_mut().push(Awaited { number, id, hits, tell });
        self.tell();
        number
    }

    /// They do not wait any more.
    fn tell_nobody(&self, number: u64) {
        self.awaited.borrow_mut().retain(|awaited| awaited.number != number);
    }

    fn tell(&self) {
        if self.awaited.borrow().is_empty() {
            return;
        }
        let interceptor = self.interceptor.borrow();
        let reached = |awaited: &mut Awaited| interceptor.hits(awaited.id).is_none_or(|hits| hits >= awaited.hits);
        let told: Vec<Awaited> = self.awaited.borrow_mut().extract_if(.., reached).collect();
        let at = Instant::now();
        // Nobody hears of the hits of a rule that has ended.
        let told = told.into_iter().filter(|awaited| interceptor.hits(awaited.id).is_some());
        told.for_each(|awaited| (awaited.tell)(at));
    }
}

impl Shell {
    /// A request comes in at a node.
    pub(crate) fn enter(&self, node: usize, token: RequestToken, input: Input) {
        self.notice(node, &input);
        self.take(node, token, input);
    }

    /// A request that has come in is read, unless its node stands still.
    fn take(&self, node: usize, token: RequestToken, input: Input) {
        if let Some(slot) = self.slots.borrow_mut().get_mut(node).filter(|slot| slot.stands_still()) {
            return slot.put_off(Waiting::Unread(token, input));
        }
        if self.rules.is_idle() {
            return self.deliver(node, input);
        }
        let now_ns = self.monotonic_ns(self.since_start());
        let admission = {
            let slots = self.slots.borrow();
            // A node that is down serves nobody; its connections learn of it by themselves.
            let Some(asked) = slots.get(node).and_then(|slot| slot.node()) else { return };
            let admission = self.rules.interceptor.borrow_mut().request(now_ns, asked, input);
            self.reckon(&slots);
            admission
        };
        self.rules.tell();
        let connection = token.connection;
        match admission {
            Admission::Serve(input) => self.deliver(node, input),
            Admission::ServeTwice(first, second) => self.deliver_all(node, [first, second]),
            Admission::ServeAfter(lasts, input) => {
                work(lasts);
                self.deliver(node, input);
            }
            Admission::Reply(response) => self.mailboxes.post(connection, Delivery::Reply(response)),
            Admission::NoReply => self.mailboxes.post(connection, Delivery::NoReply),
            Admission::Nothing => {}
            Admission::HangUp(reason) => self.mailboxes.post(connection, Delivery::HangUp(reason)),
        }
    }

    /// A node's reply leaves.
    pub(crate) fn leave(&self, token: RequestToken, response: Response) {
        let connection = token.connection;
        if self.rules.is_idle() {
            return self.mailboxes.post(connection, Delivery::Reply(response));
        }
        let now_ns = self.monotonic_ns(self.since_start());
        let departure = self.rules.interceptor.borrow_mut().reply(now_ns, token, response);
        self.depart(connection, departure);
    }

    /// A node is done with a request that has no reply.
    pub(crate) fn leave_without_reply(&self, token: RequestToken) {
        if self.rules.is_idle() {
            return self.mailboxes.post(token.connection, Delivery::NoReply);
        }
        let now_ns = self.monotonic_ns(self.since_start());
        let departure = self.rules.interceptor.borrow_mut().no_reply(now_ns, token);
        self.depart(token.connection, departure);
    }

    fn depart(&self, connection: ConnectionId, departure: Departure) {
        match departure {
            Departure::Reply { response, .. } => self.mailboxes.post(connection, Delivery::Reply(response)),
            Departure::NoReply => self.mailboxes.post(connection, Delivery::NoReply),
            Departure::Nothing => {}
            Departure::HangUp(reason) => self.mailboxes.post(connection, Delivery::HangUp(reason)),
        }
    }

    /// What rules held goes on.
    pub(crate) fn go_on(&self, released: Vec<Released>) {
        for released in released {
            match released {
                Released::Request { node, input, judged } => {
                    let Ok(at) = usize::try_from(node.0 - 1) else { continue };
                    match &input {
                        // It was noticed when it came in.
                        Input::Request { token, .. } if !judged => self.take(at, *token, input),
                        _ => self.deliver(at, input),
                    }
                }
                Released::Reply { node, token, response } => {
                    let Ok(at) = usize::try_from(node.0 - 1) else { continue };
                    self.let_out(at, token, response);
                }
            }
        }
    }

    /// A reply that a rule held leaves, as soon as its node runs. With a node that is down it has gone.
    fn let_out(&self, at: usize, token: RequestToken, response: Response) {
        match self.slots.borrow_mut().get_mut(at).filter(|slot| slot.node().is_some()) {
            Some(slot) if slot.stands_still() => slot.put_off(Waiting::Reply(token, response)),
            Some(_) => self.mailboxes.post(token.connection, Delivery::Reply(response)),
            None => {}
        }
    }

    /// A node that stood still goes on, with what has waited for it.
    pub(crate) fn catch_up(&self, at: usize, inbox: VecDeque<Waiting>) {
        for waiting in inbox {
            match waiting {
                Waiting::Input(input) => {
                    if let Input::Disconnected(connection) = &input {
                        // Rules may have met its last requests only now.
                        self.rules.disconnected(*connection);
                    }
                    self.deliver(at, input);
                }
                Waiting::Unread(token, input) => self.take(at, token, input),
                Waiting::Reply(token, response) => self.let_out(at, token, response),
            }
        }
        // What is overdue, and what the node had to say before it stood still, comes even if nothing has waited.
        self.deliver(at, Input::Tick);
    }

    fn end_rule(&self, id: RuleId, ended: &OnceLock<u64>) -> u64 {
        let (hits, released) = self.rules.interceptor.borrow_mut().remove(id);
        // Before those who wait for its hits learn of its end: they ask how many there were.
        let hits = *ended.get_or_init(|| hits.unwrap_or_default());
        self.watches.forget_rule(id);
        self.rules.tell();
        self.go_on(released);
        hits
    }
}

/// Keeps this thread, and with it every node, busy for so long. Sleeping would take up to a scheduler's tick more, and would
/// leave the processor to others.
fn work(lasts: Duration) {
    let began = Instant::now();
    while began.elapsed() < lasts {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_broker::faults::{Effect, Selector};

    #[test]
    fn whoever_waited_in_vain_is_forgotten() {
        let cluster = Cluster::builder().brokers(1).start().expect("a cluster");
        let rule = cluster.rule(Rule::new(Selector::default(), Effect::Duplicate));
        let awaited = || cluster.thread.ask(|shell| shell.rules.awaited.borrow().len());
        let before = awaited();
        assert_eq!(rule.wait(1, Duration::ZERO), None);
        assert_eq!(awaited(), before);
    }
}
