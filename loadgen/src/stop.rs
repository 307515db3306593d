//! How threads are asked to end: a flag that is only ever raised.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A shared request to stop; clones raise and see the same flag.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    raised: AtomicBool,
    /// Whoever stops that one stops this one, too.
    above: Option<StopFlag>,
}

impl StopFlag {
    /// A flag that is down.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A flag for a part of what this one stops: it counts as raised when either is, and raising it leaves this one down.
    #[must_use]
    pub fn for_part(&self) -> Self {
        self.clone().into_part()
    }

    /// As [`Self::for_part`], where nobody needs this one itself.
    pub(crate) fn into_part(self) -> Self {
        Self(Arc::new(Inner { raised: AtomicBool::new(false), above: Some(self) }))
    }

    /// Raises the flag, for good.
    pub fn stop(&self) {
        self.0.raised.store(true, Ordering::Release);
    }

    /// Whether anybody raised it.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.raised.load(Ordering::Acquire) || self.0.above.as_ref().is_some_and(Self::is_stopped)
    }
}

/// How long somebody waits for what is still to come: until a time is up, or [`STOPPED_PATIENCE`] after somebody has stopped
/// what it comes from.
#[derive(Debug)]
pub(crate) struct Patience {
    deadline: Instant,
    stopped: bool,
}

/// What is left once somebody has stopped a run: what a cluster that is there has in hand by then it answers within a moment, and
/// whoever stops a run does not want to wait for one that is not.
pub const STOPPED_PATIENCE: Duration = Duration::from_secs(3);

impl Patience {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { deadline: Instant::now() + timeout, stopped: false }
    }

    /// Whether there is none left. To be asked again and again: the first time that it sees a raised flag it gets short.
    pub(crate) fn is_over(&mut self, stop: &StopFlag) -> bool {
        let now = Instant::now();
        if !self.stopped && stop.is_stopped() {
            self.stopped = true;
            self.deadline = self.deadline.min(now + STOPPED_PATIENCE);
        }
        now >= self.deadline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_gets_short_when_somebody_stops_the_run_and_never_longer() {
        let hour = Duration::from_secs(3600);
        let stop = StopFlag::new();
        let (mut long, mut none) = (Patience::new(hour), Patience::new(Duration::ZERO));
        assert!(!long.is_over(&stop) && none.is_over(&stop));
        assert!(long.deadline > Instant::now() + hour / 2);
        stop.stop();
        assert!(!long.is_over(&stop) && none.is_over(&stop));
        assert!(long.deadline <= Instant::now() + STOPPED_PATIENCE);
        let deadline = long.deadline;
        assert!(!long.is_over(&stop) && long.deadline == deadline, "it does not begin anew");
    }

    #[test]
    fn a_part_stops_with_the_whole_and_not_the_other_way_round() {
        let whole = StopFlag::new();
        let (one, other) = (whole.for_part(), whole.for_part());
        one.stop();
        assert_eq!([&whole, &one, &other].map(StopFlag::is_stopped), [false, true, false]);
        whole.stop();
        assert!(other.is_stopped());
    }
}
