//! A comparison as JUnit's XML: a test case for each metric. Slower is a failure; what nobody can judge is an error.

use super::comparison::{Comparison, MetricResult};
use super::figures::change;
use super::judgement::Judgement;
use super::text;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// Why there is no XML.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the comparison as JUnit: {0}")]
pub struct JunitError(#[from] quick_junit::SerializeError);

/// The comparison as a JUnit report. One that is invalid, or noisy beside what metrics say, has a case of its own that
/// says why.
///
/// # Errors
/// When the XML cannot be made.
pub fn render(comparison: &Comparison) -> Result<String, JunitError> {
    let mut suite = TestSuite::new(format!("compare {}", comparison.scenario));
    suite.add_test_cases(comparison.metrics.iter().map(|metric| case(metric, comparison)));
    if !comparison.reasons.is_empty() || comparison.metrics.is_empty() {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type(comparison.judgement.word()).set_message(comparison.reasons.join("; "));
        suite.add_test_case(TestCase::new("validity", status));
    }
    for (name, side) in [("a", &comparison.a), ("b", &comparison.b)] {
        suite.add_property((name, format!("{} ({} runs)", side.label, side.runs.len()).as_str()));
    }
    let mut report = Report::new("shakedown compare");
    report.add_test_suite(suite);
    Ok(report.to_string()?)
}

fn case(metric: &MetricResult, comparison: &Comparison) -> TestCase {
    let told = format!("{}: {} {}", metric.name, change(metric.change, metric.interval), text::verdict(metric));
    let kind = match metric.judgement {
        Judgement::Same | Judgement::Faster => None,
        // Runs that cannot be believed convict nobody.
        Judgement::Slower if comparison.judgement != Judgement::Invalid => Some(NonSuccessKind::Failure),
        Judgement::Slower | Judgement::TooNoisy | Judgement::Invalid => Some(NonSuccessKind::Error),
    };
    let status = kind.map_or_else(TestCaseStatus::success, |kind| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_type(metric.judgement.word()).set_message(&told);
        status
    });
    let mut case = TestCase::new(&metric.name, status);
    case.set_classname(&comparison.scenario).set_system_out(told);
    case
}
