//! Lost: a message that the source of a flow vouches for and that its sink never saw.
//!
//! - The load vouches for what was acknowledged. An operation of unknown outcome may appear or not, a failed one must
//!   not ([`crate::phantom`]); neither can be lost.
//! - A topic vouches for every identity that its tap read, however often.
//! - Where the load is spread over several topics, a flow carries its share of it.
//!
//! Arriving once is enough; surplus copies are [`crate::duplicated`]'s. `lost = n` means exactly n over all flows, so
//! that a failure case proves that it lost what it set out to lose. Two sets, one bit for each message.

use crate::evidence::{self, STORIES_MAX, Suspects};
use crate::tally::{self, Tally};
use roaring::RoaringTreemap;
use shakedown_reports::identity::{Identity, Key};
use shakedown_reports::record::{Delivery, Flow, Operation, Outcome, Record, RecordError, StreamId, StreamKind};
use shakedown_reports::verdict::{Finding, Story, StoryEvent};

/// The check's name in findings.
pub const NAME: &str = "lost";

/// One finding for each flow.
///
/// # Errors
/// When the record cannot be read to its end.
pub fn check(record: &dyn Record, allowed: u64) -> Result<Vec<Finding>, RecordError> {
    let tallies: Result<Vec<Tally>, RecordError> = record.flows().iter().map(|flow| compare(record, *flow)).collect();
    Ok(tally::findings(NAME, allowed, tallies?))
}

fn compare(record: &dyn Record, flow: Flow) -> Result<Tally, RecordError> {
    let vouched = vouched_for(record, flow)?;
    let mut missing = vouched.clone();
    record.deliveries(flow.to, &mut |delivery| {
        missing.remove(delivery.identity.to_bits());
    })?;
    Ok(Tally {
        subject: evidence::flow_label(record, flow),
        compared: vouched.len(),
        found: missing.len(),
        evidence: tell(record, flow, &missing.iter().take(STORIES_MAX).collect())?,
    })
}

/// What has to arrive at the sink of this flow.
fn vouched_for(record: &dyn Record, flow: Flow) -> Result<RoaringTreemap, RecordError> {
    let mut vouched = RoaringTreemap::new();
    let stream = flow.from;
    if evidence::kind(record, stream) == StreamKind::Load {
        let share = record.share(flow);
        record.operations(&mut |operation| {
            let is_carried = share.is_none_or(|share| share.has(operation.identity));
            if operation.outcome == Outcome::Ok && is_carried {
                vouched.insert(operation.identity.to_bits());
            }
        })?;
    } else {
        record.deliveries(stream, &mut |delivery| {
            vouched.insert(delivery.identity.to_bits());
        })?;
    }
    Ok(vouched)
}

/// A lost message, where its source has it, and what its sink saw around that place.
struct Victim {
    identity: Identity,
    key: Key,
    key_sequence: Option<u32>,
    partition: i32,
    offset: i64,
    at_ns: u64,
    source: StoryEvent,
    before: Option<Delivery>,
    instead: Option<Delivery>,
    after: Option<Delivery>,
}

fn tell(record: &dyn Record, flow: Flow, suspects: &Suspects) -> Result<Vec<Story>, RecordError> {
    if suspects.is_empty() {
        return Ok(Vec::new());
    }
    let mut victims = victims(record, flow.from, suspects)?;
    let same_log = share_positions(record, flow)?;
    record.deliveries(flow.to, &mut |delivery| {
        for victim in &mut victims {
            victim.notice(delivery, same_log);
        }
    })?;
    Ok(victims.iter().map(|victim| victim.story(record, flow.to)).collect())
}

fn victims(record: &dyn Record, source: StreamId, suspects: &Suspects) -> Result<Vec<Victim>, RecordError> {
    let unnoticed = |identity, key, key_sequence, (partition, offset), source: StoryEvent| Victim {
        identity,
        key,
        key_sequence,
        partition,
        offset,
        at_ns: source.at_ns.unwrap_or_default(),
        source,
        before: None,
        instead: None,
        after: None,
    };
    if evidence::kind(record, source) == StreamKind::Load {
        let operations = evidence::operations_of(record, suspects)?;
        let victim = |operation: &Operation| {
            let event = evidence::operation_event(operation);
            let place = (operation.partition, operation.offset);
            unnoticed(operation.identity, operation.key, Some(operation.key_sequence), place, event)
        };
        return Ok(operations.values().map(victim).collect());
    }
    let deliveries = evidence::deliveries_of(record, source, suspects)?;
    let victim = |copies: &Vec<Delivery>| {
        copies.first().map(|first| {
            let event = evidence::delivery_event(record, source, first);
            unnoticed(first.identity, first.key, None, (first.partition, first.offset), event)
        })
    };
    Ok(deliveries.values().filter_map(victim).collect())
}

/// Whether partitions and offsets mean the same at both ends of the flow. A ledger's owner read where the ledger says,
/// and two topics have offsets of their own. The load was acknowledged in one topic; whether the sink is that topic, or
/// was fed from it, shows in the first message that arrived.
fn share_positions(record: &dyn Record, flow: Flow) -> Result<bool, RecordError> {
    if evidence::kind(record, flow.from) != StreamKind::Load {
        return Ok(evidence::kind(record, flow.to) == StreamKind::Ledger);
    }
    let mut first = None;
    record.deliveries(flow.to, &mut |delivery| _ = first.get_or_insert(*delivery))?;
    let Some(first) = first else { return Ok(false) };
    let operations = evidence::operations_of(record, &Suspects::from([first.identity.to_bits()]))?;
    let acknowledged = operations.values().next().map(|operation| (operation.partition, operation.offset));
    Ok(acknowledged == Some((first.partition, first.offset)))
}

impl Victim {
    /// Keeps the nearest neighbours: by offset where both ends share positions, otherwise those of the same key by time.
    fn notice(&mut self, delivery: &Delivery, same_log: bool) {
        let near = if same_log { delivery.partition == self.partition } else { delivery.key == self.key };
        if !near {
            return;
        }
        let place = |other: &Delivery| {
            if same_log { i128::from(other.offset) } else { other.received_ns.into() }
        };
        let here = if same_log { i128::from(self.offset) } else { self.at_ns.into() };
        let there = place(delivery);
        if there < here && self.before.is_none_or(|before| there > place(&before)) {
            self.before = Some(*delivery);
        } else if there > here && self.after.is_none_or(|after| there < place(&after)) {
            self.after = Some(*delivery);
        } else if there == here {
            self.instead = Some(*delivery);
        }
    }

    fn story(&self, record: &dyn Record, sink: StreamId) -> Story {
        let mut events = vec![self.source.clone()];
        for (role, neighbour) in
            [("before it", &self.before), ("in its place", &self.instead), ("after it", &self.after)]
        {
            if let Some(neighbour) = neighbour {
                let mut event = evidence::delivery_event(record, sink, neighbour);
                event.text = format!("{role}: message {} {}", record.identity_label(neighbour.identity), event.text);
                events.push(event);
            }
        }
        events.push(StoryEvent { at_ns: None, text: format!("never in {}", evidence::stream_label(record, sink)) });
        evidence::story(evidence::title(record, self.identity, self.key, self.key_sequence), events)
    }
}
