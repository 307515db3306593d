//! When a node looks at which of its logs: for old segments and for producers that have fallen silent every
//! `log.retention.check.interval.ms`, for dirty logs every `log.cleaner.backoff.ms`, and at once when somebody moves the
//! clock on the wall.
//!
//! One log is cleaned at a time, the dirtiest first (`log.cleaner.threads` is 1). A few logs lose old segments at a time,
//! since each of them may cost a disk's sync.

use super::keys::KEY_BYTES_MAX;
use super::pass::{Pass, Progress};
use crate::node::Node;
use crate::timers::Timer;
use crate::types::{Now, Offset, PartitionId};
use std::ops::Bound;

/// Bytes that are cleaned in one step of the node.
const SLICE_BYTES: usize = 1 << 20;
/// Logs that lose old segments in one step of the node.
const EXPIRED_LOGS_MAX: usize = 16;

/// What a node is doing about old records.
#[derive(Debug, Default)]
pub(crate) struct Housekeeping {
    /// The log that is being cleaned.
    cleaning: Option<(PartitionId, Pass)>,
    /// The last log that was looked at for old segments, while there are others behind it.
    looked_at: Option<PartitionId>,
}

impl Node {
    /// The wall clock was moved: what is too old by it is old now, and not only after the next interval.
    ///
    /// That somebody moved it has to be said. A clock that is merely ahead of the time that has passed may be so because
    /// the shell skips stretches in which nobody could keep deadlines, and these add up.
    pub(crate) fn on_clock_moved(&mut self, now: Now) {
        self.look_after_records(now, |_, _| now.monotonic_ns);
    }

    /// Begins to look after records, one interval from now.
    pub(crate) fn start_housekeeping(&mut self, now: Now) {
        self.look_after_records(now, |now, interval_ms| now.after_ms(interval_ms));
    }

    fn look_after_records(&mut self, now: Now, at: impl Fn(Now, i64) -> u64) {
        // What was looked at already was looked at by another clock.
        self.housekeeping.looked_at = None;
        if self.config.is_broker {
            self.timers.set(Timer::Retention, at(now, self.config.retention_check_interval_ms));
            self.timers.set(Timer::Cleaner, at(now, self.config.cleaner_backoff_ms));
            self.timers.set(Timer::OffsetExpiry, at(now, self.config.offsets_retention_check_interval_ms));
        }
    }

    /// Deletes old segments of a few logs, and forgets producers that have fallen silent. A log that is being cleaned
    /// keeps its segments for now.
    pub(crate) fn on_retention_timer(&mut self, now: Now) {
        let cleaning = self.housekeeping.cleaning.as_ref().map(|(id, _)| *id);
        let behind = self.housekeeping.looked_at.take().map_or(Bound::Unbounded, Bound::Excluded);
        let mut expired: Vec<(PartitionId, Offset)> = Vec::new();
        for (id, partition) in self.partitions.range_mut((behind, Bound::Unbounded)) {
            partition.forget_producers(now, self.config.producer_id_expiration_ms);
            let start = partition.begins_unexpired(now).filter(|_| cleaning != Some(*id));
            expired.extend(start.map(|start| (*id, start)));
            if expired.len() == EXPIRED_LOGS_MAX {
                self.housekeeping.looked_at = Some(*id);
                break;
            }
        }
        self.begin_logs_at(&expired);
        // Requests that have come meanwhile are answered before the other logs' turn.
        let soon = now.monotonic_ns.saturating_add(1);
        let later = now.after_ms(self.config.retention_check_interval_ms);
        self.timers.set(Timer::Retention, if self.housekeeping.looked_at.is_some() { soon } else { later });
    }

    fn begin_logs_at(&mut self, starts: &[(PartitionId, Offset)]) {
        let log = |(id, start): &(PartitionId, Offset)| Some((self.partitions.get(id)?.log_id(), *start));
        let logs: Vec<_> = starts.iter().filter_map(log).collect();
        self.store.remove_all_before(&logs);
        for (id, start) in starts {
            if let Some(partition) = self.partitions.get_mut(id) {
                partition.begin_at(&mut *self.store, *start);
                // Followers are told where the log begins, and whoever waits for records that are gone.
                self.moved.push(*id);
            }
        }
    }

    /// Cleans a slice of a log, or looks for one that is dirty.
    pub(crate) fn on_cleaner_timer(&mut self, now: Now) {
        // Not at this very instant: requests that have come meanwhile are answered first.
        let soon = now.monotonic_ns.saturating_add(1);
        let later = now.after_ms(self.config.cleaner_backoff_ms);
        let cleaning = self.housekeeping.cleaning.take().or_else(|| self.dirtiest(now));
        let Some((id, mut pass)) = cleaning else { return self.timers.set(Timer::Cleaner, later) };
        let cleaned = self.partitions.get_mut(&id).map(|it| it.clean(&mut *self.store, &mut pass, SLICE_BYTES));
        let at = match cleaned {
            Some(Ok(Progress::More)) => {
                self.housekeeping.cleaning = Some((id, pass));
                soon
            }
            Some(Err(_)) => {
                self.housekeeping.cleaning = Some((id, pass));
                later
            }
            Some(Ok(Progress::Done | Progress::Abandoned)) | None => soon,
        };
        self.timers.set(Timer::Cleaner, at);
    }

    fn dirtiest(&self, now: Now) -> Option<(PartitionId, Pass)> {
        let dirty = self.partitions.iter().filter(|(_, partition)| partition.policy.compacts);
        let dirty = dirty.map(|(id, partition)| (id, partition, partition.dirty(now)));
        let worth_it = dirty.filter(|(_, partition, dirty)| dirty.is_worth_it(&partition.policy));
        let dirtiest = worth_it.max_by(|(_, _, one), (_, _, other)| one.ratio().total_cmp(&other.ratio()));
        let (id, partition, _) = dirtiest?;
        Some((*id, partition.begin_cleaning(now, KEY_BYTES_MAX)?))
    }
}
