//! What happened to the load in each slot of time, from the stream of operations.

use super::course_slots::{CourseSlots, Merge};
use crate::record::{Operation, Outcome};
use hdrhistogram::Histogram;
use serde::Serialize;

/// More slots than a wide chart has room for dots.
pub(super) const SLOTS_MAX: usize = 300;

/// One slot. Messages are counted where it happened to them: offered when they were handed to the client, acknowledged when
/// the answer came. Latencies stand where the schedule wanted the message sent: a standstill shows from its beginning on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Slot {
    /// When it begins, in nanoseconds since the Unix epoch.
    pub at_ns: u64,
    /// Messages that were handed to the client.
    pub offered: u64,
    /// Messages whose acknowledgement came.
    pub acknowledged: u64,
    /// Messages that were found not to have been written.
    pub failed: u64,
    /// Messages that were given up, and of which nobody knows.
    pub unknown: u64,
    /// Of those that were due here and were acknowledged: from the intended instant to the acknowledgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<SlotLatency>,
}

/// Percentiles of a slot, to two significant digits, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SlotLatency {
    /// Half of them were faster.
    pub p50_ns: u64,
    /// One in a hundred was slower.
    pub p99_ns: u64,
    /// The slowest.
    pub max_ns: u64,
    /// As [`Self::p99_ns`], but from the send: what a closed loop would tell.
    pub service_p99_ns: u64,
}

const RESIZES: &str = "a histogram that resizes itself takes every value";

/// A slot under construction.
#[derive(Debug, Default)]
pub(super) struct Counting {
    counts: Slot,
    latency: Option<Box<[Histogram<u64>; 2]>>,
    /// The slowest, exactly: a histogram would round it up.
    max_ns: u64,
}

impl Counting {
    fn record(&mut self, latency_ns: u64, service_ns: u64) {
        let [latency, service] = &mut **self.latency.get_or_insert_with(|| Box::new([(); 2].map(|()| histogram())));
        latency.record(latency_ns).expect(RESIZES);
        service.record(service_ns).expect(RESIZES);
        self.max_ns = self.max_ns.max(latency_ns);
    }
}

/// Two digits are what a chart can show. It resizes itself.
fn histogram() -> Histogram<u64> {
    Histogram::new(2).expect("two digits are allowed")
}

impl Merge for Counting {
    fn merge(&mut self, later: Self) {
        self.counts.offered += later.counts.offered;
        self.counts.acknowledged += later.counts.acknowledged;
        self.counts.failed += later.counts.failed;
        self.counts.unknown += later.counts.unknown;
        self.max_ns = self.max_ns.max(later.max_ns);
        match (&mut self.latency, later.latency) {
            (Some(own), Some(others)) => {
                for (own, other) in own.iter_mut().zip(others.iter()) {
                    own.add(other).expect(RESIZES);
                }
            }
            (own @ None, others) => *own = others,
            (Some(_), None) => {}
        }
    }
}

/// Counts an operation.
pub(super) fn count(slots: &mut CourseSlots<Counting>, operation: &Operation) {
    if operation.sent_ns > 0 {
        slots.at(operation.sent_ns).counts.offered += 1;
    }
    let ended = &mut slots.at(operation.completed_ns).counts;
    match operation.outcome {
        Outcome::Ok => ended.acknowledged += 1,
        Outcome::Fail => ended.failed += 1,
        Outcome::Unknown => ended.unknown += 1,
    }
    if operation.outcome == Outcome::Ok {
        let latency_ns = operation.completed_ns.saturating_sub(operation.intended_ns);
        let service_ns = operation.completed_ns.saturating_sub(operation.sent_ns);
        slots.at(operation.intended_ns).record(latency_ns, service_ns);
    }
}

/// The finished slots.
pub(super) fn finish(slots: &CourseSlots<Counting>) -> Vec<Slot> {
    let finished = slots.iter().map(|(at_ns, slot)| {
        let latency = slot.latency.as_ref().map(|histograms| {
            let [latency, service] = &**histograms;
            SlotLatency {
                p50_ns: latency.value_at_quantile(0.5).min(slot.max_ns),
                p99_ns: latency.value_at_quantile(0.99).min(slot.max_ns),
                max_ns: slot.max_ns,
                // It is a part of the latency, and no part is longer than the whole.
                service_p99_ns: service.value_at_quantile(0.99).min(slot.max_ns),
            }
        });
        Slot { at_ns, latency, ..slot.counts.clone() }
    });
    finished.collect()
}
