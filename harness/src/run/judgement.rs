//! From a record and the story of its end to a verdict; the same for a run that just ended and for an old directory.

use super::error::RunError;
use super::measuring;
use serde::{Deserialize, Serialize};
use shakedown_reports::expectation::Expectations;
use shakedown_reports::verdict::{Finding, Outcome, Story, StoryEvent, Verdict};
use shakedown_reports::{RunRecord, Validity, numbers};
use std::path::Path;

/// The file beside the record.
pub const ENDING_FILE: &str = "ending.json";

/// Why what was not found convicts nobody.
const UNDRAINED: &str = "the drain did not finish";

/// Why nothing that was found convicts anybody, nor the lack of it acquits.
pub const INTERRUPTED: &str = "the run was interrupted";

/// How a run came to its end: what the checks cannot see in the record. Kept as `ending.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Whether everything had arrived everywhere.
    pub drained: bool,
    /// Whether somebody ended the run.
    pub interrupted: bool,
    /// Who did not come back after a fault was healed.
    #[serde(default)]
    pub stalled: Vec<Stalled>,
    /// Why the run cannot pass whatever the checks say.
    pub reasons: Vec<String>,
    /// How late the load generator was at p99; `None` where a service offered the load.
    pub lateness_p99_ns: Option<u64>,
}

/// Somebody who did not come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stalled {
    /// Who: `service tracker`, `the cluster`.
    pub who: String,
    /// What it did instead, with its last lines.
    pub detail: String,
}

impl Stalled {
    /// The system's failure, not the run's: everything was healed, and no progress came of it.
    fn finding(&self) -> Finding {
        let mut lines = self.detail.lines();
        let detail = lines.next().unwrap_or_default().to_owned();
        let told = |line: &str| StoryEvent { at_ns: None, text: line.trim().to_owned() };
        let events: Vec<StoryEvent> = lines.map(told).collect();
        let evidence = if events.is_empty() { Vec::new() } else { vec![Story { title: self.who.clone(), events }] };
        Finding {
            check: "stalled".to_owned(),
            subject: self.who.clone(),
            outcome: Outcome::Fail,
            compared: 1,
            found: 1,
            detail,
            evidence,
        }
    }
}

impl Ending {
    /// The ending of a run that left none: it was killed.
    #[must_use]
    pub fn of_killed_run() -> Self {
        let reasons = vec!["the run was killed before its end".to_owned()];
        Self { reasons, ..Self::default() }
    }

    /// Reads `ending.json` of a run directory.
    ///
    /// # Errors
    /// When it is there, but cannot be read.
    pub fn read(directory: &Path) -> Result<Self, RunError> {
        match std::fs::read_to_string(directory.join(ENDING_FILE)) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| RunError::Io {
                doing: format!("read {ENDING_FILE}"),
                source: std::io::Error::other(error),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && RunRecord::is_under_way(directory) => {
                let reasons = vec!["the run is still under way".to_owned()];
                Ok(Self { reasons, ..Self::default() })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::of_killed_run()),
            Err(source) => Err(RunError::Io { doing: format!("read {ENDING_FILE}"), source }),
        }
    }

    /// The text of `ending.json`.
    ///
    /// # Panics
    /// Never: plain data is always JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data is always JSON")
    }
}

/// Judges a record.
///
/// # Errors
/// When the record cannot be read.
pub fn judge(record: &RunRecord, ending: &Ending) -> Result<Verdict, RunError> {
    let expectations = &record.info().expectations;
    let verdict = shakedown_checks::judge(record, expectations)?;
    if ending.interrupted {
        let findings = verdict.findings.into_iter().map(of_half_a_run).collect();
        return Ok(Verdict::new(findings, ending.reasons.clone()));
    }
    let validity = measuring::validity(record, ending)?;
    Ok(weigh(verdict, ending, expectations, &validity))
}

/// Half a run neither convicts the system nor acquits it. How much was compared by then, and what was found, is told.
fn of_half_a_run(finding: Finding) -> Finding {
    let found = Some(finding.detail.as_str()).filter(|detail| !detail.is_empty());
    let detail = found.map_or_else(|| INTERRUPTED.to_owned(), |found| format!("{found} ({INTERRUPTED})"));
    Finding { outcome: Outcome::Inconclusive, detail, evidence: Vec::new(), ..finding }
}

/// Takes back what the checks could only find because the run did not come to its proper end.
fn weigh(verdict: Verdict, ending: &Ending, expectations: &Expectations, validity: &Validity) -> Verdict {
    let Verdict { mut findings, mut reasons, .. } = verdict;
    reasons.extend(ending.reasons.iter().cloned());
    findings.extend(ending.stalled.iter().map(Stalled::finding));
    // What is allowed is allowed over all sinks together.
    let copies: u64 =
        findings.iter().filter(|finding| finding.check == "duplicated").map(|finding| finding.found).sum();
    for finding in findings.iter_mut().filter(|finding| finding.outcome == Outcome::Fail) {
        let excuse = match (finding.check.as_str(), unfit(finding, ending, expectations, validity)) {
            // What had not arrived yet is not lost or skipped, what was not added up yet is not missing, and whose source
            // had not been read yet was not invented.
            ("lost" | "conserved" | "phantom" | "skipped" | "committed-too-far", _) if !ending.drained => {
                UNDRAINED.to_owned()
            }
            // Copies that are expected may still have been on their way; those that are too many were not.
            ("duplicated", _)
                if !ending.drained && copies < expectations.duplicated.map_or(0, |copies| copies.at_least) =>
            {
                UNDRAINED.to_owned()
            }
            (_, Some(unfit)) => unfit,
            _ => continue,
        };
        finding.outcome = Outcome::Inconclusive;
        finding.detail = format!("{} ({excuse})", finding.detail);
        reasons.push(format!("{} of {} cannot be judged: {excuse}", finding.check, finding.subject));
    }
    Verdict::new(findings, reasons)
}

/// Why what was measured says nothing of the system, where a finding rests on that: whoever sends late is answered late. A pass
/// stands all the same, since a generator that is in the way makes nothing faster. A gap is so much longer than a latency that
/// less is at stake, and only lateness counts.
fn unfit(finding: &Finding, ending: &Ending, expectations: &Expectations, validity: &Validity) -> Option<String> {
    match finding.check.as_str() {
        "latency" => Some(validity.reasons().join("; ")).filter(|reasons| !reasons.is_empty()),
        "unavailable" => {
            let limit_ns = expectations.unavailable? / 10;
            let late_ns = ending.lateness_p99_ns.filter(|late_ns| *late_ns > limit_ns)?;
            Some(format!("the load generator itself was {} late at p99", numbers::duration(late_ns)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Ending, Stalled, of_half_a_run, weigh};
    use shakedown_loadgen::honesty::Conduct;
    use shakedown_reports::Validity;
    use shakedown_reports::expectation::{Bounds, Expectations, LatencyBudget};
    use shakedown_reports::verdict::{Finding, Outcome, Verdict};
    use std::collections::BTreeMap;

    fn failed(check: &str) -> Finding {
        Finding {
            check: check.to_owned(),
            subject: "flow".to_owned(),
            outcome: Outcome::Fail,
            compared: 10,
            found: 1,
            detail: "1 of 10".to_owned(),
            evidence: Vec::new(),
        }
    }

    fn outcome(check: &str, ending: &Ending) -> Outcome {
        let budget =
            LatencyBudget { flow: None, at_most: BTreeMap::from([("p99".to_owned(), 5_000_000)]), partitions: None };
        let latency = BTreeMap::from([("flow".to_owned(), budget)]);
        let expectations = Expectations { latency, unavailable: Some(1_500_000_000), ..Expectations::default() };
        let (bound_ns, readings) = (Some(5_000_000), &[][..]);
        let conduct = Conduct { bound_ns, lateness_p99_ns: ending.lateness_p99_ns, readings, cores: 2 };
        weigh(Verdict::new(vec![failed(check)], Vec::new()), ending, &expectations, &conduct.validity()).outcome
    }

    #[test]
    fn half_a_run_neither_convicts_nor_acquits() {
        let passed = Finding { outcome: Outcome::Pass, found: 0, detail: String::new(), ..failed("duplicated") };
        let told = [failed("lost"), passed].map(|finding| {
            let finding = of_half_a_run(finding);
            (finding.outcome, finding.compared, finding.detail)
        });
        let expected = ["1 of 10 (the run was interrupted)", "the run was interrupted"];
        assert_eq!(told, expected.map(|detail| (Outcome::Inconclusive, 10, detail.to_owned())));
    }

    #[test]
    fn a_drained_run_is_judged_as_it_is() {
        let ending = Ending { drained: true, lateness_p99_ns: Some(400_000), ..Ending::default() };
        for check in ["lost", "duplicated", "reordered", "conserved", "latency"] {
            assert_eq!(outcome(check, &ending), Outcome::Fail, "{check}");
        }
    }

    #[test]
    fn what_had_not_arrived_yet_convicts_nobody_of_losing_it() {
        let ending = Ending { drained: false, ..Ending::default() };
        assert_eq!(outcome("lost", &ending), Outcome::Inconclusive);
        assert_eq!(outcome("conserved", &ending), Outcome::Inconclusive);
        assert_eq!(outcome("phantom", &ending), Outcome::Inconclusive);
        assert_eq!(outcome("skipped", &ending), Outcome::Inconclusive);
        assert_eq!(outcome("committed-too-far", &ending), Outcome::Inconclusive);
        // A partition that stands still is why nothing drains.
        for check in ["contradicted", "stalled", "lag", "offset-regressed", "inconsistent-offset"] {
            assert_eq!(outcome(check, &ending), Outcome::Fail, "{check}");
        }
        assert_eq!(outcome("duplicated", &ending), Outcome::Fail);
        assert_eq!(outcome("reordered", &ending), Outcome::Fail);
    }

    #[test]
    fn copies_that_may_still_come_convict_nobody_and_too_many_do() {
        let ending = Ending { drained: false, ..Ending::default() };
        let outcome = |allowed| {
            let expectations = Expectations { duplicated: Some(Bounds::exactly(allowed)), ..Expectations::default() };
            // Two sinks, one copy each.
            let verdict = Verdict::new(vec![failed("duplicated"), failed("duplicated")], Vec::new());
            weigh(verdict, &ending, &expectations, &Validity::Valid).outcome
        };
        assert_eq!(outcome(3), Outcome::Inconclusive);
        assert_eq!(outcome(1), Outcome::Fail);
        assert_eq!(outcome(0), Outcome::Fail);
    }

    #[test]
    fn a_service_that_does_not_come_back_fails_the_run() {
        let stalled =
            Stalled { who: "service tracker".to_owned(), detail: "exited; its last lines:\n    oops".to_owned() };
        let ending = Ending { stalled: vec![stalled], ..Ending::default() };
        let verdict = weigh(Verdict::new(Vec::new(), Vec::new()), &ending, &Expectations::default(), &Validity::Valid);
        assert_eq!(verdict.outcome, Outcome::Fail);
        let [finding] = verdict.findings.as_slice() else { panic!("one finding, not {:?}", verdict.findings) };
        assert_eq!((finding.check.as_str(), finding.subject.as_str()), ("stalled", "service tracker"));
        assert_eq!(finding.detail, "exited; its last lines:");
        assert_eq!(finding.evidence[0].events[0].text, "oops");
    }

    #[test]
    fn a_late_generator_convicts_nobody_of_being_slow() {
        // A tenth of the tightest budget, 5 ms, is 0.5 ms.
        let ending = Ending { drained: true, lateness_p99_ns: Some(600_000), ..Ending::default() };
        assert_eq!(outcome("latency", &ending), Outcome::Inconclusive);
        assert_eq!(outcome("lost", &ending), Outcome::Fail);
    }

    #[test]
    fn a_generator_that_is_late_by_a_part_of_a_gap_convicts_nobody_of_being_unavailable() {
        let ending = |lateness_ms: u64| Ending {
            drained: true,
            lateness_p99_ns: Some(lateness_ms * 1_000_000),
            ..Ending::default()
        };
        assert_eq!(outcome("unavailable", &ending(150)), Outcome::Fail);
        assert_eq!(outcome("unavailable", &ending(151)), Outcome::Inconclusive);
        // What is still on its way to a sink was acknowledged or not all the same.
        assert_eq!(outcome("unavailable", &Ending { drained: false, ..ending(1) }), Outcome::Fail);
    }

    #[test]
    fn an_ending_survives_its_file_and_a_killed_run_has_none() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(Ending::read(folder.path()).expect("no file").reasons.len(), 1);
        let ending = Ending { drained: true, reasons: vec!["because".to_owned()], ..Ending::default() };
        std::fs::write(folder.path().join(super::ENDING_FILE), ending.to_json()).expect("a file");
        assert_eq!(Ending::read(folder.path()).expect("a file"), ending);
    }
}
