//! Whether the measurements of a run can be believed. An invalid run says nothing about the system: it is never a fail.

use serde::{Deserialize, Serialize};

/// What the measuring itself was worth.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Validity {
    /// Nothing speaks against it.
    #[default]
    Valid,
    /// The machine or the generator was in the way.
    Invalid {
        /// One for each rule that was broken: what it was, its figure, and its limit.
        reasons: Vec<String>,
    },
}

impl Validity {
    /// Valid, unless there are reasons against it.
    #[must_use]
    pub fn of(reasons: Vec<String>) -> Self {
        if reasons.is_empty() { Self::Valid } else { Self::Invalid { reasons } }
    }

    /// What speaks against it; nothing where it is valid.
    #[must_use]
    pub fn reasons(&self) -> &[String] {
        match self {
            Self::Valid => &[],
            Self::Invalid { reasons } => reasons,
        }
    }

    /// Whether the measurements can be believed.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        *self == Self::Valid
    }
}

#[cfg(test)]
mod tests {
    use super::Validity;
    use crate::summary::Summary;

    #[test]
    fn it_is_kept_in_the_summary_and_a_summary_without_it_is_valid() {
        let mut summary = Summary { validity: Validity::of(vec!["late".to_owned()]), ..Summary::default() };
        let json = serde_json::to_string(&summary).expect("plain data");
        assert!(json.contains(r#""validity":{"state":"invalid","reasons":["late"]}"#), "{json}");
        assert_eq!(serde_json::from_str::<Summary>(&json).expect("what was written"), summary);
        let before = r#"{"lines":[],"elapsed_ms":0,"totals":{},"faults_fired":{}}"#;
        summary.validity = Validity::Valid;
        assert_eq!(serde_json::from_str::<Summary>(before).expect("written by an earlier version"), summary);
    }
}
