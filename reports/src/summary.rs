//! `summary.json`: what the run says of itself above the table of checks. Written last; a killed run has none.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The figures of a run that are not verdicts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The lines under the title, in order. They may hold times; the normalised report leaves them out.
    pub lines: Vec<SummaryLine>,
    /// How long the whole run took.
    pub elapsed_ms: u64,
    /// Totals that the seed fixes, by name: `orders offered`, `money ordered`, ... The normalised report shows them.
    pub totals: BTreeMap<String, i64>,
    /// How often each fault fired, by its name.
    pub faults_fired: BTreeMap<String, u64>,
}

/// `cluster    embedded, 3 brokers, KRaft; up in 14 ms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SummaryLine {
    /// `cluster`, `services`, `load`, `faults`.
    pub label: String,
    /// What there is to say of it.
    pub text: String,
}

impl Summary {
    /// Adds a line under the title.
    pub fn line(&mut self, label: &str, text: impl Into<String>) {
        self.lines.push(SummaryLine { label: label.to_owned(), text: text.into() });
    }
}
