//! The plan of a run: everything that the seed decides, and the streams that will be recorded.
//!
//! Nothing in here depends on the machine, the time or a port, so that two runs of one plan may be compared.

use crate::language::reference::{StreamReference, TermReference};
use crate::scenario::deed::Deed;
use crate::scenario::model::{
    ArrivalShape, Condition, FaultAction, FaultRule, FaultTarget, LoadRule, MessageRule, Scenario, StandIn,
    StandInRule, Target, Topic, ValueRule,
};
use crate::shares;
use crate::watched;
use shakedown_loadgen::{Arrivals, Digest, IdentityRule, JsonRule, LoadPlan, Rate};
use shakedown_reports::expectation::{ConservationRule, Expectations, LagBudget, LatencyBudget, StandstillLimit, Term};
use shakedown_reports::record::{Flow, Share, StreamId, StreamInfo, StreamKind};
use shakedown_reports::watch::Watch;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// Why a valid scenario cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The rate does not exist.
    #[error("cannot plan the load's rate: {0}")]
    Rate(#[from] shakedown_loadgen::rate::RateError),
    /// The load generator refuses the load.
    #[error("cannot plan the load: {0}")]
    Load(#[from] shakedown_loadgen::plan::PlanError),
}

/// A scenario with everything drawn.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The scenario.
    pub scenario: Scenario,
    /// What is offered, and when. For a service that offers the load itself, the schedule it is asked for.
    pub load: LoadPlan,
    /// How many messages that is.
    pub total: u64,
    /// What will be recorded.
    pub streams: Vec<StreamInfo>,
    /// The hops between those streams.
    pub flows: Vec<Flow>,
    /// The part of the load that each of them carries, where it is spread over several topics.
    pub shares: Vec<Option<Share>>,
    /// What is watched beside them.
    pub watches: Vec<Watch>,
    /// What must hold of them.
    pub expectations: Expectations,
    /// Names everything above that decides what is offered to what.
    pub digest: String,
}

impl Plan {
    /// Draws everything.
    ///
    /// # Errors
    /// When the load generator cannot offer such a load.
    pub fn new(scenario: Scenario) -> Result<Self, PlanError> {
        let mut load = load_plan(scenario.seed, &scenario.load)?;
        load.measures_partitions = scenario.expect.latency.iter().any(|(_, rule)| rule.partitions.is_some());
        let total = load.total()?;
        let streams = streams(&scenario);
        let find = |reference: &StreamReference| position(&streams, reference);
        let hops = scenario.flows.iter().filter_map(|flow| {
            let hop = Flow { from: find(&flow.from)?, to: find(&flow.to)? };
            Some((hop, shares::of(flow, &scenario.services, scenario.load.target.topics())))
        });
        let (flows, shares) = hops.unzip();
        let watches = watched::watches(&scenario, &find);
        let expectations = expectations(&scenario, &find);
        let digest = digest(&scenario, &load.digest()?);
        Ok(Self { scenario, load, total, streams, flows, shares, watches, expectations, digest })
    }

    /// How many of the plan's sequences can turn up in messages: none where a service makes up its own.
    #[must_use]
    pub fn planned_identities(&self) -> u64 {
        if self.records_operations() { self.total } else { 0 }
    }

    /// Whether the load generator itself offers the load.
    #[must_use]
    pub fn records_operations(&self) -> bool {
        self.scenario.load.target.is_offered_by_us()
    }

    /// The topics that are tapped, with their streams.
    pub fn tapped(&self) -> impl Iterator<Item = (StreamId, &Topic)> {
        self.scenario.topics.iter().filter_map(|topic| {
            let stream = position(&self.streams, &StreamReference::Topic(topic.name.clone()))?;
            Some((stream, topic))
        })
    }

    /// The topics that are read once more at the end, with the streams of that.
    pub fn read_again(&self) -> impl Iterator<Item = (StreamId, &Topic)> {
        let again = (0..).zip(&self.streams).filter(|(_, stream)| stream.kind == StreamKind::Reread);
        again
            .filter_map(|(id, stream)| Some((id, self.scenario.topics.iter().find(|topic| topic.name == stream.name)?)))
    }

    /// The stream of this ledger, if it is recorded.
    #[must_use]
    pub fn ledger_stream(&self, name: &str) -> Option<StreamId> {
        position(&self.streams, &StreamReference::Ledger(name.to_owned()))
    }
}

/// The arrivals of this shape, at so many messages in so long.
///
/// # Errors
/// When that rate does not exist.
pub fn arrivals(
    shape: ArrivalShape,
    (messages, per): (u64, Duration),
    duration: Duration,
) -> Result<Arrivals, PlanError> {
    Ok(Arrivals { shape, rate: Rate::new(messages, per)?, duration })
}

/// The load generator's plan of this load, if it can carry it out.
///
/// # Errors
/// When it cannot.
pub fn load_plan(seed: u64, load: &LoadRule) -> Result<LoadPlan, PlanError> {
    let LoadRule {
        target,
        shape,
        messages,
        per,
        duration,
        keys,
        payload,
        client,
        driver,
        transactions,
        producers,
        max_rate,
        http,
    } = load;
    let arrivals = arrivals(shape.clone(), (*messages, *per), *duration)?;
    let (name, others) = match target {
        Target::Topic(name) | Target::Service(name) | Target::Post { service: name, .. } => (name.as_str(), &[][..]),
        Target::Topics(names) => names.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest)),
    };
    // A run number tells the messages of two runs on one cluster apart; the embedded cluster has only this run's.
    let mut plan = LoadPlan::new(seed, 1, name, arrivals, *keys);
    plan.more_topics = others.to_vec();
    plan.payload.clone_from(payload);
    plan.client.clone_from(client);
    plan.driver = *driver;
    plan.transactions.clone_from(transactions);
    plan.producers = *producers;
    plan.max_rate = max_rate.map(|(messages, per)| Rate::new(messages, per)).transpose()?;
    if let (Target::Post { path, .. }, Some(http)) = (target, http) {
        plan.http = Some(http.plan(path));
    }
    plan.validate()?;
    Ok(plan)
}

/// The load if it is recorded, then every topic and ledger that a rule looks at, in the order of the files; last the topics
/// that are read once more.
fn streams(scenario: &Scenario) -> Vec<StreamInfo> {
    let watched = watched::topics(scenario);
    let mut wanted: Vec<&StreamReference> = scenario.flows.iter().flat_map(|flow| [&flow.from, &flow.to]).collect();
    wanted.extend(&watched);
    let own: Vec<StreamReference> = match &scenario.load.transactions {
        // Where its messages end, and markers begin, only a tap can tell.
        Some(_) => {
            scenario.load.target.topics().iter().map(|topic| StreamReference::Topic((*topic).to_owned())).collect()
        }
        None => Vec::new(),
    };
    wanted.extend(&own);
    for term in scenario.conserved.iter().flat_map(|rule| &rule.equal) {
        if let TermReference::Sum(stream) | TermReference::Count(stream) = term {
            wanted.push(stream);
        }
    }
    let mut streams = Vec::new();
    if scenario.load.target.is_offered_by_us() {
        streams.push(StreamInfo { name: "load".to_owned(), kind: StreamKind::Load });
    }
    for topic in &scenario.topics {
        if wanted.iter().any(|stream| **stream == StreamReference::Topic(topic.name.clone())) {
            streams.push(StreamInfo { name: topic.name.clone(), kind: StreamKind::Topic });
        }
    }
    let services = scenario.services.iter().map(|service| service.name.as_str());
    for ledger in services.chain([StandIn::Mailbox.name()]) {
        if wanted.iter().any(|stream| **stream == StreamReference::Ledger(ledger.to_owned())) {
            streams.push(StreamInfo { name: ledger.to_owned(), kind: StreamKind::Ledger });
        }
    }
    streams.extend(watched::read_again(scenario));
    streams
}

fn position(streams: &[StreamInfo], reference: &StreamReference) -> Option<StreamId> {
    let label = reference.to_string();
    streams.iter().position(|stream| stream.label() == label).and_then(|index| StreamId::try_from(index).ok())
}

fn expectations(scenario: &Scenario, find: &impl Fn(&StreamReference) -> Option<StreamId>) -> Expectations {
    let term = |term: &TermReference| match term {
        TermReference::Sum(stream) => Term::Sum(stream.to_string()),
        TermReference::Count(stream) => Term::Count(stream.to_string()),
        TermReference::Figure { service, field } => Term::Figure(format!("{service}.{field}")),
    };
    let conserved = scenario
        .conserved
        .iter()
        .map(|rule| ConservationRule { name: rule.name.clone(), equal: rule.equal.iter().map(term).collect() })
        .collect();
    let nanoseconds = |bound: &Duration| u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
    let mut latency = BTreeMap::new();
    for (name, bounds) in &scenario.expect.latency {
        let flow = scenario.flows.iter().find(|flow| flow.name == *name);
        let flow = flow.and_then(|flow| Some(Flow { from: find(&flow.from)?, to: find(&flow.to)? }));
        let at_most = bounds.at_most.iter().map(|(name, bound)| (name.clone(), nanoseconds(bound))).collect();
        latency.insert(name.clone(), LatencyBudget { flow, at_most, partitions: bounds.partitions });
    }
    let unavailable = scenario.expect.unavailable.as_ref().map(nanoseconds);
    let (stalled, lag) = (scenario.expect.stalled.as_ref(), scenario.expect.lag.as_ref());
    Expectations {
        lost: scenario.expect.lost,
        duplicated: scenario.expect.duplicated,
        order_per_key: scenario.expect.order_per_key,
        reordered: scenario.expect.reordered,
        conserved,
        rules: scenario.books.rules.clone(),
        latency,
        unavailable,
        skipped: scenario.expect.skipped,
        committed_too_far: scenario.expect.committed_too_far,
        offset_regressed: scenario.expect.offset_regressed,
        inconsistent_offset: scenario.expect.inconsistent_offset,
        stalled: stalled
            .map(|rule| StandstillLimit { at_most: nanoseconds(&rule.at_most), partitions: rule.partitions }),
        unacknowledged: scenario.expect.unacknowledged,
        lag_groups: scenario.expect.lag_groups.clone(),
        lag: lag.map(|lag| LagBudget { at_most: lag.at_most, drained_in: lag.drained_in.as_ref().map(nanoseconds) }),
    }
}

/// How the tap reads messages of a topic.
#[must_use]
pub fn identity_rule(message: Option<&MessageRule>) -> IdentityRule {
    let Some(message) = message else { return IdentityRule::Header };
    let value = match &message.value {
        ValueRule::None => shakedown_loadgen::ValueRule::None,
        ValueRule::Field(pointer) => shakedown_loadgen::ValueRule::Pointer(pointer.clone()),
        ValueRule::Sum { array, product } => {
            shakedown_loadgen::ValueRule::SumOfProducts { array: array.clone(), factors: product.clone() }
        }
    };
    IdentityRule::Json(JsonRule { identity: message.identity.clone(), value, intended_us: message.intended_us.clone() })
}

/// Over a canonical text of what decides the run: written by hand, so that a renamed field in the harness does
/// not change the name of a plan. Commands are left out: their paths belong to a machine.
fn digest(scenario: &Scenario, load: &str) -> String {
    let mut text = Canonical::default();
    text.line("seed", [&scenario.seed.to_string()]);
    text.line("brokers", [&scenario.brokers.to_string()]);
    if scenario.controllers > 0 {
        text.line("controllers", [&scenario.controllers.to_string()]);
    }
    text.line("memory", scenario.memory.map(|bytes| bytes.to_string()).iter());
    text.pairs("broker config", &scenario.broker_config);
    match &scenario.load.target {
        Target::Topic(name) => text.line("load", [load, "topic", name]),
        Target::Service(name) => text.line("load", [load, "service", name]),
        // Path and words are part of the load's own digest.
        Target::Post { service, .. } => text.line("load", [load, "POST", service]),
        Target::Topics(names) => {
            text.line("load", [load, "topics"].into_iter().chain(names.iter().map(String::as_str)));
        }
    }
    for topic in &scenario.topics {
        text.line("topic", [&topic.name, &topic.partitions.to_string()]);
        if let Some(factor) = topic.replication_factor {
            text.line("replicas", [&factor.to_string()]);
        }
        text.pairs("config", &topic.config);
    }
    for service in &scenario.services {
        text.line("service", [&service.name, &service.instances.to_string()]);
        text.line("group", service.group.iter());
        text.line("consumes", service.consumes.iter());
        text.line("calls", service.calls.iter().map(|stand_in| stand_in.name()));
        text.pairs("environment", &service.env);
        for words in service.equipment.words() {
            text.line("equipment", [words]);
        }
    }
    for rule in &scenario.stand_ins {
        text.stand_in(rule);
    }
    for fault in &scenario.faults {
        text.fault(fault);
    }
    let mut digest = Digest::new();
    digest.bytes(text.0.as_bytes());
    digest.to_string()
}

/// Lines of words, each with its length, so that no two lists of words make one text.
#[derive(Default)]
struct Canonical(String);

impl Canonical {
    fn line<T: AsRef<str>>(&mut self, what: &str, words: impl IntoIterator<Item = T>) {
        self.0 += what;
        for word in words {
            let word = word.as_ref();
            let _ = write!(self.0, " {}:{word}", word.len());
        }
        self.0.push('\n');
    }

    /// Only what somebody decided: plans that leave everything as it is keep their names.
    fn stand_in(&mut self, rule: &StandInRule) {
        let StandInRule { stand_in, latency, declines } = rule;
        if *rule != StandInRule::new(*stand_in) {
            self.line("stand-in", [stand_in.name(), &latency.as_nanos().to_string()]);
            self.line("declines above", declines.above.map(|above| above.to_string()).iter());
            self.line("declines every", declines.every.map(|every| every.to_string()).iter());
        }
    }

    fn fault(&mut self, fault: &FaultRule) {
        match &fault.deed {
            Deed::Hit { action, target: FaultTarget::Service { name, instance } } => {
                self.line("fault", [action.word(), name]);
                self.line("instance", instance.map(|number| number.to_string()).iter());
            }
            Deed::Hit { action, target: FaultTarget::Broker(role) } => {
                self.line("fault on brokers", [action.word(), &role.to_string()]);
                if let FaultAction::Damage(damage) = action {
                    self.line("damage", [damage.to_string()]);
                }
            }
            deed => {
                self.line("fault on the cluster", [deed.to_string()]);
            }
        }
        let trigger = &fault.trigger;
        self.line("at", trigger.at.map(|at| at.as_nanos().to_string()).iter());
        match &trigger.when {
            None => {}
            Some(Condition::Produced { topic, nth }) => self.line("produced", [topic, &nth.to_string()]),
            Some(Condition::Requested { .. }) => self.line("requested", [trigger.to_string()]),
            Some(Condition::Struck { fault, .. }) => self.line("struck", [&fault.to_string()]),
            Some(Condition::Failpoint { service }) => self.line("failpoint", [service]),
            Some(Condition::Consumed { topic, group, nth }) => self.line("consumed", [topic, group, &nth.to_string()]),
            Some(Condition::InSync { .. } | Condition::Rebalancing { .. }) => self.line("state", [trigger.to_string()]),
            Some(Condition::Message(message)) => {
                self.line("message", [&message.topic, &message.key, &message.nth.to_string()]);
                self.line("committed by", message.committed_by.iter());
            }
        }
        if !trigger.after.is_zero() {
            self.line("after", [&trigger.after.as_nanos().to_string()]);
        }
        self.line("heal", fault.heal.map(|heal| heal.after.as_nanos().to_string()).iter());
        if let Some(then) = fault.heal.and_then(|heal| heal.then) {
            self.line("heal then", [&then.to_string()]);
        }
    }

    fn pairs(&mut self, what: &str, pairs: &BTreeMap<String, String>) {
        self.line(what, pairs.iter().flat_map(|(name, value)| [name, value]));
    }
}

#[cfg(test)]
mod tests {
    use crate::Runner;

    const SCENARIO: &str = r#"
name = "a plan"
seed = 1

[cluster]
memory = "64MiB"

[topics.orders]

[services.tracker]
group = "order-tracker"
consumes = ["orders"]
calls = ["mailbox"]
env = { A = "b c", D = "e" }

[flows.end-to-end]
from = "load"
to = "topic orders"

[load]
target = "topic orders"
arrivals = { shape = "constant", rate = "100/s", for = "1s" }

[[fault]]
at = "200ms"
do = { kill = "service(tracker)" }

[expect]
lost = 0
"#;

    fn digest(text: &str) -> String {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("plan.toml");
        std::fs::write(&file, text).expect("a file");
        Runner::new(&file).plan().unwrap_or_else(|error| panic!("{error}")).digest
    }

    #[test]
    fn the_digest_is_the_same_for_ever() {
        assert_eq!(digest(SCENARIO), GOLDEN, "the same plan must stay the same plan");
    }

    /// The digest of the scenario above.
    const GOLDEN: &str = "0291541f25c2cf7a";

    #[test]
    fn the_digest_tells_everything_that_decides_the_run() {
        let original = digest(SCENARIO);
        for (part, change) in [
            ("seed = 1", "seed = 2"),
            ("64MiB", "65MiB"),
            ("[topics.orders]", "[topics.orders]\npartitions = 2"),
            ("[topics.orders]", "[topics.orders]\nconfig = { \"retention.ms\" = 1000 }"),
            ("group = \"order-tracker\"", "group = \"tracker\""),
            ("consumes = [\"orders\"]\n", ""),
            ("calls = [\"mailbox\"]\n", ""),
            ("{ A = \"b c\", D = \"e\" }", "{ A = \"b\", \"c D\" = \"e\" }"),
            ("rate = \"100/s\"", "rate = \"101/s\""),
            ("\"constant\", rate", "\"ramp\", from = \"100/s\", rate"),
            ("for = \"1s\" }", "for = \"1s\" }\npayload = { bytes = 200 }"),
            ("for = \"1s\" }", "for = \"1s\" }\nkeys = { sequential = true }"),
            ("at = \"200ms\"", "at = \"201ms\""),
            ("service(tracker)", "instance(tracker, 1)"),
            ("kill = \"service(tracker)\" }", "kill = \"service(tracker)\" }\nheal = { after = \"1ms\" }"),
            ("[services.tracker]", "[services.tracker]\ninstances = 2"),
        ] {
            assert!(SCENARIO.contains(part), "the scenario has no {part:?}");
            assert_ne!(digest(&SCENARIO.replacen(part, change, 1)), original, "{change} went unnoticed");
        }
        assert_eq!(digest(&SCENARIO.replacen("a plan", "another name", 1)), original, "a name decides nothing");
    }
}
