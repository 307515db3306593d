//! Which leader epoch began at which offset (Kafka's `LeaderEpochFileCache`). Rebuilt from the batches' headers at
//! recovery, so that it can never say anything else than the log.

use crate::types::{LeaderEpoch, Offset};

/// The epochs of a log, oldest first, each with the offset of its first batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Epochs {
    starts: Vec<(LeaderEpoch, Offset)>,
}

impl Epochs {
    /// A batch of this epoch lies at this offset, or a leader of this epoch begins to append there. Epochs never go back;
    /// an epoch that began without leaving a batch gives way to the next.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) {
        if self.latest().is_some_and(|latest| latest >= epoch) {
            return;
        }
        while self.starts.last().is_some_and(|(_, began)| *began >= start) {
            self.starts.pop();
        }
        self.starts.push((epoch, start));
    }

    /// The newest epoch.
    #[must_use]
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.starts.last().map(|(epoch, _)| *epoch)
    }

    /// The largest epoch of the log that is not above the one that was asked for, and where it ends. `None` for epochs
    /// that are newer than the log or older than its beginning.
    #[must_use]
    pub fn end_of(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<(LeaderEpoch, Offset)> {
        let above = self.starts.partition_point(|(known, _)| *known <= epoch);
        let (found, _) = self.starts.get(above.checked_sub(1)?)?;
        match self.starts.get(above) {
            Some((_, next)) => Some((*found, *next)),
            None if *found == epoch => Some((epoch, log_end)),
            None => None,
        }
    }

    /// Where the oldest epoch that the log knows begins.
    #[must_use]
    pub fn first(&self) -> Option<(LeaderEpoch, Offset)> {
        self.starts.first().copied()
    }

    /// The epoch of the batch that holds an offset.
    #[must_use]
    pub fn at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let above = self.starts.partition_point(|(_, start)| *start <= offset);
        self.starts.get(above.checked_sub(1)?).map(|(epoch, _)| *epoch)
    }

    /// The log ends here now.
    pub fn truncate_to(&mut self, end: Offset) {
        while self.starts.last().is_some_and(|(_, start)| *start >= end) {
            self.starts.pop();
        }
    }

    /// The log begins here now.
    pub fn begin_at(&mut self, start: Offset) {
        let above = self.starts.partition_point(|(_, began)| *began <= start);
        if above > 0 {
            self.starts.drain(..above - 1);
            self.starts[0].1 = start;
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.starts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(starts: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        starts.iter().for_each(|(epoch, start)| epochs.assign(LeaderEpoch(*epoch), Offset(*start)));
        epochs
    }

    fn end(epochs: &Epochs, epoch: i32) -> Option<(i32, i64)> {
        epochs.end_of(LeaderEpoch(epoch), Offset(100)).map(|(epoch, end)| (epoch.0, end.0))
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let epochs = epochs(&[(1, 0), (3, 40), (7, 90)]);
        assert_eq!([end(&epochs, 1), end(&epochs, 3), end(&epochs, 7)], [Some((1, 40)), Some((3, 90)), Some((7, 100))]);
        assert_eq!(end(&epochs, 5), Some((3, 90)), "an epoch without batches: the one below");
        assert_eq!([end(&epochs, 8), end(&epochs, 0)], [None, None], "newer than the log, older than it");
        assert_eq!(epochs.at(Offset(39)), Some(LeaderEpoch(1)));
    }

    #[test]
    fn truncation_takes_epochs_back_and_empty_ones_give_way() {
        let mut kept = epochs(&[(1, 0), (3, 40), (7, 90)]);
        kept.truncate_to(Offset(40));
        assert_eq!(kept, epochs(&[(1, 0)]));
        kept.assign(LeaderEpoch(4), Offset(40));
        kept.assign(LeaderEpoch(5), Offset(40));
        assert_eq!(kept, epochs(&[(1, 0), (5, 40)]));
        kept.assign(LeaderEpoch(2), Offset(60));
        assert_eq!(kept.latest(), Some(LeaderEpoch(5)), "epochs never go back");
        kept.begin_at(Offset(55));
        assert_eq!(kept.first(), Some((LeaderEpoch(5), Offset(55))));
    }
}
