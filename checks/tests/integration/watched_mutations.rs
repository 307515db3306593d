//! Every mutation of what is watched is convicted by exactly its checks, and clean histories by none.

use crate::history::{self, LEDGER, convicting};
use crate::watched::{self, AGAIN};
use proptest::prelude::*;
use shakedown_checks::mutate_watched::WatchedMutation;
use shakedown_checks::{offset_regressed, stalled};
use shakedown_reports::memory::MemoryRecord;
use shakedown_reports::verdict::Outcome;

fn mutations() -> impl Strategy<Value = WatchedMutation> {
    prop_oneof![
        Just(WatchedMutation::Skip { sink: LEDGER }),
        Just(WatchedMutation::AdvanceCommit),
        Just(WatchedMutation::RewindCommit),
        Just(WatchedMutation::Reset),
        Just(WatchedMutation::ForgetCommit),
        Just(WatchedMutation::Freeze),
        Just(WatchedMutation::AlterReread { stream: AGAIN }),
    ]
}

/// How many places there are for it.
fn places(mutation: WatchedMutation, record: &MemoryRecord) -> usize {
    match mutation {
        WatchedMutation::Skip { sink: stream } | WatchedMutation::AlterReread { stream } => {
            record.deliveries[usize::from(stream)].len()
        }
        WatchedMutation::AdvanceCommit | WatchedMutation::RewindCommit | WatchedMutation::Reset => record.commits.len(),
        WatchedMutation::ForgetCommit | WatchedMutation::Freeze => record.readings.len(),
    }
}

/// A forgotten commit is a lag of one as well, which is too late where the group had drained long before.
fn is_late(mutation: WatchedMutation, record: &MemoryRecord, index: usize) -> bool {
    mutation == WatchedMutation::ForgetCommit && record.readings[index].asked_ns > watched::at(watched::WORK_MS + 5_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_clean_history_is_never_convicted(record in watched::clean()) {
        let verdict = history::judged(&record, &watched::everything());
        for finding in &verdict.findings {
            let expected = if finding.compared == 0 { Outcome::Inconclusive } else { Outcome::Pass };
            prop_assert_eq!(finding.outcome, expected, "{:?}", finding);
            prop_assert_eq!(finding.found, 0);
        }
    }

    #[test]
    fn a_mutation_is_convicted_by_exactly_its_checks(
        mut record in watched::clean(),
        mutation in mutations(),
        place in any::<prop::sample::Index>(),
    ) {
        let length = places(mutation, &record);
        prop_assume!(length > 0);
        // Few places will do for some; take the next one that does.
        let from = place.index(length);
        let fits = |index: &usize| !is_late(mutation, &record, *index) && mutation.apply(&mut record.clone(), *index);
        let index = (0..length).map(|step| (from + step) % length).find(fits);
        prop_assume!(index.is_some());
        prop_assert!(mutation.apply(&mut record, index.unwrap_or_default()));

        let verdict = history::judged(&record, &watched::everything());
        prop_assert_eq!(convicting(&verdict), mutation.convicted_by(), "{:#?}", verdict);
        for finding in verdict.findings.iter().filter(|finding| finding.outcome == Outcome::Fail) {
            prop_assert!(!finding.evidence.is_empty(), "{:?}", finding);
        }
    }

    #[test]
    fn an_incomplete_record_convicts_by_what_is_there_and_not_by_what_is_missing(
        mut record in watched::clean(),
        mutation in mutations(),
    ) {
        prop_assume!((0..places(mutation, &record)).any(|index| mutation.apply(&mut record, index)));
        record.defects.push("commits of groups: commits.bin was not finished".to_owned());
        let verdict = history::judged(&record, &watched::everything());
        let proven = convicting(&verdict);
        prop_assert!(!proven.contains(&stalled::NAME));
        let goes_back = [WatchedMutation::RewindCommit, WatchedMutation::ForgetCommit].contains(&mutation);
        prop_assert_eq!(proven.contains(&offset_regressed::NAME), goes_back);
    }
}

#[test]
fn a_mutation_without_a_place_changes_nothing() {
    let mut record = watched::system();
    record.commits.push(watched::commit(0, 0, 0, 1));
    record.readings.push(watched::reading(0, -1, 0, 0));
    let before = record.clone();
    for mutation in [
        WatchedMutation::Skip { sink: LEDGER },
        WatchedMutation::AdvanceCommit,
        WatchedMutation::RewindCommit,
        WatchedMutation::Reset,
        WatchedMutation::ForgetCommit,
        WatchedMutation::Freeze,
        WatchedMutation::AlterReread { stream: AGAIN },
    ] {
        assert!(!mutation.apply(&mut record, 0), "{mutation:?}");
        assert!(!mutation.apply(&mut record, 9), "{mutation:?}");
    }
    assert_eq!(record, before);
}
