//! When faults had struck, with their names: what charts shade.

use crate::course::Course;
use crate::event::{Event, EventKind};
use serde::Serialize;
use std::collections::BTreeSet;

/// A fault, from its strike until it was healed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Band {
    /// Its name in the scenario.
    pub fault: String,
    /// When it struck, in nanoseconds since the Unix epoch.
    pub since_ns: u64,
    /// When it was healed, or what the run saw last.
    pub until_ns: u64,
}

/// The faults of a timeline, in order of their beginnings; those that nobody healed last until `last_ns`.
pub(super) fn bands(events: &[Event], last_ns: u64) -> Vec<Band> {
    let name = |event: &Event| match &event.kind {
        EventKind::Fault { fault, .. } => Some(fault.clone()),
        _ => None,
    };
    let names: BTreeSet<String> = events.iter().filter_map(name).collect();
    let mut bands = Vec::new();
    for fault in names {
        let is_part = |event: &&Event| name(event).is_none_or(|other| other == fault);
        let own: Vec<Event> = events.iter().filter(is_part).cloned().collect();
        bands.extend(Course::of(&own).troubles.into_iter().map(|trouble| Band {
            fault: fault.clone(),
            since_ns: trouble.since_ns,
            until_ns: trouble.until_ns.min(last_ns).max(trouble.since_ns),
        }));
    }
    bands.sort_by_key(|band| band.since_ns);
    bands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_its_own_band_and_an_unhealed_one_lasts() {
        let fault = |at_ns, fault: &str, healed| Event {
            at_ns,
            kind: EventKind::Fault { fault: fault.to_owned(), healed },
            text: String::new(),
        };
        let events = [fault(20, "kill", false), fault(25, "cut", false), fault(30, "kill", true)];
        let band = |fault: &str, since_ns, until_ns| Band { fault: fault.to_owned(), since_ns, until_ns };
        assert_eq!(bands(&events, 90), [band("kill", 20, 30), band("cut", 25, 90)]);
    }
}
