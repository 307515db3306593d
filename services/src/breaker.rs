//! A circuit breaker, from kept parts: failsafe's state machine with backon's pauses. failsafe's own pauses count in seconds;
//! ours are shorter, and jittered, so that instances which found a dependency down together do not come back together.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use failsafe::failure_policy::{ConsecutiveFailures, consecutive_failures};
use failsafe::{Config, Instrument, StateMachine};
use std::time::Duration;

/// A circuit breaker; cheap to clone.
pub(crate) type Breaker<I> = StateMachine<ConsecutiveFailures<Pauses>, I>;

/// How long a breaker stays open, time after time.
#[derive(Debug)]
pub(crate) struct Pauses {
    shape: ExponentialBuilder,
    next: ExponentialBackoff,
}

impl Pauses {
    fn new(shape: ExponentialBuilder) -> Self {
        Self { shape, next: shape.build() }
    }
}

/// A clone begins with the shortest pause again, which is what failsafe clones it for.
impl Clone for Pauses {
    fn clone(&self) -> Self {
        Self::new(self.shape)
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.next.next()
    }
}

/// A breaker that opens after so many failures in a row, at first for about `open_min`, and never for more than twice
/// `open_max`. `watcher` hears what becomes of it.
pub(crate) fn breaker<I: Instrument>(
    failures_in_a_row: u32,
    open_min: Duration,
    open_max: Duration,
    watcher: I,
) -> Breaker<I> {
    let shape = ExponentialBuilder::new().with_min_delay(open_min).with_max_delay(open_max).with_jitter();
    let policy = consecutive_failures(failures_in_a_row, Pauses::new(shape.without_max_times()));
    Config::new().failure_policy(policy).instrument(watcher).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_with_a_success() {
        let breaker = breaker(2, Duration::from_millis(200), Duration::from_millis(200), ());
        breaker.on_error();
        breaker.on_success();
        breaker.on_error();
        assert!(breaker.is_call_permitted(), "not in a row");
        breaker.on_error();
        assert!(!breaker.is_call_permitted());
        // It asks again in time.
        while !breaker.is_call_permitted() {
            std::thread::yield_now();
        }
        breaker.on_success();
        breaker.on_error();
        assert!(breaker.is_call_permitted(), "it is closed");
    }

    #[test]
    fn pauses_grow_and_a_clone_begins_anew() {
        let shape = ExponentialBuilder::new().with_min_delay(Duration::from_millis(10)).without_max_times();
        let mut pauses = Pauses::new(shape);
        assert_eq!(pauses.by_ref().take(2).map(|pause| pause.as_millis()).collect::<Vec<_>>(), [10, 20]);
        assert_eq!(pauses.clone().next(), Some(Duration::from_millis(10)));
    }
}
