//! What consumer groups do with topics, and where their work shows: derived from services and flows, never written down
//! twice.
//!
//! A group's work on a topic shows at the end of every flow that begins at that topic (or at the load that is offered to it)
//! and ends at something of a service of that group: the service's ledger, the ledger of a stand-in that it calls, or a topic
//! that it produces to. A flow says that every message arrives, so a message is processed once it has arrived there.

use super::model::{FlowRule, Service, StandIn, StreamReference, Target};

/// One group at one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumption {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// Where its work shows; empty where it does not.
    pub sinks: Vec<StreamReference>,
}

/// Every group at every topic that it consumes, in the order of the services.
#[must_use]
pub fn consumptions(services: &[Service], flows: &[FlowRule], target: Option<&Target>) -> Vec<Consumption> {
    let mut consumptions: Vec<Consumption> = Vec::new();
    for service in services {
        let Some(group) = &service.group else { continue };
        for topic in &service.consumes {
            let known = consumptions.iter().position(|known| known.group == *group && known.topic == *topic);
            let index = known.unwrap_or(consumptions.len());
            if known.is_none() {
                let (group, topic) = (group.clone(), topic.clone());
                consumptions.push(Consumption { group, topic, sinks: Vec::new() });
            }
            let loaded = target.is_some_and(|target| target.topics().contains(topic));
            for flow in flows {
                let begins = match &flow.from {
                    StreamReference::Load => loaded,
                    StreamReference::Topic(from) => from == topic,
                    StreamReference::Ledger(_) => false,
                };
                let sinks = &mut consumptions[index].sinks;
                if begins && belongs(service, &flow.to) && !sinks.contains(&flow.to) {
                    sinks.push(flow.to.clone());
                }
            }
        }
    }
    consumptions
}

/// Whether what is there is the service's doing.
fn belongs(service: &Service, stream: &StreamReference) -> bool {
    let stand_in = |name: &str| service.calls.iter().any(|call: &StandIn| call.name() == name);
    match stream {
        StreamReference::Load => false,
        StreamReference::Topic(topic) => service.produces.contains(topic),
        StreamReference::Ledger(name) => service.name == *name || stand_in(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::equipment::Equipment;
    use crate::scenario::model::Readiness;
    use std::collections::BTreeMap;

    fn service(name: &str, group: &str, consumes: &[&str]) -> Service {
        Service {
            name: name.to_owned(),
            command: None,
            ready: Readiness::Group,
            instances: 1,
            group: Some(group.to_owned()),
            consumes: consumes.iter().map(|topic| (*topic).to_owned()).collect(),
            produces: Vec::new(),
            calls: Vec::new(),
            env: BTreeMap::new(),
            port: None,
            figures: None,
            ledger: None,
            equipment: Equipment::default(),
        }
    }

    fn topic(name: &str) -> StreamReference {
        StreamReference::Topic(name.to_owned())
    }

    fn ledger(name: &str) -> StreamReference {
        StreamReference::Ledger(name.to_owned())
    }

    fn flow(from: StreamReference, to: StreamReference) -> FlowRule {
        FlowRule { name: "flow".to_owned(), from, to }
    }

    fn sinks(services: &[Service], flows: &[FlowRule]) -> Vec<Vec<StreamReference>> {
        let target = Target::Topic("orders".to_owned());
        consumptions(services, flows, Some(&target)).into_iter().map(|consumption| consumption.sinks).collect()
    }

    #[test]
    fn work_shows_where_flows_end_at_something_of_the_service() {
        let notification = Service {
            calls: vec![StandIn::Mailbox],
            produces: vec!["sent".to_owned()],
            ..service("notification", "n", &["orders"])
        };
        let all = [
            flow(StreamReference::Load, topic("orders")),
            flow(StreamReference::Load, ledger("mailbox")),
            flow(topic("orders"), topic("sent")),
            flow(topic("orders"), topic("shipped")),
            flow(topic("orders"), ledger("tracker")),
            flow(topic("payments"), ledger("notification")),
        ];
        assert_eq!(sinks(&[notification], &all), [[ledger("mailbox"), topic("sent")]]);
    }

    #[test]
    fn the_load_counts_for_the_topic_that_it_is_offered_to() {
        let flows = [flow(StreamReference::Load, ledger("tracker"))];
        let tracker = service("tracker", "t", &["orders", "payments"]);
        assert_eq!(sinks(&[tracker], &flows), [vec![ledger("tracker")], vec![]]);
    }

    #[test]
    fn services_of_one_group_share_what_they_show() {
        let flows = [flow(topic("orders"), ledger("a")), flow(topic("orders"), ledger("b"))];
        let services = [service("a", "g", &["orders"]), service("b", "g", &["orders"]), service("c", "h", &["orders"])];
        assert_eq!(sinks(&services, &flows), [vec![ledger("a"), ledger("b")], vec![]]);
    }
}
