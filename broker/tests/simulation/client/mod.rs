//! Simulated clients: state machines that speak the wire protocol.
//!
//! - [`wire`]: requests and responses to bytes and back.
//! - [`producer`]: writes, with acks 0, 1 or all, idempotent where it is all.
//! - [`member`]: a member of a consumer group: finds its coordinator, joins, stays alive, commits.
//! - [`consumer`]: what a member reads.
//! - [`admin`]: creates topics.
//! - [`hand`]: asks what a named test wants asked.
//!
//! Here: what a client can do (through its [`Desk`]) and what happens to it ([`Client`]).

pub(crate) mod admin;
pub(crate) mod consumer;
pub(crate) mod hand;
pub(crate) mod member;
pub(crate) mod producer;
pub(crate) mod wire;

use crate::chance::{Chance, MS};
use crate::invariants::{Checked, Invariants};
use crate::trace::Trace;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
use shakedown_broker::BrokerId;
use std::any::Any;
use std::fmt::Display;

/// A request of a client, by number.
pub(crate) type CallId = u64;

/// How long a client waits for most answers: a fraction of Kafka's 30 s, so that a lifetime sees many time-outs.
pub(crate) const TIMEOUT_MS: u64 = 1_500;

/// What came of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// This was answered.
    Answer(Box<ResponseKind>),
    /// Nothing came, and nobody knows whether it was done.
    Lost,
}

/// What a client wants done.
pub(crate) enum Action {
    Send {
        call: CallId,
        broker: BrokerId,
        key: ApiKey,
        version: i16,
        request: Box<RequestKind>,
        timeout_ms: u64,
    },
    /// A request without an answer (acks=0).
    Tell {
        broker: BrokerId,
        key: ApiKey,
        version: i16,
        request: Box<RequestKind>,
    },
    Wake {
        at_ns: u64,
        tag: u8,
    },
}

/// What a client has at hand while something happens to it.
pub(crate) struct Desk<'a> {
    pub(crate) now_ns: u64,
    /// Nodes that serve clients.
    pub(crate) brokers: &'a [BrokerId],
    pub(crate) chance: &'a mut Chance,
    pub(crate) invariants: &'a mut Invariants,
    pub(crate) trace: &'a Trace,
    pub(crate) name: &'a str,
    pub(crate) next_call: &'a mut CallId,
    pub(crate) actions: Vec<Action>,
    pub(crate) checked: Checked,
}

impl Desk<'_> {
    /// Sends a request; its outcome comes with the number returned here.
    pub(crate) fn ask(&mut self, broker: BrokerId, key: ApiKey, version: i16, request: RequestKind) -> CallId {
        self.ask_within(TIMEOUT_MS, broker, key, version, request)
    }

    /// Sends a request whose answer may take its time.
    pub(crate) fn ask_within(
        &mut self,
        timeout_ms: u64,
        broker: BrokerId,
        key: ApiKey,
        version: i16,
        request: RequestKind,
    ) -> CallId {
        let call = *self.next_call;
        *self.next_call += 1;
        self.actions.push(Action::Send { call, broker, key, version, request: Box::new(request), timeout_ms });
        call
    }

    /// Sends a request that is not answered.
    pub(crate) fn tell(&mut self, broker: BrokerId, key: ApiKey, version: i16, request: RequestKind) {
        self.actions.push(Action::Tell { broker, key, version, request: Box::new(request) });
    }

    /// Wants to be woken.
    pub(crate) fn wake_in(&mut self, ms: u64, tag: u8) {
        self.actions.push(Action::Wake { at_ns: self.now_ns + ms * MS, tag });
    }

    /// Any node.
    pub(crate) fn any_broker(&mut self) -> BrokerId {
        self.chance.pick(self.brokers)
    }

    /// Keeps the first violation that a client sees.
    pub(crate) fn check(&mut self, checked: Checked) {
        if self.checked.is_ok() {
            self.checked = checked;
        }
    }

    /// Tells the reader of the trace.
    pub(crate) fn story<T: Display>(&self, what: impl FnOnce() -> T) {
        self.trace.story(self.now_ns, self.name, what);
    }
}

/// A client.
pub(crate) trait Client {
    /// The lifetime begins.
    fn start(&mut self, desk: &mut Desk<'_>);
    /// A request has come to its end.
    fn answered(&mut self, desk: &mut Desk<'_>, call: CallId, outcome: Outcome);
    /// The time has come that it asked for.
    fn woken(&mut self, desk: &mut Desk<'_>, tag: u8);
    /// No new work from here on; what was begun is finished.
    fn stop(&mut self) {}
    /// What it still waits for, if anything; a consumer is told where the partitions end.
    fn unfinished(&self, ends: &[i64]) -> Option<String>;
    /// For tests that know what it is.
    fn as_any(&mut self) -> &mut dyn Any;
}

/// An error that goes away: with another leader, with time, with a healed network.
pub(crate) fn is_retriable(error: ResponseError) -> bool {
    use ResponseError as E;
    matches!(
        error,
        E::UnknownTopicOrPartition
            | E::UnknownTopicId
            | E::LeaderNotAvailable
            | E::NotLeaderOrFollower
            | E::RequestTimedOut
            | E::BrokerNotAvailable
            | E::ReplicaNotAvailable
            | E::NetworkException
            | E::CoordinatorLoadInProgress
            | E::CoordinatorNotAvailable
            | E::NotCoordinator
            | E::NotEnoughReplicas
            | E::NotEnoughReplicasAfterAppend
            | E::NotController
            | E::KafkaStorageError
            | E::FencedLeaderEpoch
            | E::UnknownLeaderEpoch
            | E::OffsetNotAvailable
    )
}

/// Kafka's error of a code, `None` for success.
pub(crate) fn error(code: i16) -> Option<ResponseError> {
    (code != 0).then(|| ResponseError::try_from_code(code).unwrap_or(ResponseError::UnknownServerError))
}
