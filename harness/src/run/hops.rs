//! Writes into the interval log how long hops take, for the flows that a latency is expected of: from when a message was first
//! seen at one end to when it was first seen at the other, and at each partition where that is expected.
//!
//! Both ends must have been read before a difference can be taken, so this is done when the record is whole; a run that was
//! killed has no hops in its log. The time of an interval is when messages arrived.

use super::error::RunError;
use hdrhistogram::Histogram;
use shakedown_checks::hops;
use shakedown_reports::expectation::LatencyBudget;
use shakedown_reports::intervals::partition_tag;
use shakedown_reports::record::{Flow, Record as _, StreamId};
use shakedown_reports::{IntervalLog, RunRecord};
use std::collections::BTreeMap;

/// How long an interval is, as everywhere in the log.
const INTERVAL_NS: u64 = 1_000_000_000;

/// Writes the hops of a record.
///
/// # Errors
/// When the record cannot be read, or the log not be written.
pub fn write(record: &RunRecord, log: &IntervalLog) -> Result<(), RunError> {
    let mut flows: BTreeMap<(StreamId, StreamId), bool> = BTreeMap::new();
    for LatencyBudget { flow, partitions, .. } in record.info().expectations.latency.values() {
        if let Some(flow) = flow {
            *flows.entry((flow.from, flow.to)).or_default() |= partitions.is_some();
        }
    }
    for ((from, to), is_by_partition) in flows {
        let flow = Flow { from, to };
        let mut hop = Hop { tag: tag(record, flow), is_by_partition, interval: 0, histograms: BTreeMap::new() };
        let mut written = Ok(());
        hops::measure(record, flow, &mut |arrival| {
            let interval = arrival.received_ns / INTERVAL_NS;
            if interval != hop.interval && written.is_ok() {
                written = hop.write(log);
                hop.interval = interval;
            }
            hop.add(arrival);
        })?;
        written?;
        hop.write(log)?;
    }
    Ok(())
}

/// `hop:topic_orders->ledger_tracker`.
fn tag(record: &RunRecord, flow: Flow) -> String {
    let label =
        |stream: StreamId| record.streams().get(usize::from(stream)).map(|stream| stream.label()).unwrap_or_default();
    format!("hop:{}->{}", label(flow.from), label(flow.to))
}

/// One hop, in the interval that is being read. Sinks are read in the order in which messages arrived; what comes late from
/// another partition opens its interval once more, and both are true.
struct Hop {
    tag: String,
    is_by_partition: bool,
    interval: u64,
    histograms: BTreeMap<String, Histogram<u64>>,
}

impl Hop {
    fn add(&mut self, arrival: hops::Arrival) {
        self.record(self.tag.clone(), arrival.took_ns);
        if self.is_by_partition {
            self.record(partition_tag(&self.tag, arrival.partition), arrival.took_ns);
        }
    }

    fn record(&mut self, tag: String, took_ns: u64) {
        let histogram = self
            .histograms
            .entry(tag)
            .or_insert_with(|| Histogram::new(3).expect("three significant digits are allowed"));
        histogram.record(took_ns).expect("a histogram that resizes itself takes every value");
    }

    fn write(&mut self, log: &IntervalLog) -> Result<(), RunError> {
        let start_ns = self.interval.saturating_mul(INTERVAL_NS);
        for (tag, histogram) in std::mem::take(&mut self.histograms) {
            log.record(&tag, start_ns, start_ns.saturating_add(INTERVAL_NS), &histogram)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::write;
    use shakedown_reports::expectation::{Bounds, LatencyBudget};
    use shakedown_reports::identity::{Identity, Key};
    use shakedown_reports::record::{Delivery, Flow, StreamInfo, StreamKind};
    use shakedown_reports::{RunDirectory, RunInfo, RunRecord, intervals};
    use std::collections::BTreeMap;

    #[test]
    fn hops_are_written_second_by_second_and_by_partition_where_asked() {
        let root = tempfile::tempdir().expect("a folder");
        let mut info = RunInfo::new("hops", 1);
        info.started_unix_ms = 5_000;
        let flow = Flow { from: 0, to: 1 };
        info.streams =
            ["orders", "shipped"].map(|name| StreamInfo { name: name.to_owned(), kind: StreamKind::Topic }).into();
        info.flows.push(flow);
        let at_most = BTreeMap::from([("p99".to_owned(), 1)]);
        let budget = LatencyBudget { flow: Some(flow), at_most, partitions: Some(Bounds::exactly(0)) };
        info.expectations.latency.insert("shipped".to_owned(), budget);
        let directory = RunDirectory::create(root.path(), &info).expect("a run directory");
        let second = 1_000_000_000;
        for (stream, took_ns) in [(0, 0), (1, 2_000)] {
            let mut deliveries = directory.delivery_writer(stream).expect("one tap a stream");
            for number in 0..4 {
                deliveries.push(&Delivery {
                    identity: Identity::planned(number),
                    key: Key::planned(1),
                    partition: i32::try_from(number % 2).expect("a few"),
                    offset: 0,
                    timestamp_ms: -1,
                    value: 0,
                    intended_ns: 1,
                    // Two in each of two seconds.
                    received_ns: (6 + number / 2) * second + number * 10 + took_ns,
                });
            }
            deliveries.finish().expect("written");
        }
        let record = RunRecord::open(directory.path()).expect("a readable run");
        write(&record, &directory.interval_log()).expect("written");
        let log = intervals::read(directory.path()).expect("a good log");
        let told: Vec<_> =
            log.iter().map(|one| (one.tag.as_str(), one.start_ns / second, one.histogram.len())).collect();
        let hop = "hop:topic_orders->topic_shipped";
        let (at_0, at_1) = (format!("{hop}/0"), format!("{hop}/1"));
        let each = |at| [(hop, at, 2), (at_0.as_str(), at, 1), (at_1.as_str(), at, 1)];
        assert_eq!(told, [each(6), each(7)].concat());
        let total = intervals::total(&log, hop);
        assert_eq!((total.min(), total.max()), (2_000, 2_000));
    }
}
