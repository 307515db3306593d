//! A comparison as Markdown: what a pull request is told.

use super::comparison::Comparison;
use super::figures::{change, time};
use super::judgement::Judgement;
use super::text;
use crate::numbers::grouped;

/// The comparison as Markdown, ending in a line break: the verdict, the table, and what there is to know beside it.
#[must_use]
pub fn render(comparison: &Comparison) -> String {
    let labels = [&comparison.a, &comparison.b].map(|side| escaped(&side.label));
    let mark = match comparison.judgement {
        Judgement::Same | Judgement::Faster => ":white_check_mark:",
        Judgement::Slower => ":x:",
        Judgement::TooNoisy | Judgement::Invalid => ":warning:",
    };
    let mut out = format!("### {mark} {}: {}\n\n", comparison.judgement.word(), escaped(&comparison.scenario));
    out.push_str(&format!("{}\n\n", text::title(comparison, &labels)));
    if !comparison.metrics.is_empty() {
        out.push_str(&format!(
            "| metric | {} | {} | change | verdict |\n|---|---:|---:|---|---|\n",
            labels[0], labels[1]
        ));
    }
    for metric in &comparison.metrics {
        let change = change(metric.change, metric.interval);
        let change = change.split_whitespace().collect::<Vec<_>>().join(" ");
        let verdict = text::verdict(metric);
        let verdict = if metric.judgement == Judgement::Slower { format!("**{verdict}**") } else { verdict };
        let (name, a, b) = (escaped(&metric.name), time(metric.a_ns), time(metric.b_ns));
        out.push_str(&format!("| {name} | {a} | {b} | {change} | {verdict} |\n"));
    }
    let reasons = comparison.reasons.iter().map(|reason| escaped(reason));
    let notes = comparison.notes.iter().map(|note| format!("note: {}", escaped(note)));
    let lines: Vec<String> = reasons.chain(notes).chain(text::detectable(comparison)).collect();
    if !lines.is_empty() {
        out.push('\n');
    }
    for line in lines {
        out.push_str(&format!("- {line}\n"));
    }
    let environment = &comparison.environment;
    let percent = (1.0 - comparison.alpha) * 100.0;
    out.push_str(&format!(
        "\n<sub>{}, {} cores, {} MiB, {}; intervals hold {percent} % each, and all metrics together raise an alarm over \
         nothing in {} % of comparisons at most at this look</sub>\n",
        escaped(if environment.processor.is_empty() { &environment.arch } else { &environment.processor }),
        environment.cores,
        grouped(environment.memory_bytes >> 20),
        environment.os,
        comparison.alpha * 100.0,
    ));
    out
}

/// Text that stays text: a bar would end a cell, a bracket would begin a tag.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '|' | '<' | '>' | '*' | '_' | '`' | '\\' | '[' | ']') {
            escaped.push('\\');
        }
        escaped.push(if character == '\n' { ' ' } else { character });
    }
    escaped
}
