//! Histograms that many threads may read while one records: what is measured, lossless, an interval a second.
//!
//! Three significant digits, nanoseconds, resized as needed: nothing is clamped, dropped or sampled. Writing an
//! interval compresses it, which would hold up the thread that measures; so a reporter thread swaps the histogram of
//! each [`Meter`] against an empty one and does the rest alone.

use crate::clock::RunClock;
use hdrhistogram::Histogram;
use shakedown_reports::{DirectoryError, IntervalLog};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The length of an interval of `latency.hlog`.
const INTERVAL: Duration = Duration::from_secs(1);
/// Recorded without a resize; what is longer costs one allocation.
const RANGE_AT_FIRST_NS: u64 = 10_000_000_000;

/// One metric.
#[derive(Debug)]
pub(crate) struct Meter {
    tag: String,
    live: Mutex<Histogram<u64>>,
    p50_ns: AtomicU64,
    p99_ns: AtomicU64,
    max_ns: AtomicU64,
}

impl Meter {
    pub(crate) fn new(tag: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            tag: tag.into(),
            live: Mutex::new(histogram()),
            p50_ns: AtomicU64::new(0),
            p99_ns: AtomicU64::new(0),
            max_ns: AtomicU64::new(0),
        })
    }

    pub(crate) fn record(&self, value_ns: u64) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.record(value_ns).expect("a histogram that resizes itself takes every value");
    }

    /// Over the run, up to the last interval that ended.
    pub(crate) fn p50_ns(&self) -> u64 {
        self.p50_ns.load(Ordering::Relaxed)
    }

    /// As [`Self::p50_ns`].
    pub(crate) fn p99_ns(&self) -> u64 {
        self.p99_ns.load(Ordering::Relaxed)
    }

    /// As [`Self::p50_ns`].
    pub(crate) fn max_ns(&self) -> u64 {
        self.max_ns.load(Ordering::Relaxed)
    }

    fn publish(&self, total: &Histogram<u64>) {
        self.p50_ns.store(total.value_at_quantile(0.5), Ordering::Relaxed);
        self.p99_ns.store(total.value_at_quantile(0.99), Ordering::Relaxed);
        self.max_ns.store(total.max(), Ordering::Relaxed);
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
