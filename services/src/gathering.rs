//! How often a worker begins a batch.
//!
//! A transaction costs the same for one event as for ten, and a busy worker that takes whatever lies there this very moment
//! commits hundreds of times a second. So behind a batch that was not full the next one begins an interval later at the
//! earliest, and takes what has come meanwhile. Whoever had nothing to do begins at once.

use std::time::{Duration, Instant};

/// From one batch's beginning to the next one's. Short beside the commits and polls that an event waits for anyway.
const INTERVAL: Duration = Duration::from_millis(5);

/// When the last batch of one worker began that had room for more.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    begun: Option<Instant>,
}

impl Gathering {
    /// How long the next batch still has to wait at `now`.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        self.begun.map_or(Duration::ZERO, |begun| (begun + INTERVAL).saturating_duration_since(now))
    }

    /// Waits for as long as that is.
    ///
    /// # Cancel safety
    /// Safe: nothing is changed.
    pub(crate) async fn pause(&self) {
        let wait = self.wait(Instant::now());
        // Even a sleep of nothing takes until the next tick of the timer.
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// A batch of so many began at `now`, of at most so many. One that is full leaves nothing to wait for, and an empty one is
    /// none.
    pub(crate) fn began(&mut self, now: Instant, events: usize, at_most: usize) {
        self.begun = (0 < events && events < at_most).then_some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_waits_for_the_interval_behind_the_one_before_it() {
        let (start, mut gathering) = (Instant::now(), Gathering::default());
        assert_eq!(gathering.wait(start), Duration::ZERO);
        gathering.began(start, 1, 10);
        assert_eq!(gathering.wait(start), INTERVAL);
        assert_eq!(gathering.wait(start + INTERVAL / 5), INTERVAL - INTERVAL / 5);
        assert_eq!(gathering.wait(start + INTERVAL), Duration::ZERO);
        assert_eq!(gathering.wait(start + 2 * INTERVAL), Duration::ZERO);
    }

    #[test]
    fn nobody_waits_behind_a_full_batch_or_none() {
        let (start, mut gathering) = (Instant::now(), Gathering::default());
        for (events, at_most) in [(0, 10), (10, 10), (1, 1)] {
            gathering.began(start, events, at_most);
            assert_eq!(gathering.wait(start), Duration::ZERO, "{events} of {at_most}");
        }
    }
}
