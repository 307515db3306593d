//! The table behind several runs: what each came to, what it found and whether that was expected, and how long it took.

use super::{paint, wrap};
use crate::numbers::{self, grouped};
use crate::verdict::{Outcome, Verdict};
use std::path::{Component, Path, PathBuf};

/// How wide the column of files may become.
const FILE_WIDTH_MAX: usize = 60;
/// As wide as the longest verdict.
const VERDICT_WIDTH: usize = 12;
const SECONDS_WIDTH: usize = 9;

/// One run in the table.
#[derive(Debug, Clone)]
pub struct RunLine {
    /// The scenario's file, as the reader would type it.
    pub file: PathBuf,
    /// What became of it.
    pub end: RunEnd,
    /// How many warnings its report has.
    pub warnings: usize,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// It has a verdict.
    Judged(Verdict),
    /// Whoever runs it, or what he needs, broke; that was told when it happened.
    BrokeOff,
    /// It did not begin, since somebody had ended all of it.
    NotRun,
}

impl RunEnd {
    fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Judged(verdict) => Some(verdict.outcome),
            Self::BrokeOff | Self::NotRun => None,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Judged(verdict) => paint::word(verdict.outcome),
            Self::BrokeOff => "broke off",
            Self::NotRun => "not run",
        }
    }

    /// What was found, and whether that was to be: `lost 200, as expected`.
    fn found(&self) -> String {
        let Self::Judged(verdict) = self else { return String::new() };
        let mut totals: Vec<(&str, u64)> = Vec::new();
        for finding in verdict.findings.iter().filter(|finding| finding.found > 0) {
            match totals.iter_mut().find(|(check, _)| *check == finding.check) {
                Some((_, total)) => *total = total.saturating_add(finding.found),
                None => totals.push((&finding.check, finding.found)),
            }
        }
        let told: Vec<String> = totals.iter().map(|(check, total)| format!("{check} {}", grouped(*total))).collect();
        let told = if told.is_empty() { "nothing".to_owned() } else { told.join(", ") };
        match verdict.outcome {
            Outcome::Pass if !totals.is_empty() => format!("{told}, as expected"),
            Outcome::Fail => format!("{told}, not expected"),
            Outcome::Pass | Outcome::Inconclusive => told,
        }
    }
}

/// The table of these runs with a line below it that sums them up, ending in a line break. What all files have in common
/// stands above them.
#[must_use]
pub fn roundup(runs: &[RunLine], colour: bool) -> String {
    let folder = common_folder(runs.iter().map(|run| run.file.as_path()));
    let name = |run: &RunLine| run.file.strip_prefix(&folder).unwrap_or(&run.file).display().to_string();
    let head = if folder.as_os_str().is_empty() { "scenario".to_owned() } else { folder.display().to_string() };
    let widths = runs.iter().map(|run| name(run).chars().count()).chain([head.chars().count()]);
    let width = widths.max().unwrap_or_default().min(FILE_WIDTH_MAX);
    let mut out = String::new();
    let head = format!("  {head:<width$}  {:<VERDICT_WIDTH$}{:>SECONDS_WIDTH$}  found", "verdict", "seconds");
    out.push_str(&paint::bold(colour, &head));
    out.push('\n');
    for run in runs {
        let verdict = format!("{:<VERDICT_WIDTH$}", run.end.word());
        let verdict = match &run.end {
            RunEnd::NotRun => verdict,
            RunEnd::BrokeOff => paint::outcome(colour, Outcome::Fail, &verdict),
            RunEnd::Judged(judged) => paint::outcome(colour, judged.outcome, &verdict),
        };
        let seconds = if run.end == RunEnd::NotRun { String::new() } else { seconds(run.elapsed_ms) };
        let file = name(run);
        out.push_str(&format!("  {file:<width$}  {verdict}{seconds:>SECONDS_WIDTH$}  "));
        wrap::append(&mut out, 6 + width.max(file.chars().count()) + VERDICT_WIDTH + SECONDS_WIDTH, &found(run));
    }
    out.push('\n');
    out.push_str(&sum(runs));
    out
}

/// What was found, and that there is more to read.
fn found(run: &RunLine) -> String {
    match (run.end.found(), run.warnings) {
        (found, 0) => found,
        (found, 1) => format!("{found}; 1 warning"),
        (found, many) => format!("{found}; {many} warnings"),
    }
}

/// `26 scenarios in 98.1 s: 25 pass, 1 FAIL`.
fn sum(runs: &[RunLine]) -> String {
    let outcomes = [Some(Outcome::Pass), Some(Outcome::Fail), Some(Outcome::Inconclusive), None];
    let mut words: Vec<(&str, usize)> = Vec::new();
    for outcome in outcomes {
        for run in runs.iter().filter(|run| run.end.outcome() == outcome) {
            match words.iter_mut().find(|(word, _)| *word == run.end.word()) {
                Some((_, times)) => *times += 1,
                None => words.push((run.end.word(), 1)),
            }
        }
    }
    let words: Vec<String> = words.iter().map(|(word, times)| format!("{times} {word}")).collect();
    let elapsed_ms: u64 = runs.iter().map(|run| run.elapsed_ms).sum();
    let elapsed = numbers::duration(elapsed_ms.saturating_mul(1_000_000));
    format!("{} scenarios in {elapsed}: {}\n", runs.len(), words.join(", "))
}

/// `4.1`.
fn seconds(milliseconds: u64) -> String {
    let tenths = (milliseconds + 50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The longest folder that all of them lie in.
fn common_folder<'a>(files: impl Iterator<Item = &'a Path>) -> PathBuf {
    let folders = files.map(|file| file.parent().unwrap_or(Path::new("")).to_owned());
    folders.reduce(|common, folder| shared(&common, &folder)).unwrap_or_default()
}

fn shared(left: &Path, right: &Path) -> PathBuf {
    let pairs = left.components().zip(right.components());
    pairs.take_while(|(left, right)| left == right).map(|(component, _): (Component<'_>, _)| component).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Finding;

    fn judged(findings: &[(&str, u64, Outcome)], reasons: &[&str]) -> RunEnd {
        let finding = |(check, found, outcome): &(&str, u64, Outcome)| Finding {
            check: (*check).to_owned(),
            subject: "load -> topic orders".to_owned(),
            outcome: *outcome,
            compared: 1_000,
            found: *found,
            detail: String::new(),
            evidence: Vec::new(),
        };
        let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
        RunEnd::Judged(Verdict::new(findings.iter().map(finding).collect(), reasons))
    }

    fn line(file: &str, end: RunEnd, elapsed_ms: u64) -> RunLine {
        RunLine { file: file.into(), end, warnings: 0, elapsed_ms }
    }

    #[test]
    fn every_run_has_its_line() {
        let clean = judged(&[("lost", 0, Outcome::Pass)], &[]);
        let expected = judged(&[("lost", 1_000, Outcome::Pass), ("lost", 200, Outcome::Pass)], &[]);
        let wrong = judged(&[("lost", 0, Outcome::Pass), ("duplicated", 3, Outcome::Fail)], &[]);
        let missed = judged(&[("lost", 0, Outcome::Fail)], &[]);
        let unclear = judged(&[("lost", 7, Outcome::Inconclusive)], &["the drain did not finish"]);
        let runs = [
            line("scenarios/failures/04-acks1-failover.fixed.toml", clean, 3_149),
            line("scenarios/failures/04-acks1-failover.toml", expected, 3_150),
            line("scenarios/failures/more/wrong.toml", wrong, 10_000),
            line("scenarios/failures/more/missed.toml", missed, 9),
            line("scenarios/failures/unclear.toml", unclear, 61_000),
            line("scenarios/failures/v.toml", RunEnd::BrokeOff, 120),
            line("scenarios/failures/w.toml", RunEnd::NotRun, 0),
        ];
        insta::assert_snapshot!(roundup(&runs, false));

        let warned = RunLine { warnings: 2, ..runs[0].clone() };
        assert!(roundup(&[warned], false).contains("  nothing; 2 warnings\n"));
    }

    #[test]
    fn files_without_a_folder_in_common_are_written_out() {
        let runs = [line("a/x.toml", RunEnd::NotRun, 0), line("b/x.toml", RunEnd::NotRun, 0)];
        let text = roundup(&runs, false);
        assert!(text.starts_with("  scenario  verdict"), "{text}");
        assert!(text.contains("\n  a/x.toml  not run\n  b/x.toml  not run\n"), "{text}");
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let runs = [line("a.toml", RunEnd::BrokeOff, 1), line("b.toml", judged(&[], &["why"]), 1)];
        let mut plain = roundup(&runs, true);
        for code in ["32", "33", "1;31", "1", "0"] {
            plain = plain.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(plain, roundup(&runs, false));
    }
}
