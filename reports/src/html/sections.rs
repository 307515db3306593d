//! The tables of the page: checks with what convicts, what it cost, whether it can be believed, where it ran.

use super::page::class;
use crate::numbers::{duration, grouped};
use crate::overview::Overview;
use crate::resources::Usage;
use crate::text::{outcome_word, seconds, shell_word};
use crate::utc;
use crate::validity::Validity;
use crate::verdict::Finding;
use maud::{Markup, html};

/// What was judged, a row for each finding, with the stories of what failed.
pub(super) fn checks(overview: &Overview) -> Markup {
    let started_ns = overview.info.started_unix_ms.saturating_mul(1_000_000);
    html! {
        section {
            h2 { "Checks" }
            @if overview.verdict.findings.is_empty() {
                p .soft { "Nothing was checked." }
            } @else {
                table .stack {
                    thead {
                        tr { th { "check" } th { "of" } th .number { "compared" } th { "verdict" } th { "what was found" } }
                    }
                    @for finding in &overview.verdict.findings {
                        tr {
                            td { b { (finding.check) } }
                            td data-label="of" { (finding.subject) }
                            td .number data-label="compared" { (grouped(finding.compared)) }
                            td class=(class(finding.outcome)) { (outcome_word(finding.outcome)) }
                            td { (finding.detail) (stories(finding, started_ns)) }
                        }
                    }
                }
            }
        }
    }
}

fn stories(finding: &Finding, started_ns: u64) -> Markup {
    html! {
        @for story in &finding.evidence {
            details .story open[finding.evidence.len() == 1] {
                summary { (story.title) }
                table {
                    @for event in &story.events {
                        tr {
                            td .number { @if let Some(at_ns) = event.at_ns { (seconds(at_ns, started_ns)) } }
                            td { (event.text) }
                        }
                    }
                }
            }
        }
    }
}

/// What the run cost the machine.
pub(super) fn cost(overview: &Overview) -> Markup {
    let stored = overview.summary.as_ref().and_then(|summary| summary.usage);
    let Some(usage) = stored.or_else(|| Usage::over(&overview.resources)) else { return html! {} };
    let of_one = |cpu_ns: u64| match usage.span_ns {
        0 => String::new(),
        span_ns => format!("{:.1} %", cpu_ns as f64 * 100.0 / span_ns as f64),
    };
    let per_message = |cpu_ns: u64| usage.per_message_ns(cpu_ns).map(|ns| format!("{:.2} us", ns / 1e3));
    let parts = [
        ("load generator", usage.generator_cpu_ns),
        ("brokers", usage.brokers_cpu_ns),
        ("services", usage.services_cpu_ns),
        ("rest of the harness", usage.other_cpu_ns),
        ("others on this machine", usage.strangers_cpu_ns()),
    ];
    let facts = [
        (
            "busiest thread of the generator",
            format!("{:.1} % of a processor", usage.busiest_generator_thread_permille as f64 / 10.0),
        ),
        ("memory, most", format!("{:.0} MiB", usage.resident_bytes_max as f64 / 1_048_576.0)),
        ("stolen by the hypervisor", duration(usage.stolen_ns)),
        ("somebody waited for a processor", duration(usage.pressure_cpu_ns)),
    ];
    html! {
        section {
            h2 { "Cost" }
            p .soft {
                "Processor time over " (duration(usage.span_ns)) " and " (grouped(usage.messages)) " acknowledged messages."
            }
            table {
                thead { tr { th { "who" } th .number { "of one processor" } th .number { "a message" } } }
                @for (who, cpu_ns) in parts.into_iter().filter(|(_, cpu_ns)| *cpu_ns > 0) {
                    tr {
                        td { (who) }
                        td .number { (of_one(cpu_ns)) }
                        td .number { @if let Some(text) = per_message(cpu_ns) { (text) } }
                    }
                }
            }
            table { @for (what, figure) in facts { tr { td { (what) } td .number { (figure) } } } }
        }
    }
}

/// Whether what was measured can be believed, and what the record lacks.
pub(super) fn validity(overview: &Overview) -> Markup {
    let lateness = overview.ending.as_ref().and_then(|ending| ending.lateness_p99_ns);
    html! {
        section {
            h2 { "Validity" }
            @match overview.summary.as_ref().map(|summary| &summary.validity) {
                None => p {
                    "Nobody can say whether the measurements can be believed: the run did not come to its summary."
                },
                Some(Validity::Valid) => p { "Nothing speaks against the measurements." },
                Some(Validity::Invalid { reasons }) => {
                    p { "The measurements say nothing about the system:" }
                    ul { @for reason in reasons { li { (reason) } } }
                },
            }
            @if let Some(lateness_ns) = lateness {
                p .soft { "The load generator itself was " (duration(lateness_ns)) " late at p99." }
            }
            @if overview.defects.is_empty() {
                p .soft { "The record is complete." }
            } @else {
                p { "The record is not complete:" }
                ul { @for defect in &overview.defects { li { (defect) } } }
            }
        }
    }
}

/// Where it ran, of what versions, and how to run it again.
pub(super) fn environment(overview: &Overview) -> Markup {
    let info = &overview.info;
    let machine = &info.environment;
    let gibibytes = machine.memory_bytes as f64 / f64::from(1_u32 << 30);
    let memory = if machine.memory_bytes == 0 { String::new() } else { format!(", {gibibytes:.1} GiB of memory") };
    let arguments: String = info.arguments.iter().map(|word| format!(" {}", shell_word(word))).collect();
    html! {
        section {
            h2 { "Environment" }
            table .stack {
                tr {
                    th { "machine" }
                    td { (machine.os) ", " (machine.arch) ", " (machine.cores) " processors" (memory) }
                }
                tr { th { "cluster" } td { (info.backend) } }
                @for (name, version) in &info.versions { tr { th { (name) } td { (version) } } }
                tr { th { "started" } td { (utc::readable(info.started_unix_ms)) } }
                tr { th { "seed" } td { (info.seed) } }
                @if !info.plan_digest.is_empty() { tr { th { "plan" } td { code { (info.plan_digest) } } } }
                @if !info.scenario_file.is_empty() {
                    tr {
                        th { "again" }
                        td {
                            code { "shakedown run " (shell_word(&info.scenario_file)) " --seed " (info.seed) (arguments) }
                        }
                    }
                }
            }
            @if !info.scenario_text.is_empty() {
                details { summary { "The scenario" } pre { (info.scenario_text) } }
            }
        }
    }
}
