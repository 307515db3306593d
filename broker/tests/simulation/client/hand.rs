//! A client that asks what a named test wants asked, and keeps the outcome for it.

use super::{CallId, Client, Desk, Outcome};
use std::any::Any;
use std::collections::BTreeMap;

/// The hand of a test.
#[derive(Default)]
pub(crate) struct Hand {
    pub(crate) outcomes: BTreeMap<CallId, Outcome>,
}

impl Client for Hand {
    fn start(&mut self, _: &mut Desk<'_>) {}

    fn answered(&mut self, _: &mut Desk<'_>, call: CallId, outcome: Outcome) {
        self.outcomes.insert(call, outcome);
    }

    fn woken(&mut self, _: &mut Desk<'_>, _: u8) {}

    fn unfinished(&self, _: &[i64]) -> Option<String> {
        None
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
