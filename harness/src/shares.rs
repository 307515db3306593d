//! Which part of a load a flow carries, where the load is spread over several topics: derived from services and flows, never
//! written down twice.

use crate::language::reference::StreamReference;
use crate::scenario::model::{FlowRule, Service};
use shakedown_reports::record::Share;

/// The part that arrives at the end of this flow: that of the one topic of the load where it ends, or that the service with the
/// ledger there consumes. Nothing means all of it: validation refuses services that consume some of the topics, and not all.
pub(crate) fn of(flow: &FlowRule, services: &[Service], topics: &[String]) -> Option<Share> {
    if flow.from != StreamReference::Load || topics.len() < 2 {
        return None;
    }
    let place = |name: &String| topics.iter().position(|topic| topic == name);
    let place = match &flow.to {
        StreamReference::Topic(topic) => place(topic),
        StreamReference::Ledger(name) => {
            let service = services.iter().find(|service| service.name == *name)?;
            let mut consumed = service.consumes.iter().filter_map(place);
            consumed.next().filter(|_| consumed.next().is_none())
        }
        StreamReference::Load => None,
    };
    Some(Share { place: place? as u64, of: topics.len() as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::equipment::Equipment;
    use crate::scenario::model::Readiness;
    use std::collections::BTreeMap;

    fn service(name: &str, consumes: &[&str]) -> Service {
        Service {
            name: name.to_owned(),
            command: None,
            ready: Readiness::Group,
            instances: 1,
            group: Some(name.to_owned()),
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

    fn share(to: StreamReference, topics: &[&str]) -> Option<Share> {
        let services = [service("paying", &["payments"]), service("all", &["orders", "payments"])];
        let flow = FlowRule { name: "flow".to_owned(), from: StreamReference::Load, to };
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        of(&flow, &services, &topics)
    }

    #[test]
    fn a_flow_carries_what_its_end_gets() {
        let topics = ["orders", "payments", "shipping"];
        let topic = |name: &str| StreamReference::Topic(name.to_owned());
        let ledger = |name: &str| StreamReference::Ledger(name.to_owned());
        assert_eq!(share(topic("shipping"), &topics), Some(Share { place: 2, of: 3 }));
        assert_eq!(share(ledger("paying"), &topics), Some(Share { place: 1, of: 3 }));
        assert_eq!(share(ledger("all"), &topics), None, "it gets more than one share");
        assert_eq!(share(topic("elsewhere"), &topics), None);
        assert_eq!(share(topic("orders"), &topics[..1]), None, "one topic gets everything");
    }
}
