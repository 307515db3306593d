//! A comparison as text, at most 100 columns wide: what a terminal shows.

use super::comparison::{Comparison, Design, MetricResult};
use super::figures::{change, percent, time};
use super::judgement::Judgement;
use crate::numbers::grouped;
use crate::text::{WIDTH, append, cut};

/// The longest that a side's name is written as.
const LABEL_MAX: usize = 24;

/// The comparison as text, ending in a line break.
#[must_use]
pub fn render(comparison: &Comparison) -> String {
    let labels = [&comparison.a, &comparison.b].map(|side| cut(&side.label, LABEL_MAX));
    let mut out = String::new();
    out.push_str("compare  ");
    append(&mut out, 9, &title(comparison, &labels));
    table(&mut out, comparison, &labels);
    for reason in &comparison.reasons {
        out.push_str("  ");
        append(&mut out, 4, reason);
    }
    for note in &comparison.notes {
        out.push_str("  note: ");
        append(&mut out, 8, note);
    }
    if let Some(text) = detectable(comparison) {
        out.push_str("  ");
        append(&mut out, 4, &text);
    }
    out.push_str(&last_line(comparison));
    out
}

/// `SLOWER: exit 1`, with its line break.
#[must_use]
pub fn last_line(comparison: &Comparison) -> String {
    format!("{}: exit {}\n", comparison.judgement.word(), comparison.judgement.exit_code())
}

/// `main (12 runs) with this branch (12 runs), interleaved, 40,000/s`.
pub(super) fn title(comparison: &Comparison, labels: &[String; 2]) -> String {
    let runs = |number: usize| if number == 1 { "1 run".to_owned() } else { format!("{number} runs") };
    let (a, b) = (runs(comparison.a.runs.len()), runs(comparison.b.runs.len()));
    let design = match comparison.design {
        Design::Paired => "interleaved",
        Design::Stored => "stored",
    };
    #[expect(clippy::cast_possible_truncation, reason = "a rate is far below what the type holds")]
    let rate = if comparison.per_second > 0.0 {
        format!(", {}/s", grouped(comparison.per_second.round() as i64))
    } else {
        String::new()
    };
    format!("{} ({a}) with {} ({b}), {design}{rate}", labels[0], labels[1])
}

fn table(out: &mut String, comparison: &Comparison, labels: &[String; 2]) {
    if comparison.metrics.is_empty() {
        return;
    }
    let width = |cells: &mut dyn Iterator<Item = usize>, least: usize| cells.max().unwrap_or_default().max(least);
    let metrics = &comparison.metrics;
    let name = width(&mut metrics.iter().map(|metric| metric.name.chars().count()), "cpu/message".len()) + 3;
    let values = |of: fn(&MetricResult) -> f64, label: &String| {
        width(&mut metrics.iter().map(|metric| time(of(metric)).len()), label.chars().count().max(8)) + 3
    };
    let (a, b) = (values(|metric| metric.a_ns, &labels[0]), values(|metric| metric.b_ns, &labels[1]));
    let changes: Vec<String> = metrics.iter().map(|metric| change(metric.change, metric.interval)).collect();
    let changed = width(&mut changes.iter().map(String::len), "change".len()) + 3;
    out.push_str(&format!("  {:<name$}{:<a$}{:<b$}{:<changed$}verdict\n", "metric", labels[0], labels[1], "change"));
    for (metric, change) in metrics.iter().zip(&changes) {
        let (before, after) = (time(metric.a_ns), time(metric.b_ns));
        out.push_str(&format!("  {:<name$}{before:<a$}{after:<b$}{change:<changed$}", metric.name));
        append(out, WIDTH.min(2 + name + a + b + changed), &verdict(metric));
    }
}

/// `SLOWER (margin 10 %)`.
pub(super) fn verdict(metric: &MetricResult) -> String {
    let word = metric.judgement.word();
    let margin = percent(metric.margin);
    match (metric.judgement, metric.margin_is_noise) {
        (_, true) => format!("{word} (noise floor {margin})"),
        (Judgement::Same, false) => word.to_owned(),
        (_, false) => format!("{word} (margin {margin})"),
    }
}

/// What would have been found, had it been there.
pub(super) fn detectable(comparison: &Comparison) -> Option<String> {
    let known: Vec<String> = comparison
        .metrics
        .iter()
        .filter_map(|metric| Some(format!("{} of {}", percent(metric.detectable?), metric.name)))
        .collect();
    (!known.is_empty()).then(|| format!("found 19 times in 20: a slowdown by {}", known.join(", ")))
}
