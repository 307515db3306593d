//! How far a run came, by what its directory has.

use crate::ending::Ending;
use serde::Serialize;

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// To its end; what it came to is the verdict's part, where anything was expected of it.
    Finished,
    /// Somebody ended it, in good order.
    Interrupted,
    /// It ended before it was judged: the harness, or what it needs, broke.
    BrokeOff,
    /// It goes on: somebody holds its directory.
    Running,
    /// It left no ending, and nobody holds its directory.
    Killed,
}

impl RunState {
    /// What a directory with this ending says. It is concluded when it has the last thing that its kind writes: a
    /// verdict, or the summary of a bare load, which is not judged.
    #[must_use]
    pub fn of(ending: Option<&Ending>, is_concluded: bool, is_under_way: bool) -> Self {
        match ending {
            Some(ending) if ending.interrupted => Self::Interrupted,
            Some(_) if is_concluded => Self::Finished,
            _ if is_under_way => Self::Running,
            Some(_) => Self::BrokeOff,
            None => Self::Killed,
        }
    }

    /// What a reader has to know before anything else; nothing of a run that came to its end.
    #[must_use]
    pub const fn notice(self) -> Option<&'static str> {
        match self {
            Self::Finished => None,
            Self::Interrupted => Some("This run was interrupted. What follows is what was seen until then."),
            Self::BrokeOff => {
                Some("This run broke off before it was judged. What follows is what was seen until then.")
            }
            Self::Running => Some(
                "This run is still under way. What follows is what was seen until now; the last second may be missing.",
            ),
            Self::Killed => Some(
                "This run was killed: it left no ending. What follows is what was seen until then; the last second may \
                 be missing.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_concluded_is_finished_and_what_nobody_holds_was_killed() {
        let (ended, interrupted) = (Ending::default(), Ending { interrupted: true, ..Ending::default() });
        assert_eq!(RunState::of(Some(&ended), true, false), RunState::Finished);
        assert_eq!(RunState::of(Some(&ended), true, true), RunState::Finished, "a run that is kept");
        assert_eq!(RunState::of(Some(&interrupted), true, false), RunState::Interrupted);
        assert_eq!(RunState::of(Some(&ended), false, true), RunState::Running, "it is being judged");
        assert_eq!(RunState::of(Some(&ended), false, false), RunState::BrokeOff);
        assert_eq!(RunState::of(None, false, true), RunState::Running);
        assert_eq!(RunState::of(None, false, false), RunState::Killed);
    }
}
