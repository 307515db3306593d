//! What the control API asks and answers, in JSON.

use crate::disks::{Damage, DiskFault};
use crate::faults::NodeFault;
use crate::names::{api_name, error_name, errors, served_apis};
use serde::{Deserialize, Serialize};
use shakedown_broker::BrokerId;
use shakedown_broker::faults::{Effect, Rule, Selector};
use std::time::Duration;
use utoipa::ToSchema;

/// While a node works on one request, no node answers anybody.
const WORK_MAX_US: u64 = 1_000_000;

/// The cluster.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ClusterView {
    /// What clients connect to first: `host:port`, with commas between them.
    pub bootstrap_servers: String,
    /// The active controller; none while there is an election.
    pub controller: Option<i32>,
    /// The brokers.
    pub nodes: Vec<NodeView>,
}

/// A broker.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NodeView {
    /// `node.id`.
    pub id: i32,
    /// Where clients find it.
    pub host: String,
    /// Where clients find it.
    pub port: u16,
}

/// Who leads and who follows.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PartitionView {
    /// The leader; none where there is no such partition, or an election is under way.
    pub leader: Option<i32>,
    /// The followers that are up.
    pub followers: Vec<i32>,
}

/// A node that plays a role.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Player {
    /// Its id; none while nobody plays the role.
    pub node: Option<i32>,
}

/// Something is done to whoever plays a role.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StrikeOrder {
    /// `kill`, `power-loss`, `pause`, `isolate`, `restart`, `disk-full`, `write-errors`, `read-errors`, `slow-sync`,
    /// `flipped-bit`, `torn-tail`, `lost-segment` or `lost-log`. The last four damage what the role's partition has on disk,
    /// for good; all but a flipped bit kill the node, which `/v1/heal` starts again.
    #[schema(example = "kill")]
    pub fault: String,
    /// `broker(2)`, `leader(orders/0)`, `follower(orders/0)`, `followers(orders/0)`, `controller`,
    /// `group-coordinator(billing)`, `all`, `one`, `minority`, `majority`; the last three are drawn from the cluster's seed,
    /// and `one(1)` is another draw than `one`.
    #[schema(example = "leader(orders/0)")]
    pub role: String,
    /// Of `slow-sync`: how many milliseconds each sync takes longer.
    pub ms: Option<u64>,
    /// Of `torn-tail`: how many bytes the last batch lacks. Of `disk-full`: how many bytes there is still room for, by default
    /// none.
    pub bytes: Option<u64>,
    /// Of `flipped-bit`: an offset of the batch. Of `lost-segment`: the first offset that is gone.
    pub offset: Option<i64>,
    /// Of `lost-segment`: one past the last offset that is gone.
    pub below: Option<i64>,
}

impl StrikeOrder {
    /// The fault.
    ///
    /// # Errors
    /// When there is no such fault, when it lacks a number, and when a number belongs to another fault.
    pub fn fault(&self) -> Result<NodeFault, String> {
        let Self { fault, role: _, ms, bytes, offset, below } = self;
        let lacks = |number: &str| format!("`{fault}` needs `{number}`");
        let (made, uses): (NodeFault, &[&str]) = match fault.as_str() {
            "slow-sync" => {
                let by = Duration::from_millis(ms.ok_or_else(|| lacks("ms"))?);
                (NodeFault::Disk(DiskFault::SlowSync { by }), &["ms"])
            }
            "disk-full" => {
                let after_bytes = bytes.unwrap_or_default();
                (NodeFault::Disk(DiskFault::Full { after_bytes }), &["bytes"])
            }
            "flipped-bit" => {
                let offset = offset.ok_or_else(|| lacks("offset"))?;
                (NodeFault::Damage(Damage::FlippedBit { offset }), &["offset"])
            }
            "torn-tail" => {
                let bytes = usize::try_from(bytes.ok_or_else(|| lacks("bytes"))?).unwrap_or(usize::MAX);
                (NodeFault::Damage(Damage::TornTail { bytes }), &["bytes"])
            }
            "lost-segment" => {
                let (from, below) = (offset.ok_or_else(|| lacks("offset"))?, below.ok_or_else(|| lacks("below"))?);
                (NodeFault::Damage(Damage::LostBatches { from, below }), &["offset", "below"])
            }
            "lost-log" => (NodeFault::Damage(Damage::LostLog), &[]),
            word => (word.parse().map_err(|_| unknown_fault(word))?, &[]),
        };
        let given = [("ms", ms.is_some()), ("bytes", bytes.is_some()), ("offset", offset.is_some())];
        let given = given.into_iter().chain([("below", below.is_some())]).filter(|(_, is_given)| *is_given);
        match given.map(|(name, _)| name).find(|name| !uses.contains(name)) {
            Some(name) => Err(format!("`{name}` says nothing to `{fault}`")),
            None => Ok(made),
        }
    }
}

fn unknown_fault(word: &str) -> String {
    format!(
        "`{word}` is no fault: write kill, power-loss, pause, isolate, restart, disk-full, write-errors, read-errors, \
         slow-sync, flipped-bit, torn-tail, lost-segment or lost-log"
    )
}

/// Brokers are restarted one after another.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollingOrder {
    /// Which, as for `/v1/faults`.
    #[schema(example = "all")]
    pub role: String,
}

/// Whom it hit.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Struck {
    /// Node ids.
    pub nodes: Vec<i32>,
}

/// A link between two nodes.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkOrder {
    /// A node.
    pub one: i32,
    /// Another.
    pub other: i32,
}

/// Which requests, and what becomes of them. What is left out does not matter.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleOrder {
    /// Kafka's name of the API.
    #[schema(example = "Produce")]
    pub api: Option<String>,
    /// The `client.id`; a `*` at its end stands for any end.
    pub client: Option<String>,
    /// A topic that the request is about.
    #[schema(example = "orders")]
    pub topic: Option<String>,
    /// A partition of the topic.
    pub partition: Option<i32>,
    /// A consumer group that the request is about.
    pub group: Option<String>,
    /// The broker that is asked.
    pub node: Option<i32>,
    /// Only this one of them, from 1; with `times`, the first that is hit.
    #[schema(minimum = 1)]
    pub nth: Option<u64>,
    /// How many are hit, one after another. One with `nth`, else all, unless told otherwise.
    #[schema(minimum = 1)]
    pub times: Option<u64>,
    /// What becomes of them.
    pub effect: EffectOrder,
}

/// What becomes of a request.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum EffectOrder {
    /// The client gets an error.
    Error {
        /// Kafka's name of it.
        #[schema(example = "NOT_ENOUGH_REPLICAS")]
        code: String,
        /// Whether the request is carried out all the same.
        #[serde(default)]
        applied: bool,
    },
    /// The client never hears of it, on a connection that stays open.
    Silence {
        /// Whether the request is carried out.
        applied: bool,
    },
    /// The connection closes instead of a reply.
    HangUp {
        /// Whether the request is carried out.
        applied: bool,
    },
    /// It waits until it is released, its rule ends, or so long.
    Hold {
        /// Whether only the reply waits.
        applied: bool,
        /// How long at most, in milliseconds.
        ms: Option<u64>,
    },
    /// It is carried out twice.
    Duplicate {},
    /// The client is told to wait so long, and made to.
    Throttle {
        /// How long, in milliseconds.
        ms: u64,
    },
    /// It costs the broker so much work, and nothing else is done meanwhile.
    Work {
        /// How much, in microseconds; a second at most.
        us: u64,
    },
}

/// A rule in force, or a fault that stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Standing {
    /// Its number.
    pub id: u64,
    /// How often it has hit.
    pub hits: u64,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// In words: the thing, the value, what is allowed.
    pub error: String,
}

impl RuleOrder {
    /// The rule.
    ///
    /// # Errors
    /// When it names an API or an error that there is not, or no request at all.
    pub fn rule(self) -> Result<Rule, String> {
        let api = self.api.as_deref().map(|name| {
            let named = served_apis().find(|api| api_name(*api) == name);
            named.ok_or_else(|| {
                let all: Vec<String> = served_apis().map(api_name).collect();
                format!("`{name}` is no API that is served: write one of {}", all.join(", "))
            })
        });
        if self.partition.is_some() && self.topic.is_none() {
            return Err("`partition` says nothing without `topic`".to_owned());
        }
        for (name, number) in [("nth", self.nth), ("times", self.times)] {
            if number == Some(0) {
                return Err(format!("`{name}` is 0, which hits nothing: write 1 or more"));
            }
        }
        let selector = Selector {
            apis: api.transpose()?.into_iter().collect(),
            client: self.client,
            topic: self.topic,
            partition: self.partition,
            group: self.group,
            transactional_id: None,
            node: self.node.map(BrokerId),
        };
        let times = self.times.or_else(|| self.nth.map(|_| 1));
        Ok(Rule { selector, from: self.nth.unwrap_or(1), times, effect: self.effect.effect()? })
    }
}

impl EffectOrder {
    fn effect(self) -> Result<Effect, String> {
        Ok(match self {
            Self::Error { code, applied } => {
                let error = errors().find(|error| error_name(*error) == code);
                let error = error.ok_or_else(|| {
                    format!("`{code}` is no error of Kafka's protocol: write one such as NOT_ENOUGH_REPLICAS")
                })?;
                Effect::Error { error, applied }
            }
            Self::Silence { applied } => Effect::Silence { applied },
            Self::HangUp { applied } => Effect::HangUp { applied },
            Self::Hold { applied, ms } => Effect::Hold { applied, lasts: ms.map(Duration::from_millis) },
            Self::Duplicate {} => Effect::Duplicate,
            Self::Throttle { ms } => Effect::Throttle { lasts: Duration::from_millis(ms) },
            Self::Work { us } if us > WORK_MAX_US => {
                return Err(format!("`work` of {us} us for each request: write {WORK_MAX_US} or less"));
            }
            Self::Work { us } => Effect::Work { lasts: Duration::from_micros(us) },
        })
    }
}
