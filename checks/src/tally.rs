//! What the counting checks have in common: `lost = n` and `duplicated = n` mean exactly n over all their subjects.

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
pub(crate) fn findings(check: &str, allowed: u64, tallies: Vec<Tally>) -> Vec<Finding> {
    if tallies.is_empty() {
        return vec![nothing_to_compare(check)];
    }
    let total: u64 = tallies.iter().map(|tally| tally.found).sum();
    let judge = |tally: &Tally| match (tally.compared, tally.found) {
        (0, 0) => Outcome::Inconclusive,
        _ if total == allowed => Outcome::Pass,
        (_, 0) if total > 0 => Outcome::Pass,
        _ => Outcome::Fail,
    };
    let detail = |tally: &Tally| match (tally.compared, tally.found, allowed) {
        (0, 0, _) => "nothing was compared".to_owned(),
        (_, 0, 0) => String::new(),
        (compared, found, 0) => format!("{} of {}", grouped(found), grouped(compared)),
        (compared, found, _) => {
            let (found, compared, allowed) = (grouped(found), grouped(compared), grouped(allowed));
            format!("{found} of {compared}, exactly {allowed} expected over all")
        }
    };
    let finding = |tally: Tally| {
        let outcome = judge(&tally);
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

/// What a check over flows says of a run without any.
pub(crate) fn nothing_to_compare(check: &str) -> Finding {
    Finding {
        check: check.to_owned(),
        subject: "no flow".to_owned(),
        outcome: Outcome::Inconclusive,
        compared: 0,
        found: 0,
        detail: "the run declares no flow, so nothing was compared".to_owned(),
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
