//! Reordered: messages of one key arrive in another order than the one in which their source has them.
//!
//! - The load's order of a key is its key sequence, whatever became of each operation. Requests over HTTP go side by side:
//!   those that overlap have no order among each other (`concurrent.rs`).
//! - A topic's order of a key is that of its offsets, within one partition. Kafka orders nothing across partitions, so
//!   messages of one key that lie in different partitions of the source are not compared with each other.
//!
//! At the sink only first deliveries count: a late surplus copy is [`crate::duplicated`]'s. Each first delivery is
//! compared with the latest of its key that arrived before it; one that is behind is one violation. A message that
//! arrives under another key than its source's is a violation too, since it has left the order it belonged to: in a topic
//! also one that arrives under no key at all, because Kafka then spreads it over partitions. A ledger may know no keys and
//! says so with [`Key::ABSENT`].
//!
//! `order = "per-key"` allows no violation, `reordered = n` means exactly n over all flows.
//!
//! Eight bytes for each message (its key's group, its place there) and one bit, and 24 bytes for each key; 12 more for a
//! request over HTTP.

use crate::concurrent::{self, Sinces};
use crate::evidence::{self, STORIES_MAX, Suspects};
use crate::paged::Paged;
use crate::tally;
use roaring::RoaringTreemap;
use shakedown_reports::expectation::Bounds;
use shakedown_reports::identity::{Identity, Key};
use shakedown_reports::numbers::grouped;
use shakedown_reports::record::{Delivery, Flow, Record, RecordError, StreamId, StreamKind};
use shakedown_reports::verdict::{Finding, Outcome, Story, StoryEvent};
use std::collections::BTreeMap;

/// The check's name in findings.
pub const NAME: &str = "reordered";

/// One finding for each flow, judged by the violations on all of them together.
///
/// # Errors
/// When the record cannot be read to its end.
pub fn check(record: &dyn Record, allowed: impl Into<Bounds>) -> Result<Vec<Finding>, RecordError> {
    if record.flows().is_empty() {
        return Ok(vec![tally::nothing_to_compare(NAME)]);
    }
    let allowed = allowed.into();
    let compared: Result<Vec<Finding>, RecordError> =
        record.flows().iter().map(|flow| compare(record, *flow)).collect();
    let mut findings = compared?;
    let total = findings.iter().map(|finding| finding.found).sum();
    for finding in &mut findings {
        finding.outcome = tally::outcome(allowed, total, finding.compared, finding.found);
        if finding.outcome != Outcome::Fail {
            finding.evidence.clear();
        }
        if allowed != Bounds::exactly(0) && finding.outcome != Outcome::Inconclusive {
            let none = format!("0 of {} behind a later one", grouped(finding.compared));
            let counted = Some(&finding.detail).filter(|detail| !detail.is_empty()).unwrap_or(&none);
            finding.detail = format!("{counted}, {allowed} expected over all");
        }
    }
    Ok(findings)
}

/// What there is on one flow; not judged yet.
fn compare(record: &dyn Record, flow: Flow) -> Result<Finding, RecordError> {
    let keys_matter = evidence::kind(record, flow.to) == StreamKind::Topic;
    let mut arrivals = Arrivals::new(source_order(record, flow.from)?, keys_matter);
    record.deliveries(flow.to, &mut |delivery| arrivals.see(delivery))?;
    Ok(Finding {
        check: NAME.to_owned(),
        subject: evidence::flow_label(record, flow),
        outcome: Outcome::Inconclusive,
        compared: arrivals.compared,
        found: arrivals.overtaken + arrivals.moved,
        detail: arrivals.detail(),
        evidence: tell(record, flow, &arrivals)?,
    })
}

/// Where a message stands at its source.
#[derive(Debug, Clone, Copy)]
struct Place {
    group: u32,
    rank: u32,
}

const NOWHERE: Place = Place { group: u32::MAX, rank: 0 };
const NO_GROUP: u32 = u32::MAX;

/// Messages that are ordered among each other: one key, one partition of the source.
#[derive(Debug, Clone, Copy)]
struct Group {
    key: Key,
    partition: i32,
    /// The key's group in another partition, or [`NO_GROUP`].
    next: u32,
    /// How many messages it has so far.
    length: u32,
}

/// The order that a source prescribes.
struct Order {
    places: Paged<Place>,
    /// What each message comes behind.
    sinces: Sinces,
    /// Each key's first group.
    heads: Paged<u32>,
    groups: Vec<Group>,
}

fn source_order(record: &dyn Record, source: StreamId) -> Result<Order, RecordError> {
    let (places, heads) = (Paged::new(NOWHERE), Paged::new(NO_GROUP));
    let mut order = Order { places, sinces: Sinces::default(), heads, groups: Vec::new() };
    if evidence::kind(record, source) == StreamKind::Load {
        let mut side_by_side = false;
        record.operations(&mut |operation| {
            side_by_side |= concurrent::is_placeless(operation);
            if operation.key != Key::ABSENT {
                let group = order.group(operation.key, 0);
                *order.places.slot(operation.identity.to_bits()) = Place { group, rank: operation.key_sequence };
            }
        })?;
        if side_by_side {
            order.overlap(record)?;
        }
    } else {
        record.deliveries(source, &mut |delivery| order.append(delivery))?;
    }
    Ok(order)
}

impl Order {
    /// Has the load's messages stand where their answers put them, instead of where they were handed over.
    fn overlap(&mut self, record: &dyn Record) -> Result<(), RecordError> {
        let answers = concurrent::answers(record)?;
        self.sinces = Sinces::side_by_side();
        record.operations(&mut |operation| {
            let (rank, since) = answers.place(operation);
            let bits = operation.identity.to_bits();
            self.places.slot(bits).rank = rank;
            self.sinces.set(bits, since);
        })
    }

    /// The source's copies of a message after the first do not change its place.
    fn append(&mut self, delivery: &Delivery) {
        let bits = delivery.identity.to_bits();
        if delivery.key == Key::ABSENT || self.places.get(bits).group != NO_GROUP {
            return;
        }
        let group = self.group(delivery.key, delivery.partition);
        let length = &mut self.groups[group as usize].length;
        *self.places.slot(bits) = Place { group, rank: *length };
        *length += 1;
    }

    fn group(&mut self, key: Key, partition: i32) -> u32 {
        let head = self.heads.slot(key.to_bits().into());
        let mut number = *head;
        while number != NO_GROUP {
            let group = self.groups[number as usize];
            if group.partition == partition {
                return number;
            }
            number = group.next;
        }
        let number = u32::try_from(self.groups.len()).expect("a run has fewer than 2^32 keys");
        self.groups.push(Group { key, partition, next: *head, length: 0 });
        *head = number;
        number
    }
}

/// The latest of a group that has arrived: what is behind the most.
#[derive(Debug, Clone, Copy)]
struct Latest {
    identity: u64,
    rank: u32,
    since: u32,
    any: bool,
}

/// What the sink has seen so far.
struct Arrivals {
    order: Order,
    /// Whether a message without a key has left its key's order.
    keys_matter: bool,
    seen: RoaringTreemap,
    latest: Vec<Latest>,
    compared: u64,
    overtaken: u64,
    moved: u64,
    violations: Vec<Violation>,
}

#[derive(Debug, Clone, Copy)]
struct Violation {
    message: u64,
    place: Place,
    kind: ViolationKind,
}

#[derive(Debug, Clone, Copy)]
enum ViolationKind {
    /// This one, which stands behind it at the source, arrived before it.
    OvertakenBy { message: u64, rank: u32 },
    /// It arrived under this key.
    MovedTo(Key),
}

impl Arrivals {
    fn new(order: Order, keys_matter: bool) -> Self {
        let latest = vec![Latest { identity: 0, rank: 0, since: 0, any: false }; order.groups.len()];
        let seen = RoaringTreemap::new();
        Self { order, keys_matter, seen, latest, compared: 0, overtaken: 0, moved: 0, violations: Vec::new() }
    }

    fn see(&mut self, delivery: &Delivery) {
        let bits = delivery.identity.to_bits();
        let place = self.order.places.get(bits);
        if place.group == NO_GROUP || !self.seen.insert(bits) {
            return;
        }
        let names_a_key = self.keys_matter || delivery.key != Key::ABSENT;
        if names_a_key && delivery.key != self.order.groups[place.group as usize].key {
            self.moved += 1;
            self.convict(Violation { message: bits, place, kind: ViolationKind::MovedTo(delivery.key) });
        }
        let latest = self.latest[place.group as usize];
        let since = self.order.sinces.get(bits, place.rank);
        self.compared += u64::from(latest.any);
        if latest.any && place.rank < latest.since {
            self.overtaken += 1;
            let kind = ViolationKind::OvertakenBy { message: latest.identity, rank: latest.rank };
            self.convict(Violation { message: bits, place, kind });
        } else if !latest.any || since >= latest.since {
            self.latest[place.group as usize] = Latest { identity: bits, rank: place.rank, since, any: true };
        }
    }

    fn convict(&mut self, violation: Violation) {
        if self.violations.len() < STORIES_MAX {
            self.violations.push(violation);
        }
    }

    fn detail(&self) -> String {
        match (self.overtaken, self.moved, self.compared) {
            (0, 0, 0) => "no key had two messages to compare".to_owned(),
            (0, 0, _) => String::new(),
            (overtaken, 0, compared) => format!("{} of {} behind a later one", grouped(overtaken), grouped(compared)),
            (0, moved, _) => format!("{} under another key", grouped(moved)),
            (overtaken, moved, compared) => format!(
                "{} of {} behind a later one, {} under another key",
                grouped(overtaken),
                grouped(compared),
                grouped(moved)
            ),
        }
    }
}

fn tell(record: &dyn Record, flow: Flow, arrivals: &Arrivals) -> Result<Vec<Story>, RecordError> {
    if arrivals.violations.is_empty() {
        return Ok(Vec::new());
    }
    let mut suspects = Suspects::new();
    for violation in &arrivals.violations {
        suspects.insert(violation.message);
        if let ViolationKind::OvertakenBy { message, .. } = violation.kind {
            suspects.insert(message);
        }
    }
    let deliveries = evidence::deliveries_of(record, flow.to, &suspects)?;
    let side_by_side = arrivals.order.sinces.are_side_by_side();
    let operations = if side_by_side { evidence::operations_of(record, &suspects)? } else { BTreeMap::new() };
    let arrival = |bits: u64, name: &str| {
        let event = evidence::delivery_event(record, flow.to, deliveries.get(&bits)?.first()?);
        Some(StoryEvent { text: format!("{name} {}", event.text), ..event })
    };
    let story = |violation: &Violation| {
        let key = arrivals.order.groups[violation.place.group as usize].key;
        let identity = Identity::from_bits(violation.message);
        let number = match operations.get(&violation.message) {
            Some(operation) => operation.key_sequence,
            None => violation.place.rank,
        };
        let title = evidence::title(record, identity, key, Some(number));
        let mut events: Vec<StoryEvent> = arrival(violation.message, "it was").into_iter().collect();
        match violation.kind {
            ViolationKind::OvertakenBy { message, rank } => {
                let name = record.identity_label(Identity::from_bits(message));
                let (first, second) = (operations.get(&violation.message), operations.get(&message));
                let rank = second.map_or(rank, |second| second.key_sequence);
                events.extend(first.map(evidence::operation_event));
                events.extend(second.map(|second| StoryEvent {
                    at_ns: Some(second.sent_ns),
                    text: format!("only then message {name} was sent"),
                }));
                events.extend(arrival(message, &format!("message {name}, no. {rank} of the key, was")));
            }
            ViolationKind::MovedTo(Key::ABSENT) => {
                events.push(StoryEvent { at_ns: None, text: "it arrived without a key".to_owned() });
            }
            ViolationKind::MovedTo(key) => {
                let text = format!("it arrived under key {}", record.key_label(key));
                events.push(StoryEvent { at_ns: None, text });
            }
        }
        evidence::story(title, events)
    };
    Ok(arrivals.violations.iter().map(story).collect())
}
