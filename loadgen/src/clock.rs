//! The clock of a run: Unix nanoseconds that never go back.
//!
//! Owns the one anchor of a process. A wall clock may be stepped in the middle of a run; every instant that is recorded
//! is therefore the anchor's wall time plus a monotonic distance, so that differences are true and times can still be
//! laid beside logs.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One anchor for all threads of a process; cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct RunClock {
    anchor: Instant,
    anchor_unix_ns: u64,
}

impl RunClock {
    /// Anchors the clock at this instant. Two anchors of one process may differ by a step of the wall clock, so start
    /// one and copy it.
    #[must_use]
    pub fn start() -> Self {
        // A wall clock before 1970 anchors at zero: distances stay true, which is all that is measured.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { anchor: Instant::now(), anchor_unix_ns: nanoseconds(wall) }
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.anchor_unix_ns.saturating_add(nanoseconds(self.anchor.elapsed()))
    }
}

/// A duration in whole nanoseconds; 584 years and more saturate.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_agree_and_never_go_back() {
        let clock = RunClock::start();
        let copy = clock;
        let mut last = clock.now_ns();
        for _ in 0..1_000 {
            let now = copy.now_ns();
            assert!(now >= last, "{now} came after {last}");
            last = now;
        }
        let wall = nanoseconds(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970"));
        assert!(wall.abs_diff(last) < 60_000_000_000, "{last} is not near the wall clock's {wall}");
    }
}
