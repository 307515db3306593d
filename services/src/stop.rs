//! The request to stop: made once, by a signal, and seen by every task and thread of the service.

use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a thread may sleep before it looks for a request to stop.
const NAP_MAX: Duration = Duration::from_millis(20);

/// A shared flag that can be read by threads and awaited by tasks.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    requested: watch::Sender<bool>,
}

impl Stop {
    pub(crate) fn new() -> Self {
        Self { requested: watch::Sender::new(false) }
    }

    pub(crate) fn request(&self) {
        self.requested.send_replace(true);
    }

    pub(crate) fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Resolves when a stop is requested, at once if it was before.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost when the future is dropped.
    pub(crate) async fn wait(&self) {
        let mut receiver = self.requested.subscribe();
        // The sender lives in `self`, so waiting cannot fail before the value is seen.
        let _ = receiver.wait_for(|requested| *requested).await;
    }

    /// Resolves `grace` after a stop is requested: the end of the time for work that was already begun.
    pub(crate) async fn wait_and(&self, grace: Duration) {
        self.wait().await;
        tokio::time::sleep(grace).await;
    }

    /// Blocks this thread until `deadline`. False if a stop was requested before.
    pub(crate) fn sleep_until(&self, deadline: Instant) -> bool {
        loop {
            if self.is_requested() {
                return false;
            }
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return true;
            }
            std::thread::sleep(remaining.min(NAP_MAX));
        }
    }

    /// Blocks this thread for `duration`. False if a stop was requested before it was over.
    pub(crate) fn sleep(&self, duration: Duration) -> bool {
        self.sleep_until(Instant::now() + duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_cuts_a_sleep_short() {
        let stop = Stop::new();
        assert!(stop.sleep(Duration::ZERO));
        let other = stop.clone();
        let sleeper = std::thread::spawn(move || other.sleep(Duration::from_secs(3600)));
        stop.request();
        assert!(!sleeper.join().unwrap());
    }

    #[tokio::test]
    async fn a_request_made_before_the_wait_is_seen() {
        let stop = Stop::new();
        stop.request();
        stop.wait().await;
        assert!(stop.is_requested());
    }
}
