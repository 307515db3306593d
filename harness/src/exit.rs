//! The exit codes of the tool. They are part of its interface.

use shakedown_reports::verdict::Outcome;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: everything that was expected holds.
    Pass,
    /// 1: something that was expected does not hold.
    Fail,
    /// 2: a bad scenario, or wrong usage.
    Usage,
    /// 3: nobody can say: nothing was compared, the drain did not finish, the run was interrupted.
    Inconclusive,
    /// 4: the harness itself, or what it needs, broke.
    Broken,
}

impl Exit {
    /// The number that the process ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Usage => 2,
            Self::Inconclusive => 3,
            Self::Broken => 4,
        }
    }

    /// Which of two exits speaks for both: what broke before what failed before what nobody can say.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Pass => 0,
            Self::Inconclusive => 1,
            Self::Fail => 2,
            Self::Usage => 3,
            Self::Broken => 4,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass => Self::Pass,
            Outcome::Fail => Self::Fail,
            Outcome::Inconclusive => Self::Inconclusive,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn a_failure_is_never_hidden_by_another_scenario() {
        assert_eq!(Exit::Fail.worst(Exit::Inconclusive), Exit::Fail);
        assert_eq!(Exit::Pass.worst(Exit::Inconclusive), Exit::Inconclusive);
        assert_eq!(Exit::Broken.worst(Exit::Fail), Exit::Broken);
        assert_eq!(Exit::Pass.worst(Exit::Pass), Exit::Pass);
    }
}
