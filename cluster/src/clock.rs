//! The cluster's monotonic time: real time without the stretches in which this process could not run.
//!
//! Brokers fence each other for being silent. When the whole process stands still (a stopped debugger, a machine with
//! more work than cores), all of them are silent at once and none of them is to blame; so time goes on only as far as
//! somebody is there to keep deadlines. What a real clock went further than that never happened.

use std::time::Duration;

/// How late a deadline may be kept before the rest of the delay counts as the machine's fault.
pub(crate) const LATE_MAX: Duration = Duration::from_millis(50);

/// Nanoseconds since the start of the cluster. Never goes back.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    skipped_ns: u64,
    last_ns: u64,
}

impl Clock {
    /// The time at a real instant, given the earliest deadline that has not been kept yet: at most [`LATE_MAX`] behind
    /// that deadline, however late it really is.
    pub(crate) fn read(&mut self, real_ns: u64, deadline_ns: Option<u64>) -> u64 {
        let late_max_ns = u64::try_from(LATE_MAX.as_nanos()).unwrap_or(u64::MAX);
        let latest_ns = deadline_ns.map_or(u64::MAX, |deadline| deadline.saturating_add(late_max_ns));
        let now_ns = real_ns.saturating_sub(self.skipped_ns);
        self.last_ns = now_ns.min(latest_ns).max(self.last_ns);
        self.skipped_ns += now_ns.saturating_sub(self.last_ns);
        self.last_ns
    }

    /// When a deadline comes, in real nanoseconds, if nothing is skipped until then.
    pub(crate) fn real_ns(&self, deadline_ns: u64) -> u64 {
        deadline_ns.saturating_add(self.skipped_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    const MS: u64 = 1_000_000;

    #[test]
    fn time_goes_on_while_deadlines_are_kept() {
        let mut clock = Clock::default();
        assert_eq!(clock.read(90 * MS, Some(100 * MS)), 90 * MS);
        assert_eq!(clock.read(149 * MS, Some(100 * MS)), 149 * MS, "a little late is late");
        assert_eq!(clock.read(160 * MS, Some(200 * MS)), 160 * MS);
        assert_eq!(clock.read(10_000 * MS, None), 10_000 * MS, "nobody waits for anything");
        assert_eq!(clock.real_ns(10_100 * MS), 10_100 * MS);
    }

    #[test]
    fn what_nobody_was_there_to_keep_is_skipped_once() {
        let mut clock = Clock::default();
        assert_eq!(clock.read(90 * MS, Some(100 * MS)), 90 * MS);
        assert_eq!(clock.read(5_000 * MS, Some(100 * MS)), 150 * MS, "the process stood still");
        assert_eq!(clock.read(5_001 * MS, Some(100 * MS)), 150 * MS, "and the deadline is still not kept");
        assert_eq!(clock.read(5_011 * MS, Some(250 * MS)), 160 * MS, "from here on time goes on");
        assert_eq!(clock.real_ns(250 * MS), 5_101 * MS);
    }

    #[test]
    fn a_deadline_in_the_past_does_not_turn_time_back() {
        let mut clock = Clock::default();
        assert_eq!(clock.read(500 * MS, None), 500 * MS);
        assert_eq!(clock.read(501 * MS, Some(100 * MS)), 500 * MS);
        assert_eq!(clock.read(502 * MS, Some(600 * MS)), 501 * MS);
    }
}
