//! `ending.json`: how a run came to its end, which the checks cannot see in the record. Written at the end; a killed
//! run has none.

use serde::{Deserialize, Serialize};

/// The file's name in the run directory.
pub const FILE: &str = "ending.json";

/// How a run came to its end. Whoever runs more than a load may write further fields; readers of this type pass them over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ending {
    /// Whether everything had arrived everywhere.
    pub drained: bool,
    /// Whether somebody ended the run.
    pub interrupted: bool,
    /// Why the run cannot pass whatever the checks say.
    pub reasons: Vec<String>,
    /// How late the load generator was at p99, by its own making; `None` where a service offered the load.
    pub lateness_p99_ns: Option<u64>,
}

impl Ending {
    /// The ending of a run that left none: it was killed.
    #[must_use]
    pub fn of_killed_run() -> Self {
        let reasons = vec!["the run was killed before its end".to_owned()];
        Self { reasons, ..Self::default() }
    }
}
