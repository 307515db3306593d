//! What the service still waits for before it can do its work, and what of its work it cannot do: the truth behind `/ready`.
//!
//! A condition is declared unready when its owner is built, so that a service is never ready by omission. A service that
//! works, but for some events or for somebody whom it needs, is ready and degraded: another instance could do no more, and
//! nobody gains if this one is taken out.

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The conditions of one service; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness {
    conditions: Arc<Mutex<Conditions>>,
}

/// The conditions that do not hold, or not for everything, with their reasons.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Conditions {
    /// Empty: the service is ready.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) waiting_for: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) degraded: BTreeMap<&'static str, String>,
}

impl Readiness {
    /// The condition does not hold, for this reason.
    pub(crate) fn wait_for(&self, condition: &'static str, reason: impl Into<String>) {
        let mut conditions = self.lock();
        conditions.degraded.remove(condition);
        conditions.waiting_for.insert(condition, reason.into());
    }

    /// The condition holds, but for what the reason says.
    pub(crate) fn degraded(&self, condition: &'static str, reason: impl Into<String>) {
        let mut conditions = self.lock();
        conditions.waiting_for.remove(condition);
        conditions.degraded.insert(condition, reason.into());
    }

    /// The condition holds.
    pub(crate) fn satisfied(&self, condition: &'static str) {
        let mut conditions = self.lock();
        conditions.waiting_for.remove(condition);
        conditions.degraded.remove(condition);
    }

    /// How it stands now.
    pub(crate) fn conditions(&self) -> Conditions {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Conditions> {
        // A map that a panicking thread left behind is still a map of reasons; readiness must keep answering.
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
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
        let waiting_for = readiness.conditions().waiting_for;
        assert_eq!(waiting_for, BTreeMap::from([("group", "not joined yet".to_owned())]));
        readiness.satisfied("group");
        assert_eq!(readiness.conditions(), Conditions::default());
    }

    #[test]
    fn what_holds_but_for_some_is_degraded_and_ready() {
        let readiness = Readiness::default();
        readiness.wait_for("work", "the store does not answer");
        readiness.degraded("work", "an event waits");
        let Conditions { waiting_for, degraded } = readiness.conditions();
        assert_eq!((waiting_for.len(), degraded["work"].as_str()), (0, "an event waits"));
        readiness.wait_for("work", "the store does not answer");
        assert_eq!(readiness.conditions().degraded.len(), 0, "one state at a time");
        readiness.satisfied("work");
        assert_eq!(readiness.conditions(), Conditions::default());
    }
}
