//! Histograms that many threads may read while one records: what is measured, lossless, an interval a second.
//!
//! Three significant digits, nanoseconds, resized as needed: nothing is clamped, dropped or sampled. Writing an
//! interval compresses it, which would hold up the thread that measures; so a reporter thread swaps the histogram of
//! each [`Meter`] against an empty one and does the rest alone.

use crate::clock::RunClock;
use hdrhistogram::Histogram;
use shakedown_reports::intervals::partition_tag;
use shakedown_reports::{DirectoryError, IntervalLog};
use std::mem;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The length of an interval of `latency.hlog`.
const INTERVAL: Duration = Duration::from_secs(1);
/// Recorded without a resize; what is longer costs one allocation.
const RANGE_AT_FIRST_NS: u64 = 10_000_000_000;

/// The quantiles that are told while a run goes on.
pub const QUANTILES: [f64; 6] = [0.5, 0.9, 0.99, 0.999, 0.9999, 1.0];

/// What one metric has come to over the run, up to the last interval that ended.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// How many values were recorded.
    pub count: u64,
    /// Their sum in nanoseconds, to three significant digits.
    pub sum_ns: f64,
    /// The values at [`QUANTILES`], in nanoseconds; the last is the greatest.
    pub quantiles_ns: [u64; QUANTILES.len()],
}

impl Figures {
    fn of(total: &Histogram<u64>) -> Self {
        let count = total.len();
        Self {
            count,
            sum_ns: if count == 0 { 0.0 } else { total.mean() * count as f64 },
            quantiles_ns: QUANTILES.map(|quantile| total.value_at_quantile(quantile)),
        }
    }
}

/// One metric.
#[derive(Debug)]
pub(crate) struct Meter {
    tag: String,
    live: Mutex<Histogram<u64>>,
    figures: Mutex<Figures>,
}

impl Meter {
    pub(crate) fn new(tag: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { tag: tag.into(), live: Mutex::new(histogram()), figures: Mutex::default() })
    }

    /// What it measures, as the interval log calls it.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    pub(crate) fn record(&self, value_ns: u64) {
        self.record_all(std::iter::once(value_ns));
    }

    /// Many at once.
    pub(crate) fn record_all(&self, values_ns: impl Iterator<Item = u64>) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        for value_ns in values_ns {
            live.record(value_ns).expect("a histogram that resizes itself takes every value");
        }
    }

    /// Over the run, up to the last interval that ended.
    pub(crate) fn figures(&self) -> Figures {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Self::figures`].
    pub(crate) fn p50_ns(&self) -> u64 {
        self.figures().quantiles_ns[0]
    }

    /// As [`Self::figures`].
    pub(crate) fn p99_ns(&self) -> u64 {
        self.figures().quantiles_ns[2]
    }

    /// As [`Self::figures`].
    pub(crate) fn max_ns(&self) -> u64 {
        self.figures().quantiles_ns[QUANTILES.len() - 1]
    }

    fn publish(&self, total: &Histogram<u64>) {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = Figures::of(total);
    }
}

/// One metric for each partition of a topic.
#[derive(Debug)]
pub(crate) struct PartitionMeters(Vec<Arc<Meter>>);

impl PartitionMeters {
    pub(crate) fn new(metric: &str, partitions: usize) -> Self {
        let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
        Self((0..partitions).map(|partition| Meter::new(partition_tag(metric, partition))).collect())
    }

    /// Records at a partition; nothing at one that nobody knew of when the metric began.
    pub(crate) fn record(&self, partition: i32, value_ns: u64) {
        self.record_all(partition, std::iter::once(value_ns));
    }

    /// As [`Self::record`], of many.
    pub(crate) fn record_all(&self, partition: i32, values_ns: impl Iterator<Item = u64>) {
        if let Some(meter) = usize::try_from(partition).ok().and_then(|partition| self.0.get(partition)) {
            meter.record_all(values_ns);
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Arc<Meter>> {
        self.0.iter().map(Arc::clone)
    }
}

fn histogram() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, RANGE_AT_FIRST_NS, 3).expect("bounds and digits are allowed");
    histogram.auto(true);
    histogram
}

/// The thread that writes intervals.
#[derive(Debug)]
pub(crate) struct Reporter {
    finish: Sender<()>,
    thread: JoinHandle<Result<Vec<Histogram<u64>>, DirectoryError>>,
}

impl Reporter {
    pub(crate) fn start(
        name: &str,
        clock: RunClock,
        log: IntervalLog,
        meters: Vec<Arc<Meter>>,
    ) -> std::io::Result<Self> {
        let (finish, finished) = mpsc::channel();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut totals: Vec<_> = meters.iter().map(|_| histogram()).collect();
            let mut spare = histogram();
            let mut start_ns = clock.now_ns();
            loop {
                let last = finished.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout);
                let end_ns = clock.now_ns();
                for (meter, total) in meters.iter().zip(&mut totals) {
                    mem::swap(&mut *meter.live.lock().unwrap_or_else(PoisonError::into_inner), &mut spare);
                    if !spare.is_empty() {
                        log.record(&meter.tag, start_ns, end_ns, &spare)?;
                        total.add(&spare).expect("a histogram that resizes itself takes every value");
                        meter.publish(total);
                        spare.reset();
                    }
                }
                start_ns = end_ns;
                if last {
                    return Ok(totals);
                }
            }
        })?;
        Ok(Self { finish, thread })
    }

    /// Writes the last interval and returns the whole run's histograms, in the order of the meters. `None` when the
    /// thread panicked.
    pub(crate) fn finish(self) -> Option<Result<Vec<Histogram<u64>>, DirectoryError>> {
        // A thread that failed to write is gone already, and its result says why.
        drop(self.finish);
        self.thread.join().ok()
    }
}
