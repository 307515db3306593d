//! The segments of a log: where one ends and the next begins, how large each is, which timestamps it holds (Kafka's
//! `LogSegment` and `TimeIndex`).
//!
//! A store knows only batches; segments are drawn over them here, by the rules by which Kafka rolls its files, since
//! retention deletes and compaction cleans whole segments only. They follow from the batches' headers: a log that is
//! opened again draws them anew, by the settings that hold then.

use crate::types::Offset;

/// When a segment is full, and how finely its timestamps are indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentLimits {
    /// `segment.bytes`: most bytes of a segment, unless one batch is larger.
    pub bytes: u64,
    /// `segment.ms`: how much younger than a segment's first batch a batch may be and still belong to it.
    pub ms: i64,
    /// `index.interval.bytes`: bytes between two entries of the time index.
    pub index_interval_bytes: u64,
}

impl Default for SegmentLimits {
    /// One segment without an end.
    fn default() -> Self {
        Self { bytes: u64::MAX, ms: i64::MAX, index_interval_bytes: u64::MAX }
    }
}

/// A part of a log. It ends where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The first batch's offset.
    pub base: Offset,
    /// Bytes of its batches.
    pub size: u64,
    /// The largest timestamp, -1 where no record has one.
    pub max_timestamp: i64,
    /// The largest timestamp of the first batch, by which the segment's age is told; -1 for none.
    pub first_timestamp: i64,
    /// The batch that holds the largest timestamp, the first of several.
    max_timestamp_at: Offset,
    /// When it was begun and last appended to, by the wall clock, where timestamps do not tell.
    created_ms: i64,
    modified_ms: i64,
    /// The largest timestamp so far and its batch, every few bytes, where it grew meanwhile.
    index: Vec<(i64, Offset)>,
    unindexed: u64,
}

impl Segment {
    /// A segment without batches.
    #[must_use]
    pub fn new(base: Offset, now_ms: i64) -> Self {
        Self {
            base,
            size: 0,
            max_timestamp: -1,
            first_timestamp: -1,
            max_timestamp_at: base,
            created_ms: now_ms,
            modified_ms: now_ms,
            index: Vec::new(),
            unindexed: 0,
        }
    }

    /// Adds a batch, which lies behind all others.
    pub fn add(&mut self, base: Offset, size: u64, max_timestamp: i64, index_interval_bytes: u64) {
        if self.size == 0 {
            self.first_timestamp = max_timestamp;
        }
        if max_timestamp > self.max_timestamp {
            (self.max_timestamp, self.max_timestamp_at) = (max_timestamp, base);
        }
        self.size += size;
        self.unindexed += size;
        if self.unindexed > index_interval_bytes {
            let grown = self.index.last().is_none_or(|(indexed, _)| self.max_timestamp > *indexed);
            if grown && self.max_timestamp >= 0 {
                self.index.push((self.max_timestamp, self.max_timestamp_at));
            }
            self.unindexed = 0;
        }
    }

    /// A segment without batches in the place of another.
    #[must_use]
    pub fn in_place_of(other: &Self, base: Offset) -> Self {
        Self { modified_ms: other.modified_ms, ..Self::new(base, other.created_ms) }
    }

    /// Takes the place of another segment, too: when that was begun and changed counts.
    pub fn inherit(&mut self, from: &Self) {
        self.created_ms = self.created_ms.min(from.created_ms);
        self.modified_ms = self.modified_ms.max(from.modified_ms);
    }

    /// How young its youngest record is; without timestamps, when it was last appended to (`largestTimestamp`).
    #[must_use]
    pub fn age_from_ms(&self) -> i64 {
        if self.max_timestamp >= 0 { self.max_timestamp } else { self.modified_ms }
    }

    /// A batch in front of which no record is as young as a timestamp.
    fn seek(&self, timestamp_ms: i64) -> Offset {
        let above = self.index.partition_point(|(indexed, _)| *indexed <= timestamp_ms);
        above.checked_sub(1).map_or(self.base, |at| self.index[at].1)
    }

    fn is_full(&self, size: u64, max_timestamp: i64, limits: SegmentLimits, now_ms: i64) -> bool {
        let waited_ms = match self.first_timestamp {
            0.. => max_timestamp.saturating_sub(self.first_timestamp),
            _ => now_ms.saturating_sub(self.created_ms),
        };
        self.size.saturating_add(size) > limits.bytes || waited_ms > limits.ms
    }
}

/// The segments of one log. The last one is active: it is appended to, and never cleaned.
#[derive(Debug, Default)]
pub struct Segments {
    list: Vec<Segment>,
    /// When segments are full.
    pub limits: SegmentLimits,
    /// The wall clock as it is when batches are added: what counts for those without timestamps.
    pub clock_ms: i64,
}

impl Segments {
    /// None yet.
    #[must_use]
    pub fn new(limits: SegmentLimits, clock_ms: i64) -> Self {
        Self { list: Vec::new(), limits, clock_ms }
    }

    /// Adds a batch behind all others; a full segment makes way for a new one.
    pub fn add(&mut self, base: Offset, size: u64, max_timestamp: i64) {
        let (limits, now_ms) = (self.limits, self.clock_ms);
        if self.list.last().is_none_or(|active| active.is_full(size, max_timestamp, limits, now_ms)) {
            self.list.push(Segment::new(base, now_ms));
        }
        if let Some(active) = self.list.last_mut() {
            active.add(base, size, max_timestamp, limits.index_interval_bytes);
            active.modified_ms = now_ms;
        }
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// The log begins later, and ends at `end`; this many bytes are left of it.
    pub fn begin_at(&mut self, start: Offset, end: Offset, left: u64) {
        if start >= end {
            return self.clear();
        }
        let gone = self.list.partition_point(|segment| segment.base <= start).saturating_sub(1);
        self.list.drain(..gone);
        let behind: u64 = self.list.iter().skip(1).map(|segment| segment.size).sum();
        if let Some(first) = self.list.first_mut() {
            first.size = left.saturating_sub(behind);
        }
    }

    /// The oldest first.
    #[must_use]
    pub fn as_slice(&self) -> &[Segment] {
        &self.list
    }

    /// The segments in front of the active one.
    #[must_use]
    pub fn inactive(&self) -> &[Segment] {
        self.list.split_last().map_or(&[], |(_, inactive)| inactive)
    }

    /// Puts segments in the place of those that begin below an offset.
    pub fn replace_below(&mut self, end: Offset, segments: Vec<Segment>) {
        let count = self.list.partition_point(|segment| segment.base < end);
        self.list.splice(..count, segments);
    }

    /// From which offset on to look for the first record at or behind `from` that is as young as a timestamp; `None`
    /// where there is none.
    #[must_use]
    pub fn seek(&self, from: Offset, timestamp_ms: i64) -> Option<Offset> {
        let first = self.list.partition_point(|segment| segment.base <= from).saturating_sub(1);
        let young = self.list[first..].iter().find(|segment| segment.max_timestamp >= timestamp_ms)?;
        Some(young.seek(timestamp_ms).max(from))
    }

    /// The largest timestamp and the batch that holds it, the first of several.
    #[must_use]
    pub fn max_timestamp(&self) -> Option<(i64, Offset)> {
        let all = self.list.iter().map(|segment| (segment.max_timestamp, segment.max_timestamp_at));
        all.filter(|(timestamp, _)| *timestamp >= 0).max_by_key(|(timestamp, at)| (*timestamp, std::cmp::Reverse(*at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SegmentLimits = SegmentLimits { bytes: 300, ms: 1000, index_interval_bytes: 150 };

    /// Batches of 100 bytes and ten records each, with these timestamps.
    fn segments(timestamps: &[i64]) -> Segments {
        let mut segments = Segments::new(LIMITS, 50);
        for (timestamp, base) in timestamps.iter().zip((0..).step_by(10)) {
            segments.add(Offset(base), 100, *timestamp);
        }
        segments
    }

    fn bases(segments: &Segments) -> Vec<i64> {
        segments.as_slice().iter().map(|segment| segment.base.0).collect()
    }

    #[test]
    fn a_segment_ends_where_the_next_batch_does_not_fit() {
        let segments = segments(&[1; 7]);
        assert_eq!(bases(&segments), [0, 30, 60]);
        assert_eq!(segments.as_slice().iter().map(|segment| segment.size).collect::<Vec<_>>(), [300, 300, 100]);
        let mut large = Segments::new(LIMITS, 0);
        [400, 400].into_iter().zip([0, 10]).for_each(|(size, base)| large.add(Offset(base), size, 1));
        assert_eq!(bases(&large), [0, 10], "a batch that is larger than a segment has one for itself");
    }

    #[test]
    fn a_segment_ends_where_the_next_batch_is_much_younger_than_the_first() {
        assert_eq!(bases(&segments(&[500, 1500])), [0]);
        assert_eq!(bases(&segments(&[500, 1501])), [0, 10]);
        assert_eq!(bases(&segments(&[500, 100, 1400])), [0], "the first batch counts, not the oldest");
        let mut silent = segments(&[-1]);
        silent.clock_ms = 1051;
        silent.add(Offset(10), 100, -1);
        assert_eq!(bases(&silent), [0, 10], "without timestamps the clock counts");
        assert_eq!(silent.as_slice()[0].age_from_ms(), 50);
    }

    #[test]
    fn what_is_deleted_at_the_beginning_leaves_the_rest() {
        for (start, left, expected) in
            [(0, 700, [0, 30, 60].as_slice()), (29, 600, &[0, 30, 60]), (30, 400, &[30, 60]), (65, 100, &[60])]
        {
            let mut segments = segments(&[1; 7]);
            segments.begin_at(Offset(start), Offset(70), left);
            assert_eq!(bases(&segments), expected, "from {start}");
            assert_eq!(segments.as_slice().iter().map(|segment| segment.size).sum::<u64>(), left);
        }
        let mut all = segments(&[1; 7]);
        all.begin_at(Offset(70), Offset(70), 0);
        assert!(bases(&all).is_empty());
    }

    /// The offset of the first batch at or behind `from` that is as young as a timestamp, batch by batch.
    fn scan(timestamps: &[i64], from: i64, timestamp: i64) -> Option<i64> {
        let batches = timestamps.iter().zip((0..).step_by(10));
        batches.filter(|(own, base)| base + 9 >= from && **own >= timestamp).map(|(_, base)| base).next()
    }

    #[test]
    fn a_look_up_never_begins_behind_what_it_looks_for_and_not_far_in_front_of_it() {
        let timestamps: Vec<i64> = (0..100).map(|n| n * 7 + (n * 37) % 41).collect();
        let segments = segments(&timestamps);
        for timestamp in -1..800 {
            for from in [0, 5, 333, 991] {
                let (begun, expected) = (segments.seek(Offset(from), timestamp), scan(&timestamps, from, timestamp));
                let Some(expected) = expected else { continue };
                let begun = begun.expect("there is one").0;
                assert!(begun <= expected.max(from), "{timestamp} from {from}: begins at {begun}, lies at {expected}");
                assert!(expected - begun <= 100, "{timestamp} from {from}: begins at {begun}, lies at {expected}");
            }
        }
        assert_eq!(segments.seek(Offset(0), 10_000), None);
    }

    #[test]
    fn the_first_of_the_largest_timestamps_is_found() {
        assert_eq!(segments(&[5, 9, 3, 4, 9, 1]).max_timestamp(), Some((9, Offset(10))));
        assert_eq!(segments(&[-1, -1]).max_timestamp(), None);
        assert_eq!(segments(&[]).max_timestamp(), None);
    }

    #[test]
    fn replaced_segments_leave_those_behind_them() {
        let mut segments = segments(&[1; 7]);
        segments.replace_below(Offset(60), vec![Segment::new(Offset(0), 0)]);
        assert_eq!(bases(&segments), [0, 60]);
        assert_eq!(segments.inactive().len(), 1);
    }
}
