//! When a node looks at which of its logs: for old segments every `log.retention.check.interval.ms`, for dirty logs
//! every `log.cleaner.backoff.ms`, and at once when the clock on the wall jumps.
//!
//! One log is cleaned at a time, the dirtiest first (`log.cleaner.threads` is 1).

use super::keys::KEY_BYTES_MAX;
use super::pass::{Pass, Progress};
use crate::node::Node;
use crate::timers::Timer;
use crate::types::{Now, PartitionId};

/// Bytes that are cleaned in one step of the node.
const SLICE_BYTES: usize = 1 << 20;
/// How far wall time may drift from the time that passes before it counts as a jump: clocks that are corrected a little
/// do not make a node look at everything.
const JUMP_MS: u64 = 1000;

/// What a node is doing about old records.
#[derive(Debug, Default)]
pub(crate) struct Housekeeping {
    /// The log that is being cleaned.
    cleaning: Option<(PartitionId, Pass)>,
    /// What the wall clock is ahead of the monotonic one.
    ahead_ms: Option<i64>,
}

impl Node {
    /// Looks whether the wall clock jumped since the last step. What is too old by it is old now, and not only after
    /// the next interval.
    pub(crate) fn watch_clock(&mut self, now: Now) {
        let monotonic_ms = i64::try_from(now.monotonic_ns / 1_000_000).unwrap_or(i64::MAX);
        let ahead_ms = now.wall_ms.saturating_sub(monotonic_ms);
        let before = *self.housekeeping.ahead_ms.get_or_insert(ahead_ms);
        if ahead_ms.abs_diff(before) >= JUMP_MS {
            self.housekeeping.ahead_ms = Some(ahead_ms);
            self.look_after_records(now, |_, _| now.monotonic_ns);
        }
    }

    /// Begins to look after records, one interval from now.
    pub(crate) fn start_housekeeping(&mut self, now: Now) {
        self.look_after_records(now, |now, interval_ms| now.after_ms(interval_ms));
    }

    fn look_after_records(&mut self, now: Now, at: impl Fn(Now, i64) -> u64) {
        if self.config.is_broker {
            self.timers.set(Timer::Retention, at(now, self.config.retention_check_interval_ms));
            self.timers.set(Timer::Cleaner, at(now, self.config.cleaner_backoff_ms));
            self.timers.set(Timer::OffsetExpiry, at(now, self.config.offsets_retention_check_interval_ms));
        }
    }

    /// Deletes old segments. A log that is being cleaned waits.
    pub(crate) fn on_retention_timer(&mut self, now: Now) {
        self.timers.set(Timer::Retention, now.after_ms(self.config.retention_check_interval_ms));
        let cleaning = self.housekeeping.cleaning.as_ref().map(|(id, _)| *id);
        for (id, partition) in &mut self.partitions {
            if cleaning != Some(*id) && partition.delete_expired(&mut *self.store, now).is_some() {
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
