//! How much of a log is dirty: behind what was cleaned last, and in front of what may not be cleaned yet.

use super::policy::Policy;
use crate::log::segments::{Segment, Segments};
use crate::types::{Now, Offset};

/// What there is to clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dirty {
    /// Where the dirty part begins.
    pub from: Offset,
    /// Where it ends: what lies there and behind is not cleaned.
    pub end: Offset,
    /// Bytes in front of the dirty part.
    pub clean_bytes: u64,
    /// Bytes of the dirty part.
    pub dirty_bytes: u64,
    /// Whether records in it are older than `max.compaction.lag.ms`.
    pub is_overdue: bool,
}

impl Dirty {
    /// How much of what can be cleaned is dirty, from 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio of sizes")]
    pub fn ratio(&self) -> f64 {
        self.dirty_bytes as f64 / (self.clean_bytes + self.dirty_bytes).max(1) as f64
    }

    /// Whether it should be cleaned.
    #[must_use]
    pub fn is_worth_it(&self, policy: &Policy) -> bool {
        self.dirty_bytes > 0 && (self.is_overdue || self.ratio() > policy.dirty_ratio_min)
    }
}

/// The dirty part of a log that begins at `start`, has been cleaned up to `cleaned`, and is committed up to
/// `committed`.
///
/// It ends with whole segments: in front of the active one, of the first that is not wholly committed, and of the first
/// with a record younger than `min.compaction.lag.ms`.
#[must_use]
pub fn of(
    segments: &Segments,
    policy: &Policy,
    (start, cleaned, committed): (Offset, Offset, Offset),
    now: Now,
) -> Dirty {
    let from = cleaned.max(start);
    let inactive = segments.inactive();
    let is_dirty = |at: usize| segments.as_slice()[at + 1].base > from;
    let is_young = |segment: &Segment| {
        let lag_min_ms = policy.compaction_lag_min_ms;
        lag_min_ms > 0 && segment.age_from_ms() > now.wall_ms.saturating_sub(lag_min_ms)
    };
    let may_be_cleaned = |(at, segment): &(usize, &Segment)| {
        segments.as_slice()[at + 1].base <= committed && !(is_dirty(*at) && is_young(segment))
    };
    let count = inactive.iter().enumerate().take_while(may_be_cleaned).count();
    let end = segments.as_slice().get(count).map_or(from, |next| next.base).max(from);
    let overdue_before = now.wall_ms.saturating_sub(policy.compaction_lag_max_ms);
    let mut dirty = Dirty { from, end, clean_bytes: 0, dirty_bytes: 0, is_overdue: false };
    for (at, segment) in inactive[..count].iter().enumerate() {
        if is_dirty(at) {
            dirty.dirty_bytes += segment.size;
            dirty.is_overdue |= (1..overdue_before).contains(&segment.first_timestamp);
        } else {
            dirty.clean_bytes += segment.size;
        }
    }
    dirty
}

#[cfg(test)]
mod tests {
    use super::super::random::POLICY;
    use super::*;

    const NOW: Now = Now { monotonic_ns: 0, wall_ms: 10_000 };
    const LAGS: Policy =
        Policy { compaction_lag_min_ms: 0, compaction_lag_max_ms: i64::MAX, dirty_ratio_min: 0.5, ..POLICY };

    /// Five segments of 300 bytes and 30 offsets, at timestamps 1000, 2000 and so on; the last one is active.
    fn segments() -> Segments {
        let limits = Policy { segment_bytes: 300, ..LAGS }.segment_limits();
        let mut segments = Segments::new(limits, 0);
        for n in 0..15 {
            segments.add(Offset(n * 10), 100, 1000 * (n / 3 + 1));
        }
        segments
    }

    fn dirty(policy: &Policy, cleaned: i64, committed: i64) -> (i64, i64, u64, u64) {
        let dirty = of(&segments(), policy, (Offset(0), Offset(cleaned), Offset(committed)), NOW);
        (dirty.from.0, dirty.end.0, dirty.clean_bytes, dirty.dirty_bytes)
    }

    #[test]
    fn the_active_segment_and_what_is_not_committed_are_not_cleaned() {
        assert_eq!(dirty(&LAGS, 0, 150), (0, 120, 0, 1200));
        assert_eq!(dirty(&LAGS, 0, 119), (0, 90, 0, 900), "a segment that is not wholly committed");
        assert_eq!(dirty(&LAGS, 60, 150), (60, 120, 600, 600));
        assert_eq!(dirty(&LAGS, 120, 150), (120, 120, 1200, 0));
        assert_eq!(dirty(&LAGS, 60, 30), (60, 60, 300, 0), "a high watermark below what was cleaned");
        let none = of(&Segments::default(), &LAGS, (Offset(7), Offset(0), Offset(7)), NOW);
        assert_eq!((none.from, none.end, none.is_worth_it(&LAGS)), (Offset(7), Offset(7), false));
    }

    #[test]
    fn young_records_wait() {
        let lag = |compaction_lag_min_ms| Policy { compaction_lag_min_ms, ..LAGS };
        assert_eq!(dirty(&lag(7000), 0, 150), (0, 90, 0, 900), "3000 is 7000 ago, 4000 is younger");
        assert_eq!(dirty(&lag(9001), 0, 150), (0, 0, 0, 0));
        assert_eq!(dirty(&lag(9001), 30, 150), (30, 30, 300, 0), "what is clean does not count");
    }

    #[test]
    fn a_log_is_cleaned_for_its_ratio_or_because_it_is_overdue() {
        let worth = |policy: &Policy, cleaned| {
            of(&segments(), policy, (Offset(0), Offset(cleaned), Offset(150)), NOW).is_worth_it(policy)
        };
        assert!(worth(&LAGS, 0) && worth(&LAGS, 30));
        assert!(!worth(&LAGS, 60), "half is not more than half");
        let overdue = |compaction_lag_max_ms| Policy { compaction_lag_max_ms, ..LAGS };
        assert!(worth(&overdue(6999), 60) && !worth(&overdue(7000), 60));
        assert!(!worth(&overdue(1), 120), "nothing is dirty");
    }
}
