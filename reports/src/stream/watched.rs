//! Commits and readings as rows of numbers.

use super::entry::sealed;
use crate::watch::{Commit, CommitKind, Reading};

impl sealed::Entry for Commit {
    const MAGIC: [u8; 8] = *b"SHKDNCOM";
    type Row = [i64; 9];

    fn known_at_ns(&self) -> u64 {
        self.seen_ns
    }

    fn row(&self) -> Self::Row {
        [
            self.watch.into(),
            (self.kind as u8).into(),
            self.partition.into(),
            self.offset,
            self.leader_epoch.into(),
            self.generation.into(),
            self.log_offset,
            self.committed_ms,
            self.seen_ns.cast_signed(),
        ]
    }

    fn of(row: &Self::Row) -> Option<Self> {
        let [watch, kind, partition, offset, leader_epoch, generation, log_offset, committed_ms, seen] = *row;
        Some(Self {
            watch: watch.try_into().ok()?,
            kind: kind_of(kind)?,
            partition: partition.try_into().ok()?,
            offset,
            leader_epoch: leader_epoch.try_into().ok()?,
            generation: generation.try_into().ok()?,
            log_offset,
            committed_ms,
            seen_ns: seen.cast_unsigned(),
        })
    }
}

impl sealed::Entry for Reading {
    const MAGIC: [u8; 8] = *b"SHKDNREA";
    type Row = [i64; 8];

    fn known_at_ns(&self) -> u64 {
        self.answered_ns
    }

    fn row(&self) -> Self::Row {
        let (asked, answered) = (self.asked_ns.cast_signed(), self.answered_ns.cast_signed());
        let (watch, partition) = (self.watch.into(), self.partition.into());
        [watch, partition, self.start, self.stable, self.end, self.committed, asked, answered]
    }

    fn of(row: &Self::Row) -> Option<Self> {
        let [watch, partition, start, stable, end, committed, asked, answered] = *row;
        Some(Self {
            watch: watch.try_into().ok()?,
            partition: partition.try_into().ok()?,
            start,
            stable,
            end,
            committed,
            asked_ns: asked.cast_unsigned(),
            answered_ns: answered.cast_unsigned(),
        })
    }
}

fn kind_of(number: i64) -> Option<CommitKind> {
    [CommitKind::Member, CommitKind::Reset, CommitKind::Removed]
        .into_iter()
        .find(|kind| i64::from(*kind as u8) == number)
}

#[cfg(test)]
mod tests {
    use super::sealed::Entry as _;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_commit_survives_the_disk(
            (watch, partition, leader_epoch, generation) in any::<(u16, i32, i32, i32)>(),
            (offset, log_offset, committed_ms, seen_ns) in any::<(i64, i64, i64, u64)>(),
            kind in prop_oneof![Just(CommitKind::Member), Just(CommitKind::Reset), Just(CommitKind::Removed)],
        ) {
            let commit =
                Commit { watch, kind, partition, offset, leader_epoch, generation, log_offset, committed_ms, seen_ns };
            prop_assert_eq!(Commit::of(&commit.row()), Some(commit));
        }

        #[test]
        fn every_reading_survives_the_disk(
            (watch, partition) in any::<(u16, i32)>(),
            [start, stable, end, committed] in any::<[i64; 4]>(),
            [asked_ns, answered_ns] in any::<[u64; 2]>(),
        ) {
            let reading = Reading { watch, partition, start, stable, end, committed, asked_ns, answered_ns };
            prop_assert_eq!(Reading::of(&reading.row()), Some(reading));
        }
    }

    #[test]
    fn a_kind_that_does_not_exist_is_no_commit() {
        assert!(Commit::of(&[0; 9]).is_some());
        assert_eq!(Commit::of(&[0, 3, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
