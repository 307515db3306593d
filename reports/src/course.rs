//! The course of a run in time, as far as checks depend on it: when the load lasted, and when something was broken on
//! purpose. Read from the timeline.

use crate::event::{Event, EventKind};
use std::collections::BTreeMap;

/// When what was going on, in nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Course {
    /// When the load began; `None` where the timeline does not say.
    pub load_began_ns: Option<u64>,
    /// When the load was over and everything was healed.
    pub load_ended_ns: Option<u64>,
    /// When something was broken on purpose, in order of their beginnings; they may overlap.
    pub troubles: Vec<Trouble>,
}

/// A time in which a fault had struck and was not healed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// When it struck.
    pub since_ns: u64,
    /// When it had been healed. A fault without such an event was healed at the end of the load, as all are.
    pub until_ns: u64,
}

/// The phase of the timeline in which the load lasts; it is entered, and entered again when it is done.
const LOAD: &str = "load";

impl Course {
    /// What the timeline says.
    #[must_use]
    pub fn of(events: &[Event]) -> Self {
        let mut events: Vec<&Event> = events.iter().collect();
        events.sort_by_key(|event| event.at_ns);
        let mut phases = events.iter().filter(|event| matches!(&event.kind, EventKind::Phase { name } if name == LOAD));
        let load_began_ns = phases.next().map(|event| event.at_ns);
        let load_ended_ns = phases.next().map(|event| event.at_ns);
        let mut troubles: BTreeMap<&str, Vec<Open>> = BTreeMap::new();
        for event in events {
            if let EventKind::Fault { fault, healed } = &event.kind {
                note(troubles.entry(fault).or_default(), event.at_ns, *healed);
            }
        }
        let end = |open: Open| Trouble {
            since_ns: open.since_ns,
            until_ns: open.until_ns.or(load_ended_ns).unwrap_or(u64::MAX).max(open.since_ns),
        };
        let mut troubles: Vec<Trouble> = troubles.into_values().flatten().map(end).collect();
        troubles.sort_by_key(|trouble| trouble.since_ns);
        Self { load_began_ns, load_ended_ns, troubles }
    }

    /// The latest instant at or before `at_ns` from which on nothing was broken, no earlier than `since_ns`; `None` where
    /// something was broken at `at_ns` itself.
    #[must_use]
    pub fn sound_since(&self, since_ns: u64, at_ns: u64) -> Option<u64> {
        let mut sound_ns = since_ns;
        for trouble in self.troubles.iter().filter(|trouble| trouble.since_ns < at_ns) {
            if trouble.until_ns >= at_ns {
                return None;
            }
            sound_ns = sound_ns.max(trouble.until_ns);
        }
        Some(sound_ns)
    }

    /// The longest time between these instants in which nothing was broken.
    #[must_use]
    pub fn longest_sound(&self, from_ns: u64, to_ns: u64) -> u64 {
        let (mut sound_ns, mut longest_ns) = (from_ns, 0);
        for trouble in self.troubles.iter().filter(|trouble| trouble.since_ns < to_ns) {
            longest_ns = trouble.since_ns.saturating_sub(sound_ns).max(longest_ns);
            sound_ns = sound_ns.max(trouble.until_ns);
        }
        to_ns.saturating_sub(sound_ns).max(longest_ns)
    }
}

/// A trouble whose end may not be known yet.
struct Open {
    since_ns: u64,
    until_ns: Option<u64>,
}

/// A fault that hits several has an event for each of them, when it strikes as when it heals.
fn note(of_fault: &mut Vec<Open>, at_ns: u64, healed: bool) {
    match of_fault.last_mut() {
        Some(open) if healed => open.until_ns = Some(at_ns),
        Some(open) if open.until_ns.is_none() => {}
        _ if healed => {}
        _ => of_fault.push(Open { since_ns: at_ns, until_ns: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(at_ns: u64, name: &str) -> Event {
        Event { at_ns, kind: EventKind::Phase { name: name.to_owned() }, text: String::new() }
    }

    fn fault(at_ns: u64, fault: &str, healed: bool) -> Event {
        Event { at_ns, kind: EventKind::Fault { fault: fault.to_owned(), healed }, text: String::new() }
    }

    fn trouble(since_ns: u64, until_ns: u64) -> Trouble {
        Trouble { since_ns, until_ns }
    }

    #[test]
    fn a_fault_that_hits_two_is_over_when_both_are_healed_and_may_strike_again() {
        let events = [
            phase(10, "load"),
            fault(20, "kill", false),
            fault(21, "kill", false),
            fault(30, "kill", true),
            fault(34, "kill", true),
            fault(25, "cut", false),
            fault(40, "kill", false),
            phase(50, "load"),
            phase(51, "drain"),
        ];
        let course = Course::of(&events);
        assert_eq!((course.load_began_ns, course.load_ended_ns), (Some(10), Some(50)));
        assert_eq!(course.troubles, [trouble(20, 34), trouble(25, 50), trouble(40, 50)]);
    }

    #[test]
    fn sound_is_what_comes_after_every_trouble() {
        let course = Course { troubles: vec![trouble(20, 34), trouble(25, 30)], ..Course::default() };
        assert_eq!(course.sound_since(5, 19), Some(5));
        assert_eq!(course.sound_since(5, 20), Some(5), "it strikes at that very instant");
        assert_eq!(course.sound_since(5, 34), None);
        assert_eq!(course.sound_since(5, 35), Some(34));
        assert_eq!(course.sound_since(40, 50), Some(40));
    }

    #[test]
    fn the_longest_sound_time_may_lie_before_between_and_behind_troubles() {
        let course =
            Course { troubles: vec![trouble(20, 34), trouble(25, 30), trouble(50, u64::MAX)], ..Course::default() };
        assert_eq!(course.longest_sound(0, 45), 20);
        assert_eq!(course.longest_sound(10, 45), 11, "behind the one that lasted longest");
        assert_eq!(course.longest_sound(10, 90), 16);
        assert_eq!((course.longest_sound(21, 33), course.longest_sound(60, 90)), (0, 0));
        assert_eq!(Course::default().longest_sound(5, 9), 4);
    }

    #[test]
    fn a_timeline_that_says_nothing_is_no_course() {
        assert_eq!(Course::of(&[phase(1, "drain")]), Course::default());
    }
}
