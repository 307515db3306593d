//! Skipped: a message that is in the log, that a group's commit has passed, and that the group never processed.
//!
//! - *Passed* means that the group committed an offset behind it at any time, by a commit in `__consumer_offsets` or by what
//!   the coordinator answered. Who moved the offset does not matter: a service that commits before it works, automatic
//!   commits, a reset to `latest` after the commits expired, records deleted under a slow consumer.
//! - *Processed* means that the message is in a sink of the group: a ledger of its service or of a stand-in that the service
//!   calls, or a topic that the service produces to ([`shakedown_reports::watch::Watch::sinks`]). Each sink is judged for
//!   itself. Once is enough, and the same message at another offset counts. A figure cannot tell *which* message is
//!   missing; figures are [`crate::conserved`]'s.
//! - *In the log* means that the topic's tap read it, at an offset that the log still reaches at the last look. What had been
//!   deleted before the watch began is left out; what is deleted later is not: it was there for the group to read.
//!
//! What lies ahead of the commit is not skipped, however late. Eight bytes for each message (who is at an offset), and two
//! sets of one bit.

use crate::evidence::{self, STORIES_MAX, Suspects};
use crate::groups::{self, Extent, Hop};
use crate::paged::Paged;
use crate::tally::Tally;
use roaring::RoaringTreemap;
use shakedown_reports::expectation::Bounds;
use shakedown_reports::record::{Delivery, Record, RecordError};
use shakedown_reports::verdict::{Finding, Story, StoryEvent};
use shakedown_reports::watch::{Commit, CommitKind};
use std::collections::BTreeMap;

/// The check's name in findings.
pub const NAME: &str = "skipped";

/// An offset at which the tap read nothing.
const NOBODY: u64 = u64::MAX;

/// One finding for each group, topic and sink.
///
/// # Errors
/// When the record cannot be read to its end.
pub fn check(record: &dyn Record, allowed: Bounds) -> Result<Vec<Finding>, RecordError> {
    groups::judge(NAME, record, allowed, compare)
}

fn compare(record: &dyn Record, hop: &Hop<'_>) -> Result<Tally, RecordError> {
    let extent = Extent::read(record, hop.id)?;
    let passed = passed(record, hop, &extent)?;
    let mut processed = RoaringTreemap::new();
    record.deliveries(hop.sink, &mut |delivery| {
        processed.insert(delivery.identity.to_bits());
    })?;
    let skipped = &passed - &processed;
    Ok(Tally {
        subject: hop.label(record),
        compared: passed.len(),
        found: skipped.len(),
        evidence: tell(record, hop, &extent, &processed, &skipped.iter().take(STORIES_MAX).collect())?,
    })
}

/// Who is in the log at an offset that the group has passed. A tap that reads an offset again, because the log was cut
/// there and written anew, has the last word.
fn passed(record: &dyn Record, hop: &Hop<'_>, extent: &Extent) -> Result<RoaringTreemap, RecordError> {
    let mut logs: BTreeMap<i32, Paged<u64>> = BTreeMap::new();
    record.deliveries(hop.source, &mut |delivery| {
        if let Some(offset) = extent.passed(delivery) {
            let log = logs.entry(delivery.partition).or_insert_with(|| Paged::new(NOBODY));
            *log.slot(offset) = delivery.identity.to_bits();
        }
    })?;
    let everybody = logs.values().flat_map(Paged::entries).map(|(_, bits)| bits);
    Ok(everybody.filter(|bits| *bits != NOBODY).collect())
}

/// A skipped message, with the nearest ones of its partition that were processed.
struct Victim {
    delivery: Delivery,
    before: Option<Delivery>,
    after: Option<Delivery>,
    passed_by: Option<Commit>,
}

impl Victim {
    fn notice(&mut self, processed: &Delivery) {
        if processed.partition != self.delivery.partition {
            return;
        }
        if processed.offset < self.delivery.offset {
            self.before = self.before.filter(|before| before.offset > processed.offset).or(Some(*processed));
        } else if processed.offset > self.delivery.offset {
            self.after = self.after.filter(|after| after.offset < processed.offset).or(Some(*processed));
        }
    }

    fn is_passed_by(&self, commit: &Commit) -> bool {
        commit.kind != CommitKind::Removed
            && commit.partition == self.delivery.partition
            && commit.offset > self.delivery.offset
    }
}

fn tell(
    record: &dyn Record,
    hop: &Hop<'_>,
    extent: &Extent,
    processed: &RoaringTreemap,
    suspects: &Suspects,
) -> Result<Vec<Story>, RecordError> {
    if suspects.is_empty() {
        return Ok(Vec::new());
    }
    let mut victims: BTreeMap<u64, Victim> = BTreeMap::new();
    record.deliveries(hop.source, &mut |delivery| {
        let bits = delivery.identity.to_bits();
        if suspects.contains(&bits) && extent.passed(delivery).is_some() {
            victims.insert(bits, Victim { delivery: *delivery, before: None, after: None, passed_by: None });
        }
    })?;
    record.deliveries(hop.source, &mut |delivery| {
        if extent.of(delivery).is_some() && processed.contains(delivery.identity.to_bits()) {
            victims.values_mut().for_each(|victim| victim.notice(delivery));
        }
    })?;
    record.commits(&mut |commit| {
        let of_group = commit.watch == hop.id;
        for victim in victims.values_mut().filter(|victim| of_group && victim.passed_by.is_none()) {
            victim.passed_by = Some(*commit).filter(|commit| victim.is_passed_by(commit));
        }
    })?;
    let neighbours = victims.values().flat_map(|victim| [victim.before, victim.after]).flatten();
    let neighbours = evidence::deliveries_of(record, hop.sink, &neighbours.map(|d| d.identity.to_bits()).collect())?;
    let operations = evidence::operations_of(record, suspects)?;
    let story = |(bits, victim): (&u64, &Victim)| {
        let mut events = vec![evidence::delivery_event(record, hop.source, &victim.delivery)];
        events.push(victim.passed_by.as_ref().map_or_else(
            || StoryEvent { at_ns: None, text: format!("passed by what group {} has committed", hop.group()) },
            |commit| groups::commit_event(hop.watch, commit),
        ));
        for (role, neighbour) in [("before it", victim.before), ("behind it", victim.after)] {
            let copies = neighbour.and_then(|neighbour| neighbours.get(&neighbour.identity.to_bits()));
            if let (Some(neighbour), Some(first)) = (neighbour, copies.and_then(|copies| copies.first())) {
                let name = record.identity_label(neighbour.identity);
                let event = evidence::delivery_event(record, hop.sink, first);
                let text = format!("{role}, offset {}: message {name} {}", neighbour.offset, event.text);
                events.push(StoryEvent { text, ..event });
            }
        }
        let never = format!("never in {}", evidence::stream_label(record, hop.sink));
        events.push(StoryEvent { at_ns: None, text: never });
        let key_sequence = operations.get(bits).map(|operation| operation.key_sequence);
        let title = evidence::title(record, victim.delivery.identity, victim.delivery.key, key_sequence);
        evidence::story(title, events)
    };
    Ok(victims.iter().map(story).collect())
}
