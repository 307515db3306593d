//! A run as results of tests in JUnit's XML, for servers that show them: one test case for each finding.
//!
//! What nobody can say is an error there, not a failure: JUnit has no third word, and a server must not show it as a pass.

use crate::overview::Overview;
use crate::text::seconds;
use crate::validity::Validity;
use crate::verdict::{Finding, Outcome};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::fmt::Write as _;
use std::time::Duration;

/// The XML could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write JUnit's XML: {0}")]
pub struct JunitError(#[from] quick_junit::SerializeError);

/// The results of a run.
///
/// # Errors
/// When the XML cannot be written.
pub fn render(overview: &Overview) -> Result<String, JunitError> {
    let info = &overview.info;
    let started_ns = info.started_unix_ms.saturating_mul(1_000_000);
    let mut suite = TestSuite::new(info.scenario.as_str());
    let run_length = Duration::from_nanos(overview.last_ns.saturating_sub(started_ns));
    suite.set_time(run_length);
    suite.add_property(("seed", info.seed.to_string().as_str()));
    suite.add_property(("plan", info.plan_digest.as_str()));
    suite.add_property(("backend", info.backend.as_str()));
    for finding in &overview.verdict.findings {
        suite.add_test_case(case(&info.scenario, finding, started_ns));
    }
    suite.add_test_case(whole(overview));
    let mut report = Report::new("shakedown");
    report.set_time(run_length);
    report.add_test_suite(suite);
    Ok(report.to_string()?)
}

fn case(scenario: &str, finding: &Finding, started_ns: u64) -> TestCase {
    let status = match finding.outcome {
        Outcome::Pass => TestCaseStatus::success(),
        outcome => {
            let (kind, word) = match outcome {
                Outcome::Fail => (NonSuccessKind::Failure, "fail"),
                Outcome::Inconclusive | Outcome::Pass => (NonSuccessKind::Error, "inconclusive"),
            };
            let mut status = TestCaseStatus::non_success(kind);
            let found = format!("{} of {} compared", finding.found, finding.compared);
            status.set_type(word);
            status.set_message(if finding.detail.is_empty() { found } else { finding.detail.clone() });
            let told = stories(finding, started_ns);
            if !told.is_empty() {
                status.set_description(told);
            }
            status
        }
    };
    let mut case = TestCase::new(format!("{}: {}", finding.check, finding.subject), status);
    case.set_classname(scenario);
    case.set_assertions(usize::try_from(finding.compared).unwrap_or(usize::MAX));
    case
}

fn stories(finding: &Finding, started_ns: u64) -> String {
    let mut told = String::new();
    for story in &finding.evidence {
        let _ = writeln!(told, "{}", story.title);
        for event in &story.events {
            let at = event.at_ns.map(|at_ns| seconds(at_ns, started_ns)).unwrap_or_default();
            let _ = writeln!(told, "  {at:>9}  {}", event.text);
        }
    }
    told
}

/// Whether the run as a whole says anything: it came to its end, and can be believed.
fn whole(overview: &Overview) -> TestCase {
    let mut against: Vec<&str> = overview.state.notice().into_iter().collect();
    against.extend(overview.verdict.reasons.iter().map(String::as_str));
    if let Some(Validity::Invalid { reasons }) = overview.summary.as_ref().map(|summary| &summary.validity) {
        against.extend(reasons.iter().map(String::as_str));
    }
    if against.is_empty() && overview.verdict.findings.is_empty() {
        against.push("nothing was checked");
    }
    let status = match against.as_slice() {
        [] => TestCaseStatus::success(),
        [first, ..] => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("inconclusive").set_message(*first).set_description(against.join("\n"));
            status
        }
    };
    let mut case = TestCase::new("the run came to its end and can be believed", status);
    case.set_classname(overview.info.scenario.as_str());
    case
}
