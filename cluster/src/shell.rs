//! All nodes on one thread: a request is decoded, applied, answered without a hop between threads, and what nodes tell
//! each other is handed over by reference.
//!
//! Owns the nodes, the queue between them and their deadlines; what links delay waits in [`crate::links`], by a deadline
//! among the others, so that time does not pass it by. Sockets are the connections' business; what is done to nodes on
//! purpose is in [`crate::faults`] and [`crate::injection`], what they are asked for in [`crate::roles`].

use crate::clock::Clock;
use crate::handle::ClusterEvent;
use crate::links::Links;
use crate::mailbox::{Delivery, Mailboxes};
use crate::rules::RulesInForce;
use crate::slot::Slot;
use crate::wall::WallClocks;
use crate::watch::Watches;
use crate::weather::Weather;
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
    /// What decides wherever the shell draws.
    pub(crate) seed: u64,
    pub(crate) slots: RefCell<Vec<Slot>>,
    /// What has been said and not been heard yet, by the listener's place. Empty between steps.
    queue: RefCell<VecDeque<(usize, Input)>>,
    /// Who hears whom, and what is under way.
    pub(crate) links: RefCell<Links>,
    /// What happens to clients' connections.
    pub(crate) weather: Weather,
    pub(crate) walls: RefCell<WallClocks>,
    /// The number of the next fault that is put in place.
    pub(crate) faults: Cell<u64>,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) watches: Watches,
    pub(crate) rules: RulesInForce,
    observers: RefCell<Vec<mpsc::Sender<ClusterEvent>>>,
    clock: RefCell<Clock>,
    started: Instant,
    deadline: Cell<Option<u64>>,
    deadline_moved: Notify,
    /// Whether the disk of some node has failed, and the node is to be stopped behind this step.
    pub(crate) disk_failed: Cell<bool>,
}

impl Shell {
    /// A cluster of nodes that are down. The machine's wall clock is read here and never again: from here on only its
    /// monotonic clock counts.
    pub(crate) fn new(slots: Vec<Slot>, seed: u64) -> Rc<Self> {
        let (started, wall) = (Instant::now(), SystemTime::now());
        let walls = WallClocks::new(wall.duration_since(UNIX_EPOCH).unwrap_or_default());
        Rc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            seed,
            links: RefCell::new(Links::new(slots.len(), seed)),
            weather: Weather::new(seed),
            walls: RefCell::new(walls),
            faults: Cell::new(0),
            slots: RefCell::new(slots),
            queue: RefCell::default(),
            mailboxes: Mailboxes::default(),
            watches: Watches::default(),
            rules: RulesInForce::default(),
            observers: RefCell::default(),
            clock: RefCell::default(),
            started,
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

    /// The time that really has passed since the cluster started.
    pub(crate) fn since_start(&self) -> Duration {
        self.started.elapsed()
    }

    /// The cluster's monotonic time at that moment.
    pub(crate) fn monotonic_ns(&self, real: Duration) -> u64 {
        let real_ns = u64::try_from(real.as_nanos()).unwrap_or(u64::MAX);
        self.clock.borrow_mut().read(real_ns, self.deadline.get())
    }

    /// The time as a node has it.
    fn now(&self, node: usize) -> Now {
        let real = self.since_start();
        Now { monotonic_ns: self.monotonic_ns(real), wall_ms: self.walls.borrow().read(node, real) }
    }

    /// The connection is closed.
    pub(crate) fn disconnect(&self, node: usize, connection: ConnectionId) {
        self.mailboxes.close(connection);
        self.rules.disconnected(connection);
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
            node.receive(self.now(at), input);
            let from = node.id();
            self.look_at_disk(&mut slots[at], at);
            while let Some(output) = slots[at].poll_output() {
                match output {
                    Output::Reply { token, response } => self.leave(token, response),
                    Output::NoReply { token } => self.leave_without_reply(token),
                    Output::HangUp { connection, reason } => {
                        self.mailboxes.post(connection, Delivery::HangUp(reason));
                    }
                    Output::Send { to, message } => {
                        let to = usize::try_from(to.0 - 1).unwrap_or(usize::MAX);
                        let heard = self.carry(at, to, Input::Peer { from, message });
                        queue.extend(heard.map(|input| (to, input)));
                    }
                    Output::Event(event) => self.tell(from.0, event),
                }
            }
        }
        self.reckon(&slots);
    }

    /// What is heard at once of what one node says to another.
    fn carry(&self, from: usize, to: usize, input: Input) -> Option<Input> {
        let mut links = self.links.borrow_mut();
        if links.is_plain(from, to) {
            return Some(input);
        }
        links.send(from, to, self.monotonic_ns(self.since_start()), input)
    }

    /// Finds the next deadline, after nodes or what is under way between them have changed.
    pub(crate) fn reckon(&self, slots: &[Slot]) {
        let under_way = self.links.borrow().next_due_ns();
        let others = under_way.into_iter().chain(self.rules.next_deadline());
        let deadline = slots.iter().filter_map(Slot::deadline).chain(others).min();
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

    /// Hands over what has been under way long enough, then wakes nodes: what has arrived must count before a deadline does
    /// that was waiting for it.
    fn tick(&self) {
        let due = self.monotonic_ns(self.since_start());
        loop {
            let next = self.links.borrow_mut().pop_due(due);
            let Some((to, input)) = next else { break };
            self.deliver(to, input);
        }
        self.go_on(self.rules.due(due));
        let count = self.slots.borrow().len();
        for at in 0..count {
            if self.slots.borrow()[at].deadline().is_some_and(|deadline| deadline <= due) {
                self.deliver(at, Input::Tick);
            }
        }
        // What was waited for may have been lost meanwhile, and with it its deadline.
        self.reckon(&self.slots.borrow());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::{Delay, LinkFault, LinkSet};
    use crate::slot::Waiting;
    use crate::store::disk::Disk;
    use crate::wall::{ClockEffect, ClockFault, TimeShift};
    use shakedown_broker::{BrokerId, MemoryStore, NodeConfig};

    /// Two brokers without sockets, whose link is slow.
    fn slow(by: Duration) -> Rc<Shell> {
        let slot = |id| {
            let config = NodeConfig::new(BrokerId(id), vec![BrokerId(1), BrokerId(2)], "127.0.0.1", 0);
            Slot::new(config, None, Disk::new(Box::new(MemoryStore::default())), 0)
        };
        let shell = Shell::new(vec![slot(1), slot(2)], 0);
        shell.keep_links(&LinkFault::Delay(LinkSet::Between(1, 2), Delay::by(by))).expect("known nodes");
        shell.slots.borrow_mut().iter_mut().for_each(|slot| slot.start().expect("an empty disk"));
        (0..2).for_each(|node| shell.deliver(node, Input::Tick));
        shell
    }

    fn tick_until(shell: &Shell, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < deadline, "{what} does not come");
            shell.tick();
        }
    }

    #[test]
    fn nodes_find_each_other_over_slow_links() {
        let shell = slow(Duration::from_millis(3));
        tick_until(&shell, "a message", || shell.links.borrow().next_due_ns().is_some());
        assert!(shell.deadline.get() <= shell.links.borrow().next_due_ns(), "time must not pass it by");
        tick_until(&shell, "a cluster", || shell.unsettled().is_none());
    }

    #[test]
    fn nodes_are_told_that_their_clocks_were_moved() {
        let shell = slow(Duration::ZERO);
        // What reaches a node that stands still can be seen.
        shell.pause(2).expect("it runs");
        let fault = ClockFault { node: 2, effect: ClockEffect::Skew(TimeShift::Behind(Duration::from_secs(1))) };
        let placed = shell.set_clock_wrong(&fault).expect("a known node");
        shell.set_clock_right(|number| number == placed.number);
        shell.advance_clock(Duration::from_secs(1));
        shell.set_clock_right(|_| true);
        let inbox = shell.slots.borrow_mut()[1].resume().expect("it stood still");
        let told = inbox.iter().filter(|waiting| matches!(waiting, Waiting::Input(Input::ClockMoved))).count();
        assert_eq!(told, 3, "wrong, right, moved on");
    }

    #[test]
    fn what_is_under_way_goes_with_a_node_that_is_killed() {
        let shell = slow(Duration::from_secs(3600));
        let is_under_way = || shell.links.borrow().next_due_ns().is_some();
        tick_until(&shell, "a message", is_under_way);
        shell.kill(1).expect("it runs");
        assert!(!is_under_way());
    }
}
