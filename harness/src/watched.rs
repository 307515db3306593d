//! What a plan watches beside the messages themselves, and what it reads twice: only what some expectation needs, since
//! every watch asks the cluster ten times a second.

use crate::language::reference::StreamReference;
use crate::scenario::consumption::{Consumption, consumptions};
use crate::scenario::model::Scenario;
use shakedown_reports::record::{StreamId, StreamInfo, StreamKind};
use shakedown_reports::watch::Watch;

/// The topics that have to be tapped for it: those whose messages a group is held to, or that are read twice.
pub(crate) fn topics(scenario: &Scenario) -> Vec<StreamReference> {
    let expect = &scenario.expect;
    let mut topics: Vec<String> = Vec::new();
    if expect.skipped.is_some() || expect.committed_too_far.is_some() {
        let working = of(scenario).into_iter().filter(|consumption| !consumption.sinks.is_empty());
        topics.extend(working.map(|consumption| consumption.topic));
    }
    if expect.inconsistent_offset.is_some() {
        topics.extend(scenario.topics.iter().map(|topic| topic.name.clone()));
    }
    topics.into_iter().map(StreamReference::Topic).collect()
}

/// Every group at every topic that it consumes; where standstills are looked for, every other topic as well.
pub(crate) fn watches(scenario: &Scenario, find: &impl Fn(&StreamReference) -> Option<StreamId>) -> Vec<Watch> {
    if !scenario.expect.watches() {
        return Vec::new();
    }
    let source = |topic: &str| find(&StreamReference::Topic(topic.to_owned()));
    let watch = |Consumption { group, topic, sinks }| Watch {
        group: Some(group),
        source: source(&topic),
        sinks: sinks.iter().filter_map(find).collect(),
        topic,
    };
    let mut watches: Vec<Watch> = of(scenario).into_iter().map(watch).collect();
    if scenario.expect.stalled.is_some() {
        for topic in &scenario.topics {
            if watches.iter().all(|watch| watch.topic != topic.name) {
                let (topic, source) = (topic.name.clone(), source(&topic.name));
                watches.push(Watch { topic, group: None, source, sinks: Vec::new() });
            }
        }
    }
    watches
}

/// The streams of the topics that are read once more.
pub(crate) fn read_again(scenario: &Scenario) -> Vec<StreamInfo> {
    if scenario.expect.inconsistent_offset.is_none() {
        return Vec::new();
    }
    let again = |name: &String| StreamInfo { name: name.clone(), kind: StreamKind::Reread };
    scenario.topics.iter().map(|topic| again(&topic.name)).collect()
}

fn of(scenario: &Scenario) -> Vec<Consumption> {
    consumptions(&scenario.services, &scenario.flows, Some(&scenario.load.target))
}
