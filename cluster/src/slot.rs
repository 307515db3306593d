//! A node over all its lives: it runs, stands still, or is down; its disk stays.
//!
//! It stands still while somebody has paused it, and while a slow disk keeps it in a sync.

use crate::listener::Door;
use crate::store::disk::Disk;
use shakedown_broker::node::Unreadable;
use shakedown_broker::wire::response::Response;
use shakedown_broker::{BrokerId, Input, Node, NodeConfig, Output, RequestToken};
use std::collections::VecDeque;

/// What waits for a node that stands still.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// Something that reached it.
    Input(Input),
    /// A request that lies in its sockets still: rules decide about it when the node goes on.
    Unread(RequestToken, Input),
    /// A reply that a rule held, and that the node must be running to send.
    Reply(RequestToken, Response),
}

/// The place of one node.
pub(crate) struct Slot {
    pub(crate) config: NodeConfig,
    /// Where clients come in; dedicated controllers have none.
    pub(crate) door: Option<Door>,
    seed: u64,
    lives: u64,
    /// The node, unless it is down.
    node: Option<Node>,
    /// What it keeps.
    pub(crate) disk: Disk,
    /// Whether its disk has ended its last life.
    stopped_by_disk: bool,
    paused: bool,
    /// Which of its syncs it is in, by number.
    syncing: Option<u64>,
    syncs: u64,
    /// What has come up while it stood still, in order.
    inbox: VecDeque<Waiting>,
}

impl Slot {
    /// A node that is down.
    pub(crate) fn new(config: NodeConfig, door: Option<Door>, disk: Disk, seed: u64) -> Self {
        Self {
            config,
            door,
            seed,
            lives: 0,
            node: None,
            disk,
            stopped_by_disk: false,
            paused: false,
            syncing: None,
            syncs: 0,
            inbox: VecDeque::new(),
        }
    }

    /// `node.id`.
    pub(crate) fn id(&self) -> i32 {
        self.config.id.0
    }

    /// Begins a life on the disk of the last one. A node that is up goes on.
    pub(crate) fn start(&mut self) -> Result<(), Unreadable> {
        if self.node.is_none() {
            self.disk.begin_life();
            let seed = self.seed.wrapping_add(self.lives);
            self.node = Some(Node::open(self.config.clone(), Box::new(self.disk.clone()), seed)?);
            self.lives += 1;
            self.stopped_by_disk = false;
        }
        Ok(())
    }

    /// Ends the life; whether there was one.
    pub(crate) fn kill(&mut self) -> bool {
        (self.paused, self.syncing) = (false, None);
        self.inbox.clear();
        self.node.take().is_some()
    }

    /// The life that has just ended was ended by the disk.
    pub(crate) fn blame_disk(&mut self) {
        self.stopped_by_disk = true;
    }

    /// Whether the node is down because its disk has failed.
    pub(crate) fn is_stopped_by_disk(&self) -> bool {
        self.stopped_by_disk && self.node.is_none()
    }

    /// Stands still from here on.
    pub(crate) fn pause(&mut self) {
        self.paused = self.node.is_some();
    }

    /// Goes on, with what has come up meanwhile; `None` if it was not paused.
    pub(crate) fn resume(&mut self) -> Option<VecDeque<Waiting>> {
        std::mem::take(&mut self.paused).then(|| std::mem::take(&mut self.inbox))
    }

    /// Stands still for a sync: its number. What the node had to say in this step waits, too.
    pub(crate) fn begin_sync(&mut self) -> u64 {
        self.syncs += 1;
        self.syncing = Some(self.syncs);
        self.syncs
    }

    /// Goes on behind this sync; `None` if the node was killed in it.
    pub(crate) fn end_sync(&mut self, sync: u64) -> Option<VecDeque<Waiting>> {
        let is_over = self.syncing == Some(sync);
        is_over.then(|| {
            self.syncing = None;
            std::mem::take(&mut self.inbox)
        })
    }

    /// Whether it is up, and does nothing.
    pub(crate) fn stands_still(&self) -> bool {
        self.paused || self.syncing.is_some()
    }

    /// Keeps something until it goes on.
    pub(crate) fn put_off(&mut self, waiting: Waiting) {
        self.inbox.push_back(waiting);
    }

    /// What the node has to say next. Nothing while it syncs: nobody may hear of what is not synced yet.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.node.as_mut().filter(|_| self.syncing.is_none())?.poll_output()
    }

    /// Forgets what a node that was killed had sent and this one has not taken: it goes with their connection.
    pub(crate) fn forget_from(&mut self, dead: BrokerId) {
        self.inbox.retain(|waiting| !matches!(waiting, Waiting::Input(Input::Peer { from, .. }) if *from == dead));
    }

    /// The node if it can take an input now. One that stands still keeps the input for later; one that is down never
    /// sees it.
    pub(crate) fn admit(&mut self, input: Input) -> Option<(&mut Node, Input)> {
        if self.stands_still() {
            self.put_off(Waiting::Input(input));
            return None;
        }
        self.node.as_mut().map(|node| (node, input))
    }

    /// The node, unless it is down.
    pub(crate) fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// The node, unless it is down.
    pub(crate) fn node_mut(&mut self) -> Option<&mut Node> {
        self.node.as_mut()
    }

    /// The node, unless it is down or stands still.
    pub(crate) fn running(&self) -> Option<&Node> {
        self.node.as_ref().filter(|_| !self.stands_still())
    }

    /// When it wants to be woken.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.running().and_then(Node::next_deadline)
    }
}
