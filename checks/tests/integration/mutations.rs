//! Every mutation of any clean history is convicted by exactly its checks, and clean histories by none.

use crate::history::{self, LATENCY_MAX_NS, LEDGER, TOPIC};
use proptest::prelude::*;
use shakedown_checks::mutate::Mutation;
use shakedown_reports::memory::MemoryRecord;
use shakedown_reports::record::Outcome::Ok as Acknowledged;
use shakedown_reports::record::{Operation, StreamId};
use shakedown_reports::verdict::Outcome;

fn mutations() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        Just(Mutation::Drop),
        Just(Mutation::Duplicate),
        Just(Mutation::Swap),
        Just(Mutation::AlterAmount),
        Just(Mutation::MoveKey),
        Just(Mutation::Delay(LATENCY_MAX_NS)),
        Just(Mutation::Invent),
    ]
}

/// Whether the source of this delivery promised it. A topic promises all that it has.
fn vouched_for(record: &MemoryRecord, sink: StreamId, index: usize) -> bool {
    let identity = record.deliveries[usize::from(sink)][index].identity;
    let acknowledged = |operation: &Operation| operation.identity == identity && operation.outcome == Acknowledged;
    sink == LEDGER || record.operations.iter().any(acknowledged)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_clean_history_is_never_convicted((record, hops) in history::clean()) {
        let verdict = history::judged(&record, &history::everything(hops));
        for finding in &verdict.findings {
            let expected = if finding.compared == 0 { Outcome::Inconclusive } else { Outcome::Pass };
            prop_assert_eq!(finding.outcome, expected, "{:?}", finding);
            prop_assert_eq!(finding.found, 0);
        }
    }

    #[test]
    fn a_mutation_is_convicted_by_exactly_its_checks(
        (mut record, hops) in history::clean(),
        mutation in mutations(),
        place in any::<prop::sample::Index>(),
    ) {
        // The last sink: what is missing in the middle would be missing behind it as well.
        let sink = if hops == 2 { LEDGER } else { TOPIC };
        let length = record.deliveries[usize::from(sink)].len();
        prop_assume!(length > 0);
        let index = place.index(length);
        // Nobody vouches for an operation of unknown outcome: it may be missing.
        prop_assume!(mutation != Mutation::Drop || vouched_for(&record, sink, index));
        prop_assume!(mutation.apply(&mut record, sink, index));

        let verdict = history::judged(&record, &history::everything(hops));
        prop_assert_eq!(history::convicting(&verdict), mutation.convicted_by(), "{:#?}", verdict);
        for check in mutation.convicted_by() {
            let found: u64 = history::findings(&verdict, check).iter().map(|finding| finding.found).sum();
            prop_assert_eq!(found, 1, "{} of {:?}", check, mutation);
        }
    }

    #[test]
    fn a_conviction_shows_its_evidence((mut record, hops) in history::clean(), mutation in mutations()) {
        let sink = if hops == 2 { LEDGER } else { TOPIC };
        prop_assume!(mutation.apply(&mut record, sink, 0));
        let verdict = history::judged(&record, &history::everything(hops));
        for finding in &verdict.findings {
            prop_assert_eq!(finding.outcome == Outcome::Fail, !finding.evidence.is_empty(), "{:?}", finding);
        }
    }
}

#[test]
fn a_mutation_without_a_victim_changes_nothing() {
    let mut record = history::system(1);
    record.push_operation(history::operation(0, 0, 0));
    record.push_delivery(TOPIC, history::delivery(&history::operation(0, 0, 0), 1));
    let before = record.clone();
    assert!(!Mutation::Drop.apply(&mut record, TOPIC, 1), "there is one delivery");
    assert!(!Mutation::Swap.apply(&mut record, TOPIC, 0), "its key has no other");
    assert!(!Mutation::Drop.apply(&mut record, 9, 0), "there is no such stream");
    assert_eq!(record, before);
}

#[test]
fn a_swap_exchanges_messages_and_leaves_places_and_times() {
    let mut record = history::system(1);
    for sequence in 0..3 {
        let operation = history::operation(sequence.into(), sequence % 2, sequence / 2);
        record.push_delivery(TOPIC, history::delivery(&operation, u64::from(sequence)));
    }
    let before = record.deliveries[usize::from(TOPIC)].clone();
    assert!(Mutation::Swap.apply(&mut record, TOPIC, 0));
    let after = &record.deliveries[usize::from(TOPIC)];
    assert_eq!([0, 1, 2].map(|place| after[place].identity), [2, 1, 0].map(|place| before[place].identity));
    for (before, after) in before.iter().zip(after) {
        assert_eq!(
            (after.partition, after.offset, after.received_ns),
            (before.partition, before.offset, before.received_ns)
        );
    }
}
