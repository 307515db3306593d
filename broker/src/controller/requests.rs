//! How a request reaches the active controller, and how its answer comes back: on every node the requests that are not
//! answered yet, on the controller the answers that wait for their records to be committed.

use super::{Controller, PendingReply};
use crate::api::{self, Call};
use crate::batch::build::BatchBuilder;
use crate::io::Event;
use crate::metadata::codec;
use crate::node::Node;
use crate::peer::{ControllerRequest, ControllerResponse, IsrChange, PeerMessage};
use crate::timers::Timer;
use crate::types::{BrokerId, ConnectionId, Now};
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// How long a client's request may wait for a controller, `request.timeout.ms` of the channel to it.
const FORWARD_TIMEOUT_MS: i64 = 30_000;
/// How long producers wait for ids before they are told to ask again; Kafka tells them at once.
const PRODUCER_IDS_TIMEOUT_MS: i64 = 1_000;
/// How long an answer may take before the request is sent again: it, or its answer, may be lost.
const RESEND_MS: i64 = 300;
/// How long to wait after an answer by a node that is not the active controller.
const BACKOFF_MS: i64 = 20;

/// What an answer is for.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// A client's request.
    Client(Call),
    /// The answer is of no interest: what was asked for shows up in the metadata.
    Nobody,
    /// The broker's own registration or heartbeat, of which there is one at a time.
    Lifecycle,
    /// These ISR changes.
    Isr(Vec<IsrChange>),
    /// A block of producer ids.
    ProducerIds,
}

/// A request that is not answered yet.
#[derive(Debug)]
pub(crate) struct Unanswered {
    request: ControllerRequest,
    pub(crate) purpose: Purpose,
}

impl Node {
    /// Asks the active controller, whoever that is or will be.
    pub(crate) fn ask_controller(&mut self, now: Now, request: ControllerRequest, purpose: Purpose) {
        let id = self.next_request();
        let patience_ms = match purpose {
            Purpose::Client(_) | Purpose::Nobody => Some(FORWARD_TIMEOUT_MS),
            Purpose::ProducerIds => Some(PRODUCER_IDS_TIMEOUT_MS),
            Purpose::Lifecycle | Purpose::Isr(_) => None,
        };
        if let Some(patience_ms) = patience_ms {
            self.timers.set(Timer::Request(id), now.after_ms(patience_ms));
        }
        if let Some(controller) = self.quorum.leader() {
            self.send(controller, PeerMessage::ToController { id, request: request.clone() });
        }
        self.requests.insert(id, Unanswered { request, purpose });
        self.set_resend_timer(now, RESEND_MS);
    }

    fn next_request(&mut self) -> u64 {
        self.request_next += 1;
        self.request_next
    }

    /// Hands a client's request to the controller.
    pub(crate) fn forward(&mut self, call: Call, request: RequestKind) {
        let (now, api, version) = (call.now, call.api, call.version);
        let request = ControllerRequest::Forward { api, version, request: Box::new(request) };
        self.ask_controller(now, request, Purpose::Client(call));
    }

    /// Asks the controller without a client behind it.
    pub(crate) fn forward_for_nobody(&mut self, now: Now, api: ApiKey, version: i16, request: RequestKind) {
        let request = ControllerRequest::Forward { api, version, request: Box::new(request) };
        self.ask_controller(now, request, Purpose::Nobody);
    }

    fn set_resend_timer(&mut self, now: Now, wait_ms: i64) {
        let at = now.after_ms(wait_ms);
        if self.timers.deadline(&Timer::Resend).is_none_or(|set| at < set) {
            self.timers.set(Timer::Resend, at);
        }
    }

    /// Everything that is not answered goes to the controller again. An ISR change does so under another id: a refusal counts
    /// only if no copy of the request can be accepted after it, which of the last copy alone is certain.
    pub(crate) fn resend_to_controller(&mut self, now: Now) {
        if self.requests.is_empty() {
            return;
        }
        self.timers.cancel(&Timer::Resend);
        self.set_resend_timer(now, RESEND_MS);
        let Some(controller) = self.quorum.leader() else { return };
        for (id, unanswered) in std::mem::take(&mut self.requests) {
            let id = if matches!(unanswered.purpose, Purpose::Isr(_)) { self.next_request() } else { id };
            let request = unanswered.request.clone();
            self.requests.insert(id, unanswered);
            self.send(controller, PeerMessage::ToController { id, request });
        }
    }

    /// Whoever waits has waited long enough.
    pub(crate) fn give_up_request(&mut self, id: u64) {
        match self.requests.remove(&id).map(|unanswered| unanswered.purpose) {
            Some(Purpose::Client(call)) => {
                let reason = format!("the controller did not answer {:?} in {FORWARD_TIMEOUT_MS} ms", call.api);
                self.hang_up(call.token.connection, reason);
            }
            Some(Purpose::ProducerIds) => api::init_producer_id::refused(self),
            _ => {}
        }
    }

    /// Nobody is there any more who would read the answers.
    pub(crate) fn forget_requests_of(&mut self, connection: ConnectionId) {
        self.requests.retain(
            |_, unanswered| !matches!(&unanswered.purpose, Purpose::Client(call) if call.token.connection == connection),
        );
    }

    /// On the controller: somebody asks.
    pub(crate) fn on_controller_request(&mut self, now: Now, from: BrokerId, id: u64, request: ControllerRequest) {
        let Some(controller) = &mut self.controller else {
            if self.quorum.leads() {
                // It will be active in a moment, when the first record of its epoch is committed.
                return self.early_requests.push((from, id, request));
            }
            let response = ControllerResponse::NotController;
            return self.send(from, PeerMessage::FromController { id, response });
        };
        let response = match request {
            ControllerRequest::Register(registration) => controller.register(now, registration),
            ControllerRequest::Heartbeat { epoch, metadata_end } => {
                controller.heartbeat(now, from, epoch, metadata_end)
            }
            ControllerRequest::AlterPartition { broker_epoch, partitions } => {
                controller.alter_partitions(from, broker_epoch, partitions)
            }
            ControllerRequest::AllocateProducerIds { broker_epoch } => {
                controller.allocate_producer_ids(from, broker_epoch)
            }
            ControllerRequest::Forward { api, version, request } => {
                match api::lookup(api as i16).map(|it| it.handler) {
                    Some(api::Handler::Controller(handle)) => {
                        ControllerResponse::Forwarded(Box::new(handle(controller, now, version, *request)))
                    }
                    Some(api::Handler::QuorumLeader(handle)) => {
                        ControllerResponse::Forwarded(Box::new(handle(self, now, version, *request)))
                    }
                    _ => ControllerResponse::NotController,
                }
            }
        };
        self.append_decided(now);
        let offset = self.quorum.log.end();
        if let Some(controller) = &mut self.controller {
            controller.pending.push_back(PendingReply { offset, to: from, id, response });
            self.answer_committed();
        }
    }

    /// Appends what the controller has decided, as one batch.
    pub(crate) fn append_decided(&mut self, now: Now) {
        let Some(controller) = &mut self.controller else { return };
        let records = std::mem::take(&mut controller.decided);
        if records.is_empty() {
            return;
        }
        let batch =
            records.iter().fold(BatchBuilder::new(now.wall_ms), |batch, record| batch.keyless(&codec::encode(record)));
        if !self.append_to_quorum(now, batch.finish()) {
            // What it decided is in its memory but not in its log: it must not decide anything more.
            self.resign(now);
        }
    }

    /// Answers whose records are committed leave.
    pub(crate) fn answer_committed(&mut self) {
        let high_watermark = self.quorum.log.high_watermark();
        let Some(controller) = &mut self.controller else { return };
        let mut answers = Vec::new();
        while controller.pending.front().is_some_and(|reply| reply.offset <= high_watermark) {
            answers.extend(controller.pending.pop_front());
        }
        let mut events = Vec::new();
        while controller.events.front().is_some_and(|(offset, _)| *offset <= high_watermark) {
            events.extend(controller.events.pop_front());
        }
        events.into_iter().for_each(|(_, event)| self.event(event));
        for PendingReply { to, id, response, .. } in answers {
            self.send(to, PeerMessage::FromController { id, response });
        }
    }

    /// The quorum's leader becomes the active controller once everything before its epoch is committed and replayed.
    pub(crate) fn maybe_activate(&mut self, now: Now) {
        let crate::quorum::state::Role::Leader { epoch_start, .. } = self.quorum.role else { return };
        if self.controller.is_some() || self.image.end <= epoch_start || self.image.end < self.quorum.log.end() {
            return;
        }
        let epoch = self.quorum.epoch;
        let rng = ChaCha8Rng::seed_from_u64(self.rng.next_u64());
        let controller = Controller::new(self.config.clone(), self.image.clone(), rng, now);
        self.timers.set(Timer::Sessions, controller.first_session_end(now));
        self.controller = Some(controller);
        self.event(Event::ControllerElected { epoch });
        for (from, id, request) in std::mem::take(&mut self.early_requests) {
            self.on_controller_request(now, from, id, request);
        }
    }

    /// The node is the active controller no longer. Whoever waits for it asks the next one.
    pub(crate) fn abdicate(&mut self) {
        self.timers.cancel(&Timer::Sessions);
        let early = std::mem::take(&mut self.early_requests).into_iter().map(|(from, id, _)| (from, id));
        let pending = self.controller.take().into_iter().flat_map(|controller| controller.pending);
        let unanswered: Vec<(BrokerId, u64)> = early.chain(pending.map(|reply| (reply.to, reply.id))).collect();
        for (to, id) in unanswered {
            self.send(to, PeerMessage::FromController { id, response: ControllerResponse::NotController });
        }
    }

    pub(crate) fn on_sessions_timer(&mut self, now: Now) {
        let Some(controller) = &mut self.controller else { return };
        controller.fence_silent(now);
        self.append_decided(now);
        if let Some(controller) = &self.controller {
            self.timers.set(Timer::Sessions, controller.first_session_end(now));
        }
    }

    /// The controller answers.
    pub(crate) fn on_controller_response(&mut self, now: Now, id: u64, response: ControllerResponse) {
        if matches!(response, ControllerResponse::NotController) {
            if self.requests.contains_key(&id) {
                self.set_resend_timer(now, BACKOFF_MS);
            }
            return;
        }
        let Some(Unanswered { purpose, .. }) = self.requests.remove(&id) else { return };
        self.timers.cancel(&Timer::Request(id));
        match (purpose, response) {
            (Purpose::Client(call), ControllerResponse::Forwarded(response)) => {
                let response: ResponseKind = *response;
                self.reply(call.token, response);
            }
            (Purpose::Lifecycle, response) => self.on_lifecycle_response(now, &response),
            (Purpose::Isr(changes), response) => self.on_isr_response(changes, response),
            (Purpose::ProducerIds, ControllerResponse::ProducerIds { first, count }) => {
                api::init_producer_id::receive(self, now, first, count);
            }
            (Purpose::ProducerIds, _) => api::init_producer_id::refused(self),
            (Purpose::Client(_) | Purpose::Nobody, _) => {}
        }
    }
}
