//! Old segments are deleted, the oldest first, until one has to stay.
//!
//! A segment goes as a whole, and only once all of it is committed. The active one goes, too, when it is too old, or
//! too much: the log is empty then and goes on behind it. Followers delete by their own clocks, and also what their
//! leader has deleted.

use super::policy::Policy;
use crate::log::partition::Partition;
use crate::log::segments::Segment;
use crate::log::store::{LogId, LogStore};
use crate::types::{Now, Offset};

/// Where the log begins without the segments that are too many or too old; `None` where all of them stay.
#[must_use]
pub fn begins_at(segments: &[Segment], policy: &Policy, end: Offset, committed: Offset, now: Now) -> Option<Offset> {
    if !policy.deletes {
        return None;
    }
    let size: u64 = segments.iter().map(|segment| segment.size).sum();
    let mut surplus = u64::try_from(policy.retention_bytes).map_or(0, |allowed| size.saturating_sub(allowed));
    let is_too_old = |segment: &Segment| {
        policy.retention_ms >= 0 && now.wall_ms.saturating_sub(segment.age_from_ms()) > policy.retention_ms
    };
    let mut start = None;
    for (at, segment) in segments.iter().enumerate() {
        let next = segments.get(at + 1).map_or(end, |next| next.base);
        // A segment is deleted for its size only if as much as is allowed is left without it.
        let is_too_much = policy.retention_bytes >= 0 && surplus >= segment.size;
        if next > committed || !(is_too_much || is_too_old(segment)) {
            break;
        }
        surplus = surplus.saturating_sub(segment.size);
        start = Some(next);
    }
    start
}

impl Partition {
    /// Where its log begins without the segments that retention does not keep, if it begins elsewhere.
    #[must_use]
    pub fn begins_unexpired(&self, now: Now) -> Option<Offset> {
        begins_at(self.log.segments().as_slice(), &self.policy, self.log_end(), self.high_watermark(), now)
    }

    /// Forgets the records in front of an offset, which is not above the high watermark.
    pub fn begin_at(&mut self, store: &mut dyn LogStore, start: Offset) {
        self.log.begin_at(store, start);
    }

    /// The store's handle of its log.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.log.id()
    }

    /// Forgets the idempotent producers that have not been heard of for so many milliseconds, whatever becomes of their
    /// records (`ProducerStateManager.removeExpiredProducers`).
    pub fn forget_producers(&mut self, now: Now, idle_ms_max: i64) {
        self.log.forget_producers(now.wall_ms, idle_ms_max);
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::POLICY;
    use super::*;

    const NOW: Now = Now { monotonic_ns: 0, wall_ms: 10_000 };

    /// Segments of 100 bytes and ten offsets each, whose largest timestamps are these.
    fn segments(timestamps: &[i64]) -> Vec<Segment> {
        let segment = |(timestamp, base): (&i64, i64)| {
            let mut segment = Segment::new(Offset(base), 9_000);
            segment.add(Offset(base), 100, *timestamp, 4096);
            segment
        };
        timestamps.iter().zip((0..).step_by(10)).map(segment).collect()
    }

    fn start(timestamps: &[i64], policy: Policy, committed: i64) -> Option<i64> {
        let end = Offset(i64::try_from(timestamps.len()).expect("a few") * 10);
        begins_at(&segments(timestamps), &policy, end, Offset(committed), NOW).map(|start| start.0)
    }

    fn by_time(retention_ms: i64) -> Policy {
        Policy { deletes: true, retention_ms, retention_bytes: -1, ..POLICY }
    }

    fn by_size(retention_bytes: i64) -> Policy {
        Policy { deletes: true, retention_ms: -1, retention_bytes, ..POLICY }
    }

    #[test]
    fn segments_go_by_their_youngest_record_from_the_oldest_segment_on() {
        assert_eq!(start(&[1000, 2000, 3000, 9500], by_time(7000), 40), Some(20), "as old as allowed is not too old");
        assert_eq!(start(&[1000, 9500, 1000], by_time(7000), 30), Some(10), "what lies behind one that stays stays");
        assert_eq!(start(&[1000], by_time(-1), 10), None, "-1 keeps records of any age");
        assert_eq!(start(&[20_000], by_time(0), 10), None, "records of the future are not old");
    }

    #[test]
    fn a_log_whose_records_are_all_too_old_is_emptied() {
        assert_eq!(start(&[1000, 2000], by_time(7000), 20), Some(20));
    }

    #[test]
    fn without_timestamps_the_last_append_counts() {
        assert_eq!(start(&[-1], by_time(999), 10), Some(10));
        assert_eq!(start(&[-1], by_time(1000), 10), None);
    }

    #[test]
    fn segments_go_while_as_much_as_is_allowed_is_left() {
        assert_eq!(start(&[1; 4], by_size(250), 40), Some(10), "300 bytes are left, 200 would be too few");
        assert_eq!(start(&[1; 4], by_size(200), 40), Some(20));
        assert_eq!(start(&[1; 4], by_size(0), 40), Some(40));
        assert_eq!(start(&[1; 4], by_size(-1), 40), None);
        assert_eq!(start(&[1; 4], by_size(400), 40), None);
    }

    #[test]
    fn what_is_not_committed_stays_and_so_does_a_log_that_is_only_compacted() {
        assert_eq!(start(&[1000; 4], by_time(0), 29), Some(20));
        assert_eq!(start(&[1000; 4], Policy { deletes: false, ..by_time(0) }, 40), None);
    }
}
