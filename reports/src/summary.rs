//! `summary.json`: what the run says of itself above the table of checks. Written last; a killed run has none.

use crate::resources::Usage;
use crate::validity::Validity;
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
    /// Whether what was measured can be believed.
    #[serde(default)]
    pub validity: Validity,
    /// What the load cost the machine; `None` where nobody could look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
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
