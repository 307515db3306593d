//! The oracle and the checks agree on histories that no system would produce.

use crate::history::{self, LEDGER, LOAD, TOPIC};
use crate::oracle;
use proptest::prelude::*;
use shakedown_checks::{conserved, duplicated, latency, lost, phantom, reordered};
use shakedown_reports::expectation::{ConservationRule, LatencyBudget, Term};
use shakedown_reports::identity::{Identity, Key};
use shakedown_reports::memory::MemoryRecord;
use shakedown_reports::record::{Delivery, Flow, Operation, Outcome, RecordError};
use shakedown_reports::verdict::Finding;
use std::collections::BTreeMap;

fn identity(number: u64) -> Identity {
    // Both spaces of names, and numbers on both sides of a page and of a bitmap container.
    match number {
        0..4 => Identity::planned(number * 700),
        4 => Identity::planned(1 << 40),
        _ => Identity::interned((number - 5) * 40_000),
    }
}

fn key(number: u32) -> Key {
    match number {
        0 => Key::ABSENT,
        1 => Key::interned(1),
        other => Key::planned(other),
    }
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let outcome = prop_oneof![Just(Outcome::Ok), Just(Outcome::Fail), Just(Outcome::Unknown)];
    let operation = (1..4_u32, 0..6_u32, outcome, 0..3_i64);
    proptest::collection::vec(operation, 0..7).prop_map(|drawn| {
        let make = |(number, (key_number, key_sequence, outcome, value))| Operation {
            identity: identity(number),
            key: key(key_number),
            key_sequence,
            outcome,
            value,
            ..history::operation(number, 0, 0)
        };
        (0..).zip(drawn).map(make).collect()
    })
}

fn deliveries() -> impl Strategy<Value = Vec<Delivery>> {
    let delivery = (0..8_u64, 0..4_u32, 0..2_i32, 0..5_i64, 0..3_i64, 0..2_u64, 0..5_000_u64);
    proptest::collection::vec(delivery, 0..14).prop_map(|drawn| {
        let make = |(number, key_number, partition, offset, value, known, late_ns)| {
            let of = history::operation(number, 0, 0);
            let delivery = history::delivery(&of, late_ns);
            let (identity, key, intended_ns) = (identity(number), key(key_number), known * of.intended_ns);
            Delivery { identity, key, partition, offset, value, intended_ns, ..delivery }
        };
        drawn.into_iter().map(make).collect()
    })
}

/// Three streams with every flow between them.
fn records() -> impl Strategy<Value = MemoryRecord> {
    (operations(), deliveries(), deliveries()).prop_map(|(operations, topic, ledger)| {
        let mut record = history::system(2);
        record.add_flow(LOAD, LEDGER);
        record.operations = operations;
        record.deliveries[usize::from(TOPIC)] = topic;
        record.deliveries[usize::from(LEDGER)] = ledger;
        record
    })
}

fn found(findings: Result<Vec<Finding>, RecordError>) -> Vec<u64> {
    findings.expect("a record in memory is readable").iter().map(|finding| finding.found).collect()
}

fn as_counts(counts: impl IntoIterator<Item = usize>) -> Vec<u64> {
    counts.into_iter().map(|count| count as u64).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn on_what_is_lost_copied_and_invented(record in records()) {
        let flows = record.flows.iter();
        prop_assert_eq!(found(lost::check(&record, 0)), as_counts(flows.map(|flow| oracle::lost(&record, *flow))));
        let per_sink = |count: fn(&MemoryRecord, u16) -> usize| as_counts([TOPIC, LEDGER].map(|sink| count(&record, sink)));
        prop_assert_eq!(found(duplicated::check(&record, 0)), per_sink(oracle::duplicated));
        prop_assert_eq!(found(phantom::check(&record)), per_sink(oracle::phantom));
    }

    #[test]
    fn on_what_is_out_of_order(record in records()) {
        let flows = record.flows.iter();
        prop_assert_eq!(found(reordered::check(&record, 0)), as_counts(flows.map(|flow| oracle::reordered(&record, *flow))));
    }

    #[test]
    fn on_what_is_conserved(record in records()) {
        let sum = |name: &str| Term::Sum(name.to_owned());
        // By label and by bare name, and whatever stands first.
        let orders = [["load", "topic orders", "tracker"], ["tracker", "orders", "load"]];
        for names in orders {
            let rule = ConservationRule { name: "money".to_owned(), equal: names.map(sum).to_vec() };
            prop_assert_eq!(found(conserved::check(&record, &[rule])), as_counts([oracle::disagreeing(&record)]));
        }
    }

    #[test]
    fn on_every_percentile(record in records(), percent in 1..100_usize, bound in 0..5_000_u64) {
        for flow in [Flow { from: LOAD, to: TOPIC }, Flow { from: LOAD, to: LEDGER }] {
            let latencies = oracle::latencies(&record, flow);
            let at_most = BTreeMap::from([(format!("p{percent}"), bound), ("max".to_owned(), bound)]);
            let budgets = BTreeMap::from([("hop".to_owned(), LatencyBudget { flow: Some(flow), at_most, partitions: None })]);
            let rank = (latencies.len() * percent).div_ceil(100);
            let broken = [rank, latencies.len()].into_iter().filter(|rank| *rank > 0 && latencies[rank - 1] > bound);
            prop_assert_eq!(found(latency::check(&record, &budgets)), as_counts([broken.count()]));
        }
    }
}
