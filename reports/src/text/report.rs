//! Head and foot of the report, around the table.

use super::{WIDTH, paint, rows, shell, timeline, wrap};
use crate::event::{Event, EventKind};
use crate::info::RunInfo;
use crate::numbers;
use crate::summary::Summary;
use crate::verdict::{Outcome, Verdict};

/// How much of a plan's digest is shown; all of it is in `run.json`.
const DIGEST_SHOWN: usize = 6;

/// Everything that a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// What the run was.
    pub info: &'a RunInfo,
    /// What it says of itself.
    pub summary: &'a Summary,
    /// What happened; the report shows warnings, and what became of the cluster under faults.
    pub events: &'a [Event],
    /// What the checks found.
    pub verdict: &'a Verdict,
    /// Where the rest lies, as the reader would type it.
    pub artifact: Option<&'a str>,
    /// Whether to use colour.
    pub colour: bool,
}

/// The report as text, ending in a line break. No line is wider than 100 columns unless a single word is.
#[must_use]
pub fn render(report: &Report<'_>) -> String {
    let mut out = String::new();
    head(&mut out, report);
    out.push('\n');
    let started_ns = report.info.started_unix_ms.saturating_mul(1_000_000);
    timeline::render(&mut out, report.events, started_ns, report.colour);
    rows::render(&mut out, &rows::rows(&report.verdict.findings), started_ns, report.colour);
    remarks(&mut out, report, started_ns);
    out.push('\n');
    foot(&mut out, report);
    out
}

fn head(out: &mut String, report: &Report<'_>) {
    let info = report.info;
    let digest: String = info.plan_digest.chars().take(DIGEST_SHOWN).collect();
    let mut origin = format!("seed {}", info.seed);
    if !digest.is_empty() {
        origin.push_str(&format!("  plan {digest}"));
    }
    let title = wrap::cut(&info.scenario, WIDTH - "shakedown  ".len() - origin.chars().count() - 2);
    let padding = WIDTH.saturating_sub("shakedown  ".len() + title.chars().count() + origin.chars().count());
    out.push_str(&paint::bold(report.colour, &format!("shakedown  {title}")));
    out.push_str(&format!("{}{origin}\n", " ".repeat(padding)));
    for line in &report.summary.lines {
        out.push_str(&format!("  {:<9}  ", line.label));
        wrap::append(out, 13.max(line.label.chars().count() + 4), &line.text);
    }
}

/// What a reader has to know beside the table: warnings, and why the run as a whole proves nothing.
fn remarks(out: &mut String, report: &Report<'_>, started_ns: u64) {
    let warnings: Vec<_> = report.events.iter().filter(|event| event.kind == EventKind::Warning).collect();
    let unfit = report.summary.validity.reasons();
    if !warnings.is_empty() || !report.verdict.reasons.is_empty() || !unfit.is_empty() {
        out.push('\n');
    }
    for event in warnings {
        out.push_str(&format!("  warning  {:>9}  ", rows::seconds(event.at_ns, started_ns)));
        wrap::append(out, 22, &event.text);
    }
    for reason in unfit {
        out.push_str("  invalid: ");
        wrap::append(out, 11, reason);
    }
    for reason in &report.verdict.reasons {
        out.push_str("  inconclusive: ");
        wrap::append(out, 16, reason);
    }
}

fn foot(out: &mut String, report: &Report<'_>) {
    let outcome = report.verdict.outcome;
    if outcome == Outcome::Fail && !report.info.scenario_file.is_empty() {
        let (file, seed) = (shell::word(&report.info.scenario_file), report.info.seed);
        let arguments: String = report.info.arguments.iter().map(|word| format!(" {}", shell::word(word))).collect();
        out.push_str(&format!("again: shakedown run {file} --seed {seed}{arguments}\n"));
    }
    let word = paint::word(outcome).to_uppercase();
    let elapsed = numbers::duration(report.summary.elapsed_ms.saturating_mul(1_000_000));
    let width = format!("{word} in {elapsed}").chars().count();
    out.push_str(&paint::outcome(report.colour, outcome, &word));
    out.push_str(&format!(" in {elapsed}"));
    if let Some(artifact) = report.artifact {
        let fits = width + "   report: ".len() + artifact.chars().count() <= WIDTH;
        out.push_str(if fits { "   report: " } else { "\nreport: " });
        out.push_str(artifact);
    }
    out.push('\n');
}
