//! Why a run is not to be believed, whatever it measured: it ended early, lost messages, or did not keep the pace.

use super::latencies::Latencies;
use crate::ending::Ending;
use crate::numbers::{duration, grouped};
use crate::summary::Summary;
use crate::verdict::{Outcome, Verdict};

/// The least share of the offered rate that has to be reached.
const ACHIEVED_LEAST: f64 = 0.995;
/// How late the generator may send at p99, by its own making, in nanoseconds.
const LATENESS_MAX_NS: u64 = 1_000_000;
/// From how many intervals on their course is judged.
const INTERVALS_LEAST: usize = 3;
/// How many points a course has at most: there is a slope between any two of them. Neighbours of longer ones are put
/// together.
const POINTS_MAX: usize = 300;
/// Checks whose failure means that messages are gone.
const LOSSES: [&str; 2] = ["lost", "unacknowledged"];

/// What the files of a run say against it.
pub(super) fn of_run(summary: Option<&Summary>, ending: Option<&Ending>, verdict: Option<&Verdict>) -> Vec<String> {
    // A bare load has no verdict, because nothing is expected of it; its summary is the last thing that it writes.
    let (Some(summary), Some(ending)) = (summary, ending) else {
        let broke_off = ending.map(|ending| ending.reasons.clone()).filter(|reasons| !reasons.is_empty());
        return broke_off.unwrap_or_else(|| vec!["it was killed before its end".to_owned()]);
    };
    let mut objections: Vec<String> = ending.reasons.clone();
    objections.extend(summary.validity.reasons().iter().cloned());
    if ending.interrupted && objections.is_empty() {
        objections.push("it was interrupted".to_owned());
    }
    if let Some(lateness_ns) = ending.lateness_p99_ns.filter(|_| summary.validity.is_valid())
        && lateness_ns > LATENESS_MAX_NS
    {
        let (lateness, most) = (duration(lateness_ns), duration(LATENESS_MAX_NS));
        objections
            .push(format!("the generator sent p99 {lateness} after the intended instant; at most {most} is allowed"));
    }
    let total = |name: &str| summary.totals.get(name).copied();
    if let (Some(offered), Some(acknowledged)) = (total("messages offered"), total("messages acknowledged"))
        && acknowledged < offered
    {
        let missing = grouped(offered - acknowledged);
        objections.push(format!("{missing} of {} messages were not acknowledged", grouped(offered)));
    }
    let findings = verdict.map(|verdict| verdict.findings.as_slice()).unwrap_or_default();
    let losses = findings.iter().filter(|finding| LOSSES.contains(&finding.check.as_str()));
    for finding in losses.filter(|finding| finding.outcome == Outcome::Fail) {
        objections.push(format!("{}: {} ({})", finding.check, finding.detail, finding.subject));
    }
    objections
}

/// What the course of the acknowledgements says against a run: latencies that grow from second to second are those of a
/// system that falls behind. Intervals are those in which answers came, and what is answered now was due a latency ago:
/// such a system acknowledges `1 - growth` of what is offered. The trend is the median of all slopes between two points
/// (Theil and Sen), so that a single pause is none.
pub(super) fn of_pace(latencies: &Latencies) -> Option<String> {
    let number = latencies.intervals.len();
    if number == 0 {
        return Some("nothing was acknowledged after the warm-up".to_owned());
    }
    if number < INTERVALS_LEAST {
        return None;
    }
    let together = number.div_ceil(POINTS_MAX);
    let medians: Vec<(f64, f64)> = (0..number)
        .step_by(together)
        .filter_map(|first| {
            let end = (first + together).min(number);
            let (from_ns, to_ns) = (latencies.intervals[first].start_ns, latencies.intervals[end - 1].end_ns);
            let middle = f64::midpoint(from_ns as f64, to_ns as f64);
            Some((middle, latencies.quantile_over(first..end, 0.5)? as f64))
        })
        .collect();
    let mut slopes = Vec::new();
    for (place, (from, before)) in medians.iter().enumerate() {
        slopes.extend(medians[place + 1..].iter().map(|(to, after)| (after - before) / (to - from)));
    }
    slopes.sort_by(f64::total_cmp);
    let achieved = 1.0 - super::walsh::median(&slopes)?.clamp(0.0, 1.0);
    (achieved < ACHIEVED_LEAST).then(|| {
        let (achieved, least) = (achieved * 100.0, ACHIEVED_LEAST * 100.0);
        format!("only {achieved:.1} % of the offered rate was reached, and latencies grew all the time; {least:.1} % has to be")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervals::Interval;
    use crate::validity::Validity;
    use crate::verdict::Finding;
    use hdrhistogram::Histogram;
    use std::collections::BTreeMap;

    fn course(medians_ms: &[u64]) -> Latencies {
        let interval = |(n, median_ms): (u64, &u64)| {
            let mut histogram = Histogram::<u64>::new(3).expect("three digits are allowed");
            histogram.record_n(median_ms * 1_000_000, 100).expect("it resizes");
            let start_ns = n * 1_000_000_000;
            Interval { tag: "ack".to_owned(), start_ns, end_ns: start_ns + 1_000_000_000, histogram }
        };
        Latencies::new((0..).zip(medians_ms).map(interval).collect())
    }

    #[test]
    fn a_system_that_falls_behind_does_not_reach_its_rate() {
        assert_eq!(of_pace(&course(&[5, 6, 5, 6, 5])), None);
        assert_eq!(of_pace(&course(&[5, 5, 900, 5, 5])), None, "one pause is no trend");
        // 10 ms more each second is 1 % less.
        let objection = of_pace(&course(&[10, 20, 30, 40])).expect("it falls behind");
        assert!(objection.starts_with("only 99.0 % of the offered rate"), "{objection}");
        assert_eq!(of_pace(&course(&[10, 14, 18, 22])), None, "4 ms each second are within half a percent");
        // Half of what is offered: after two seconds the first second has been answered.
        let objection = of_pace(&course(&[500, 1_000, 1_500, 2_000])).expect("it falls behind");
        assert!(objection.starts_with("only 50.0 % of the offered rate"), "{objection}");
        let long: Vec<u64> = (0..310).map(|second| 10 + 10 * second).collect();
        let objection = of_pace(&course(&long)).expect("neighbours put together fall behind, too");
        assert!(objection.starts_with("only 99.0 % of the offered rate"), "{objection}");
        assert_eq!(of_pace(&course(&[40, 30, 20, 10])), None, "catching up is not falling behind");
        assert_eq!(of_pace(&course(&[10, 200])), None, "two intervals have no course");
        assert!(of_pace(&course(&[])).is_some());
    }

    fn finding(check: &str, outcome: Outcome) -> Finding {
        let (subject, detail) = ("load -> topic orders".to_owned(), "3 of 100".to_owned());
        Finding { check: check.to_owned(), subject, outcome, compared: 100, found: 3, detail, evidence: Vec::new() }
    }

    #[test]
    fn every_reason_is_an_objection_and_a_slow_run_is_none() {
        let good = Summary::default();
        let ended = Ending { drained: true, ..Ending::default() };
        let slow = Verdict::new(vec![finding("latency", Outcome::Fail)], Vec::new());
        let told = |summary: &Summary, ending: &Ending, verdict: &Verdict| {
            of_run(Some(summary), Some(ending), Some(verdict)).join("; ")
        };
        assert_eq!(told(&good, &ended, &slow), "", "slow is what is compared");
        assert_eq!(of_run(Some(&good), None, Some(&slow)), ["it was killed before its end"]);
        assert_eq!(of_run(None, Some(&ended), Some(&slow)), ["it was killed before its end"]);
        assert_eq!(of_run(Some(&good), Some(&ended), None), [""; 0], "a bare load is not judged");
        let broken = Ending { reasons: vec!["the load failed: no broker".to_owned()], ..Ending::default() };
        assert_eq!(of_run(None, Some(&broken), None), ["the load failed: no broker"]);
        let lost = Verdict::new(vec![finding("lost", Outcome::Fail)], Vec::new());
        assert_eq!(told(&good, &ended, &lost), "lost: 3 of 100 (load -> topic orders)");
        let late = Ending { lateness_p99_ns: Some(2_500_000), ..ended.clone() };
        assert!(told(&good, &late, &slow).contains("p99 2.5 ms after the intended instant; at most 1 ms"));
        let interrupted = Ending { interrupted: true, ..ended.clone() };
        assert_eq!(told(&good, &interrupted, &slow), "it was interrupted");
        let stolen = Summary { validity: Validity::of(vec!["12 % of the time was stolen".to_owned()]), ..good.clone() };
        assert_eq!(told(&stolen, &late, &slow), "12 % of the time was stolen", "the lateness is judged there");
        let totals =
            BTreeMap::from([("messages offered".to_owned(), 1_200), ("messages acknowledged".to_owned(), 1_100)]);
        let unanswered = Summary { totals, ..good };
        assert_eq!(told(&unanswered, &ended, &slow), "100 of 1,200 messages were not acknowledged");
    }
}
