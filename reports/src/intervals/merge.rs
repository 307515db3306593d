//! One log out of those of several producers, without losing anything.
//!
//! Histograms of equal precision add up exactly: the sum is the histogram of all their values, and its percentiles are those
//! of the union. Percentiles themselves never add up, which is why producers hand over histograms and not figures.
//!
//! Producers do not begin at the same instant, so their seconds are not the same seconds. Time is cut into slots that count
//! from the Unix epoch, and an interval goes, whole, where its middle lies. Clocks of several machines are believed.

use super::{Interval, IntervalLog};
use crate::directory::DirectoryError;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// One log of all: an interval for each tag and slot in which anything was measured, in the order of time and then of tags.
/// An interval reaches from the earliest beginning to the latest end of what went into it.
///
/// # Panics
/// When the slot is shorter than a nanosecond.
#[must_use]
pub fn merge(logs: &[Vec<Interval>], slot: Duration) -> Vec<Interval> {
    let slot_ns = u64::try_from(slot.as_nanos()).unwrap_or(u64::MAX);
    assert!(slot_ns > 0, "a slot takes some time");
    let mut merged: BTreeMap<(u64, &str), Interval> = BTreeMap::new();
    for interval in logs.iter().flatten() {
        let middle_ns = interval.start_ns + interval.end_ns.saturating_sub(interval.start_ns) / 2;
        let place = (middle_ns / slot_ns, interval.tag.as_str());
        match merged.get_mut(&place) {
            Some(into) => {
                into.start_ns = into.start_ns.min(interval.start_ns);
                into.end_ns = into.end_ns.max(interval.end_ns);
                add(&mut into.histogram, &interval.histogram);
            }
            None => {
                let mut histogram = empty();
                add(&mut histogram, &interval.histogram);
                merged.insert(place, Interval { histogram, ..interval.clone() });
            }
        }
    }
    merged.into_values().collect()
}

/// Writes the merge of several logs into the log of one run directory.
///
/// # Errors
/// When the log cannot be written.
pub fn merge_into(into: &IntervalLog, logs: &[Vec<Interval>], slot: Duration) -> Result<(), DirectoryError> {
    merge(logs, slot)
        .iter()
        .try_for_each(|interval| into.record(&interval.tag, interval.start_ns, interval.end_ns, &interval.histogram))
}

/// Everything that was measured under a tag, over all intervals.
#[must_use]
pub fn total<'a>(intervals: impl IntoIterator<Item = &'a Interval>, tag: &str) -> Histogram<u64> {
    let mut total = empty();
    for interval in intervals.into_iter().filter(|interval| interval.tag == tag) {
        add(&mut total, &interval.histogram);
    }
    total
}

fn empty() -> Histogram<u64> {
    Histogram::new(3).expect("three significant digits are allowed")
}

fn add(into: &mut Histogram<u64>, other: &Histogram<u64>) {
    // Without bounds of its own it resizes itself.
    into.auto(true);
    into.add(other).expect("a histogram that resizes itself takes every value");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn interval(tag: &str, start_ns: u64, values: &[u64]) -> Interval {
        let mut histogram = empty();
        values.iter().for_each(|value| histogram.record(*value).expect("it resizes"));
        Interval { tag: tag.to_owned(), start_ns, end_ns: start_ns + SECOND, histogram }
    }

    #[test]
    fn seconds_of_different_producers_meet_where_their_middles_do() {
        let one = vec![interval("ack", 10 * SECOND, &[5]), interval("ack", 11 * SECOND, &[6])];
        // Begins 0.4 s later, another 0.6 s later.
        let other = vec![interval("ack", 10 * SECOND + 400_000_000, &[7]), interval("service", 10 * SECOND, &[1])];
        let late = vec![interval("ack", 10 * SECOND + 600_000_000, &[8])];
        let merged = merge(&[one, other, late], Duration::from_secs(1));
        let told: Vec<_> = merged
            .iter()
            .map(|interval| (interval.tag.as_str(), interval.start_ns, interval.end_ns, interval.histogram.len()))
            .collect();
        let expected = [
            ("ack", 10 * SECOND, 11 * SECOND + 400_000_000, 2),
            ("service", 10 * SECOND, 11 * SECOND, 1),
            ("ack", 10 * SECOND + 600_000_000, 12 * SECOND, 2),
        ];
        assert_eq!(told, expected);
        assert_eq!((merged[0].histogram.min(), merged[0].histogram.max()), (5, 7));
    }

    proptest! {
        /// However values are spread over producers and seconds, and whatever goes through a file on the way.
        #[test]
        fn percentiles_of_the_merge_are_those_of_all_values(
            values in prop::collection::vec((0_u64..120_000_000_000, 0_usize..3, 0_u64..5), 1..200),
        ) {
            let mut all = empty();
            let mut spread: BTreeMap<(usize, u64), Vec<u64>> = BTreeMap::new();
            for (value, producer, second) in values {
                all.record(value).expect("it resizes");
                spread.entry((producer, second)).or_default().push(value);
            }
            let mut logs = vec![Vec::new(); 3];
            for (producer, log) in logs.iter_mut().enumerate() {
                let directory = tempfile::tempdir().expect("a folder");
                let writer = IntervalLog::create(directory.path(), 7).expect("a new log");
                for (_, values) in spread.range((producer, 0)..=(producer, u64::MAX)) {
                    let interval = interval("ack", 7_000_000 + producer as u64 * 300_000_000, values);
                    writer.record("ack", interval.start_ns, interval.end_ns, &interval.histogram).expect("written");
                }
                *log = crate::intervals::read(directory.path()).expect("a good log");
            }
            let merged = merge(&logs, Duration::from_secs(1));
            let total = total(&merged, "ack");
            prop_assert_eq!(&total, &all, "the same counts at the same values");
            for quantile in [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0] {
                prop_assert_eq!(total.value_at_quantile(quantile), all.value_at_quantile(quantile));
            }
        }
    }
}
