//! Where a follower's log leaves its leader's, and what the follower cuts off for it (KIP-320).

use super::ReplicatedLog;
use crate::log::store::{LogStore, StorageError};
use crate::types::{LeaderEpoch, Offset};

impl ReplicatedLog {
    /// Where a follower's log leaves this one: `None` while the follower's end is part of it.
    #[must_use]
    pub fn divergence(&self, offset: Offset, last_epoch: Option<LeaderEpoch>) -> Option<(LeaderEpoch, Offset)> {
        let last_epoch = last_epoch?;
        match self.epochs.end_of(last_epoch, self.end) {
            Some((epoch, end)) if epoch < last_epoch || end < offset => Some((epoch, end)),
            Some(_) => None,
            // A follower that is newer than everything here has records that no leader kept; one that is older than
            // everything here is told where this log begins.
            None => match self.epochs.first() {
                Some((first, start)) if last_epoch < first && offset <= start => None,
                Some((first, start)) if last_epoch < first => Some((LeaderEpoch(-1), start)),
                _ => Some((self.epochs.latest().unwrap_or(LeaderEpoch(-1)), self.end)),
            },
        }
    }

    /// Cuts the log where it left its leader's, by what the leader said of it. Returns the end before.
    ///
    /// # Errors
    /// When the store cannot.
    pub fn follow_divergence(
        &mut self,
        store: &mut dyn LogStore,
        (epoch, end): (LeaderEpoch, Offset),
    ) -> Result<Offset, StorageError> {
        let before = self.end;
        let own = self.epochs.end_of(epoch, self.end);
        let to = own.map_or(end, |(_, own_end)| own_end.min(end)).min(self.end);
        let begins_anew = to < self.start;
        self.truncate_to(store, to)?;
        // An epoch in which this node led and appended nothing is in no batch.
        self.epochs.truncate_to(to.max(self.start));
        if begins_anew && self.end == to && epoch >= LeaderEpoch(0) {
            // Up to there the logs agreed.
            self.epochs.assign(epoch, to);
        }
        Ok(before)
    }
}
