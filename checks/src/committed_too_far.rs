//! Committed too far: a group's committed offset lies beyond what the group had processed, or beyond the end of the log.
//!
//! A commit promises that everything below it is done: whoever takes over reads on from there. A service that commits
//! first and works afterwards keeps the promise only as long as nothing happens in between. So each commit is held against
//! the instant at which each message below it was processed:
//!
//! - A commit is too far if it is the first to pass a message that was processed after the commit was *seen*, or never. The
//!   commit had been made by then, so what convicts is certain; a commit that was seen late may go free. Where a message was
//!   processed, and which messages are a group's, is as in [`crate::skipped`].
//! - A commit is too far, too, if the cluster once gave it out together with an end of the log before it: the commit is asked
//!   for first, and logs do not shrink by themselves. That is how an unclean election leaves consumers behind. Looks count
//!   while nothing is broken on purpose: a leader that was cut off answers with the end that it knew, while the group works
//!   on at its successor.
//!
//! `found` counts commits: records of `__consumer_offsets`, and offsets of a partition that were found beyond its end. What
//! somebody outside of the group commits is a reset, and promises nothing. Sixteen bytes for each message.

use crate::evidence::{self, STORIES_MAX, Suspects};
use crate::groups::{self, Extent, Hop};
use crate::paged::Paged;
use crate::tally::Tally;
use shakedown_reports::expectation::Bounds;
use shakedown_reports::identity::Identity;
use shakedown_reports::numbers::grouped;
use shakedown_reports::record::{Delivery, Record, RecordError};
use shakedown_reports::verdict::{Finding, Story, StoryEvent};
use shakedown_reports::watch::{Commit, CommitKind, Reading};
use std::collections::{BTreeMap, BTreeSet};

/// The check's name in findings.
pub const NAME: &str = "committed-too-far";

/// The instant at which what was never processed is done.
const NEVER: u64 = u64::MAX;

/// One finding for each group, topic and sink.
///
/// # Errors
/// When the record cannot be read to its end.
pub fn check(record: &dyn Record, allowed: Bounds) -> Result<Vec<Finding>, RecordError> {
    groups::judge(NAME, record, allowed, compare)
}

fn compare(record: &dyn Record, hop: &Hop<'_>) -> Result<Tally, RecordError> {
    let work = Work::read(record, hop)?;
    let (mut compared, mut found, mut early) = (0, 0, Vec::new());
    // What is passed is passed, whoever did it: no later commit is to blame for it.
    let mut passed: BTreeMap<i32, i64> = BTreeMap::new();
    record.commits(&mut |commit| {
        if commit.watch != hop.id {
            return;
        }
        let passed = passed.entry(commit.partition).or_insert(0);
        let from = *passed;
        *passed = commit.offset.max(from);
        let done_ns = work.done_between(commit.partition, from, commit.offset);
        let Some(done_ns) = done_ns.filter(|_| commit.kind == CommitKind::Member) else { return };
        compared += 1;
        if done_ns > commit.seen_ns {
            found += 1;
            if early.len() < STORIES_MAX {
                early.push(Early { commit: *commit, from, first: None });
            }
        }
    })?;
    let beyond = beyond_the_end(record, hop)?;
    let mut evidence = tell_early(record, hop, &work, early)?;
    evidence.extend(beyond.stories.iter().map(|reading| tell_beyond(hop, reading)));
    evidence.truncate(STORIES_MAX);
    Ok(Tally {
        subject: hop.label(record),
        compared: compared + beyond.compared,
        found: found + beyond.offsets.len() as u64,
        evidence,
    })
}

/// What the group had to process, and when it did.
struct Work {
    extent: Extent,
    /// When each message was processed, by [`Identity::to_bits`].
    processed_ns: Paged<u64>,
    logs: BTreeMap<i32, Log>,
}

/// When what is at each offset of a partition was processed; 0 where there is nothing to process.
struct Log {
    done_ns: Paged<u64>,
    /// Where there is nothing any more.
    end: u64,
}

impl Work {
    fn read(record: &dyn Record, hop: &Hop<'_>) -> Result<Self, RecordError> {
        let mut processed_ns = Paged::new(NEVER);
        record.deliveries(hop.sink, &mut |delivery| {
            let slot = processed_ns.slot(delivery.identity.to_bits());
            *slot = groups::processed_ns(record, hop.sink, delivery).min(*slot);
        })?;
        let extent = Extent::read(record, hop.id)?;
        let mut logs: BTreeMap<i32, Log> = BTreeMap::new();
        record.deliveries(hop.source, &mut |delivery| {
            if let Some(offset) = extent.of(delivery) {
                let log = logs.entry(delivery.partition).or_insert_with(|| Log { done_ns: Paged::new(0), end: 0 });
                *log.done_ns.slot(offset) = processed_ns.get(delivery.identity.to_bits());
                log.end = log.end.max(offset + 1);
            }
        })?;
        Ok(Self { extent, processed_ns, logs })
    }

    /// When everything from one offset to another was processed; `None` where there is nothing to process between them.
    fn done_between(&self, partition: i32, from: i64, to: i64) -> Option<u64> {
        let log = self.logs.get(&partition)?;
        let (from, to) = (u64::try_from(from).ok()?, u64::try_from(to).ok()?.min(log.end));
        (from..to).map(|offset| log.done_ns.get(offset)).max().filter(|done_ns| *done_ns != 0)
    }
}

/// A commit that came before the work, with the first message that convicts it.
struct Early {
    commit: Commit,
    /// Up to where others had passed before it.
    from: i64,
    first: Option<Delivery>,
}

fn tell_early(
    record: &dyn Record,
    hop: &Hop<'_>,
    work: &Work,
    mut early: Vec<Early>,
) -> Result<Vec<Story>, RecordError> {
    if early.is_empty() {
        return Ok(Vec::new());
    }
    record.deliveries(hop.source, &mut |delivery| {
        let processed_ns = work.processed_ns.get(delivery.identity.to_bits());
        for Early { commit, from, first } in &mut early {
            let below = delivery.partition == commit.partition && (*from..commit.offset).contains(&delivery.offset);
            let nearer = first.is_none_or(|first| delivery.offset < first.offset);
            if below && nearer && processed_ns > commit.seen_ns && work.extent.of(delivery).is_some() {
                *first = Some(*delivery);
            }
        }
    })?;
    let suspects: Suspects = early.iter().filter_map(|early| Some(early.first?.identity.to_bits())).collect();
    let processed = evidence::deliveries_of(record, hop.sink, &suspects)?;
    let story = |Early { commit, first, .. }: &Early| {
        let mut events = vec![groups::commit_event(hop.watch, commit)];
        if let Some(first) = first {
            let name = evidence::title(record, first.identity, first.key, None);
            let mut source = evidence::delivery_event(record, hop.source, first);
            source.text = format!("{name} {}", source.text);
            events.push(source);
            events.push(work_event(record, hop, first.identity, processed.get(&first.identity.to_bits())));
        }
        let title = format!("commit {} at {}/{}", grouped(commit.offset), hop.watch.topic, commit.partition);
        evidence::story(title, events)
    };
    Ok(early.iter().map(story).collect())
}

/// When the message was processed after all.
fn work_event(record: &dyn Record, hop: &Hop<'_>, identity: Identity, copies: Option<&Vec<Delivery>>) -> StoryEvent {
    let processed_ns = |delivery: &&Delivery| groups::processed_ns(record, hop.sink, delivery);
    let name = record.identity_label(identity);
    match copies.and_then(|copies| copies.iter().min_by_key(processed_ns)) {
        Some(first) => {
            let event = evidence::delivery_event(record, hop.sink, first);
            let text = format!("only then message {name} was processed: {}", event.text);
            StoryEvent { at_ns: Some(processed_ns(&first)), text }
        }
        None => {
            let sink = evidence::stream_label(record, hop.sink);
            StoryEvent { at_ns: None, text: format!("message {name} is never in {sink}") }
        }
    }
}

/// Commits that were given out together with an end of the log before them.
struct Beyond {
    compared: u64,
    /// Partitions and offsets, each once however often it was given out.
    offsets: BTreeSet<(i32, i64)>,
    stories: Vec<Reading>,
}

fn beyond_the_end(record: &dyn Record, hop: &Hop<'_>) -> Result<Beyond, RecordError> {
    let mut beyond = Beyond { compared: 0, offsets: BTreeSet::new(), stories: Vec::new() };
    let course = record.course();
    record.readings(&mut |reading| {
        if reading.watch != hop.id || reading.committed < 0 {
            return;
        }
        if course.sound_since(reading.asked_ns, reading.answered_ns) != Some(reading.asked_ns) {
            return;
        }
        beyond.compared += 1;
        let is_new = reading.committed > reading.end && beyond.offsets.insert((reading.partition, reading.committed));
        if is_new && beyond.stories.len() < STORIES_MAX {
            beyond.stories.push(*reading);
        }
    })?;
    Ok(beyond)
}

fn tell_beyond(hop: &Hop<'_>, reading: &Reading) -> Story {
    let place = format!("{}/{}", hop.watch.topic, reading.partition);
    let event = |at_ns, text| StoryEvent { at_ns: Some(at_ns), text };
    let (committed, end) = (grouped(reading.committed), grouped(reading.end));
    let events = vec![
        event(reading.asked_ns, format!("group {} has committed {committed}, says its coordinator", hop.group())),
        event(reading.answered_ns, format!("the log of {place} ends at {end}, says its leader")),
    ];
    evidence::story(format!("commit {committed} at {place}, beyond the end of the log"), events)
}
