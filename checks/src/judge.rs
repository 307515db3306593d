//! Runs every check that is expected and puts the findings together. The worst outcome wins.

use crate::{
    committed_too_far, conserved, duplicated, inconsistent_offset, lag, latency, lost, offset_regressed, phantom,
    reordered, rules, skipped, stalled, unacknowledged, unavailable,
};
use shakedown_reports::expectation::{Bounds, Expectations};
use shakedown_reports::record::{Record, RecordError};
use shakedown_reports::verdict::{Finding, Outcome, Verdict};
use std::time::Duration;

/// Judges a record by what was expected of it.
///
/// Phantoms are looked for wherever losses or duplicates are: an identity that nobody offered would make both counts
/// meaningless. What the record is known to lack becomes a reason why the run cannot pass, and what such a record lacks
/// proves nothing either: see [`excuse`].
///
/// # Errors
/// When the record cannot be read to its end.
pub fn judge(record: &dyn Record, expectations: &Expectations) -> Result<Verdict, RecordError> {
    let mut findings = Vec::new();
    if let Some(allowed) = expectations.lost {
        findings.extend(lost::check(record, allowed)?);
    }
    if let Some(allowed) = expectations.unacknowledged {
        findings.push(unacknowledged::check(record, allowed)?);
    }
    if let Some(allowed) = expectations.duplicated {
        findings.extend(duplicated::check(record, allowed)?);
    }
    if expectations.lost.is_some() || expectations.duplicated.is_some() {
        findings.extend(phantom::check(record)?);
    }
    if let Some(allowed) = expectations.inconsistent_offset {
        findings.extend(inconsistent_offset::check(record, allowed)?);
    }
    if let Some(allowed) = expectations.reordered.or(expectations.order_per_key.then_some(Bounds::exactly(0))) {
        findings.extend(reordered::check(record, allowed)?);
    }
    findings.extend(groups(record, expectations)?);
    findings.extend(conserved::check(record, &expectations.conserved)?);
    findings.extend(rules::check(record, &expectations.rules)?);
    findings.extend(latency::check(record, &expectations.latency)?);
    if let Some(at_most_ns) = expectations.unavailable {
        findings.push(unavailable::check(record, Duration::from_nanos(at_most_ns))?);
    }

    if !record.defects().is_empty() {
        findings.iter_mut().for_each(excuse);
    }
    let mut reasons = record.defects().to_vec();
    if findings.is_empty() {
        reasons.push("the scenario expects nothing, so nothing was checked".to_owned());
    }
    Ok(Verdict::new(findings, reasons))
}

/// What is expected of consumer groups.
fn groups(record: &dyn Record, expectations: &Expectations) -> Result<Vec<Finding>, RecordError> {
    let mut findings = Vec::new();
    if let Some(allowed) = expectations.skipped {
        findings.extend(skipped::check(record, allowed)?);
    }
    if let Some(allowed) = expectations.committed_too_far {
        findings.extend(committed_too_far::check(record, allowed)?);
    }
    if let Some(allowed) = expectations.offset_regressed {
        findings.extend(offset_regressed::check(record, allowed)?);
    }
    if let Some(limit) = &expectations.stalled {
        findings.extend(stalled::check(record, limit)?);
    }
    if let Some(budget) = &expectations.lag {
        findings.extend(lag::check_of(record, budget, &expectations.lag_groups)?);
    }
    Ok(findings)
}

/// Takes a conviction back that rests on something being absent from a record that is known to be incomplete: a message
/// that nobody saw or processed, one that nobody offered, totals that differ, acknowledgements and commits that did not
/// come. What is there twice, in the wrong order or too much stays proven.
fn excuse(finding: &mut Finding) {
    const BY_ABSENCE: [&str; 7] = [
        lost::NAME,
        phantom::NAME,
        conserved::NAME,
        unavailable::NAME,
        skipped::NAME,
        committed_too_far::NAME,
        stalled::NAME,
    ];
    let by_absence = BY_ABSENCE.contains(&finding.check.as_str());
    if by_absence && finding.outcome == Outcome::Fail {
        finding.outcome = Outcome::Inconclusive;
        finding.detail = format!("{}; the record is incomplete", finding.detail);
        finding.evidence.clear();
    }
}
