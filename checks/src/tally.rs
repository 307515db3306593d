//! What the counting checks have in common: `lost = n` and `duplicated = n` mean exactly n over all their subjects, and
//! `skipped = { at_least = 1 }` no fewer than that.

use shakedown_reports::expectation::Bounds;
use shakedown_reports::numbers::grouped;
use shakedown_reports::verdict::{Finding, Outcome, Story};

/// One subject's share of a count.
pub(crate) struct Tally {
    pub(crate) subject: String,
    pub(crate) compared: u64,
    pub(crate) found: u64,
    /// The smallest evidence, told only if the check fails.
    pub(crate) evidence: Vec<Story>,
}

/// Judges the shares by their total. A total that differs from what is allowed convicts the subjects that contributed
/// to it, or, where all found nothing though something was expected, every one that was compared.
pub(crate) fn findings(check: &str, allowed: impl Into<Bounds>, tallies: Vec<Tally>) -> Vec<Finding> {
    let allowed = allowed.into();
    if tallies.is_empty() {
        return vec![nothing_to_compare(check)];
    }
    let total: u64 = tallies.iter().map(|tally| tally.found).sum();
    let nothing = allowed == Bounds::exactly(0);
    let detail = |tally: &Tally| match (tally.compared, tally.found) {
        (0, 0) => "nothing was compared".to_owned(),
        (_, 0) if nothing => String::new(),
        (compared, found) if nothing => format!("{} of {}", grouped(found), grouped(compared)),
        (compared, found) => {
            format!("{} of {}, {allowed} expected over all", grouped(found), grouped(compared))
        }
    };
    let finding = |tally: Tally| {
        let outcome = outcome(allowed, total, tally.compared, tally.found);
        Finding {
            check: check.to_owned(),
            outcome,
            detail: detail(&tally),
            subject: tally.subject,
            compared: tally.compared,
            found: tally.found,
            evidence: if outcome == Outcome::Fail { tally.evidence } else { Vec::new() },
        }
    };
    tallies.into_iter().map(finding).collect()
}

/// What becomes of a share, by the total.
pub(crate) fn outcome(allowed: Bounds, total: u64, compared: u64, found: u64) -> Outcome {
    match (compared, found) {
        (0, 0) => Outcome::Inconclusive,
        _ if allowed.allow(total) => Outcome::Pass,
        (_, 0) if total > 0 => Outcome::Pass,
        _ => Outcome::Fail,
    }
}

/// What a check over flows says of a run without any.
pub(crate) fn nothing_to_compare(check: &str) -> Finding {
    without_data(check, "no flow", "the run declares no flow, so nothing was compared")
}

/// What a check says that has no subject, and why.
pub(crate) fn without_data(check: &str, subject: &str, detail: &str) -> Finding {
    Finding {
        check: check.to_owned(),
        subject: subject.to_owned(),
        outcome: Outcome::Inconclusive,
        compared: 0,
        found: 0,
        detail: detail.to_owned(),
        evidence: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(allowed: u64, shares: &[(u64, u64)]) -> Vec<Outcome> {
        let tally = |&(compared, found): &(u64, u64)| Tally {
            subject: "a -> b".to_owned(),
            compared,
            found,
            evidence: Vec::new(),
        };
        let findings = findings("lost", allowed, shares.iter().map(tally).collect());
        findings.into_iter().map(|finding| finding.outcome).collect()
    }

    #[test]
    fn bounds_leave_room_on_one_side() {
        let found = |found| Tally { subject: String::new(), compared: 10, found, evidence: Vec::new() };
        let at_least_two = Bounds { at_least: 2, at_most: u64::MAX };
        let outcome = |number| findings("skipped", at_least_two, vec![found(number)])[0].clone();
        assert_eq!([1, 2, 9].map(|number| outcome(number).outcome), [Outcome::Fail, Outcome::Pass, Outcome::Pass]);
        assert_eq!(outcome(1).detail, "1 of 10, at least 2 expected over all");
    }

    #[test]
    fn the_total_decides_and_the_guilty_are_convicted() {
        use Outcome::{Fail, Inconclusive, Pass};
        assert_eq!(outcomes(0, &[(10, 0), (10, 0)]), [Pass, Pass]);
        assert_eq!(outcomes(0, &[(10, 1), (10, 0)]), [Fail, Pass]);
        assert_eq!(outcomes(3, &[(10, 1), (10, 2)]), [Pass, Pass]);
        assert_eq!(outcomes(3, &[(10, 1), (10, 0)]), [Fail, Pass]);
        assert_eq!(outcomes(3, &[(10, 0), (10, 0)]), [Fail, Fail]);
        assert_eq!(outcomes(3, &[(10, 3), (0, 0)]), [Pass, Inconclusive]);
        assert_eq!(outcomes(0, &[(0, 0)]), [Inconclusive]);
        assert_eq!(outcomes(0, &[]), [Inconclusive]);
    }
}
