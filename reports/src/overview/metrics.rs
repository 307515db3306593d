//! Percentiles of each metric of the interval log, over the run and in the course of time.

use crate::intervals::{self, Interval, metric_of};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The percentiles of the tables.
const PERCENTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("p99.999", 0.99999)];

/// Points of a curve for each nine of its quantiles.
const POINTS_PER_NINE: u32 = 16;

/// How many nines a curve has at most: one in a million.
const NINES_MAX: u32 = 6;

/// More intervals than that are merged, neighbour with neighbour.
const COURSE_MAX: usize = 300;

/// One metric over the whole run, in nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// Its tag in `latency.hlog`: `ack`, `service`, `deliver:orders`, ...
    pub tag: String,
    /// How many values there are.
    pub count: u64,
    /// The smallest.
    pub min_ns: u64,
    /// The mean.
    pub mean_ns: f64,
    /// The largest.
    pub max_ns: u64,
    /// Those that the count can tell: p99.9 takes a thousand values.
    pub percentiles: Vec<Percentile>,
    /// The curve that a chart draws.
    #[serde(skip)]
    pub curve: Vec<CurvePoint>,
}

/// `p99` and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Percentile {
    /// `p50`, `p99.9`.
    pub name: &'static str,
    /// In nanoseconds.
    pub value_ns: u64,
}

/// A point of a percentile curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    /// The quantile as the number of its nines: 1 for p90, 2 for p99.
    pub nines: f64,
    /// In nanoseconds.
    pub value_ns: u64,
}

/// What a tap measured in the course of time: end to end, from the intended instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HopCourse {
    /// The topic.
    pub topic: String,
    /// Interval by interval, where anything was read; neighbours merged in long runs.
    pub points: Vec<HopPoint>,
}

/// An interval of a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HopPoint {
    /// When it began, in nanoseconds since the Unix epoch.
    pub at_ns: u64,
    /// How long it was.
    pub length_ns: u64,
    /// How many messages were read in it.
    pub count: u64,
    /// Half of them were faster.
    pub p50_ns: u64,
    /// One in a hundred was slower.
    pub p99_ns: u64,
    /// The slowest.
    pub max_ns: u64,
}

/// What the metrics of taps are called in the log.
const DELIVER: &str = "deliver:";

/// What those of hops between two streams are called.
const HOP: &str = "hop:";

impl Metric {
    /// What it measures, in words.
    #[must_use]
    pub fn label(&self) -> String {
        match self.tag.as_str() {
            "ack" => "acknowledged, from the intended instant".to_owned(),
            "service" => "service time: acknowledged, from the send".to_owned(),
            "delay" => "sent, from the intended instant".to_owned(),
            "lateness" => "of that, by the generator's own making".to_owned(),
            "commit" => "commits, from the end of a transaction's time".to_owned(),
            tag => match (tag.strip_prefix(DELIVER), tag.strip_prefix(HOP)) {
                (Some(topic), _) => format!("read from {topic}, from the intended instant"),
                // A blank before the name of each end is all that the log wrote as something else.
                (None, Some(hop)) => {
                    hop.split("->").map(|end| end.replacen('_', " ", 1)).collect::<Vec<_>>().join(" to ")
                }
                (None, None) => tag.to_owned(),
            },
        }
    }

    /// The percentile of this name; `None` where there are too few values to tell it.
    #[must_use]
    pub fn percentile(&self, name: &str) -> Option<u64> {
        self.percentiles.iter().find(|percentile| percentile.name == name).map(|percentile| percentile.value_ns)
    }

    fn of(tag: String, histogram: &Histogram<u64>) -> Self {
        let count = histogram.len();
        // A percentile that less than one value lies beyond is the maximum by another name.
        let told = |quantile: f64| (1.0 - quantile) * count as f64 >= 0.999;
        let percentiles = PERCENTILES.into_iter().filter(|(_, quantile)| told(*quantile));
        Self {
            count,
            min_ns: histogram.min(),
            mean_ns: histogram.mean(),
            max_ns: histogram.max(),
            percentiles: percentiles
                .map(|(name, quantile)| Percentile { name, value_ns: histogram.value_at_quantile(quantile) })
                .collect(),
            curve: curve(histogram),
            tag,
        }
    }
}

fn curve(histogram: &Histogram<u64>) -> Vec<CurvePoint> {
    let count = histogram.len() as f64;
    // From the first point on: the very fastest would only press the rest of the curve together.
    let steps = (1..=NINES_MAX * POINTS_PER_NINE).map(|step| f64::from(step) / f64::from(POINTS_PER_NINE));
    let mut points: Vec<CurvePoint> = steps
        .map(|nines| (nines, 1.0 - 10_f64.powf(-nines)))
        .take_while(|(_, quantile)| (1.0 - quantile) * count >= 1.0)
        .map(|(nines, quantile)| CurvePoint { nines, value_ns: histogram.value_at_quantile(quantile) })
        .collect();
    if count > 0.0 && count.log10() < f64::from(NINES_MAX) {
        points.push(CurvePoint { nines: count.log10(), value_ns: histogram.max() });
    }
    points
}

/// Reads the interval log: each metric, and the course of what taps measured.
pub(super) fn read(directory: &Path) -> io::Result<(Vec<Metric>, Vec<HopCourse>)> {
    let mut span: Option<(u64, u64)> = None;
    let mut totals: BTreeMap<String, Histogram<u64>> = BTreeMap::new();
    intervals::visit(directory, &mut |interval| {
        // Partitions have a map of their own.
        if metric_of(&interval.tag).1.is_some() {
            return;
        }
        let (first, last) = span.unwrap_or((interval.start_ns, interval.end_ns));
        span = Some((first.min(interval.start_ns), last.max(interval.end_ns)));
        add(totals.entry(interval.tag).or_insert_with(histogram), &interval.histogram);
    })?;
    let width_ns = span.map_or(0, |(first, last)| last - first) / COURSE_MAX as u64;
    let mut hops: BTreeMap<String, Merging> = BTreeMap::new();
    intervals::visit(directory, &mut |interval| {
        if let (Some(topic), None) = (interval.tag.strip_prefix(DELIVER), metric_of(&interval.tag).1) {
            hops.entry(topic.to_owned()).or_default().add(&interval, width_ns);
        }
    })?;
    let metrics = totals.into_iter().map(|(tag, histogram)| Metric::of(tag, &histogram)).collect();
    let hops = hops.into_iter().map(|(topic, merging)| HopCourse { topic, points: merging.finish() }).collect();
    Ok((metrics, hops))
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are allowed")
}

fn add(total: &mut Histogram<u64>, interval: &Histogram<u64>) {
    total.add(interval).expect("a histogram that resizes itself takes every value");
}

/// Intervals of one metric, merged until they are wide enough.
#[derive(Default)]
struct Merging {
    points: Vec<HopPoint>,
    open: Option<(u64, u64, Histogram<u64>)>,
}

impl Merging {
    fn add(&mut self, interval: &Interval, width_ns: u64) {
        let (start_ns, until_ns, merged) =
            self.open.get_or_insert_with(|| (interval.start_ns, interval.start_ns, histogram()));
        *until_ns = interval.end_ns.max(*until_ns);
        add(merged, &interval.histogram);
        if *until_ns - *start_ns >= width_ns {
            self.close();
        }
    }

    fn close(&mut self) {
        let Some((at_ns, until_ns, merged)) = self.open.take() else { return };
        self.points.push(HopPoint {
            at_ns,
            length_ns: until_ns - at_ns,
            count: merged.len(),
            p50_ns: merged.value_at_quantile(0.5),
            p99_ns: merged.value_at_quantile(0.99),
            max_ns: merged.max(),
        });
    }

    fn finish(mut self) -> Vec<HopPoint> {
        self.close();
        self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_needs_values_beyond_it() {
        let mut thousand = histogram();
        (1..=1_000).for_each(|n| thousand.record(n * 1_000).expect("it resizes"));
        let metric = Metric::of("ack".to_owned(), &thousand);
        let names: Vec<_> = metric.percentiles.iter().map(|percentile| percentile.name).collect();
        assert_eq!(names, ["p50", "p90", "p99", "p99.9"]);
        assert_eq!(metric.percentiles[2].value_ns / 10_000, 99);
        let last = metric.curve.last().expect("a curve");
        assert!((last.nines - 3.0).abs() < 1e-9 && last.value_ns == thousand.max(), "{last:?}");
        assert!(metric.curve.is_sorted_by_key(|point| point.value_ns));
        assert!(curve(&histogram()).is_empty());
    }

    #[test]
    fn names_of_topics_keep_their_underscores() {
        let label = |tag: &str| Metric::of(tag.to_owned(), &histogram()).label();
        assert_eq!(label("hop:topic_orders_v2->ledger_tracker"), "topic orders_v2 to ledger tracker");
        assert_eq!(label("deliver:orders_v2"), "read from orders_v2, from the intended instant");
    }

    #[test]
    fn long_courses_are_merged_and_keep_every_value() {
        let mut merging = Merging::default();
        let mut one = histogram();
        one.record(7_000).expect("it resizes");
        for n in 0..10 {
            let interval = Interval {
                tag: String::new(),
                start_ns: n * 1_000_000_000,
                end_ns: (n + 1) * 1_000_000_000,
                histogram: one.clone(),
            };
            merging.add(&interval, 4_000_000_000);
        }
        let points: Vec<_> = merging.finish().iter().map(|point| (point.at_ns / 1_000_000_000, point.count)).collect();
        assert_eq!(points, [(0, 4), (4, 4), (8, 2)]);
    }
}
