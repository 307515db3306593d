//! All nodes on one thread: a request is decoded, applied, answered without a hop between threads, and what nodes tell
//! each other is handed over by reference.
//!
//! Owns the nodes, the queue between them, the clock and the one timer. Sockets are the connections' business.

use crate::builder::StartError;
use crate::handle::{Cluster, NodeAddress};
use crate::listener;
use crate::store::{Budget, SpillingStore};
use shakedown_broker::wire::response::Response;
use shakedown_broker::{ConnectionId, Event, Input, Node, NodeConfig, Now, Output, RequestToken};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, oneshot};

/// What a connection gets from its node.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "taken out as soon as it is put in")]
pub(crate) enum Delivery {
    /// The answer to the request that the connection waits for.
    Reply(Response),
    /// The request is done and has no answer.
    NoReply,
    /// Close, for this reason.
    HangUp(String),
}

/// Where a node puts what belongs to a connection. A connection has one request at a time at its node, as in Kafka.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    pub(crate) content: RefCell<VecDeque<Delivery>>,
    pub(crate) filled: Notify,
}

/// The nodes and all that surrounds them.
pub(crate) struct Shell {
    nodes: RefCell<Vec<Node>>,
    mailboxes: RefCell<BTreeMap<ConnectionId, Rc<Mailbox>>>,
    connection_next: Cell<u64>,
    started: Instant,
    /// Wall clock at `started`: from there on only the monotonic clock counts.
    wall_start_ms: i64,
    deadline: Cell<Option<u64>>,
    deadline_moved: Notify,
}

/// Starts the thread and waits until every node knows all others.
pub(crate) fn start(
    nodes: Vec<(NodeAddress, NodeConfig, TcpListener)>,
    seed: u64,
    memory_budget: u64,
) -> Result<Cluster, StartError> {
    let addresses = nodes.iter().map(|(address, _, _)| address.clone()).collect();
    let (stop, stopped) = oneshot::channel();
    let (ready, readiness) = mpsc::sync_channel(1);
    let run = move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, serve(nodes, seed, memory_budget, ready, stopped));
    };
    let failed = |source| StartError::Thread { source };
    let thread = std::thread::Builder::new().name(String::from("shakedown-cluster")).spawn(run).map_err(failed)?;
    match readiness.recv() {
        Ok(Ok(())) => Ok(Cluster { nodes: addresses, stop: Some(stop), thread: Some(thread) }),
        Ok(Err(source)) => Err(failed(source)),
        Err(_) => Err(failed(std::io::Error::other("it ended before it was ready"))),
    }
}

async fn serve(
    nodes: Vec<(NodeAddress, NodeConfig, TcpListener)>,
    seed: u64,
    memory_budget: u64,
    ready: mpsc::SyncSender<std::io::Result<()>>,
    stopped: oneshot::Receiver<()>,
) {
    let budget = Rc::new(RefCell::new(Budget::new(memory_budget)));
    let mut cores = Vec::new();
    let mut listeners = Vec::new();
    for (_, config, listener) in nodes {
        let store = SpillingStore::new(Rc::clone(&budget));
        cores.push(Node::new(config, Box::new(store), seed));
        listeners.push(listener);
    }
    let shell = Rc::new(Shell::new(cores));
    for node in 0..listeners.len() {
        shell.deliver(node, Input::Tick);
    }
    for (node, listener) in listeners.into_iter().enumerate() {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => drop(tokio::task::spawn_local(listener::accept(Rc::clone(&shell), node, listener))),
            Err(error) => return drop(ready.send(Err(error))),
        }
    }
    // Nodes hand each other messages within `deliver`, so all of them are registered by now.
    let _ = ready.send(Ok(()));
    tokio::select! {
        () = keep_time(&shell) => {}
        _ = stopped => {}
    }
}

/// Wakes nodes at their deadlines.
async fn keep_time(shell: &Shell) {
    loop {
        let Some(deadline) = shell.deadline.get() else {
            shell.deadline_moved.notified().await;
            continue;
        };
        tokio::select! {
            () = tokio::time::sleep_until((shell.started + Duration::from_nanos(deadline)).into()) => shell.tick(),
            () = shell.deadline_moved.notified() => {}
        }
    }
}

impl Shell {
    fn new(nodes: Vec<Node>) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            nodes: RefCell::new(nodes),
            mailboxes: RefCell::default(),
            connection_next: Cell::new(0),
            started: Instant::now(),
            wall_start_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
            deadline: Cell::new(None),
            deadline_moved: Notify::new(),
        }
    }

    fn now(&self) -> Now {
        let elapsed = self.started.elapsed();
        Now {
            monotonic_ns: u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX),
            wall_ms: self.wall_start_ms.saturating_add(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)),
        }
    }

    /// A new connection's number and mailbox.
    pub(crate) fn connect(&self) -> (ConnectionId, Rc<Mailbox>) {
        let id = ConnectionId(self.connection_next.replace(self.connection_next.get() + 1));
        let mailbox = Rc::new(Mailbox::default());
        self.mailboxes.borrow_mut().insert(id, Rc::clone(&mailbox));
        (id, mailbox)
    }

    /// The connection is closed.
    pub(crate) fn disconnect(&self, node: usize, connection: ConnectionId) {
        self.mailboxes.borrow_mut().remove(&connection);
        self.deliver(node, Input::Disconnected(connection));
    }

    /// Lets something happen to a node, and everything that follows from it on all nodes.
    pub(crate) fn deliver(&self, node: usize, input: Input) {
        let mut nodes = self.nodes.borrow_mut();
        let mut queue = VecDeque::from([(node, input)]);
        while let Some((at, input)) = queue.pop_front() {
            let now = self.now();
            let Some(node) = nodes.get_mut(at) else { continue };
            node.receive(now, input);
            let from = node.id();
            while let Some(output) = node.poll_output() {
                match output {
                    Output::Reply { token, response } => self.post(token, Delivery::Reply(response)),
                    Output::NoReply { token } => self.post(token, Delivery::NoReply),
                    Output::HangUp { connection, reason } => {
                        self.post(RequestToken { connection, number: 0 }, Delivery::HangUp(reason));
                    }
                    Output::Send { to, message } => {
                        let to = usize::try_from(to.0 - 1).unwrap_or(usize::MAX);
                        queue.push_back((to, Input::Peer { from, message }));
                    }
                    Output::Event(event) => log(from.0, &event),
                }
            }
        }
        let deadline = nodes.iter().filter_map(Node::next_deadline).min();
        let before = self.deadline.replace(deadline);
        if deadline.is_some_and(|at| before.is_none_or(|before| at < before)) {
            self.deadline_moved.notify_one();
        }
    }

    fn tick(&self) {
        let due = self.now().monotonic_ns;
        let is_due = |node: &Node| node.next_deadline().is_some_and(|at| at <= due);
        let nodes: Vec<usize> =
            self.nodes.borrow().iter().enumerate().filter(|(_, node)| is_due(node)).map(|(at, _)| at).collect();
        for node in nodes {
            self.deliver(node, Input::Tick);
        }
    }

    fn post(&self, token: RequestToken, delivery: Delivery) {
        // A connection that is gone has no mailbox, and nobody misses the answer.
        if let Some(mailbox) = self.mailboxes.borrow().get(&token.connection) {
            mailbox.content.borrow_mut().push_back(delivery);
            mailbox.filled.notify_one();
        }
    }
}

fn log(node: i32, event: &Event) {
    match event {
        Event::Unsupported { what } => tracing::warn!(node, "{what} is not supported"),
        other => tracing::debug!(node, event = ?other),
    }
}
