//! `shakedown report RUN`: a run directory rendered once more. Changes nothing in it, and judges only what nobody has judged.

use super::arguments::{ReportArguments, ReportFormat};
use super::output;
use super::run_command::complain;
use crate::exit::Exit;
use crate::report::Report;
use crate::run::error::RunError;
use crate::run::judgement::{Ending, judge};
use shakedown_reports::numbers::{duration, grouped};
use shakedown_reports::overview::gather;
use shakedown_reports::{Overview, RunRecord, Summary, html, json, junit};
use std::io::IsTerminal as _;
use std::path::Path;

pub(super) fn run(arguments: &ReportArguments) -> Exit {
    if !arguments.run.join("run.json").is_file() {
        eprintln!("error: {} is not a run directory: it has no run.json", arguments.run.display());
        return Exit::Usage;
    }
    let colour = arguments.output.is_none() && std::io::stdout().is_terminal();
    let text = match render(&arguments.run, arguments.format, colour) {
        Ok(text) => text,
        Err(error) => return complain(&error),
    };
    match &arguments.output {
        None => output::print(&text),
        Some(file) => match std::fs::write(file, text) {
            Ok(()) => Exit::Pass,
            Err(error) => {
                eprintln!("error: cannot write {}: {error}", file.display());
                Exit::Broken
            }
        },
    }
}

fn render(directory: &Path, format: ReportFormat, colour: bool) -> Result<String, RunError> {
    let record = RunRecord::open(directory)?;
    let verdict = match record.verdict()? {
        Some(verdict) => verdict,
        None => judge(&record, &Ending::read(directory)?)?,
    };
    let overview = gather(directory, &record, verdict)?;
    Ok(match format {
        ReportFormat::Text => text(directory, &overview, colour),
        ReportFormat::Html => html::render(&overview)?,
        ReportFormat::Json => {
            json::render(&overview).map_err(std::io::Error::from).map_err(RunError::io("write JSON"))?
        }
        ReportFormat::Junit => junit::render(&overview)?,
    })
}

/// As the run printed it, or would have.
fn text(directory: &Path, overview: &Overview, colour: bool) -> String {
    let summary = overview.summary.clone().unwrap_or_else(|| so_far(overview));
    let (info, events, verdict) = (overview.info.clone(), overview.events.clone(), overview.verdict.clone());
    Report::new(info, summary, events, verdict, directory.to_owned()).text(colour)
}

/// What can be said of a run that did not come to its summary.
pub(super) fn so_far(overview: &Overview) -> Summary {
    let mut summary = Summary::default();
    if let Some(notice) = overview.state.notice() {
        summary.line("state", notice);
    }
    let (offered, acknowledged) = overview.counted();
    let seen = duration(overview.last_ns.saturating_sub(overview.origin_ns));
    let mut load = format!("{} messages acknowledged or given up within {seen}", grouped(offered));
    if offered > 0 {
        load = format!("{load}, {} of them acknowledged", grouped(acknowledged));
    }
    summary.line("load", load);
    if let Some(metric) = overview.metric("ack") {
        let told = metric
            .percentiles
            .iter()
            .map(|percentile| format!("{} {}", percentile.name, duration(percentile.value_ns)));
        summary.line(
            "latency",
            told.chain([format!("slowest {}", duration(metric.max_ns))]).collect::<Vec<_>>().join(", "),
        );
    }
    summary.elapsed_ms =
        overview.last_ns.saturating_sub(overview.info.started_unix_ms.saturating_mul(1_000_000)) / 1_000_000;
    summary
}
