//! Duplicated: surplus copies of one message at a sink.
//!
//! - In a topic, a copy is a position of its own: one identity at two offsets. Reading one offset twice is the tap's
//!   business and no copy.
//! - In a ledger, a copy is an entry of its own: one effect twice, even if its owner read the same offset both times;
//!   that is what a redelivery without an inbox looks like.
//!
//! Copies belong to the sink, not to the flows that lead there, so each sink is judged once. `duplicated = n` means
//! exactly n over all sinks. The first pass keeps two bits for each message (seen, seen again), a saturating counter;
//! only the messages that were seen again cost more, in a second pass.

use crate::evidence::{self, STORIES_MAX, Suspects};
use crate::tally::{self, Tally};
use roaring::RoaringTreemap;
use shakedown_reports::expectation::Bounds;
use shakedown_reports::record::{Delivery, Record, RecordError, StreamId, StreamKind};
use shakedown_reports::verdict::{Finding, Story};

/// The check's name in findings.
pub const NAME: &str = "duplicated";

/// One finding for each sink.
///
/// # Errors
/// When the record cannot be read to its end.
pub fn check(record: &dyn Record, allowed: impl Into<Bounds>) -> Result<Vec<Finding>, RecordError> {
    let tallies: Result<Vec<Tally>, RecordError> =
        evidence::sinks(record).into_iter().map(|sink| count(record, sink)).collect();
    Ok(tally::findings(NAME, allowed, tallies?))
}

fn count(record: &dyn Record, sink: StreamId) -> Result<Tally, RecordError> {
    let (mut seen, mut again, mut compared) = (RoaringTreemap::new(), RoaringTreemap::new(), 0);
    record.deliveries(sink, &mut |delivery| {
        compared += 1;
        if !seen.insert(delivery.identity.to_bits()) {
            again.insert(delivery.identity.to_bits());
        }
    })?;
    let (surplus, suspects) = match evidence::kind(record, sink) {
        StreamKind::Topic => distinct_positions(record, sink, &again)?,
        _ => (compared - seen.len(), again.iter().take(STORIES_MAX).collect()),
    };
    Ok(Tally {
        subject: evidence::stream_label(record, sink),
        compared,
        found: surplus,
        evidence: tell(record, sink, &suspects)?,
    })
}

/// How many more positions than identities there are among those seen again, and the first identities with several.
fn distinct_positions(
    record: &dyn Record,
    topic: StreamId,
    again: &RoaringTreemap,
) -> Result<(u64, Suspects), RecordError> {
    if again.is_empty() {
        return Ok((0, Suspects::new()));
    }
    let mut positions = Vec::new();
    record.deliveries(topic, &mut |delivery| {
        if again.contains(delivery.identity.to_bits()) {
            positions.push((delivery.identity.to_bits(), delivery.partition, delivery.offset));
        }
    })?;
    positions.sort_unstable();
    positions.dedup();
    let surplus = positions.len() as u64 - again.len();
    let copied = positions.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[0].0);
    let mut suspects = Suspects::new();
    for bits in copied {
        suspects.insert(bits);
        if suspects.len() == STORIES_MAX {
            break;
        }
    }
    Ok((surplus, suspects))
}

fn tell(record: &dyn Record, sink: StreamId, suspects: &Suspects) -> Result<Vec<Story>, RecordError> {
    if suspects.is_empty() {
        return Ok(Vec::new());
    }
    let operations = evidence::operations_of(record, suspects)?;
    let deliveries = evidence::deliveries_of(record, sink, suspects)?;
    let story = |(bits, copies): (&u64, &Vec<Delivery>)| {
        let first = copies.first()?;
        let operation = operations.get(bits);
        let mut events: Vec<_> = copies.iter().map(|copy| evidence::delivery_event(record, sink, copy)).collect();
        events.extend(operation.map(evidence::operation_event));
        let key_sequence = operation.map(|operation| operation.key_sequence);
        Some(evidence::story(evidence::title(record, first.identity, first.key, key_sequence), events))
    };
    Ok(deliveries.iter().filter_map(story).collect())
}
