//! The names that a scenario declares, and what each of them can offer to a rule.

use crate::language::document::{Place, Spanned};
use crate::language::names;
use crate::language::problem::Problems;
use crate::language::raw::{RawService, RawTopic};
use crate::language::raw_equipment::{RawCache, RawStore};
use crate::language::raw_stand_ins::StandIn;
use crate::language::reference::{RoleReference, StreamReference, TargetReference};
use crate::scenario::merge::Merged;
use shakedown_loadgen::Arrivals;

/// Read access to the declarations.
pub(super) struct Scope<'a> {
    merged: &'a Merged,
    arrivals: Option<Arrivals>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(merged: &'a Merged, arrivals: Option<Arrivals>) -> Self {
        Self { merged, arrivals }
    }

    /// When the load's messages are due, where that makes sense.
    pub(super) fn arrivals(&self) -> Option<&Arrivals> {
        self.arrivals.as_ref()
    }

    pub(super) fn topic_names(&self) -> impl Iterator<Item = &'a str> {
        self.merged.topics.0.iter().map(|(name, _)| name.value.as_str())
    }

    pub(super) fn service_names(&self) -> impl Iterator<Item = &'a str> {
        self.merged.services.0.iter().map(|(name, _)| name.value.as_str())
    }

    pub(super) fn topic(&self, name: &str) -> Option<&'a RawTopic> {
        self.merged.topics.0.iter().find(|(topic, _)| topic.value == name).map(|(_, topic)| &topic.value)
    }

    pub(super) fn service(&self, name: &str) -> Option<&'a RawService> {
        self.merged.services.0.iter().find(|(service, _)| service.value == name).map(|(_, service)| &service.value)
    }

    /// The system that services are told to belong to.
    pub(super) fn system(&self) -> Option<&'a str> {
        let system = self.merged.system.as_deref()?;
        shakedown_services::systems().any(|known| known == system).then_some(system)
    }

    /// What a service says of its store, or the scenario for all of them.
    pub(super) fn store<'b>(&'b self, service: &'b RawService) -> Option<&'b Spanned<RawStore>> {
        service.store.as_ref().or(self.merged.store.as_ref())
    }

    /// What a service says of its cache, or the scenario for all of them.
    pub(super) fn cache<'b>(&'b self, service: &'b RawService) -> Option<&'b Spanned<RawCache>> {
        service.cache.as_ref().or(self.merged.cache.as_ref())
    }

    /// The most instances that a fault gives a service; 0 where none does.
    pub(super) fn scaled_to(&self, service: &str) -> u64 {
        let actions = self.merged.faults.iter().map(|fault| &fault.value.action.value);
        let scaled = actions.filter(|action| {
            let role = action.scale.as_ref().map(|role| &role.value);
            matches!(role, Some(RoleReference::Service(scaled)) if scaled == service)
        });
        scaled.filter_map(|action| action.to.as_ref()).map(|to| to.value.0).max().unwrap_or(0)
    }

    /// How many nodes there will be, brokers and dedicated controllers.
    pub(super) fn nodes(&self) -> u32 {
        let controllers = self.merged.cluster.controllers.as_ref();
        let controllers = controllers.map_or(0, |number| u32::try_from(number.value.0).unwrap_or(u32::MAX));
        self.brokers().saturating_add(controllers)
    }

    /// How many brokers there will be.
    pub(super) fn brokers(&self) -> u32 {
        let brokers = self.merged.cluster.brokers.as_ref();
        brokers.map_or(BROKERS, |brokers| u32::try_from(brokers.value.0).unwrap_or(u32::MAX))
    }

    /// How many replicas each partition of a topic will have.
    pub(super) fn replicas(&self, topic: &str) -> u64 {
        let config = self.merged.cluster.config.iter().flat_map(|config| &config.value.0);
        let mut default = config.filter(|(name, _)| name.value == "default.replication.factor");
        let default = default.next().and_then(|(_, factor)| factor.value.0.parse().ok());
        let own = self.topic(topic).and_then(|topic| topic.replication_factor.as_ref());
        own.map(|factor| factor.value.0).or(default).unwrap_or(if self.brokers() < BROKERS { 1 } else { 3 })
    }

    /// The consumer groups of services.
    pub(super) fn group_names(&self) -> Vec<&'a str> {
        let groups = self.merged.services.0.iter().filter_map(|(_, service)| service.value.group.as_ref());
        groups.map(|group| group.value.as_str()).collect()
    }

    /// Whether some member of a group consumes a topic.
    pub(super) fn consumes(&self, group: &str, topic: &str) -> bool {
        self.merged.services.0.iter().any(|(_, service)| {
            let service = &service.value;
            let consumes = service.consumes.iter().flat_map(|topics| &topics.value).any(|known| known.value == topic);
            consumes && service.group.as_ref().is_some_and(|known| known.value == group)
        })
    }

    /// Services with a ledger, and stand-ins that some service calls.
    pub(super) fn ledger_names(&self) -> Vec<&'a str> {
        let services = self.merged.services.0.iter();
        let mut ledgers: Vec<&str> = services
            .filter(|(_, service)| service.value.ledger.is_some())
            .map(|(name, _)| name.value.as_str())
            .collect();
        if self.calls(StandIn::Mailbox) {
            ledgers.push(MAILBOX);
        }
        ledgers
    }

    /// Whether some service calls a stand-in.
    pub(super) fn calls(&self, stand_in: StandIn) -> bool {
        let mut services = self.merged.services.0.iter();
        services.any(|(_, service)| {
            service.value.calls.as_ref().is_some_and(|calls| calls.value.iter().any(|call| call.value == stand_in))
        })
    }

    /// Whether the load generator itself offers the load, and so records operations.
    pub(super) fn records_operations(&self) -> bool {
        let load = self.merged.load.as_ref();
        load.is_some_and(|load| !matches!(load.value.target.value, TargetReference::Service(_)))
    }

    /// Notes a topic that does not exist.
    pub(super) fn check_topic(&self, name: &str, place: Place, problems: &mut Problems<'_>) -> bool {
        let known = self.topic(name).is_some();
        if !known {
            let help = names::advice(name, self.topic_names());
            problems.add(place, format!("there is no topic `{name}`"), "no such topic", help);
        }
        known
    }

    /// How many partitions a topic begins with.
    pub(super) fn partitions(&self, topic: &str) -> u64 {
        self.topic(topic).and_then(|topic| topic.partitions.as_ref()).map_or(1, |partitions| partitions.value.0)
    }

    /// Notes a group that does not exist.
    pub(super) fn check_group(&self, name: &str, place: Place, problems: &mut Problems<'_>) -> bool {
        let groups = self.group_names();
        let known = groups.contains(&name);
        if !known {
            let help = names::advice(name, groups);
            problems.add(place, format!("there is no group `{name}`"), "no such group", help);
        }
        known
    }

    /// Notes a service that does not exist.
    pub(super) fn check_service(&self, name: &str, place: Place, problems: &mut Problems<'_>) -> bool {
        let known = self.service(name).is_some();
        if !known {
            let help = names::advice(name, self.service_names());
            problems.add(place, format!("there is no service `{name}`"), "no such service", help);
        }
        known
    }

    /// Notes a stream that does not exist.
    pub(super) fn check_stream(&self, stream: &StreamReference, place: Place, problems: &mut Problems<'_>) -> bool {
        match stream {
            StreamReference::Load if self.records_operations() => true,
            StreamReference::Load => {
                let help = "start at the topic that the service produces to, or give [load] `target = \"topic NAME\"`";
                problems.add(place, "no load is recorded: the load is not offered to a topic", "has no data", help);
                false
            }
            StreamReference::Topic(name) => self.check_topic(name, place, problems),
            StreamReference::Ledger(name) => {
                let ledgers = self.ledger_names();
                let known = ledgers.contains(&name.as_str());
                if !known {
                    let help = names::advice(name, ledgers);
                    problems.add(place, format!("there is no ledger `{name}`"), "no such ledger", help);
                }
                known
            }
        }
    }

    /// Whether messages of the stream carry an amount. Unknown streams do, so that they are reported once only.
    pub(super) fn has_value(&self, stream: &StreamReference) -> bool {
        match stream {
            StreamReference::Load => true,
            StreamReference::Topic(name) => self
                .topic(name)
                .and_then(|topic| topic.message.as_ref())
                .is_none_or(|message| message.value.value.is_some()),
            StreamReference::Ledger(name) if name == MAILBOX => true,
            StreamReference::Ledger(name) => self
                .service(name)
                .and_then(|service| service.ledger.as_ref())
                .is_none_or(|ledger| ledger.value.value.is_some()),
        }
    }

    /// Whether messages of the stream carry the instant at which they were meant to be sent.
    pub(super) fn has_intended_time(&self, stream: &StreamReference) -> bool {
        match stream {
            StreamReference::Load => true,
            StreamReference::Topic(name) => self
                .topic(name)
                .and_then(|topic| topic.message.as_ref())
                .is_none_or(|message| message.value.intended_us.is_some()),
            StreamReference::Ledger(name) => self
                .service(name)
                .and_then(|service| service.ledger.as_ref())
                .is_some_and(|ledger| ledger.value.intended_us.is_some()),
        }
    }
}

/// The stand-in's name, as services call it and as its ledger is called.
pub(super) const MAILBOX: &str = "mailbox";

/// The brokers of a scenario that does not say. From as many on, the cluster keeps three replicas by itself.
const BROKERS: u32 = 3;
