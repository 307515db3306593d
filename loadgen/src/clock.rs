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
    /// In tests of arithmetic: the time itself, which passes only when somebody sleeps or says so.
    #[cfg(test)]
    told_ns: Option<&'static std::sync::atomic::AtomicU64>,
}

impl RunClock {
    /// Anchors the clock at this instant. Two anchors of one process may differ by a step of the wall clock, so start
    /// one and copy it.
    #[must_use]
    pub fn start() -> Self {
        // A wall clock before 1970 anchors at zero: distances stay true, which is all that is measured.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self {
            anchor: Instant::now(),
            anchor_unix_ns: nanoseconds(wall),
            #[cfg(test)]
            told_ns: None,
        }
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        #[cfg(test)]
        if let Some(told_ns) = self.told_ns {
            return told_ns.load(std::sync::atomic::Ordering::SeqCst);
        }
        self.anchor_unix_ns.saturating_add(nanoseconds(self.anchor.elapsed()))
    }

    /// Lets so much time pass; a little more, as threads wake when the system lets them.
    pub(crate) fn sleep(&self, duration: Duration) {
        #[cfg(test)]
        if let Some(told_ns) = self.told_ns {
            told_ns.fetch_add(nanoseconds(duration), std::sync::atomic::Ordering::SeqCst);
            return;
        }
        std::thread::sleep(duration);
    }

    /// A clock whose time passes only when somebody sleeps on it.
    #[cfg(test)]
    pub(crate) fn told() -> Self {
        let told_ns = Box::leak(Box::new(std::sync::atomic::AtomicU64::new(1_000_000_000)));
        Self { told_ns: Some(told_ns), ..Self::start() }
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
