//! What is known of a run while it goes on, for whoever shows it: a scrape of metrics, the sampler.
//!
//! Owns no measurement: whoever measures notes here what it has, cheaply and at any time, and [`crate::exposition`] reads it.

use crate::load::Progress;
use crate::meter::{Figures, Meter};
use shakedown_reports::resources::Reading;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a load or a tap measures; it goes on being measured while this is held.
#[derive(Debug, Clone, Default)]
pub struct Gauges(pub(crate) Vec<Arc<Meter>>);

impl Gauges {
    /// The figures of each metric by its tag in the interval log, up to the last interval that ended.
    pub fn figures(&self) -> impl Iterator<Item = (&str, Figures)> {
        self.0.iter().map(|meter| (meter.tag(), meter.figures()))
    }
}

/// What is known of a run. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Live(Arc<Mutex<Known>>);

/// Everything at one instant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) run: String,
    pub(crate) progress: Progress,
    pub(crate) gauges: Vec<Gauges>,
    pub(crate) reading: Option<Reading>,
    /// How far behind each group is on a topic, by partition.
    pub(crate) lags: BTreeMap<(String, String), BTreeMap<i32, u64>>,
    pub(crate) faults: BTreeSet<String>,
}

impl Live {
    /// Another run begins: nothing is known of it but its name.
    pub fn begin(&self, run: &str) {
        *self.known() = Known { run: run.to_owned(), ..Known::default() };
    }

    /// How far the load is.
    pub fn note_progress(&self, progress: Progress) {
        self.known().progress = progress;
    }

    /// Something more is measured from now on.
    pub fn watch(&self, gauges: Gauges) {
        self.known().gauges.push(gauges);
    }

    /// What the run has cost so far.
    pub fn note_reading(&self, reading: Reading) {
        self.known().reading = Some(reading);
    }

    /// How far a group is behind at one partition of a topic.
    pub fn note_lag(&self, group: &str, topic: &str, partition: i32, lag: u64) {
        self.known().lags.entry((group.to_owned(), topic.to_owned())).or_default().insert(partition, lag);
    }

    /// A fault has struck, or is healed.
    pub fn note_fault(&self, fault: &str, is_healed: bool) {
        let mut known = self.known();
        if is_healed {
            known.faults.remove(fault);
        } else {
            known.faults.insert(fault.to_owned());
        }
    }

    /// The faults that have struck and are not healed, by name.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.known().faults.iter().cloned().collect()
    }

    /// How far the group that is behind the most is behind, over the partitions of a topic; `None` where nobody looks.
    #[must_use]
    pub fn lag_max(&self) -> Option<u64> {
        self.known().lags.values().map(|partitions| partitions.values().sum()).max()
    }

    /// How many messages of the load were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.known().progress.acknowledged
    }

    pub(crate) fn now(&self) -> Known {
        self.known().clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
