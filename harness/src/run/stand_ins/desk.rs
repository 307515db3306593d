//! What a request comes to, by the contract that all stand-ins share; what they do is their [`Trade`]'s.
//!
//! | what comes | effect | answer |
//! |---|---|---|
//! | no JSON, something is missing, a key that is no text | none | 400 |
//! | a failure that refuses | none | 503 |
//! | a known key with its body | none | 200, or 402 again |
//! | a known key with another body | none | 422 |
//! | anything else | one | 201, 402, or what the trade refuses with; 500 by a failure that loses answers |
//!
//! The effect is there, and written down, when the answer is decided: an answer that is late or lost changes nothing of that.
//! A failure that loses answers loses those of effects: whoever asks again with the same key learns what happened.

use super::book::Book;
use super::failures::Failures;
use super::keys::{Fingerprint, Keys, Remembered};
use super::trade::{Answer, Effect, Outcome, Received, Trade};
use crate::run::error::RunError;
use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use shakedown_loadgen::RunClock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One stand-in for whoever brings requests: whatever its trade is.
pub(super) trait Counter: Send + Sync {
    /// Where it is asked.
    fn paths(&self) -> &'static [&'static str];

    /// Decides about a request that has just come to one of the paths.
    fn take(&self, path: &'static str, key: Option<&[u8]>, body: &[u8]) -> Reply;

    /// Hands what was written to the operating system: it survives the death of this process.
    fn flush(&self);

    /// What happened so far.
    fn totals(&self) -> Totals;

    /// Ends book and ledger.
    ///
    /// # Errors
    /// When one of them could not be written.
    fn finish(&self) -> Result<(), RunError>;
}

/// An answer, and when it is to be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Answer,
    pub(super) after: Duration,
}

/// What happened at a stand-in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// How many effects of each kind there were.
    pub(super) effects: BTreeMap<String, u64>,
    /// Requests that an idempotency key made harmless.
    pub(super) repeated: u64,
    /// Requests that were wrong.
    pub(super) wrong: u64,
    /// What was wrong with the first of them.
    pub(super) first_wrong: Option<String>,
}

/// A stand-in behind its counter.
pub(super) struct Desk<T> {
    clock: RunClock,
    latency: Duration,
    failures: Arc<Failures>,
    state: Mutex<State<T>>,
}

struct State<T> {
    trade: T,
    keys: Keys,
    book: Book,
    effects: u64,
    totals: Totals,
}

impl<T: Trade> Desk<T> {
    /// Opens it. Every answer takes `latency`.
    pub(super) fn new(trade: T, book: Book, clock: RunClock, latency: Duration, failures: Arc<Failures>) -> Self {
        let state = State { trade, keys: Keys::default(), book, effects: 0, totals: Totals::default() };
        Self { clock, latency, failures, state: Mutex::new(state) }
    }

    fn decide(&self, path: &'static str, key: Option<&[u8]>, body: &[u8]) -> (StatusCode, Answer) {
        let json = serde_json::from_slice::<Json>(body).map_err(|error| format!("no JSON: {error}"));
        let understood = json.and_then(|json| {
            let (fingerprint, key) = (Fingerprint::of(&json), key.map(readable).transpose()?);
            T::read(path, json).map(|request| (request, fingerprint, key))
        });
        let mut state = self.lock();
        let (request, body, key) = match understood {
            Ok(understood) => understood,
            Err(reason) => return state.wrong(StatusCode::BAD_REQUEST, &reason),
        };
        let failure = self.failures.concerning(path, T::identity(&request));
        if let Some(failure) = failure.as_ref().filter(|failure| !failure.is_after_effect()) {
            failure.hit();
            return (StatusCode::SERVICE_UNAVAILABLE, error("unavailable, and nothing was done"));
        }
        if let Some(answered) = key.and_then(|key| state.recalled(path, key, body)) {
            return answered;
        }
        let answered = state.perform(request, self.clock.now_ns());
        if !answered.is_refusal()
            && let Some(key) = key
        {
            let remembered = Remembered { body, is_declined: answered.is_declined(), answer: answered.answer() };
            state.keys.remember(path, key, remembered);
        }
        match failure {
            Some(failure) if !answered.is_refusal() => {
                failure.hit();
                (StatusCode::INTERNAL_SERVER_ERROR, error("broken"))
            }
            _ => (answered.status(), answered.answer()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Trade> Counter for Desk<T> {
    fn paths(&self) -> &'static [&'static str] {
        T::PATHS
    }

    fn take(&self, path: &'static str, key: Option<&[u8]>, body: &[u8]) -> Reply {
        let (status, body) = self.decide(path, key, body);
        Reply { status, body, after: self.latency + self.failures.delay() }
    }

    fn flush(&self) {
        let mut state = self.lock();
        state.book.flush();
        state.trade.flush();
    }

    fn totals(&self) -> Totals {
        self.lock().totals.clone()
    }

    fn finish(&self) -> Result<(), RunError> {
        let mut state = self.lock();
        let book = state.book.finish();
        state.trade.finish().and(book)
    }
}

impl<T: Trade> State<T> {
    /// What is answered where the key came before.
    fn recalled(&mut self, path: &'static str, key: &str, body: Fingerprint) -> Option<(StatusCode, Answer)> {
        let known = self.keys.recall(path, key)?;
        if known.body != body {
            let reason = format!("the key {key} came with another body before");
            return Some(self.wrong(StatusCode::UNPROCESSABLE_ENTITY, &reason));
        }
        let status = if known.is_declined { StatusCode::PAYMENT_REQUIRED } else { StatusCode::OK };
        let answer = known.answer.clone();
        self.totals.repeated += 1;
        Some((status, answer))
    }

    fn perform(&mut self, request: T::Request, at_ns: u64) -> Outcome {
        let received = Received { at_ns, number: self.effects + 1 };
        let Effect { outcome, facts } = self.trade.perform(request, received);
        if !outcome.is_refusal() {
            self.effects += 1;
        }
        if let Some(first) = facts.first() {
            *self.totals.effects.entry(first.kind.clone()).or_insert(0) += 1;
        }
        for fact in facts {
            self.book.enter(at_ns, fact);
        }
        outcome
    }

    fn wrong(&mut self, status: StatusCode, reason: &str) -> (StatusCode, Answer) {
        self.totals.wrong += 1;
        self.totals.first_wrong.get_or_insert_with(|| reason.to_owned());
        (status, error(reason))
    }
}

impl Outcome {
    fn status(&self) -> StatusCode {
        match self {
            Self::Done(_) => StatusCode::CREATED,
            Self::Declined(_) => StatusCode::PAYMENT_REQUIRED,
            Self::Refused(status, _) => *status,
        }
    }

    fn answer(&self) -> Answer {
        match self {
            Self::Done(answer) | Self::Declined(answer) => answer.clone(),
            Self::Refused(_, why) => error(why),
        }
    }

    fn is_declined(&self) -> bool {
        matches!(self, Self::Declined(_))
    }

    /// Whether nothing was done, so that nothing is remembered.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(..))
    }
}

/// A key as a text; in words what is wrong with it, where it is none.
fn readable(key: &[u8]) -> Result<&str, String> {
    let printable = !key.is_empty() && key.iter().all(|byte| (b' '..=b'~').contains(byte));
    let text = std::str::from_utf8(key).ok().filter(|_| printable);
    text.ok_or_else(|| "an Idempotency-Key is printable ASCII".to_owned())
}

/// The text of an error.
fn error(reason: &str) -> Answer {
    json!({ "error": reason }).to_string().into()
}

#[cfg(test)]
pub(super) mod testing;

#[cfg(test)]
mod tests {
    use super::super::mailbox::Mailbox;
    use super::testing::{Counted, ask, counted};
    use super::*;
    use crate::scenario::stand_in::FailureMode;
    use shakedown_loadgen::Names;
    use shakedown_reports::Interner;

    const EMAILS: &str = "/emails";

    fn mailbox() -> Counted<Mailbox> {
        counted(Mailbox::new(Names::new(Arc::new(Interner::in_memory("user-")), 1, 0), None))
    }

    fn email(order: &str) -> Json {
        json!({ "to": "a@b.c", "subject": "yours", "order_id": order, "total_cost": 5, "about": "paid", "event_id": order })
    }

    #[test]
    fn a_key_makes_repetitions_harmless_and_another_body_is_refused() {
        let mailbox = mailbox();
        assert_eq!(ask(&mailbox, EMAILS, Some("k"), &email("a")).0, 201);
        assert_eq!(ask(&mailbox, EMAILS, Some("k"), &email("a")).0, 200);
        let (status, answer) = ask(&mailbox, EMAILS, Some("k"), &email("b"));
        assert_eq!((status, &answer["error"]), (422, &json!("the key k came with another body before")));
        let totals = mailbox.desk.totals();
        assert_eq!((totals.effects["emailed"], totals.repeated, totals.wrong), (1, 1, 1));
        assert_eq!(totals.first_wrong.as_deref(), Some("the key k came with another body before"));
    }

    #[test]
    fn without_a_key_every_request_has_its_effect() {
        let mailbox = mailbox();
        for _ in 0..2 {
            assert_eq!(ask(&mailbox, EMAILS, None, &email("a")).0, 201);
        }
        assert_eq!(mailbox.desk.take(EMAILS, None, b"nonsense").status, 400);
        assert_eq!(mailbox.desk.take(EMAILS, None, b"").status, 400);
        for key in ["", "\u{e9}", "a\nb"] {
            assert_eq!(ask(&mailbox, EMAILS, Some(key), &email("a")).0, 400, "{key:?} is no key, and not none either");
        }
        assert_eq!(mailbox.kinds(), ["emailed", "emailed"]);
    }

    #[test]
    fn an_answer_that_is_lost_loses_no_effect_and_a_key_finds_it_again() {
        let mailbox = mailbox();
        let failing = mailbox.fail(FailureMode::FailAfterEffect { permille: 1000 });
        assert_eq!(ask(&mailbox, EMAILS, Some("a"), &email("a")).0, 500);
        assert_eq!(ask(&mailbox, EMAILS, Some("a"), &email("a")).0, 200, "nothing was done that could be lost");
        for _ in 0..2 {
            assert_eq!(ask(&mailbox, EMAILS, None, &email("b")).0, 500);
        }
        assert_eq!(ask(&mailbox, EMAILS, None, &json!({})).0, 400);
        assert_eq!(failing.end().expect("it ends"), Some(3));
        assert_eq!(ask(&mailbox, EMAILS, Some("c"), &email("c")).0, 201);
        let told: Vec<_> = mailbox.facts().into_iter().map(|fact| fact.entity).collect();
        assert_eq!(told, ["a", "b", "b", "c"]);
    }

    #[test]
    fn a_refusal_has_no_effect_and_is_not_remembered() {
        let mailbox = mailbox();
        let failing = mailbox.fail(FailureMode::Fail { permille: 1000 });
        for _ in 0..2 {
            assert_eq!(ask(&mailbox, EMAILS, Some("a"), &email("a")).0, 503);
        }
        assert!(mailbox.facts().is_empty());
        assert_eq!(failing.end().expect("it ends"), Some(2));
        assert_eq!(ask(&mailbox, EMAILS, Some("a"), &email("a")).0, 201);
    }

    #[test]
    fn some_are_hit_again_and_again_and_others_never() {
        let mailbox = mailbox();
        let failing = mailbox.fail(FailureMode::Fail { permille: 250 });
        let hit = |order: &String| ask(&mailbox, EMAILS, None, &email(order)).0 == 503;
        let orders: Vec<String> = (0..400).map(|n| format!("order-{n}")).collect();
        let first: Vec<bool> = orders.iter().map(hit).collect();
        let again: Vec<bool> = orders.iter().rev().map(hit).collect();
        assert!(first.iter().eq(again.iter().rev()), "it depends on when they ask");
        let number = first.iter().filter(|hit| **hit).count();
        assert!((60..140).contains(&number), "{number} of 400");
        // Another fault draws others, and the first that concerns a request is what it meets.
        let after = mailbox.fail(FailureMode::FailAfterEffect { permille: 500 });
        let met: Vec<u16> = orders.iter().map(|order| ask(&mailbox, EMAILS, None, &email(order)).0).collect();
        assert!(first.iter().zip(&met).all(|(hit, status)| *hit == (*status == 503)));
        assert!(met.contains(&500) && met.contains(&201));
        assert_eq!(failing.end().expect("it ends"), Some(3 * number as u64));
        assert!(after.end().expect("it ends").is_some_and(|hits| hits > 0));
    }

    #[test]
    fn answers_are_late_and_effects_are_not() {
        let mailbox = mailbox();
        let late =
            |mailbox: &Counted<Mailbox>| mailbox.desk.take(EMAILS, None, email("a").to_string().as_bytes()).after;
        assert_eq!(late(&mailbox), testing::LATENCY);
        let failing = mailbox.fail(FailureMode::Slow { by: Duration::from_secs(3) });
        assert_eq!(late(&mailbox), testing::LATENCY + Duration::from_secs(3));
        assert_eq!(mailbox.facts().len(), 2);
        assert_eq!(failing.end().expect("it ends"), Some(1));
        assert_eq!(late(&mailbox), testing::LATENCY);
    }
}
