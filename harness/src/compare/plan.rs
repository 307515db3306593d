//! What is run against what.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The version of the plan's file.
pub const FORMAT_VERSION: u32 = 1;

/// One side of a comparison by pairs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SidePlan {
    /// What reports call it.
    pub label: String,
    /// The scenario.
    pub scenario: PathBuf,
    /// The scenario's text when the comparison began: half of the runs with one text and half with another say nothing.
    pub scenario_text: String,
    /// Settings laid over it, as `--set` takes them.
    pub settings: Vec<String>,
    /// The `shakedown` that runs it.
    pub program: PathBuf,
    /// When that file was written, in milliseconds since the Unix epoch, 0 where nobody can say: a program that was
    /// built again under its name is another one.
    #[serde(default)]
    pub program_unix_ms: u64,
}

/// A comparison by pairs, as far as its runs depend on it, and how often anybody looks at them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparisonPlan {
    /// [`FORMAT_VERSION`].
    pub format: u32,
    /// What was before.
    pub a: SidePlan,
    /// What is judged.
    pub b: SidePlan,
    /// What every run is told beside that: `--backend`, ...
    pub arguments: Vec<String>,
    /// What the order within pairs is drawn from. The runs of pair n have this plus n as their seed, both of them: they
    /// offer the same load.
    pub seed: u64,
    /// How many pairs the first look takes. More of them in the same folder would be a look that no error was set aside
    /// for.
    #[serde(default)]
    pub pairs: u16,
    /// Whether there may be a second look.
    #[serde(default)]
    pub extend: bool,
}

impl ComparisonPlan {
    /// What tells this plan from another, if anything does.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        let sides = [(&self.a, &other.a), (&self.b, &other.b)];
        let differs = |of: fn(&SidePlan, &SidePlan) -> bool| sides.iter().any(|(one, other)| of(one, other));
        let found = [
            ("format", self.format != other.format),
            ("scenario", differs(|one, other| one.scenario != other.scenario)),
            ("scenario's text", differs(|one, other| one.scenario_text != other.scenario_text)),
            ("set of settings", differs(|one, other| one.settings != other.settings)),
            ("program", differs(|one, other| one.program != other.program)),
            ("build of a program", differs(|one, other| one.program_unix_ms != other.program_unix_ms)),
            ("back end", self.arguments != other.arguments),
            ("seed", self.seed != other.seed),
            ("number of pairs", self.pairs != other.pairs),
            ("number of looks", self.extend != other.extend),
        ];
        found.into_iter().find(|(_, is_different)| *is_different).map(|(what, _)| what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_another_when_its_runs_would_be() {
        let side = SidePlan {
            label: "main".to_owned(),
            scenario: PathBuf::from("a.toml"),
            scenario_text: "name = \"a\"".to_owned(),
            settings: Vec::new(),
            program: PathBuf::from("shakedown"),
            program_unix_ms: 5,
        };
        let (a, b) = (side.clone(), side);
        let plan = ComparisonPlan { format: 1, a, b, arguments: Vec::new(), seed: 1, pairs: 12, extend: true };
        let mut other = plan.clone();
        other.b.label = "branch".to_owned();
        assert_eq!(plan.difference(&other), None, "a name is no run");
        other.b.settings.push("load.users=2".to_owned());
        assert_eq!(plan.difference(&other), Some("set of settings"));
        assert_eq!(plan.difference(&ComparisonPlan { seed: 2, ..plan.clone() }), Some("seed"));
        assert_eq!(plan.difference(&ComparisonPlan { pairs: 13, ..plan.clone() }), Some("number of pairs"));
        let mut other = plan.clone();
        other.a.program_unix_ms = 6;
        assert_eq!(plan.difference(&other), Some("build of a program"));
    }
}
