//! How threads are asked to end: a flag that is only ever raised.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
        Self(Arc::new(Inner { raised: AtomicBool::new(false), above: Some(self.clone()) }))
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

#[cfg(test)]
mod tests {
    use super::StopFlag;

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
