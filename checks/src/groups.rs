//! What the checks on consumer groups share: where a group was to work and where its work shows, from which offset to
//! which, and how its commits are told.

use crate::evidence;
use crate::tally::{self, Tally};
use shakedown_reports::expectation::Bounds;
use shakedown_reports::numbers::grouped;
use shakedown_reports::record::{Delivery, Record, RecordError, StreamId, StreamKind};
use shakedown_reports::verdict::{Finding, StoryEvent};
use shakedown_reports::watch::{Commit, CommitKind, Watch, WatchId};
use std::collections::BTreeMap;

/// One group's way from a topic to one of the places where its work shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hop<'a> {
    pub(crate) id: WatchId,
    pub(crate) watch: &'a Watch,
    pub(crate) source: StreamId,
    pub(crate) sink: StreamId,
}

impl Hop<'_> {
    /// `group order-tracker on orders -> ledger tracker`.
    pub(crate) fn label(&self, record: &dyn Record) -> String {
        format!("{} -> {}", self.watch.label(), evidence::stream_label(record, self.sink))
    }

    pub(crate) fn group(&self) -> &str {
        self.watch.group.as_deref().unwrap_or_default()
    }
}

/// Every hop of every watched group.
fn hops(record: &dyn Record) -> Vec<Hop<'_>> {
    let mut hops = Vec::new();
    for (id, watch) in groups(record) {
        if let Some(source) = watch.source {
            hops.extend(watch.sinks.iter().map(|sink| Hop { id, watch, source, sink: *sink }));
        }
    }
    hops
}

/// Every watch of a group.
pub(crate) fn groups(record: &dyn Record) -> Vec<(WatchId, &Watch)> {
    (0..).zip(record.watches()).filter(|(_, watch)| watch.group.is_some()).collect()
}

/// What a check says that looks at each hop by itself; a run without any has nothing to compare.
pub(crate) fn judge(
    check: &str,
    record: &dyn Record,
    allowed: Bounds,
    compare: impl Fn(&dyn Record, &Hop<'_>) -> Result<Tally, RecordError>,
) -> Result<Vec<Finding>, RecordError> {
    let hops = hops(record);
    if hops.is_empty() {
        let detail = "the run watches no group whose work shows anywhere, so nothing was compared";
        return Ok(vec![tally::without_data(check, "no group", detail)]);
    }
    let tallies: Result<Vec<Tally>, RecordError> = hops.iter().map(|hop| compare(record, hop)).collect();
    Ok(tally::findings(check, allowed, tallies?))
}

/// What a check over groups says of a run that watches none.
pub(crate) fn no_group(check: &str) -> Finding {
    tally::without_data(check, "no group", "the run watches no group, so nothing was compared")
}

/// From which offset to which a group was to work, by partition.
#[derive(Debug, Default)]
pub(crate) struct Extent {
    /// Where the log started when the watch began: what had been deleted by then is nobody's to process.
    starts: BTreeMap<i32, i64>,
    /// Where the log ended at the last look: what a tap read beyond it is gone, cut off by a leader that did not have it.
    ends: BTreeMap<i32, i64>,
    /// The highest offset that the group ever committed.
    reached: BTreeMap<i32, i64>,
}

impl Extent {
    pub(crate) fn read(record: &dyn Record, id: WatchId) -> Result<Self, RecordError> {
        let mut extent = Self::default();
        record.readings(&mut |reading| {
            if reading.watch == id {
                extent.starts.entry(reading.partition).or_insert(reading.start);
                extent.ends.insert(reading.partition, reading.end);
                extent.reach(reading.partition, reading.committed);
            }
        })?;
        record.commits(&mut |commit| {
            if commit.watch == id {
                extent.reach(commit.partition, commit.offset);
            }
        })?;
        Ok(extent)
    }

    fn reach(&mut self, partition: i32, offset: i64) {
        let reached = self.reached.entry(partition).or_insert(offset);
        *reached = offset.max(*reached);
    }

    /// The offset of a message that was the group's to process, and is in the log still.
    pub(crate) fn of(&self, delivery: &Delivery) -> Option<u64> {
        let start = self.starts.get(&delivery.partition).copied().unwrap_or(0);
        let end = self.ends.get(&delivery.partition).copied().unwrap_or(i64::MAX);
        if (start..end).contains(&delivery.offset) { u64::try_from(delivery.offset).ok() } else { None }
    }

    /// The same, of a message that the group has passed: it committed an offset behind it.
    pub(crate) fn passed(&self, delivery: &Delivery) -> Option<u64> {
        let reached = self.reached.get(&delivery.partition).copied().unwrap_or(-1);
        self.of(delivery).filter(|_| delivery.offset < reached)
    }
}

/// When a message was certainly processed, seen from its delivery at a sink: not before this instant.
///
/// A ledger says when it did what it did. A topic says when the message was handed to the producer, by Kafka's
/// `CreateTime`; a tap reads it only later. Where the topic has no times, the tap's is all there is; and where a clock is
/// ahead, that of a producer or, by `LogAppendTime`, that of a broker, the message was there all the same when it was read.
pub(crate) fn processed_ns(record: &dyn Record, sink: StreamId, delivery: &Delivery) -> u64 {
    match (evidence::kind(record, sink), u64::try_from(delivery.timestamp_ms)) {
        (StreamKind::Topic, Ok(milliseconds)) => milliseconds.saturating_mul(1_000_000).min(delivery.received_ns),
        _ => delivery.received_ns,
    }
}

/// `group order-tracker committed 913 at orders/3 (generation 2)`.
pub(crate) fn commit_event(watch: &Watch, commit: &Commit) -> StoryEvent {
    let (group, topic) = (watch.group.as_deref().unwrap_or_default(), &watch.topic);
    let place = format!("{topic}/{}", commit.partition);
    let offset = grouped(commit.offset);
    let text = match commit.kind {
        CommitKind::Member if commit.generation < 0 => format!("group {group} committed {offset} at {place}"),
        CommitKind::Member => {
            format!("group {group} committed {offset} at {place} (generation {})", commit.generation)
        }
        CommitKind::Reset => format!("group {group} was reset to {offset} at {place} from outside, without a member"),
        CommitKind::Removed => format!("what group {group} had committed at {place} was removed"),
    };
    StoryEvent { at_ns: Some(commit.seen_ns), text }
}
