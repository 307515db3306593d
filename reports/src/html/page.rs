//! The frame of the page, and its head: what ran, what came of it, and the figures that people look for first.

use super::chart::ChartError;
use super::{charts, sections, style, timeline};
use crate::numbers::{duration, grouped};
use crate::overview::{Overview, RunState};
use crate::text::outcome_word;
use crate::utc;
use crate::validity::Validity;
use crate::verdict::Outcome;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// What the page may load: nothing. What it may do: look like something.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The page.
///
/// # Errors
/// When a chart cannot be drawn.
pub fn render(overview: &Overview) -> Result<String, ChartError> {
    let drawn = charts::all(overview)?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (status(overview)) ": " (overview.info.scenario) }
                style { (PreEscaped(style::sheet())) }
            }
            body {
                main {
                    (head(overview))
                    (sections::checks(overview))
                    (drawn)
                    (sections::cost(overview))
                    (timeline::section(overview))
                    (sections::validity(overview))
                    (sections::environment(overview))
                }
            }
        }
    };
    Ok(page.into_string())
}

/// In one word, what came of the run.
fn status(overview: &Overview) -> &'static str {
    match overview.state {
        RunState::Running => "RUNNING",
        RunState::Killed => "KILLED",
        RunState::BrokeOff => "BROKE OFF",
        RunState::Finished | RunState::Interrupted => match overview.verdict.outcome {
            Outcome::Pass => "PASS",
            Outcome::Fail => "FAIL",
            Outcome::Inconclusive => "INCONCLUSIVE",
        },
    }
}

/// The class that colours an outcome.
pub(super) const fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "fail",
        Outcome::Inconclusive => "inconclusive",
    }
}

fn head(overview: &Overview) -> Markup {
    let (info, outcome) = (&overview.info, overview.verdict.outcome);
    let is_invalid = overview.summary.as_ref().is_some_and(|summary| summary.validity != Validity::Valid);
    let elapsed = overview.summary.as_ref().map(|summary| duration(summary.elapsed_ms.saturating_mul(1_000_000)));
    html! {
        header {
            h1 { (info.scenario) }
            div {
                span class={ "badge " (class(outcome)) } { (status(overview)) }
                @if matches!(overview.state, RunState::Running | RunState::Killed | RunState::BrokeOff) {
                    span class={ "badge " (class(outcome)) } { (outcome_word(outcome)) }
                }
                @if is_invalid { span .badge.inconclusive { "INVALID MEASUREMENT" } }
                span .soft {
                    "seed " (info.seed) " on " (info.backend) ", " (utc::readable(info.started_unix_ms))
                    @if let Some(elapsed) = elapsed { ", " (elapsed) }
                }
            }
            @if let Some(notice) = overview.state.notice() { p .notice { (notice) } }
            @for reason in &overview.verdict.reasons { p .notice { "Inconclusive: " (reason) } }
            @if let Some(summary) = &overview.summary {
                table .stack {
                    @for line in &summary.lines { tr { th { (line.label) } td { (line.text) } } }
                }
            }
            (tiles(overview))
        }
    }
}

fn tiles(overview: &Overview) -> Markup {
    let (offered, acknowledged) = overview.counted();
    let delivered = overview.metrics.iter().find(|metric| metric.tag.starts_with("deliver:"));
    let latency = overview.metric("ack").or(delivered);
    let lag = overview.lags.iter().map(|course| course.max).max();
    html! {
        div .tiles {
            @if offered > 0 {
                div { b { (grouped(offered)) } span .soft { "offered" } }
                div { b { (grouped(acknowledged)) } span .soft { "acknowledged" } }
            }
            @if let Some(metric) = latency {
                @for name in ["p50", "p99", "p99.9"] {
                    @if let Some(value_ns) = metric.percentile(name) {
                        div { b { (duration(value_ns)) } span .soft { "latency " (name) } }
                    }
                }
                div { b { (duration(metric.max_ns)) } span .soft { "latency, slowest" } }
            }
            @if let Some(lag) = lag { div { b { (grouped(lag)) } span .soft { "lag, most" } } }
        }
    }
}
