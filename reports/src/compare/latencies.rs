//! The latencies of one run, interval by interval: `latency.hlog`, read again.
//!
//! Intervals keep what they counted apart from each other, so that they can be drawn again in blocks. Percentiles are exact
//! over whatever intervals are put together; means of percentiles are not percentiles.

use crate::intervals::{self, metric_of};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// What was counted of one metric within one interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// When it began, in nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// How many: the sum of the counts.
    pub total: u64,
    /// Place in [`Latencies::values`], and how often that value was recorded; ascending.
    counts: Vec<(usize, u64)>,
}

/// When an interval began and ended, and how often each value was recorded in it, ascending.
type Recorded = (u64, u64, Vec<(u64, u64)>);

/// What is kept of an interval: a histogram has room for every value, and takes some two hundred kilobytes for a few
/// hundred.
fn recorded(interval: &intervals::Interval) -> Recorded {
    let steps = interval.histogram.iter_recorded();
    let counts = steps.map(|step| (step.value_iterated_to(), step.count_at_value())).collect();
    (interval.start_ns, interval.end_ns, counts)
}

/// All intervals of one metric.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies {
    /// The intervals in the order of time.
    pub intervals: Vec<Counted>,
    /// Every value that occurs, in nanoseconds, ascending.
    values: Vec<u64>,
}

impl Latencies {
    /// Puts intervals of one metric together.
    #[must_use]
    pub fn new(intervals: Vec<intervals::Interval>) -> Self {
        Self::of(intervals.into_iter().map(|interval| recorded(&interval)).collect())
    }

    fn of(mut counted: Vec<Recorded>) -> Self {
        counted.sort_by_key(|(start_ns, ..)| *start_ns);
        let mut values: Vec<u64> =
            counted.iter().flat_map(|(_, _, counts)| counts.iter().map(|(value, _)| *value)).collect();
        values.sort_unstable();
        values.dedup();
        let place = |value: u64| values.partition_point(|other| *other < value);
        let interval = |(start_ns, end_ns, counts): Recorded| Counted {
            start_ns,
            end_ns,
            total: counts.iter().map(|(_, count)| count).sum(),
            counts: counts.into_iter().map(|(value, count)| (place(value), count)).collect(),
        };
        Self { intervals: counted.into_iter().map(interval).collect(), values }
    }

    /// The intervals from this instant on.
    #[must_use]
    pub fn from(mut self, start_ns: u64) -> Self {
        self.intervals.retain(|interval| interval.start_ns >= start_ns);
        self
    }

    /// What this share of all values does not exceed, in nanoseconds; `None` where there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<u64> {
        self.quantile_over(0..self.intervals.len(), share)
    }

    /// As [`Self::quantile`], over these intervals alone, each as often as it is named.
    #[must_use]
    pub fn quantile_over(&self, places: impl IntoIterator<Item = usize>, share: f64) -> Option<u64> {
        let counts = self.counts_over(places);
        let mut left = rank(share, counts.iter().sum())?;
        for (value, count) in self.values.iter().zip(counts) {
            if count >= left {
                return Some(*value);
            }
            left -= count;
        }
        None
    }

    /// How often each of the values was recorded, with the values.
    pub(super) fn recorded(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.values.iter().copied().zip(self.counts_over(0..self.intervals.len()))
    }

    fn counts_over(&self, places: impl IntoIterator<Item = usize>) -> Vec<u64> {
        let mut counts = vec![0; self.values.len()];
        for interval in places.into_iter().filter_map(|place| self.intervals.get(place)) {
            for (place, count) in &interval.counts {
                counts[*place] += count;
            }
        }
        counts
    }
}

/// Which of so many ascending values it is that this share does not exceed, counted from one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least one, and at most the total")]
fn rank(share: f64, total: u64) -> Option<u64> {
    // As HdrHistogram does it.
    (total > 0).then(|| ((share * total as f64).ceil().max(1.0) as u64).min(total))
}

/// Reads the log of a run directory, sorted by tags, without figures of single partitions.
///
/// # Errors
/// When the log cannot be read, or a line before the last is no interval.
pub fn read(directory: &Path) -> io::Result<BTreeMap<String, Latencies>> {
    let mut tagged: BTreeMap<String, Vec<Recorded>> = BTreeMap::new();
    intervals::visit(directory, &mut |interval| {
        if metric_of(&interval.tag).1.is_none() {
            let kept = recorded(&interval);
            tagged.entry(interval.tag).or_default().push(kept);
        }
    })?;
    Ok(tagged.into_iter().map(|(tag, counted)| (tag, Latencies::of(counted))).collect())
}

/// Sorts what was read by its tags. Figures of single partitions stay out: what is compared is the whole.
#[must_use]
pub fn by_tag(intervals: Vec<intervals::Interval>) -> BTreeMap<String, Latencies> {
    let mut tagged: BTreeMap<String, Vec<intervals::Interval>> = BTreeMap::new();
    for interval in intervals.into_iter().filter(|interval| metric_of(&interval.tag).1.is_none()) {
        tagged.entry(interval.tag.clone()).or_default().push(interval);
    }
    tagged.into_iter().map(|(tag, intervals)| (tag, Latencies::new(intervals))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervals::Interval;
    use hdrhistogram::Histogram;

    fn histogram(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).expect("three digits are allowed");
        values.into_iter().for_each(|value| histogram.record(value).expect("it resizes"));
        histogram
    }

    fn interval(second: u64, values: impl IntoIterator<Item = u64>) -> Interval {
        let start_ns = second * 1_000_000_000;
        Interval { tag: "ack".to_owned(), start_ns, end_ns: start_ns + 1_000_000_000, histogram: histogram(values) }
    }

    #[test]
    fn percentiles_are_those_of_everything_put_together() {
        let latencies = Latencies::new(vec![interval(1, 501..=1_000), interval(0, 1..=500), interval(2, [7_000])]);
        assert_eq!(latencies.intervals.iter().map(|interval| interval.total).collect::<Vec<_>>(), [500, 500, 1]);
        assert_eq!(latencies.quantile_over([0], 0.5), Some(250));
        assert_eq!(latencies.quantile_over([0, 1], 0.99), Some(990));
        assert_eq!(latencies.quantile_over([1, 1, 0], 0.5), Some(625), "an interval may be drawn twice");
        let all = histogram((1..=1_000).chain([7_000]));
        for share in [0.5, 0.9, 0.99, 0.999, 1.0] {
            assert_eq!(latencies.quantile(share), Some(all.value_at_quantile(share)), "at {share}");
        }
        assert_eq!(latencies.clone().from(1_000_000_000).quantile(0.0), Some(501));
        assert_eq!(latencies.quantile_over([], 0.5), None);
    }

    #[test]
    fn tags_are_told_apart_and_partitions_stay_out() {
        let of = |tag: &str, value| Interval { tag: tag.to_owned(), ..interval(0, [value]) };
        let tagged = by_tag(vec![of("deliver:orders", 7), of("ack", 5), of("ack/3", 9), of("ack", 6)]);
        assert_eq!(tagged.keys().collect::<Vec<_>>(), ["ack", "deliver:orders"]);
        assert_eq!(tagged["ack"].recorded().collect::<Vec<_>>(), [(5, 1), (6, 1)]);
    }
}
