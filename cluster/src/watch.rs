//! Faults that strike when something has happened, rather than at some time: in the very step in which it did, before
//! any client or node can do anything more.

use crate::faults::{FaultError, NodeFault, Strike};
use crate::keyed::{KeyedMessage, Search};
use crate::roles::Role;
use crate::shell::Shell;
use crate::thread::{Call, ask};
use shakedown_broker::faults::{RuleId, Selector};
use shakedown_broker::{Input, Node};
use std::cell::{Cell, RefCell};
use std::sync::mpsc;
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;

/// So many records have been produced to a topic, by the ends of its leaders' logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Produced {
    /// The topic.
    pub topic: String,
    /// How many.
    pub count: u64,
}

/// What may be waited for. It is looked for behind every step of the cluster: what comes and goes within one is not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Messages in a topic.
    Produced(Produced),
    /// The n-th request that fits, from 1, counted over the whole cluster from here on: what is done then is done before the
    /// request is served.
    Requested {
        /// Which requests.
        selector: Selector,
        /// Which of them.
        nth: u64,
    },
    /// A group has committed so many messages of a topic: its offsets, over all partitions, as its coordinator knows them.
    Consumed {
        /// The topic.
        topic: String,
        /// The consumer group.
        group: String,
        /// How many.
        count: u64,
    },
    /// No more replicas of a partition are in sync than these, its leader among them, by the newest metadata of any node.
    InSync {
        /// The partition's topic.
        topic: String,
        /// Its index.
        partition: i32,
        /// How many at most.
        at_most: usize,
    },
    /// A consumer group is between two generations: `PreparingRebalance` or `CompletingRebalance`.
    Rebalancing {
        /// The group.
        group: String,
    },
    /// The n-th message of a key is in a log, or has been committed by a group.
    Message(KeyedMessage),
}

impl Condition {
    fn has_come(&self, shell: &Shell, requests: u64, search: &mut Search) -> bool {
        match self {
            Self::Produced(Produced { topic, count }) => shell.produced(topic) >= *count,
            Self::Requested { nth, .. } => requests >= *nth,
            Self::Consumed { topic, group, count } => shell.consumed(group, topic) >= *count,
            Self::InSync { topic, partition, at_most } => {
                shell.in_sync(topic, *partition).is_some_and(|in_sync| in_sync <= *at_most)
            }
            Self::Rebalancing { group } => shell.is_rebalancing(group),
            Self::Message(message) => shell.has_come(message, search),
        }
    }
}

impl From<Produced> for Condition {
    fn from(produced: Produced) -> Self {
        Self::Produced(produced)
    }
}

/// Waits for something to happen, and does something then. Dropping it calls it off.
///
/// A role that nobody plays when it happens is waited for.
#[derive(Debug)]
pub struct Watch {
    number: u64,
    calls: UnboundedSender<Call>,
    outcome: mpsc::Receiver<Result<Strike, FaultError>>,
}

impl Watch {
    pub(crate) fn new(
        number: u64,
        calls: UnboundedSender<Call>,
        outcome: mpsc::Receiver<Result<Strike, FaultError>>,
    ) -> Self {
        Self { number, calls, outcome }
    }

    /// What came of it, once, as soon as it has happened.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<Strike, FaultError>> {
        self.outcome.try_recv().ok()
    }

    /// Calls it off, and tells what came of it if that is too late.
    #[must_use]
    pub fn cancel(self) -> Option<Result<Strike, FaultError>> {
        let number = self.number;
        // An end of the cluster's thread is an answer, too.
        ask(&self.calls, move |shell| shell.watches.forget(number));
        self.outcome()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let number = self.number;
        // A cluster that has ended watches nothing any more.
        let _ = self.calls.send(Box::new(move |shell| shell.watches.forget(number)));
    }
}

/// The cluster's side of a [`Watch`].
struct Watched {
    number: u64,
    condition: Condition,
    /// Requests that it was about, where it waits for one.
    met: u64,
    /// Where it waits for a message of a key.
    search: Search,
    fault: Option<(NodeFault, Role)>,
    /// A rule that begins then.
    rule: Option<RuleId>,
    outcome: mpsc::Sender<Result<Strike, FaultError>>,
}

/// What is being waited for.
#[derive(Default)]
pub(crate) struct Watches {
    open: RefCell<Vec<Watched>>,
    next: Cell<u64>,
}

impl Watches {
    /// Whether nothing is.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }

    /// Whether some of it is a request.
    fn wants_requests(&self) -> bool {
        self.open.borrow().iter().any(|watched| matches!(watched.condition, Condition::Requested { .. }))
    }

    /// Counts a request that comes in at a node.
    fn count(&self, node: &Node, input: &Input) {
        let Input::Request { frame, .. } = input else { return };
        for watched in &mut *self.open.borrow_mut() {
            if let Condition::Requested { selector, .. } = &watched.condition {
                watched.met += u64::from(selector.is_about(node, frame));
            }
        }
    }

    /// The rule that was to begin has ended.
    pub(crate) fn forget_rule(&self, rule: RuleId) {
        self.open.borrow_mut().retain(|watched| watched.rule != Some(rule));
    }

    fn forget(&self, number: u64) {
        self.open.borrow_mut().retain(|watched| watched.number != number);
    }
}

impl Shell {
    /// Begins to watch; the watch's number.
    pub(crate) fn watch(
        &self,
        condition: Condition,
        fault: Option<(NodeFault, Role)>,
        rule: Option<RuleId>,
        outcome: mpsc::Sender<Result<Strike, FaultError>>,
    ) -> u64 {
        let number = self.watches.next.replace(self.watches.next.get() + 1);
        self.watches.open.borrow_mut().push(Watched {
            number,
            condition,
            met: 0,
            search: Search::default(),
            fault,
            rule,
            outcome,
        });
        self.look();
        number
    }

    /// A request comes in at a node; what waits for it happens before it is served.
    pub(crate) fn notice(&self, node: usize, input: &Input) {
        if self.watches.is_empty() || !self.watches.wants_requests() {
            return;
        }
        if let Some(asked) = self.slots.borrow().get(node).and_then(|slot| slot.node()) {
            self.watches.count(asked, input);
        }
        self.look();
    }

    /// Does what has become due, one after another: each may change what the next one meets.
    pub(crate) fn look(&self) {
        while let Some(due) = self.due() {
            if let Some(rule) = due.rule {
                self.rules.wake(rule);
            }
            let strike = match &due.fault {
                Some((fault, role)) => self.strike(*fault, role),
                None => Ok(Strike { at: Instant::now(), nodes: Vec::new() }),
            };
            // Somebody who does not wait any more has dropped the watch, which is on its way here.
            let _ = due.outcome.send(strike);
        }
    }

    /// Takes the first watch whose time has come and whose role somebody plays.
    fn due(&self) -> Option<Watched> {
        let mut open = self.watches.open.borrow_mut();
        let due = open.iter_mut().position(|watched| {
            let happened = watched.condition.has_come(self, watched.met, &mut watched.search);
            let playable = |(_, role): &(NodeFault, Role)| !self.players(role).is_empty();
            happened && watched.fault.as_ref().is_none_or(playable)
        });
        due.map(|index| open.remove(index))
    }
}
