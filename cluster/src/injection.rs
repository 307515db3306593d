//! Faults as data, how they are put in place, and the guard that undoes them.
//!
//! Owns the way in and out: [`Cluster::inject`] and [`Fault`]. What each kind of fault does is beside this file: links
//! between nodes in [`crate::links`], clients' connections in [`crate::weather`], wall clocks in [`crate::wall`]; processes
//! and disks, which are struck rather than held, in [`crate::faults`].

use crate::faults::FaultError;
use crate::handle::Cluster;
use crate::links::LinkFault;
use crate::shell::Shell;
use crate::slot::Slot;
use crate::thread::Call;
use crate::wall::ClockFault;
use crate::weather::ClientFault;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use tokio::sync::mpsc::UnboundedSender;

/// Any fault that stands until it is undone.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyFault {
    /// Between nodes.
    Link(LinkFault),
    /// Between clients and nodes.
    Client(ClientFault),
    /// A node's wall clock.
    Clock(ClockFault),
}

impl From<LinkFault> for AnyFault {
    fn from(fault: LinkFault) -> Self {
        Self::Link(fault)
    }
}

impl From<ClientFault> for AnyFault {
    fn from(fault: ClientFault) -> Self {
        Self::Client(fault)
    }
}

impl From<ClockFault> for AnyFault {
    fn from(fault: ClockFault) -> Self {
        Self::Clock(fault)
    }
}

/// How often a fault has struck, counted on the cluster's thread and read on any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hits(Arc<AtomicU64>);

impl Hits {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A fault that was put in place.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) number: u64,
    pub(crate) hits: Hits,
}

/// A fault that is in place. Dropping it undoes it.
///
/// Dropping does not wait, but whatever is asked of the cluster afterwards comes later than the undoing. What was mended
/// meanwhile, by [`Cluster::heal`] for example, stays mended.
#[derive(Debug)]
#[must_use = "a fault is undone as soon as its guard is dropped"]
pub struct Fault {
    placed: Placed,
    calls: UnboundedSender<Call>,
    is_kept: bool,
}

impl Fault {
    /// How often it has struck so far; still told when it has been mended. What counts as once is said at each fault.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.placed.hits.so_far()
    }

    /// Undoes it, and returns once it is undone: how often it struck in all.
    #[expect(clippy::must_use_candidate, reason = "called to undo; the number is there for those who want it")]
    pub fn undo(mut self) -> u64 {
        self.is_kept = true;
        let (done, answer) = mpsc::sync_channel(1);
        let number = self.placed.number;
        let call = move |shell: &Shell| {
            shell.undo_injected(number);
            // Whoever asked may have panicked meanwhile.
            let _ = done.send(());
        };
        if self.calls.send(Box::new(call)).is_ok() {
            // An end of the cluster's thread is an answer, too.
            let _ = answer.recv();
        }
        self.hits()
    }

    /// Leaves it in place, until everything of its kind is mended or the cluster ends.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        if !self.is_kept {
            let number = self.placed.number;
            // A cluster that has ended has no faults any more.
            let _ = self.calls.send(Box::new(move |shell| shell.undo_injected(number)));
        }
    }
}

impl Cluster {
    /// Puts a fault in place until its guard is dropped. Faults of one kind on one target: the first that stands counts,
    /// unless the fault says otherwise.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use shakedown_cluster::{Cluster, Delay, LinkFault, LinkSet};
    /// # use std::time::Duration;
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// let slow = Delay { by: Duration::from_millis(20), jitter: Duration::from_millis(10) };
    /// let fault = cluster.inject(LinkFault::Delay(LinkSet::Around(2), slow))?;
    /// // Heartbeats of node 2 are late now.
    /// while fault.hits() == 0 {
    ///     std::thread::yield_now();
    /// }
    /// assert!(fault.undo() > 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it names a node that does not exist, or asks for something that no clock can do.
    pub fn inject(&self, fault: impl Into<AnyFault>) -> Result<Fault, FaultError> {
        let fault = fault.into();
        let placed = self.thread.ask(move |shell| shell.inject(fault)).unwrap_or(Err(FaultError::Stopped))?;
        Ok(Fault { placed, calls: self.thread.calls.clone(), is_kept: false })
    }
}

impl Shell {
    fn inject(&self, fault: AnyFault) -> Result<Placed, FaultError> {
        match fault {
            AnyFault::Link(fault) => self.links.borrow_mut().place(self.next_fault(), &fault, &self.ids()),
            AnyFault::Client(fault) => self.change_weather(fault),
            AnyFault::Clock(fault) => self.set_clock_wrong(&fault),
        }
    }

    fn undo_injected(&self, number: u64) {
        self.mend_links(|links, now_ns| links.undo(number, now_ns));
        self.clear_weather(|rule| rule == number);
        self.set_clock_right(|rule| rule == number);
    }

    /// A number for a fault.
    pub(crate) fn next_fault(&self) -> u64 {
        self.faults.replace(self.faults.get() + 1)
    }

    /// All nodes, by their places.
    pub(crate) fn ids(&self) -> Vec<i32> {
        self.slots.borrow().iter().map(Slot::id).collect()
    }
}
