//! What goes where, when, and what became of it: the producer without its clock and its sockets.
//!
//! Rules. Batches of a partition are sent in their order, and one that has to be sent again holds up those that were not sent
//! yet. An idempotent producer numbers the records of a partition (KIP-98); a broker takes the next number or says that it has it
//! already, so that sending again writes nothing twice. A number that will never be written (its batch was refused, or its time
//! was up) breaks the sequence: from then on only batches of which nobody knows whether they were written are sent again, and
//! when all of them have ended the rest goes out under the next epoch, from 0 on (KIP-360). Nobody is renumbered who could be in
//! the log: OUT_OF_ORDER_SEQUENCE_NUMBER proves that a batch is not, as brokers know the last five of each producer again. That
//! holds until the gap before it closes: where that may still happen, whoever a broker may still come to is told as unknown.
//!
//! A batch that ends without an acknowledgement is a failure where every attempt surely wrote nothing; otherwise nobody knows.

use super::batch::{Batch, Stamp};
use super::error_code::{self, Meaning};
use super::frames::Produced;
use super::nodes::{Flight, Nodes};
use super::place_queue::{PlaceQueue, Queued, Stage};
use super::question::Question;
use super::settings::{Acks, Settings};
use shakedown_reports::record::Outcome;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// `RD_KAFKA_RESP_ERR__MSG_TIMED_OUT`, `__TRANSPORT`, `__PURGE_QUEUE` and `__PURGE_INFLIGHT`: the record names errors of clients as
/// librdkafka does.
const TIMED_OUT: i16 = -192;
const TRANSPORT: i16 = -195;
const PURGED: i16 = -152;
const PURGED_IN_FLIGHT: i16 = -151;
/// So much may wait for a connection's socket; behind that batches grow.
const UNWRITTEN_BYTES_MAX: usize = 2 << 20;
/// `OUT_OF_ORDER_SEQUENCE_NUMBER`.
const OUT_OF_ORDER: i16 = 45;

/// What the loop is to do.
#[derive(Debug)]
pub(crate) enum Effect {
    Connect {
        node: i32,
    },
    /// It does not answer.
    Disconnect {
        node: i32,
    },
    Send {
        node: i32,
        correlation: i32,
        place: usize,
        batch: Arc<Batch>,
    },
    AskLeaders,
    AskProducerId,
}

/// A batch that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) place: usize,
    pub(crate) batch: Arc<Batch>,
    pub(crate) outcome: Outcome,
    /// Kafka's code, or librdkafka's where it is the client's own.
    pub(crate) code: i16,
    /// Of its first record; -1 where nobody has said.
    pub(crate) base_offset: i64,
}

/// What the producer is called by brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    /// It is not idempotent.
    None,
    /// It has to ask.
    Wanted,
    Known {
        producer_id: i64,
        epoch: i16,
    },
    /// A number of the sequence will never be written; `new_id` where the next epoch will not do.
    Broken {
        producer_id: i64,
        epoch: i16,
        new_id: bool,
    },
}

/// The producer's state.
#[derive(Debug)]
pub(crate) struct Sender {
    settings: Settings,
    places: Vec<PlaceQueue>,
    nodes: Nodes,
    identity: Identity,
    leaders: Question,
    /// Something went wrong that another leader may be the reason of, or not.
    doubts_leaders: bool,
    producer_id: Question,
    next_correlation: i32,
    next_batch: u64,
    /// Whose turn it is to be sent first.
    turn: usize,
    effects: Vec<Effect>,
    ended: Vec<Ended>,
    /// What brokers have complained about last.
    complaint: Option<String>,
}

impl Sender {
    pub(crate) fn new(settings: Settings, places: usize) -> Self {
        Self {
            identity: if settings.idempotent { Identity::Wanted } else { Identity::None },
            settings,
            places: (0..places).map(|_| PlaceQueue::new()).collect(),
            nodes: Nodes::default(),
            leaders: Question::default(),
            doubts_leaders: false,
            producer_id: Question::default(),
            next_correlation: 0,
            next_batch: 0,
            turn: 0,
            effects: Vec::new(),
            ended: Vec::new(),
            complaint: None,
        }
    }

    /// Takes a complete batch; its time runs from `begun_ns` on.
    pub(crate) fn enqueue(&mut self, place: usize, batch: Arc<Batch>, begun_ns: u64) {
        let deadline = self.settings.delivery_timeout.map(|timeout| begun_ns.saturating_add(nanoseconds(timeout)));
        self.places[place].push(Queued {
            id: self.next_batch,
            batch,
            stage: Stage::Waiting { not_before_ns: 0 },
            deadline_ns: deadline.unwrap_or(u64::MAX),
            attempts: 0,
            sequence: None,
            maybe_written: false,
            is_late: false,
        });
        self.next_batch += 1;
    }

    /// Whether a batch that is complete because it has waited long enough should go on waiting, and growing.
    pub(crate) fn has_waiting(&self, place: usize) -> bool {
        self.places[place].has_waiting()
    }

    /// Whether nothing is left to be done.
    pub(crate) fn is_idle(&self) -> bool {
        self.places.iter().all(PlaceQueue::is_empty)
    }

    /// Whether every partition's leader is connected, and an idempotent producer has its id.
    pub(crate) fn is_ready(&self) -> bool {
        let is_led = |place: &PlaceQueue| !place.is_stale && place.leader.is_some_and(|node| self.nodes.is_up(node));
        self.identity != Identity::Wanted && self.places.iter().all(is_led)
    }

    /// Who leads what, of those partitions that the answer knew.
    pub(crate) fn on_leaders(&mut self, leaders: impl IntoIterator<Item = (usize, i32)>, now_ns: u64) {
        self.leaders.answered(now_ns);
        self.doubts_leaders = false;
        for (place, node) in leaders {
            self.nodes.know(node);
            let place = &mut self.places[place];
            place.leader = Some(node);
            place.is_stale = false;
        }
        let leading: BTreeSet<i32> = self.places.iter().filter_map(|place| place.leader).collect();
        self.nodes.forget_down_but(&leading);
    }

    /// A broker is somewhere else than it was, or somewhere at all: what failed before says nothing.
    pub(crate) fn on_moved(&mut self, node: i32) {
        self.nodes.moved(node);
    }

    /// Nobody has answered who leads what.
    pub(crate) fn on_no_leaders(&mut self, now_ns: u64) {
        self.leaders.answered(now_ns);
    }

    /// The producer's id and epoch; `None` where nobody has answered.
    pub(crate) fn on_producer_id(&mut self, answer: Option<(i64, i16)>, now_ns: u64) {
        self.producer_id.answered(now_ns);
        if let Some((producer_id, epoch)) = answer {
            self.begin_identity(producer_id, epoch);
        }
    }

    pub(crate) fn on_connected(&mut self, node: i32) {
        self.nodes.connected(node);
    }

    /// A connection is gone, or could not be made: nobody knows of what was out whether it was written.
    pub(crate) fn on_disconnected(&mut self, node: i32, now_ns: u64) {
        let (backoff, most) = (self.settings.reconnect_backoff, self.settings.reconnect_backoff_max);
        for flight in self.nodes.disconnected(node, now_ns, backoff, most) {
            if let Some(queued) = self.places[flight.place].find(flight.batch) {
                queued.is_late = true;
            }
            self.retry(flight.place, flight.batch, true, TRANSPORT, now_ns);
        }
        for place in self.places.iter_mut().filter(|place| place.leader == Some(node)) {
            place.is_stale = true;
        }
    }

    /// An answer; `false` for one that nobody asked for, after which a connection cannot be believed.
    pub(crate) fn on_answer(&mut self, node: i32, correlation: i32, answer: Produced, now_ns: u64) -> bool {
        let Some(Flight { place, batch, .. }) = self.nodes.answered(node, correlation) else { return false };
        let Produced { code, base_offset, text } = answer;
        let meaning = error_code::meaning(code);
        if meaning != Meaning::Written {
            let text = text.map_or_else(String::new, |text| format!(": {text}"));
            self.complaint = Some(format!("{}{text}", error_code::name(code)));
        }
        // Its time was up before: it has ended already.
        let Some(queued) = self.places[place].find(batch) else { return true };
        let was_unsure = queued.maybe_written;
        match meaning {
            Meaning::Written => {
                self.places[place].is_begun = true;
                self.end(place, batch, Outcome::Ok, 0, base_offset);
            }
            Meaning::RetryUnwritten | Meaning::RetryUnsure => {
                self.places[place].is_stale |= error_code::is_about_leaders(code);
                self.doubts_leaders = true;
                self.retry(place, batch, meaning == Meaning::RetryUnsure, code, now_ns);
            }
            Meaning::OutOfOrder if self.settings.idempotent => {
                self.out_of_order(place, batch, now_ns);
            }
            Meaning::ProducerRefused if self.settings.idempotent => {
                self.break_sequence(true);
                // What is not known under this id is not to be known under another.
                if was_unsure {
                    self.end(place, batch, Outcome::Unknown, code, -1);
                } else {
                    self.retry(place, batch, false, code, now_ns);
                }
            }
            Meaning::Refused | Meaning::OutOfOrder | Meaning::ProducerRefused => {
                self.give_up(place, batch, code);
            }
            Meaning::Lost => {
                queued.maybe_written = true;
                self.give_up(place, batch, code);
            }
        }
        true
    }

    /// A request is with the operating system. Where nobody answers more was not asked of it.
    pub(crate) fn on_written(&mut self, node: i32, correlation: i32, now_ns: u64) {
        self.nodes.written(node, correlation, now_ns);
        if self.settings.acks == Acks::None
            && let Some(Flight { place, batch, .. }) = self.nodes.answered(node, correlation)
        {
            self.end(place, batch, Outcome::Ok, 0, -1);
        }
    }

    /// Whether somebody should say who leads what: a leader was wrong, or does not answer, or a long time has passed.
    fn wants_leaders(&self, now_ns: u64) -> bool {
        let is_down = |place: &PlaceQueue| place.leader.is_none_or(|node| !self.nodes.is_up(node));
        let wants = |place: &PlaceQueue| place.is_stale || (!place.is_empty() && is_down(place));
        self.doubts_leaders || self.leaders.is_old(now_ns) || self.places.iter().any(wants)
    }

    /// Does whatever is due; [`Self::effects`] and [`Self::ended`] tell what that was.
    pub(crate) fn advance(&mut self, now_ns: u64) {
        for place in 0..self.places.len() {
            while let Some(batch) = self.places[place].expired(now_ns) {
                let queued = self.places[place].find(batch).expect("it was found");
                queued.maybe_written |= queued.stage == Stage::InFlight;
                self.give_up(place, batch, TIMED_OUT);
            }
        }
        for node in self.nodes.overdue(now_ns, nanoseconds(self.settings.socket_timeout)) {
            self.complaint = Some(format!("node {node} has not answered for {:?}", self.settings.socket_timeout));
            self.effects.push(Effect::Disconnect { node });
            self.on_disconnected(node, now_ns);
        }
        self.mend_sequence();
        self.effects.extend(self.nodes.connect(now_ns).into_iter().map(|node| Effect::Connect { node }));
        if self.wants_leaders(now_ns) && self.leaders.ask(now_ns) {
            self.effects.push(Effect::AskLeaders);
        }
        if self.identity == Identity::Wanted && self.producer_id.ask(now_ns) {
            self.effects.push(Effect::AskProducerId);
        }
        // Nobody is always the first.
        self.turn = self.turn.wrapping_add(1);
        for number in 0..self.places.len() {
            let place = (self.turn.wrapping_add(number)) % self.places.len();
            while self.send_next(place, now_ns) {}
        }
    }

    /// What the loop is to do, once.
    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// What has ended, once.
    pub(crate) fn ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    /// What brokers have complained about, once.
    pub(crate) fn complaint(&mut self) -> Option<String> {
        self.complaint.take()
    }

    /// When [`Self::advance`] has something to do without anything else happening.
    pub(crate) fn next_deadline_ns(&self, now_ns: u64) -> Option<u64> {
        let places = self.places.iter().filter_map(|place| place.next_deadline_ns(now_ns)).min();
        let nodes = self.nodes.next_deadline_ns(nanoseconds(self.settings.socket_timeout));
        let leaders = self.wants_leaders(now_ns).then(|| self.leaders.next_ns()).flatten();
        let producer_id = (self.identity == Identity::Wanted).then(|| self.producer_id.next_ns()).flatten();
        [places, nodes, leaders, producer_id].into_iter().flatten().min()
    }

    /// Ends everything, as nobody waits any longer.
    pub(crate) fn purge(&mut self) {
        for place in 0..self.places.len() {
            let all: Vec<u64> = self.places[place].iter().map(|queued| queued.id).collect();
            for batch in all {
                let queued = self.places[place].find(batch).expect("it was listed");
                let is_in_flight = queued.stage == Stage::InFlight;
                queued.maybe_written |= is_in_flight;
                self.give_up(place, batch, if is_in_flight { PURGED_IN_FLIGHT } else { PURGED });
            }
        }
    }

    fn send_next(&mut self, place: usize, now_ns: u64) -> bool {
        let queue = &mut self.places[place];
        let Some(node) = queue.leader.filter(|node| !queue.is_stale && self.nodes.is_up(*node)) else { return false };
        if self.nodes.in_flight(node) >= self.settings.in_flight || self.nodes.unwritten(node) >= UNWRITTEN_BYTES_MAX {
            return false;
        }
        let (producer, only_unresolved) = match self.identity {
            Identity::None => (None, false),
            Identity::Wanted => return false,
            Identity::Known { producer_id, epoch } => (Some((producer_id, epoch)), false),
            Identity::Broken { producer_id, epoch, .. } => (Some((producer_id, epoch)), true),
        };
        let may_number = queue.may_number();
        let Some(queued) = queue.next(now_ns, only_unresolved) else { return false };
        let is_first = queued.sequence.is_none();
        if is_first && producer.is_some() && !may_number {
            return false;
        }
        let (id, records) = (queued.id, queued.batch.len());
        if is_first {
            let sequence = producer.map(|_| queue.take_sequence(records));
            let stamp = producer.zip(sequence).map_or(Stamp::NONE, |((producer_id, epoch), place)| Stamp {
                producer_id,
                epoch,
                sequence: place.sequence,
            });
            let queued = queue.find(id).expect("it was found");
            queued.sequence = sequence;
            if queued.attempts == 0 || sequence.is_some() {
                // Copied where the writer of a connection that is gone still holds it.
                Arc::make_mut(&mut queued.batch).stamp(stamp);
            }
        }
        let batch = Arc::clone(&queue.find(id).expect("it was found").batch);
        queue.fly(id);
        let correlation = self.next_correlation;
        self.next_correlation = self.next_correlation.wrapping_add(1) & i32::MAX;
        let bytes = batch.size();
        self.effects.push(Effect::Send { node, correlation, place, batch });
        self.nodes.sent(node, Flight { correlation, place, batch: id, sent_ns: now_ns, unwritten: bytes });
        true
    }

    /// A broker misses what went before a batch.
    fn out_of_order(&mut self, place: usize, batch: u64, now_ns: u64) {
        let is_broken = matches!(self.identity, Identity::Broken { .. });
        let queue = &mut self.places[place];
        let (is_behind, has_unsure_gap) = (queue.is_behind_another(batch, is_broken), queue.has_unsure_gap);
        let Some(queued) = queue.find(batch) else { return };
        // Where a broker may still come to it, that it was not written is proved only with what it misses.
        queued.maybe_written &= is_behind && queued.is_late;
        let is_lost = !is_behind && queued.is_late && has_unsure_gap;
        if !is_behind {
            self.break_sequence(false);
        }
        if is_lost {
            return self.end(place, batch, Outcome::Unknown, OUT_OF_ORDER, -1);
        }
        self.retry(place, batch, false, OUT_OF_ORDER, now_ns);
    }

    /// An attempt was in vain; `unsure` where it may have written.
    fn retry(&mut self, place: usize, batch: u64, unsure: bool, code: i16, now_ns: u64) {
        let Some(queued) = self.places[place].find(batch) else { return };
        queued.maybe_written |= unsure;
        queued.attempts += 1;
        let attempts = queued.attempts;
        let pause = self.settings.retry_backoff.saturating_mul(1 << (attempts - 1).min(16));
        let pause = pause.min(self.settings.retry_backoff_max.max(self.settings.retry_backoff));
        self.places[place].land(batch, now_ns.saturating_add(nanoseconds(pause)));
        if attempts > self.settings.retries {
            self.give_up(place, batch, code);
        }
    }

    /// A batch ends without an acknowledgement.
    fn give_up(&mut self, place: usize, batch: u64, code: i16) {
        let Some(queued) = self.places[place].find(batch) else { return };
        let outcome = if queued.maybe_written || queued.is_late { Outcome::Unknown } else { Outcome::Fail };
        let was_numbered = queued.sequence.is_some();
        self.end(place, batch, outcome, code, -1);
        if was_numbered {
            self.places[place].has_unsure_gap |= outcome == Outcome::Unknown;
            self.break_sequence(false);
        }
    }

    fn end(&mut self, place: usize, batch: u64, outcome: Outcome, code: i16, base_offset: i64) {
        if let Some(Queued { batch, .. }) = self.places[place].remove(batch) {
            self.ended.push(Ended { place, batch, outcome, code, base_offset });
        }
    }

    fn break_sequence(&mut self, refused: bool) {
        match self.identity {
            Identity::Known { producer_id, epoch } => {
                self.identity = Identity::Broken { producer_id, epoch, new_id: refused || epoch == i16::MAX };
            }
            Identity::Broken { producer_id, epoch, new_id } => {
                self.identity = Identity::Broken { producer_id, epoch, new_id: new_id || refused };
            }
            Identity::None | Identity::Wanted => {}
        }
    }

    /// Begins the next epoch, once nobody is left of whom it is not known whether he was written.
    fn mend_sequence(&mut self) {
        let Identity::Broken { producer_id, epoch, new_id } = self.identity else { return };
        if self.places.iter().flat_map(PlaceQueue::iter).any(Queued::is_unresolved) {
            return;
        }
        for place in 0..self.places.len() {
            // A gap that closes late lets in what is late behind it, and the next epoch would write that once more.
            if new_id || self.places[place].has_unsure_gap {
                for batch in self.places[place].late() {
                    self.end(place, batch, Outcome::Unknown, TIMED_OUT, -1);
                }
            }
        }
        if new_id {
            self.identity = Identity::Wanted;
        } else {
            self.begin_identity(producer_id, epoch + 1);
        }
    }

    fn begin_identity(&mut self, producer_id: i64, epoch: i16) {
        self.identity = Identity::Known { producer_id, epoch };
        self.places.iter_mut().for_each(PlaceQueue::restart_sequence);
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
