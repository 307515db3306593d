//! The validated scenario.

use super::books::BookPlan;
use super::deed::{Asked, Deed};
use super::equipment::{Equipment, ServerRole};
pub use super::expected::{Expect, LagRule, LatencyRule, StalledRule};
use super::http_load::HttpLoad;
pub use crate::language::reference::{StreamReference, TermReference};
pub use crate::scenario::stand_in::{StandIn, StandInRule};
/// What a fault does, to a service as to a broker.
pub use shakedown_cluster::NodeFault as FaultAction;
use shakedown_cluster::{KeyedMessage, Role, Selector};
use shakedown_loadgen::{Driver, KeySpace, PayloadPlan, TransactionPlan};
pub use shakedown_reports::expectation::Bounds;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A scenario in which every name refers to something and every expectation has its data.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The file it came from, as it was given.
    pub path: PathBuf,
    /// The text of that file.
    pub text: String,
    /// What it is about.
    pub name: String,
    /// Fixes everything that is drawn.
    pub seed: u64,
    /// The system that its services are told to belong to, where that is one of those that built-in services know.
    pub system: Option<String>,
    /// How many brokers.
    pub brokers: u32,
    /// How many dedicated controllers.
    pub controllers: u32,
    /// Bytes of the log in memory, over all brokers; `None` for the back end's default.
    pub memory: Option<u64>,
    /// Kafka's broker configuration.
    pub broker_config: BTreeMap<String, String>,
    /// Topics, in the order of the files.
    pub topics: Vec<Topic>,
    /// Services, in the order in which they are started.
    pub services: Vec<Service>,
    /// The stand-ins that services call.
    pub stand_ins: Vec<StandInRule>,
    /// Hops that messages must survive.
    pub flows: Vec<FlowRule>,
    /// The rules of conservation that are expected to hold.
    pub conserved: Vec<ConservedRule>,
    /// Books, and the rules over them that are expected to hold.
    pub books: BookPlan,
    /// The load.
    pub load: LoadRule,
    /// Faults, in the order of the file.
    pub faults: Vec<FaultRule>,
    /// What must hold.
    pub expect: Expect,
    /// How long the phases may take.
    pub limits: Limits,
}

/// One topic.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas of each; `None` for the cluster's default.
    pub replication_factor: Option<i32>,
    /// Its configuration.
    pub config: BTreeMap<String, String>,
    /// How to read its messages; `None` means from the load generator's header.
    pub message: Option<MessageRule>,
}

/// Where a JSON message carries what the checks compare.
#[derive(Debug, Clone)]
pub struct MessageRule {
    /// Points at the identity.
    pub identity: String,
    /// Where the amount is.
    pub value: ValueRule,
    /// Points at the intended instant, in microseconds.
    pub intended_us: Option<String>,
}

/// Where the amount is.
#[derive(Debug, Clone)]
pub enum ValueRule {
    /// There is none.
    None,
    /// In one field.
    Field(String),
    /// The sum over an array of a product of fields.
    Sum {
        /// Points at the array.
        array: String,
        /// Point from an element at the factors.
        product: Vec<String>,
    },
}

/// One service.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The program and its arguments; `None` for a built-in service.
    pub command: Option<Vec<String>>,
    /// When it counts as ready.
    pub ready: Readiness,
    /// How many processes.
    pub instances: u32,
    /// Its consumer group.
    pub group: Option<String>,
    /// What it consumes.
    pub consumes: Vec<String>,
    /// What it produces to.
    pub produces: Vec<String>,
    /// Outside stand-ins it calls.
    pub calls: Vec<StandIn>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Its port under `--fixed-ports`.
    pub port: Option<u16>,
    /// Where it states numbers about itself.
    pub figures: Option<String>,
    /// Where it lists what it did.
    pub ledger: Option<LedgerRule>,
    /// Where it keeps data, what it still has to do, where it stands still.
    pub equipment: Equipment,
}

impl Service {
    /// How many processes of it there come to be.
    #[must_use]
    pub fn instances_max(&self) -> u32 {
        self.instances.max(self.equipment.scaled_to)
    }
}

/// When a service counts as ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// This path answers with a 2xx status.
    Http(String),
    /// A line of its output contains this text.
    Log(String),
    /// Its group is stable and has a member for every instance.
    Group,
}

/// How to read a service's ledger.
#[derive(Debug, Clone)]
pub struct LedgerRule {
    /// The path.
    pub get: String,
    /// Points at the identity.
    pub identity: String,
    /// Points at the key.
    pub key: Option<String>,
    /// Points at the amount.
    pub value: Option<String>,
    /// Points at the position.
    pub position: String,
    /// Points at the instant, in microseconds.
    pub at_us: String,
    /// Points at the intended instant, in microseconds.
    pub intended_us: Option<String>,
}

/// A hop with its name.
#[derive(Debug, Clone)]
pub struct FlowRule {
    /// Its name.
    pub name: String,
    /// Where messages come from.
    pub from: StreamReference,
    /// Where they must arrive.
    pub to: StreamReference,
}

/// A rule of conservation.
#[derive(Debug, Clone)]
pub struct ConservedRule {
    /// Its name.
    pub name: String,
    /// What must be equal.
    pub equal: Vec<TermReference>,
}

/// Where load goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The load generator produces to a topic.
    Topic(String),
    /// The load generator produces to each of these topics in turn.
    Topics(Vec<String>),
    /// A service produces at the rate it is given.
    Service(String),
    /// The load generator asks a service over HTTP.
    Post {
        /// The service.
        service: String,
        /// The path.
        path: String,
    },
}

impl Target {
    /// The topics that the load generator produces to.
    #[must_use]
    pub fn topics(&self) -> &[String] {
        match self {
            Self::Topic(topic) => std::slice::from_ref(topic),
            Self::Topics(topics) => topics,
            Self::Service(_) | Self::Post { .. } => &[],
        }
    }

    /// Whether the load generator itself offers the load, and so records what becomes of it.
    #[must_use]
    pub fn is_offered_by_us(&self) -> bool {
        !matches!(self, Self::Service(_))
    }
}

/// How arrivals are spread over time.
pub use shakedown_loadgen::Shape as ArrivalShape;

/// The load.
#[derive(Debug, Clone)]
pub struct LoadRule {
    /// Where it goes.
    pub target: Target,
    /// How arrivals are spread.
    pub shape: ArrivalShape,
    /// Messages in [`LoadRule::per`]; at the end of a ramp, between bursts, in the densest of steps.
    pub messages: u64,
    /// The unit of the rate.
    pub per: Duration,
    /// For how long.
    pub duration: Duration,
    /// Whose messages they are.
    pub keys: KeySpace,
    /// Raw bytes in place of orders.
    pub payload: Option<PayloadPlan>,
    /// Properties of the load generator's client.
    pub client: BTreeMap<String, String>,
    /// Which client it has.
    pub driver: Driver,
    /// The transactions that messages go in.
    pub transactions: Option<TransactionPlan>,
    /// How many of them.
    pub producers: u32,
    /// At most so many messages in so long, whatever the rate.
    pub max_rate: Option<(u64, Duration)>,
    /// What is asked, where the load goes over HTTP.
    pub http: Option<HttpLoad>,
}

/// Whom a fault hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultTarget {
    /// A service.
    Service {
        /// Its name.
        name: String,
        /// Which instance, from 1; `None` for all.
        instance: Option<u32>,
    },
    /// Brokers, by what they do when it strikes.
    Broker(Role),
    /// The server behind a service, which the harness runs.
    Server(ServerRole),
}

impl std::fmt::Display for FaultTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Service { name, instance: None } => write!(f, "service({name})"),
            Self::Service { name, instance: Some(number) } => write!(f, "instance({name}, {number})"),
            Self::Broker(role) => role.fmt(f),
            Self::Server(role) => role.fmt(f),
        }
    }
}

/// When a fault strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// From the first message of the load; with [`Trigger::when`], the latest instant.
    pub at: Option<Duration>,
    /// What has to happen first.
    pub when: Option<Condition>,
    /// How long after that.
    pub after: Duration,
}

/// What a fault may wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// So many messages are in a topic.
    Produced {
        /// The topic.
        topic: String,
        /// How many.
        nth: u64,
    },
    /// A request has come in.
    Requested {
        /// Which requests count.
        selector: Selector,
        /// Which of them.
        nth: u64,
    },
    /// Another fault has struck.
    Struck {
        /// Its place among the scenario's faults.
        fault: usize,
        /// Its name.
        name: String,
    },
    /// A group has committed so many messages of a topic.
    Consumed {
        /// The topic.
        topic: String,
        /// The group.
        group: String,
        /// How many.
        nth: u64,
    },
    /// No more replicas of a partition are in sync.
    InSync {
        /// The partition's topic.
        topic: String,
        /// Its index.
        partition: i32,
        /// How many at most.
        at_most: usize,
    },
    /// A group is between two generations.
    Rebalancing {
        /// The group.
        group: String,
    },
    /// An instance of a service stands still at its failpoint.
    Failpoint {
        /// The service.
        service: String,
    },
    /// The n-th message of a key is there, or has been committed by a group.
    Message(KeyedMessage),
}

impl std::fmt::Display for Trigger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.when {
            None => return write!(f, "at {:?}", self.at.unwrap_or_default()),
            Some(Condition::Requested { .. }) if self.after.is_zero() => f.write_str("before ")?,
            Some(_) if self.after.is_zero() => f.write_str("after ")?,
            Some(_) => write!(f, "{:?} after ", self.after)?,
        }
        match &self.when {
            Some(Condition::Produced { topic, nth }) => write!(f, "{nth} messages in {topic}"),
            Some(Condition::Requested { selector, nth }) => write!(f, "{}, no. {nth}", Asked(selector)),
            Some(Condition::Struck { name, .. }) => write!(f, "\"{name}\""),
            Some(Condition::Consumed { topic, group, nth }) => {
                write!(f, "{nth} messages of {topic} committed by group {group}")
            }
            Some(Condition::InSync { topic, partition, at_most }) => {
                write!(f, "the ISR of {topic}/{partition} shrank to {at_most}")
            }
            Some(Condition::Rebalancing { group }) => write!(f, "group {group} began to rebalance"),
            Some(Condition::Failpoint { service }) => write!(f, "{service} stands at its failpoint"),
            Some(Condition::Message(KeyedMessage { topic, key, nth, committed_by })) => {
                write!(f, "message {nth} of key {key} in {topic}")?;
                committed_by.as_ref().map_or(Ok(()), |group| write!(f, ", committed by group {group}"))
            }
            None => Ok(()),
        }
    }
}

/// When a fault ends, where it is not the end of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heal {
    /// Not before this fault has struck, by its place among the scenario's faults; `None` means the fault itself.
    pub then: Option<usize>,
    /// How long after that.
    pub after: Duration,
}

/// One fault.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultRule {
    /// When.
    pub trigger: Trigger,
    /// What.
    pub deed: Deed,
    /// Until when; `None` for the end of the load.
    pub heal: Option<Heal>,
    /// How many of the faults above it are called the same but for this: 0 for the first.
    pub namesakes: usize,
}

impl FaultRule {
    /// Gives each fault a name of its own: events and reports tell faults apart by what they are called.
    pub fn tell_apart(faults: &mut [Self]) {
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for fault in faults {
            fault.namesakes = 0;
            let times = times.entry(fault.to_string()).or_default();
            fault.namesakes = *times;
            *times += 1;
        }
    }
}

impl std::fmt::Display for FaultRule {
    /// How a fault is called in events and reports: `kill service(tracker) at 2s`, and `kill service(tracker) at 2s #2` where
    /// another one is called so already.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.deed, &self.trigger) {
            // From the beginning, as rules are that say nothing else.
            (Deed::Requests(_), Trigger { at: Some(Duration::ZERO), when: None, .. }) => self.deed.fmt(f)?,
            (deed, trigger) => write!(f, "{deed} {trigger}")?,
        }
        if self.namesakes == 0 { Ok(()) } else { write!(f, " #{}", self.namesakes + 1) }
    }
}

/// How long the phases may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until every service is ready.
    pub start: Duration,
    /// From the end of the load until everything has arrived.
    pub drain: Duration,
    /// For a service to stop after SIGTERM.
    pub stop: Duration,
}
