//! Whether a client may send yet: what the start of a load waits for.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Raised once, for good.
#[derive(Debug)]
pub(crate) struct Ready {
    is: Mutex<bool>,
    told: Condvar,
}

impl Ready {
    pub(crate) fn new(is: bool) -> Self {
        Self { is: Mutex::new(is), told: Condvar::new() }
    }

    pub(crate) fn set(&self) {
        *self.is.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.told.notify_all();
    }

    /// Whether it is raised, within so long.
    pub(crate) fn wait(&self, at_most: Duration) -> bool {
        let is = self.is.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.told.wait_timeout_while(is, at_most, |is| !*is);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn who_waits_for_the_client_is_told_at_once_and_not_before() {
        let ready = Arc::new(Ready::new(false));
        assert!(!ready.wait(Duration::from_millis(1)));
        let teller = Arc::clone(&ready);
        let told = std::thread::spawn(move || teller.set());
        assert!(ready.wait(Duration::from_secs(60)));
        told.join().expect("the teller ends");
        assert!(ready.wait(Duration::ZERO), "it stays ready");
        assert!(Ready::new(true).wait(Duration::ZERO), "a client without a producer id");
    }
}
