//! What happened beside the load, in order of time.

use crate::event::EventKind;
use crate::overview::Overview;
use crate::text::{self, seconds};
use maud::{Markup, html};
use std::collections::BTreeSet;

/// Longer stories are told in `events.jsonl`.
const ROWS_MAX: usize = 300;

/// The table of events: what became of the cluster as the text report tells it, with phases, services and warnings between.
pub(super) fn section(overview: &Overview) -> Markup {
    let mut rows = rows(overview);
    if rows.is_empty() {
        return html! {};
    }
    rows.sort_by_key(|(at_ns, ..)| *at_ns);
    let started_ns = overview.info.started_unix_ms.saturating_mul(1_000_000);
    let load_s = seconds(overview.origin_ns, started_ns);
    html! {
        section {
            h2 { "Timeline" }
            p .soft { "Since the start of the run. Charts count from the beginning of the load, at " (load_s) "." }
            table {
                @for (at_ns, kind, told) in rows.iter().take(ROWS_MAX) {
                    tr {
                        td .number { (seconds(*at_ns, started_ns)) }
                        td .soft { (kind) }
                        td { (told) }
                    }
                }
            }
            @if rows.len() > ROWS_MAX { p .soft { "and " (rows.len() - ROWS_MAX) " more in events.jsonl" } }
        }
    }
}

fn rows(overview: &Overview) -> Vec<(u64, &'static str, String)> {
    let faults = overview.events.iter().filter(|event| matches!(event.kind, EventKind::Fault { .. }));
    let faults: BTreeSet<&str> = faults.map(|event| event.text.as_str()).collect();
    let lines = text::timeline(&overview.events).into_iter().map(|line| {
        let told = line.text();
        let kind = if faults.contains(told.as_str()) { "fault" } else { "cluster" };
        (line.at_ns, kind, told)
    });
    let others = overview.events.iter().filter_map(|event| match &event.kind {
        EventKind::Phase { name } => Some((event.at_ns, "phase", format!("{name}: {}", event.text))),
        EventKind::Service { .. } => Some((event.at_ns, "service", event.text.clone())),
        EventKind::Load => Some((event.at_ns, "load", event.text.clone())),
        EventKind::Warning => Some((event.at_ns, "warning", event.text.clone())),
        _ => None,
    });
    lines.chain(others).collect()
}
