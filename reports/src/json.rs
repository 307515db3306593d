//! A run as one JSON document, for programs. `docs/report.md` says what is in it; what is there keeps its meaning within one
//! version, and more may come.

use crate::event::Event;
use crate::info::Environment;
use crate::overview::{Band, HopCourse, LagCourse, Metric, Overview, PartitionMap, RunState, Slot};
use crate::resources::Reading;
use crate::summary::Summary;
use crate::verdict::Verdict;
use serde::Serialize;
use std::collections::BTreeMap;

/// The version of the document.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    document: &'static str,
    version: u32,
    run: Run<'a>,
    state: RunState,
    verdict: &'a Verdict,
    summary: Option<&'a Summary>,
    lateness_p99_ns: Option<u64>,
    defects: &'a [String],
    latency: &'a [Metric],
    load: Load<'a>,
    end_to_end: &'a [HopCourse],
    lag: &'a [LagCourse],
    partitions: Option<&'a PartitionMap>,
    partitions_by_topic: &'a [PartitionMap],
    faults: &'a [Band],
    resources: &'a [Reading],
    events: &'a [Event],
}

#[derive(Serialize)]
struct Run<'a> {
    scenario: &'a str,
    scenario_file: &'a str,
    arguments: &'a [String],
    seed: u64,
    plan_digest: &'a str,
    backend: &'a str,
    versions: &'a BTreeMap<String, String>,
    environment: &'a Environment,
    started_unix_ms: u64,
}

#[derive(Serialize)]
struct Load<'a> {
    began_ns: u64,
    slot_ns: u64,
    slots: &'a [Slot],
}

/// The document, with a line break behind it.
///
/// # Errors
/// Never: plain data is always JSON.
pub fn render(overview: &Overview) -> serde_json::Result<String> {
    let info = &overview.info;
    let document = Document {
        document: "shakedown-report",
        version: VERSION,
        run: Run {
            scenario: &info.scenario,
            scenario_file: &info.scenario_file,
            arguments: &info.arguments,
            seed: info.seed,
            plan_digest: &info.plan_digest,
            backend: &info.backend,
            versions: &info.versions,
            environment: &info.environment,
            started_unix_ms: info.started_unix_ms,
        },
        state: overview.state,
        verdict: &overview.verdict,
        summary: overview.summary.as_ref(),
        lateness_p99_ns: overview.ending.as_ref().and_then(|ending| ending.lateness_p99_ns),
        defects: &overview.defects,
        latency: &overview.metrics,
        load: Load { began_ns: overview.origin_ns, slot_ns: overview.slot_ns, slots: &overview.slots },
        end_to_end: &overview.hops,
        lag: &overview.lags,
        partitions: overview.partitions.first(),
        partitions_by_topic: &overview.partitions,
        faults: &overview.bands,
        resources: &overview.resources,
        events: &overview.events,
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}
