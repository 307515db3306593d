//! The state machine: one input in, effects out.
//!
//! Owns a node's state and the order in which things happen: an input is handled, due timers fire, partitions whose
//! high watermark moved wake who waits for them. What each request means is in `api/`.

use crate::api::{self, Call, Effect};
use crate::config::{NodeConfig, topic};
use crate::fetch_session::FetchSessions;
use crate::group::Groups;
use crate::io::{Event, Input, Output, PeerMessage, RequestToken};
use crate::log::partition::{Partition, PartitionId};
use crate::log::store::LogStore;
use crate::metadata::controller::Controller;
use crate::metadata::image::Image;
use crate::metadata::record::{BrokerRegistration, ConfigResource, MetadataRecord};
use crate::purgatory::{Purgatory, Waiting};
use crate::timers::{Timer, Timers};
use crate::types::{BrokerId, ConnectionId, Now, ProducerId, TopicPartition};
use crate::wire::response::Response;
use kafka_protocol::messages::{RequestKind, ResponseKind};
use kafka_protocol::protocol::StrBytes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::{BTreeMap, VecDeque};

/// How long a forwarded request may take, `request.timeout.ms` of the channel between broker and controller.
const FORWARD_TIMEOUT_MS: i64 = 30_000;

/// Producer ids that this node may hand out.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    pub(crate) next: i64,
    pub(crate) end: i64,
    /// Whether a block is on its way.
    pub(crate) asked: bool,
    /// Requests that wait for it.
    pub(crate) waiting: Vec<Call>,
}

/// One KRaft node.
pub struct Node {
    pub(crate) config: NodeConfig,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) store: Box<dyn LogStore>,
    pub(crate) image: Image,
    pub(crate) controller: Option<Controller>,
    pub(crate) partitions: BTreeMap<PartitionId, Partition>,
    pub(crate) purgatory: Purgatory,
    pub(crate) sessions: FetchSessions,
    pub(crate) groups: Groups,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) timers: Timers,
    /// Partitions whose high watermark moved in this step.
    pub(crate) moved: Vec<PartitionId>,
    /// Requests for a coordinator that wait for `__consumer_offsets` to exist.
    pub(crate) waiting_for_offsets_topic: Vec<(Call, RequestKind)>,
    pub(crate) offsets_topic_asked: bool,
    /// Requests that the controller is to answer.
    forwards: BTreeMap<u64, Call>,
    forward_next: u64,
    outputs: VecDeque<Output>,
    started: bool,
}

impl Node {
    /// A node that knows nothing yet; its first input makes it register.
    #[must_use]
    pub fn new(config: NodeConfig, store: Box<dyn LogStore>, seed: u64) -> Self {
        let controller = (config.controller() == config.id).then(Controller::default);
        let sessions = FetchSessions::new(config.fetch_sessions_max);
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed ^ u64::from(config.id.0.unsigned_abs())),
            store,
            image: Image::default(),
            controller,
            partitions: BTreeMap::new(),
            purgatory: Purgatory::default(),
            sessions,
            groups: Groups::default(),
            producer_ids: ProducerIds::default(),
            timers: Timers::default(),
            moved: Vec::new(),
            waiting_for_offsets_topic: Vec::new(),
            offsets_topic_asked: false,
            forwards: BTreeMap::new(),
            forward_next: 0,
            outputs: VecDeque::new(),
            started: false,
            config,
        }
    }

    /// This node's id.
    #[must_use]
    pub fn id(&self) -> BrokerId {
        self.config.id
    }

    /// Lets something happen. Effects wait in [`Self::poll_output`].
    pub fn receive(&mut self, now: Now, input: Input) {
        if !self.started {
            self.started = true;
            self.start(now);
        }
        match input {
            Input::Request { token, client_host, frame } => {
                let (api, version) = (frame.reply.key, frame.reply.version);
                let call = Call { api, now, token, version, client_id: frame.client_id, client_host };
                self.dispatch(call, frame.request);
            }
            Input::Disconnected(connection) => self.forget(connection),
            Input::Peer { from, message } => self.peer(now, from, message),
            Input::Tick => {}
        }
        while let Some(timer) = self.timers.pop_due(now.monotonic_ns) {
            self.fire(now, timer);
        }
        self.wake_watchers(now);
    }

    /// The next effect, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the node wants to be called even if nothing happens, in monotonic nanoseconds.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.timers.next()
    }

    fn start(&mut self, now: Now) {
        let registration = BrokerRegistration {
            id: self.config.id,
            host: StrBytes::from_string(self.config.host.clone()),
            port: self.config.port,
        };
        self.send_to_controller(now, PeerMessage::Register(registration));
        if self.controller.is_none() {
            self.send_to_controller(now, PeerMessage::FetchMetadata { from: self.image.end });
        }
    }

    pub(crate) fn send_to_controller(&mut self, now: Now, message: PeerMessage) {
        let controller = self.config.controller();
        if controller == self.config.id {
            self.peer(now, controller, message);
        } else {
            self.send(controller, message);
        }
    }

    pub(crate) fn send(&mut self, to: BrokerId, message: PeerMessage) {
        self.outputs.push_back(Output::Send { to, message });
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(crate) fn unsupported(&mut self, what: impl Into<String>) {
        self.event(Event::Unsupported { what: what.into() });
    }

    pub(crate) fn reply(&mut self, token: RequestToken, response: impl Into<Response>) {
        self.outputs.push_back(Output::Reply { token, response: response.into() });
    }

    /// Calls the handler of a request, or hands it to the controller.
    pub(crate) fn dispatch(&mut self, call: Call, request: RequestKind) {
        let Some(entry) = api::lookup(call.api as i16) else {
            let reason = format!("no handler for {:?}", call.api);
            return self.outputs.push_back(Output::HangUp { connection: call.token.connection, reason });
        };
        match entry.handler {
            api::Handler::Local(handle) => {
                let effect = handle(self, &call, request);
                self.apply(&call, effect);
            }
            api::Handler::Controller(handle) => {
                if self.controller.is_some() {
                    let response = handle(self, call.now, call.version, request);
                    self.reply(call.token, response);
                } else {
                    self.forward(call, request);
                }
            }
        }
    }

    fn apply(&mut self, call: &Call, effect: Effect) {
        match effect {
            Effect::Reply(response) => self.reply(call.token, response),
            Effect::NoReply => self.outputs.push_back(Output::NoReply { token: call.token }),
            Effect::HangUp(reason) => {
                self.outputs.push_back(Output::HangUp { connection: call.token.connection, reason });
            }
            Effect::Wait => {}
        }
    }

    fn forward(&mut self, call: Call, request: RequestKind) {
        let id = self.forward_next;
        self.forward_next += 1;
        self.timers.set(Timer::Forward(id), call.now.after_ms(FORWARD_TIMEOUT_MS));
        let (now, api, version) = (call.now, call.api, call.version);
        let message = PeerMessage::Forward { id, api, version, request: Box::new(request) };
        self.forwards.insert(id, call);
        self.send_to_controller(now, message);
    }

    fn forget(&mut self, connection: ConnectionId) {
        for id in self.purgatory.of_connection(connection) {
            if let Some(waiting) = self.purgatory.take(id) {
                self.timers.cancel(&Timer::Wait(id));
                self.unwatch(id, &waiting);
            }
        }
        self.waiting_for_offsets_topic.retain(|(call, _)| call.token.connection != connection);
        self.producer_ids.waiting.retain(|call| call.token.connection != connection);
    }

    fn peer(&mut self, now: Now, from: BrokerId, message: PeerMessage) {
        match message {
            PeerMessage::Register(registration) => {
                self.append_metadata(now, &[MetadataRecord::RegisterBroker(registration)]);
            }
            PeerMessage::FetchMetadata { from: offset } => {
                if let Some(controller) = &mut self.controller
                    && let Some(reply) = controller.fetch(from, offset)
                {
                    self.send(from, reply);
                }
            }
            PeerMessage::Metadata { base, records } => {
                if base == self.image.end {
                    for record in &records {
                        self.replay(now, record);
                    }
                }
                self.send_to_controller(now, PeerMessage::FetchMetadata { from: self.image.end });
            }
            PeerMessage::Forward { id, api, version, request } => {
                if self.controller.is_some()
                    && let Some(api::Handler::Controller(handle)) = api::lookup(api as i16).map(|entry| entry.handler)
                {
                    let response = handle(self, now, version, *request);
                    self.send(from, PeerMessage::Forwarded { id, response: Box::new(response) });
                }
            }
            PeerMessage::Forwarded { id, response } => {
                if let Some(call) = self.forwards.remove(&id) {
                    self.timers.cancel(&Timer::Forward(id));
                    self.reply(call.token, *response);
                }
            }
            PeerMessage::AllocateProducerIds => {
                let (first, count) = self.allocate_producer_ids(now);
                let message = PeerMessage::ProducerIds { first: ProducerId(first), count };
                if from == self.config.id {
                    self.peer(now, from, message);
                } else {
                    self.send(from, message);
                }
            }
            PeerMessage::ProducerIds { first, count } => {
                self.producer_ids.next = first.0;
                self.producer_ids.end = first.0 + count;
                self.producer_ids.asked = false;
                for call in std::mem::take(&mut self.producer_ids.waiting) {
                    let response = api::init_producer_id::assign(self, call.now);
                    if let Some(response) = response {
                        self.reply(call.token, ResponseKind::from(response));
                    } else {
                        self.producer_ids.waiting.push(call);
                    }
                }
            }
        }
    }

    /// Replays one metadata record and does what it means for this node.
    pub(crate) fn replay(&mut self, now: Now, record: &MetadataRecord) {
        let removed = match record {
            MetadataRecord::RemoveTopic { id } => self.image.names.get(id).cloned(),
            _ => None,
        };
        self.image.apply(record);
        match record {
            MetadataRecord::RegisterBroker(registration) if registration.id == self.config.id => {
                self.event(Event::Registered(registration.id));
            }
            MetadataRecord::Partition { topic, index, state } if state.leader == Some(self.config.id) => {
                let Some(name) = self.image.names.get(topic).cloned() else {
                    return;
                };
                let limits = topic::limits(self.image.topic_settings(&name));
                let partition = Partition::new(&mut *self.store, state.leader_epoch, limits);
                self.partitions.insert(PartitionId { topic: *topic, index: *index }, partition);
                self.event(Event::Leads(TopicPartition { topic: name, partition: *index }));
            }
            MetadataRecord::RemoveTopic { id } => {
                self.remove_partitions(now, *id);
                if let Some(name) = removed {
                    self.groups.forget_topic(&name);
                }
            }
            MetadataRecord::Config { resource: ConfigResource::Topic(name), .. } => {
                let Some(topic) = self.image.topics.get(name) else {
                    return;
                };
                let limits = topic::limits(self.image.topic_settings(name));
                let all = PartitionId { topic: topic.id, index: 0 }..=PartitionId { topic: topic.id, index: i32::MAX };
                self.partitions.range_mut(all).for_each(|(_, partition)| partition.limits = limits);
            }
            _ => {}
        }
        self.answer_waiting_for_offsets_topic();
    }

    fn remove_partitions(&mut self, now: Now, topic: uuid::Uuid) {
        let all = PartitionId { topic, index: 0 }..=PartitionId { topic, index: i32::MAX };
        let ids: Vec<PartitionId> = self.partitions.range(all).map(|(id, _)| *id).collect();
        for id in ids {
            let Some(mut partition) = self.partitions.remove(&id) else {
                continue;
            };
            // Whoever waits for this partition learns now that it is gone.
            for wait in std::mem::take(&mut partition.watchers) {
                api::fetch::complete(self, now, wait, true);
            }
            partition.remove(&mut *self.store);
        }
    }

    fn answer_waiting_for_offsets_topic(&mut self) {
        if self.waiting_for_offsets_topic.is_empty() || !self.groups.coordinators_are_known(&self.image, &self.config) {
            return;
        }
        for (call, request) in std::mem::take(&mut self.waiting_for_offsets_topic) {
            self.dispatch(call, request);
        }
    }

    fn fire(&mut self, now: Now, timer: Timer) {
        match timer {
            Timer::Wait(id) => match self.purgatory.get(id) {
                Some(Waiting::Fetch(_)) => api::fetch::complete(self, now, id, true),
                Some(Waiting::Produce(_)) => api::produce::complete(self, id, true),
                None => {}
            },
            Timer::Forward(id) => {
                if let Some(call) = self.forwards.remove(&id) {
                    let reason = format!("the controller did not answer {:?} in {FORWARD_TIMEOUT_MS} ms", call.api);
                    self.apply(&call, Effect::HangUp(reason));
                }
            }
            Timer::Session { .. } | Timer::PendingMember { .. } | Timer::Join(_) | Timer::Sync(_) => {
                crate::group::rebalance::on_timer(self, now, timer);
            }
        }
    }

    fn wake_watchers(&mut self, now: Now) {
        while let Some(id) = self.moved.pop() {
            let Some(partition) = self.partitions.get_mut(&id) else {
                continue;
            };
            for wait in std::mem::take(&mut partition.watchers) {
                match self.purgatory.get(wait) {
                    Some(Waiting::Fetch(_)) => api::fetch::complete(self, now, wait, false),
                    Some(Waiting::Produce(_)) => api::produce::complete(self, wait, false),
                    None => {}
                }
            }
        }
    }

    /// Lets a request wait for the high watermarks of its partitions, until a deadline.
    pub(crate) fn wait(&mut self, waiting: Waiting, deadline_ns: u64) {
        let partitions = waiting.partitions();
        let id = self.purgatory.insert(waiting);
        self.timers.set(Timer::Wait(id), deadline_ns);
        self.watch(id, &partitions);
    }

    pub(crate) fn watch(&mut self, id: crate::purgatory::WaitId, partitions: &[PartitionId]) {
        for partition in partitions {
            if let Some(partition) = self.partitions.get_mut(partition)
                && !partition.watchers.contains(&id)
            {
                partition.watchers.push(id);
            }
        }
    }

    pub(crate) fn unwatch(&mut self, id: crate::purgatory::WaitId, waiting: &Waiting) {
        for partition in waiting.partitions() {
            if let Some(partition) = self.partitions.get_mut(&partition) {
                partition.watchers.retain(|watcher| *watcher != id);
            }
        }
    }
}
