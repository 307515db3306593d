//! One pass over a run directory.

use super::bands::{Band, bands};
use super::course_slots::CourseSlots;
use super::lag::{self, LagCourse};
use super::metrics::{self, HopCourse, Metric};
use super::partitions::{self, PartitionMap};
use super::slots::{self, Slot};
use super::state::RunState;
use crate::ending::Ending;
use crate::event::Event;
use crate::info::RunInfo;
use crate::intervals;
use crate::record::{Record as _, RecordError};
use crate::resources::{self, Reading, Resources};
use crate::run_record::RunRecord;
use crate::summary::Summary;
use crate::verdict::Verdict;
use std::path::Path;

/// Everything that is shown of a run.
#[derive(Debug, Clone)]
pub struct Overview {
    /// What the run was.
    pub info: RunInfo,
    /// How far it came.
    pub state: RunState,
    /// How it ended; `None` if it was killed before.
    pub ending: Option<Ending>,
    /// What was found.
    pub verdict: Verdict,
    /// What the run says of itself; `None` if it was killed before.
    pub summary: Option<Summary>,
    /// The timeline.
    pub events: Vec<Event>,
    /// What the record is known to lack.
    pub defects: Vec<String>,
    /// When the load began, or else the run: what charts count from, in nanoseconds since the Unix epoch.
    pub origin_ns: u64,
    /// The last instant of which anything tells.
    pub last_ns: u64,
    /// Percentiles of each metric.
    pub metrics: Vec<Metric>,
    /// What the load was doing, slot by slot; empty where a service offered it.
    pub slots: Vec<Slot>,
    /// How long a slot is.
    pub slot_ns: u64,
    /// What taps measured.
    pub hops: Vec<HopCourse>,
    /// How far groups were behind, where they were watched.
    pub lags: Vec<LagCourse>,
    /// Latency by partition, where there are partitions: a map for each topic, as far as the record tells them apart.
    pub partitions: Vec<PartitionMap>,
    /// When faults had struck.
    pub bands: Vec<Band>,
    /// What the machine had to do meanwhile, where somebody looked.
    pub resources: Vec<Reading>,
}

/// Gathers what there is to show of a run directory that was judged like this.
///
/// # Errors
/// When a file of the directory is damaged before its end.
pub fn gather(directory: &Path, record: &RunRecord, verdict: Verdict) -> Result<Overview, RecordError> {
    let (ending, summary) = (record.ending()?, record.summary()?);
    let is_concluded = summary.is_some() || record.verdict()?.is_some();
    let events = record.events()?;
    let started_ns = record.info().started_unix_ms.saturating_mul(1_000_000);
    let origin_ns = record.course().load_began_ns.unwrap_or(started_ns);
    let mut last_ns = events.iter().map(|event| event.at_ns).max().unwrap_or(0).max(origin_ns);

    let mut counting = CourseSlots::new(origin_ns, slots::SLOTS_MAX);
    let mut by_partition = partitions::LoadMaps::new(record, origin_ns);
    record.operations(&mut |operation| {
        slots::count(&mut counting, operation);
        by_partition.operation(operation);
        last_ns = last_ns.max(operation.completed_ns);
    })?;
    let mut partitions = by_partition.finish();
    if partitions.is_empty() {
        partitions = partitions::of_deliveries(record, origin_ns)?;
    }
    let damaged = |file: &'static str| move |source| RecordError::Io { file: file.to_owned(), source };
    let (metrics, hops) = metrics::read(directory).map_err(damaged(intervals::FILE))?;
    let resources = Resources::read(directory).map_err(damaged(resources::FILE))?;
    Ok(Overview {
        state: RunState::of(ending.as_ref(), is_concluded, RunRecord::is_under_way(directory)),
        ending,
        verdict,
        summary,
        bands: bands(&events, last_ns),
        events,
        defects: record.defects().to_vec(),
        origin_ns,
        last_ns,
        metrics,
        slots: slots::finish(&counting),
        slot_ns: counting.width_ns(),
        hops,
        lags: lag::courses(record, origin_ns, slots::SLOTS_MAX)?,
        partitions,
        resources,
        info: record.info().clone(),
    })
}

impl Overview {
    /// The metric of this tag.
    #[must_use]
    pub fn metric(&self, tag: &str) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.tag == tag)
    }

    /// How many messages were offered and acknowledged, as far as operations tell.
    #[must_use]
    pub fn counted(&self) -> (u64, u64) {
        self.slots
            .iter()
            .fold((0, 0), |(offered, acknowledged), slot| (offered + slot.offered, acknowledged + slot.acknowledged))
    }
}
