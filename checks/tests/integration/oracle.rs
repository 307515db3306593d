//! The naive oracle: every check once more, as its definition reads, by comparing everything with everything. Slow,
//! and too simple to be wrong.

use shakedown_reports::identity::{Identity, Key};
use shakedown_reports::memory::MemoryRecord;
use shakedown_reports::record::{Delivery, Flow, Outcome, StreamId, StreamKind};

fn kind(record: &MemoryRecord, stream: StreamId) -> StreamKind {
    record.streams[usize::from(stream)].kind
}

fn deliveries(record: &MemoryRecord, stream: StreamId) -> &[Delivery] {
    &record.deliveries[usize::from(stream)]
}

fn distinct<T: PartialEq>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for item in items {
        if !distinct.contains(&item) {
            distinct.push(item);
        }
    }
    distinct
}

fn identities(record: &MemoryRecord, stream: StreamId) -> Vec<Identity> {
    distinct(deliveries(record, stream).iter().map(|delivery| delivery.identity))
}

fn offered(record: &MemoryRecord, outcomes: &[Outcome]) -> Vec<Identity> {
    let matching = record.operations.iter().filter(|operation| outcomes.contains(&operation.outcome));
    distinct(matching.map(|operation| operation.identity))
}

pub(crate) fn lost(record: &MemoryRecord, flow: Flow) -> usize {
    let vouched = match kind(record, flow.from) {
        StreamKind::Load => offered(record, &[Outcome::Ok]),
        _ => identities(record, flow.from),
    };
    let arrived = identities(record, flow.to);
    vouched.iter().filter(|identity| !arrived.contains(identity)).count()
}

pub(crate) fn duplicated(record: &MemoryRecord, sink: StreamId) -> usize {
    let copies = match kind(record, sink) {
        StreamKind::Topic => {
            let place = |delivery: &Delivery| (delivery.identity, delivery.partition, delivery.offset);
            distinct(deliveries(record, sink).iter().map(place)).len()
        }
        _ => deliveries(record, sink).len(),
    };
    copies - identities(record, sink).len()
}

pub(crate) fn phantom(record: &MemoryRecord, sink: StreamId) -> usize {
    let vouched = |identity: &Identity| {
        record.flows.iter().filter(|flow| flow.to == sink).any(|flow| match kind(record, flow.from) {
            StreamKind::Load => offered(record, &[Outcome::Ok, Outcome::Unknown]).contains(identity),
            _ => identities(record, flow.from).contains(identity),
        })
    };
    identities(record, sink).iter().filter(|identity| !vouched(identity)).count()
}

/// A message's key, its partition where that matters, and its place there.
type Place = (Key, i32, usize);

fn place_at_source(record: &MemoryRecord, source: StreamId, identity: Identity) -> Option<Place> {
    if kind(record, source) == StreamKind::Load {
        let operation = record.operations.iter().find(|operation| operation.identity == identity)?;
        return Some((operation.key, 0, operation.key_sequence as usize));
    }
    let with_key = |delivery: &&Delivery| delivery.key != Key::ABSENT;
    let (place, delivery) = deliveries(record, source)
        .iter()
        .enumerate()
        .find(|(_, delivery)| delivery.identity == identity && with_key(delivery))?;
    Some((delivery.key, delivery.partition, place))
}

pub(crate) fn reordered(record: &MemoryRecord, flow: Flow) -> usize {
    let mut firsts: Vec<Delivery> = Vec::new();
    for delivery in deliveries(record, flow.to) {
        if !firsts.iter().any(|first| first.identity == delivery.identity) {
            firsts.push(*delivery);
        }
    }
    let place = |delivery: &Delivery| place_at_source(record, flow.from, delivery.identity);
    let mut violations = 0;
    for (index, late) in firsts.iter().enumerate() {
        let Some((key, partition, rank)) = place(late) else {
            continue;
        };
        let names_a_key = late.key != Key::ABSENT || kind(record, flow.to) == StreamKind::Topic;
        violations += usize::from(names_a_key && late.key != key);
        let overtaken = firsts[..index].iter().filter_map(place).any(|(other_key, other_partition, other_rank)| {
            other_key == key && other_partition == partition && other_rank > rank
        });
        violations += usize::from(overtaken);
    }
    violations
}

/// How many messages disagree between the load and all sinks, each with its first amount.
pub(crate) fn disagreeing(record: &MemoryRecord) -> usize {
    let sinks: Vec<StreamId> = (1..).take(record.streams.len() - 1).collect();
    let in_sink = |sink: StreamId, identity: Identity| {
        deliveries(record, sink).iter().find(|delivery| delivery.identity == identity).map(|delivery| delivery.value)
    };
    let in_load = |identity: Identity| {
        let operation = record.operations.iter().find(|operation| operation.identity == identity)?;
        let counts = match operation.outcome {
            Outcome::Ok => true,
            Outcome::Fail => false,
            Outcome::Unknown => sinks.iter().any(|sink| in_sink(*sink, identity).is_some()),
        };
        counts.then_some(operation.value)
    };
    let all = distinct(
        offered(record, &[Outcome::Ok, Outcome::Fail, Outcome::Unknown])
            .into_iter()
            .chain(sinks.iter().flat_map(|sink| identities(record, *sink))),
    );
    let disagrees = |identity: &&Identity| sinks.iter().any(|sink| in_sink(*sink, **identity) != in_load(**identity));
    all.iter().filter(disagrees).count()
}

/// Latencies of first deliveries, sorted.
pub(crate) fn latencies(record: &MemoryRecord, flow: Flow) -> Vec<u64> {
    let mut latencies = Vec::new();
    for identity in identities(record, flow.to) {
        let first = deliveries(record, flow.to).iter().find(|delivery| delivery.identity == identity);
        let intended = |delivery: &Delivery| match delivery.intended_ns {
            0 => record.operations.iter().find(|operation| operation.identity == identity).map(|o| o.intended_ns),
            known => Some(known),
        };
        let latency =
            first.and_then(|first| intended(first).map(|intended_ns| first.received_ns.saturating_sub(intended_ns)));
        latencies.extend(latency);
    }
    latencies.sort_unstable();
    latencies
}
