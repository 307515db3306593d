//! A node over all its lives: it runs, stands still, or is down; its disk stays.

use crate::listener::Door;
use shakedown_broker::{BrokerId, Input, LogStore, Node, NodeConfig};
use std::collections::VecDeque;

/// The place of one node.
pub(crate) struct Slot {
    pub(crate) config: NodeConfig,
    /// Where clients come in; dedicated controllers have none.
    pub(crate) door: Option<Door>,
    seed: u64,
    lives: u64,
    /// The node, unless it is down.
    node: Option<Node>,
    /// What it has to keep while it is down.
    store: Option<Box<dyn LogStore>>,
    /// What reached a node that stands still, in order; `None` for one that does not.
    inbox: Option<VecDeque<Input>>,
}

impl Slot {
    /// A node that is down, with an empty disk.
    pub(crate) fn new(config: NodeConfig, door: Option<Door>, store: Box<dyn LogStore>, seed: u64) -> Self {
        Self { config, door, seed, lives: 0, node: None, store: Some(store), inbox: None }
    }

    /// `node.id`.
    pub(crate) fn id(&self) -> i32 {
        self.config.id.0
    }

    /// Begins a life on the disk of the last one. A node that is up goes on.
    pub(crate) fn start(&mut self) {
        if let Some(store) = self.store.take() {
            self.node = Some(Node::new(self.config.clone(), store, self.seed.wrapping_add(self.lives)));
            self.lives += 1;
        }
    }

    /// Ends the life; whether there was one.
    pub(crate) fn kill(&mut self) -> bool {
        self.inbox = None;
        let Some(node) = self.node.take() else { return false };
        self.store = Some(node.into_store());
        true
    }

    /// What a node that is down has lost without power.
    pub(crate) fn lose_power(&mut self) {
        if let Some(store) = &mut self.store {
            store.lose_power();
        }
    }

    /// Stands still from here on.
    pub(crate) fn pause(&mut self) {
        if self.node.is_some() {
            self.inbox.get_or_insert_default();
        }
    }

    /// Goes on, with what has reached it meanwhile; `None` if it did not stand still.
    pub(crate) fn resume(&mut self) -> Option<VecDeque<Input>> {
        self.inbox.take()
    }

    /// Forgets what a node that was killed had sent and this one has not taken: it goes with their connection.
    pub(crate) fn forget_from(&mut self, dead: BrokerId) {
        if let Some(inbox) = &mut self.inbox {
            inbox.retain(|input| !matches!(input, Input::Peer { from, .. } if *from == dead));
        }
    }

    /// The node if it can take an input now. One that stands still keeps the input for later; one that is down never
    /// sees it.
    pub(crate) fn admit(&mut self, input: Input) -> Option<(&mut Node, Input)> {
        if let Some(inbox) = &mut self.inbox {
            inbox.push_back(input);
            return None;
        }
        self.node.as_mut().map(|node| (node, input))
    }

    /// The node, unless it is down.
    pub(crate) fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// The node, unless it is down or stands still.
    pub(crate) fn running(&self) -> Option<&Node> {
        self.node.as_ref().filter(|_| self.inbox.is_none())
    }

    /// When it wants to be woken.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.running().and_then(Node::next_deadline)
    }
}
