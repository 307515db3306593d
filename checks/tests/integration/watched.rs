//! Watched histories: a clean one of any shape, and single commits and readings to write by hand.

use crate::history::{self, LEDGER, TOPIC};
use proptest::prelude::*;
use shakedown_reports::course::Course;
use shakedown_reports::expectation::{Bounds, Expectations, LagBudget, StandstillLimit};
use shakedown_reports::memory::MemoryRecord;
use shakedown_reports::record::{Delivery, StreamId, StreamKind};
use shakedown_reports::watch::{Commit, CommitKind, Reading};
use std::collections::BTreeMap;

pub(crate) const MS: u64 = 1_000_000;
/// The topic, read again at the end.
pub(crate) const AGAIN: StreamId = 3;
/// Nothing of a clean history stands still for longer.
pub(crate) const STALL_MAX_MS: u64 = 2_000;
/// No clean group is further behind, or for longer.
pub(crate) const LAG: LagBudget = LagBudget { at_most: Some(100), drained_in: Some(5_000 * MS) };
const START_MS: u64 = 1_700_000_000_000;
/// The load is over, and the group begins to work.
pub(crate) const WORK_MS: u64 = 1_000;
/// Between two looks.
const LOOK_MS: u64 = 100;
/// Looks go on for so long after the load.
const LOOKS_UNTIL_MS: u64 = 8_000;

/// So many milliseconds after the start of the run.
pub(crate) fn at(ms: u64) -> u64 {
    (START_MS + ms) * MS
}

/// A commit of a member at a partition of the only watch.
pub(crate) fn commit(partition: i32, offset: i64, log_offset: i64, seen_ms: u64) -> Commit {
    Commit {
        watch: 0,
        kind: CommitKind::Member,
        partition,
        offset,
        leader_epoch: 0,
        generation: 1,
        log_offset,
        committed_ms: i64::try_from(START_MS + seen_ms).expect("before the end of time"),
        seen_ns: at(seen_ms),
    }
}

/// A reading of a log that was never cut, and whose last stable offset is its end.
pub(crate) fn reading(partition: i32, committed: i64, end: i64, asked_ms: u64) -> Reading {
    let (asked_ns, answered_ns) = (at(asked_ms), at(asked_ms) + MS);
    Reading { watch: 0, partition, start: 0, stable: end, end, committed, asked_ns, answered_ns }
}

/// Load, a topic that is read twice, a ledger, and the group between them; all of it empty.
pub(crate) fn system() -> MemoryRecord {
    let mut record = history::system(2);
    assert_eq!(record.add_stream("orders", StreamKind::Reread), AGAIN);
    record.add_group("order-tracker", TOPIC, &[LEDGER]);
    record.course = Course { load_began_ns: Some(at(0)), load_ended_ns: Some(at(WORK_MS)), troubles: Vec::new() };
    record
}

/// Everything that can be asked of it.
pub(crate) fn everything() -> Expectations {
    Expectations {
        latency: BTreeMap::new(),
        conserved: Vec::new(),
        skipped: Some(Bounds::exactly(0)),
        committed_too_far: Some(Bounds::exactly(0)),
        offset_regressed: Some(Bounds::exactly(0)),
        inconsistent_offset: Some(Bounds::exactly(0)),
        stalled: Some(StandstillLimit::everywhere(STALL_MAX_MS * MS)),
        lag: Some(LAG),
        ..history::everything(2)
    }
}

/// A history without any anomaly: everything is produced in the first second, then worked off in some order, committed in
/// batches of up to so many, looked at ten times a second, and read again at the end.
pub(crate) fn clean() -> impl Strategy<Value = MemoryRecord> {
    (history::clean(), 1..4_usize).prop_map(|((record, _), batch)| watch(record, batch))
}

fn watch(of: MemoryRecord, batch: usize) -> MemoryRecord {
    let mut record = system();
    record.operations = of.operations;
    let timed = |(place, delivery): (u64, &Delivery), first_ms: u64, apart_ms: u64| Delivery {
        received_ns: at(first_ms + place * apart_ms),
        ..*delivery
    };
    let topic: Vec<Delivery> = (0..).zip(&of.deliveries[usize::from(TOPIC)]).map(|entry| timed(entry, 1, 5)).collect();
    // The ledger of one hop is the topic's own order.
    let ledger = of.deliveries.get(usize::from(LEDGER)).unwrap_or(&of.deliveries[usize::from(TOPIC)]);
    let ledger: Vec<Delivery> = (0..).zip(ledger).map(|entry| timed(entry, WORK_MS, 10)).collect();
    record.deliveries[usize::from(AGAIN)] =
        topic.iter().map(|first| Delivery { received_ns: at(LOOKS_UNTIL_MS), ..*first }).collect();
    record.commits = commits(&ledger, batch);
    record.readings = readings(&topic, &record.commits);
    record.deliveries[usize::from(TOPIC)] = topic;
    record.deliveries[usize::from(LEDGER)] = ledger;
    record
}

/// After each batch, one commit for every partition in it, five milliseconds later.
fn commits(ledger: &[Delivery], batch: usize) -> Vec<Commit> {
    let mut commits: Vec<Commit> = Vec::new();
    for batch in ledger.chunks(batch) {
        let mut reached = BTreeMap::new();
        batch.iter().for_each(|delivery| _ = reached.insert(delivery.partition, delivery.offset + 1));
        let last_ns = batch.last().map_or(0, |last| last.received_ns);
        for (partition, offset) in reached {
            let log_offset = i64::try_from(commits.len()).expect("few commits");
            commits.push(Commit { seen_ns: last_ns + 5 * MS, ..commit(partition, offset, log_offset, 0) });
        }
    }
    commits
}

fn readings(topic: &[Delivery], commits: &[Commit]) -> Vec<Reading> {
    let mut readings = Vec::new();
    for asked_ms in (0..=LOOKS_UNTIL_MS / LOOK_MS).map(|look| look * LOOK_MS) {
        for partition in 0..3 {
            let ends = topic.iter().filter(|message| message.partition == partition);
            let ends = ends.filter(|message| message.received_ns <= at(asked_ms)).map(|message| message.offset + 1);
            let made = commits.iter().filter(|commit| commit.partition == partition && commit.seen_ns <= at(asked_ms));
            let committed = made.map(|commit| commit.offset).max().unwrap_or(-1);
            readings.push(reading(partition, committed, ends.max().unwrap_or(0), asked_ms));
        }
    }
    readings
}
