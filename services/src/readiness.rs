//! What the service still waits for before it can do its work: the truth behind `/ready`.
//!
//! A condition is declared unready when its owner is built, so that a service is never ready by omission.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The conditions of one service; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness {
    waiting_for: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

impl Readiness {
    /// The condition does not hold, for this reason.
    pub(crate) fn wait_for(&self, condition: &'static str, reason: impl Into<String>) {
        self.conditions().insert(condition, reason.into());
    }

    /// The condition holds.
    pub(crate) fn satisfied(&self, condition: &'static str) {
        self.conditions().remove(condition);
    }

    /// Every condition that does not hold, with its reason. Empty: the service is ready.
    pub(crate) fn waiting_for(&self) -> BTreeMap<&'static str, String> {
        self.conditions().clone()
    }

    fn conditions(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, String>> {
        // A map that a panicking thread left behind is still a map of reasons; readiness must keep answering.
        self.waiting_for.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_when_every_condition_holds() {
        let readiness = Readiness::default();
        readiness.wait_for("group", "not joined yet");
        readiness.wait_for("store", "not open");
        readiness.satisfied("store");
        assert_eq!(readiness.waiting_for(), BTreeMap::from([("group", "not joined yet".to_owned())]));
        readiness.satisfied("group");
        assert!(readiness.waiting_for().is_empty());
    }
}
