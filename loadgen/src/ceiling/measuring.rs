//! From what a run recorded to what was measured in a trial.
//!
//! Everything is counted from intended instants: a message belongs to the measured part when it was due in it, whenever it
//! was sent. The lag of acknowledgements is exact: what was due less what was acknowledged, at a hundred instants. Those of
//! consumer groups are what the cluster answered when it was asked.

use super::settings::ServiceLevel;
use super::trend::Trend;
use super::trial::{Measured, Trial};
use hdrhistogram::Histogram;
use shakedown_reports::record::{Operation, Outcome, Record, RecordError};
use shakedown_reports::watch::WatchId;
use std::collections::BTreeMap;

/// At so many instants of the measured part lags are looked at.
const INSTANTS: u64 = 100;
/// Whose lag that of acknowledgements is.
pub const ACKNOWLEDGEMENTS: &str = "acknowledgements";

/// The measured part of a run, on the run's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its first nanosecond.
    pub begin_ns: u64,
    /// The first behind it.
    pub end_ns: u64,
}

impl Window {
    /// Of a trial whose first message was due at an instant.
    #[must_use]
    pub fn of(trial: &Trial, first_due_ns: u64) -> Self {
        let ns = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let begin_ns = first_due_ns.saturating_add(ns(trial.warm_up));
        Self { begin_ns, end_ns: begin_ns.saturating_add(ns(trial.length)) }
    }

    const fn has(self, at_ns: u64) -> bool {
        self.begin_ns <= at_ns && at_ns < self.end_ns
    }

    fn instants(self) -> impl Iterator<Item = u64> {
        let step = (self.end_ns - self.begin_ns) / INSTANTS;
        (0..INSTANTS).map(move |place| self.begin_ns + place * step)
    }

    /// The place of the last instant that is not after this one, from 1; 0 before the first.
    fn place(self, at_ns: u64) -> usize {
        let step = ((self.end_ns - self.begin_ns) / INSTANTS).max(1);
        at_ns.checked_sub(self.begin_ns).map_or(0, |into| usize::try_from((into / step + 1).min(INSTANTS)).unwrap_or(0))
    }
}

/// What the generator said of itself, beside the record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnAccount {
    /// How late it was at p99, by its own doing.
    pub lateness_p99_ns: u64,
    /// Messages of the plan.
    pub planned: u64,
}

/// Counts what a trial came to from the record of its run.
///
/// # Errors
/// When the record cannot be read.
pub fn measure(
    record: &dyn Record,
    trial: &Trial,
    level: ServiceLevel,
    own: &OwnAccount,
) -> Result<Measured, RecordError> {
    let mut first_due_ns = u64::MAX;
    let mut offered = 0;
    record.operations(&mut |operation| {
        first_due_ns = first_due_ns.min(operation.intended_ns);
        offered += 1;
    })?;
    if offered == 0 {
        return Ok(Measured { due: 1, broken: vec!["nothing was offered".to_owned()], ..Measured::default() });
    }
    let window = Window::of(trial, first_due_ns);
    let mut count = Count::new(window, level);
    record.operations(&mut |operation| count.add(operation))?;
    let missing = own.planned.saturating_sub(offered);
    // Of what was sent too late, so much may be the generator's own doing; the rest a full queue held back.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of messages, cut to whole ones"
    )]
    let own_arrears = (trial.rate as f64 * own.lateness_p99_ns as f64 / 1e9) as u64;
    let mut measured = count.finish();
    measured.not_offered = measured.not_offered.min(own_arrears);
    // A load that was broken off: what was never offered was due, too.
    measured.due += missing;
    measured.lateness_p99_ns = own.lateness_p99_ns;
    measured.lags.extend(group_lags(record, window)?);
    Ok(measured)
}

struct Count {
    window: Window,
    in_time_ns: u64,
    measured: Measured,
    latency: Histogram<u64>,
    service: Histogram<u64>,
    /// By the place of the instant behind which they came; those before the first at 0.
    due: Vec<u64>,
    acknowledged: Vec<u64>,
}

impl Count {
    fn new(window: Window, level: ServiceLevel) -> Self {
        let histogram = || Histogram::new(3).expect("three digits are allowed");
        let places = usize::try_from(INSTANTS).expect("a hundred") + 1;
        Self {
            window,
            in_time_ns: window.end_ns.saturating_add(level.p99_ns()),
            measured: Measured::default(),
            latency: histogram(),
            service: histogram(),
            due: vec![0; places],
            acknowledged: vec![0; places],
        }
    }

    fn add(&mut self, operation: &Operation) {
        let window = self.window;
        // A message that failed is over as well: it is an error, and no lag.
        self.due[window.place(operation.intended_ns)] += 1;
        self.acknowledged[window.place(operation.completed_ns)] += 1;
        if !window.has(operation.intended_ns) {
            return;
        }
        self.measured.due += 1;
        self.measured.not_offered += u64::from(operation.sent_ns >= window.end_ns);
        if operation.outcome != Outcome::Ok {
            self.measured.errors += 1;
            return;
        }
        self.measured.delivered += u64::from(operation.completed_ns <= self.in_time_ns);
        let ended = operation.completed_ns;
        let took = [(&mut self.latency, operation.intended_ns), (&mut self.service, operation.sent_ns)];
        for (histogram, since_ns) in took {
            histogram.record(ended.saturating_sub(since_ns)).expect("it grows with what it is given");
        }
    }

    fn finish(self) -> Measured {
        let Self { window, mut measured, latency, service, due, acknowledged, .. } = self;
        measured.p50_ns = latency.value_at_quantile(0.5);
        measured.p99_ns = latency.value_at_quantile(0.99);
        measured.service_p99_ns = service.value_at_quantile(0.99);
        let mut standing = 0.0;
        let points: Vec<(f64, f64)> = window
            .instants()
            .zip(due.iter().zip(&acknowledged))
            .map(|(at_ns, (due, acknowledged))| {
                standing += *due as f64 - *acknowledged as f64;
                ((at_ns - window.begin_ns) as f64 / 1e9, standing)
            })
            .collect();
        measured.lags = vec![Trend::of(ACKNOWLEDGEMENTS, &points)];
        measured
    }
}

/// What every group had still to commit, at each look in the measured part, over all partitions of its topic.
fn group_lags(record: &dyn Record, window: Window) -> Result<Vec<Trend>, RecordError> {
    let mut looks: BTreeMap<WatchId, BTreeMap<u64, u64>> = BTreeMap::new();
    record.readings(&mut |reading| {
        if window.has(reading.asked_ns) {
            *looks.entry(reading.watch).or_default().entry(reading.asked_ns).or_default() += reading.lag();
        }
    })?;
    let watches = record.watches();
    let trend = |(watch, looks): (WatchId, BTreeMap<u64, u64>)| {
        let watch = watches.get(usize::from(watch)).filter(|watch| watch.group.is_some())?;
        let points: Vec<_> = looks.iter().map(|(at, lag)| ((at - window.begin_ns) as f64 / 1e9, *lag as f64)).collect();
        Some(Trend::of(&watch.label(), &points))
    };
    Ok(looks.into_iter().filter_map(trend).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceiling::trial::Phase;
    use shakedown_reports::MemoryRecord;
    use shakedown_reports::identity::{Identity, Key};
    use shakedown_reports::record::StreamKind;
    use shakedown_reports::watch::Reading;
    use std::time::Duration;

    const MS: u64 = 1_000_000;
    const BEGAN: u64 = 1_700_000_000_000 * MS;

    fn trial() -> Trial {
        let (warm_up, length) = (Duration::from_secs(1), Duration::from_secs(4));
        Trial { replicate: 1, phase: Phase::Ramp, rate: 1_000, warm_up, length }
    }

    fn level() -> ServiceLevel {
        ServiceLevel { p99: Duration::from_millis(20) }
    }

    /// A message each millisecond for five seconds, sent and acknowledged so long after it was due.
    fn record(late_ns: impl Fn(u64) -> u64, takes_ns: impl Fn(u64) -> u64) -> MemoryRecord {
        let mut record = MemoryRecord::new();
        record.add_stream("load", StreamKind::Load);
        for n in 0..5_000 {
            let intended_ns = BEGAN + n * MS;
            let sent_ns = intended_ns + late_ns(n);
            record.push_operation(Operation {
                identity: Identity::planned(n),
                key: Key::planned(0),
                key_sequence: 0,
                outcome: Outcome::Ok,
                error: 0,
                partition: 0,
                offset: 0,
                value: 0,
                intended_ns,
                sent_ns,
                completed_ns: sent_ns + takes_ns(n),
            });
        }
        record
    }

    fn measured(record: &MemoryRecord, lateness_p99_ns: u64) -> Measured {
        let own = OwnAccount { lateness_p99_ns, planned: 5_000 };
        measure(record, &trial(), level(), &own).expect("readable")
    }

    #[test]
    fn only_what_was_due_in_the_measured_part_counts() {
        // The first second is slow, and is warm-up.
        let measured = measured(&record(|_| 0, |n| if n < 1_000 { 900 * MS } else { 3 * MS }), 0);
        assert_eq!((measured.due, measured.delivered, measured.errors), (4_000, 4_000, 0));
        assert_eq!(measured.p99_ns / MS, 3);
        assert!(measured.lags[0].slope.abs() < 1e-9 && measured.lags[0].last <= 4.0, "{:?}", measured.lags);
        assert_eq!(measured.judge(1_000, level()).0, crate::ceiling::Verdict::Pass);
    }

    #[test]
    fn a_system_that_falls_behind_is_seen_by_lag_and_delivery() {
        // It does 980 of 1,000 a second.
        let measured = measured(&record(|_| 0, |n| n * 20_408), 0);
        let trend = &measured.lags[0];
        assert!((trend.slope - 20.0).abs() < 1.0, "{trend:?}");
        assert!((75.0..105.0).contains(&trend.last), "{trend:?}");
        assert!((3_900..3_950).contains(&measured.delivered), "{}", measured.delivered);
    }

    #[test]
    fn a_generator_that_falls_behind_is_seen_as_such() {
        let late = record(|n| n * 20_408, |_| MS);
        let (verdict, _) = measured(&late, 100 * MS).judge(1_000, level());
        assert_eq!(
            verdict,
            crate::ceiling::Verdict::GeneratorLimited { reason: "the generator offered 97.5 % of the rate".to_owned() }
        );
        // The same times are the system's doing where a full queue held the messages back.
        let (verdict, _) = measured(&late, 0).judge(1_000, level());
        assert!(matches!(verdict, crate::ceiling::Verdict::Fail { .. }), "{verdict:?}");
    }

    #[test]
    fn failures_and_unknown_ends_are_errors() {
        let mut record = record(|_| 0, |_| MS);
        record.operations[2_000].outcome = Outcome::Fail;
        record.operations[3_000].outcome = Outcome::Unknown;
        record.operations[500].outcome = Outcome::Unknown;
        let measured = measured(&record, 0);
        assert_eq!((measured.errors, measured.delivered), (2, 3_998), "that of the warm-up does not count");
    }

    #[test]
    fn groups_have_lags_of_their_own() {
        let mut record = record(|_| 0, |_| MS);
        let topic = record.add_stream("orders", StreamKind::Topic);
        let watch = record.add_group("trackers", topic, &[]);
        for look in 0..50 {
            let asked_ns = BEGAN + look * 100 * MS;
            for partition in 0..2 {
                let end = i64::try_from(look * 50).expect("small");
                let reading = Reading {
                    watch,
                    partition,
                    start: 0,
                    stable: -1,
                    end,
                    committed: end / 2,
                    asked_ns,
                    answered_ns: asked_ns + MS,
                };
                record.readings.push(reading);
            }
        }
        let measured = measured(&record, 0);
        assert_eq!(measured.lags.len(), 2);
        assert!((measured.lags[1].slope - 500.0).abs() < 10.0, "{:?}", measured.lags[1]);
        assert_eq!(measured.lags[1].of, "group trackers on orders");
    }

    #[test]
    fn a_run_without_messages_passes_nothing() {
        let measured = measured(&MemoryRecord::new(), 0);
        assert!(!measured.judge(1_000, level()).0.is_pass());
    }
}
