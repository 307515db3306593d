//! History mutators for what is watched: each does to a clean record what one class of bug does to consumer groups,
//! coordinators and replicas. What they do to messages is in [`crate::mutate`].

use crate::{committed_too_far, inconsistent_offset, lag, lost, offset_regressed, skipped, stalled};
use shakedown_reports::memory::MemoryRecord;
use shakedown_reports::record::StreamId;
use shakedown_reports::watch::{Commit, CommitKind};

/// One way to falsify what is known of a group or of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchedMutation {
    /// The group never did the work for the delivery at this place of its sink, and committed all the same.
    Skip {
        /// Where its work shows.
        sink: StreamId,
    },
    /// The commit at this place came before the work for the message behind it, and covers it.
    AdvanceCommit,
    /// After everything else, the group committed one less at the partition of the commit at this place.
    RewindCommit,
    /// The same, by somebody outside of the group while it had no member: no anomaly.
    Reset,
    /// The coordinator answered, at the reading at this place alone, one less for its partition than before.
    ForgetCommit,
    /// From the reading at this place on, the group committed nothing more at its partition.
    Freeze,
    /// Who read the topic again read another amount at this place.
    AlterReread {
        /// The second reading.
        stream: StreamId,
    },
}

impl WatchedMutation {
    /// The checks that must convict it, where all are asked; all others must not.
    #[must_use]
    pub fn convicted_by(self) -> &'static [&'static str] {
        match self {
            Self::Skip { .. } => &[lost::NAME, skipped::NAME, committed_too_far::NAME],
            Self::AdvanceCommit => &[committed_too_far::NAME],
            Self::RewindCommit | Self::ForgetCommit => &[offset_regressed::NAME],
            Self::Reset => &[],
            Self::Freeze => &[stalled::NAME, lag::NAME],
            Self::AlterReread { .. } => &[inconsistent_offset::NAME],
        }
    }

    /// Applies it at `index`. `false`, with the record unchanged, where there is nothing to falsify there.
    pub fn apply(self, record: &mut MemoryRecord, index: usize) -> bool {
        match self {
            Self::Skip { sink } => skip(record, sink, index),
            Self::AdvanceCommit => advance(record, index),
            Self::RewindCommit => go_back(record, index, CommitKind::Member),
            Self::Reset => go_back(record, index, CommitKind::Reset),
            Self::ForgetCommit => forget(record, index),
            Self::Freeze => freeze(record, index),
            Self::AlterReread { stream } => alter(record, stream, index),
        }
    }
}

fn skip(record: &mut MemoryRecord, sink: StreamId, index: usize) -> bool {
    let Some(deliveries) = record.deliveries.get_mut(usize::from(sink)).filter(|sink| index < sink.len()) else {
        return false;
    };
    deliveries.remove(index);
    true
}

fn alter(record: &mut MemoryRecord, stream: StreamId, index: usize) -> bool {
    let delivery = record.deliveries.get_mut(usize::from(stream)).and_then(|deliveries| deliveries.get_mut(index));
    delivery.map(|delivery| delivery.value += 1).is_some()
}

/// Only where the message was processed after the commit, and where the next commit of the partition covers it, too.
fn advance(record: &mut MemoryRecord, index: usize) -> bool {
    let Some(commit) = record.commits.get(index).copied() else { return false };
    let same = |other: &&Commit| (other.watch, other.partition) == (commit.watch, commit.partition);
    let next = record.commits.iter().skip(index + 1).find(same);
    let watch = &record.watches[usize::from(commit.watch)];
    let behind = watch.source.into_iter().flat_map(|source| &record.deliveries[usize::from(source)]);
    let mut behind = behind.filter(|message| (message.partition, message.offset) == (commit.partition, commit.offset));
    let Some(message) = behind.next().map(|message| message.identity) else { return false };
    let late = |sink: &StreamId| {
        let mut copies = record.deliveries[usize::from(*sink)].iter();
        copies.any(|copy| copy.identity == message && copy.received_ns > commit.seen_ns)
    };
    let covered = next.is_some_and(|next| next.offset > commit.offset);
    let applies = commit.kind == CommitKind::Member && covered && watch.sinks.iter().any(late);
    if applies {
        record.commits[index].offset += 1;
    }
    applies
}

fn go_back(record: &mut MemoryRecord, index: usize, kind: CommitKind) -> bool {
    let Some(place) = record.commits.get(index).map(|commit| (commit.watch, commit.partition)) else { return false };
    let Some(log_end) = record.commits.iter().map(|commit| commit.log_offset + 1).max() else { return false };
    let last = record.commits.iter().rfind(|commit| (commit.watch, commit.partition) == place);
    let Some(last) = last.copied().filter(|last| last.offset > 0) else { return false };
    record.commits.push(Commit { kind, offset: last.offset - 1, log_offset: log_end, ..last });
    true
}

fn forget(record: &mut MemoryRecord, index: usize) -> bool {
    let Some(first) = record.readings.get(index).copied() else { return false };
    let place = (first.watch, first.partition);
    let before = record.readings[..index].iter().rfind(|reading| (reading.watch, reading.partition) == place);
    // Where more was committed since the reading before, one less does not go back.
    if first.committed < 1 || before.is_none_or(|before| before.committed != first.committed) {
        return false;
    }
    record.readings[index].committed -= 1;
    true
}

/// Only where there is more to commit afterwards.
fn freeze(record: &mut MemoryRecord, index: usize) -> bool {
    let Some(first) = record.readings.get(index).copied() else { return false };
    let later = record.readings[index..].iter_mut();
    let later = later.filter(|reading| (reading.watch, reading.partition) == (first.watch, first.partition));
    let mut applies = false;
    for reading in later.filter(|reading| reading.committed > first.committed) {
        reading.committed = first.committed;
        applies = true;
    }
    applies
}
