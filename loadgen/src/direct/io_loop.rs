//! The delivery thread of a lane that sends by itself: sockets, time, and the record, for what [`super::sender`] decides.

use super::accumulator::{Accumulator, Complete};
use super::batch::Batch;
use super::connection::{Connection, ConnectionError, Event, Outgoing, Said, Wiring};
use super::control::{self, Control, Leaders};
use super::error_code;
use super::frames::{self, ProduceHead};
use super::layout::Layout;
use super::sender::{Effect, Ended, Sender};
use super::settings::Settings;
use super::target::DirectTarget;
use crate::clock::RunClock;
use crate::pacer::PacerState;
use crate::ready::Ready;
use crate::recorder::{End, Recorder};
use crate::stop::{Patience, StopFlag};
use shakedown_reports::record::Outcome;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How often the loop looks around although nothing has happened: whether the pacer is done, or somebody has stopped the load.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long somebody may take to answer a question before another is asked.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(5);
/// Complete batches are taken so often before sockets have their turn.
const ROUNDS: u32 = 2;
/// How often an idle stream of operations is handed to the operating system.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// What a producer is made from.
pub(crate) struct DirectClientParts {
    pub(crate) bootstrap: String,
    pub(crate) settings: Settings,
    /// Every topic, and how many partitions it has.
    pub(crate) topics: Vec<(String, usize)>,
    /// How many messages it may hold.
    pub(crate) queue_messages: u32,
    pub(crate) clock: RunClock,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) state: Arc<PacerState>,
    pub(crate) flush_timeout: Duration,
    pub(crate) stop: StopFlag,
}

/// A producer, before it runs.
pub(crate) struct DirectClient {
    runtime: tokio::runtime::Runtime,
    parts: DirectClientParts,
    accumulator: Arc<Accumulator>,
    layout: Arc<Layout>,
    ready: Arc<Ready>,
}

impl DirectClient {
    pub(crate) fn new(mut parts: DirectClientParts) -> io::Result<Self> {
        let layout = Arc::new(Layout::new(std::mem::take(&mut parts.topics)));
        let accumulator = Arc::new(Accumulator::new(&parts.settings, layout.places(), parts.queue_messages));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, parts, accumulator, layout, ready: Arc::new(Ready::new(false)) })
    }

    /// The pacer's end, which does not know yet what it is called.
    pub(crate) fn target(&self) -> DirectTarget {
        let (accumulator, layout) = (Arc::clone(&self.accumulator), Arc::clone(&self.layout));
        let recorder = Arc::clone(&self.parts.recorder);
        DirectTarget::new(accumulator, layout, self.parts.settings.partitioner, recorder)
    }

    /// Tells when it may send: every leader is connected, and it has its id where it needs one.
    pub(crate) fn ready(&self) -> Arc<Ready> {
        Arc::clone(&self.ready)
    }

    /// Sends until the pacer is done and everything has ended, or patience has.
    pub(crate) fn run(self) {
        let Self { runtime, parts, accumulator, layout, ready } = self;
        let held = Arc::clone(&accumulator);
        runtime.block_on(async { Loop::new(parts, accumulator, layout, ready).run().await });
        debug_assert!(held.is_empty(), "a message has not ended");
        // Names that are being looked up are nobody's concern any more.
        runtime.shutdown_background();
    }
}

/// An answer to a question that was asked on a connection of its own.
enum Answer {
    Leaders(Result<Leaders, ConnectionError>),
    ProducerId(Result<Result<(i64, i16), i16>, ConnectionError>),
}

struct Loop {
    parts: DirectClientParts,
    accumulator: Arc<Accumulator>,
    layout: Arc<Layout>,
    ready: Arc<Ready>,
    sender: Sender,
    wiring: Wiring,
    said: UnboundedReceiver<Said>,
    answer: UnboundedSender<Answer>,
    answers: UnboundedReceiver<Answer>,
    /// Of brokers, as the last answer had them.
    addresses: BTreeMap<i32, String>,
    connections: BTreeMap<i32, Connection>,
    next_connection: u64,
    /// How often somebody was asked something.
    asked: usize,
    /// When what is being recorded was acknowledged.
    at_ns: u64,
}

impl Loop {
    fn new(parts: DirectClientParts, accumulator: Arc<Accumulator>, layout: Arc<Layout>, ready: Arc<Ready>) -> Self {
        let (say, said) = unbounded_channel();
        let (answer, answers) = unbounded_channel();
        let wiring = Wiring {
            said: say,
            clock: parts.clock,
            client_id: parts.settings.client_id.clone(),
            timeout: parts.settings.setup_timeout,
        };
        Self {
            sender: Sender::new(parts.settings.clone(), layout.places()),
            at_ns: parts.clock.now_ns(),
            parts,
            accumulator,
            layout,
            ready,
            wiring,
            said,
            answer,
            answers,
            addresses: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            asked: 0,
        }
    }

    async fn run(mut self) {
        let mut patience = None;
        let mut flushed = Instant::now();
        loop {
            // Before what is taken: nothing is pushed any more once this is seen.
            let is_done = self.parts.state.done.load(Ordering::Acquire);
            let now_ns = self.parts.clock.now_ns();
            self.at_ns = now_ns;
            self.advance(now_ns);
            let mut lingers_ns = None;
            for _ in 0..ROUNDS {
                let took;
                (took, lingers_ns) = self.take(is_done);
                if !took {
                    break;
                }
                // What is sent makes room for what has grown behind it.
                self.advance(now_ns);
            }
            if is_done && self.sender.is_idle() {
                break;
            }
            if is_done {
                let patience = patience.get_or_insert_with(|| Patience::new(self.parts.flush_timeout));
                if patience.is_over(&self.parts.stop) {
                    self.sender.purge();
                    self.record_ended();
                    break;
                }
            }
            if flushed.elapsed() >= FLUSH_EVERY {
                self.parts.recorder.flush();
                flushed = Instant::now();
            }
            self.wait(now_ns, lingers_ns).await;
            // Where there is always something to do sockets have to have their turn all the same.
            tokio::task::yield_now().await;
        }
    }

    /// Hands complete batches on; whether there were any, and when the next will have lingered.
    fn take(&mut self, everything: bool) -> (bool, Option<u64>) {
        // Read now: what was begun meanwhile lingers from then on.
        let now_ns = self.parts.clock.now_ns();
        let (complete, lingers_ns) = self.accumulator.take(now_ns, everything, |place| self.sender.has_waiting(place));
        let took = !complete.is_empty();
        for Complete { place, mut batch, begun_ns } in complete {
            let size = batch.size();
            if self.parts.settings.compresses {
                batch.compress();
            }
            self.sender.enqueue(place, Arc::new(batch.of_size(size)), begun_ns);
        }
        (took, lingers_ns)
    }

    fn advance(&mut self, now_ns: u64) {
        self.sender.advance(now_ns);
        for effect in self.sender.effects() {
            self.perform(effect);
        }
        self.record_ended();
        if let Some(complaint) = self.sender.complaint() {
            self.parts.recorder.complain(complaint);
        }
        if self.sender.is_ready() {
            self.ready.set();
        }
    }

    /// Sleeps until something is to be done, and hears what has happened meanwhile.
    async fn wait(&mut self, now_ns: u64, lingers_ns: Option<u64>) {
        let deadline_ns = self.sender.next_deadline_ns(now_ns).into_iter().chain(lingers_ns).min();
        // What was done meanwhile took its time.
        let now_ns = self.parts.clock.now_ns();
        let pause = deadline_ns.map_or(LOOK_EVERY, |deadline| Duration::from_nanos(deadline.saturating_sub(now_ns)));
        tokio::select! {
            Some(said) = self.said.recv() => self.hear(said),
            Some(answer) = self.answers.recv() => self.learn(answer),
            () = self.accumulator.wake.notified() => {}
            () = tokio::time::sleep(pause.min(LOOK_EVERY)) => {}
        }
        while let Ok(said) = self.said.try_recv() {
            self.hear(said);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { node } => self.connect(node),
            Effect::Disconnect { node } => drop(self.connections.remove(&node)),
            Effect::Send { node, correlation, place, batch } => self.send(node, correlation, place, batch),
            Effect::AskLeaders => {
                let (control, layout, answer) = (self.control(), Arc::clone(&self.layout), self.answer.clone());
                // Where the loop has ended nobody wants to know.
                tokio::spawn(async move { drop(answer.send(Answer::Leaders(control.leaders(&layout).await))) });
            }
            Effect::AskProducerId => {
                let (control, answer) = (self.control(), self.answer.clone());
                tokio::spawn(async move { drop(answer.send(Answer::ProducerId(control.producer_id().await))) });
            }
        }
    }

    /// Brokers that are known to be there first, then those that the plan names.
    fn control(&mut self) -> Control {
        self.asked = self.asked.wrapping_add(1);
        let connected = self.connections.iter().filter(|(_, connection)| connection.versions.is_some());
        let known = connected.filter_map(|(node, _)| self.addresses.get(node).cloned());
        let mut addresses: Vec<String> = known.collect();
        // Nobody is always asked first: a broker that is cut off from the others still answers, with what it knew.
        if !addresses.is_empty() {
            let first = self.asked % addresses.len();
            addresses.rotate_left(first);
        }
        for address in control::addresses(&self.parts.bootstrap).into_iter().chain(self.addresses.values().cloned()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        let timeout = self.parts.settings.request_timeout.min(CONTROL_TIMEOUT);
        Control { addresses, client_id: self.parts.settings.client_id.clone(), timeout }
    }

    fn connect(&mut self, node: i32) {
        let Some(address) = self.addresses.get(&node).cloned() else {
            self.parts.recorder.complain(format!("nobody knows where node {node} is, which leads partitions"));
            return self.sender.on_disconnected(node, self.parts.clock.now_ns());
        };
        self.next_connection += 1;
        let connection = Connection::open(node, self.next_connection, address, self.wiring.clone());
        self.connections.insert(node, connection);
    }

    fn send(&mut self, node: i32, correlation: i32, place: usize, batch: Arc<Batch>) {
        let Some(connection) = self.connections.get(&node) else { return };
        let version = connection.versions.as_ref().and_then(|versions| versions.produce().ok());
        let version = version.expect("connections without a version in common are given up");
        let (topic, partition) = self.layout.name_of(place);
        let settings = &self.parts.settings;
        let head = ProduceHead {
            client_id: &settings.client_id,
            acks: settings.acks,
            timeout: settings.request_timeout,
            topic,
            partition,
        };
        let frame = frames::produce(head, version, correlation, batch.size());
        connection.send(Outgoing { head: frame.head, batch, tail: frame.tail, correlation });
    }

    fn hear(&mut self, Said { node, number, event }: Said) {
        let Some(connection) = self.connections.get_mut(&node).filter(|connection| connection.number == number) else {
            return;
        };
        match event {
            Event::Up { versions } => match versions.produce() {
                Ok(_) => {
                    connection.versions = Some(versions);
                    self.sender.on_connected(node);
                }
                Err(error) => self.give_up(node, error.to_string()),
            },
            Event::Frame { bytes, at_ns } => {
                let version = connection.versions.as_ref().and_then(|versions| versions.produce().ok());
                let answer = frames::produced(bytes, version.expect("it has said so before it answers"));
                self.at_ns = at_ns;
                match answer {
                    Ok((correlation, produced)) => {
                        if !self.sender.on_answer(node, correlation, produced, at_ns) {
                            self.give_up(node, format!("node {node} answers request {correlation}, which is not out"));
                        }
                        // Each answer is recorded with its own instant.
                        self.record_ended();
                    }
                    Err(error) => self.give_up(node, format!("node {node}: {error}")),
                }
            }
            Event::Written { correlation, at_ns } => {
                self.at_ns = at_ns;
                self.sender.on_written(node, correlation, at_ns);
                self.record_ended();
            }
            Event::Down { error } => self.give_up(node, format!("node {node}: {error}")),
        }
    }

    fn give_up(&mut self, node: i32, reason: String) {
        self.connections.remove(&node);
        self.parts.recorder.complain(reason);
        self.sender.on_disconnected(node, self.parts.clock.now_ns());
    }

    fn learn(&mut self, answer: Answer) {
        let now_ns = self.parts.clock.now_ns();
        match answer {
            Answer::Leaders(Ok(Leaders { addresses, led })) => {
                let before = std::mem::replace(&mut self.addresses, addresses);
                let moved = self.addresses.iter().filter(|(node, address)| before.get(node) != Some(address));
                for node in moved.map(|(node, _)| *node).collect::<Vec<_>>() {
                    if self.connections.contains_key(&node) && before.contains_key(&node) {
                        self.give_up(node, format!("node {node} has moved"));
                    }
                    self.sender.on_moved(node);
                }
                self.sender.on_leaders(led, now_ns);
            }
            Answer::Leaders(Err(error)) => {
                self.parts.recorder.complain(format!("who leads what: {error}"));
                self.sender.on_no_leaders(now_ns);
            }
            Answer::ProducerId(Ok(Ok(identity))) => self.sender.on_producer_id(Some(identity), now_ns),
            Answer::ProducerId(Ok(Err(code))) => {
                self.parts.recorder.complain(format!("no producer id: {}", error_code::name(code)));
                self.sender.on_producer_id(None, now_ns);
            }
            Answer::ProducerId(Err(error)) => {
                self.parts.recorder.complain(format!("no producer id: {error}"));
                self.sender.on_producer_id(None, now_ns);
            }
        }
    }

    fn record_ended(&mut self) {
        for Ended { place, batch, outcome, code, base_offset } in self.sender.ended() {
            let (_, partition) = self.layout.name_of(place);
            let first = match outcome {
                Outcome::Ok => End { outcome, error: code, partition, offset: base_offset },
                _ => End::unacknowledged(outcome, code),
            };
            self.parts.recorder.record_batch(batch.messages(), first, self.at_ns);
            match Arc::try_unwrap(batch) {
                Ok(batch) => self.accumulator.give_back(batch),
                // The writer of a connection that is gone holds it still.
                Err(batch) => self.accumulator.forget(&batch),
            }
        }
    }
}
