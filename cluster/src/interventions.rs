//! What only a client of the cluster can do to it: move leaders, reassign partitions, elect whoever is left, and play a
//! member of somebody else's consumer group, to its annoyance.
//!
//! - [`line`]: one connection, and questions on it, in Kafka's protocol.
//! - [`leadership`]: who leads and who has a partition (KIP-455, KIP-460).
//! - [`membership`]: a stand-in that joins groups and leaves them, and members that are expelled (KIP-345).
//!
//! All of it is asked over sockets by a client called `shakedown-intervention`, of any broker that answers: so it works on
//! whatever plays the cluster, Apache Kafka among it, without TLS and SASL. Rules and faults of connections meet this client
//! as they meet any other. What the cluster cannot do at the moment is asked again, until it can or patience is over.

mod leadership;
mod line;
mod membership;

use crate::handle::Cluster;
use crate::rolling::View;
use kafka_protocol::error::ResponseError;
use line::Line;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Before the same thing is asked again.
const BACKOFF: Duration = Duration::from_millis(20);

/// How long [`Cluster::intervene`] tries without getting any further, and the control API.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Something that is asked of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intervention {
    /// A replica in sync becomes the partition's preferred one, by a reassignment to the same replicas in another order, and
    /// then its leader (ElectLeaders, preferred).
    MoveLeader {
        /// The partition's topic.
        topic: String,
        /// Its index.
        partition: i32,
        /// The broker that leads then; `None` for the next one in sync by the order of the replicas.
        to: Option<i32>,
    },
    /// A partition moves to these brokers, the first of them preferred (AlterPartitionReassignments). It has begun when the
    /// controller has agreed; the old replicas go once all new ones are in sync.
    Reassign {
        /// The partition's topic.
        topic: String,
        /// Its index.
        partition: i32,
        /// Brokers, each once.
        replicas: Vec<i32>,
    },
    /// A replica that is not in sync leads a partition that has no leader (ElectLeaders, unclean). While there is a leader, it
    /// is waited for its end.
    ElectUnclean {
        /// The partition's topic.
        topic: String,
        /// Its index.
        partition: i32,
    },
    /// As [`Self::MoveLeader`], for the partition of `__consumer_offsets` whose leader coordinates a group.
    MoveCoordinator {
        /// The group.
        group: String,
        /// The broker that coordinates it then; `None` as for [`Self::MoveLeader`].
        to: Option<i32>,
    },
    /// Members of a group are taken out of it, and not told (LeaveGroup): what a client that has exceeded
    /// `max.poll.interval.ms` does itself while its application goes on with what it had polled.
    Expel {
        /// The group.
        group: String,
        /// Members with this `client.id`, a `*` at its end stands for any end; `None` for all.
        client: Option<String>,
    },
    /// A second member joins under a static member's `group.instance.id`, which fences the first one
    /// (FENCED_INSTANCE_ID), keeps its place for a while, and leaves.
    Clash {
        /// The group.
        group: String,
        /// The `group.instance.id`.
        instance: String,
        /// How long it stays: longer than the first one's `heartbeat.interval.ms`, or that one never hears of it.
        lasts: Duration,
    },
    /// A stand-in joins a group, gets its share and leaves, again and again: every time all members join again, twice.
    Storm {
        /// The group.
        group: String,
        /// How often it joins.
        joins: u32,
    },
}

/// An intervention that has struck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intervened {
    /// When.
    pub at: Instant,
    /// Whether anything is different now: a leader that is asked to lead leads already.
    pub changed: bool,
    /// What happened, in words.
    pub what: String,
}

impl Intervened {
    fn now(changed: bool, what: String) -> Self {
        Self { at: Instant::now(), changed, what }
    }
}

/// Why an intervention came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum InterventionError {
    /// The cluster does not agree, and would not later.
    #[error("{asked} is refused: {}{}", crate::names::error_name(*error), Detail(message))]
    Refused {
        /// Kafka's name of the request.
        asked: &'static str,
        /// Kafka's error.
        error: ResponseError,
        /// What the broker says besides, possibly nothing.
        message: String,
    },
    /// A code that Kafka's protocol does not have.
    #[error("{asked} is answered with error {code}, which is none of Kafka's")]
    UnknownCode {
        /// Kafka's name of the request.
        asked: &'static str,
        /// The code.
        code: i16,
    },
    /// The broker that is to lead has no replica.
    #[error("broker {broker} has no replica of {topic}/{partition}: those are on {}", crate::faults::Listed(replicas))]
    NoReplica {
        /// The broker.
        broker: i32,
        /// The partition's topic.
        topic: String,
        /// Its index.
        partition: i32,
        /// Who has one.
        replicas: Vec<i32>,
    },
    /// It cannot be done at the moment; later it may.
    #[error("not possible at the moment: {why}")]
    NotYet {
        /// What stands in the way.
        why: String,
    },
    /// No broker answers.
    #[error("{address} does not answer: {source}")]
    Unreachable {
        /// Who was asked.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something that is not Kafka's protocol.
    #[error("{asked} cannot be understood: {reason}")]
    Garbled {
        /// Kafka's name of the request.
        asked: &'static str,
        /// What the codec said.
        reason: String,
    },
    /// It was called off before it had come to that.
    #[error("called off")]
    CalledOff,
}

struct Detail<'a>(&'a str);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " ({})", self.0) }
    }
}

impl InterventionError {
    /// Whether it may be different when asked again.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::NotYet { .. } | Self::Unreachable { .. })
    }
}

/// How long to go on. Its clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Patience {
    /// Without getting any further.
    at_most: Option<Duration>,
    is_over: Arc<AtomicBool>,
}

impl Patience {
    /// So long without getting any further, or until it is called off.
    #[must_use]
    pub fn at_most(limit: Duration) -> Self {
        Self { at_most: Some(limit), ..Self::default() }
    }

    /// Calls it off.
    pub fn call_off(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Whether it was called off.
    #[must_use]
    pub fn is_called_off(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// What an intervention that is tried several times keeps from one time to the next.
#[derive(Debug, Default)]
struct Progress {
    /// The broker that was asked to lead.
    chosen: Option<i32>,
    /// How often the stand-in has joined and left.
    joined: u32,
}

impl Intervention {
    /// Whether it is over as soon as it has struck: there is nothing to call off.
    #[must_use]
    pub const fn is_momentary(&self) -> bool {
        !matches!(self, Self::Clash { .. } | Self::Storm { .. })
    }

    /// Does it, and returns when that is over; `told` hears once when it has struck, which of a storm is its first join.
    ///
    /// `bootstrap` is `host:port`, with commas between several.
    ///
    /// # Errors
    /// [`InterventionError::Refused`] and its like at once; what may pass only when patience is over.
    pub fn carry_out(
        &self,
        bootstrap: &str,
        patience: &Patience,
        told: &mut dyn FnMut(Intervened),
    ) -> Result<(), InterventionError> {
        let mut progress = Progress::default();
        let mut since = Instant::now();
        // Brokers take turns: one that is paused or cut off takes a question and never answers.
        for turn in 0.. {
            let joined = progress.joined;
            let tried = Line::to_any(bootstrap, turn, patience)
                .and_then(|mut line| self.attempt(&mut line, &mut progress, told));
            match tried {
                Err(error) if error.is_passing() => {
                    if progress.joined > joined {
                        since = Instant::now();
                    }
                    if patience.is_called_off() || patience.at_most.is_some_and(|limit| since.elapsed() >= limit) {
                        return Err(error);
                    }
                    std::thread::sleep(BACKOFF);
                }
                done => return done,
            }
        }
        Ok(())
    }

    fn attempt(
        &self,
        line: &mut Line<'_>,
        progress: &mut Progress,
        told: &mut dyn FnMut(Intervened),
    ) -> Result<(), InterventionError> {
        match self {
            Self::MoveLeader { topic, partition, to } => {
                told(leadership::move_leader(line, (topic, *partition), *to, &mut progress.chosen)?);
            }
            Self::Reassign { topic, partition, replicas } => {
                told(leadership::reassign(line, (topic, *partition), replicas)?);
            }
            Self::ElectUnclean { topic, partition } => told(leadership::elect_unclean(line, (topic, *partition))?),
            Self::MoveCoordinator { group, to } => {
                told(leadership::move_coordinator(line, group, *to, &mut progress.chosen)?);
            }
            Self::Expel { group, client } => told(membership::expel(line, group, client.as_deref())?),
            Self::Clash { group, instance, lasts } => membership::clash(line, group, instance, *lasts, told)?,
            Self::Storm { group, joins } => membership::storm(line, group, *joins, &mut progress.joined, told)?,
        }
        Ok(())
    }
}

/// What a cluster looks like to a client that asks one of its brokers.
///
/// # Errors
/// When none answers.
pub fn view(bootstrap: &str) -> Result<View, InterventionError> {
    let patience = Patience::default();
    leadership::view(&mut Line::to_any(bootstrap, 0, &patience)?)
}

impl fmt::Display for Intervention {
    /// `move the leader of orders/0 to broker 2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = |f: &mut fmt::Formatter<'_>, to: &Option<i32>| to.map_or(Ok(()), |to| write!(f, " to broker {to}"));
        match self {
            Self::MoveLeader { topic, partition, to: broker } => {
                write!(f, "move the leader of {topic}/{partition}")?;
                to(f, broker)
            }
            Self::Reassign { topic, partition, replicas } => {
                write!(f, "reassign {topic}/{partition} to brokers {}", crate::faults::Listed(replicas))
            }
            Self::ElectUnclean { topic, partition } => write!(f, "elect an unclean leader of {topic}/{partition}"),
            Self::MoveCoordinator { group, to: broker } => {
                write!(f, "move the coordinator of group {group}")?;
                to(f, broker)
            }
            Self::Expel { group, client: None } => write!(f, "expel all members of group {group}"),
            Self::Expel { group, client: Some(client) } => write!(f, "expel {client} from group {group}"),
            Self::Clash { group, instance, lasts } => {
                write!(f, "a second member {instance} in group {group} for {lasts:?}")
            }
            Self::Storm { group, joins } => write!(f, "rebalance storm in group {group}, {joins} joins"),
        }
    }
}

impl Cluster {
    /// Does something that only a client can, and returns when it is over: what came of it. What is not possible at the
    /// moment is tried for half a minute.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use shakedown_cluster::{Cluster, Intervention, InterventionError};
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// let topic = String::from("a topic/with a name that cannot be");
    /// let moved = cluster.intervene(&Intervention::Reassign { topic, partition: 0, replicas: vec![2, 3] });
    /// assert!(matches!(moved, Err(InterventionError::Refused { .. })));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`InterventionError`].
    pub fn intervene(&self, intervention: &Intervention) -> Result<Intervened, InterventionError> {
        self.intervene_while(intervention, &Patience::at_most(PATIENCE))
    }

    /// As [`Self::intervene`], for as long as patience lasts: another thread may call it off.
    ///
    /// # Errors
    /// See [`InterventionError`].
    pub fn intervene_while(
        &self,
        intervention: &Intervention,
        patience: &Patience,
    ) -> Result<Intervened, InterventionError> {
        let mut happened = None;
        let mut told = |intervened| happened = Some(intervened);
        intervention.carry_out(&self.bootstrap_servers(), patience, &mut told)?;
        // Whatever comes to its end has struck before.
        happened.ok_or(InterventionError::CalledOff)
    }

    /// A replica in sync leads the partition from here on: see [`Intervention::MoveLeader`].
    ///
    /// # Errors
    /// As for [`Self::intervene`]; [`InterventionError::NoReplica`] when the broker has none.
    pub fn move_leader(&self, topic: &str, partition: i32, to: i32) -> Result<Intervened, InterventionError> {
        self.intervene(&Intervention::MoveLeader { topic: topic.to_owned(), partition, to: Some(to) })
    }

    /// The partition moves to these brokers: see [`Intervention::Reassign`]. Returns when it has begun.
    ///
    /// # Errors
    /// As for [`Self::intervene`].
    pub fn reassign(&self, topic: &str, partition: i32, replicas: &[i32]) -> Result<Intervened, InterventionError> {
        self.intervene(&Intervention::Reassign { topic: topic.to_owned(), partition, replicas: replicas.to_vec() })
    }

    /// A replica that is not in sync leads the partition, whose leader is gone: see [`Intervention::ElectUnclean`].
    ///
    /// # Errors
    /// As for [`Self::intervene`].
    pub fn elect_unclean(&self, topic: &str, partition: i32) -> Result<Intervened, InterventionError> {
        self.intervene(&Intervention::ElectUnclean { topic: topic.to_owned(), partition })
    }

    /// Another broker coordinates the group from here on: see [`Intervention::MoveCoordinator`].
    ///
    /// # Errors
    /// As for [`Self::intervene`].
    pub fn move_coordinator(&self, group: &str, to: Option<i32>) -> Result<Intervened, InterventionError> {
        self.intervene(&Intervention::MoveCoordinator { group: group.to_owned(), to })
    }

    /// Takes members out of a group behind their backs: see [`Intervention::Expel`].
    ///
    /// # Errors
    /// As for [`Self::intervene`].
    pub fn expel(&self, group: &str, client: Option<&str>) -> Result<Intervened, InterventionError> {
        self.intervene(&Intervention::Expel { group: group.to_owned(), client: client.map(str::to_owned) })
    }

    /// Fences a static member: see [`Intervention::Clash`].
    ///
    /// # Errors
    /// As for [`Self::intervene`].
    pub fn clash(&self, group: &str, instance: &str, lasts: Duration) -> Result<Intervened, InterventionError> {
        self.intervene(&Intervention::Clash { group: group.to_owned(), instance: instance.to_owned(), lasts })
    }

    /// Lets a stand-in join and leave a group again and again: see [`Intervention::Storm`]. Each time takes as long as the
    /// slowest member needs to notice, which is its `heartbeat.interval.ms`.
    ///
    /// # Errors
    /// As for [`Self::intervene`].
    pub fn rebalance_storm(&self, group: &str, joins: u32) -> Result<Intervened, InterventionError> {
        self.intervene(&Intervention::Storm { group: group.to_owned(), joins })
    }
}
