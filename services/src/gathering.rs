//! How often a worker begins a batch.
//!
//! A transaction costs the same for one event as for ten, and a busy worker that takes whatever lies there this very moment
//! commits hundreds of times a second. So one batch begins at least an interval behind the one before it, and takes what has
//! come meanwhile; whoever was idle begins at once.

use std::time::{Duration, Instant};

/// From one batch's beginning to the next one's. Short beside the commits and polls that an event waits for anyway.
const INTERVAL: Duration = Duration::from_millis(5);

/// When the last batch of one worker began.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    begun: Option<Instant>,
}

impl Gathering {
    /// How long the next batch still has to wait at `now`.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        self.begun.map_or(Duration::ZERO, |begun| (begun + INTERVAL).saturating_duration_since(now))
    }

    /// A batch begins.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.begun = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_waits_for_the_interval_behind_the_one_before_it_and_an_idle_worker_not_at_all() {
        let (start, mut gathering) = (Instant::now(), Gathering::default());
        assert_eq!(gathering.wait(start), Duration::ZERO);
        gathering.begin(start);
        assert_eq!(gathering.wait(start), INTERVAL);
        assert_eq!(gathering.wait(start + INTERVAL / 5), INTERVAL - INTERVAL / 5);
        assert_eq!(gathering.wait(start + INTERVAL), Duration::ZERO);
        assert_eq!(gathering.wait(start + 2 * INTERVAL), Duration::ZERO);
    }
}
