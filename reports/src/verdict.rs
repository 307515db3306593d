//! What the checks found. Verdicts are ordered: the worst wins.

use serde::{Deserialize, Serialize};

/// The outcome of a check, or of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Compared, and as expected.
    Pass,
    /// Nothing was compared, a fault never fired, the drain did not finish, or the generator was the bottleneck.
    Inconclusive,
    /// Compared, and not as expected.
    Fail,
}

/// What one check says of one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's name: `lost`, `unacknowledged`, `duplicated`, `phantom`, `inconsistent-offset`, `reordered`, `skipped`,
    /// `committed-too-far`, `offset-regressed`, `stalled`, `lag`, `conserved`, `contradicted` (a rule of conservation that no
    /// later fact could have mended), `latency`, `unavailable`.
    pub check: String,
    /// What it looked at: a flow (`load -> topic orders`), a sink (`topic orders`), a group (`group tracker on orders`), a
    /// rule (`money`), a metric (`end-to-end`).
    pub subject: String,
    /// Its verdict.
    pub outcome: Outcome,
    /// How many comparisons were made. 0 can never pass.
    pub compared: u64,
    /// How many violations there are (messages, copies, inversions, minor units).
    pub found: u64,
    /// One line for people: the figures beside what was allowed.
    pub detail: String,
    /// The smallest evidence that convicts; empty unless the check failed.
    pub evidence: Vec<Story>,
}

/// One violation, told in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    /// `order 731 (key user-17, no. 4 of the key)`.
    pub title: String,
    /// What happened to it, in order of time.
    pub events: Vec<StoryEvent>,
}

/// One line of a story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoryEvent {
    /// Nanoseconds since the Unix epoch; `None` for what has no time of its own.
    pub at_ns: Option<u64>,
    /// What happened, in words, with partitions and offsets.
    pub text: String,
}

/// The whole judgement of a run: `verdict.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The worst of all findings and reasons.
    pub outcome: Outcome,
    /// One for each check and subject, in the order in which checks are listed in the design.
    pub findings: Vec<Finding>,
    /// Why the run as a whole is inconclusive, besides what findings say.
    pub reasons: Vec<String>,
}

impl Verdict {
    /// Puts findings together: the worst outcome wins, and a reason makes a run at least inconclusive.
    #[must_use]
    pub fn new(findings: Vec<Finding>, reasons: Vec<String>) -> Self {
        let floor = if reasons.is_empty() && !findings.is_empty() { Outcome::Pass } else { Outcome::Inconclusive };
        let outcome = findings.iter().map(|finding| finding.outcome).fold(floor, Ord::max);
        Self { outcome, findings, reasons }
    }
}
