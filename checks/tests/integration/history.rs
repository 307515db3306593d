//! Histories to judge: a clean one of any shape, and single operations and deliveries to write by hand.

use proptest::prelude::*;
use shakedown_checks::judge;
use shakedown_reports::expectation::{ConservationRule, Expectations, LatencyBudget, Term};
use shakedown_reports::identity::{Identity, Key};
use shakedown_reports::memory::MemoryRecord;
use shakedown_reports::record::{Delivery, Flow, Operation, Outcome, StreamId, StreamKind};
use shakedown_reports::verdict::{Finding, Outcome as Judgement, Verdict};
use std::collections::BTreeMap;

pub(crate) const LOAD: StreamId = 0;
pub(crate) const TOPIC: StreamId = 1;
pub(crate) const LEDGER: StreamId = 2;
/// No clean delivery takes longer.
pub(crate) const LATENCY_MAX_NS: u64 = 1_000_000_000;
const PARTITIONS: u32 = 3;
const STARTED_NS: u64 = 1_700_000_000_000_000_000;

/// An acknowledged operation.
pub(crate) fn operation(sequence: u64, key: u32, key_sequence: u32) -> Operation {
    let intended_ns = STARTED_NS + sequence * 1_000;
    Operation {
        identity: Identity::planned(sequence),
        key: Key::planned(key),
        key_sequence,
        outcome: Outcome::Ok,
        error: 0,
        partition: i32::try_from(key % PARTITIONS).expect("few partitions"),
        offset: i64::try_from(sequence).expect("few messages"),
        value: 1_000 + i64::try_from(sequence).expect("few messages"),
        intended_ns,
        sent_ns: intended_ns,
        completed_ns: intended_ns + 500,
    }
}

/// Its delivery, `late_ns` after its intended instant.
pub(crate) fn delivery(of: &Operation, late_ns: u64) -> Delivery {
    Delivery {
        identity: of.identity,
        key: of.key,
        partition: of.partition,
        offset: of.offset,
        timestamp_ms: -1,
        value: of.value,
        intended_ns: of.intended_ns,
        received_ns: of.intended_ns + late_ns,
    }
}

/// Load, a topic behind it, and (with `hops == 2`) a ledger behind the topic, all of it empty.
pub(crate) fn system(hops: u16) -> MemoryRecord {
    let mut record = MemoryRecord::new();
    record.add_stream("load", StreamKind::Load);
    record.add_stream("orders", StreamKind::Topic);
    record.add_flow(LOAD, TOPIC);
    if hops == 2 {
        record.add_stream("tracker", StreamKind::Ledger);
        record.add_flow(TOPIC, LEDGER);
    }
    record
}

/// Everything that can be asked of a system of this many hops.
pub(crate) fn everything(hops: u16) -> Expectations {
    let mut terms = vec![Term::Sum("load".to_owned()), Term::Sum("topic orders".to_owned())];
    if hops == 2 {
        terms.push(Term::Sum("ledger tracker".to_owned()));
    }
    let at_most = BTreeMap::from([("max".to_owned(), LATENCY_MAX_NS)]);
    let budget = LatencyBudget { flow: Some(Flow { from: hops - 1, to: hops }), at_most, partitions: None };
    Expectations {
        lost: Some(0),
        duplicated: Some(0.into()),
        order_per_key: true,
        conserved: vec![ConservationRule { name: "money".to_owned(), equal: terms }],
        latency: BTreeMap::from([("end-to-end".to_owned(), budget)]),
        ..Expectations::default()
    }
}

/// The judgement of a record that is readable by construction.
pub(crate) fn judged(record: &MemoryRecord, expectations: &Expectations) -> Verdict {
    judge(record, expectations).expect("a record in memory is readable")
}

/// The findings of one check.
pub(crate) fn findings<'a>(verdict: &'a Verdict, check: &str) -> Vec<&'a Finding> {
    verdict.findings.iter().filter(|finding| finding.check == check).collect()
}

/// The checks that convict.
pub(crate) fn convicting(verdict: &Verdict) -> Vec<&str> {
    let mut checks: Vec<_> = verdict.findings.iter().filter(|finding| finding.outcome == Judgement::Fail).collect();
    checks.dedup_by_key(|finding| &finding.check);
    checks.into_iter().map(|finding| finding.check.as_str()).collect()
}

/// What chance decides of one message of a clean history.
#[derive(Debug, Clone, Copy)]
struct Draw {
    key: u32,
    outcome: Outcome,
    /// Whether an operation of unknown outcome was written after all.
    written: bool,
    /// Which partition a consumer reads next, for the topic and for the ledger.
    turns: [u8; 2],
}

fn draws() -> impl Strategy<Value = Draw> {
    let outcome = prop_oneof![8 => Just(Outcome::Ok), 1 => Just(Outcome::Fail), 1 => Just(Outcome::Unknown)];
    (0..4_u32, outcome, any::<bool>(), any::<[u8; 2]>()).prop_map(|(key, outcome, written, turns)| Draw {
        key,
        outcome,
        written,
        turns,
    })
}

/// A history without any anomaly, over one hop or two, and how many.
pub(crate) fn clean() -> impl Strategy<Value = (MemoryRecord, u16)> {
    (proptest::collection::vec(draws(), 1..60), 1..=2_u16).prop_map(|(draws, hops)| (build(&draws, hops), hops))
}

fn build(draws: &[Draw], hops: u16) -> MemoryRecord {
    let mut record = system(hops);
    let mut key_lengths = BTreeMap::new();
    let mut logs = vec![Vec::new(); PARTITIONS as usize];
    for (sequence, draw) in (0..).zip(draws) {
        let key_sequence: &mut u32 = key_lengths.entry(draw.key).or_default();
        let mut operation = Operation { outcome: draw.outcome, ..operation(sequence, draw.key, *key_sequence) };
        *key_sequence += 1;
        let log = &mut logs[(draw.key % PARTITIONS) as usize];
        operation.offset = i64::try_from(log.len()).expect("short logs");
        if draw.outcome == Outcome::Ok || (draw.outcome == Outcome::Unknown && draw.written) {
            log.push(delivery(&operation, 1_000));
        }
        if draw.outcome != Outcome::Ok {
            (operation.partition, operation.offset, operation.error) = (-1, -1, -185);
        }
        record.push_operation(operation);
    }
    let turns = |consumer: usize| draws.iter().map(move |draw| draw.turns[consumer]);
    record.deliveries[usize::from(TOPIC)] = consume(&logs, turns(0));
    if hops == 2 {
        let unaware = |delivery: Delivery| Delivery { intended_ns: 0, ..delivery };
        record.deliveries[usize::from(LEDGER)] = consume(&logs, turns(1)).into_iter().map(unaware).collect();
    }
    record
}

/// Reads all partitions to their ends, each in order, one or another next.
fn consume(logs: &[Vec<Delivery>], turns: impl Iterator<Item = u8>) -> Vec<Delivery> {
    let mut positions = vec![0; logs.len()];
    let mut consumed = Vec::new();
    let mut turns = turns.map(usize::from).chain(std::iter::repeat(0));
    loop {
        let unread: Vec<_> = (0..logs.len()).filter(|log| positions[*log] < logs[*log].len()).collect();
        if unread.is_empty() {
            return consumed;
        }
        let log = unread[turns.next().unwrap_or_default() % unread.len()];
        consumed.push(logs[log][positions[log]]);
        positions[log] += 1;
    }
}
