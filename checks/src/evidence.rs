//! Telling what convicts: a few messages with everything that the record says of them, in order of time.
//!
//! Checks find *who* in their streaming passes; only then these functions read the record again for the few that a
//! reader gets to see.

use shakedown_reports::error_names::error_name;
use shakedown_reports::identity::{Identity, Key};
use shakedown_reports::record::{Delivery, Flow, Operation, Outcome, Record, RecordError, StreamId, StreamKind};
use shakedown_reports::verdict::{Story, StoryEvent};
use std::collections::{BTreeMap, BTreeSet};

/// How many violations of one kind are told: what the first few do not show, a hundred will not.
pub(crate) const STORIES_MAX: usize = 5;
/// How many deliveries of one message are told.
const COPIES_MAX: usize = 8;

/// The few messages whose history is read again, by [`Identity::to_bits`].
pub(crate) type Suspects = BTreeSet<u64>;

/// `load -> topic orders`.
pub(crate) fn flow_label(record: &dyn Record, flow: Flow) -> String {
    format!("{} -> {}", stream_label(record, flow.from), stream_label(record, flow.to))
}

/// `topic orders`.
pub(crate) fn stream_label(record: &dyn Record, stream: StreamId) -> String {
    record.streams().get(usize::from(stream)).map_or_else(|| format!("stream {stream}"), |info| info.label())
}

/// What the stream is made of; a stream that does not exist has no operations either.
pub(crate) fn kind(record: &dyn Record, stream: StreamId) -> StreamKind {
    record.streams().get(usize::from(stream)).map_or(StreamKind::Ledger, |info| info.kind)
}

/// The sinks of all flows, each once, in the order of the flows.
pub(crate) fn sinks(record: &dyn Record) -> Vec<StreamId> {
    let mut sinks: Vec<StreamId> = Vec::new();
    for flow in record.flows() {
        if !sinks.contains(&flow.to) {
            sinks.push(flow.to);
        }
    }
    sinks
}

/// The suspects' operations.
pub(crate) fn operations_of(record: &dyn Record, suspects: &Suspects) -> Result<BTreeMap<u64, Operation>, RecordError> {
    let mut operations = BTreeMap::new();
    record.operations(&mut |operation| {
        if suspects.contains(&operation.identity.to_bits()) {
            operations.insert(operation.identity.to_bits(), *operation);
        }
    })?;
    Ok(operations)
}

/// The suspects' first few deliveries to one stream.
pub(crate) fn deliveries_of(
    record: &dyn Record,
    stream: StreamId,
    suspects: &Suspects,
) -> Result<BTreeMap<u64, Vec<Delivery>>, RecordError> {
    let mut deliveries: BTreeMap<u64, Vec<Delivery>> = BTreeMap::new();
    record.deliveries(stream, &mut |delivery| {
        let bits = delivery.identity.to_bits();
        if suspects.contains(&bits) {
            let copies = deliveries.entry(bits).or_default();
            if copies.len() < COPIES_MAX {
                copies.push(*delivery);
            }
        }
    })?;
    Ok(deliveries)
}

/// `message 731 (key user-17, no. 4 of the key)`; the number counts from 0, as in the message itself.
pub(crate) fn title(record: &dyn Record, identity: Identity, key: Key, key_sequence: Option<u32>) -> String {
    let name = record.identity_label(identity);
    match (key, key_sequence) {
        (Key::ABSENT, _) => format!("message {name}"),
        (key, None) => format!("message {name} (key {})", record.key_label(key)),
        (key, Some(number)) => format!("message {name} (key {}, no. {number} of the key)", record.key_label(key)),
    }
}

/// What became of an operation.
pub(crate) fn operation_event(operation: &Operation) -> StoryEvent {
    let text = match operation.outcome {
        Outcome::Ok => acknowledged(operation.partition, operation.offset),
        Outcome::Fail => format!("failed with {}: certainly not written", error(operation.error)),
        Outcome::Unknown => format!("outcome unknown ({})", error(operation.error)),
    };
    StoryEvent { at_ns: Some(operation.completed_ns), text }
}

/// An error as it is told.
fn error(code: i16) -> String {
    if code == 0 { "an error without a code".to_owned() } else { error_name(code) }
}

/// `acknowledged at partition 3 offset 912`; a service that acknowledged has neither.
pub(crate) fn acknowledged(partition: i32, offset: i64) -> String {
    if partition < 0 {
        return "acknowledged".to_owned();
    }
    format!("acknowledged at partition {partition} offset {offset}")
}

/// Where and by whom a message was seen.
pub(crate) fn delivery_event(record: &dyn Record, stream: StreamId, delivery: &Delivery) -> StoryEvent {
    let label = stream_label(record, stream);
    let text = match kind(record, stream) {
        StreamKind::Topic | StreamKind::Reread => format!("read from {label}, {}", position(delivery)),
        _ if delivery.offset < 0 => format!("in {label}"),
        _ => format!("in {label}, read by its owner at {}", position(delivery)),
    };
    StoryEvent { at_ns: Some(delivery.received_ns), text }
}

/// `partition 3 offset 912`.
pub(crate) fn position(delivery: &Delivery) -> String {
    format!("partition {} offset {}", delivery.partition, delivery.offset)
}

/// Seconds to the millisecond.
pub(crate) fn milliseconds(nanoseconds: u64) -> String {
    seconds(nanoseconds.saturating_add(500_000) / 1_000_000 * 1_000_000)
}

/// Seconds to the nanosecond, without zeros at the end.
pub(crate) fn seconds(nanoseconds: u64) -> String {
    let text = format!("{}.{:09}", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A story in order of time; what has no time of its own comes last.
pub(crate) fn story(title: String, mut events: Vec<StoryEvent>) -> Story {
    events.sort_by_key(|event| event.at_ns.unwrap_or(u64::MAX));
    Story { title, events }
}
