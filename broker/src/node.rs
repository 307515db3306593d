//! The state machine: one input in, effects out.
//!
//! Owns a node's state and the order in which things happen: an input is handled, due timers fire, and then whatever
//! follows from it, until nothing more does: high watermarks move, who waits for them is woken, followers and leaders are
//! answered. What each request means is in `api/`; what nodes tell each other in `quorum/`, `replica/` and `controller/`.

use crate::api::{self, Call, Effect};
use crate::config::NodeConfig;
use crate::controller::Controller;
use crate::controller::requests::Unanswered;
use crate::fetch_session::FetchSessions;
use crate::group::{self, Groups};
use crate::io::{Event, Input, Output, RequestToken};
use crate::lifecycle::Lifecycle;
use crate::log::cleaning::schedule::Housekeeping;
use crate::log::partition::Partition;
use crate::log::store::LogStore;
use crate::metadata::image::Image;
use crate::metadata::snapshot::Snapshot;
use crate::peer::{ControllerRequest, IsrChange, PeerMessage};
use crate::purgatory::{Purgatory, WaitId, Waiting, Wake};
use crate::quorum::state::Quorum;
use crate::replica::link::Link;
use crate::replica::serving::Serving;
use crate::timers::{Timer, Timers};
use crate::types::{BrokerId, ConnectionId, Now, PartitionId};
use crate::wire::response::Response;
use kafka_protocol::messages::RequestKind;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

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

/// What a node would have to know before it takes part cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the metadata cannot be read: {reason}")]
pub struct Unreadable {
    /// Why, in the store's words.
    pub reason: String,
}

/// One KRaft node.
pub struct Node {
    pub(crate) config: NodeConfig,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) store: Box<dyn LogStore>,
    pub(crate) image: Image,
    pub(crate) quorum: Quorum,
    /// While this node is the active controller.
    pub(crate) controller: Option<Controller>,
    pub(crate) lifecycle: Lifecycle,
    /// Every replica of this node, leading or following.
    pub(crate) partitions: BTreeMap<PartitionId, Partition>,
    /// Sessions of followers here, and this node's own with its leaders.
    pub(crate) serving: BTreeMap<BrokerId, Serving>,
    pub(crate) links: BTreeMap<BrokerId, Link>,
    pub(crate) purgatory: Purgatory,
    pub(crate) sessions: FetchSessions,
    pub(crate) groups: Groups,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) timers: Timers,
    pub(crate) housekeeping: Housekeeping,
    /// Partitions that grew, or whose high watermark moved, in this step.
    pub(crate) moved: Vec<PartitionId>,
    /// Partitions that this node leads no longer, or leads in a new epoch, since this step.
    pub(crate) deposed: Vec<PartitionId>,
    /// Followers whose held fetch may have an answer, leaders that may have to be asked again.
    pub(crate) answerable: BTreeSet<BrokerId>,
    pub(crate) pumpable: BTreeSet<BrokerId>,
    /// ISR changes to ask the controller for.
    pub(crate) isr_changes: Vec<IsrChange>,
    /// ISR changes that a stale controller could not decide about: to be asked for again after a while.
    pub(crate) isr_again: Vec<IsrChange>,
    /// Whether committed metadata is being replayed: what is committed meanwhile waits its turn.
    pub(crate) replaying: bool,
    /// Requests for a coordinator that wait for `__consumer_offsets` to exist.
    pub(crate) waiting_for_offsets_topic: Vec<(Call, RequestKind)>,
    pub(crate) offsets_topic_asked: bool,
    /// Requests that the controller has not answered.
    pub(crate) requests: BTreeMap<u64, Unanswered>,
    pub(crate) request_next: u64,
    /// Requests to a controller that leads the quorum, but does not know yet what was decided before it.
    pub(crate) early_requests: Vec<(BrokerId, u64, ControllerRequest)>,
    /// Requests of clients that came before this broker had caught up with the metadata.
    pub(crate) before_published: Vec<(Call, RequestKind)>,
    /// Messages of this node to itself.
    own_messages: VecDeque<PeerMessage>,
    outputs: VecDeque<Output>,
    started: bool,
}

impl Node {
    /// As [`Self::open`], on a store that can be read.
    ///
    /// # Panics
    /// Where [`Self::open`] has an error.
    #[must_use]
    pub fn new(config: NodeConfig, store: Box<dyn LogStore>, seed: u64) -> Self {
        Self::open(config, store, seed).expect("the store of this node can be read")
    }

    /// A node with what it finds in its store; its first input makes it look for the others.
    ///
    /// # Errors
    /// When the store cannot read the metadata log, or there is no sense in its snapshot: the node must not take part then.
    pub fn open(config: NodeConfig, mut store: Box<dyn LogStore>, seed: u64) -> Result<Self, Unreadable> {
        let quorum = Quorum::open(&mut *store, &config).map_err(|error| Unreadable { reason: error.to_string() })?;
        let image = quorum.snapshot.as_ref().map_or(Ok(Image::default()), Snapshot::image);
        let image = image.map_err(|error| Unreadable { reason: error.to_string() })?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ u64::from(config.id.0.unsigned_abs()));
        let request_next = rng.next_u64() >> 1;
        Ok(Self {
            sessions: FetchSessions::new(config.fetch_sessions_max),
            lifecycle: Lifecycle::new(&mut rng),
            rng,
            store,
            image,
            quorum,
            controller: None,
            partitions: BTreeMap::new(),
            serving: BTreeMap::new(),
            links: BTreeMap::new(),
            purgatory: Purgatory::default(),
            groups: Groups::default(),
            producer_ids: ProducerIds::default(),
            timers: Timers::default(),
            housekeeping: Housekeeping::default(),
            moved: Vec::new(),
            deposed: Vec::new(),
            answerable: BTreeSet::new(),
            pumpable: BTreeSet::new(),
            isr_changes: Vec::new(),
            isr_again: Vec::new(),
            replaying: false,
            waiting_for_offsets_topic: Vec::new(),
            offsets_topic_asked: false,
            requests: BTreeMap::new(),
            request_next,
            early_requests: Vec::new(),
            before_published: Vec::new(),
            own_messages: VecDeque::new(),
            outputs: VecDeque::new(),
            started: false,
            config,
        })
    }

    /// Ends the node as a crash would: what it had in memory is gone, its store is what it finds when it starts again.
    #[must_use]
    pub fn into_store(self) -> Box<dyn LogStore> {
        self.store
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
            self.start_quorum(now);
            self.start_lifecycle(now);
            self.start_housekeeping(now);
        }
        match input {
            Input::Request { token, client_host, frame } => {
                let (api, version) = (frame.reply.key, frame.reply.version);
                let call = Call { api, now, token, version, client_id: frame.client_id, client_host };
                if self.lifecycle.published {
                    self.dispatch(call, frame.request);
                } else {
                    self.before_published.push((call, frame.request));
                }
            }
            Input::Disconnected(connection) => self.forget(connection),
            Input::Peer { from, message } => self.peer(now, from, message),
            Input::Tick => {}
            Input::ClockMoved => self.on_clock_moved(now),
        }
        while let Some(timer) = self.timers.pop_due(now.monotonic_ns) {
            self.fire(now, timer);
        }
        self.settle(now);
    }

    /// Everything that follows from what happened, until nothing more does.
    fn settle(&mut self, now: Now) {
        loop {
            if let Some(id) = self.deposed.pop() {
                self.wake_watchers(now, id, Wake::NotLeader);
            } else if let Some(id) = self.moved.pop() {
                self.offer_to_followers(id);
                self.wake_watchers(now, id, Wake::Moved);
            } else if let Some(message) = self.own_messages.pop_front() {
                self.peer(now, self.config.id, message);
            } else if let Some(follower) = self.answerable.pop_first() {
                self.answer_replica(follower, false);
            } else if !self.isr_changes.is_empty() {
                self.send_isr_changes(now);
            } else if let Some(leader) = self.pumpable.pop_first() {
                self.pump_link(now, leader);
            } else {
                return;
            }
        }
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

    /// The partition, where this node leads it.
    pub(crate) fn led(&self, id: &PartitionId) -> Option<&Partition> {
        self.partitions.get(id).filter(|partition| partition.leads())
    }

    pub(crate) fn send(&mut self, to: BrokerId, message: PeerMessage) {
        if to == self.config.id {
            self.own_messages.push_back(message);
        } else {
            self.outputs.push_back(Output::Send { to, message });
        }
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

    pub(crate) fn hang_up(&mut self, connection: ConnectionId, reason: String) {
        self.outputs.push_back(Output::HangUp { connection, reason });
    }

    /// Calls the handler of a request, or hands it to the controller.
    pub(crate) fn dispatch(&mut self, call: Call, request: RequestKind) {
        let Some(entry) = api::lookup(call.api as i16) else {
            let reason = format!("no handler for {:?}", call.api);
            return self.hang_up(call.token.connection, reason);
        };
        match entry.handler {
            api::Handler::Local(handle) => {
                let effect = handle(self, &call, request);
                self.apply(&call, effect);
            }
            api::Handler::Controller(_) | api::Handler::QuorumLeader(_) => self.forward(call, request),
        }
    }

    fn apply(&mut self, call: &Call, effect: Effect) {
        match effect {
            Effect::Reply(response) => self.reply(call.token, response),
            Effect::NoReply => self.outputs.push_back(Output::NoReply { token: call.token }),
            Effect::HangUp(reason) => self.hang_up(call.token.connection, reason),
            Effect::Wait => {}
        }
    }

    fn forget(&mut self, connection: ConnectionId) {
        for id in self.purgatory.of_connection(connection) {
            if let Some(waiting) = self.purgatory.take(id) {
                self.timers.cancel(&Timer::Wait(id));
                self.unwatch(id, &waiting);
            }
        }
        self.before_published.retain(|(call, _)| call.token.connection != connection);
        self.waiting_for_offsets_topic.retain(|(call, _)| call.token.connection != connection);
        self.producer_ids.waiting.retain(|call| call.token.connection != connection);
        self.forget_requests_of(connection);
    }

    fn peer(&mut self, now: Now, from: BrokerId, message: PeerMessage) {
        match message {
            PeerMessage::Vote(vote) => self.on_vote(now, from, vote),
            PeerMessage::Voted(voted) => self.on_voted(now, from, voted),
            PeerMessage::BeginEpoch(epoch) => self.on_begin_epoch(now, from, epoch),
            PeerMessage::EndEpoch(epoch) => self.on_end_epoch(now, from, epoch),
            PeerMessage::MetadataFetch(fetch) => self.on_metadata_fetch(now, from, fetch),
            PeerMessage::MetadataFetched(answer) => self.on_metadata_fetched(now, from, answer),
            PeerMessage::ReplicaFetch(fetch) => self.serve_replica(now, from, fetch),
            PeerMessage::ReplicaFetched(answer) => self.replicate(now, from, answer),
            PeerMessage::ToController { id, request } => self.on_controller_request(now, from, id, request),
            PeerMessage::FromController { id, response } => self.on_controller_response(now, id, response),
        }
    }

    fn fire(&mut self, now: Now, timer: Timer) {
        match timer {
            Timer::Wait(id) => self.look_again(now, id, Wake::TimedOut),
            Timer::Request(id) => self.give_up_request(id),
            Timer::Resend => self.resend_to_controller(now),
            Timer::Heartbeat => self.on_heartbeat_timer(now),
            Timer::Sessions => self.on_sessions_timer(now),
            Timer::Lag => self.on_lag_timer(now),
            Timer::HeldFetch(follower) => self.answer_replica(follower, true),
            Timer::Link(leader) => self.restart_link(leader),
            Timer::LinkRetry(leader) => self.retry_link(leader),
            Timer::Election => self.on_election_timer(now),
            Timer::Majority => self.on_majority_timer(now),
            Timer::HeldMetadata(follower) => self.answer_held_metadata(follower, true),
            Timer::MetadataFetch => self.on_metadata_fetch_timer(now),
            Timer::Retention => self.on_retention_timer(now),
            Timer::Cleaner => self.on_cleaner_timer(now),
            Timer::OffsetExpiry => group::expiry::on_timer(self, now),
            Timer::Load(_) => group::loading::on_timer(self, now, timer),
            Timer::OffsetsTopic => api::find_coordinator::on_timer(self),
            Timer::Session { .. } | Timer::PendingMember { .. } | Timer::Join(_) | Timer::Sync(_) => {
                group::rebalance::on_timer(self, now, timer);
            }
        }
    }

    fn look_again(&mut self, now: Now, id: WaitId, wake: Wake) {
        match self.purgatory.get(id) {
            Some(Waiting::Fetch(_)) => api::fetch::complete(self, now, id, wake),
            Some(Waiting::Produce(_)) => api::produce::complete(self, now, id, wake),
            Some(Waiting::Delete(_)) => api::delete_records::complete(self, id, wake),
            Some(Waiting::Group(_)) => group::pending::complete(self, now, id, wake),
            None => {}
        }
    }

    fn wake_watchers(&mut self, now: Now, id: PartitionId, wake: Wake) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        for wait in std::mem::take(&mut partition.watchers) {
            self.look_again(now, wait, wake);
        }
    }

    /// Whoever waits for a partition that is gone learns it now.
    pub(crate) fn wake_for_the_last_time(&mut self, now: Now, watchers: Vec<WaitId>) {
        for wait in watchers {
            self.look_again(now, wait, Wake::Gone);
        }
    }

    /// Lets a request wait for what happens to its partitions, until a deadline.
    pub(crate) fn wait(&mut self, waiting: Waiting, deadline_ns: u64) {
        let partitions = waiting.partitions();
        let id = self.purgatory.insert(waiting);
        self.timers.set(Timer::Wait(id), deadline_ns);
        self.watch(id, &partitions);
    }

    pub(crate) fn watch(&mut self, id: WaitId, partitions: &[PartitionId]) {
        for partition in partitions {
            if let Some(partition) = self.partitions.get_mut(partition)
                && !partition.watchers.contains(&id)
            {
                partition.watchers.push(id);
            }
        }
    }

    pub(crate) fn unwatch(&mut self, id: WaitId, waiting: &Waiting) {
        for partition in waiting.partitions() {
            if let Some(partition) = self.partitions.get_mut(&partition) {
                partition.watchers.retain(|watcher| *watcher != id);
            }
        }
    }
}
