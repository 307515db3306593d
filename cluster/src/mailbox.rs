//! What nodes have for connections, and how a connection learns what is done to it: its node was killed, it is cut off, or
//! it was forgotten.

use crate::weather::Undone;
use shakedown_broker::ConnectionId;
use shakedown_broker::wire::response::Response;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
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

/// Why a connection's work ended in the middle.
#[derive(Debug)]
pub(crate) enum Interruption {
    /// The node was killed.
    Killed,
    /// The node's end is gone and the client is not told, until that is undone.
    Forgotten(Undone),
}

/// Where a node puts what belongs to a connection. A connection has one request at a time at its node, as in Kafka.
#[derive(Debug)]
pub(crate) struct Mailbox {
    /// The place of the node.
    pub(crate) node: usize,
    /// The client's port.
    pub(crate) port: u16,
    /// The client's name for itself, once it has said it.
    pub(crate) client_id: RefCell<Option<Box<str>>>,
    pub(crate) content: RefCell<VecDeque<Delivery>>,
    pub(crate) filled: Notify,
    /// Whether any of the three below is so.
    is_disturbed: Cell<bool>,
    is_dead: Cell<bool>,
    /// The fault that cuts the connection off.
    silenced_by: Cell<Option<u64>>,
    forgotten: RefCell<Option<Undone>>,
    /// The connection's task. Not a [`Notify`]: this is looked at whenever the task is, and must cost nothing.
    waker: RefCell<Option<Waker>>,
}

impl Mailbox {
    /// Whether the node was killed.
    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead.get()
    }

    /// Whether the connection is cut off.
    pub(crate) fn is_silent(&self) -> bool {
        self.silenced_by.get().is_some()
    }

    /// Whether somebody is still there to serve the connection.
    pub(crate) fn is_served(&self) -> bool {
        !self.is_dead() && self.forgotten.borrow().is_none()
    }

    /// The fault that cuts the connection off.
    pub(crate) fn silenced_by(&self) -> Option<u64> {
        self.silenced_by.get()
    }

    /// The client has said its name.
    pub(crate) fn introduce(&self, client_id: &str) {
        *self.client_id.borrow_mut() = Some(Box::from(client_id));
    }

    /// From here on the connection is cut off by this fault, or by none.
    pub(crate) fn silence(&self, by: Option<u64>) {
        if self.silenced_by.replace(by) != by {
            self.disturb();
        }
    }

    /// From here on nobody serves the connection.
    pub(crate) fn forget(&self, undone: Undone) {
        *self.forgotten.borrow_mut() = Some(undone);
        self.disturb();
    }

    fn kill(&self) {
        self.is_dead.set(true);
        self.disturb();
    }

    fn disturb(&self) {
        self.is_disturbed.set(self.is_silent() || !self.is_served());
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Does a connection's work, until that ends or is interrupted. While the connection is cut off, the work stands still
    /// wherever it is.
    pub(crate) async fn attend<T>(&self, work: impl Future<Output = T>) -> Result<T, Interruption> {
        let mut work = pin!(work);
        std::future::poll_fn(|context| {
            self.wake_by(context);
            if self.is_disturbed.get() {
                if let Some(undone) = self.forgotten.take() {
                    return Poll::Ready(Err(Interruption::Forgotten(undone)));
                }
                if self.is_dead() {
                    return Poll::Ready(Err(Interruption::Killed));
                }
                if self.is_silent() {
                    return Poll::Pending;
                }
            }
            work.as_mut().poll(context).map(Ok)
        })
        .await
    }

    /// Ends when the connection is not cut off.
    pub(crate) async fn heard(&self) {
        std::future::poll_fn(|context| {
            self.wake_by(context);
            if self.is_silent() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    fn wake_by(&self, context: &Context<'_>) {
        match &mut *self.waker.borrow_mut() {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
    }
}

/// The mailboxes of all open connections.
#[derive(Debug, Default)]
pub(crate) struct Mailboxes {
    open: RefCell<BTreeMap<ConnectionId, Rc<Mailbox>>>,
    next: Cell<u64>,
}

impl Mailboxes {
    /// A new connection to a node from a port: its number, and its mailbox.
    pub(crate) fn open(&self, node: usize, port: u16) -> (ConnectionId, Rc<Mailbox>) {
        let id = ConnectionId(self.next.replace(self.next.get() + 1));
        let mailbox = Rc::new(Mailbox {
            node,
            port,
            client_id: RefCell::default(),
            content: RefCell::default(),
            filled: Notify::new(),
            is_disturbed: Cell::default(),
            is_dead: Cell::default(),
            silenced_by: Cell::default(),
            forgotten: RefCell::default(),
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

    /// Tells every connection of a node that the node was killed. Each is closed by itself.
    pub(crate) fn kill(&self, node: usize) {
        self.open.borrow().values().filter(|mailbox| mailbox.node == node).for_each(|mailbox| mailbox.kill());
    }

    /// Does something to every open connection, in the order in which they came.
    pub(crate) fn each(&self, act: impl FnMut(&Mailbox)) {
        self.open.borrow().values().map(|mailbox| &**mailbox).for_each(act);
    }
}
