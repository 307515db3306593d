//! Latency: how long messages took, measured from the instant at which the schedule wanted them sent.
//!
//! From the intended instant, not from the send: a stalled system must not be excused by the load that waited for it
//! (coordinated omission). A message counts once, with its first delivery at the sink of the flow; what never arrived
//! has no latency and is [`crate::lost`]'s. Where a sink does not carry the intended instant (ledgers seldom do), the
//! flow's source is asked for it. A metric without a flow is measured from the load's own intended instants to its
//! acknowledgements.
//!
//! A budget passes only if every message that arrived could be measured. Where some have no intended instant, or one
//! after their arrival, the rest says nothing of them: the finding is inconclusive, unless the rest convicts already.
//!
//! A budget for each partition of the flow's sink says at how many of them it does not hold: a hot key makes one partition slow
//! and no other. A partition that nothing arrived at is none.
//!
//! Budgets are decided by counting the samples within them, exactly; the percentiles beside them are for people and come
//! from an `HdrHistogram` with three digits.

use crate::evidence::{self, STORIES_MAX};
use crate::paged::Paged;
use crate::quantile::{self, Quantile};
use hdrhistogram::Histogram;
use roaring::RoaringTreemap;
use shakedown_reports::expectation::{Bounds, LatencyBudget};
use shakedown_reports::identity::{Identity, Key};
use shakedown_reports::numbers::{duration, grouped};
use shakedown_reports::record::{Flow, Outcome as OperationOutcome, Record, RecordError, StreamKind};
use shakedown_reports::verdict::{Finding, Outcome, Story, StoryEvent};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The check's name in findings.
pub const NAME: &str = "latency";

/// One finding for each metric; `found` counts the bounds that do not hold.
///
/// # Errors
/// When the record cannot be read to its end.
pub fn check(record: &dyn Record, budgets: &BTreeMap<String, LatencyBudget>) -> Result<Vec<Finding>, RecordError> {
    budgets.iter().map(|(metric, budget)| judge(record, metric, budget)).collect()
}

fn judge(record: &dyn Record, metric: &str, budget: &LatencyBudget) -> Result<Finding, RecordError> {
    let mut bounds = Vec::new();
    for (name, at_most_ns) in &budget.at_most {
        let Some(quantile) = Quantile::parse(name) else {
            let detail = format!("{name:?} is no percentile; there are {}", quantile::NAMES);
            return Ok(finding(metric, Outcome::Inconclusive, detail));
        };
        bounds.push(Bound { name, quantile, at_most_ns: *at_most_ns, within: 0 });
    }
    if bounds.is_empty() {
        return Ok(finding(metric, Outcome::Inconclusive, "the budget names no percentile".to_owned()));
    }
    bounds.sort_by_key(|bound| bound.quantile.needed(u64::MAX));
    match (budget.flow, budget.partitions) {
        (Some(flow), Some(allowed)) => {
            let mut partitions = BTreeMap::new();
            measure_flow(record, flow, &mut |partition, sample| {
                partitions.entry(partition).or_insert_with(|| Samples::new(bounds.clone())).add(sample);
            })?;
            Ok(of_partitions(record, metric, &partitions, allowed))
        }
        (flow, _) => {
            let mut samples = Samples::new(bounds);
            match flow {
                Some(flow) => measure_flow(record, flow, &mut |_, sample| samples.add(sample))?,
                None => measure_acknowledgements(record, &mut samples)?,
            }
            Ok(samples.finding(record, metric))
        }
    }
}

/// Whether the budget breaks at as many partitions as it may, and has to.
fn of_partitions(
    record: &dyn Record,
    metric: &str,
    partitions: &BTreeMap<i32, Samples<'_>>,
    allowed: Bounds,
) -> Finding {
    let broken: Vec<_> = partitions.iter().filter(|(_, samples)| samples.broken() > 0).collect();
    let found = broken.len() as u64;
    let doubtful = partitions.values().any(|samples| samples.negative > 0 || samples.unknown > 0);
    let compared: u64 = partitions.values().map(|samples| samples.count).sum();
    let outcome = match allowed.allow(found) {
        _ if compared == 0 => Outcome::Inconclusive,
        // What could not be measured might break one more; that too many break it does not mend.
        _ if doubtful && found <= allowed.at_most => Outcome::Inconclusive,
        true => Outcome::Pass,
        false => Outcome::Fail,
    };
    let told = broken.iter().map(|(partition, samples)| format!("partition {partition}: {}", samples.detail()));
    let detail = told.fold(format!("breaks at {found} of {} partitions", partitions.len()), |mut text, one| {
        text.push_str("; ");
        text.push_str(&one);
        text
    });
    let slowest = broken.iter().max_by_key(|(_, samples)| samples.slowest.first().map(|slow| slow.latency_ns));
    let evidence = slowest.filter(|_| outcome == Outcome::Fail).map(|(_, samples)| samples.tell(record));
    Finding {
        compared,
        found: if outcome == Outcome::Fail { found } else { 0 },
        evidence: evidence.unwrap_or_default(),
        ..finding(metric, outcome, detail)
    }
}

fn finding(metric: &str, outcome: Outcome, detail: String) -> Finding {
    let (check, subject) = (NAME.to_owned(), metric.to_owned());
    Finding { check, subject, outcome, compared: 0, found: 0, detail, evidence: Vec::new() }
}

fn measure_acknowledgements(record: &dyn Record, samples: &mut Samples) -> Result<(), RecordError> {
    record.operations(&mut |operation| {
        if operation.outcome == OperationOutcome::Ok {
            let (identity, key) = (operation.identity, operation.key);
            samples.add(Sample {
                identity,
                key,
                intended_ns: operation.intended_ns,
                received_ns: operation.completed_ns,
            });
        }
    })
}

fn measure_flow(record: &dyn Record, flow: Flow, add: &mut dyn FnMut(i32, Sample)) -> Result<(), RecordError> {
    let mut all_known = true;
    record.deliveries(flow.to, &mut |delivery| all_known &= delivery.intended_ns != 0)?;
    let intended = if all_known { Paged::new(0) } else { intended_at_source(record, flow)? };
    let mut seen = RoaringTreemap::new();
    record.deliveries(flow.to, &mut |delivery| {
        let bits = delivery.identity.to_bits();
        if seen.insert(bits) {
            let intended_ns = if delivery.intended_ns == 0 { intended.get(bits) } else { delivery.intended_ns };
            let (identity, key, received_ns) = (delivery.identity, delivery.key, delivery.received_ns);
            add(delivery.partition, Sample { identity, key, intended_ns, received_ns });
        }
    })
}

fn intended_at_source(record: &dyn Record, flow: Flow) -> Result<Paged<u64>, RecordError> {
    let mut intended = Paged::new(0);
    if evidence::kind(record, flow.from) == StreamKind::Load {
        record.operations(&mut |operation| *intended.slot(operation.identity.to_bits()) = operation.intended_ns)?;
    } else {
        record.deliveries(flow.from, &mut |delivery| {
            *intended.slot(delivery.identity.to_bits()) = delivery.intended_ns;
        })?;
    }
    Ok(intended)
}

#[derive(Clone)]
struct Bound<'a> {
    name: &'a str,
    quantile: Quantile,
    at_most_ns: u64,
    /// How many samples do not exceed it.
    within: u64,
}

impl Bound<'_> {
    fn holds(&self, total: u64) -> bool {
        self.within >= self.quantile.needed(total)
    }
}

/// A message that arrived. An intended instant of 0 is unknown.
#[derive(Clone, Copy)]
struct Sample {
    identity: Identity,
    key: Key,
    intended_ns: u64,
    received_ns: u64,
}

/// One that a reader may want to look at.
#[derive(Clone, Copy)]
struct Slow {
    latency_ns: u64,
    sample: Sample,
}

struct Samples<'a> {
    bounds: Vec<Bound<'a>>,
    histogram: Histogram<u64>,
    count: u64,
    /// Received before they were intended: clocks of two machines, or an intended instant that is none. Taken as 0,
    /// which convicts nobody.
    negative: u64,
    /// Nobody knows when they were intended; not measured.
    unknown: u64,
    slowest: Vec<Slow>,
}

impl<'a> Samples<'a> {
    fn new(bounds: Vec<Bound<'a>>) -> Self {
        let mut histogram = Histogram::new(3).expect("three significant digits are allowed");
        histogram.auto(true);
        Self { bounds, histogram, count: 0, negative: 0, unknown: 0, slowest: Vec::new() }
    }

    fn add(&mut self, sample: Sample) {
        let Sample { intended_ns, received_ns, .. } = sample;
        if intended_ns == 0 {
            self.unknown += 1;
            return;
        }
        let latency_ns = received_ns.saturating_sub(intended_ns);
        self.negative += u64::from(received_ns < intended_ns);
        self.count += 1;
        self.histogram.record(latency_ns).expect("an auto-resizing histogram takes every value");
        for bound in &mut self.bounds {
            bound.within += u64::from(latency_ns <= bound.at_most_ns);
        }
        let slow_enough = self.slowest.last().is_none_or(|slow| slow.latency_ns < latency_ns);
        if self.slowest.len() < STORIES_MAX || slow_enough {
            self.slowest.push(Slow { latency_ns, sample });
            self.slowest.sort_by_key(|slow| Reverse(slow.latency_ns));
            self.slowest.truncate(STORIES_MAX);
        }
    }

    /// How many bounds do not hold.
    fn broken(&self) -> u64 {
        self.bounds.iter().filter(|bound| !bound.holds(self.count)).count() as u64
    }

    fn finding(&self, record: &dyn Record, metric: &str) -> Finding {
        let broken = self.broken();
        let outcome = match (self.count, broken) {
            (0, _) => Outcome::Inconclusive,
            (_, 0) if self.negative > 0 || self.unknown > 0 => Outcome::Inconclusive,
            (_, 0) => Outcome::Pass,
            _ => Outcome::Fail,
        };
        Finding {
            compared: self.count,
            found: if outcome == Outcome::Fail { broken } else { 0 },
            evidence: if outcome == Outcome::Fail { self.tell(record) } else { Vec::new() },
            ..finding(metric, outcome, self.detail())
        }
    }

    /// `p50 8.1 ms (20 ms)  p99 310 ms (250 ms!)`.
    fn detail(&self) -> String {
        if self.count == 0 {
            return format!("no message could be measured, {} without an intended instant", grouped(self.unknown));
        }
        let figure = |bound: &Bound<'_>| {
            let measured = duration(self.histogram.value_at_quantile(bound.quantile.fraction()));
            let mark = if bound.holds(self.count) { "" } else { "!" };
            format!("{} {measured} ({}{mark})", bound.name, duration(bound.at_most_ns))
        };
        let mut parts: Vec<String> = self.bounds.iter().map(figure).collect();
        if self.negative > 0 {
            parts.push(format!("{} arrived before their intended instant", grouped(self.negative)));
        }
        if self.unknown > 0 {
            parts.push(format!("{} without an intended instant", grouped(self.unknown)));
        }
        parts.join("  ")
    }

    fn tell(&self, record: &dyn Record) -> Vec<Story> {
        let story = |slow: &Slow| {
            let event = |at_ns, text: String| StoryEvent { at_ns: Some(at_ns), text };
            let arrived = format!("arrived, {} later", duration(slow.latency_ns));
            let events = vec![
                event(slow.sample.intended_ns, "was to be sent".to_owned()),
                event(slow.sample.received_ns.max(slow.sample.intended_ns), arrived),
            ];
            evidence::story(evidence::title(record, slow.sample.identity, slow.sample.key, None), events)
        };
        self.slowest.iter().map(story).collect()
    }
}
