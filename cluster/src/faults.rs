//! What can be done to nodes on purpose, and how it is done.

use crate::links::{LinkFault, LinkSet, Links};
use crate::roles::{Role, find};
use crate::shell::Shell;
use crate::slot::Slot;
use crate::store::damage::Damage;
use crate::store::disk::DiskFault;
use shakedown_broker::{Input, LogStore as _};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// What a fault does to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeFault {
    /// `kill -9`: its connections close, its port refuses, what it wrote stays on its disk. Undone by a restart.
    Kill,
    /// As [`Self::Kill`], and what it wrote but did not sync is gone.
    PowerLoss,
    /// SIGSTOP: connections stay open and silent, everything that reaches it waits. Undone by a resume.
    Pause,
    /// No other node hears it, and it hears none; clients do. Undone by a reconnection.
    Isolate,
    /// A kill, and a start at once; of several nodes, all are down before the first one starts.
    Restart,
    /// Its disk fails, see [`crate::disks`]. Undone by mending it.
    Disk(DiskFault),
    /// What its disk has of the role's partition is damaged, for good. A node that must not see it happen is killed first;
    /// undone by a restart.
    Damage(Damage),
}

impl NodeFault {
    /// The fault as scenarios call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::PowerLoss => "power-loss",
            Self::Pause => "pause",
            Self::Isolate => "isolate",
            Self::Restart => "restart",
            Self::Disk(fault) => fault.word(),
            Self::Damage(damage) => damage.word(),
        }
    }
}

impl FromStr for NodeFault {
    type Err = UnknownFault;

    /// Reads [`NodeFault::word`].
    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let disks = [DiskFault::Full { after_bytes: 0 }, DiskFault::WriteErrors, DiskFault::ReadErrors].map(Self::Disk);
        let all = [Self::Kill, Self::PowerLoss, Self::Pause, Self::Isolate, Self::Restart];
        all.into_iter().chain(disks).find(|fault| fault.word() == text).ok_or_else(|| UnknownFault(text.to_owned()))
    }
}

/// A fault that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no fault: write kill, power-loss, pause, isolate, restart, disk-full, write-errors or read-errors")]
pub struct UnknownFault(String);

/// A fault that struck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strike {
    /// When.
    pub at: Instant,
    /// The nodes that it hit.
    pub nodes: Vec<i32>,
}

/// Why nothing was done to a node.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// There is no such node.
    #[error("there is no node {id}: nodes are {}", Listed(known))]
    UnknownNode {
        /// The id that was asked for.
        id: i32,
        /// All that exist.
        known: Vec<i32>,
    },
    /// The node is down, and can only be started.
    #[error("node {id} is down")]
    Down {
        /// The node.
        id: i32,
    },
    /// Nobody plays the role at the moment: an election is under way, or there is no such partition or group.
    #[error("nobody is {role} at the moment")]
    Nobody {
        /// The role.
        role: Role,
    },
    /// A factor at which no clock can run.
    #[error("a clock cannot run at {factor} times the speed of time: 0 and more can be")]
    ClockRate {
        /// What was asked for.
        factor: f64,
    },
    /// The node cannot start with what its disk has, or does not give.
    #[error("node {id} cannot start on its disk: {reason}")]
    Disk {
        /// The node.
        id: i32,
        /// Why.
        reason: String,
    },
    /// The node runs, and this happens only to the disk of one that does not.
    #[error("node {id} is up: this can only happen to the disk of a node that is down")]
    Up {
        /// The node.
        id: i32,
    },
    /// There is nothing there to damage.
    #[error("node {id} keeps nothing of {topic}/{partition} that could be damaged so")]
    NothingThere {
        /// The node.
        id: i32,
        /// The partition's topic.
        topic: String,
        /// Its index.
        partition: i32,
    },
    /// Which partition's data is to be damaged cannot be told by this role.
    #[error("{role} names no partition: its data are damaged by leader, follower or followers(TOPIC/PARTITION)")]
    WhichPartition {
        /// The role.
        role: Role,
    },
    /// Somebody else took the node's port while it was down.
    #[error("node {id} cannot listen again: {source}")]
    Listen {
        /// The node.
        id: i32,
        /// What the system said.
        source: std::io::Error,
    },
    /// A node that was restarted does not take its place again.
    #[error("node {id} was restarted, and {missing} after {waited:?}")]
    NotBack {
        /// The node.
        id: i32,
        /// What the cluster lacks still, in words.
        missing: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The cluster's thread has ended, which it does by itself only when it panics.
    #[error("the cluster's thread has ended")]
    Stopped,
}

/// `1, 2, 3`.
pub(crate) struct Listed<'a>(pub(crate) &'a [i32]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, id) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}{id}")?;
        }
        Ok(())
    }
}

impl Shell {
    /// Does something to whoever plays a role.
    pub(crate) fn strike(&self, fault: NodeFault, role: &Role) -> Result<Strike, FaultError> {
        let nodes = self.players(role);
        if nodes.is_empty() {
            return Err(self.nobody(role.clone()));
        }
        let at = Instant::now();
        for id in &nodes {
            match fault {
                NodeFault::Kill | NodeFault::Restart => self.kill(*id)?,
                NodeFault::PowerLoss => self.power_loss(*id)?,
                NodeFault::Pause => self.pause(*id)?,
                NodeFault::Isolate => self.isolate(*id)?,
                NodeFault::Disk(fault) => self.fail_disk(*id, fault)?,
                NodeFault::Damage(damage) => {
                    let place = role.partition().ok_or_else(|| FaultError::WhichPartition { role: role.clone() })?;
                    self.damage_under(*id, place, damage)?;
                }
            }
        }
        if fault == NodeFault::Restart {
            nodes.iter().try_for_each(|id| self.start(*id))?;
        }
        Ok(Strike { at, nodes })
    }

    /// Why nobody plays a role: a node that does not exist never will.
    pub(crate) fn nobody(&self, role: Role) -> FaultError {
        match role {
            Role::Broker(id) => self.place(id).err().unwrap_or(FaultError::Nobody { role }),
            role => FaultError::Nobody { role },
        }
    }

    /// Undoes a fault on a node: starts it, lets it go on, mends its links.
    pub(crate) fn undo(&self, fault: NodeFault, id: i32) -> Result<(), FaultError> {
        match fault {
            NodeFault::Kill | NodeFault::PowerLoss | NodeFault::Damage(_) => self.start(id),
            // Whoever was killed while it stood still has nothing to go on with.
            NodeFault::Pause => match self.resume(id) {
                Err(FaultError::Down { .. }) => Ok(()),
                resumed => resumed,
            },
            NodeFault::Isolate => self.reconnect(id),
            NodeFault::Restart => Ok(()),
            NodeFault::Disk(_) => self.mend_disk(id),
        }
    }

    pub(crate) fn kill(&self, id: i32) -> Result<(), FaultError> {
        let at = self.place(id)?;
        let mut slots = self.slots.borrow_mut();
        if !slots[at].kill() {
            return Err(FaultError::Down { id });
        }
        if let Some(door) = &mut slots[at].door {
            door.close();
        }
        let dead = slots[at].config.id;
        slots.iter_mut().for_each(|slot| slot.forget_from(dead));
        self.links.borrow_mut().forget(at);
        self.mailboxes.kill(at);
        self.rules.killed(dead);
        self.reckon(&slots);
        Ok(())
    }

    pub(crate) fn power_loss(&self, id: i32) -> Result<(), FaultError> {
        self.kill(id)?;
        let at = self.place(id)?;
        self.slots.borrow_mut()[at].disk.lose_power();
        Ok(())
    }

    /// Kills the node if it is up, and starts it on the disk that it left.
    pub(crate) fn restart(&self, id: i32) -> Result<(), FaultError> {
        match self.kill(id) {
            Ok(()) | Err(FaultError::Down { .. }) => self.start(id),
            Err(error) => Err(error),
        }
    }

    /// Starts a node that is down.
    pub(crate) fn start(&self, id: i32) -> Result<(), FaultError> {
        let at = self.place(id)?;
        if self.is_up(id) {
            return Ok(());
        }
        let mut slots = self.slots.borrow_mut();
        if let Some(door) = &mut slots[at].door {
            door.open().map_err(|source| FaultError::Listen { id, source })?;
        }
        let started = slots[at].start();
        if let (Some(door), Some(shell)) = (&mut slots[at].door, self.shared()) {
            match &started {
                Ok(()) => door.accept(shell, at),
                Err(_) => door.close(),
            }
        }
        started.map_err(|error| FaultError::Disk { id, reason: error.to_string() })?;
        drop(slots);
        self.deliver(at, Input::Tick);
        Ok(())
    }

    pub(crate) fn pause(&self, id: i32) -> Result<(), FaultError> {
        let at = self.up(id)?;
        let mut slots = self.slots.borrow_mut();
        slots[at].pause();
        self.reckon(&slots);
        Ok(())
    }

    pub(crate) fn resume(&self, id: i32) -> Result<(), FaultError> {
        let at = self.up(id)?;
        let inbox = self.slots.borrow_mut()[at].resume();
        if let Some(inbox) = inbox {
            self.catch_up(at, inbox);
        }
        Ok(())
    }

    /// Makes every disk work, lets every node go on that stands still and starts those that are down, dedicated controllers
    /// among them: all that can be, whatever fails at others. The nodes that were down; if some still are, the first reason.
    pub(crate) fn heal_nodes(&self) -> Result<Vec<i32>, FaultError> {
        let mut failed = None;
        let mut started = Vec::new();
        for id in self.ids() {
            let was_up = self.is_up(id);
            let healed = self.mend_disk(id).and_then(|()| if was_up { self.resume(id) } else { self.start(id) });
            match healed {
                Ok(()) if was_up => {}
                Ok(()) => started.push(id),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(started), Err)
    }

    /// Does something to links until they are mended.
    pub(crate) fn keep_links(&self, fault: &LinkFault) -> Result<(), FaultError> {
        let (number, ids) = (self.next_fault(), self.ids());
        self.mend_links(|links, now_ns| links.keep(number, fault, &ids, now_ns))
    }

    pub(crate) fn isolate(&self, id: i32) -> Result<(), FaultError> {
        self.keep_links(&LinkFault::Cut(LinkSet::Around(id)))
    }

    pub(crate) fn reconnect(&self, id: i32) -> Result<(), FaultError> {
        let at = self.place(id)?;
        self.mend_links(|links, now_ns| links.reconnect(at, now_ns));
        Ok(())
    }

    /// Changes links in a way that may let something be heard earlier.
    pub(crate) fn mend_links<T>(&self, mend: impl FnOnce(&mut Links, u64) -> T) -> T {
        let now_ns = self.monotonic_ns(self.since_start());
        let mended = mend(&mut self.links.borrow_mut(), now_ns);
        self.reckon(&self.slots.borrow());
        mended
    }

    pub(crate) fn up(&self, id: i32) -> Result<usize, FaultError> {
        let at = self.place(id)?;
        if self.is_up(id) { Ok(at) } else { Err(FaultError::Down { id }) }
    }

    /// The place of a node.
    pub(crate) fn place(&self, id: i32) -> Result<usize, FaultError> {
        let slots = self.slots.borrow();
        find(&slots, id).ok_or_else(|| FaultError::UnknownNode { id, known: slots.iter().map(Slot::id).collect() })
    }
}
