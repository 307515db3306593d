//! Commits and readings as fixed-size little-endian entries.

use super::entry::{Fields, sealed};
use crate::watch::{Commit, CommitKind, Reading};

impl sealed::Entry for Commit {
    const MAGIC: [u8; 8] = *b"SHKDNCOM";
    const SIZE: usize = 48;

    fn known_at_ns(&self) -> u64 {
        self.seen_ns
    }

    fn encode(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.watch.to_le_bytes());
        buffer.extend_from_slice(&[self.kind as u8, 0]);
        buffer.extend_from_slice(&self.partition.to_le_bytes());
        buffer.extend_from_slice(&self.offset.to_le_bytes());
        buffer.extend_from_slice(&self.leader_epoch.to_le_bytes());
        buffer.extend_from_slice(&self.generation.to_le_bytes());
        buffer.extend_from_slice(&self.log_offset.to_le_bytes());
        buffer.extend_from_slice(&self.committed_ms.to_le_bytes());
        buffer.extend_from_slice(&self.seen_ns.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let watch = u16::from_le_bytes(fields.take()?);
        let [kind, 0] = fields.take()? else { return None };
        Some(Self {
            watch,
            kind: decode_kind(kind)?,
            partition: i32::from_le_bytes(fields.take()?),
            offset: i64::from_le_bytes(fields.take()?),
            leader_epoch: i32::from_le_bytes(fields.take()?),
            generation: i32::from_le_bytes(fields.take()?),
            log_offset: i64::from_le_bytes(fields.take()?),
            committed_ms: i64::from_le_bytes(fields.take()?),
            seen_ns: u64::from_le_bytes(fields.take()?),
        })
    }
}

impl sealed::Entry for Reading {
    const MAGIC: [u8; 8] = *b"SHKDNREA";
    const SIZE: usize = 56;

    fn known_at_ns(&self) -> u64 {
        self.answered_ns
    }

    fn encode(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.watch.to_le_bytes());
        buffer.extend_from_slice(&[0; 2]);
        buffer.extend_from_slice(&self.partition.to_le_bytes());
        for offset in [self.start, self.stable, self.end, self.committed] {
            buffer.extend_from_slice(&offset.to_le_bytes());
        }
        buffer.extend_from_slice(&self.asked_ns.to_le_bytes());
        buffer.extend_from_slice(&self.answered_ns.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let watch = u16::from_le_bytes(fields.take()?);
        let [0, 0] = fields.take()? else { return None };
        Some(Self {
            watch,
            partition: i32::from_le_bytes(fields.take()?),
            start: i64::from_le_bytes(fields.take()?),
            stable: i64::from_le_bytes(fields.take()?),
            end: i64::from_le_bytes(fields.take()?),
            committed: i64::from_le_bytes(fields.take()?),
            asked_ns: u64::from_le_bytes(fields.take()?),
            answered_ns: u64::from_le_bytes(fields.take()?),
        })
    }
}

fn decode_kind(byte: u8) -> Option<CommitKind> {
    [CommitKind::Member, CommitKind::Reset, CommitKind::Removed].into_iter().find(|kind| *kind as u8 == byte)
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
            let mut buffer = Vec::new();
            commit.encode(&mut buffer);
            prop_assert_eq!(buffer.len(), Commit::SIZE);
            prop_assert_eq!(Commit::decode(&buffer), Some(commit));
        }

        #[test]
        fn every_reading_survives_the_disk(
            (watch, partition) in any::<(u16, i32)>(),
            [start, stable, end, committed] in any::<[i64; 4]>(),
            [asked_ns, answered_ns] in any::<[u64; 2]>(),
        ) {
            let reading = Reading { watch, partition, start, stable, end, committed, asked_ns, answered_ns };
            let mut buffer = Vec::new();
            reading.encode(&mut buffer);
            prop_assert_eq!(buffer.len(), Reading::SIZE);
            prop_assert_eq!(Reading::decode(&buffer), Some(reading));
        }
    }

    #[test]
    fn a_kind_that_does_not_exist_is_no_commit() {
        let mut bytes = [0; Commit::SIZE];
        assert!(Commit::decode(&bytes).is_some());
        bytes[2] = 3;
        assert_eq!(Commit::decode(&bytes), None);
    }
}
