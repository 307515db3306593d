//! The normalised report: what a scenario's seed fixes, and nothing else. It is committed and reviewed like code.
//!
//! Times, offsets, node numbers, percentiles and evidence vary from run to run; they are left out because nothing here
//! writes them, not because something removes them. Where a scenario allows a range, its own words take the number's place,
//! and how many were compared is left out, too: what was lost or doubled was or was not there to be compared.

use crate::expectation::{Bounds, Expectations};
use crate::info::RunInfo;
use crate::numbers::{duration, grouped};
use crate::summary::Summary;
use crate::verdict::{Finding, Outcome, Verdict};

/// The normalised report of a run.
#[must_use]
pub fn normalise(info: &RunInfo, summary: &Summary, verdict: &Verdict) -> String {
    let mut out = format!("scenario  {}\nseed      {}\nplan      {}\n", info.scenario, info.seed, info.plan_digest);
    if !summary.totals.is_empty() {
        out.push_str("\ntotals\n");
        for (name, total) in &summary.totals {
            // How many were acknowledged is one of the counts that may leave room.
            match info.expectations.unacknowledged.filter(|bounds| bounds.is_range()) {
                Some(_) if name == "messages acknowledged" => {}
                _ => out.push_str(&format!("  {name}: {}\n", grouped(*total))),
            }
        }
    }
    if !summary.faults_fired.is_empty() {
        out.push_str("\nfaults\n");
        for (fault, times) in &summary.faults_fired {
            out.push_str(&format!("  {fault}: fired {times}\n"));
        }
    }
    out.push_str("\nchecks\n");
    for finding in &verdict.findings {
        out.push_str(&format!("  {} {}: {}\n", finding.check, finding.subject, judgement(info, finding)));
    }
    for reason in &verdict.reasons {
        out.push_str(&format!("\ninconclusive: {reason}\n"));
    }
    out.push_str(&format!("\nverdict   {}\n", word(verdict.outcome)));
    out
}

/// Checks whose number of comparisons depends on time: on how often somebody looked, committed, or had to read again.
const COMPARED_IN_TIME: [&str; 5] = ["committed-too-far", "offset-regressed", "inconsistent-offset", "stalled", "lag"];

fn judgement(info: &RunInfo, finding: &Finding) -> String {
    if finding.check == "latency" {
        let budget = info.expectations.latency.get(&finding.subject);
        let bounds = budget.into_iter().flat_map(|budget| &budget.at_most);
        let bounds: Vec<_> = bounds.map(|(name, at_most_ns)| format!("{name} {}", duration(*at_most_ns))).collect();
        let held = match finding.outcome {
            Outcome::Pass => "held",
            Outcome::Inconclusive => "inconclusive",
            Outcome::Fail => "broken",
        };
        return format!("{held} ({})", bounds.join(", "));
    }
    // A range was expected because the number differs from run to run.
    if let Some(bounds) = counted(&info.expectations, &finding.check).filter(|bounds| bounds.is_range()) {
        let within = if finding.outcome == Outcome::Pass { bounds.to_string() } else { grouped(finding.found) };
        return format!("{}, {within} found", word(finding.outcome));
    }
    if info.expectations.leaves_room() || COMPARED_IN_TIME.contains(&finding.check.as_str()) {
        return format!("{}, {} found", word(finding.outcome), grouped(finding.found));
    }
    format!("{}, {} compared, {} found", word(finding.outcome), grouped(finding.compared), grouped(finding.found))
}

/// How many findings of a check are expected, where it counts any.
fn counted(expectations: &Expectations, check: &str) -> Option<Bounds> {
    match check {
        "duplicated" => expectations.duplicated,
        "reordered" => expectations.reordered,
        "unacknowledged" => expectations.unacknowledged,
        "skipped" => expectations.skipped,
        "committed-too-far" => expectations.committed_too_far,
        "offset-regressed" => expectations.offset_regressed,
        "inconsistent-offset" => expectations.inconsistent_offset,
        "stalled" => expectations.stalled.map(|limit| limit.partitions),
        _ => None,
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Inconclusive => "inconclusive",
        Outcome::Fail => "fail",
    }
}
