//! Everything a node waits for, by deadline. The kinds are an enumeration, so that a test can list what is pending.

use crate::purgatory::WaitId;
use crate::types::{BrokerId, PartitionId};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, BTreeSet};

/// What happens when a deadline passes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A fetch has waited `max_wait_ms`.
    Wait(WaitId),
    /// A member has not been heard of for its session timeout.
    Session {
        /// Its group.
        group: StrBytes,
        /// The member.
        member: StrBytes,
    },
    /// A member id was handed out, but nobody joined with it.
    PendingMember {
        /// Its group.
        group: StrBytes,
        /// The id.
        member: StrBytes,
    },
    /// A rebalance has waited long enough for its members to join.
    Join(StrBytes),
    /// Members have joined but not all have synchronised.
    Sync(StrBytes),
    /// The groups of a partition of `__consumer_offsets` go on being loaded.
    Load(PartitionId),
    /// `__consumer_offsets` has not come into being.
    OffsetsTopic,
    /// A request to the controller got no answer in the time that its sender gave it.
    Request(u64),
    /// Requests that got no answer are sent to the controller again.
    Resend,
    /// The broker registers, or tells the controller that it is there.
    Heartbeat,
    /// The controller looks whose heartbeats stopped.
    Sessions,
    /// A leader looks which followers lag.
    Lag,
    /// A follower's fetch was held long enough.
    HeldFetch(BrokerId),
    /// A leader has not answered a fetch.
    Link(BrokerId),
    /// A leader could not answer for some partitions: they are asked for again.
    LinkRetry(BrokerId),
    /// The quorum's election or fetch time-out.
    Election,
    /// The quorum's leader looks whether a majority still fetches.
    Majority,
    /// A fetch of the metadata log was held long enough.
    HeldMetadata(BrokerId),
    /// A fetch of the metadata log was not answered.
    MetadataFetch,
    /// Old segments are looked for.
    Retention,
    /// A log is cleaned, or a dirty one looked for.
    Cleaner,
    /// Committed offsets that nobody has used for long are looked for.
    OffsetExpiry,
}

/// The pending deadlines; each timer is pending at most once.
#[derive(Debug, Default)]
pub struct Timers {
    queue: BTreeSet<(u64, Timer)>,
    deadlines: BTreeMap<Timer, u64>,
}

impl Timers {
    /// Sets a timer, anew if it was set.
    pub fn set(&mut self, timer: Timer, at_ns: u64) {
        if let Some(before) = self.deadlines.insert(timer.clone(), at_ns) {
            if before == at_ns {
                return;
            }
            self.queue.remove(&(before, timer.clone()));
        }
        self.queue.insert((at_ns, timer));
    }

    /// Forgets a timer, whether it was set or not.
    pub fn cancel(&mut self, timer: &Timer) {
        if let Some(at) = self.deadlines.remove(timer) {
            self.queue.remove(&(at, timer.clone()));
        }
    }

    /// When a timer fires, if it is set.
    #[must_use]
    pub fn deadline(&self, timer: &Timer) -> Option<u64> {
        self.deadlines.get(timer).copied()
    }

    /// The next deadline, in monotonic nanoseconds.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes the next timer that is due.
    pub fn pop_due(&mut self, now_ns: u64) -> Option<Timer> {
        if self.next()? > now_ns {
            return None;
        }
        let (_, timer) = self.queue.pop_first()?;
        self.deadlines.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_order_once_and_only_when_due() {
        let mut timers = Timers::default();
        timers.set(Timer::Request(1), 30);
        timers.set(Timer::Request(2), 10);
        timers.set(Timer::Request(3), 20);
        timers.set(Timer::Request(2), 25);
        timers.cancel(&Timer::Request(3));
        assert_eq!(timers.next(), Some(25));
        assert_eq!(timers.pop_due(24), None);
        assert_eq!(timers.pop_due(40), Some(Timer::Request(2)));
        assert_eq!(timers.pop_due(40), Some(Timer::Request(1)));
        assert_eq!(timers.pop_due(40), None);
    }
}
