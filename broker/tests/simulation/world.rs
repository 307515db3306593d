//! The event loop: machines, a network, clients, and one queue of what happens next.
//!
//! Everything that happens is an event at a simulated time; everything that is drawn comes from one seed. What nodes put
//! out becomes events again. After each step of a node the invariants are checked; the first violation stops the world.

use crate::chance::{Chance, MS};
use crate::client::{CallId, Client, wire};
use crate::host::{Down, Host, Role, Setup};
use crate::invariants::{Checked, Invariants, Violation};
use crate::nemesis::{self, Fault, Repair};
use crate::network::Network;
use crate::trace::{Detail, Trace};
use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use shakedown_broker::{BrokerId, ConnectionId, Input, Node, Output, PeerMessage};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

/// More steps than any lifetime needs: a cluster that never comes to rest within one instant is broken.
const STEPS_MAX: u64 = 3_000_000;

/// What happens.
pub(crate) enum Event {
    /// A node's deadline.
    Wake { host: usize },
    /// A message from another node arrives; it was sent to one life of the node.
    Peer { from: usize, host: usize, incarnation: u32, message: Box<PeerMessage> },
    /// A client's request arrives.
    Request { connection: u64, call: CallId, frame: Bytes },
    /// A node's response arrives.
    Response { connection: u64, call: CallId, frame: Bytes },
    /// A client learns that its connection is gone.
    Reset { connection: u64 },
    /// A node learns that a connection is gone.
    Gone { host: usize, incarnation: u32, connection: u64 },
    /// A client has waited long enough.
    TimedOut { call: CallId },
    /// A client wanted to be woken.
    Client { client: usize, tag: u8 },
    /// The operating system writes a machine's pages.
    WriteBack { host: usize },
    /// A node starts for the first time.
    Boot { host: usize },
    /// A fault begins.
    Strike(Fault),
    /// A fault ends.
    Mend(Repair),
}

struct Scheduled {
    at_ns: u64,
    sequence: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    /// The earliest is the greatest, as `BinaryHeap` wants it.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_ns, other.sequence).cmp(&(self.at_ns, self.sequence))
    }
}

/// A request that is not answered yet.
pub(crate) struct Outstanding {
    pub(crate) client: usize,
    pub(crate) connection: u64,
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
}

/// A client and how it is called in the trace.
pub(crate) struct Seat {
    pub(crate) name: String,
    /// `None` while something happens to it.
    pub(crate) client: Option<Box<dyn Client>>,
}

/// Everything.
pub(crate) struct World {
    pub(crate) now_ns: u64,
    pub(crate) hosts: Vec<Host>,
    pub(crate) network: Network,
    pub(crate) chance: Chance,
    pub(crate) trace: Trace,
    pub(crate) invariants: Invariants,
    pub(crate) checked: Checked,
    /// How often a node was called.
    pub(crate) steps: u64,
    /// Whether operating systems write pages on their own account.
    pub(crate) writes_back: bool,
    pub(crate) clients: Vec<Seat>,
    /// Nodes that serve clients.
    pub(crate) brokers: Vec<BrokerId>,
    pub(crate) calls: BTreeMap<CallId, Outstanding>,
    pub(crate) next_call: CallId,
    queue: BinaryHeap<Scheduled>,
    sequence: u64,
}

impl World {
    /// A cluster whose nodes start within the first tenth of a second.
    pub(crate) fn new(setup: &Setup, seed: u64, detail: Detail) -> Self {
        let hosts = setup.hosts();
        let serving = hosts.iter().filter(|host| host.role != Role::Controller).map(|host| host.id);
        let mut world = Self {
            now_ns: 0,
            network: Network::new(hosts.len()),
            chance: Chance::new(seed),
            trace: Trace::new(detail),
            invariants: Invariants::new(&hosts),
            checked: Ok(()),
            steps: 0,
            writes_back: true,
            clients: Vec::new(),
            brokers: serving.collect(),
            calls: BTreeMap::new(),
            next_call: 1,
            queue: BinaryHeap::new(),
            sequence: 0,
            hosts,
        };
        for host in 0..world.hosts.len() {
            let at_ns = world.chance.below(100 * MS);
            world.at(at_ns, Event::Boot { host });
            let at_ns = world.chance.between(500 * MS, 3_000 * MS);
            world.at(at_ns, Event::WriteBack { host });
        }
        world
    }

    /// Adds a client, which starts at once.
    pub(crate) fn add_client(&mut self, name: impl Into<String>, client: impl Client + 'static) -> usize {
        self.clients.push(Seat { name: name.into(), client: Some(Box::new(client)) });
        let number = self.clients.len() - 1;
        self.with_client(number, |client, desk| client.start(desk));
        number
    }

    /// Schedules an event.
    pub(crate) fn at(&mut self, at_ns: u64, event: Event) {
        self.sequence += 1;
        self.queue.push(Scheduled { at_ns: at_ns.max(self.now_ns), sequence: self.sequence, event });
    }

    /// Lets everything happen up to a time, or to the first violation.
    pub(crate) fn run_until(&mut self, until_ns: u64) {
        while self.checked.is_ok() && self.queue.peek().is_some_and(|next| next.at_ns <= until_ns) {
            let Some(next) = self.queue.pop() else { break };
            self.now_ns = next.at_ns;
            self.trace.mix(next.at_ns);
            self.trace.mix_variant(&next.event);
            self.happen(next.event);
        }
        if self.checked.is_ok() {
            self.now_ns = self.now_ns.max(until_ns);
        }
    }

    /// Tells every client to finish what it has begun.
    pub(crate) fn stop_clients(&mut self) {
        self.clients.iter_mut().filter_map(|seat| seat.client.as_mut()).for_each(|client| client.stop());
    }

    /// The first client that still waits for something.
    pub(crate) fn unfinished(&self, ends: &[i64]) -> Option<String> {
        self.clients.iter().filter_map(|seat| seat.client.as_ref()).find_map(|client| client.unfinished(ends))
    }

    /// A client, as a test knows it.
    pub(crate) fn client<T: 'static>(&mut self, number: usize) -> &mut T {
        let client = self.clients[number].client.as_mut().expect("nothing happens to it now");
        client.as_any().downcast_mut().expect("the test knows what it is")
    }

    /// Keeps the first violation.
    pub(crate) fn check(&mut self, checked: Checked) {
        if self.checked.is_ok() {
            self.checked = checked;
        }
    }

    /// Tells the reader of the trace about a machine.
    pub(crate) fn story<T: std::fmt::Display>(&self, host: usize, what: impl FnOnce() -> T) {
        self.trace.story(self.now_ns, &self.hosts[host].name, what);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake { host } => self.wake(host),
            Event::Peer { from, host, incarnation, message } => self.peer(from, host, incarnation, *message),
            Event::Request { connection, call, frame } => self.request(connection, call, frame),
            Event::Response { connection, call, frame } => self.response(connection, call, frame),
            Event::Reset { connection } => self.reset(connection),
            Event::Gone { host, incarnation, connection } => {
                if self.hosts[host].incarnation == incarnation {
                    self.deliver(host, Input::Disconnected(ConnectionId(connection)));
                }
            }
            Event::TimedOut { call } => self.timed_out(call),
            Event::Client { client, tag } => {
                self.trace.mix_index(client);
                self.with_client(client, |client, desk| client.woken(desk, tag));
            }
            Event::WriteBack { host } => {
                if self.writes_back {
                    self.hosts[host].disk.write_back(&mut self.chance);
                }
                let at_ns = self.now_ns + self.chance.between(200 * MS, 3_000 * MS);
                self.at(at_ns, Event::WriteBack { host });
            }
            Event::Boot { host } => self.boot(host),
            Event::Strike(fault) => nemesis::strike(self, fault),
            Event::Mend(fault) => nemesis::mend(self, fault),
        }
    }

    /// Starts the node of a machine.
    pub(crate) fn boot(&mut self, host: usize) {
        if self.hosts[host].node.is_none() {
            self.story(host, || "starts");
            self.hosts[host].boot(&mut self.chance);
            self.invariants.booted(host);
            self.deliver(host, Input::Tick);
        }
    }

    /// Ends the node of a machine.
    pub(crate) fn stop(&mut self, host: usize, down: Down) {
        if self.hosts[host].node.is_none() {
            return;
        }
        self.hosts[host].stop(down);
        if down == Down::Dark {
            return;
        }
        // The operating system resets what the process had open.
        let open = self.network.connections.iter().filter(|(_, connection)| connection.host == host);
        let open: Vec<u64> = open.map(|(number, _)| *number).collect();
        for connection in open {
            let at_ns = self.now_ns + self.network.delay(&mut self.chance);
            self.at(at_ns, Event::Reset { connection });
        }
    }

    /// A paused node goes on, with all that has come in the meantime.
    pub(crate) fn resume(&mut self, host: usize) {
        if self.hosts[host].pauses > 0 || self.hosts[host].node.is_none() {
            return;
        }
        while let Some(input) = self.hosts[host].backlog.pop_front() {
            self.step(host, input);
        }
        self.step(host, Input::Tick);
    }

    fn wake(&mut self, host: usize) {
        if self.hosts[host].wake_at != Some(self.now_ns) {
            return;
        }
        self.hosts[host].wake_at = None;
        if !self.hosts[host].runs() {
            return;
        }
        if self.hosts[host].deadline().is_some_and(|deadline| deadline <= self.now_ns) {
            self.trace.mix_index(host);
            self.step(host, Input::Tick);
        } else {
            self.schedule_wake(host);
        }
    }

    fn schedule_wake(&mut self, host: usize) {
        let Some(deadline) = self.hosts[host].deadline() else { return };
        let at_ns = deadline.max(self.now_ns);
        if self.hosts[host].wake_at.is_none_or(|scheduled| at_ns < scheduled) {
            self.hosts[host].wake_at = Some(at_ns);
            self.at(at_ns, Event::Wake { host });
        }
    }

    fn peer(&mut self, from: usize, host: usize, incarnation: u32, message: PeerMessage) {
        if self.network.is_cut(from, host) || self.hosts[host].incarnation != incarnation {
            return;
        }
        self.trace.mix_index(from);
        self.trace.mix_variant(&message);
        self.trace.closely(self.now_ns, &self.hosts[host].name, || format!("from n{}: {message:?}", from + 1));
        let from = self.hosts[from].id;
        self.deliver(host, Input::Peer { from, message });
    }

    /// Something reaches a machine.
    pub(crate) fn deliver(&mut self, host: usize, input: Input) {
        if self.hosts[host].node.is_none() {
            return;
        }
        if self.hosts[host].pauses > 0 {
            self.hosts[host].backlog.push_back(input);
        } else {
            self.step(host, input);
        }
    }

    /// A node does something.
    fn step(&mut self, host: usize, input: Input) {
        if self.checked.is_err() {
            return;
        }
        self.steps += 1;
        if self.steps > STEPS_MAX {
            let detail = format!("{STEPS_MAX} steps by {} s", self.now_ns / 1_000_000_000);
            return self.check(Err(Violation::new("a cluster comes to rest", detail)));
        }
        let now = self.hosts[host].now(self.now_ns);
        let Some(node) = self.hosts[host].node.as_mut() else { return };
        node.receive(now, input);
        let checked = self.invariants.after_step(self.now_ns, host, &mut self.hosts);
        self.check(checked);
        self.tell_excuses();
        while let Some(output) = self.hosts[host].node.as_mut().and_then(Node::poll_output) {
            self.output(host, output);
        }
        self.schedule_wake(host);
    }

    /// Tells the reader of the trace what may be lost from here on.
    fn tell_excuses(&mut self) {
        for excuse in std::mem::take(&mut self.invariants.excused) {
            let readable = || self.invariants.images.readable(&format!("nobody is left: {excuse:?}"));
            self.trace.story(self.now_ns, "world", readable);
        }
    }

    fn output(&mut self, host: usize, output: Output) {
        match output {
            Output::Send { to, message } => self.send_to_peer(host, to, message),
            Output::Reply { token, response } => {
                let Some(header) = self.hosts[host].asked.remove(&token) else { return };
                let frame = wire::reply(header, &response);
                self.trace.mix(u64::from(crc32c::crc32c(&frame)));
                let (connection, call) = (token.connection.0, token.number);
                if let Some(at_ns) = self.network.response_arrival(&mut self.chance, self.now_ns, connection) {
                    self.at(at_ns, Event::Response { connection, call, frame });
                }
            }
            Output::NoReply { token } => drop(self.hosts[host].asked.remove(&token)),
            Output::HangUp { connection, reason } => {
                self.story(host, || format!("hangs up: {reason}"));
                self.trace.mix(connection.0);
                let at_ns = self.now_ns + self.network.delay(&mut self.chance);
                self.at(at_ns, Event::Reset { connection: connection.0 });
            }
            Output::Event(event) => {
                self.trace.mix_variant(&event);
                self.story(host, || format!("{event:?}"));
            }
        }
    }

    fn send_to_peer(&mut self, host: usize, to: BrokerId, message: PeerMessage) {
        let Some(target) = self.hosts.iter().position(|host| host.id == to) else { return };
        let incarnation = self.hosts[target].incarnation;
        if self.hosts[target].node.is_none() {
            return;
        }
        if let Some(at_ns) = self.network.arrival(&mut self.chance, self.now_ns, host, target) {
            self.at(at_ns, Event::Peer { from: host, host: target, incarnation, message: Box::new(message) });
        }
    }
}
