//! All nodes on one thread: a request is decoded, applied, answered without a hop between threads, and what nodes tell
//! each other is handed over by reference.
//!
//! Owns the nodes, the queue between them and their deadlines. Sockets are the connections' business; what is done to
//! nodes on purpose is in [`crate::faults`], what they are asked for in [`crate::roles`].

use crate::clock::Clock;
use crate::handle::ClusterEvent;
use crate::links::Links;
use crate::mailbox::{Delivery, Mailboxes};
use crate::slot::Slot;
use crate::watch::Watches;
use shakedown_broker::{ConnectionId, Event, Input, Node, Now, Output};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;

/// The nodes and all that surrounds them.
pub(crate) struct Shell {
    me: Weak<Self>,
    pub(crate) slots: RefCell<Vec<Slot>>,
    /// What has been said and not been heard yet, by the listener's place. Empty between steps.
    queue: RefCell<VecDeque<(usize, Input)>>,
    pub(crate) links: RefCell<Links>,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) watches: Watches,
    observers: RefCell<Vec<mpsc::Sender<ClusterEvent>>>,
    clock: RefCell<Clock>,
    started: Instant,
    /// Wall clock at `started`: from there on only the monotonic clock counts.
    wall_start_ms: i64,
    deadline: Cell<Option<u64>>,
    deadline_moved: Notify,
    /// Whether the disk of some node has failed, and the node is to be stopped behind this step.
    pub(crate) disk_failed: Cell<bool>,
}

impl Shell {
    /// A cluster of nodes that are down.
    pub(crate) fn new(slots: Vec<Slot>) -> Rc<Self> {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Rc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            links: RefCell::new(Links::new(slots.len())),
            slots: RefCell::new(slots),
            queue: RefCell::default(),
            mailboxes: Mailboxes::default(),
            watches: Watches::default(),
            observers: RefCell::default(),
            clock: RefCell::default(),
            started: Instant::now(),
            wall_start_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
            deadline: Cell::new(None),
            deadline_moved: Notify::new(),
            disk_failed: Cell::new(false),
        })
    }

    /// The shell itself, for a task of its own.
    pub(crate) fn shared(&self) -> Option<Rc<Self>> {
        self.me.upgrade()
    }

    /// From here on, everything that happens is told here as well.
    pub(crate) fn observe(&self, observer: mpsc::Sender<ClusterEvent>) {
        self.observers.borrow_mut().push(observer);
    }

    fn now(&self) -> Now {
        let real = self.started.elapsed();
        let real_ns = u64::try_from(real.as_nanos()).unwrap_or(u64::MAX);
        Now {
            monotonic_ns: self.clock.borrow_mut().read(real_ns, self.deadline.get()),
            wall_ms: self.wall_start_ms.saturating_add(i64::try_from(real.as_millis()).unwrap_or(i64::MAX)),
        }
    }

    /// The connection is closed.
    pub(crate) fn disconnect(&self, node: usize, connection: ConnectionId) {
        self.mailboxes.close(connection);
        self.deliver(node, Input::Disconnected(connection));
    }

    /// Lets something happen to a node, and everything that follows from it on all nodes.
    pub(crate) fn deliver(&self, node: usize, input: Input) {
        self.deliver_all(node, [input]);
    }

    /// As [`Self::deliver`], for several things in order.
    pub(crate) fn deliver_all(&self, node: usize, inputs: impl IntoIterator<Item = Input>) {
        self.queue.borrow_mut().extend(inputs.into_iter().map(|input| (node, input)));
        self.settle();
        self.look_at_disks();
        if !self.watches.is_empty() {
            self.look();
        }
    }

    /// Hands over what is in the queue and what comes of it, until nobody has anything left to say.
    fn settle(&self) {
        let mut slots = self.slots.borrow_mut();
        let mut queue = self.queue.borrow_mut();
        while let Some((at, input)) = queue.pop_front() {
            let Some((node, input)) = slots.get_mut(at).and_then(|slot| slot.admit(input)) else { continue };
            node.receive(self.now(), input);
            let from = node.id();
            self.look_at_disk(&mut slots[at], at);
            while let Some(output) = slots[at].poll_output() {
                match output {
                    Output::Reply { token, response } => {
                        self.mailboxes.post(token.connection, Delivery::Reply(response));
                    }
                    Output::NoReply { token } => self.mailboxes.post(token.connection, Delivery::NoReply),
                    Output::HangUp { connection, reason } => {
                        self.mailboxes.post(connection, Delivery::HangUp(reason));
                    }
                    Output::Send { to, message } => {
                        let to = usize::try_from(to.0 - 1).unwrap_or(usize::MAX);
                        if !self.links.borrow().is_cut(at, to) {
                            queue.push_back((to, Input::Peer { from, message }));
                        }
                    }
                    Output::Event(event) => self.tell(from.0, event),
                }
            }
        }
        self.reckon(&slots);
    }

    /// Finds the next deadline, after nodes have changed.
    pub(crate) fn reckon(&self, slots: &[Slot]) {
        let deadline = slots.iter().filter_map(Slot::deadline).min();
        let before = self.deadline.replace(deadline);
        if deadline.is_some_and(|at| before.is_none_or(|before| at < before)) {
            self.deadline_moved.notify_one();
        }
    }

    pub(crate) fn tell(&self, node: i32, event: Event) {
        match &event {
            Event::Unsupported { what } => tracing::warn!(node, "{what} is not supported"),
            Event::StorageFailed { reason } => tracing::error!(node, "the node stops: {reason}"),
            other => tracing::debug!(node, event = ?other),
        }
        let mut observers = self.observers.borrow_mut();
        if !observers.is_empty() {
            let event = ClusterEvent { at: Instant::now(), node, event };
            // Who has stopped listening is told nothing more.
            observers.retain(|observer| observer.send(event.clone()).is_ok());
        }
    }

    /// Waits for the next deadline, and wakes the nodes that wait for it.
    pub(crate) async fn step(&self) {
        let Some(deadline) = self.deadline.get() else {
            return self.deadline_moved.notified().await;
        };
        let real = Duration::from_nanos(self.clock.borrow().real_ns(deadline));
        tokio::select! {
            () = tokio::time::sleep_until((self.started + real).into()) => self.tick(),
            () = self.deadline_moved.notified() => {}
        }
    }

    fn tick(&self) {
        let due = self.now().monotonic_ns;
        let count = self.slots.borrow().len();
        for at in 0..count {
            if self.slots.borrow()[at].deadline().is_some_and(|deadline| deadline <= due) {
                self.deliver(at, Input::Tick);
            }
        }
    }

    /// A running node that does not know some running broker to be alive, and whom it misses.
    pub(crate) fn unsettled(&self) -> Option<(i32, Vec<i32>)> {
        let slots = self.slots.borrow();
        let running = || slots.iter().filter(|slot| slot.running().is_some());
        let brokers = || running().filter(|slot| slot.config.is_broker).map(|slot| slot.config.id);
        let missed =
            |node: &Node| brokers().filter(|id| !node.image().is_alive(*id)).map(|id| id.0).collect::<Vec<_>>();
        let mut views = running().filter_map(|slot| Some((slot.id(), missed(slot.running()?))));
        views.find(|(_, missed)| !missed.is_empty())
    }
}
