//! Phantom: a message at a sink that none of its sources vouches for.
//!
//! Either nobody ever offered it, or the load was told that it was certainly not written (an operation that failed).
//! An operation of unknown outcome may appear. A sink may be fed by several flows; a message is a phantom only if it is
//! in none of their sources. There is nothing to allow here: one phantom fails the run.
//!
//! It is a check of its own because a phantom is neither a loss nor a copy, and would otherwise hide behind both
//! counts: one message lost and one invented leave every total as it was.

use crate::evidence::{self, STORIES_MAX, Suspects};
use crate::tally::{self, Tally};
use roaring::RoaringTreemap;
use shakedown_reports::record::{Delivery, Flow, Outcome, Record, RecordError, StreamId, StreamKind};
use shakedown_reports::verdict::{Finding, Story, StoryEvent};

/// The check's name in findings.
pub const NAME: &str = "phantom";

/// One finding for each sink.
///
/// # Errors
/// When the record cannot be read to its end.
pub fn check(record: &dyn Record) -> Result<Vec<Finding>, RecordError> {
    let tallies: Result<Vec<Tally>, RecordError> =
        evidence::sinks(record).into_iter().map(|sink| compare(record, sink)).collect();
    Ok(tally::findings(NAME, 0, tallies?))
}

fn compare(record: &dyn Record, sink: StreamId) -> Result<Tally, RecordError> {
    let mut seen = RoaringTreemap::new();
    record.deliveries(sink, &mut |delivery| {
        seen.insert(delivery.identity.to_bits());
    })?;
    let compared = seen.len();
    for flow in record.flows().iter().filter(|flow| flow.to == sink) {
        remove_possible(record, *flow, &mut seen)?;
    }
    Ok(Tally {
        subject: evidence::stream_label(record, sink),
        compared,
        found: seen.len(),
        evidence: tell(record, sink, &seen.iter().take(STORIES_MAX).collect())?,
    })
}

/// Takes out of `seen` what may have come by this flow.
fn remove_possible(record: &dyn Record, flow: Flow, seen: &mut RoaringTreemap) -> Result<(), RecordError> {
    if evidence::kind(record, flow.from) == StreamKind::Load {
        let share = record.share(flow);
        return record.operations(&mut |operation| {
            let is_carried = share.is_none_or(|share| share.has(operation.identity));
            if operation.outcome != Outcome::Fail && is_carried {
                seen.remove(operation.identity.to_bits());
            }
        });
    }
    record.deliveries(flow.from, &mut |delivery| {
        seen.remove(delivery.identity.to_bits());
    })
}

fn tell(record: &dyn Record, sink: StreamId, suspects: &Suspects) -> Result<Vec<Story>, RecordError> {
    if suspects.is_empty() {
        return Ok(Vec::new());
    }
    let operations = evidence::operations_of(record, suspects)?;
    let deliveries = evidence::deliveries_of(record, sink, suspects)?;
    let sources: Vec<_> = record.flows().iter().filter(|flow| flow.to == sink).map(|flow| flow.from).collect();
    let sources: Vec<_> = sources.into_iter().map(|source| evidence::stream_label(record, source)).collect();
    let story = |(bits, copies): (&u64, &Vec<Delivery>)| {
        let first = copies.first()?;
        let operation = operations.get(bits);
        let mut events: Vec<_> = copies.iter().map(|copy| evidence::delivery_event(record, sink, copy)).collect();
        events.push(operation.map_or_else(
            || StoryEvent { at_ns: None, text: format!("never in {}", sources.join(" or ")) },
            evidence::operation_event,
        ));
        let key_sequence = operation.map(|operation| operation.key_sequence);
        Some(evidence::story(evidence::title(record, first.identity, first.key, key_sequence), events))
    };
    Ok(deliveries.iter().filter_map(story).collect())
}
