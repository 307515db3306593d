//! What nodes have for connections, and how a connection learns that its node was killed.

use shakedown_broker::ConnectionId;
use shakedown_broker::wire::response::Response;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::task::{Poll, Waker};
use tokio::sync::Notify;

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
#[derive(Debug)]
pub(crate) struct Mailbox {
    node: usize,
    pub(crate) content: RefCell<VecDeque<Delivery>>,
    pub(crate) filled: Notify,
    dead: Cell<bool>,
    /// The connection's task. Not a [`Notify`]: this is looked at whenever the task is, and must cost nothing.
    waker: RefCell<Option<Waker>>,
}

impl Mailbox {
    /// Whether the node was killed.
    pub(crate) fn is_dead(&self) -> bool {
        self.dead.get()
    }

    /// Ends when the node is killed.
    pub(crate) async fn killed(&self) {
        std::future::poll_fn(|context| {
            if self.dead.get() {
                return Poll::Ready(());
            }
            match &mut *self.waker.borrow_mut() {
                Some(waker) => waker.clone_from(context.waker()),
                none => *none = Some(context.waker().clone()),
            }
            Poll::Pending
        })
        .await;
    }
}

/// The mailboxes of all open connections.
#[derive(Debug, Default)]
pub(crate) struct Mailboxes {
    open: RefCell<BTreeMap<ConnectionId, Rc<Mailbox>>>,
    next: Cell<u64>,
}

impl Mailboxes {
    /// A new connection to a node: its number, and its mailbox.
    pub(crate) fn open(&self, node: usize) -> (ConnectionId, Rc<Mailbox>) {
        let id = ConnectionId(self.next.replace(self.next.get() + 1));
        let mailbox = Rc::new(Mailbox {
            node,
            content: RefCell::default(),
            filled: Notify::new(),
            dead: Cell::new(false),
            waker: RefCell::default(),
        });
        self.open.borrow_mut().insert(id, Rc::clone(&mailbox));
        (id, mailbox)
    }

    /// The connection is closed.
    pub(crate) fn close(&self, connection: ConnectionId) {
        self.open.borrow_mut().remove(&connection);
    }

    /// Puts something in. A connection that is gone has no mailbox, and nobody misses the answer.
    pub(crate) fn post(&self, connection: ConnectionId, delivery: Delivery) {
        if let Some(mailbox) = self.open.borrow().get(&connection) {
            mailbox.content.borrow_mut().push_back(delivery);
            mailbox.filled.notify_one();
        }
    }

    /// Tells every connection of a node that the node was killed.
    pub(crate) fn kill(&self, node: usize) {
        self.open.borrow_mut().retain(|_, mailbox| {
            if mailbox.node != node {
                return true;
            }
            mailbox.dead.set(true);
            if let Some(waker) = mailbox.waker.take() {
                waker.wake();
            }
            false
        });
    }
}
