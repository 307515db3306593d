//! Each invariant is shown to work: a core with a defect switched on is convicted.

use crate::runner::live_many;
use shakedown_broker::config::Defect;

/// Every defect that a node can be given.
pub(crate) const ALL: &[Defect] = &[
    Defect::AcknowledgeBeforeReplication,
    Defect::HighWatermarkIsLogEnd,
    Defect::NoTruncation,
    Defect::NoFencing,
    Defect::LostIsrChange,
    Defect::TrustUnsynced,
    Defect::SkipReplay,
    Defect::VoteTwice,
];

/// Within how many lifetimes a defect has to be convicted.
const LIFETIMES_MAX: u64 = 500;

#[test]
fn defects_are_convicted() {
    let mut missed = Vec::new();
    for (number, defect) in ALL.iter().enumerate() {
        let outcome = live_many(1, LIFETIMES_MAX, Some(*defect), false);
        match outcome.convicted.first_key_value() {
            Some((seed, violation)) => {
                println!("{number} {defect:?}: convicted after {} lifetimes: seed {seed} {violation}", outcome.lived);
            }
            None => missed.push(*defect),
        }
    }
    assert!(missed.is_empty(), "not convicted within {LIFETIMES_MAX} lifetimes: {missed:?}");
}
