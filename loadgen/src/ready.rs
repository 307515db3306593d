//! Whether a client may send yet: what the start of a load waits for.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Said once, for good.
#[derive(Debug)]
pub(crate) struct Ready {
    is: Mutex<Option<Result<(), String>>>,
    told: Condvar,
}

impl Ready {
    pub(crate) fn new(is: bool) -> Self {
        Self { is: Mutex::new(is.then_some(Ok(()))), told: Condvar::new() }
    }

    pub(crate) fn set(&self) {
        self.say(Ok(()));
    }

    /// It never may, for this reason.
    pub(crate) fn refuse(&self, reason: String) {
        self.say(Err(reason));
    }

    fn say(&self, said: Result<(), String>) {
        self.is.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(said);
        self.told.notify_all();
    }

    /// What is said, if it is within so long.
    pub(crate) fn wait(&self, at_most: Duration) -> Option<Result<(), String>> {
        let is = self.is.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.told.wait_timeout_while(is, at_most, |is| is.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn who_waits_for_the_client_is_told_at_once_and_not_before() {
        let ready = Arc::new(Ready::new(false));
        assert_eq!(ready.wait(Duration::from_millis(1)), None);
        let teller = Arc::clone(&ready);
        let told = std::thread::spawn(move || teller.set());
        assert_eq!(ready.wait(Duration::from_secs(60)), Some(Ok(())));
        told.join().expect("the teller ends");
        assert_eq!(ready.wait(Duration::ZERO), Some(Ok(())), "it stays ready");
        assert_eq!(Ready::new(true).wait(Duration::ZERO), Some(Ok(())), "a client without a producer id");
    }

    #[test]
    fn a_client_that_never_may_says_why() {
        let ready = Ready::new(false);
        ready.refuse("no transactions here".to_owned());
        ready.set();
        assert_eq!(ready.wait(Duration::ZERO), Some(Err("no transactions here".to_owned())));
    }
}
