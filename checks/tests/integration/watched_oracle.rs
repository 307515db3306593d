//! The naive oracle for groups and logs, which compares everything with everything, and its agreement with the checks on
//! histories that no system would produce.

use crate::history::{self, LEDGER, TOPIC};
use crate::watched::{self, AGAIN, MS};
use proptest::prelude::*;
use shakedown_checks::{committed_too_far, inconsistent_offset, lag, offset_regressed, skipped, stalled};
use shakedown_reports::course::{Course, Trouble};
use shakedown_reports::expectation::{Bounds, LagBudget, StandstillLimit};
use shakedown_reports::identity::Identity;
use shakedown_reports::memory::MemoryRecord;
use shakedown_reports::record::{Delivery, RecordError, StreamId};
use shakedown_reports::verdict::Finding;
use shakedown_reports::watch::{Commit, CommitKind, Reading};

const NOTHING: Bounds = Bounds::exactly(0);
const LIMIT_MS: u64 = 30;
const PARTITIONS: i32 = 2;

fn deliveries() -> impl Strategy<Value = Vec<Delivery>> {
    let delivery = (0..6_u64, 0..PARTITIONS, 0..6_i64, 0..3_i64, 0..60_u64);
    proptest::collection::vec(delivery, 0..12).prop_map(|drawn| {
        let make = |(number, partition, offset, value, received_ms)| {
            let delivery = history::delivery(&history::operation(number * 700, 0, 0), 0);
            Delivery { partition, offset, value, received_ns: watched::at(received_ms), ..delivery }
        };
        drawn.into_iter().map(make).collect()
    })
}

fn commits() -> impl Strategy<Value = Vec<Commit>> {
    let kind = prop_oneof![8 => Just(CommitKind::Member), 1 => Just(CommitKind::Reset), 1 => Just(CommitKind::Removed)];
    let commit = (kind, 0..PARTITIONS, 0..8_i64, 0..12_i64, 0..60_u64);
    proptest::collection::vec(commit, 0..8).prop_map(|drawn| {
        let make = |(kind, partition, offset, log_offset, seen_ms)| {
            let offset = if kind == CommitKind::Removed { -1 } else { offset };
            Commit { kind, ..watched::commit(partition, offset, log_offset, seen_ms) }
        };
        drawn.into_iter().map(make).collect()
    })
}

/// Looks at both partitions, in order of time.
fn readings() -> impl Strategy<Value = Vec<Reading>> {
    let place = (0..3_i64, 0..7_i64, 0..9_i64, -1..9_i64);
    let look = (1..40_u64, proptest::collection::vec(place, PARTITIONS as usize));
    proptest::collection::vec(look, 0..7).prop_map(|looks| {
        let mut asked_ms = 0;
        let mut readings = Vec::new();
        for (later_ms, places) in looks {
            asked_ms += later_ms;
            for (partition, (start, stable, end, committed)) in (0..).zip(places) {
                readings.push(Reading { start, stable, ..watched::reading(partition, committed, end, asked_ms) });
            }
        }
        readings
    })
}

fn records() -> impl Strategy<Value = MemoryRecord> {
    let troubles = proptest::collection::vec((0..150_u64, 0..60_u64), 0..3);
    let course = (0..80_u64, 0..120_u64, troubles);
    (deliveries(), deliveries(), deliveries(), commits(), readings(), course).prop_map(
        |(topic, ledger, again, commits, readings, (began_ms, lasted_ms, troubles))| {
            let mut record = watched::system();
            record.deliveries[usize::from(TOPIC)] = topic;
            record.deliveries[usize::from(LEDGER)] = ledger;
            record.deliveries[usize::from(AGAIN)] = again;
            (record.commits, record.readings) = (commits, readings);
            let trouble =
                |(since, lasted)| Trouble { since_ns: watched::at(since), until_ns: watched::at(since + lasted) };
            let mut troubles: Vec<Trouble> = troubles.into_iter().map(trouble).collect();
            troubles.sort_by_key(|trouble| trouble.since_ns);
            let (began, ended) = (watched::at(began_ms), watched::at(began_ms + lasted_ms));
            record.course = Course { load_began_ns: Some(began), load_ended_ns: Some(ended), troubles };
            record
        },
    )
}

fn at<'a>(readings: &'a [Reading], partition: i32) -> impl Iterator<Item = &'a Reading> + Clone + use<'a> {
    readings.iter().filter(move |reading| reading.partition == partition)
}

/// Everybody who is in the log at the end, with offset, as the group had to process it.
fn to_process(record: &MemoryRecord) -> Vec<(Identity, i32, i64)> {
    let topic = &record.deliveries[usize::from(TOPIC)];
    let mut log = Vec::new();
    for (place, message) in topic.iter().enumerate() {
        let overwritten = topic[place + 1..]
            .iter()
            .any(|later| (later.partition, later.offset) == (message.partition, message.offset));
        let of_partition = at(&record.readings, message.partition);
        let deleted = of_partition.clone().next().is_some_and(|first| message.offset < first.start);
        let cut_off = of_partition.last().is_some_and(|last| message.offset >= last.end);
        if !overwritten && !deleted && !cut_off {
            log.push((message.identity, message.partition, message.offset));
        }
    }
    log
}

fn is_in(record: &MemoryRecord, stream: StreamId, identity: Identity) -> bool {
    record.deliveries[usize::from(stream)].iter().any(|delivery| delivery.identity == identity)
}

fn skipped_naively(record: &MemoryRecord) -> usize {
    let passed = |(_, partition, offset): &(Identity, i32, i64)| {
        let committed = record.commits.iter().any(|commit| commit.partition == *partition && commit.offset > *offset);
        committed || at(&record.readings, *partition).any(|reading| reading.committed > *offset)
    };
    let mut skipped: Vec<Identity> = to_process(record)
        .iter()
        .filter(|message| passed(message) && !is_in(record, LEDGER, message.0))
        .map(|message| message.0)
        .collect();
    skipped.sort_unstable();
    skipped.dedup();
    skipped.len()
}

fn too_far_naively(record: &MemoryRecord) -> usize {
    let log = to_process(record);
    let done_before = |identity: Identity, ns: u64| {
        let mut copies = record.deliveries[usize::from(LEDGER)].iter();
        copies.any(|copy| copy.identity == identity && copy.received_ns <= ns)
    };
    let is_early = |place: &usize| {
        let commit = &record.commits[*place];
        let before = record.commits[..*place].iter().filter(|before| before.partition == commit.partition);
        let passed = before.map(|before| before.offset).max().unwrap_or(-1);
        let mut below = log.iter().filter(|(_, partition, offset)| {
            *partition == commit.partition && (passed..commit.offset).contains(offset)
        });
        commit.kind == CommitKind::Member && below.any(|(identity, ..)| !done_before(*identity, commit.seen_ns))
    };
    let sound = |reading: &&Reading| {
        let mut troubles = record.course.troubles.iter();
        troubles.all(|trouble| trouble.until_ns <= reading.asked_ns || reading.answered_ns <= trouble.since_ns)
    };
    let mut beyond: Vec<(i32, i64)> = record
        .readings
        .iter()
        .filter(sound)
        .filter(|reading| reading.committed > reading.end)
        .map(|reading| (reading.partition, reading.committed))
        .collect();
    beyond.sort_unstable();
    beyond.dedup();
    (0..record.commits.len()).filter(is_early).count() + beyond.len()
}

fn regressed_naively(record: &MemoryRecord) -> usize {
    let mut found = 0;
    for partition in 0..PARTITIONS {
        let of_partition: Vec<&Commit> = record.commits.iter().filter(|commit| commit.partition == partition).collect();
        // What is read once more says nothing new.
        let fresh = |place: usize| {
            of_partition[..place].iter().all(|before| before.log_offset < of_partition[place].log_offset)
        };
        let log: Vec<&Commit> =
            (0..of_partition.len()).filter(|place| fresh(*place)).map(|place| of_partition[place]).collect();
        let goes_back = |pair: &&[&Commit]| pair[1].kind == CommitKind::Member && pair[1].offset < pair[0].offset;
        let logged = log.windows(2).filter(goes_back).count();
        found += logged;
        let explained = logged > 0 || log.iter().any(|commit| commit.kind != CommitKind::Member);
        let answers: Vec<&Reading> = at(&record.readings, partition).collect();
        if !explained {
            found += answers.windows(2).filter(|pair| pair[1].committed < pair[0].committed).count();
        }
    }
    found
}

fn inconsistent_naively(record: &MemoryRecord) -> usize {
    let all: Vec<&Delivery> =
        [TOPIC, AGAIN].iter().flat_map(|stream| &record.deliveries[usize::from(*stream)]).collect();
    let value = |delivery: &Delivery| {
        (delivery.identity, delivery.key, delivery.value, delivery.timestamp_ms, delivery.intended_ns)
    };
    let mut places: Vec<(i32, i64)> = Vec::new();
    for one in &all {
        for other in &all {
            let place = (one.partition, one.offset);
            if place == (other.partition, other.offset) && value(one) != value(other) && !places.contains(&place) {
                places.push(place);
            }
        }
    }
    places.len()
}

/// At how many partitions some pair of looks has nothing move between them for too long: by the definition, without state.
fn stalled_naively(record: &MemoryRecord) -> Vec<u64> {
    let commit = |reading: &Reading| (reading.committed, reading.stable);
    let stable = |reading: &Reading| (reading.stable, reading.end);
    let count = |measure: fn(&Reading) -> (i64, i64)| {
        let mut found = 0;
        for partition in 0..PARTITIONS {
            let looks: Vec<&Reading> = at(&record.readings, partition).collect();
            let waits = |look: &Reading| measure(look).0.max(look.start) < measure(look).1;
            let stands = |from: usize, to: usize| {
                (from..=to).all(|look| waits(looks[look]) && measure(looks[look]).0 == measure(looks[from]).0)
            };
            let too_long = |from: usize, to: usize| {
                let broken = record.course.troubles.iter().filter(|trouble| trouble.since_ns < looks[to].asked_ns);
                let since_ns = broken.map(|trouble| trouble.until_ns).max().unwrap_or(0).max(looks[from].answered_ns);
                stands(from, to) && looks[to].asked_ns.saturating_sub(since_ns) > LIMIT_MS * MS
            };
            let stalls = |from: usize| (from..looks.len()).any(|to| too_long(from, to));
            found += u64::from((0..looks.len()).any(stalls));
        }
        found
    };
    if record.readings.is_empty() { vec![0] } else { vec![count(commit), count(stable)] }
}

fn behind_naively(record: &MemoryRecord, budget: LagBudget) -> usize {
    let ended_ns = record.course.load_ended_ns.expect("it ends");
    let began_ns = record.course.load_began_ns.expect("it begins");
    let lag = |asked_ns: u64| {
        let look = record.readings.iter().filter(|reading| reading.asked_ns == asked_ns);
        look.map(|reading| (reading.end - reading.committed.max(reading.start)).max(0)).sum::<i64>().cast_unsigned()
    };
    let mut looks: Vec<u64> = record.readings.iter().map(|reading| reading.asked_ns).collect();
    looks.dedup();
    let lasts = |look: &&u64| (began_ns..=ended_ns).contains(*look);
    let too_far = looks.iter().filter(lasts).filter(|look| Some(lag(**look)) > budget.at_most).count();
    let late_ns = ended_ns + budget.drained_in.expect("a limit");
    too_far + usize::from(looks.iter().any(|look| *look > late_ns && lag(*look) > 0))
}

fn found(findings: Result<Vec<Finding>, RecordError>) -> Vec<u64> {
    findings.expect("a record in memory is readable").iter().map(|finding| finding.found).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn on_what_is_skipped_and_committed_too_far(record in records()) {
        prop_assert_eq!(found(skipped::check(&record, NOTHING)), [skipped_naively(&record) as u64]);
        prop_assert_eq!(found(committed_too_far::check(&record, NOTHING)), [too_far_naively(&record) as u64]);
    }

    #[test]
    fn on_what_goes_back_and_what_has_two_values(record in records()) {
        prop_assert_eq!(found(offset_regressed::check(&record, NOTHING)), [regressed_naively(&record) as u64]);
        prop_assert_eq!(found(inconsistent_offset::check(&record, NOTHING)), [inconsistent_naively(&record) as u64]);
    }

    #[test]
    fn on_what_stands_still(record in records()) {
        let limit = StandstillLimit::everywhere(LIMIT_MS * MS);
        prop_assert_eq!(found(stalled::check(&record, &limit)), stalled_naively(&record));
    }

    #[test]
    fn on_what_is_behind(record in records(), at_most in 0..12_u64) {
        let budget = LagBudget { at_most: Some(at_most), drained_in: Some(20 * MS) };
        prop_assert_eq!(found(lag::check(&record, &budget)), [behind_naively(&record, budget) as u64]);
    }
}
