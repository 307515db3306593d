//! Inconsistent offset: one offset of a partition, two values.
//!
//! Below the high watermark a log never changes: whoever reads an offset reads the same, whenever and wherever. Compared is
//! every reading of an offset with the first one: by the topic's own tap, which reads again what was cut off and written
//! anew, and by those that read the topic once more from its beginning
//! ([`Reread`](shakedown_reports::record::StreamKind::Reread)), after everything was healed. Who differs at the end has
//! replicas that differ, or a leader that was elected without what others had read.
//!
//! The value of a message is what a tap reads of it: identity, key, amount, intended instant and timestamp. An offset that
//! is there in one reading and missing in another is no second value: deleted, compacted and lost messages are for others.
//!
//! `found` counts offsets. Eight bytes for each message (a fingerprint), 16 for each offset that differs.

use crate::evidence::{self, STORIES_MAX};
use crate::paged::Paged;
use crate::tally::{self, Tally};
use shakedown_reports::expectation::Bounds;
use shakedown_reports::record::{Delivery, Record, RecordError, StreamId, StreamKind};
use shakedown_reports::verdict::{Finding, Story, StoryEvent};
use std::collections::{BTreeMap, BTreeSet};

/// The check's name in findings.
pub const NAME: &str = "inconsistent-offset";

/// The fingerprint of an offset that nobody has read yet.
const UNREAD: u64 = 0;

/// One finding for each topic that has a tap.
///
/// # Errors
/// When the record cannot be read to its end.
pub fn check(record: &dyn Record, allowed: Bounds) -> Result<Vec<Finding>, RecordError> {
    let streams: Vec<_> = (0..).zip(record.streams()).collect();
    let topics = streams.iter().filter(|(_, stream)| stream.kind == StreamKind::Topic);
    let mut tallies = Vec::new();
    for (tap, topic) in topics {
        let again = streams.iter().filter(|(_, stream)| stream.kind == StreamKind::Reread && stream.name == topic.name);
        let readings: Vec<StreamId> = std::iter::once(*tap).chain(again.map(|(stream, _)| *stream)).collect();
        tallies.push(compare(record, &readings)?);
    }
    if tallies.is_empty() {
        return Ok(vec![tally::without_data(NAME, "no topic", "the run taps no topic, so nothing was compared")]);
    }
    Ok(tally::findings(NAME, allowed, tallies))
}

fn compare(record: &dyn Record, readings: &[StreamId]) -> Result<Tally, RecordError> {
    let mut first: BTreeMap<i32, Paged<u64>> = BTreeMap::new();
    let mut compared = 0;
    let mut differing: BTreeSet<(i32, u64)> = BTreeSet::new();
    for stream in readings {
        record.deliveries(*stream, &mut |delivery| {
            let Ok(offset) = u64::try_from(delivery.offset) else { return };
            let log = first.entry(delivery.partition).or_insert_with(|| Paged::new(UNREAD));
            let (known, read) = (log.slot(offset), fingerprint(delivery));
            if *known == UNREAD {
                *known = read;
                return;
            }
            compared += 1;
            if *known != read {
                differing.insert((delivery.partition, offset));
            }
        })?;
    }
    let told: BTreeSet<_> = differing.iter().take(STORIES_MAX).copied().collect();
    let subject = readings.first().map(|tap| evidence::stream_label(record, *tap)).unwrap_or_default();
    Ok(Tally { subject, compared, found: differing.len() as u64, evidence: tell(record, readings, &told)? })
}

/// What a tap reads of a message, in 64 bits: two that differ are taken for the same once in 2^64. Never [`UNREAD`].
fn fingerprint(delivery: &Delivery) -> u64 {
    let Delivery { identity, key, partition: _, offset: _, timestamp_ms, value, intended_ns, received_ns: _ } =
        delivery;
    let parts =
        [identity.to_bits(), key.to_bits().into(), timestamp_ms.cast_unsigned(), value.cast_unsigned(), *intended_ns];
    let mixed = parts.into_iter().fold(0, |state: u64, part| mix(state.wrapping_add(part)));
    if mixed == UNREAD { 1 } else { mixed }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): every bit of the input moves every bit of the output.
fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// The first reading of each offset, and every one that differs from the one before it.
fn tell(record: &dyn Record, readings: &[StreamId], told: &BTreeSet<(i32, u64)>) -> Result<Vec<Story>, RecordError> {
    if told.is_empty() {
        return Ok(Vec::new());
    }
    let mut copies: BTreeMap<(i32, u64), Vec<(StreamId, Delivery)>> = BTreeMap::new();
    for stream in readings {
        record.deliveries(*stream, &mut |delivery| {
            let place = u64::try_from(delivery.offset).ok().map(|offset| (delivery.partition, offset));
            if let Some(place) = place.filter(|place| told.contains(place)) {
                let copies = copies.entry(place).or_default();
                if copies.last().is_none_or(|(_, last)| fingerprint(last) != fingerprint(delivery)) {
                    copies.push((*stream, *delivery));
                }
            }
        })?;
    }
    let topic = readings.first().and_then(|tap| record.streams().get(usize::from(*tap)));
    let topic = topic.map(|stream| stream.name.as_str()).unwrap_or_default();
    let story = |((partition, offset), copies): (&(i32, u64), &Vec<(StreamId, Delivery)>)| {
        let event = |(stream, delivery): &(StreamId, Delivery)| StoryEvent {
            at_ns: Some(delivery.received_ns),
            text: format!(
                "{}, amount {}, timestamp {} ms: read from {}",
                evidence::title(record, delivery.identity, delivery.key, None),
                delivery.value,
                delivery.timestamp_ms,
                evidence::stream_label(record, *stream)
            ),
        };
        evidence::story(format!("{topic}/{partition} offset {offset}"), copies.iter().map(event).collect())
    };
    Ok(copies.iter().map(story).collect())
}
